"""Counts of claims by one or two dimensions, under the filters of their list.

Where the filters and dimensions together are no more than two, the counts are kept (`claim_tallies`) and only
read; otherwise the claims are counted. Both are exact: a claim counts once under each value that it has.
Where withdrawn claims are left out, the status is one of the filters; if it is one too many, withdrawn claims
are counted, which are few, and taken off what is kept of all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Text, and_, case, cast, func, literal, union_all
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.base.db import ReadSession
from app.base.page import Page, page
from app.base.sql import Query, select
from app.base.times import UNDATED
from app.claims.derived import ClaimTally
from app.claims.filters import filtered
from app.claims.model import Appearance, Claim, ClaimSpeaker, ClaimTopic
from app.claims.shapes import DIMENSIONS, ClaimFilters, Dimension, StatsQuestion
from app.claims.standing import STATUSES
from app.entities.documents import briefs
from app.entities.model import Entity
from app.entities.store import resolve as resolve_entities
from app.sources.model import Source

_PEOPLE: frozenset[str] = frozenset({"speaker", "publisher"})
_SEVERAL = _PEOPLE | {"topic"}
"""What a claim may have several of."""

_NO_FILTER = frozenset({"limit", "cursor", "order", "sort", "facets", "by"})
_OF_STATUS = frozenset({"status", "withdrawn"})
_FACET_VALUES = 20


def count(session: ReadSession, ask: StatsQuestion, after: Sequence[Any] | None) -> Page[dict[str, Any]]:
    """A page of counts: by month in order of time, else the largest first."""
    return _page(session, ask, after, first="month" if "month" in ask.by else None)


def _page(
    session: ReadSession, ask: StatsQuestion, after: Sequence[Any] | None, *, first: Dimension | None = None
) -> Page[dict[str, Any]]:
    counts = _counts(session, ask).subquery()
    a, b = (counts.c.b, counts.c.a) if first and ask.by.index(first) else (counts.c.a, counts.c.b)
    keys = [a, counts.c.claims, b] if first else [counts.c.claims, a, b]
    found = page(
        session, select(counts.c.a, counts.c.b, counts.c.claims).where(counts.c.claims > 0), keys, ask, after
    )
    return Page(_rows(session, ask.by, found.rows), found.last)


def total(session: ReadSession, ask: ClaimFilters) -> int:
    """How many claims there are under a question's filters."""
    counts = _counts(session, _under(ask)).subquery()
    return int(session.execute(select(func.coalesce(func.sum(counts.c.claims), 0))).scalar_one())


def facets(session: ReadSession, ask: ClaimFilters, by: Sequence[Dimension]) -> dict[str, list[Any]]:
    """The most frequent values of each dimension under a question's filters: value, claims, and for entities
    their slug and name.
    """
    return {dimension: _facet(session, _under(ask, dimension), dimension) for dimension in by}


def _facet(session: ReadSession, ask: StatsQuestion, dimension: Dimension) -> list[dict[str, Any]]:
    if dimension == "status" and ask.hides_withdrawn:
        ask = ask.model_copy(update={"withdrawn": "include"})
    rows = _page(session, ask, None).rows
    names = {dimension: "value", f"{dimension}_slug": "slug", f"{dimension}_name": "name"}
    return [{names.get(name, name): value for name, value in row.items()} for row in rows]


def _under(ask: ClaimFilters, *by: Dimension) -> StatsQuestion:
    """The question of counts with another question's filters, which were checked."""
    filters = {name: getattr(ask, name) for name in ask.model_fields_set - _NO_FILTER}
    return StatsQuestion.model_construct({*filters, "by"}, **filters, by=list(by), limit=_FACET_VALUES)


def _counts(session: ReadSession, ask: StatsQuestion) -> Query:
    query = kept(session, ask)
    return counted(session, ask) if query is None else query


def _rows(session: ReadSession, by: Sequence[Dimension], rows: Sequence[Any]) -> list[dict[str, Any]]:
    values = [dict(zip(by, (row.a, row.b), strict=False)) for row in rows]
    people = {value for each in values for name, value in each.items() if name in _PEOPLE and value}
    known = briefs(session, people) if people else {}
    return [_shown(each, known) | {"claims": row.claims} for each, row in zip(values, rows, strict=True)]


