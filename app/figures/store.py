"""Figures found across claims."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import col

from app.base.db import ReadSession
from app.base.errors import NotFound
from app.base.ids import noun_of
from app.base.page import Page, page
from app.base.sql import select
from app.claims import bodies
from app.claims.filters import overlapping, spoken_or_printed
from app.claims.model import Claim, Figure, FigureAbout
from app.entities.store import everyone_merged
from app.figures.model import FigureQuestion


def find(session: ReadSession, ask: FigureQuestion, after: Sequence[Any] | None) -> Page[dict[str, Any]]:
    """A page of figures, newest claim first."""
    query = select(col(Figure.id), col(Figure.claim_id)).join(Claim, col(Claim.id) == col(Figure.claim_id))
    found = page(session, query.where(*clauses(session, ask)), [col(Figure.id)], ask, after)
    return Page(_documents(session, [(row.id, row.claim_id) for row in found.rows]), found.last)


def clauses(session: ReadSession, ask: FigureQuestion) -> list[ColumnElement[bool]]:
    """The filters of a question, for a query that has figures and claims. Raises Invalid."""
    return [
        *_own(ask),
        *overlapping(
            Figure.period, Figure.period_earliest, Figure.period_latest, ask.period_from, ask.period_to
        ),
        *spoken_or_printed(session, Figure.claim_id, ask.speaker, ask.source, ask.publisher),
        *_subjects(session, ask),
    ]


def get(session: ReadSession, figure_id: str) -> dict[str, Any]:
    """One figure. Raises NotFound."""
    query = select(col(Figure.id), col(Figure.claim_id)).where(col(Figure.id) == figure_id)
    found = session.execute(query).first()
    if found is None:
        noun = noun_of(figure_id)
        other = f"{figure_id} is the id of a {noun}, not of a figure."
        known = noun not in (None, "figure")
        raise NotFound(other if known else f"There is no figure {figure_id}.")
    return _documents(session, [(found.id, found.claim_id)])[0]


def _own(ask: FigureQuestion) -> list[ColumnElement[bool]]:
    pairs: list[tuple[Any, Sequence[str]]] = [
        (col(Figure.measure), ask.measure),
        (col(Figure.unit), ask.unit),
        (col(Figure.kind), ask.kind),
        (col(Figure.claim_id), ask.claim),
        (col(Claim.status), ask.status),
    ]
    clauses: list[ColumnElement[bool]] = [column.in_(wanted) for column, wanted in pairs if wanted]
    if ask.is_record is not None:
        clauses.append(col(Figure.is_record).is_(ask.is_record))
    return clauses


def _subjects(session: ReadSession, ask: FigureQuestion) -> list[ColumnElement[bool]]:
    if not ask.about:
        return []
    subject = select(FigureAbout.claim_id).where(
        col(FigureAbout.claim_id) == col(Figure.claim_id),
        col(FigureAbout.figure) == col(Figure.position),
        col(FigureAbout.entity_id).in_(everyone_merged(session, "about", ask.about)),
    )
    return [subject.exists()]


def _documents(session: ReadSession, wanted: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    claims = bodies.of(session, sorted({claim_id for _, claim_id in wanted}))
    figures = {figure["id"]: figure for claim in claims.values() for figure in claim["figures"]}
    return [
        {
            **figures[figure_id],
            "claim": {name: claims[claim_id][name] for name in ("id", "text", "mode", "said", "speakers")},
            "verification": claims[claim_id]["verification"],
        }
        for figure_id, claim_id in wanted
    ]
