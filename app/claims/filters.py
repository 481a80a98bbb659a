"""The filters of a question about claims, as SQL; those about speakers and sources serve figures too."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, exists
from sqlmodel import col

from app.base.db import ReadSession, within
from app.base.errors import Invalid, Unauthorized
from app.base.sql import Query, select
from app.base.times import span
from app.claims.derived import ClaimListing
from app.claims.model import Claim, Figure
from app.claims.repeats import firsts
from app.claims.shapes import ClaimFilters
from app.claims.standing import StatusFilters
from app.entities.store import everyone_merged
from app.entities.words import prepare
from app.sources.store import resolve as resolve_sources
from app.words.rank import matching

Clauses = list[ColumnElement[bool]]


FACETS = ("source", "speaker", "about", "topic", "publisher")
"""The filters whose values claims are listed under."""


def filtered(session: ReadSession, query: Query, ask: ClaimFilters) -> Query:
    """The filters of a question, on a query that has claims. Raises Invalid for unknown entities."""
    return query.where(*clauses(session, ask))


def clauses(
    session: ReadSession,
    ask: ClaimFilters,
    *,
    facets_too: bool = True,
    words_too: bool = True,
    status_too: bool = True,
) -> Clauses:
    """The filters of a question, with or without those that `facets` gives, `q` and the status. Raises
    Invalid.
    """
    found: Clauses = [
        col(getattr(Claim, name)).in_(wanted)
        for name in ("verdict", "attribution", "mode", "kind")
        if (wanted := getattr(ask, name))
    ]
    if ask.repeats:
        found.append(col(Claim.repeats_id).in_(_originals(session, ask.repeats)))
    if ask.repeated_after_review is not None:
        # A day begins before any moment of it: what was said on the day of the ruling is not after it.
        ruled = and_(col(Claim.repeats_id).is_not(None), col(Claim.reviewed_at).is_not(None))
        after = and_(ruled, col(Claim.reviewed_at) < col(Claim.said_earliest))
        found.append(after if ask.repeated_after_review else ~after)
    if ask.due_before:
        found.append(col(Claim.due) < ask.due_before)
    if session.public and (ask.assignee or ask.not_proposed_by):
        raise Unauthorized("Only holders of a key are told who works on what: this filter needs one.")
    found += _of_the_desk(ask)
    if ask.has_figure is not None:
        figure = exists().where(col(Figure.claim_id) == col(Claim.id))
        found.append(figure if ask.has_figure else ~figure)
    found += overlapping(Claim.said, Claim.said_earliest, Claim.said_latest, ask.said_from, ask.said_to)
    if ask.q and words_too:
        found.append(matching(prepare(within(session), ask.q).plan, Claim.id))
    if status_too:
        found += of_status(ask)
    if facets_too:
        found += listed_under(session, Claim.id, {name: getattr(ask, name) for name in FACETS})
    return found


def of_status(ask: StatusFilters) -> Clauses:
    """That a claim stands as is asked for: withdrawn ones do not, unless they are asked for."""
    if ask.hides_withdrawn:
        return [col(Claim.status) != "withdrawn"]  # not IN, or SQLite would look for nearly all by an index
    return [col(Claim.status).in_(ask.statuses)] if ask.status else []


def not_withdrawn(claim_id: Any) -> ColumnElement[bool]:
    """That a claim, by the column with its id, is not withdrawn."""
    return col(claim_id).not_in(select(Claim.id).where(col(Claim.status) == "withdrawn"))


def _originals(session: ReadSession, claims: Sequence[str]) -> set[str]:
    """What each of some claims repeats, or itself. Raises Invalid."""
    found = firsts(session, claims)
    for n, claim_id in enumerate(claims):
        if claim_id not in found:
            raise Invalid.at(f"repeats/{n}", f"there is no claim {claim_id}")
    return set(found.values())


def _of_the_desk(ask: ClaimFilters) -> Clauses:
    """The filters that the queues of fact-checkers are made of."""
    found: Clauses = []
    if ask.assignee:
        found.append(col(Claim.assignee_id).in_(ask.assignee))
    if ask.is_repeat is not None:
        found.append(col(Claim.repeats_id).is_not(None) if ask.is_repeat else col(Claim.repeats_id).is_(None))
    if ask.not_proposed_by:
        found.append(col(Claim.status) == "pending_approval")
        found.append(col(Claim.proposer_id).is_distinct_from(ask.not_proposed_by))
    if ask.lease_expires_before:
        found.append(col(Claim.status) == "in_review")
        found.append(col(Claim.lease_expires_at) < ask.lease_expires_before)
    if ask.come_due:
        found += [
            col(Claim.kind).in_(("prediction", "promise")),
            col(Claim.due) <= ask.come_due,
            # NOT IN, or SQLite would look for the standings, which nearly all claims have, by an index.
            col(Claim.status).not_in(("in_review", "pending_approval", "withdrawn")),
            # SQLite has both as text, of which a moment on a day sorts behind the day; PostgreSQL reads UTC.
            col(Claim.reviewed_at).is_(None) | (col(Claim.reviewed_at) < col(Claim.due)),
        ]
    return found


def facets(session: ReadSession, ask: ClaimFilters) -> dict[str, list[str]]:
    """What `claim_listing` has the claims of a question under: any of the values of each. Raises Invalid."""
    return _facets(session, {name: getattr(ask, name) for name in FACETS})


def listed_under(session: ReadSession, claim_id: Any, asked: Mapping[str, Sequence[str]]) -> Clauses:
    """That a claim, by the column with its id, is under one of the values of each facet. Raises Invalid."""
    return [_listed(claim_id, values) for values in _facets(session, asked).values()]


def _facets(session: ReadSession, asked: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    found = {name: _values(session, name, refs) for name, refs in asked.items() if refs}
    return {name: [f"{name}:{value}" for value in dict.fromkeys(values)] for name, values in found.items()}


def _values(session: ReadSession, facet: str, refs: Sequence[str]) -> Sequence[str]:
    match facet:
        case "topic":
            return refs
        case "source":
            return list(resolve_sources(session, {f"source/{n}": ref for n, ref in enumerate(refs)}).values())
        case _:
            return everyone_merged(session, facet, refs)


def _listed(claim_id: Any, facets: Sequence[str]) -> ColumnElement[bool]:
    return col(claim_id).in_(select(ClaimListing.claim_id).where(col(ClaimListing.facet).in_(facets)))


def overlapping(given: Any, earliest: Any, latest: Any, start: str | None, end: str | None) -> Clauses:
    """That a date reaches into the time from `start` to `end` (EDTF); what has no date does not."""
    clauses: Clauses = []
    if start:
        clauses.append(col(latest) >= span(start).earliest)
    if end:
        clauses.append(col(earliest) <= span(end).latest)
    return [*clauses, col(given).is_not(None)] if clauses else []
