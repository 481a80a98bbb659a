"""The one door for writes, and the ledger behind it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import bindparam, delete, inspect
from sqlmodel import SQLModel

from app.base.db import ReadSession, WriteSession
from app.base.errors import Conflict
from app.base.ids import request_id
from app.base.sql import Query, in_order, insert_many, select
from app.base.sql import table as table_of
from app.base.times import instant, now
from app.base.types import wire
from app.changes.entry import FORM, entry_hash, new_salt
from app.changes.ledger import head, keep
from app.changes.model import Part, Record
from app.changes.tree import grow

_OF_OTHERS = (".follow", ".carry")
"""How the actions of entries end by which a record follows what was done to another."""

BOOKKEEPING = frozenset({"id", "version", "created_at", "updated_at"})
"""The columns that an entry has no difference of: they are its own."""


@dataclass(frozen=True)
class By:
    """Who writes: a key's id, or the name of a command."""

    id: str
    name: str


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class New(Generic[R]):
    """A record to be written, with its parts."""

    record: R
    parts: Mapping[str, Sequence[Part]]


@dataclass(frozen=True)
class Saved:
    """A record that was just written, with what differs: `{field: {"old": …, "new": …}}`. Of a new one, `new`
    has all its rows, if they are at hand.
    """

    id: str
    difference: Mapping[str, Mapping[str, Any]]
    new: New[Any] | None = None


def all_new(saved: Sequence[Saved]) -> list[New[Any]] | None:
    """The rows of records that were just written for the first time, if those of all are at hand."""
    news = [each.new for each in saved if each.new is not None]
    return news if len(news) == len(saved) else None


Follower = Callable[[WriteSession, Sequence[Saved]], None]


def _nothing(_session: ReadSession) -> Iterator[str]:
    return iter(())


@dataclass(frozen=True)
class Projection:
    """Data derived from records, such as an index or a count, in the transaction of every write: `on_saved`
    has the function that follows each kind of record, called with the records of a write after their rows.

    `keep` makes that of some records, by the ids that `ids` walks through, what it must be; `clear` removes
    all of it. `verify` yields each fault, and `totals` those that one query finds without the records.
    """

    name: str
    on_saved: Mapping[type[Record], Follower]
    ids: Callable[[ReadSession, str], Iterator[list[str]]] | None = None
    keep: Callable[[WriteSession, Sequence[str]], None] | None = None
    clear: Callable[[WriteSession], None] | None = None
    verify: Callable[[ReadSession], Iterator[str]] = _nothing
    totals: Callable[[ReadSession], Iterator[str]] = _nothing


_projections: list[Projection] = []


def install(projections: Sequence[Projection]) -> None:
    """Set what follows every write, in this order."""
    _projections[:] = projections


def tell(session: WriteSession, kind: type[Record], saved: Sequence[Saved]) -> None:
    """Bring every projection of a kind of record up to date. Raises RuntimeError if none are installed."""
    if not _projections:
        raise RuntimeError("nothing would follow this write: import app.projections")
    for projection in _projections:
        if follower := projection.on_saved.get(kind):
            follower(session, saved)


def save(
    session: WriteSession,
    record: Record,
    *,
    by: By,
    action: str,
    reason: str | None = None,
    parts: Mapping[str, Sequence[Part]] | None = None,
) -> bool:
    """Writes a record, new or changed, with the `parts` given in place of those it had, and its ledger
    entry. If nothing differs, nothing is written and the answer is False.
    """
    _refuse_others(session, record)
    if is_erased(record) and not action.endswith(_OF_OTHERS):
        raise Conflict(f"{record.id} was erased, and nothing is written to it any more.")
    old, new = _columns_before(record), _columns(record)
    parts = parts or {}
    first = record.version == 0
    for name in parts:
        kept = {} if first else part_documents(session, type(record), name, [record.id])
        old[name] = kept.get(record.id, [])
        new[name] = [_told(type(part), vars(part)) for part in parts[name]]
    difference = _difference(old, new)
    if not difference:
        return False
    at = now()
    if first:
        record.created_at = at
    record.version += 1
    record.updated_at = at
    session.add(record)
    session.flush()
    written = New(record, parts)
    _replace(session, [written], had_none=first)
    append(session, [record], [difference], by=by, action=action, reason=reason)
    whole = first and parts.keys() == record.parts.keys()
    tell(session, type(record), [Saved(record.id, difference, written if whole else None)])
    return True


def is_erased(record: Record) -> bool:
    """Return whether a record has lost all of its words (see `erasure.py`)."""
    return bool((getattr(record, "erased", None) or {}).get("whole"))


def save_all(session: WriteSession, news: Sequence[New[Any]], *, by: By, action: str) -> None:
    """Writes new records of one kind with their parts, just as `save` would one by one but for the time that
    each takes. Afterwards they are in no session: a record that is to be changed is read first.
    """
    if not news:
        return
    _refuse_others(session, None)
    kind = type(news[0].record)
    differences = []
    for new in news:
        at = now()
        vars(new.record).update(version=1, created_at=at, updated_at=at)
        differences.append(_difference_of_new(new))
    insert_rows(session, kind, [new.record for new in news])
    for name, part in kind.parts.items():
        insert_rows(session, part, [row for new in news for row in new.parts.get(name, ())])
    append(session, [new.record for new in news], differences, by=by, action=action, reason=None)
    pairs = zip(news, differences, strict=True)
    tell(session, kind, [Saved(new.record.id, difference, new) for new, difference in pairs])


def save_parts(session: WriteSession, changed: Sequence[New[R]], *, by: By, action: str) -> None:
    """Writes the given parts of records of one kind in place of those they had, just as `save` would one by
    one but for the time that each takes.
    """
    for n in range(0, len(changed), _AT_ONCE):
        _save_parts(session, changed[n : n + _AT_ONCE], by=by, action=action)


