"""What the records of a file name, found many at a time: entities by id, slug or name, sources by URL."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlmodel import col

from app.base.db import ReadSession
from app.base.errors import Problem
from app.base.sql import among, select
from app.base.types import canonical_url
from app.entities.model import Entity, EntityAlias
from app.sources.model import Source

_REMEMBERED = 50_000


class Entities:
    """Finds entities, and remembers those found. An id or slug goes before a name, a name before an alias."""

    def __init__(self, session: ReadSession) -> None:
        self.session = session
        self._refs: dict[str, str] = {}
        self._names: dict[str, set[str]] = {}
        self._asked: set[str] = set()

    def look_up(self, refs: Iterable[str]) -> None:
        """Asks for all that are not known yet, in four queries."""
        if len(self._asked) > _REMEMBERED:
            self._refs, self._names, self._asked = {}, {}, set()
        new = sorted({ref for ref in refs if ref not in self._asked})
        self._asked.update(new)
        if not new:
            return
        for column in (col(Entity.id), col(Entity.slug)):
            query = select(column.label("ref"), Entity.canonical_id).where(among(self.session, column, new))
            self._refs.update({row.ref: row.canonical_id for row in self.session.execute(query)})
        left = [ref for ref in new if ref not in self._refs]
        found = self._named(left, select(Entity.canonical_id, col(Entity.name).label("name")), Entity.name)
        aliases = select(Entity.canonical_id, col(EntityAlias.name).label("name"))
        aliases = aliases.join(EntityAlias, col(EntityAlias.entity_id) == col(Entity.id))
        self._named([ref for ref in left if ref not in found], aliases, EntityAlias.name)

    def _named(self, names: Sequence[str], query: Any, column: Any) -> set[str]:
        found = set()
        for row in self.session.execute(query.where(among(self.session, column, names))) if names else ():
            self._names.setdefault(row.name, set()).add(row.canonical_id)
            found.add(row.name)
        return found

    def get(self, ref: str) -> Sequence[str]:
        """The ids that it may mean: none, one, or those between which it is ambiguous."""
        if ref in self._refs:
            return [self._refs[ref]]
        return sorted(self._names.get(ref, ()))

    def of_slug(self, slug: str) -> str | None:
        """The id of the entity with that slug, which was looked up."""
        return self._refs.get(slug)

    def add(self, entity: Entity) -> None:
        """One that will be in the base."""
        self._refs.update({entity.id: entity.id, entity.slug: entity.id})
        self._names.setdefault(entity.name, set()).add(entity.id)
        self._asked.update((entity.id, entity.slug))

    def same(self, name: str, kind: str) -> Sequence[str]:
        """The ids of entities of that kind, not merged, whose name it is."""
        query = select(Entity.id).where(
            col(Entity.name) == name, col(Entity.kind) == kind, col(Entity.merged_into_id).is_(None)
        )
        return self.session.execute(query.order_by(col(Entity.id))).scalars().all()


class Sources:
    """Finds sources, and remembers those found."""

    def __init__(self, session: ReadSession) -> None:
        self.session = session
        self._ids: dict[str, str] = {}
        self._canonical: dict[str, str] = {}

    def look_up(self, refs: Iterable[str]) -> None:
        """Asks for all that are not known yet."""
        if len(self._canonical) > _REMEMBERED:
            self._ids, self._canonical = {}, {}
        new = sorted({ref for ref in refs if ref not in self._canonical})
        for ref in new:
            self._canonical[ref] = _canonical(ref)
        if not new:
            return
        wanted = [self._canonical[ref] for ref in new]
        for column, values in ((col(Source.id), new), (col(Source.canonical_url), wanted)):
            query = select(column.label("ref"), Source.id).where(among(self.session, column, values))
            self._ids.update({row.ref: row.id for row in self.session.execute(query)})

    def get(self, ref: str) -> str | None:
        """The id that a reference leads to, which was looked up."""
        return self._ids.get(ref) or self._ids.get(self._canonical[ref])

    def canonical(self, ref: str) -> str:
        """A reference's URL in canonical form, which was looked up."""
        return self._canonical[ref]

    def add(self, source: Source) -> None:
        """One that will be in the base."""
        self._ids.update({source.id: source.id, source.canonical_url: source.id})


def _canonical(ref: str) -> str:
    try:
        return canonical_url(ref)
    except (ValueError, Problem):
        return ref
