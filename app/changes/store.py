"""The one door for writes, the ledger behind it, and the walk that checks both."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

import orjson
import rfc8785
from sqlalchemy import Row, delete, func, inspect
from sqlmodel import SQLModel, col

from app.base.db import ReadSession, WriteSession
from app.base.ids import request_id
from app.base.page import Page, Question, page
from app.base.sql import Query, select
from app.base.sql import table as table_of
from app.base.times import instant, now
from app.base.types import wire
from app.changes.model import Change, ChangeQuestion, Part, Record

GENESIS = "0" * 64
"""What the first entry has for `previous_hash`."""

_BOOKKEEPING = frozenset({"id", "version", "created_at", "updated_at"})
_ENTRY = ("seq", "at", "actor", "actor_name", "action", "resource", "resource_id", "version",
          "difference", "reason", "request_id", "previous_hash")  # fmt: skip


@dataclass(frozen=True)
class By:
    """Who writes: a key's id, or the name of a command."""

    id: str
    name: str


@dataclass(frozen=True)
class Saved:
    """A record that was just written, with what differs: `{field: {"old": …, "new": …}}`."""

    id: str
    difference: Mapping[str, Mapping[str, Any]]


Follower = Callable[[WriteSession, Sequence[Saved]], None]
_followers: dict[type[Record], list[Follower]] = {}


def follows(kind: type[Record]) -> Callable[[Follower], Follower]:
    """Registers a function that keeps what is derived from a kind of record true (an index, a count). It is
    called in the transaction of every write, after the rows are written, with the records of that write.
    """

    def register(follower: Follower) -> Follower:
        _followers.setdefault(kind, []).append(follower)
        return follower

    return register


def _tell(session: WriteSession, kind: type[Record], saved: Sequence[Saved]) -> None:
    for follower in _followers.get(kind, ()):
        follower(session, saved)


def save(
    session: WriteSession,
    record: Record,
    *,
    by: By,
    action: str,
    reason: str | None = None,
    parts: Mapping[str, Sequence[Part]] | None = None,
) -> Change | None:
    """Writes a record, new or changed, with the `parts` given in place of those it had, and its ledger
    entry. If nothing differs, nothing is written and the answer is None.
    """
    _refuse_others(session, record)
    old, new = _columns_before(record), _columns(record)
    parts = parts or {}
    for name in parts:
        old[name] = part_documents(session, type(record), name, [record.id]).get(record.id, [])
        new[name] = [_part_document(part) for part in parts[name]]
    difference = _difference(old, new)
    if not difference:
        return None
    at = now()
    if record.version == 0:
        record.created_at = at
    record.version += 1
    record.updated_at = at
    session.add(record)
    session.flush()
    _replace(session, record, parts)
    change = _append(session, record, by=by, action=action, reason=reason, difference=difference)
    _tell(session, type(record), [Saved(record.id, difference)])
    return change


def _refuse_others(session: WriteSession, record: Record) -> None:
    # A flush writes whatever has changed, so another record's change would pass by its own entry.
    for other in (*session.new, *session.dirty):
        if other is not record and session.is_modified(other):
            raise RuntimeError(f"{other!r} was changed and must be saved before {record!r}")


def _replace(session: WriteSession, record: Record, parts: Mapping[str, Sequence[Part]]) -> None:
    kinds = [(name, kind) for name, kind in record.parts.items() if name in parts]
    for _, kind in reversed(kinds):
        session.execute(delete(table_of(kind)).where(table_of(kind).c[kind.owner] == record.id))
    for name, _ in kinds:
        session.add_all(parts[name])
        session.flush()
        for part in parts[name]:
            session.expunge(part)


def _append(
    session: WriteSession,
    record: Record,
    *,
    by: By,
    action: str,
    reason: str | None,
    difference: Mapping[str, Any],
) -> Change:
    last = session.execute(
        select(col(Change.seq), col(Change.hash)).order_by(col(Change.seq).desc()).limit(1)
    ).first()
    change = Change(
        seq=last.seq + 1 if last else 1,
        at=record.updated_at,
        actor=by.id,
        actor_name=by.name,
        action=action,
        resource=record.noun,
        resource_id=record.id,
        version=record.version,
        difference=orjson.dumps(difference).decode(),
        reason=reason,
        request_id=request_id.get(),
        previous_hash=last.hash if last else GENESIS,
        hash="",
    )
    change.hash = entry_hash(document(change))
    session.add(change)
    session.flush()
    return change