def _shown(values: Mapping[Dimension, str], known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for dimension, value in values.items():
        shown[dimension] = value or None
        if dimension in _PEOPLE:
            entity = known.get(value, {})
            shown |= {f"{dimension}_{name}": entity.get(name) for name in ("slug", "name")}
    return shown


# --- kept --------------------------------------------------------------------------------------


def kept(session: ReadSession, ask: StatsQuestion) -> Query | None:
    """a, b and claims from the tallies; None if they do not hold the answer."""
    query = _tallied(session, ask)
    if query is not None or not ask.hides_withdrawn:
        return query
    every = _tallied(session, ask.model_copy(update={"withdrawn": "include"}))
    if every is None:
        return None
    withdrawn = counted(session, ask.model_copy(update={"status": ["withdrawn"]})).subquery()
    less = select(withdrawn.c.a, withdrawn.c.b, (-withdrawn.c.claims).label("claims"))
    both = union_all(every, less).subquery()
    claims = cast(func.sum(both.c.claims), BigInteger).label("claims")
    return select(both.c.a, both.c.b, claims).group_by(both.c.a, both.c.b)


def _tallied(session: ReadSession, ask: StatsQuestion) -> Query | None:
    wanted = _wanted(session, ask)
    pair = sorted({*ask.by, *(wanted or ())}, key=DIMENSIONS.index)
    if wanted is None or len(pair) > 2:
        return None
    column = dict(zip(pair, (col(ClaimTally.a), col(ClaimTally.b)), strict=False))
    first, second = (*pair, "", "")[:2]
    values = [column[dimension].label(name) for dimension, name in zip(ask.by, "ab", strict=False)]
    values += [literal("", Text).label(name) for name in "ab"[len(ask.by) :]]
    return (
        select(*values, cast(func.sum(col(ClaimTally.claims)), BigInteger).label("claims"))
        .where(
            col(ClaimTally.first) == first,
            col(ClaimTally.second) == second,
            *(column[dimension].in_(some) for dimension, some in wanted.items()),
        )
        .group_by(*(column[dimension] for dimension in ask.by))
    )


def _wanted(session: ReadSession, ask: StatsQuestion) -> dict[Dimension, Sequence[str]] | None:
    """The values that each filtered dimension must have; None if the filters are others too, or such that a
    claim could count twice: several values, or those of a dimension that is counted by, of what a claim may
    have several of.
    """
    filters = ask.model_fields_set - _NO_FILTER - _OF_STATUS
    given = {name for name in filters if getattr(ask, name) not in (None, [])}
    wanted: dict[Dimension, Sequence[str]] = {}
    if ask.statuses is not STATUSES:
        wanted["status"] = ask.statuses
    for dimension in DIMENSIONS:
        if dimension not in given:
            continue
        values: list[str] = getattr(ask, dimension)
        if dimension in _PEOPLE:
            refs = {f"{dimension}/{n}": ref for n, ref in enumerate(values)}
            values = sorted(set(resolve_entities(session, refs).values()))
        if dimension in _SEVERAL and (len(values) > 1 or dimension in ask.by):
            return None
        wanted[dimension] = values
    return wanted if given == wanted.keys() - {"status"} else None


# --- counted -----------------------------------------------------------------------------------


def counted(session: ReadSession, ask: StatsQuestion) -> Query:
    """a, b and claims, of the claims themselves."""
    query = select().select_from(Claim)
    values = []
    for dimension in ask.by:
        query, value = _dimension(query, dimension)
        values.append(value)
    named = [*values, literal("", Text), literal("", Text)]
    columns = [value.label(name) for value, name in zip(named, "ab", strict=False)]
    counted = query.add_columns(*columns, func.count(col(Claim.id).distinct()).label("claims"))
    return filtered(session, counted, ask).group_by(*values)


def _dimension(query: Query, dimension: Dimension) -> tuple[Query, Any]:
    match dimension:
        case "speaker":
            speaker = aliased(Entity)
            query = query.join(ClaimSpeaker, col(ClaimSpeaker.claim_id) == col(Claim.id))
            return query.join(speaker, col(speaker.id) == col(ClaimSpeaker.entity_id)), _text(
                speaker.canonical_id
            )
        case "publisher":
            publisher = aliased(Entity)
            query = query.outerjoin(Appearance, col(Appearance.claim_id) == col(Claim.id))
            query = query.outerjoin(Source, col(Source.id) == col(Appearance.source_id))
            query = query.outerjoin(publisher, col(publisher.id) == col(Source.publisher_id))
            return query, _text(publisher.canonical_id)
        case "topic":
            return query.outerjoin(ClaimTopic, col(ClaimTopic.claim_id) == col(Claim.id)), _text(
                ClaimTopic.topic
            )
        case "month":
            return query, _month()
        case _:
            return query, _text(getattr(Claim, dimension))


def _text(value: Any) -> Any:
    return func.coalesce(col(value), literal("", Text))


def _month() -> Any:
    earliest, latest = (
        func.substr(cast(col(day), Text), 1, 7) for day in (Claim.said_earliest, Claim.said_latest)
    )
    dated = and_(col(Claim.said_latest) != UNDATED, earliest == latest)
    return case((dated, earliest), else_=literal("", Text))
