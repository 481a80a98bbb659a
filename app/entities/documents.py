"""Entities as every route shows them, and as other records do."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Row, bindparam, or_
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.base.db import ReadSession
from app.base.sql import Query, select, table
from app.base.types import wire
from app.changes.model import Part
from app.entities.model import Affiliation, Entity, EntityAlias, EntityExternalId

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)

_SHOWN = ("id", "slug", "kind", "name", "description", "merged_into_id", "version", "created_at",
          "updated_at")  # fmt: skip


def columns() -> list[Any]:
    return [getattr(Entity, name) for name in _SHOWN]


def document(session: ReadSession, entity_id: str) -> dict[str, Any]:
    """One entity as every route shows it."""
    return by_id(session, [entity_id])[entity_id]


def by_id(session: ReadSession, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Some entities as every route shows them, by id."""
    rows = session.execute(_by_id(), {"ids": ids}).all()
    return {entity["id"]: entity for entity in many(session, rows)}


@cache
def _by_id() -> Query:
    return select(*columns()).where(col(Entity.id).in_(_IDS)).order_by(Entity.id)


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
    wanted = sorted(set(ids))
    rows = session.execute(_briefs_query(), {"ids": wanted}) if wanted else ()
    return {row.asked: brief(row, "entity") or {} for row in rows}


@cache
def _briefs_query() -> Query:
    winner = aliased(Entity)
    query = select(col(Entity.id).label("asked"), *brief_columns(winner, "entity"))
    return query.join(winner, col(winner.id) == col(Entity.canonical_id)).where(col(Entity.id).in_(_IDS))


@cache
def _parts_of(kind: type[Part]) -> Query:
    """The query for a part of entities and of those merged into them, their own first."""
    part = table(kind).c
    own_first = (col(Entity.canonical_id) != col(Entity.id), col(Entity.id), part.position)
    told = (column for column in part if column.name not in ("entity_id", "position"))
    query = (
        select(col(Entity.canonical_id).label("holder"), Entity.id, *told)
        .join(table(kind), part.entity_id == Entity.id)
        .where(or_(col(Entity.canonical_id).in_(_IDS), col(Entity.id).in_(_IDS)))
    )
    return query.order_by(*own_first)


@cache
def _merged() -> Query:
    """The query for the names of those that were merged into entities."""
    gone = (col(Entity.canonical_id).in_(_IDS), col(Entity.id) != col(Entity.canonical_id))
    found = select(col(Entity.canonical_id).label("holder"), Entity.name).where(*gone)
    return found.where(col(Entity.erased).is_(None)).order_by(Entity.id)  # whose name is nobody's any more


def _aliases(session: ReadSession, ids: Sequence[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for entity in session.execute(_merged(), {"ids": ids}):
        alias = {"name": entity.name, "language": None, "kind": "name"}
        found.setdefault(entity.holder, []).append(alias)
    for row in session.execute(_parts_of(EntityAlias), {"ids": ids}):
        shown = {"name": row.name, "language": row.language, "kind": row.kind}
        for holder in {row.holder, row.id} & set(ids):
            found.setdefault(holder, []).append(shown)
    return found


def _external_ids(session: ReadSession, ids: Sequence[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in session.execute(_parts_of(EntityExternalId), {"ids": ids}):
        for holder in {row.holder, row.id} & set(ids):
            found.setdefault(holder, []).append({"scheme": row.scheme, "value": row.value})
    return found


def _affiliations(session: ReadSession, ids: Sequence[str]) -> dict[str, list[Any]]:
    rows = session.execute(_parts_of(Affiliation), {"ids": ids}).all()
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
