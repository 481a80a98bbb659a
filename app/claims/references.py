"""The names of what claims refer to: entities, sources and keys.

A claim's body has a mark in their place, which is filled in when it is read, so that a rename rewrites no
claim. What was read is kept in memory for as long as the base's epoch, which is read with the claims, is the
same; every change of such a name begins another, in its transaction.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import Engine, bindparam, true, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.access.model import Key
from app.base.db import Database, Prepared, ReadSession, WriteSession
from app.base.sql import Query, select, table
from app.changes.model import Record
from app.changes.store import Saved, follows
from app.claims.derived import ReferenceEpoch
from app.entities.documents import briefs
from app.entities.model import Entity
from app.sources.model import Source
from app.sources.store import brief_source, brief_source_columns, join_publisher

MARK = "\x1f"
_MARKED = re.compile(r'"\\u001f":"([^"]+)"')
_REFERRED = re.compile(f"{MARK}([^{MARK}]+){MARK}")

_KEPT = 100_000
"""How many names are kept in memory at most: some 20 MB."""


def marked(document: Mapping[str, Any]) -> str:
    """A document as JSON in which each reference is an id between two marks."""
    return _MARKED.sub(rf"{MARK}\1{MARK}", orjson.dumps(document).decode())


def unnamed(body: str) -> dict[str, Any]:
    """A body as a document in which references have an id alone."""
    document: dict[str, Any] = orjson.loads(_REFERRED.sub(r'"id":"\1"', body))
    return document


def filled(session: ReadSession, bodies: Sequence[str], epoch: str) -> list[str]:
    """Bodies with the names in them, as JSON."""
    known = names_of(session.connection().engine).at(epoch).members
    pieces = [body.split(MARK) for body in bodies]
    missing = {reference for parts in pieces for reference in parts[1::2] if reference not in known}
    if missing:
        known.update(_read(session, missing))
    return _joined(pieces, known)


def filled_at_once(db: Database, bodies: Sequence[str], epoch: str) -> list[str] | None:
    """The same, if the names are in memory, or are few to read and of this epoch still."""
    known = names_of(db.reader).at(epoch).members
    pieces = [body.split(MARK) for body in bodies]
    missing = {reference for parts in pieces for reference in parts[1::2] if reference not in known}
    if len(missing) > _FEW:
        return None
    for reference in missing:
        rows = db.ask(_one_name()[reference[:3]], {"id": reference})
        if not rows or rows[0][0] != epoch:
            return None
        known[reference] = orjson.dumps(_SHOWN_AS[reference[:3]](*rows[0][1:])).decode()[1:-1]
    return _joined(pieces, known)


_FEW = 60


@cache
def _one_name() -> Mapping[str, Prepared]:
    """The epoch and the columns of one entity, source or key."""
    token: Any = col(ReferenceEpoch.token)
    wanted: Any = bindparam("id")
    written, winner, publisher = aliased(Entity), aliased(Entity), aliased(Entity)
    entity = select(token, winner.id, winner.slug, winner.name).select_from(written)
    entity = entity.join(winner, col(winner.id) == col(written.canonical_id)).join(ReferenceEpoch, true())
    source = join_publisher(select(token, *brief_source_columns(publisher)).select_from(Source), publisher)
    key = select(token, Key.id, Key.name).select_from(Key).join(ReferenceEpoch, true())
    return {
        "ent": Prepared(entity.where(col(written.id) == wanted)),
        "src": Prepared(source.join(ReferenceEpoch, true()).where(col(Source.id) == wanted)),
        "key": Prepared(key.where(col(Key.id) == wanted)),
    }


def _entity(entity_id: str, slug: str, name: str) -> dict[str, Any]:
    return {"id": entity_id, "slug": slug, "name": name}


def _source(source_id: str, title: str, url: str, *publisher: str) -> dict[str, Any]:
    published = _entity(*publisher) if publisher[0] is not None else None
    return {"id": source_id, "title": title, "url": url, "publisher": published}


_SHOWN_AS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "ent": _entity,
    "src": _source,
    "key": lambda key_id, name: {"id": key_id, "name": name},
}


def _joined(pieces: Sequence[list[str]], known: Mapping[str, str]) -> list[str]:
    for parts in pieces:
        parts[1::2] = [known[reference] for reference in parts[1::2]]
    return ["".join(parts) for parts in pieces]


class Names:
    """What is known in one epoch: the members of what is referred to, as JSON, and what the facets that were
    asked for stand for.
    """

    def __init__(self) -> None:
        self.members: dict[str, str] = {}
        self.facets: dict[Any, Mapping[str, Sequence[str]]] = {}


class _Epochs:
    """The names that one base has, in the epoch that it was last read in."""

    def __init__(self) -> None:
        self.now: tuple[str, Names] = ("", Names())

    def at(self, epoch: str) -> Names:
        """Those of that epoch, to be read and added to. Each epoch has its own, so that a request which began
        before a rename adds nothing to what a later one reads.
        """
        kept, names = self.now
        if kept != epoch or len(names.members) > _KEPT or len(names.facets) > _KEPT:
            names = Names()
            self.now = (epoch, names)
        return names


_bases: WeakKeyDictionary[Engine, _Epochs] = WeakKeyDictionary()


def names_of(engine: Engine) -> _Epochs:
    """What is known of the base that an engine reads."""
    found = _bases.get(engine)
    return found if found is not None else _bases.setdefault(engine, _Epochs())


def _read(session: ReadSession, references: Iterable[str]) -> dict[str, str]:
    wanted: dict[str, list[str]] = {}
    for reference in sorted(references):
        wanted.setdefault(reference[:3], []).append(reference)
    shown = {
        **briefs(session, wanted.get("ent", [])),
        **_sources(session, wanted.get("src", [])),
        **_keys(session, wanted.get("key", [])),
    }
    return {reference: orjson.dumps(members).decode()[1:-1] for reference, members in shown.items()}


@cache
def _sources_query() -> Query:
    publisher = aliased(Entity)
    found = select(*brief_source_columns(publisher)).select_from(Source)
    return join_publisher(found, publisher).where(col(Source.id).in_(bindparam("ids", expanding=True)))


def _sources(session: ReadSession, ids: Sequence[str]) -> dict[str, Any]:
    rows = session.execute(_sources_query(), {"ids": ids}) if ids else ()
    return {row.source_id: brief_source(row) for row in rows}


def _keys(session: ReadSession, ids: Sequence[str]) -> dict[str, Any]:
    rows = session.execute(select(Key.id, Key.name).where(col(Key.id).in_(ids))) if ids else ()
    return {row.id: {"id": row.id, "name": row.name} for row in rows}


# --- the epoch ---------------------------------------------------------------------------------


def epoch_of(session: ReadSession) -> str:
    """The epoch that the base is in."""
    token: str = session.execute(select(ReferenceEpoch.token)).scalar_one()
    return token


@cache
def _epoch() -> Prepared:
    return Prepared(select(ReferenceEpoch.token))


def epoch_at_once(db: Database) -> str | None:
    """The same, if the database answers at once."""
    rows = db.ask(_epoch(), {})
    return rows[0][0] if rows else None


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
    Key: (frozenset({"name"}), "name"),
}
for _kind, (_fields, _always) in _SHOWN.items():
    follows(_kind)(_begins_another(_fields, _always))
