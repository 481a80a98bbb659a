"""Claims read whole, in one query: their bodies as they are kept, with the names of today."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import orjson
from orjson import Fragment
from sqlalchemy import Row, bindparam, true
from sqlmodel import col

from app.base.caches import remembered
from app.base.db import Readable, ReadSession, at_once
from app.base.prepared import NotAtOnce, Prepared
from app.base.sql import Query, select
from app.claims import references
from app.claims.derived import ClaimBody, ReferenceEpoch
from app.claims.model import Claim


@cache
def query() -> Query:
    """id, version, body and epoch of claims, to which a list adds its filters."""
    return (
        select(Claim.id, Claim.version, ClaimBody.body, col(ReferenceEpoch.token).label("epoch"))
        .join(ClaimBody, col(ClaimBody.claim_id) == col(Claim.id))
        .join(ReferenceEpoch, true())
    )


@cache
def _by_id() -> Query:
    return query().where(col(Claim.id).in_(bindparam("ids", expanding=True)))


def shown(session: ReadSession, rows: Sequence[Row[Any]]) -> list[Fragment]:
    """The claims of some rows of `query`, as JSON."""
    return [Fragment(body) for body in filled(session, rows)]


def filled(session: ReadSession, rows: Sequence[Row[Any]]) -> list[str]:
    """The bodies of some rows of `query`, with the names in them."""
    return references.filled(session, [row.body for row in rows], rows[0].epoch) if rows else []


@cache
def _one() -> Prepared:
    return Prepared(query().where(col(Claim.id) == bindparam("id")))


def one_at_once(base: Readable, claim_id: str) -> tuple[int, str]:
    """The version of a claim and the claim as JSON. Raises NotAtOnce, also if there is no such claim."""
    rows = at_once(base)(_one(), {"id": claim_id})
    if not rows:
        raise NotAtOnce
    _, version, body, epoch = rows[0]
    [whole] = references.filled_at_once(base, [body], epoch)
    return version, whole


@remembered
def _some(count: int) -> Prepared:
    return Prepared(query().where(col(Claim.id).in_([bindparam(f"id{n}") for n in range(count)])))


def of_at_once(base: Readable, ids: Sequence[str]) -> dict[str, str]:
    """Some claims as JSON, by id. Raises NotAtOnce."""
    rows = at_once(base)(_some(len(ids)), {f"id{n}": key for n, key in enumerate(ids)}) if ids else ()
    whole = references.filled_at_once(base, [row[2] for row in rows], rows[0][3]) if rows else []
    return {row[0]: body for row, body in zip(rows, whole, strict=True)}


def one(session: ReadSession, claim_id: str) -> tuple[int, str] | None:
    """The version of a claim and the claim as JSON."""
    row = session.execute(_by_id(), {"ids": [claim_id]}).first()
    return (row.version, filled(session, [row])[0]) if row else None


def of(session: ReadSession, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Some claims as every route shows them, by id."""
    rows = session.execute(_by_id(), {"ids": ids}).all()
    return {row.id: orjson.loads(body) for row, body in zip(rows, filled(session, rows), strict=True)}
