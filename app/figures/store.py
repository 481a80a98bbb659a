"""Figures found across claims."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, func, tuple_
from sqlmodel import col

from app.base.db import ReadSession
from app.base.errors import NotFound
from app.base.ids import noun_of
from app.base.page import Page, page
from app.base.sql import select
from app.claims import bodies
from app.claims.filters import listed_under, of_status, overlapping
from app.claims.model import Claim, Figure, FigureAbout
from app.entities.store import everyone_merged
from app.entities.words import searched
from app.figures import words
from app.figures.model import FigureQuestion
from app.figures.ranges import Wanted, wanted

_OF_CLAIMS = ("source", "speaker", "publisher")
"""The filters that are of the claim that a figure stands in."""


def find(session: ReadSession, ask: FigureQuestion, after: Sequence[Any] | None) -> Page[dict[str, Any]]:
    """A page of figures, newest claim first."""
    query = select(col(Figure.id), col(Figure.claim_id)).join(Claim, col(Claim.id) == col(Figure.claim_id))
    query = query.where(*clauses(session, ask))
    asked = wanted(ask.unit, ask.dimension, ask.min, ask.max)
    if ask.q:
        among = query.with_only_columns(col(Figure.id))
        ranking = searched(session, ask.q, "figure", among, ask, after, read=by_id, matched=words.matched)
        return Page(_converted(ranking.rows, asked), ranking.last)
    found = page(session, query, [col(Figure.id)], ask, after)
    figures = documents(session, [(row.id, row.claim_id) for row in found.rows])
    return Page(_converted(figures, asked), found.last)


def clauses(session: ReadSession, ask: FigureQuestion) -> list[ColumnElement[bool]]:
    """The filters of a question but for its words, on a query of figures and claims. Raises Invalid."""
    asked = wanted(ask.unit, ask.dimension, ask.min, ask.max)
    return [
        *_own(ask),
        *_in_range(asked, by_index=bool(ask.measure) or not _common(session, asked)),
        *overlapping(
            Figure.period, Figure.period_earliest, Figure.period_latest, ask.period_from, ask.period_to
        ),
        *listed_under(session, Figure.claim_id, {name: getattr(ask, name) for name in _OF_CLAIMS}),
        *about(session, ask.about),
    ]


def _converted(figures: Sequence[dict[str, Any]], asked: Wanted) -> Sequence[dict[str, Any]]:
    into = asked.into
    return figures if into is None else [{**figure, "converted": into.shown(figure)} for figure in figures]


def by_id(session: ReadSession, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Some figures, each with its claim."""
    rows = session.execute(select(Figure.id, Figure.claim_id).where(col(Figure.id).in_(ids)))
    return {figure["id"]: figure for figure in documents(session, [(row.id, row.claim_id) for row in rows])}


def get(session: ReadSession, figure_id: str) -> dict[str, Any]:
    """One figure. Raises NotFound."""
    query = select(col(Figure.id), col(Figure.claim_id)).where(col(Figure.id) == figure_id)
    found = session.execute(query).first()
    if found is None:
        noun = noun_of(figure_id)
        other = f"{figure_id} is the id of a {noun}, not of a figure."
        known = noun not in (None, "figure")
        raise NotFound(other if known else f"There is no figure {figure_id}.")
    return documents(session, [(found.id, found.claim_id)])[0]


def _own(ask: FigureQuestion) -> list[ColumnElement[bool]]:
    pairs: list[tuple[Any, Sequence[str]]] = [
        (col(Figure.measure), ask.measure),
        (col(Figure.kind), ask.kind),
        (col(Figure.claim_id), ask.claim),
    ]
    clauses: list[ColumnElement[bool]] = [column.in_(wanted) for column, wanted in pairs if wanted]
    clauses += of_status(ask)
    if ask.is_record is not None:
        clauses.append(col(Figure.is_record).is_(ask.is_record))
    return clauses


_MANY = 5000
"""From so many figures on, those of a range are met sooner in the order of the list than by an index."""


def _common(session: ReadSession, asked: Wanted) -> bool:
    if asked.codes is None:
        return False
    few = select(Figure.id).where(*_in_range(asked, by_index=True)).limit(_MANY).subquery()
    return bool(session.execute(select(func.count()).select_from(few)).scalar_one() == _MANY)


def _in_range(asked: Wanted, *, by_index: bool) -> list[ColumnElement[bool]]:
    """That a figure can be converted as is asked, and allows a number of the range."""

    def column(name: str) -> Any:
        # An expression of a column is not looked for in an index of it, by either database.
        here = col(getattr(Figure, name))
        return here if by_index else here.concat("")

    clauses: list[ColumnElement[bool]] = []
    if asked.codes is not None:
        clauses.append(column("unit").in_(asked.codes))
    if asked.low is not None:
        clauses.append(column("highest") >= asked.low)
    if asked.high is not None:
        clauses.append(column("lowest") <= asked.high)
    return clauses


def about(session: ReadSession, refs: Sequence[str]) -> list[ColumnElement[bool]]:
    """That a figure is about one of these, or of what is merged into them. Raises Invalid."""
    if not refs:
        return []
    return [measuring(col(FigureAbout.entity_id).in_(everyone_merged(session, "about", refs)))]


def measuring(entities: ColumnElement[bool]) -> ColumnElement[bool]:
    """That a figure is about one of some entities."""
    # Not EXISTS: for each figure SQLite would go through all that is about the entity.
    measured = select(FigureAbout.claim_id, FigureAbout.figure).where(entities)
    return tuple_(col(Figure.claim_id), col(Figure.position)).in_(measured)


def is_of_figure() -> ColumnElement[bool]:
    """That what a figure is about is told of that figure."""
    same_claim = col(FigureAbout.claim_id) == col(Figure.claim_id)
    return and_(same_claim, col(FigureAbout.figure) == col(Figure.position))


def documents(session: ReadSession, ids: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Some figures, by their ids and their claims'."""
    claims = bodies.of(session, sorted({claim_id for _, claim_id in ids}))
    figures = {figure["id"]: figure for claim in claims.values() for figure in claim["figures"]}
    return [
        {
            **figures[figure_id],
            "converted": None,
            "claim": {name: claims[claim_id][name] for name in ("id", "text", "mode", "said", "speakers")},
            "verification": claims[claim_id]["verification"],
        }
        for figure_id, claim_id in ids
    ]
