"""Entities: created, revised, found, merged and parted again."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rapidfuzz import fuzz, process
from sqlalchemy import Row, and_, or_
from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.errors import MOST_ERRORS, MOST_SUGGESTIONS, Conflict, Fault, Invalid, NotFound
from app.base.ids import noun_of
from app.base.page import Page, page
from app.base.sql import Query, select
from app.changes.store import By, part_documents, save
from app.entities import documents, words
from app.entities.model import (
    Entity,
    EntityExternalId,
    EntityIn,
    EntityQuestion,
)
from app.entities.rows import AS_SENT, check_external_ids, compose, free_slug, organizations, parts_of

# --- writing -----------------------------------------------------------------------------------


def create(session: WriteSession, entity: EntityIn, *, by: By) -> Entity:
    """A new entity. Raises Conflict for a slug or external id that is taken, Invalid for an unknown
    organization.
    """
    new = compose(session, entity, resolve(session, organizations(entity)), ())
    save(session, new.record, by=by, action="entity.create", parts=new.parts)
    return new.record


def revise(
    session: WriteSession, record: Entity, entity: EntityIn, fields: Collection[str], *, by: By
) -> None:
    """Gives the named fields of an entity their new values. Raises as create does."""
    entity = _without_borrowed(session, record, entity, fields)
    check_external_ids(session, entity, record.id)
    if "slug" in fields and entity.slug is None:
        raise Invalid.at("/slug", "an entity always has a slug")
    for name in AS_SENT:
        if name in fields and name != "slug":
            setattr(record, name, getattr(entity, name))
    if entity.slug is not None and entity.slug != record.slug:
        record.slug = free_slug(session, entity, ())
    parts = parts_of(record.id, entity, resolve(session, organizations(entity)))
    changed = {name: parts[name] for name in parts if name in fields}
    save(session, record, by=by, action="entity.revise", parts=changed)


def _without_borrowed(
    session: ReadSession, record: Entity, entity: EntityIn, fields: Collection[str]
) -> EntityIn:
    """What an entity shows of those that are merged into it stays theirs, though it is sent back with it."""
    shown, own = documents.document(session, record.id), as_input(session, record)
    kept = {
        name: [
            each for each in sent if each.model_dump() in own[name] or each.model_dump() not in shown[name]
        ]
        for name, sent in (("aliases", entity.aliases), ("external_ids", entity.external_ids))
        if name in fields
    }
    return entity.model_copy(update=kept)


def merge(session: WriteSession, loser: Entity, into: str, *, reason: str | None, by: By) -> None:
    """Makes one entity a redirect to another. Raises Conflict if it is one already or if the redirects
    would go round in a circle.
    """
    if loser.merged_into_id is not None:
        raise Conflict(f"{loser.slug} is merged into {loser.merged_into_id} already.")
    canonical_id = resolve(session, {"/into": into})[into]
    if canonical_id == loser.id:
        raise Conflict(f"{into} leads to {loser.slug} itself: that merge would go round in a circle.")
    loser.merged_into_id = identity(session, into).id  # with which it goes, should that be parted again
    beyond = {loser.merged_into_id: canonical_id}
    _lead_to_canonical(session, loser, beyond, reason=reason, by=by, action="entity.merge")


def part(session: WriteSession, loser: Entity, *, by: By) -> None:
    """Takes a merge back. Raises Conflict if there is none."""
    if loser.merged_into_id is None:
        raise Conflict(f"{loser.slug} is not merged into another entity.")
    loser.merged_into_id = None
    _lead_to_canonical(session, loser, {}, reason=None, by=by, action="entity.part")


def _lead_to_canonical(
    session: WriteSession,
    moved: Entity,
    beyond: Mapping[str, str],
    *,
    reason: str | None,
    by: By,
    action: str,
) -> None:
    """Sets `canonical_id` anew on the entity and on all whose chain of merges goes through it; `beyond` is
    where the chain of what it is merged into ends.
    """
    query = select(Entity).where(col(Entity.canonical_id) == moved.canonical_id)
    members = {entity.id: entity for entity in session.execute(query).scalars()}
    into = {entity.id: entity.merged_into_id for entity in members.values()}
    for entity in sorted(members.values(), key=lambda member: member is not moved):
        canonical = entity.id
        while (further := into.get(canonical)) is not None:
            canonical = further
        entity.canonical_id = beyond.get(canonical, canonical)
        name = action if entity is moved else f"{action}.follow"
        save(session, entity, by=by, action=name, reason=reason)


# --- finding -----------------------------------------------------------------------------------


def row(session: WriteSession, ref: str) -> Entity:
    """The very entity with that id or slug, merged or not, to be changed. Raises NotFound."""
    entity: Entity | None = session.execute(select(Entity).where(_is(ref))).scalars().first()
    if entity is None:
        raise NotFound(_unknown(session, ref))
    return entity


def identity(session: ReadSession, ref: str) -> Row[Any]:
    """id, slug, version, merged_into_id and canonical_id of that id or slug. Raises NotFound."""
    columns = (Entity.id, Entity.slug, Entity.version, Entity.merged_into_id, Entity.canonical_id)
    found = session.execute(select(*columns).where(_is(ref))).first()
    if found is None:
        raise NotFound(_unknown(session, ref))
    return found


def known(session: ReadSession, ref: str) -> bool:
    """Whether there is an entity with that id or slug."""
    return session.execute(select(Entity.id).where(_is(ref))).first() is not None


def _is(ref: str) -> Any:
    return col(Entity.id if noun_of(ref) == "entity" else Entity.slug) == ref


def _unknown(session: ReadSession, ref: str, *, suggest: bool = True) -> str:
    noun = noun_of(ref)
    if noun not in (None, "entity"):
        return f"{ref} is the id of a {noun}, not of an entity."
    return f"There is no entity {ref[:_SLUG]}{_nearest(session, ref) if suggest else '.'}"


_SLUG = 100
"""Characters of the longest slug."""


def _nearest(session: ReadSession, ref: str) -> str:
    if len(ref) > _SLUG:
        return "."
    start = col(Entity.slug).startswith(ref[:2].lower(), autoescape=True)
    words = [col(Entity.slug).contains(word, autoescape=True) for word in ref.split("-") if len(word) > 3]
    slugs = session.execute(select(Entity.slug).where(or_(start, *words)).limit(500)).scalars().all()
    # By words in any order, since a slug may be asked for by a surname, or by the surname first.
    spaced = {slug: slug.replace("-", " ") for slug in slugs}
    close = process.extractOne(ref.replace("-", " "), spaced, scorer=fuzz.token_set_ratio, score_cutoff=75)
    return f"; did you mean {close[2]}?" if close else "."


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
    unknown = [place for place, ref in refs.items() if ref not in found]
    if unknown:
        errors: list[Fault] = [
            {"pointer": place, "detail": _unknown(session, refs[place], suggest=n < MOST_SUGGESTIONS)}
            for n, place in enumerate(unknown[:MOST_ERRORS])
        ]
        raise Invalid.of(errors, len(unknown))
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
    if ask.q:
        among = listed(ask).with_only_columns(col(Entity.id))
        return words.searched(
            session, ask.q, "entity", among, ask, after, read=documents.by_id, matched=words.matched
        )
    found = page(session, listed(ask), [col(Entity.id)], ask, after)
    return Page(documents.many(session, found.rows), found.last)


def listed(ask: EntityQuestion) -> Query:
    """The query for what `documents` shows, with the filters of a question, but for its words."""
    query = select(*documents.columns()).where(col(Entity.merged_into_id).is_(None))
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


# --- revising ----------------------------------------------------------------------------------


def as_input(session: ReadSession, record: Entity) -> dict[str, Any]:
    """The entity as it would be sent to create it: what a merge patch is applied to."""
    parts = {
        name: part_documents(session, Entity, name, [record.id]).get(record.id, []) for name in Entity.parts
    }
    return {name: getattr(record, name) for name in AS_SENT} | {
        "aliases": [_without_position(alias) for alias in parts["aliases"]],
        "external_ids": [_without_position(external) for external in parts["external_ids"]],
        "affiliations": [
            {"organization": item["organization_id"], "title": item["title"], "period": item["period"]}
            for item in parts["affiliations"]
        ],
    }


def _without_position(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != "position"}
