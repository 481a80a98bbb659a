"""Values erased from the ledger, while its hashes stay as they are.

The values of an entry of form 2 are removed and their commitments stay. An entry of the first form is covered
by its hash alone: a row in `change_values` counts in the place of its own values, and the owner of the tables
removes those later (`remove_covered`). The rows of the record are made anew of what remains. The entry of the
erasure names the entries that lost values, and the digest of what remains of each.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import orjson
from sqlalchemy import func, update
from sqlmodel import col

from app.base import properties
from app.base.db import ReadSession, WriteSession
from app.base.prepared import Prepared
from app.base.properties import DatabaseProperty
from app.base.sql import in_order, insert_many, select, table
from app.base.times import now
from app.changes import earlier
from app.changes.entry import Entry, effective, erased, missing
from app.changes.ledger import difference_of, entries, head, rows_of, whole
from app.changes.model import Change, ChangeValues
from app.changes.replay import Replay, kinds, remake
from app.changes.store import By, append

_EPOCH = "erasures"
"""The property of the database that changes with each erasure."""

_ERASING = (".erase", ".erase.follow")
"""How the actions of entries end whose reason is the public note of an erasure."""


class Cut(Protocol):
    """What is taken from the entries of one record, which are given in their order."""

    def of(self, difference: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a difference without what is to be erased."""

    def takes(self, reason: str) -> bool:
        """Return whether the reason of an entry is to be erased."""


@dataclass(frozen=True)
class Order:
    """An erasure: of which record it was ordered, the public note, and who ordered it."""

    record: str
    note: str
    by: By


@dataclass(frozen=True)
class Target:
    """One record that loses values by an order: the record that it `names`, or one that it takes along. A
    `whole` one loses all of its words. `changed` are simple columns that differ besides; `also` are the ids
    of the records that were taken along. Entries by the `actors`, of any record, lose the actor's name.
    """

    noun: str
    id: str
    cut: Cut
    names: bool = False
    whole: bool = False
    changed: Mapping[str, Any] | None = None
    also: Sequence[str] = ()
    actors: Sequence[str] = ()


def erase(session: WriteSession, target: Target, order: Order) -> list[str] | None:
    """Erase values of one record, and return the texts that are gone; None if it is not the one that was
    ordered and has none of them.
    """
    named, gone = _erase_entries(session, target)
    named |= _erase_names(session, target.actors)
    if not named and not target.names and not target.changed:
        return None
    record: Any = session.get_one(kinds()[target.noun], target.id, populate_existing=True)
    before = record.erased or {}
    told = {
        "order": order.record,
        "whole": target.whole or before.get("whole", False),
        "entries": {**_missing(session, target), **named},
        **({"also": [*target.also]} if target.also else {}),
    }
    difference = {"erased": {"old": record.erased, "new": told}}
    for name, value in (target.changed or {}).items():
        if getattr(record, name) != value:
            difference[name] = {"old": getattr(record, name), "new": value}
    record.version, record.updated_at = record.version + 1, now()
    session.flush()
    action = f"{target.noun}.erase{'' if target.names else '.follow'}"
    append(session, [record], [difference], by=order.by, action=action, reason=order.note)
    remake(session, target.noun, target.id)
    begin_epoch(session)
    return gone


def _erase_entries(session: WriteSession, target: Target) -> tuple[dict[str, Any], list[str]]:
    named: dict[str, Any] = {}
    gone: list[str] = []
    query = entries().where(col(Change.resource) == target.noun, col(Change.resource_id) == target.id)
    for row in session.execute(query.order_by(col(Change.seq))).all():
        entry = whole(row)
        before = effective(entry)
        after = target.cut.of(before)
        names = {f"difference.{name}" for name in before if after[name] != before[name]}
        reason = row.reason
        if reason is not None and not row.action.endswith(_ERASING) and target.cut.takes(reason):
            names.add("reason")
            gone.append(reason)
        if names:
            gone += _texts([before[name] for name in before if after[name] != before[name]])
            made = erased(entry, names, after)
            _put(session, made)
            named[str(row.seq)] = missing(made)
    return named, gone


