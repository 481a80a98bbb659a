"""The names of what claims refer to: entities, sources and people.

A claim's body has a mark in their place, which is filled in when it is read, so that a rename rewrites no
claim. What was read is kept in memory for as long as the base's epoch, which is read with the claims, is the
same; every change of such a name begins another, in its transaction.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import Engine, bindparam, true, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.access.model import Person
from app.base.caches import Cache
from app.base.db import Readable, ReadSession, WriteSession, at_once
from app.base.prepared import NotAtOnce, Prepared
from app.base.sql import Query, select, table
from app.changes.model import Record
from app.changes.store import Projection, Saved
from app.claims.derived import ReferenceEpoch
from app.entities.documents import brief, brief_columns
from app.entities.model import Entity
from app.sources.model import Source
from app.sources.store import brief_source, brief_source_columns, join_publisher

MARK = "\x1f"
_MARKED = re.compile(r'"\\u001f":"([^"]+)"')


def marked(document: Mapping[str, Any]) -> str:
    """A document as JSON in which each reference is an id between two marks."""
    return _MARKED.sub(rf"{MARK}\1{MARK}", orjson.dumps(document).decode())


def unmarked(body: str) -> dict[str, Any]:
    """The document that a body was made of by `marked`."""
    return _with_ids_as(r"\u001f", body)


def unnamed(body: str) -> dict[str, Any]:
    """A body as a document in which references have an id alone."""
    return _with_ids_as("id", body)


def _with_ids_as(name: str, body: str) -> dict[str, Any]:
    opened = body.replace(f"{{{MARK}", f'{{"{name}":"')  # a reference comes first in its object
    document: dict[str, Any] = orjson.loads(opened.replace(MARK, '"'))
    return document


def filled(session: ReadSession, bodies: Sequence[str], epoch: str) -> list[str]:
    """Bodies with the names in them, as JSON."""
    pieces = [body.split(MARK) for body in as_told(bodies, public=session.public)]
    return _joined(pieces, members(session, _referred(pieces), epoch))


_PERSON = re.compile(rf"{{{MARK}per_[^{MARK}]*{MARK}}}")


def as_told(bodies: Sequence[str], *, public: bool) -> Sequence[str]:
    """Return bodies as those inside have them, or as the public has, without the people who work on them."""
    return [_PERSON.sub("null", body) for body in bodies] if public else bodies


def referred(bodies: Iterable[str]) -> set[str]:
    """What bodies refer to: ids."""
    return set("".join(bodies).split(MARK)[1::2])


def members(session: ReadSession, references: Iterable[str], epoch: str) -> Mapping[str, str]:
    """What references stand for, among others: by id, the members as JSON."""
    kept = names_of(session.connection().engine).at(epoch).members
    known, missing = _kept(kept, references)
    if missing:
        read = _read(session, missing)
        known |= read
        for reference, shown in read.items():
            kept[reference] = shown
    return known


def _kept(kept: Cache[str, str], references: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """What is in memory of some references, and those that are not."""
    known: dict[str, str] = {}
    missing: list[str] = []
    for reference in references:
        if (found := kept.get(reference)) is None:
            missing.append(reference)
        else:
            known[reference] = found
    return known, missing


def _referred(pieces: Iterable[list[str]]) -> set[str]:
    return {reference for parts in pieces for reference in parts[1::2]}


def filled_at_once(base: Readable, bodies: Sequence[str], epoch: str) -> list[str]:
    """The same, if the names are in memory, or are few to read and of this epoch still. Raises NotAtOnce."""
    kept = names_of(base.reader).at(epoch).members
    pieces = [body.split(MARK) for body in as_told(bodies, public=base.public)]
    known, missing = _kept(kept, _referred(pieces))
    if len(missing) > _FEW:
        raise NotAtOnce
    for kind, some in groupby(sorted(missing), lambda reference: reference[:3]):
        ids = list(some)
        size = next(size for size in _SIZES if size >= len(ids))
        one_of = _some_names(kind, size)
        given = {f"id{n}": ids[min(n, len(ids) - 1)] for n in range(size)}
        for row in at_once(base)(one_of, given):
            read = SimpleNamespace(**dict(zip(one_of.names, row, strict=True)))
            if read.epoch == epoch:
                kept[read.asked] = known[read.asked] = _members(_name_queries()[kind].shown(read))
    if not known.keys() >= {*missing}:
        raise NotAtOnce
    return _joined(pieces, known)


_SIZES = (1, 4, 16, 64)
"""Of how many names a query is, the last over again where there are fewer: so that there are few queries."""

_FEW = _SIZES[-1]


def _joined(pieces: Sequence[list[str]], known: Mapping[str, str]) -> list[str]:
    for parts in pieces:
        parts[1::2] = [known[reference] for reference in parts[1::2]]
    return ["".join(parts) for parts in pieces]


class Names:
    """What is known in one epoch: the members of what is referred to, as JSON, and what the facets that were
    asked for stand for.
    """

    def __init__(self) -> None:
        self.members: Cache[str, str] = Cache()
        self.facets: Cache[Any, Mapping[str, Sequence[str]]] = Cache()


class _Epochs:
    """The names that one base has, in the epoch that it was last read in."""

    def __init__(self) -> None:
        self.now: tuple[str, Names] = ("", Names())

    def at(self, epoch: str) -> Names:
        """Those of that epoch, to be read and added to. Each epoch has its own, so that a request which began
        before a rename adds nothing to what a later one reads.
        """
        kept, names = self.now
        if kept != epoch:
            names = Names()
            self.now = (epoch, names)
        return names


_bases: WeakKeyDictionary[Engine, _Epochs] = WeakKeyDictionary()


def names_of(engine: Engine) -> _Epochs:
    """What is known of the base that an engine reads."""
    found = _bases.get(engine)
    return found if found is not None else _bases.setdefault(engine, _Epochs())


# --- reading them ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Name:
    """How what stands for a mark is read: `asked` and more columns, found by `key`, as `shown`."""

    query: Query
    key: Any
    shown: Callable[[Any], Mapping[str, Any] | None]


@cache
def _name_queries() -> Mapping[str, _Name]:
    written, winner, publisher = aliased(Entity), aliased(Entity), aliased(Entity)
    entity = select(col(written.id).label("asked"), *brief_columns(winner, "entity")).select_from(written)
    entity = entity.join(winner, col(winner.id) == col(written.canonical_id))
    source = select(col(Source.id).label("asked"), *brief_source_columns(publisher)).select_from(Source)
    person = select(col(Person.id).label("asked"), Person.name).select_from(Person)
    return {
        "ent": _Name(entity, col(written.id), lambda row: brief(row, "entity")),
        "src": _Name(join_publisher(source, publisher), col(Source.id), brief_source),
        "per": _Name(person, col(Person.id), lambda row: {"id": row.asked, "name": row.name}),
    }


@cache
def _some_names(kind: str, size: int) -> Prepared:
    """The same of some, with the epoch."""
    name = _name_queries()[kind]
    epoch = name.query.add_columns(col(ReferenceEpoch.token).label("epoch")).join(ReferenceEpoch, true())
    return Prepared(epoch.where(name.key.in_([bindparam(f"id{n}") for n in range(size)])))


def _read(session: ReadSession, references: Iterable[str]) -> dict[str, str]:
    wanted: dict[str, list[str]] = {}
    for reference in sorted(references):
        wanted.setdefault(reference[:3], []).append(reference)
    read: dict[str, str] = {}
    for kind, ids in wanted.items():
        name = _name_queries()[kind]
        rows = session.execute(name.query.where(name.key.in_(ids)))
        read |= {row.asked: _members(name.shown(row)) for row in rows}
    return read


def _members(shown: Mapping[str, Any] | None) -> str:
    return orjson.dumps(shown).decode()[1:-1]


# --- the epoch ---------------------------------------------------------------------------------


@cache
def _epoch() -> Prepared:
    return Prepared(select(ReferenceEpoch.token))


def epoch_at_once(base: Readable) -> str:
    """The epoch that the base is in. Raises NotAtOnce."""
    rows = at_once(base)(_epoch(), {})
    if not rows:
        raise NotAtOnce
    return str(rows[0][0])


def _begins_another(shown: frozenset[str], always: str) -> Callable[[WriteSession, Sequence[Saved]], None]:
    def follower(session: WriteSession, saved: Sequence[Saved]) -> None:
        if any(_existed(each, always) and shown & each.difference.keys() for each in saved):
            token = secrets.token_hex(8)
            session.execute(update(table(ReferenceEpoch)).values(token=token))

    return follower


def _existed(saved: Saved, always: str) -> bool:
    """Whether the record is not new: a field that is never null was not null before."""
    return saved.difference.get(always, {}).get("old", "") is not None


_SHOWN: Mapping[type[Record], tuple[frozenset[str], str]] = {
    Entity: (frozenset({"slug", "name", "canonical_id"}), "name"),
    Source: (frozenset({"title", "url", "publisher_id"}), "title"),
    Person: (frozenset({"name"}), "name"),
}
PROJECTION = Projection("names", {kind: _begins_another(*shown) for kind, shown in _SHOWN.items()})
