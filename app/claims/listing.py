"""Pages of claims by speaker, subject, topic, source or publisher, newest first.

`claim_listing` has each of them in order within each status, so a page is the first rows of a few ranges,
merged: it costs the same for a speaker of three claims and of three hundred thousand, and at any depth.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, bindparam, exists, func, tuple_, union_all
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.base.db import ReadSession
from app.base.page import Page
from app.base.sql import Query, select
from app.claims import bodies
from app.claims.derived import ClaimListing
from app.claims.filters import FACETS, Clauses, clauses, facets
from app.claims.model import Claim
from app.claims.shapes import STATUSES, ClaimQuestion

_ENOUGH = 1000
"""As far as the claims of a facet are counted to find the rarest."""


def find(session: ReadSession, ask: ClaimQuestion, after: Sequence[Any] | None) -> Page[Any] | None:
    """A page of rows as `bodies.query` has them; None if the question names nothing that is listed, or wants
    another order.
    """
    asked = facets(session, ask) if ask.sort == "said" and any(getattr(ask, name) for name in FACETS) else {}
    if not asked:
        return None
    leading = _rarest(session, asked)
    others = [_is_under(values) for name, values in asked.items() if name != leading]
    rest = clauses(session, ask, facets_too=False)
    statuses = ask.status or STATUSES
    values = asked[leading]
    query = _query(len(values), len(statuses), after is not None, ask.order == "desc", (*others, *rest))
    given = {
        **{f"facet{n}": value for n, value in enumerate(values)},
        **{f"status{n}": status for n, status in enumerate(statuses)},
        **(dict(zip(("said", "id"), after, strict=True)) if after else {}),
        "rows": ask.limit + 1,
    }
    rows = session.execute(query, given).all()
    if len(rows) <= ask.limit:
        return Page(rows)
    return Page(rows[: ask.limit], (rows[ask.limit - 1].said, rows[ask.limit - 1].id))


def _rarest(session: ReadSession, asked: dict[str, list[str]]) -> str:
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


def _query(values: int, statuses: int, after: bool, down: bool, rest: Sequence[ColumnElement[bool]]) -> Query:
    return _built(values, statuses, after, down, rest) if rest else _plain(values, statuses, after, down)


@cache
def _plain(values: int, statuses: int, after: bool, down: bool) -> Query:
    return _built(values, statuses, after, down, ())


def _built(values: int, statuses: int, after: bool, down: bool, rest: Sequence[ColumnElement[bool]]) -> Query:
    ranges = [
        _range(f"facet{n}", f"status{m}", after, down, list(rest))
        for n in range(values)
        for m in range(statuses)
    ]
    merged = union_all(*(select(*each.c) for each in ranges)).subquery()
    keys = merged.c.said, merged.c.claim_id
    first: Select[Any] = select(*keys).order_by(*_directed(keys, down)).limit(bindparam("rows"))
    listed = (first.distinct() if values > 1 else first).subquery()
    found = bodies.query().add_columns(listed.c.said).join(listed, listed.c.claim_id == col(Claim.id))
    return found.order_by(*_directed((listed.c.said, listed.c.claim_id), down))


def _range(facet: str, status: str, after: bool, down: bool, rest: Clauses) -> Subquery:
    said, claim_id = col(ClaimListing.said), col(ClaimListing.claim_id)
    query = select(said, claim_id).where(
        col(ClaimListing.facet) == bindparam(facet), col(ClaimListing.status) == bindparam(status)
    )
    if after:
        here, there = tuple_(said, claim_id), tuple_(bindparam("said"), bindparam("id"))
        query = query.where(here < there if down else here > there)
    if rest:
        query = query.join(Claim, col(Claim.id) == claim_id).where(*rest)
    return query.order_by(*_directed((said, claim_id), down)).limit(bindparam("rows")).subquery()


def _directed(keys: Sequence[Any], down: bool) -> list[Any]:
    return [key.desc() if down else key.asc() for key in keys]
