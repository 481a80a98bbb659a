"""The filters of a question about claims, as SQL; those about speakers and sources serve figures too."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, exists
from sqlmodel import col

from app.base.db import ReadSession
from app.base.sql import Query, select
from app.base.times import span
from app.claims.derived import ClaimListing
from app.claims.model import Appearance, Claim, ClaimSpeaker, Figure
from app.claims.shapes import ClaimFilters
from app.entities.store import everyone_merged
from app.entities.words import prepare
from app.sources.model import Source
from app.sources.store import resolve as resolve_sources
from app.words.rank import matching

Clauses = list[ColumnElement[bool]]


FACETS = ("source", "speaker", "about", "topic", "publisher")
"""The filters whose values claims are listed under."""


def filtered(session: ReadSession, query: Query, ask: ClaimFilters) -> Query:
    """The filters of a question, on a query that has claims. Raises Invalid for unknown entities."""
    return query.where(*clauses(session, ask))


def clauses(
    session: ReadSession, ask: ClaimFilters, *, facets_too: bool = True, words_too: bool = True
) -> Clauses:
    """The filters of a question, with or without those that `facets` gives and `q`. Raises Invalid."""
    found: Clauses = [
        col(getattr(Claim, name)).in_(wanted)
        for name in ("verdict", "attribution", "mode", "kind")
        if (wanted := getattr(ask, name))
    ]
    if ask.assignee:
        found.append(col(Claim.assignee_id).in_(ask.assignee))
    if ask.repeats:
        found.append(col(Claim.repeats_id).in_(ask.repeats))
    if ask.due_before:
        found.append(col(Claim.due) < ask.due_before)
    if ask.has_figure is not None:
        figure = exists().where(col(Figure.claim_id) == col(Claim.id))
        found.append(figure if ask.has_figure else ~figure)
    found += overlapping(Claim.said, Claim.said_earliest, Claim.said_latest, ask.said_from, ask.said_to)
    if ask.q and words_too:
        found.append(matching(prepare(session, ask.q).plan, Claim.id))
    if facets_too:
        if ask.status:
            found.append(col(Claim.status).in_(ask.status))
        found += [_listed(values) for values in facets(session, ask).values()]
    return found


def facets(session: ReadSession, ask: ClaimFilters) -> dict[str, list[str]]:
    """What `claim_listing` has the claims of a question under: any of the values of each. Raises Invalid."""
    found = {
        "source": _printed(session, ask.source),
        "speaker": everyone_merged(session, "speaker", ask.speaker),
        "about": everyone_merged(session, "about", ask.about),
        "topic": ask.topic,
        "publisher": everyone_merged(session, "publisher", ask.publisher),
    }
    return {name: [f"{name}:{value}" for value in values] for name, values in found.items() if values}


def _printed(session: ReadSession, sources: Sequence[str]) -> list[str]:
    return list(resolve_sources(session, {f"source/{n}": ref for n, ref in enumerate(sources)}).values())


def _listed(facets: Sequence[str]) -> ColumnElement[bool]:
    return col(Claim.id).in_(select(ClaimListing.claim_id).where(col(ClaimListing.facet).in_(facets)))


def overlapping(given: Any, earliest: Any, latest: Any, start: str | None, end: str | None) -> Clauses:
    """That a date reaches into the time from `start` to `end` (EDTF); what has no date does not."""
    clauses: Clauses = []
    if start:
        clauses.append(col(latest) >= span(start).earliest)
    if end:
        clauses.append(col(earliest) <= span(end).latest)
    return [*clauses, col(given).is_not(None)] if clauses else []


def spoken_or_printed(
    session: ReadSession,
    claim_id: Any,
    speakers: Sequence[str],
    sources: Sequence[str],
    publishers: Sequence[str],
) -> Clauses:
    """That a claim (the column with its id) is by one of these, and in what these print or publish."""
    clauses: Clauses = []
    if speakers:
        entities = everyone_merged(session, "speaker", speakers)
        clauses.append(_has(claim_id, ClaimSpeaker, "entity_id", entities))
    if sources:
        clauses.append(_has(claim_id, Appearance, "source_id", _printed(session, sources)))
    if publishers:
        entities = everyone_merged(session, "publisher", publishers)
        published = select(Source.id).where(col(Source.publisher_id).in_(entities))
        clauses.append(_has(claim_id, Appearance, "source_id", published))
    return clauses


def _has(claim_id: Any, part: Any, column: str, values: Any) -> ColumnElement[bool]:
    return col(claim_id).in_(select(part.claim_id).where(getattr(part, column).in_(values)))
