"""The filters of a question about claims, as SQL; those about speakers and sources serve figures too."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, exists
from sqlmodel import col

from app.base.db import ReadSession
from app.base.sql import Query, select
from app.base.times import span
from app.claims.model import Appearance, Claim, ClaimAbout, ClaimSpeaker, ClaimTopic, Figure
from app.claims.shapes import ClaimQuestion
from app.entities.store import everyone_merged
from app.sources.model import Source
from app.sources.store import resolve as resolve_sources

Clauses = list[ColumnElement[bool]]


def filtered(session: ReadSession, query: Query, ask: ClaimQuestion) -> Query:
    """The filters of a question, on a query that has claims. Raises Invalid for unknown entities."""
    for name in ("status", "verdict", "attribution", "mode", "kind"):
        if wanted := getattr(ask, name):
            query = query.where(col(getattr(Claim, name)).in_(wanted))
    if ask.assignee:
        query = query.where(col(Claim.assignee_id).in_(ask.assignee))
    if ask.repeats:
        query = query.where(col(Claim.repeats_id).in_(ask.repeats))
    if ask.due_before:
        query = query.where(col(Claim.due) < ask.due_before)
    return query.where(
        *overlapping(Claim.said, Claim.said_earliest, Claim.said_latest, ask.said_from, ask.said_to),
        *spoken_or_printed(session, Claim.id, ask.speaker, ask.source, ask.publisher),
        *_subjects(session, ask),
    )


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
        refs = {f"source/{n}": ref for n, ref in enumerate(sources)}
        printed = list(resolve_sources(session, refs).values())
        clauses.append(_has(claim_id, Appearance, "source_id", printed))
    if publishers:
        entities = everyone_merged(session, "publisher", publishers)
        published = select(Source.id).where(col(Source.publisher_id).in_(entities))
        clauses.append(_has(claim_id, Appearance, "source_id", published))
    return clauses


def _subjects(session: ReadSession, ask: ClaimQuestion) -> Clauses:
    clauses: Clauses = []
    if ask.about:
        clauses.append(_has(Claim.id, ClaimAbout, "entity_id", everyone_merged(session, "about", ask.about)))
    if ask.topic:
        clauses.append(_has(Claim.id, ClaimTopic, "topic", ask.topic))
    if ask.has_figure is not None:
        figure = exists().where(col(Figure.claim_id) == col(Claim.id))
        clauses.append(figure if ask.has_figure else ~figure)
    return clauses


def _has(claim_id: Any, part: Any, column: str, values: Any) -> ColumnElement[bool]:
    return col(claim_id).in_(select(part.claim_id).where(getattr(part, column).in_(values)))