def entry_hash(entry: Mapping[str, Any]) -> str:
    """SHA-256 of the entry, all but its own hash, in the JSON Canonicalization Scheme (RFC 8785)."""
    return hashlib.sha256(rfc8785.dumps({name: entry[name] for name in _ENTRY})).hexdigest()


def document(change: Change | Row[Any]) -> dict[str, Any]:
    """The entry as JSON has it."""
    entry = {name: wire(getattr(change, name)) for name in (*_ENTRY, "hash")}
    entry["difference"] = orjson.loads(entry["difference"])
    return entry


# --- documents: a record's rows as the ledger knows them ---------------------------------------


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: {"old": old.get(name), "new": new.get(name)}
        for name in sorted(old.keys() | new.keys())
        if _given(old.get(name)) != _given(new.get(name))
    }


def _given(value: Any) -> Any:
    return None if value == [] else value


def _ledger_columns(kind: type[Record]) -> list[str]:
    keys = (attribute.key for attribute in inspect(kind).column_attrs)
    return [key for key in keys if key not in _BOOKKEEPING | kind.off_ledger]


def _columns(record: Record) -> dict[str, Any]:
    return {key: wire(getattr(record, key)) for key in _ledger_columns(type(record))}


def _columns_before(record: Record) -> dict[str, Any]:
    if record.version == 0:
        return {}
    state = inspect(record)
    before = _columns(record)
    for key in before:
        removed = state.attrs[key].history.deleted
        if removed:
            before[key] = wire(removed[0])
    return before


def _part_columns(kind: type[Part]) -> list[str]:
    return [a.key for a in inspect(kind).column_attrs if a.key not in {kind.owner, *kind.off_ledger}]


def _part_document(part: Part | Row[Any], kind: type[Part] | None = None) -> dict[str, Any]:
    columns = _part_columns(kind or type(part))  # type: ignore[arg-type]
    return {key: wire(getattr(part, key)) for key in columns}


def part_documents(
    session: ReadSession, kind: type[Record], name: str, ids: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """One part of some records, by record id, in order."""
    part = kind.parts[name]
    table = table_of(part)
    owner = table.c[part.owner]
    rows = session.execute(
        select(table).where(owner.in_(ids)).order_by(owner, *table.primary_key.columns)
    ).all()
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row._mapping[part.owner], []).append(_part_document(row, part))
    return found


def _column(kind: type[SQLModel], name: str) -> Any:
    return getattr(kind, name)


# --- reading the ledger ------------------------------------------------------------------------


def entries() -> Query:
    """The query for entries, to which a list adds its filters."""
    return select(*(_column(Change, name) for name in (*_ENTRY, "hash")))


def history(
    session: ReadSession, noun: str, record_id: str, ask: Question, after: Sequence[Any] | None
) -> Page[dict[str, Any]]:
    """What was done to one record."""
    query = entries().where(col(Change.resource) == noun, col(Change.resource_id) == record_id)
    found = page(session, query, [col(Change.seq)], ask, after)
    return Page([document(row) for row in found.rows], found.last)


def since(
    session: ReadSession, ask: ChangeQuestion, after: Sequence[Any] | None, *, secrets: bool
) -> Page[dict[str, Any]]:
    """A page of the ledger. Without `secrets`, what was changed of keys is left out."""
    query = entries()
    if ask.after is not None:
        query = query.where(col(Change.seq) > ask.after)
    if ask.resource:
        query = query.where(col(Change.resource).in_(ask.resource))
    if ask.resource_id:
        query = query.where(col(Change.resource_id).in_(ask.resource_id))
    if ask.actor:
        query = query.where(col(Change.actor).in_(ask.actor))
    found = page(session, query, [col(Change.seq)], ask, after)
    rows = [document(row) for row in found.rows]
    if not secrets:
        rows = [row | ({"difference": None} if row["resource"] == "key" else {}) for row in rows]
    return Page(rows, found.last)


