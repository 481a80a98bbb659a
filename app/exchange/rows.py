"""The rows of a file, noun by noun: what each would write, looked at as a whole before it is written."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import Row as Found
from sqlmodel import col

from app.base.db import WriteSession
from app.base.errors import Fault, Invalid, Problem
from app.base.sql import select
from app.changes.hidden import must_be_seen
from app.changes.store import New
from app.claims import store as claims
from app.claims import twins
from app.claims.held import HeldBack
from app.claims.model import Claim
from app.entities import rows as entities
from app.entities.model import Entity, EntityIn, EntityKind
from app.exchange.names import Entities, Sources
from app.exchange.shapes import (
    ClaimRecord,
    EntityRecord,
    MadeOut,
    Noun,
    Outcome,
    SnapshotRecord,
    SourceRecord,
)
from app.reviews import evidence, quoted
from app.reviews.model import Evidence
from app.reviews.store import Checker
from app.sources import store as sources
from app.sources.model import Snapshot, Source


@dataclass
class Result:
    """What became of a row."""

    line: int
    type: Noun | None
    outcome: Outcome
    id: str | None = None
    made: list[MadeOut] = field(default_factory=list)
    errors: Sequence[Fault] = ()


@dataclass
class Batch:
    """What a few hundred rows will write."""

    entities: list[New[Entity]] = field(default_factory=list)
    sources: list[New[Source]] = field(default_factory=list)
    claims: list[New[Claim]] = field(default_factory=list)
    evidence: list[New[Evidence]] = field(default_factory=list)


@dataclass
class Shared:
    """What all rows of a file have in common: the transaction, who brings them in, and what was found."""

    session: WriteSession
    who: Checker
    four_eyes: bool
    new_entities: EntityKind | None
    entities: Entities
    sources: Sources
    internal: bool = False


class Staged:
    """What one row would add because it names it. Kept only if the whole row is good."""

    def __init__(self) -> None:
        self.entities: dict[str, New[Entity]] = {}
        self.sources: dict[str, Source] = {}

    @property
    def made(self) -> list[MadeOut]:
        people = [MadeOut(type="entity", id=e.record.id, name=e.record.name) for e in self.entities.values()]
        return people + [MadeOut(type="source", id=s.id, name=s.title) for s in self.sources.values()]


class Rows:
    """Rows of one noun, looked at one by one."""

    def __init__(self, shared: Shared, batch: Batch, records: Sequence[Any]) -> None:
        self.shared = shared
        self.records = records
        self.session = shared.session
        self.by = shared.who.by
        self.new_entities = shared.new_entities
        self.entities = shared.entities
        self.sources = shared.sources
        self.batch = batch
        self.slugs: set[str] = set()

    def __call__(self, record: Any) -> Result:
        """What becomes of a row, which is taken into the batch. Raises Problem."""
        raise NotImplementedError

    def finish(self) -> None:
        """Does what is left to do once the batch is written."""

    def forget(self) -> None:
        """Take back what a row that is refused has set on records: the next write would keep it."""
        for record in [*self.session.dirty]:
            self.session.expire(record)

    # what a row names, found or to be made

    def entity(self, ref: str, kind: EntityKind | None, at: str, staged: Staged) -> str:
        """The id of an entity. Raises Invalid if it is ambiguous, or is not here and its kind not told."""
        found = self.entities.get(ref)
        if len(found) > 1:
            raise Invalid.at(at, f"{ref!r} is the name of {', '.join(found)}: give an id or slug")
        if found:
            return found[0]
        if ref in staged.entities:
            return staged.entities[ref].record.id
        kind = kind or self.new_entities
        if kind is None:
            raise Invalid.at(at, f"There is no entity {ref}; it is made if its kind is told")
        taken = self.slugs | {each.record.slug for each in staged.entities.values()}
        made = entities.compose(self.session, EntityIn(kind=kind, name=ref), {}, taken)
        staged.entities[ref] = made
        return made.record.id

    def source(self, record: SourceRecord, at: str, staged: Staged) -> Source:
        """The row of a source that is not here."""
        canonical = self.sources.canonical(record.url)
        if canonical not in staged.sources:
            ids = {}
            if record.publisher:
                kind = self.new_entities or "organization"
                ids[record.publisher] = self.entity(record.publisher, kind, f"{at}/publisher", staged)
            internal = self.shared.internal
            staged.sources[canonical] = sources.compose(record, canonical, ids, internal=internal)
        return staged.sources[canonical]

    def keep(self, staged: Staged) -> None:
        """Takes what a good row adds into the batch."""
        for new in staged.entities.values():
            self.batch.entities.append(new)
            self.slugs.add(new.record.slug)
            self.entities.add(new.record)
        for source in staged.sources.values():
            self.batch.sources.append(New(source, {}))
            self.sources.add(source)


class EntityRows(Rows):
    """Entities."""

    def __init__(self, shared: Shared, batch: Batch, records: Sequence[EntityRecord]) -> None:
        super().__init__(shared, batch, records)
        self.entities.look_up(ref for record in records for ref in _named_by_entity(record))
        self.external_ids: set[tuple[str, str]] = set()
        self.names: dict[tuple[str, str], str] = {}

    def __call__(self, record: EntityRecord) -> Result:
        if known := self._known(record):
            return Result(0, None, "unchanged", known)
        ids = {}
        for n, item in enumerate(record.affiliations):
            at = f"/affiliations/{n}/organization"
            ids[item.organization] = self.entity(item.organization, None, at, Staged())
        pairs = {(external.scheme, external.value) for external in record.external_ids}
        if taken := pairs & self.external_ids:
            raise Invalid.at("/external_ids", f"{sorted(taken)[0]} is another's in this file")
        new = entities.compose(self.session, record, ids, self.slugs, free=True)  # else it is known
        self.external_ids |= pairs
        self.names[record.name, record.kind] = new.record.id
        staged = Staged()
        staged.entities[record.name] = new
        self.keep(staged)
        return Result(0, None, "created", new.record.id)

    def _known(self, record: EntityRecord) -> str | None:
        if record.slug is not None:
            return self.entities.of_slug(record.slug)
        if made := self.names.get((record.name, record.kind)):
            return made
        same = self.entities.same(record.name, record.kind)
        if len(same) > 1:
            raise Invalid.at("/name", f"is that of {', '.join(same)}: give a slug")
        return same[0] if same else None


class SourceRows(Rows):
    """Sources, with their first texts."""

    def __init__(self, shared: Shared, batch: Batch, records: Sequence[SourceRecord]) -> None:
        super().__init__(shared, batch, records)
        self.sources.look_up(record.url for record in records)
        self.entities.look_up(record.publisher for record in records if record.publisher)
        self.texts: list[tuple[Source, Any]] = []

    def __call__(self, record: SourceRecord) -> Result:
        if known := self.sources.get(record.url):
            return Result(0, None, "unchanged", known)
        if record.snapshot is not None:
            with _at("/snapshot"):
                sources.fingerprint(record.snapshot)
        staged = Staged()
        source = self.source(record, "", staged)
        self.keep(staged)
        if record.snapshot is not None:
            self.texts.append((source, record.snapshot))
        made = [one for one in staged.made if one.id != source.id]
        return Result(0, None, "created", source.id, made)

    def finish(self) -> None:
        """Keeps the texts of sources that are written by now."""
        for source, snapshot in self.texts:
            quoted.archive_text(self.session, source, snapshot, by=self.by, role=self.shared.who.role)


class SnapshotRows(Rows):
    """Texts of sources."""

    def __init__(self, shared: Shared, batch: Batch, records: Sequence[SnapshotRecord]) -> None:
        super().__init__(shared, batch, records)
        self.sources.look_up(record.source for record in records)

    def __call__(self, record: SnapshotRecord) -> Result:
        source_id = self.sources.get(record.source)
        if source_id is None:
            raise Invalid.at("/source", f"There is no source {record.source}.")
        sha256, _ = sources.fingerprint(record)
        query = select(Snapshot.id, Snapshot.version).where(
            col(Snapshot.source_id) == source_id, col(Snapshot.sha256) == sha256
        )
        before = self.session.execute(query).first()
        source = sources.row(self.session, source_id)
        kept, _ = quoted.archive_text(self.session, source, record, by=self.by, role=self.shared.who.role)
        unchanged = before is not None and before.version == kept.version
        return Result(0, None, "unchanged" if unchanged else "created", kept.id)


class ClaimRows(Rows):
    """Claims, with what they name."""

    def __init__(self, shared: Shared, batch: Batch, records: Sequence[ClaimRecord]) -> None:
        super().__init__(shared, batch, records)
        self.entities.look_up(ref for record in records for ref in _named_by_claim(record))
        self.sources.look_up(ref for record in records for ref in _printed_in(record))
        self.texts: dict[tuple[str, str | None], Found[Any] | None] = {}
        self.marks = {id(record): self._mark(record) for record in records}
        self.twins = twins.known(self.session, {mark for mark in self.marks.values() if mark})

    def __call__(self, record: Any) -> Result:
        mark = self.marks[id(record)] or self._mark(record)
        if mark is not None and (twin := self.twins.get(mark)):
            return Result(0, None, "unchanged", twin)
        staged = Staged()
        new, gathered = self.composed(record, staged)
        self.keep(staged)
        self.twins[mark or twins.of_new(new)] = new.record.id
        self.batch.claims.append(new)
        self.batch.evidence += gathered
        return Result(0, None, "created", new.record.id, staged.made)

    def composed(self, record: ClaimRecord, staged: Staged) -> tuple[New[Claim], list[New[Evidence]]]:
        """The rows of a new claim and of its evidence. Raises as `claims.store.state` does."""
        people, printed = self._people(record, staged), self._printed(record, staged)
        held = HeldBack(self.shared.internal)
        new = claims.compose(self.session, record, people, printed, self._text, held)
        if not held.internal:
            must_be_seen(self.session, evidence.sources_of(record.evidence, printed))
        return new, [
            New(evidence.compose(new.record.id, item, printed, self._text, at=f"/evidence/{n}"), {})
            for n, item in enumerate(record.evidence)
        ]

    def _mark(self, record: ClaimRecord) -> str | None:
        """What tells the claim apart, if all that it needs is here."""
        speakers = [self.entities.get(speaker.entity) for speaker in record.speakers]
        printed = [self.sources.get(item.source) for item in record.appearances]
        if any(len(found) != 1 for found in speakers) or None in printed:
            return None
        ids = [source_id for source_id in printed if source_id]
        return twins.fingerprint(record.text, record.mode, record.said, [found[0] for found in speakers], ids)

    def _people(self, record: ClaimRecord, staged: Staged) -> Mapping[str, str]:
        kinds = {speaker.entity: speaker.kind for speaker in record.speakers}
        if record.mode == "own_voice":
            kinds = {ref: kind or "organization" for ref, kind in kinds.items()}
        return {
            ref: self.entity(ref, kinds.get(ref), at, staged)
            for at, ref in claims.entity_refs(record).items()
        }

    def _printed(self, record: ClaimRecord, staged: Staged) -> Mapping[str, str]:
        ids: dict[str, str] = {}
        for n, item in enumerate(record.appearances):
            at = f"/appearances/{n}"
            found = self.sources.get(item.source)
            if found is None and (told := item.as_source(item.source)):
                found = self.source(told, at, staged).id
            ids[item.source] = _must_be(found, item.source, f"{at}/source")
        for n, proof in enumerate(record.evidence):
            if proof.source is not None and proof.source not in ids:
                found = self.sources.get(proof.source)
                ids[proof.source] = _must_be(found, proof.source, f"/evidence/{n}/source")
        return ids

    @cached_property
    def _with_text(self) -> set[str]:
        """The sources named here that have a text at hand: the others need not be asked for it."""
        ids = {self.sources.get(ref) for record in self.records for ref in _printed_in(record)} - {None}
        query = select(Snapshot.source_id).where(col(Snapshot.text_at_hand).is_(True))
        return set(self.session.execute(query.where(col(Snapshot.source_id).in_(ids))).scalars())

    def _text(self, source_id: str, snapshot_id: str | None) -> Found[Any] | None:
        """As `sources.store.text_of`, asked once for each."""
        if snapshot_id is None and source_id not in self._with_text:
            return None
        key = (source_id, snapshot_id)
        if key not in self.texts:
            self.texts[key] = sources.text_of(self.session, source_id, snapshot_id)
        return self.texts[key]


def _named_by_entity(record: EntityRecord) -> Iterator[str]:
    yield from (item.organization for item in record.affiliations)
    if record.slug is not None:
        yield record.slug


def _must_be(found: str | None, ref: str, at: str) -> str:
    if found is None:
        raise Invalid.at(at, f"There is no source {ref}; it is added if its title is told")
    return found


def _named_by_claim(record: ClaimRecord) -> Iterator[str]:
    yield from claims.entity_refs(record).values()
    yield from (item.publisher for item in record.appearances if item.publisher)


def _printed_in(record: ClaimRecord) -> Iterator[str]:
    yield from (item.source for item in record.appearances)
    yield from (proof.source for proof in record.evidence if proof.source)


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Puts a place before the pointers of what is wrong."""
    try:
        yield
    except Problem as fault:
        raise Invalid.under(place, fault) from fault
