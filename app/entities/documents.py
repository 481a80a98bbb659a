"""Entities as every route shows them, and as other records do."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Row, or_
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.base.db import ReadSession
from app.base.sql import Query, select
from app.base.types import wire
from app.entities.model import Affiliation, Entity, EntityAlias, EntityExternalId

_SHOWN = ("id", "slug", "kind", "name", "description", "merged_into_id", "version", "created_at",
          "updated_at")  # fmt: skip


def columns() -> list[Any]:
    return [getattr(Entity, name) for name in _SHOWN]


def document(session: ReadSession, entity_id: str) -> dict[str, Any]:
    """One entity as every route shows it."""
    rows = session.execute(select(*columns()).where(col(Entity.id) == entity_id)).all()
    return many(session, rows)[0]


def by_id(session: ReadSession, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Some entities as every route shows them, by id."""
    rows = session.execute(select(*columns()).where(col(Entity.id).in_(ids)).order_by(Entity.id)).all()
    return {entity["id"]: entity for entity in many(session, rows)}


def many(session: ReadSession, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """Entities as every route shows them, in a constant number of queries."""
    ids = [entity.id for entity in rows]
    winners = briefs(session, [entity.merged_into_id for entity in rows if entity.merged_into_id])
    aliases, external_ids, affiliations = (
        _aliases(session, ids),
        _external_ids(session, ids),
        _affiliations(session, ids),
    )
    return [
        {
            "id": entity.id,
            "slug": entity.slug,
            "kind": entity.kind,
            "name": entity.name,
            "description": entity.description,
            "aliases": aliases.get(entity.id, []),
            "external_ids": external_ids.get(entity.id, []),
            "affiliations": affiliations.get(entity.id, []),
            "merged_into": winners.get(entity.merged_into_id),
            "version": entity.version,
            "created_at": wire(entity.created_at),
            "updated_at": wire(entity.updated_at),
        }
        for entity in rows
    ]


def brief(row: Any, prefix: str) -> dict[str, Any] | None:
    """An entity inside another record, of columns labelled with a prefix by `brief_columns`."""
    if getattr(row, f"{prefix}_id") is None:
        return None
    return {name: getattr(row, f"{prefix}_{name}") for name in ("id", "slug", "name")}


def brief_columns(entity: Any, prefix: str) -> list[Any]:
    """What `brief` needs of an (aliased) entity."""
    return [getattr(entity, name).label(f"{prefix}_{name}") for name in ("id", "slug", "name")]


def briefs(session: ReadSession, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Entities inside other records, by id, merges followed."""
    query = _briefs_query().where(col(Entity.id).in_(sorted(set(ids))))
    return {row.asked: brief(row, "entity") or {} for row in session.execute(query)}


@cache
def _briefs_query() -> Query:
    winner = aliased(Entity)
    return select(col(Entity.id).label("asked"), *brief_columns(winner, "entity")).join(
        winner, col(winner.id) == col(Entity.canonical_id)
    )


def _parts_of(session: ReadSession, ids: Sequence[str], part: Any, *columns: Any) -> Any:
    """A part of the entities and of those merged into them, their own first."""
    own_first = (col(Entity.canonical_id) != col(Entity.id), col(Entity.id), part.position)
    query = (
        select(col(Entity.canonical_id).label("holder"), *columns)
        .join(part, part.entity_id == Entity.id)
        .where(or_(col(Entity.canonical_id).in_(ids), col(Entity.id).in_(ids)))
    )
    return session.execute(query.order_by(*own_first))


def _aliases(session: ReadSession, ids: Sequence[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    merged = select(col(Entity.canonical_id).label("holder"), Entity.name).where(
        col(Entity.canonical_id).in_(ids), col(Entity.id) != col(Entity.canonical_id)
    )
    for entity in session.execute(merged.order_by(Entity.id)):
        alias = {"name": entity.name, "language": None, "kind": "name"}
        found.setdefault(entity.holder, []).append(alias)
    table = EntityAlias
    columns = (Entity.id, table.name, table.language, table.kind)
    for alias in _parts_of(session, ids, table, *columns):
        shown = {"name": alias.name, "language": alias.language, "kind": alias.kind}
        for holder in {alias.holder, alias.id} & set(ids):
            found.setdefault(holder, []).append(shown)
    return found


def _external_ids(session: ReadSession, ids: Sequence[str]) -> dict[str, list[Any]]:
    table = EntityExternalId
    found: dict[str, list[Any]] = {}
    for row in _parts_of(session, ids, table, Entity.id, table.scheme, table.value):
        for holder in {row.holder, row.id} & set(ids):
            found.setdefault(holder, []).append({"scheme": row.scheme, "value": row.value})
    return found


def _affiliations(session: ReadSession, ids: Sequence[str]) -> dict[str, list[Any]]:
    table = Affiliation
    columns = (Entity.id, table.title, table.period, table.organization_id)
    rows = _parts_of(session, ids, table, *columns).all()
    organizations = briefs(session, [row.organization_id for row in rows])
    found: dict[str, list[Any]] = {}
    for row in rows:
        shown = {
            "organization": organizations[row.organization_id],
            "title": row.title,
            "period": row.period,
        }
        for holder in {row.holder, row.id} & set(ids):
            found.setdefault(holder, []).append(shown)
    return found
