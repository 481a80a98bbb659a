"""The people whom entries of the ledger name, of whom only those inside are told."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import column, table

from app.base.db import ReadSession
from app.base.sql import among, select
from app.changes import earlier
from app.changes.earlier import KEY, PERSON
from app.changes.entry import Entry, withheld

_NAMES = {"review": "reviewer_name", "decision": "decided_by_name", "link": "judged_by_name"}
_FIELDS: Mapping[str, tuple[str, ...]] = {
    resource: (*ids, *filter(None, [_NAMES.get(resource)])) for resource, ids in earlier.WORKERS.items()
}
"""By resource, the fields that name people: with their ids, and with their names beside them."""

# Modules to the right of this one have these tables.
_BELONGS = table("people_organisations", column("person_id"), column("position"), column("entity_id"))
_ENTITIES = table("entities", column("id"), column("canonical_id"))

ACTOR = frozenset({"actor", "actor_name"})
ASKED = frozenset({"request_id"})
"""The id that a client gave its request, which may be a name."""
WORKERS = frozenset(f"difference.{name}" for names in _FIELDS.values() for name in names)
"""The values of entries that name people, or may."""


def is_person(actor: str | None) -> bool:
    """Return whether an actor is a person, or a key of before people, and no command."""
    return actor is not None and actor.startswith((PERSON, KEY))


def named_by(entry: Entry) -> frozenset[str]:
    """Return which values of an entry name people, or may."""
    changed = entry["difference"] or {}
    fields = {f"difference.{name}" for name in _FIELDS.get(entry["resource"], ()) if name in changed}
    asked = ASKED if entry["request_id"] is not None else frozenset()
    return frozenset(fields) | asked | (ACTOR if is_person(entry["actor"]) else frozenset())


def without_workers(entry: Entry) -> Entry:
    """Return an entry without the people whom it names. One of the first form is without its difference too
    where that names some.
    """
    if not (named := named_by(entry)):
        return entry
    if "form" in entry:
        return withheld(entry, named.__contains__)
    own = named & (ACTOR | ASKED)
    bare = {**entry, **dict.fromkeys(own)}
    return withheld(bare, named.__contains__) if named - own else bare


def organisations(session: ReadSession, actors: Iterable[str]) -> dict[str, str]:
    """Return the first of the organisations of each actor who is a person and has some, as what it is merged
    into.
    """
    people = {each: earlier.person_of(each) for each in actors if is_person(each)}
    if not people:
        return {}
    query = (
        select(_BELONGS.c.person_id, _ENTITIES.c.canonical_id)
        .join_from(_BELONGS, _ENTITIES, _ENTITIES.c.id == _BELONGS.c.entity_id)
        .where(among(session, _BELONGS.c.person_id, {*people.values()}))
        .order_by(_BELONGS.c.position.desc())
    )
    first = {row.person_id: row.canonical_id for row in session.execute(query)}
    return {actor: first[person] for actor, person in people.items() if person in first}


def with_organisations(session: ReadSession, found: Sequence[Entry], told: Sequence[Entry]) -> list[Entry]:
    """Return entries as the public is told them, with the organisation of whoever has written each: by a
    person of none, the entry has none.
    """
    if not session.public:
        return [*told]
    of = organisations(session, {entry["actor"] for entry in found})
    more: list[dict[str, Any]] = [
        {"organisation": of[entry["actor"]]} if entry["actor"] in of else {} for entry in found
    ]
    return [{**entry, **also} for entry, also in zip(told, more, strict=True)]