def head(session: ReadSession) -> tuple[int, str]:
    """The last entry's seq and hash; (0, GENESIS) in an empty base."""
    row = session.execute(entries().order_by(col(Change.seq).desc()).limit(1)).first()
    return (row.seq, row.hash) if row else (0, GENESIS)


# --- the walk ----------------------------------------------------------------------------------

_BATCH = 500


def verify(session: ReadSession) -> Iterator[str]:
    """Walks the whole ledger, then replays it and compares with the rows. Yields each fault found:
    a gap, a broken link, an altered entry, a record that differs from its history or has none.
    """
    yield from _verify_chain(session)
    for kind in record_kinds():
        yield from _verify_records(session, kind)


def record_kinds() -> list[type[Record]]:
    """Every noun that has a history, in the order of its table's name."""
    return sorted(Record.__subclasses__(), key=lambda kind: kind.noun)


def _verify_chain(session: ReadSession) -> Iterator[str]:
    seq, previous = 0, GENESIS
    query = entries().order_by(col(Change.seq)).execution_options(yield_per=_BATCH)
    for row in session.execute(query):
        seq += 1
        if row.seq != seq:
            yield f"change {row.seq}: {seq} was expected, so entries are missing or out of order"
            seq = row.seq
        if row.previous_hash != previous:
            yield f"change {row.seq}: does not follow from the entry before it"
        if row.hash != _recomputed_hash(row):
            yield f"change {row.seq}: was altered, its hash does not match"
        previous = row.hash


def _recomputed_hash(row: Row[Any]) -> str | None:
    try:
        return entry_hash(document(row))
    except (ValueError, TypeError):
        return None


def _verify_records(session: ReadSession, kind: type[Record]) -> Iterator[str]:
    table = table_of(kind)
    seen = 0
    query = (
        entries()
        .where(col(Change.resource) == kind.noun)
        .order_by(col(Change.resource_id), col(Change.seq))
        .execution_options(yield_per=_BATCH)
    )
    replayed = (
        (record_id, _replay(list(changes)))
        for record_id, changes in groupby(session.execute(query), lambda row: row.resource_id)
    )
    while some := list(islice(replayed, _BATCH)):
        kept = _documents(session, kind, [record_id for record_id, _ in some])
        for record_id, expected in some:
            seen += 1
            yield from _compare(kind.noun, record_id, expected, kept.get(record_id))
    rows = session.execute(select(func.count()).select_from(table)).scalar_one()
    if rows > seen:
        yield f"{kind.noun}: {rows - seen} rows have no history"


def _replay(changes: Sequence[Row[Any]]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for change in changes:
        try:
            for field, difference in orjson.loads(change.difference).items():
                state[field] = difference["new"]
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # the walk of the chain has named this entry
    first, last = changes[0], changes[-1]
    return state | {
        "version": last.version,
        "created_at": instant(first.at),
        "updated_at": instant(last.at),
    }


def _documents(session: ReadSession, kind: type[Record], ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    table = table_of(kind)
    names = [*_ledger_columns(kind), *sorted(_BOOKKEEPING - {"id"})]
    columns = [table.c[name] for name in names]
    rows = session.execute(select(table.c.id, *columns).where(table.c.id.in_(ids))).all()
    found = {row.id: {name: wire(row._mapping[name]) for name in names} for row in rows}
    for part in kind.parts:
        children = part_documents(session, kind, part, ids)
        for record_id, state in found.items():
            state[part] = children.get(record_id, [])
    return found


def _compare(
    noun: str, record_id: str, expected: Mapping[str, Any], kept: Mapping[str, Any] | None
) -> Iterator[str]:
    if kept is None:
        yield f"{noun} {record_id}: its rows are gone"
        return
    for field in sorted(expected.keys() | kept.keys()):
        if _given(expected.get(field)) != _given(kept.get(field)):
            yield f"{noun} {record_id}: {field} is not what its history says"