_AT_ONCE = 500


def _save_parts(session: WriteSession, changed: Sequence[New[R]], *, by: By, action: str) -> None:
    _refuse_others(session, None)
    kind, ids = type(changed[0].record), [each.record.id for each in changed]
    kept = {name: part_documents(session, kind, name, ids) for name in changed[0].parts}
    differing: list[New[R]] = []
    differences = []
    for each in changed:
        old = {name: documents.get(each.record.id, []) for name, documents in kept.items()}
        new = {name: [_told(kind.parts[name], vars(row)) for row in each.parts[name]] for name in kept}
        if difference := _difference(old, new):
            each.record.version += 1
            each.record.updated_at = now()
            differing.append(each)
            differences.append(difference)
    if not differing:
        return
    session.flush()
    _replace(session, differing)
    records = [each.record for each in differing]
    append(session, records, differences, by=by, action=action, reason=None)
    saved = zip(records, differences, strict=True)
    tell(session, kind, [Saved(record.id, difference) for record, difference in saved])


def _refuse_others(session: WriteSession, record: Record | None) -> None:
    # A flush writes whatever has changed, so another record's change would pass by its own entry.
    for other in (*session.new, *session.dirty):
        if other is not record and session.is_modified(other):
            raise RuntimeError(f"{other!r} was changed and must be saved before {record or 'others'!r}")


def _replace(session: WriteSession, changed: Sequence[New[Any]], *, had_none: bool = False) -> None:
    ids = [each.record.id for each in changed]
    kinds = [(name, kind) for name, kind in changed[0].record.parts.items() if name in changed[0].parts]
    for _, kind in () if had_none else reversed(kinds):
        session.execute(delete(table_of(kind)).where(table_of(kind).c[kind.owner].in_(ids)))
    for name, kind in kinds:
        insert_rows(session, kind, [row for each in changed for row in each.parts[name]])


def insert_rows(session: WriteSession, kind: type[SQLModel], rows: Sequence[SQLModel]) -> None:
    """Writes many rows of one table at once; only `save`, `save_all` and the replay may."""
    if rows:
        insert_many(session, kind, [*map(in_order(kind), map(vars, rows))])


def append(
    session: WriteSession,
    records: Sequence[Record],
    differences: Sequence[Mapping[str, Any]],
    *,
    by: By,
    action: str,
    reason: str | None,
) -> None:
    """Writes the entries of records that were just written; only this module and an erasure may."""
    seq, previous = head(session)
    before, asked = seq, request_id.get()
    made = []
    for record, difference in zip(records, differences, strict=True):
        seq += 1
        entry = {
            "form": FORM,
            "seq": seq,
            "at": instant(record.updated_at),
            "actor": by.id,
            "actor_name": by.name,
            "action": action,
            "resource": record.noun,
            "resource_id": record.id,
            "version": record.version,
            "difference": difference,
            "reason": reason,
            "request_id": asked,
            "previous_hash": previous,
            "salt": new_salt(),
        }
        previous = entry["hash"] = entry_hash(entry)
        made.append(entry)
    keep(session, made)
    grow(session, before, seq)


# --- documents: a record's rows as the ledger knows them ---------------------------------------


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: {"old": old.get(name), "new": new.get(name)}
        for name in sorted(old.keys() | new.keys())
        if given(old.get(name)) != given(new.get(name))
    }


def _difference_of_new(new: New[Any]) -> dict[str, dict[str, Any]]:
    """As `_difference`, for rows that are in no session and so have all their values at hand."""
    kind: type[Record] = type(new.record)
    state = vars(new.record)
    columns = {name: wire(state[name]) for name in ledger_columns(kind)}
    found = {name: {"old": None, "new": value} for name, value in columns.items() if given(value) is not None}
    for name, parts in new.parts.items():
        if parts:
            found[name] = {"old": [], "new": [_told(kind.parts[name], row) for row in map(vars, parts)]}
    return dict(sorted(found.items()))


def given(value: Any) -> Any:
    """A value to compare with another: a list of nothing is as good as none."""
    return None if value == [] else value


@cache
def _column_names(kind: type[SQLModel]) -> list[str]:
    return [attribute.key for attribute in inspect(kind).column_attrs]


@cache
def ledger_columns(kind: type[Record]) -> list[str]:
    """The columns of a record that its entries tell of."""
    return [key for key in _column_names(kind) if key not in BOOKKEEPING | kind.off_ledger]


def _columns(record: Record) -> dict[str, Any]:
    return {key: wire(getattr(record, key)) for key in ledger_columns(type(record))}


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


@cache
def _part_columns(kind: type[Part]) -> list[str]:
    return [key for key in _column_names(kind) if key not in {kind.owner, *kind.off_ledger}]


def _told(kind: type[Part], row: Mapping[str, Any]) -> dict[str, Any]:
    document = {key: wire(row[key]) for key in _part_columns(kind)}
    for key in kind.where_given:
        if document[key] is None:
            del document[key]
    return document


def part_documents(
    session: ReadSession, kind: type[Record], name: str, ids: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """One part of some records, by record id, in order."""
    part = kind.parts[name]
    rows = session.execute(_parts(part), {"ids": ids}).all()
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row._mapping[part.owner], []).append(_told(part, row._asdict()))
    return found


@cache
def _parts(kind: type[Part]) -> Query:
    table = table_of(kind)
    owner = table.c[kind.owner]
    mine = owner.in_(bindparam("ids", expanding=True))
    return select(table).where(mine).order_by(owner, *table.primary_key.columns)
