"""The rows of entities, made of what was sent, and what must be free for them."""

from collections.abc import Collection, Mapping, Sequence

from slugify import slugify
from sqlmodel import col

from app.base.db import ReadSession
from app.base.errors import Conflict, Invalid
from app.base.ids import new_id
from app.base.sql import select
from app.changes.model import Part, columns_as_sent, fresh
from app.changes.store import New
from app.entities.model import Affiliation, Entity, EntityAlias, EntityExternalId, EntityIn

AS_SENT = columns_as_sent(Entity, EntityIn)
"""The columns that are set to what was sent; a slug may be made of the name."""


def compose(
    session: ReadSession,
    entity: EntityIn,
    ids: Mapping[str, str],
    taken: Collection[str],
    *,
    free: bool = False,
) -> New[Entity]:
    """The rows of a new entity, with the ids that its organizations lead to; `taken` are slugs that will be
    in the base, and its own slug is known not to be there if it is `free`. Raises Conflict for a slug or
    external id that is taken.
    """
    entity_id = new_id("ent")
    slug = entity.slug if free and entity.slug else free_slug(session, entity, taken)
    check_external_ids(session, entity, entity_id)
    columns = {name: getattr(entity, name) for name in AS_SENT} | {"slug": slug}
    record = fresh(Entity, id=entity_id, **columns, canonical_id=entity_id)
    return New(record, parts_of(entity_id, entity, ids))


def free_slug(session: ReadSession, entity: EntityIn, taken: Collection[str]) -> str:
    """The slug that was asked for, or one made of the name. Raises Conflict if it is taken."""
    stem = entity.slug or slugify(entity.name, max_length=90) or "entity"
    holder = session.execute(select(Entity.id).where(col(Entity.slug) == stem)).scalar()
    if holder is None and stem not in taken:
        return stem
    if entity.slug is not None:
        raise Conflict(f"The slug {stem} is taken by {holder or 'another'}.", existing=holder)
    like = col(Entity.slug).startswith(stem, autoescape=True)
    taken = {*taken, *session.execute(select(Entity.slug).where(like)).scalars()}
    return next(slug for n in range(2, len(taken) + 3) if (slug := f"{stem}-{n}") not in taken)


def check_external_ids(session: ReadSession, entity: EntityIn, entity_id: str) -> None:
    """Raises Conflict if another entity has one of these ids, Invalid if one is there twice."""
    pairs = [(external.scheme, external.value) for external in entity.external_ids]
    if len(set(pairs)) < len(pairs):
        raise Invalid.at("/external_ids", "has the same id twice")
    table = EntityExternalId
    for scheme, value in pairs:
        query = select(table.entity_id).where(col(table.scheme) == scheme, col(table.value) == value)
        holder = session.execute(query).scalar()
        if holder not in (None, entity_id):
            raise Conflict(f"{scheme} {value} is {holder} here.", existing=holder)


def organizations(entity: EntityIn) -> dict[str, str]:
    """The organizations that an entity names, by JSON pointer."""
    return {
        f"/affiliations/{n}/organization": item.organization for n, item in enumerate(entity.affiliations)
    }


def parts_of(owner: str, entity: EntityIn, ids: Mapping[str, str]) -> dict[str, Sequence[Part]]:
    """The rows of an entity's parts, with the ids that its organizations lead to."""
    return {
        "aliases": [
            fresh(EntityAlias, entity_id=owner, position=n, **alias.model_dump())
            for n, alias in enumerate(entity.aliases)
        ],
        "external_ids": [
            fresh(EntityExternalId, entity_id=owner, position=n, **external.model_dump())
            for n, external in enumerate(entity.external_ids)
        ],
        "affiliations": [
            fresh(
                Affiliation,
                entity_id=owner,
                position=n,
                organization_id=ids[item.organization],
                title=item.title,
                period=item.period,
            )
            for n, item in enumerate(entity.affiliations)
        ],
    }
