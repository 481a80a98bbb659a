"""The people whom entries of the ledger name, of whom only those inside are told."""

from collections.abc import Mapping

from app.changes import earlier
from app.changes.earlier import KEY, PERSON
from app.changes.entry import Entry, withheld

_NAMES = {"review": "reviewer_name", "decision": "decided_by_name", "link": "judged_by_name"}
_FIELDS: Mapping[str, tuple[str, ...]] = {
    resource: (*ids, *filter(None, [_NAMES.get(resource)])) for resource, ids in earlier.WORKERS.items()
}
"""By resource, the fields that name people: with their ids, and with their names beside them."""

ACTOR = frozenset({"actor", "actor_name"})
WORKERS = frozenset(f"difference.{name}" for names in _FIELDS.values() for name in names)
"""The values of entries that name people, or may."""


def is_person(actor: str | None) -> bool:
    """Return whether an actor is a person, or a key of before people, and no command."""
    return actor is not None and actor.startswith((PERSON, KEY))


def named_by(entry: Entry) -> frozenset[str]:
    """Return which values of an entry name people."""
    changed = entry["difference"] or {}
    fields = {f"difference.{name}" for name in _FIELDS.get(entry["resource"], ()) if name in changed}
    return frozenset(fields) | (ACTOR if is_person(entry["actor"]) else frozenset())


def without_workers(entry: Entry) -> Entry:
    """Return an entry without the people whom it names. One of the first form is without its difference too
    where that names some.
    """
    if not (named := named_by(entry)):
        return entry
    if "form" in entry:
        return withheld(entry, named.__contains__)
    bare = {**entry, **dict.fromkeys(ACTOR & named)}
    return withheld(bare, named.__contains__) if named - ACTOR else bare
