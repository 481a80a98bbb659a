"""Entities: created, revised, found, merged and parted again."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from slugify import slugify
from sqlalchemy import Row, and_, or_
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.errors import Conflict, Invalid, NotFound
from app.base.ids import new_id, noun_of
from app.base.page import Page, page
from app.base.sql import Query, select
from app.base.types import wire
from app.changes.model import Part
from app.changes.store import By, part_documents, save
from app.entities.model import Affiliation, Entity, EntityAlias, EntityExternalId, EntityIn, EntityQuestion

# --- writing -----------------------------------------------------------------------------------


def create(session: WriteSession, entity: EntityIn, *, by: By) -> Entity:
    """A new entity. Raises Conflict for a slug or external id that is taken, Invalid for an unknown
    organization.
    """
    entity_id = new_id("ent")
    slug = _free_slug(session, entity)
    _check_external_ids(session, entity, entity_id)
    record = Entity(
        id=entity_id,
        slug=slug,
        kind=entity.kind,
        name=entity.name,
        description=entity.description,
        canonical_id=entity_id,
    )
    save(session, record, by=by, action="entity.create", parts=_parts(session, record.id, entity))
    return record


def revise(session: WriteSession, record: Entity, entity: EntityIn, fields: Iterable[str], *, by: By) -> None:
    """Gives the named fields of an entity their new values. Raises as create does."""
    _check_external_ids(session, entity, record.id)
    if "slug" in fields and entity.slug is None:
        raise Invalid.at("/slug", "an entity always has a slug")
    if entity.slug is not None and entity.slug != record.slug:
        record.slug = _free_slug(session, entity)
    record.kind, record.name, record.description = entity.kind, entity.name, entity.description
    parts = _parts(session, record.id, entity)
    changed = {name: parts[name] for name in parts if name in fields}
    save(session, record, by=by, action="entity.revise", parts=changed)


def _free_slug(session: ReadSession, entity: EntityIn) -> str:
    if entity.slug is not None:
        taken = session.execute(select(Entity.id).where(col(Entity.slug) == entity.slug)).scalar()
        if taken:
            raise Conflict(f"The slug {entity.slug} is taken by {taken}.", existing=taken)
        return entity.slug
    stem = slugify(entity.name, max_length=90) or "entity"
    like = col(Entity.slug).startswith(stem, autoescape=True)
    taken_slugs = set(session.execute(select(Entity.slug).where(like)).scalars())
    candidates = (stem if n == 1 else f"{stem}-{n}" for n in range(1, len(taken_slugs) + 2))
    return next(slug for slug in candidates if slug not in taken_slugs)


def _check_external_ids(session: ReadSession, entity: EntityIn, entity_id: str) -> None:
    pairs = [(external.scheme, external.value) for external in entity.external_ids]
    if len(set(pairs)) < len(pairs):
        raise Invalid.at("/external_ids", "has the same id twice")
    table = EntityExternalId
    for scheme, value in pairs:
        query = select(table.entity_id).where(col(table.scheme) == scheme, col(table.value) == value)
        holder = session.execute(query).scalar()
        if holder not in (None, entity_id):
            raise Conflict(f"{scheme} {value} is {holder} here.", existing=holder)


def _parts(session: ReadSession, owner: str, entity: EntityIn) -> dict[str, Sequence[Part]]:
    refs = {
        f"/affiliations/{n}/organization": item.organization for n, item in enumerate(entity.affiliations)
    }
    ids = resolve(session, refs)
    return {
        "aliases": [
            EntityAlias(entity_id=owner, position=n, **alias.model_dump())
            for n, alias in enumerate(entity.aliases)
        ],
        "external_ids": [
            EntityExternalId(entity_id=owner, position=n, **external.model_dump())
            for n, external in enumerate(entity.external_ids)
        ],
        "affiliations": [
            Affiliation(
                entity_id=owner,
                position=n,
                organization_id=ids[item.organization],
                title=item.title,
                period=item.period,
            )
            for n, item in enumerate(entity.affiliations)
        ],
    }


def merge(session: WriteSession, loser: Entity, into: str, *, reason: str | None, by: By) -> None:
    """Makes one entity a redirect to another. Raises Conflict if it is one already or if the redirects
    would go round in a circle.
    """
    if loser.merged_into_id is not None:
        raise Conflict(f"{loser.slug} is merged into {loser.merged_into_id} already.")
    winner_id = resolve(session, {"/into": into})[into]
    if winner_id == loser.id:
        raise Conflict(f"{into} leads to {loser.slug} itself: that merge would go round in a circle.")
    loser.merged_into_id = winner_id
    _lead_to_canonical(session, loser, reason=reason, by=by, action="entity.merge")


def part(session: WriteSession, loser: Entity, *, by: By) -> None:
    """Takes a merge back. Raises Conflict if there is none."""
    if loser.merged_into_id is None:
        raise Conflict(f"{loser.slug} is not merged into another entity.")
    loser.merged_into_id = None
    _lead_to_canonical(session, loser, reason=None, by=by, action="entity.part")


def _lead_to_canonical(
    session: WriteSession, moved: Entity, *, reason: str | None, by: By, action: str
) -> None:
    """Sets `canonical_id` anew on the entity and on all whose chain of merges goes through it."""
    query = select(Entity).where(col(Entity.canonical_id) == moved.canonical_id)
    members = {entity.id: entity for entity in session.execute(query).scalars()}
    into = {entity.id: entity.merged_into_id for entity in members.values()}
    for entity in sorted(members.values(), key=lambda member: member is not moved):
        canonical = entity.id
        while canonical in into and (further := into[canonical]) is not None:
            canonical = further
        entity.canonical_id = canonical
        name = action if entity is moved else f"{action}.follow"
        save(session, entity, by=by, action=name, reason=reason)


# --- finding -----------------------------------------------------------------------------------


def row(session: WriteSession, ref: str) -> Entity:
    """The very entity with that id or slug, merged or not, to be changed. Raises NotFound."""
    entity: Entity | None = session.execute(select(Entity).where(_is(ref))).scalars().first()
    if entity is None:
        raise _unknown(session, ref)
    return entity


def identity(session: ReadSession, ref: str) -> Row[Any]:
    """id, slug, version, merged_into_id and canonical_id of that id or slug. Raises NotFound."""
    columns = (Entity.id, Entity.slug, Entity.version, Entity.merged_into_id, Entity.canonical_id)
    found = session.execute(select(*columns).where(_is(ref))).first()
    if found is None:
        raise _unknown(session, ref)
    return found


def known(session: ReadSession, ref: str) -> bool:
    """Whether there is an entity with that id or slug."""
    return session.execute(select(Entity.id).where(_is(ref))).first() is not None


def _is(ref: str) -> Any:
    return col(Entity.id if noun_of(ref) == "entity" else Entity.slug) == ref


def _unknown(session: ReadSession, ref: str) -> NotFound:
    noun = noun_of(ref)
    if noun not in (None, "entity"):
        return NotFound(f"{ref} is the id of a {noun}, not of an entity.")
    return NotFound(f"There is no entity {ref}{_nearest(session, ref)}")


def _nearest(session: ReadSession, ref: str) -> str:
    start = col(Entity.slug).startswith(ref[:2].lower(), autoescape=True)
    words = [col(Entity.slug).contains(word, autoescape=True) for word in ref.split("-") if len(word) > 3]
    slugs = session.execute(select(Entity.slug).where(or_(start, *words)).limit(500)).scalars().all()
    close = difflib.get_close_matches(ref, slugs, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else "."


def resolve(session: ReadSession, refs: Mapping[str, str]) -> dict[str, str]:
    """The ids that ids or slugs lead to, merges followed, for a mapping of JSON pointers to them. Raises
    Invalid, naming the nearest slug for each that is not known.
    """
    if not refs:
        return {}
    wanted = sorted(set(refs.values()))
    query = select(Entity.id, Entity.slug, Entity.canonical_id).where(
        or_(col(Entity.id).in_(wanted), col(Entity.slug).in_(wanted))
    )
    found: dict[str, str] = {}
    for entity in session.execute(query):
        found |= {entity.id: entity.canonical_id, entity.slug: entity.canonical_id}
    unknown = [
        {"pointer": place, "detail": _unknown(session, ref).detail}
        for place, ref in refs.items()
        if ref not in found
    ]
    if unknown:
        raise Invalid(unknown[0]["detail"], errors=unknown)  # type: ignore[arg-type]
    return {ref: found[ref] for ref in wanted}


def everyone_merged(session: ReadSession, name: str, refs: Sequence[str]) -> list[str]:
    """The ids of the entities that a filter's ids or slugs name, with all that are merged into them.
    `name` is the parameter's. Raises Invalid.
    """
    if not refs:
        return []
    canonical = set(resolve(session, {f"{name}/{n}": ref for n, ref in enumerate(refs)}).values())
    query = select(Entity.id).where(col(Entity.canonical_id).in_(canonical))
    return list(session.execute(query).scalars())


def find(session: ReadSession, ask: EntityQuestion, after: Sequence[Any] | None) -> Page[dict[str, Any]]:
    """A page of entities, those merged into another left out."""
    found = page(session, listed(ask), [col(Entity.id)], ask, after)
    return Page(documents(session, found.rows), found.last)


def listed(ask: EntityQuestion) -> Query:
    """The query for what `documents` shows, with the filters of a question."""
    query = select(*_columns()).where(col(Entity.merged_into_id).is_(None))
    if ask.kind:
        query = query.where(col(Entity.kind).in_(ask.kind))
    if ask.external_id:
        query = query.where(col(Entity.id).in_(_holders(ask.external_id)))
    return query


def _holders(external_ids: Sequence[str]) -> Query:
    table = EntityExternalId
    pairs = (external.partition(":") for external in external_ids)
    same = [and_(col(table.scheme) == scheme, col(table.value) == value) for scheme, _, value in pairs]
    return select(Entity.canonical_id).join(table, col(table.entity_id) == col(Entity.id)).where(or_(*same))


# --- showing -----------------------------------------------------------------------------------

_SHOWN = ("id", "slug", "kind", "name", "description", "merged_into_id", "version", "created_at",
          "updated_at")  # fmt: skip


def _columns() -> list[Any]:
    return [getattr(Entity, name) for name in _SHOWN]


def document(session: ReadSession, entity_id: str) -> dict[str, Any]:
    """One entity as every route shows it."""
    rows = session.execute(select(*_columns()).where(col(Entity.id) == entity_id)).all()
    return documents(session, rows)[0]


def documents(session: ReadSession, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
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


def brief(row: Row[Any], prefix: str) -> dict[str, Any] | None:
    """An entity inside another record, of columns labelled with a prefix by `brief_columns`."""
    columns = row._mapping
    entity_id = columns[f"{prefix}_id"]
    if entity_id is None:
        return None
    return {"id": entity_id, "slug": columns[f"{prefix}_slug"], "name": columns[f"{prefix}_name"]}


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


def as_input(session: ReadSession, record: Entity) -> dict[str, Any]:
    """The entity as it would be sent to create it: what a merge patch is applied to."""
    parts = {
        name: part_documents(session, Entity, name, [record.id]).get(record.id, []) for name in Entity.parts
    }
    return {
        "slug": record.slug,
        "kind": record.kind,
        "name": record.name,
        "description": record.description,
        "aliases": [_without_position(alias) for alias in parts["aliases"]],
        "external_ids": [_without_position(external) for external in parts["external_ids"]],
        "affiliations": [
            {"organization": item["organization_id"], "title": item["title"], "period": item["period"]}
            for item in parts["affiliations"]
        ],
    }


def _without_position(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != "position"}