def _erase_names(session: WriteSession, actors: Sequence[str]) -> dict[str, Any]:
    """Erase the names of actors from all of their entries."""
    named: dict[str, Any] = {}
    if not actors:
        return named
    for row in session.execute(
        entries().where(col(Change.actor).in_(actors)).order_by(col(Change.seq))
    ).all():
        entry = whole(row)
        if entry["actor_name"] is None:
            continue
        if row.form == 1:
            made = {**erased({**entry, "reason": row.reason}, (), effective(entry)), "actor_name": None}
        else:
            made = erased(entry, ["actor_name"], {})
        _put(session, made)
        named[str(row.seq)] = missing(made)
    return named


def _missing(session: ReadSession, target: Target) -> dict[str, Any]:
    """Return what the entries of a record have lost by now, as the entry of an erasure names it."""
    mine = (col(Change.resource) == target.noun, col(Change.resource_id) == target.id)
    rows = session.execute(entries().where(*mine, col(ChangeValues.remains).is_not(None)))
    return {str(row.seq): missing(whole(row)) for row in rows}


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            yield from _texts([*value.values()])
        case list():
            for each in value:
                yield from _texts(each)


def _put(session: WriteSession, entry: Entry) -> None:
    """Keep an entry without values that it had."""
    values = rows_of(entry)[1]
    assert values is not None
    kept = table(ChangeValues)
    hit = session.execute(update(kept).where(kept.c.seq == entry["seq"]).values(values))
    if not hit.rowcount:  # type: ignore[attr-defined]
        insert_many(session, ChangeValues, [in_order(ChangeValues)(values)])


def adopt(session: WriteSession, replay: Replay) -> list[str]:
    """Erase of this database what the entries that were replayed have lost and it still had. Return the texts
    that are gone.
    """
    gone: list[str] = []
    records: dict[tuple[str, str], None] = {}
    for seq in sorted(replay.newly_erased):
        entry = replay.erased[seq]
        row = session.execute(entries().where(col(Change.seq) == seq)).one()
        if whole(row) == entry:
            continue
        gone += _texts([{**difference_of(row)}, row.reason])
        _put(session, entry)
        records[row.resource, row.resource_id] = None
    for noun, record_id in records:
        remake(session, noun, record_id)
        person: Any = kinds()["person"]
        if noun == "key" and session.get(person, earlier.person_of(record_id)):
            remake(session, "person", earlier.person_of(record_id))
    if replay.erased:
        begin_epoch(session)
    return gone


# --- what is kept of earlier answers -----------------------------------------------------------


def begin_epoch(session: WriteSession) -> None:
    """Have whatever was made of the ledger before made anew: something was erased, or is withheld now."""
    properties.put(session, _EPOCH, str(head(session)[0]))


def epoch(session: ReadSession) -> str:
    """Return what stays the same until something is erased or withheld: what was made of the ledger under
    another epoch is to be made anew.
    """
    return properties.get(session, _EPOCH) or ""


@cache
def last_epoch() -> Prepared:
    """The query for the same, prepared."""
    return Prepared(select(DatabaseProperty.value).where(col(DatabaseProperty.name) == _EPOCH))


# --- counts, and the bytes of covered entries ---------------------------------------------------


def tally(session: ReadSession) -> tuple[int, int]:
    """Return how many values were erased, and of how many entries."""
    rows = session.execute(
        select(col(ChangeValues.commitments)).where(col(ChangeValues.remains).is_not(None))
    ).scalars()
    counts = [2 if told is None else len(orjson.loads(told)) for told in rows]
    return sum(counts), len(counts)


def covered(session: ReadSession) -> int:
    """Return of how many entries of the first form the ledger still has values that were erased."""
    query = (
        select(func.count()).select_from(Change).join(ChangeValues, col(ChangeValues.seq) == col(Change.seq))
    )
    return int(
        session.execute(query.where(col(Change.form) == 1, col(Change.difference).is_not(None))).scalar_one()
    )
