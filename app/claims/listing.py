"""Pages of claims in the order of when they were said: all of them, or those of a speaker, subject, topic,
source or publisher; and in the order of how often they were repeated or read.

`claim_listing` has each of them in order within each status, so a page is the first rows of a few ranges,
merged: it costs the same for a speaker of three claims and of three hundred thousand, and at any depth.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from orjson import Fragment
from sqlalchemy import ColumnElement, Select, Subquery, bindparam, exists, func, true, tuple_, union_all
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.base.caches import Cache, remembered
from app.base.db import Readable, ReadSession, at_once
from app.base.page import Page
from app.base.prepared import NotAtOnce, Prepared
from app.base.sql import Query, select, table
from app.claims import bodies, references
from app.claims.derived import ClaimBody, ClaimListing, ClaimRank, ReferenceEpoch
from app.claims.filters import FACETS, Clauses, clauses, facets
from app.claims.model import Claim
from app.claims.shapes import ClaimQuestion

EVERYTHING = {"all": ["all"]}
"""What every claim is listed under."""

_KNOWN_AT_ONCE = frozenset({*FACETS, "status", "withdrawn", "limit", "cursor", "order", "sort"})
_Shape = tuple[int, int, bool, bool]

_ENOUGH = 1000
"""As far as the claims of a facet are counted to find the rarest."""

_MOST_RANGES, _FEW_RANGES = 50, 10
"""How many ranges are merged at most, and how many on the event loop: SQL of more takes too long to make."""


def find(session: ReadSession, ask: ClaimQuestion, after: Sequence[Any] | None) -> Page[Fragment] | None:
    """A page of claims as JSON; None if the question wants another order, has few answers that an index
    finds, or is of too many things.
    """
    if ask.sort != "said" or ask.come_due or ask.repeats or ask.repeated_after_review:
        return None
    asked = facets(session, ask) or EVERYTHING
    leading = _rarest(session, asked)
    others = [_is_under(values) for name, values in asked.items() if name != leading]
    rest = [*others, *clauses(session, ask, facets_too=False, status_too=False)]
    shape = _shape(ask, asked[leading], after)
    if _ranges(shape) > _MOST_RANGES:
        return None
    query = _built(*shape, rest) if rest else _plain(shape)
    rows = session.execute(query, _given(ask, asked[leading], after)).all()
    if rows:
        engine, epoch = session.connection().engine, rows[0].epoch
        references.names_of(engine).at(epoch).facets[_named(ask)] = asked
    return _page(ask, rows, bodies.shown(session, rows[: ask.limit]))


def find_at_once(base: Readable, ask: ClaimQuestion, after: Sequence[Any] | None) -> Page[Fragment]:
    """The same, if the question names one kind of thing at most and nothing has to be looked up for it.
    Raises NotAtOnce.
    """
    if ask.sort != "said" or ask.facets or not _KNOWN_AT_ONCE.issuperset(ask.model_fields_set):
        raise NotAtOnce
    epoch, names = references.names_of(base.reader).now
    asked = names.facets.get(_named(ask))
    if asked is None or len(asked) != 1:
        raise NotAtOnce
    [values] = asked.values()
    shape = _shape(ask, values, after)
    if _ranges(shape) > _FEW_RANGES:
        raise NotAtOnce
    rows = at_once(base)(_prepared(shape), _given(ask, values, after))
    if (rows[0][_EPOCH] if rows else references.epoch_at_once(base)) != epoch:
        raise NotAtOnce
    shown = references.filled_at_once(base, [row[_BODY] for row in rows[: ask.limit]], epoch)
    return _page(ask, rows, [Fragment(body) for body in shown])


def ranked(session: ReadSession, ask: ClaimQuestion, after: Sequence[Any] | None) -> Page[Fragment]:
    """A page of claims in the order of how many repeat them, or how often they were read: the first rows of a
    range for each status, merged.
    """
    ranks, down = table(ClaimRank).c, ask.order == "desc"
    query = select(ranks[ask.sort].label("rank"), ranks.claim_id, ranks.repeats, ranks.reads)
    if rest := clauses(session, ask, status_too=False):
        query = query.join(Claim, col(Claim.id) == ranks.claim_id).where(*rest)
    if after is not None:
        here, there = tuple_(ranks[ask.sort], ranks.claim_id), tuple(after)
        query = query.where(here < there if down else here > there)
    keys = _along(ask, ranks[ask.sort], ranks.claim_id)
    ranges = [
        query.where(ranks.status == status).order_by(*keys).limit(ask.limit + 1).subquery()
        for status in ask.statuses
    ]
    merged = union_all(*(select(*each.c) for each in ranges)).subquery()
    first = select(*merged.c).order_by(*_along(ask, merged.c.rank, merged.c.claim_id))
    page = first.limit(ask.limit + 1).subquery()
    whole = bodies.query().add_columns(page.c.rank, page.c.repeats, page.c.reads)
    whole = whole.join(page, page.c.claim_id == col(Claim.id))
    rows = session.execute(whole.order_by(*_along(ask, page.c.rank, page.c.claim_id))).all()
    shown = rows[: ask.limit]
    data = [*map(_with_rank, bodies.filled(session, shown), shown)]
    return Page(data, (shown[-1].rank, shown[-1].id) if len(rows) > ask.limit else None)


def _along(ask: ClaimQuestion, *keys: Any) -> list[Any]:
    return [key.desc() if ask.order == "desc" else key.asc() for key in keys]


def _with_rank(body: str, row: Any) -> Fragment:
    return Fragment(f'{body[:-1]},"rank":{{"repeats":{row.repeats},"reads":{row.reads}}}}}')


_SAID, _ID, _BODY, _EPOCH = range(4)
"""Where the columns of a row stand."""


def _page(ask: ClaimQuestion, rows: Sequence[Any], shown: Sequence[Fragment]) -> Page[Fragment]:
    if len(rows) <= ask.limit:
        return Page(shown)
    last = rows[ask.limit - 1]
    return Page(shown, (last[_SAID], last[_ID]))


def _named(ask: ClaimQuestion) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(getattr(ask, name)) for name in FACETS)


def _shape(ask: ClaimQuestion, values: Sequence[str], after: Sequence[Any] | None) -> _Shape:
    return len(values), len(ask.statuses), after is not None, ask.order == "desc"


def _ranges(shape: _Shape) -> int:
    return shape[0] * shape[1]


def _given(ask: ClaimQuestion, values: Sequence[str], after: Sequence[Any] | None) -> dict[str, Any]:
    return {
        **{f"facet{n}": value for n, value in enumerate(values)},
        **{f"status{n}": status for n, status in enumerate(ask.statuses)},
        **(dict(zip(("said", "id"), after, strict=True)) if after else {}),
        "rows": ask.limit + 1,
    }


def _rarest(session: ReadSession, asked: Mapping[str, Sequence[str]]) -> str:
    if len(asked) == 1:
        return next(iter(asked))

    def count(name: str) -> int:
        under = select(ClaimListing.claim_id).where(col(ClaimListing.facet).in_(asked[name])).limit(_ENOUGH)
        return int(session.execute(select(func.count()).select_from(under.subquery())).scalar_one())

    return min(asked, key=count)


def _is_under(values: Sequence[str]) -> ColumnElement[bool]:
    """That the claim of the leading listing is under one of these too."""
    other: Any = aliased(ClaimListing)
    return exists().where(
        other.facet.in_(values),
        other.status == ClaimListing.status,
        other.said == ClaimListing.said,
        other.claim_id == ClaimListing.claim_id,
    )


_QUERIES: Cache[_Shape, Query] = Cache(lambda shape, _: 14_000 * _ranges(shape))


def _plain(shape: _Shape) -> Query:
    if (kept := _QUERIES.get(shape)) is None:
        kept = _built(*shape, ())
        _QUERIES[shape] = kept
    return kept


@remembered
def _prepared(shape: _Shape) -> Prepared:
    return Prepared(_plain(shape))


def _built(values: int, statuses: int, after: bool, down: bool, rest: Sequence[ColumnElement[bool]]) -> Query:
    listed: Any = table(ClaimListing)
    if values == statuses == 1 and not rest:
        under = _under(listed.c, "facet0", "status0", after, down)
        listed, found = listed.c, _with_bodies(listed).where(*under).limit(bindparam("rows"))
    else:
        ranges = [
            _range(f"facet{n}", f"status{m}", after, down, rest)
            for n in range(values)
            for m in range(statuses)
        ]
        merged = union_all(*(select(*each.c) for each in ranges)).subquery()
        first: Select[Any] = select(*merged.c).order_by(*_directed(merged.c, down)).limit(bindparam("rows"))
        first = first.distinct() if values > 1 else first
        chosen = first.subquery()
        listed, found = chosen.c, _with_bodies(chosen)
    return found.order_by(*_directed(listed, down))


def _with_bodies(listed: Any) -> Query:
    found = select(listed.c.said, listed.c.claim_id, ClaimBody.body, col(ReferenceEpoch.token).label("epoch"))
    found = found.join(ClaimBody, col(ClaimBody.claim_id) == listed.c.claim_id)
    return found.join(ReferenceEpoch, true())


def _under(listed: Any, facet: str, status: str, after: bool, down: bool) -> Clauses:
    clauses: Clauses = [listed.facet == bindparam(facet), listed.status == bindparam(status)]
    if after:
        here, there = tuple_(listed.said, listed.claim_id), tuple_(bindparam("said"), bindparam("id"))
        clauses.append(here < there if down else here > there)
    return clauses


def _range(facet: str, status: str, after: bool, down: bool, rest: Sequence[ColumnElement[bool]]) -> Subquery:
    listed = table(ClaimListing).c
    query = select(listed.said, listed.claim_id).where(*_under(listed, facet, status, after, down))
    if rest:
        query = query.join(Claim, col(Claim.id) == listed.claim_id).where(*rest)
    return query.order_by(*_directed(listed, down)).limit(bindparam("rows")).subquery()


def _directed(listed: Any, down: bool) -> list[Any]:
    return [key.desc() if down else key.asc() for key in (listed.said, listed.claim_id)]
