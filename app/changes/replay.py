"""A ledger that another base wrote, replayed: its entries checked and kept, and its rows made of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from itertools import groupby
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from sqlalchemy import delete, update
from sqlalchemy.exc import CompileError, DataError, IntegrityError, InterfaceError, ProgrammingError
from sqlmodel import SQLModel, col

from app.base.db import ReadSession, WriteSession
from app.base.errors import Conflict, Invalid
from app.base.sql import select
from app.base.sql import table as table_of
from app.base.types import wire
from app.changes import earlier
from app.changes.entry import Entry, effective, erasures, has_its_hash, missing
from app.changes.ledger import GENESIS, difference_of, entries, head, keep, whole
from app.changes.model import Change, Part, Record, fresh
from app.changes.store import New, Saved, given, insert_rows, ledger_columns, part_documents, tell
from app.changes.tree import grow

ORDER = ("entity", "source", "snapshot", "person", "key", "claim", "evidence", "review", "decision", "link",
         "webhook")  # fmt: skip
"""The nouns so that none refers to a later one."""

OFF_LEDGER = {"snapshot": "text", "person": "email", "key": "token_hash"}
"""The column of a noun that a replay leaves open, for `supply` to fill in."""

UNKNOWN = (
    KeyError, TypeError, ValueError, AttributeError, RecursionError,
    CompileError, DataError, IntegrityError, InterfaceError, ProgrammingError,
)  # fmt: skip
"""What a replay raises of entries that tell of what there is not."""


R = TypeVar("R", bound=SQLModel)


@cache
def kinds() -> Mapping[str, type[Record]]:
    """The record behind each noun."""
    return {kind.noun: kind for kind in Record.__subclasses__()}


def check_kinds() -> None:
    """Raise RuntimeError for a kind of record that a replay could not bring back: one that ORDER lacks, or
    has before what it refers to, whose parts no record has, or with a column that JSON does not hold.
    """
    records, parts = _below(Record), _below(Part)
    nouns = [getattr(kind, "noun", kind.__name__) for kind in records]
    if sorted(nouns) != sorted(ORDER):
        raise RuntimeError(f"a replay knows {sorted(ORDER)}, and the records are {sorted(nouns)}")
    owned = {part for kind in records for part in kind.parts.values()}
    if lost := parts - owned:
        raise RuntimeError(f"a replay does not know whose rows {sorted(each.__name__ for each in lost)} are")
    for kind in records:
        _check(kind)


def _below(kind: type[R]) -> set[type[R]]:
    """Return the classes under one, at any depth."""
    found = {*kind.__subclasses__()}
    return found.union(*(_below(each) for each in found))


def _check(kind: type[Record]) -> None:
    if kind.off_ledger and OFF_LEDGER.get(kind.noun) not in kind.off_ledger:
        raise RuntimeError(f"a replay does not know which column of a {kind.noun} is left open")
    of = {table_of(each).name: each.noun for each in _below(Record)}
    for table in (kind, *kind.parts.values()):
        for key in table_of(table).foreign_keys:
            other = of.get(key.column.table.name, kind.noun)
            if ORDER.index(other) > ORDER.index(kind.noun):
                raise RuntimeError(f"a replay writes a {kind.noun} before the {other} that it refers to")
        for name, field in table.model_fields.items():
            if odd := _bare(field.annotation) - _HELD:
                raise RuntimeError(f"a replay cannot read {table.__name__}.{name}: {odd}")


_HELD = {str, int, float, bool, list, dict, datetime, date, Decimal, NoneType}


def _bare(annotation: Any) -> set[Any]:
    """Return the types that a column's values have."""
    if get_origin(annotation) in (Union, UnionType):
        return {type_ for each in get_args(annotation) for type_ in _bare(each)}
    return {get_origin(annotation) or annotation}


class Replay:
    """Entries in their order, some hundreds at a time, brought into a base that has none of them, or those
    before them. `added` counts the new ones.
    """

    def __init__(self, session: WriteSession, *, going_on: bool = False) -> None:
        """From the first entry, or `going_on` from the last that the base has."""
        self.session = session
        self.here, last = head(session)
        self.seq, self.hash = (self.here, last) if going_on else (0, GENESIS)
        self.added = 0
        self.erased: dict[int, Entry] = {}
        """The entries without some of their values, by `seq`."""
        self.newly_erased: set[int] = set()
        """Those that new entries have erased, here too."""
        self._named: dict[int, Any] = {}

    def take(self, told: Sequence[Entry]) -> None:
        """Raises Invalid for entries that do not follow, Conflict where this base's own ledger differs."""
        for entry in told:
            self._check(entry)
        self._compare([entry for entry in told if entry["seq"] <= self.here])
        new = [entry for entry in told if entry["seq"] > self.here]
        self.added += len(new)
        for run in _runs(earlier.read(map(_made_whole, new), self._states(new))):
            _write(self.session, run)
        if new:
            keep(self.session, new)
            grow(self.session, new[0]["seq"] - 1, new[-1]["seq"])

    def _states(self, new: Sequence[Entry]) -> dict[str, earlier.State]:
        """The states of records that entries may change the words of, as the entries before leave them."""
        changed = {
            entry["resource_id"]
            for entry in new
            if entry["version"] > 1 and earlier.concerns(entry["resource"], effective(entry))
        }
        states: dict[str, earlier.State] = {}
        query = entries().where(
            col(Change.resource).in_(earlier.RESOURCES), col(Change.resource_id).in_(changed)
        )
        query = query.order_by(col(Change.seq))
        for row in self.session.execute(query) if changed else ():
            before = states.get(row.resource_id, {})
            states[row.resource_id] = earlier.after(row.resource, row.resource_id, before, difference_of(row))
        return states

    def _check(self, entry: Entry) -> None:
        try:
            follows = (entry["seq"], entry["previous_hash"]) == (self.seq + 1, self.hash)
            if not follows or entry["resource"] not in kinds() or not has_its_hash(entry):
                raise ValueError
            if entry.get("commitments") and "remains" not in entry:
                raise Invalid(
                    f"Change {entry['seq']} is without some of its values: an admin's export has all."
                )
            named = {int(seq): told for seq, told in erasures(entry).items()}
            self._named |= named
            if entry["seq"] > self.here:
                self.newly_erased |= named.keys()
            if "remains" in entry:
                self.erased[entry["seq"]] = entry
        except (KeyError, TypeError, ValueError):
            raise Invalid(f"Change {self.seq + 1} is missing or was altered; nothing was kept.") from None
        self.seq, self.hash = entry["seq"], entry["hash"]

    def check_erasures(self) -> None:
        """Raise Invalid for an entry without some of its values that no entry taken so far has erased, or of
        which something else remains, and for one that was erased and has them.
        """
        for seq in sorted(self._named.keys() | self.erased.keys()):
            if seq not in self.erased:
                raise Invalid(f"Change {seq} was erased, and has its values again.")
            if self._named.get(seq) != missing(self.erased[seq]):
                raise Invalid(f"Change {seq} is without some of its values, and no entry erased them.")

    def _compare(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        query = select(Change.seq, Change.hash).where(
            col(Change.seq).between(entries[0]["seq"], entries[-1]["seq"])
        )
        kept = {row.seq: row.hash for row in self.session.execute(query)}
        for entry in entries:
            if kept.get(entry["seq"]) != entry["hash"]:
                raise Conflict(
                    f"This base has another history: it differs from change {entry['seq']} on. "
                    "A base is brought into an empty one, or into an earlier copy of itself."
                )


def _made_whole(entry: Entry) -> Entry:
    """Return an entry with what remains of its erased values in their place."""
    return {**entry, "difference": effective(entry)} if "remains" in entry else entry


def _runs(told: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Entries that may be written at once: records that are new, or changes of different records."""
    run: list[Entry] = []
    seen: set[str] = set()
    for entry in told:
        if run and (entry["resource_id"] in seen or (entry["version"] == 1) != (run[-1]["version"] == 1)):
            yield run
            run, seen = [], set()
        run.append(entry)
        seen.add(entry["resource_id"])
    if run:
        yield run


def _write(session: WriteSession, run: Sequence[Entry]) -> None:
    by_noun = sorted(run, key=lambda entry: ORDER.index(entry["resource"]))
    for noun, group in groupby(by_noun, key=lambda entry: str(entry["resource"])):
        kind, some = kinds()[noun], list(group)
        if some[0]["version"] == 1:
            news = [_new(kind, entry) for entry in some]
            _create(session, kind, news)
            saved = [Saved(n.record.id, e["difference"] or {}, n) for n, e in zip(news, some, strict=True)]
        else:
            for entry in some:
                _change(session, kind, entry)
            saved = [Saved(entry["resource_id"], entry["difference"] or {}) for entry in some]
        tell(session, kind, saved)


def _new(kind: type[Record], entry: Entry) -> New[Any]:
    at, record_id = _instant(entry["at"]), entry["resource_id"]
    told = {name: difference["new"] for name, difference in (entry["difference"] or {}).items()}
    columns = {name: value for name, value in _values(kind, told).items() if name not in kind.parts}
    if (open_column := OFF_LEDGER.get(kind.noun)) and not table_of(kind).c[open_column].nullable:
        columns[open_column] = record_id
    record = fresh(kind, **{**_untold(kind), **columns}, id=record_id)
    vars(record).update(version=1, created_at=at, updated_at=at)
    return New(record, {name: _parts(kind, name, record_id, told.get(name) or ()) for name in kind.parts})


@cache
def _untold(kind: type[Record]) -> Mapping[str, None]:
    """What an entry says nothing of was null, or a list of nothing, unless the ledger never tells of it."""
    silent = {"id"} | kind.off_ledger
    told = {name: field for name, field in kind.model_fields.items() if name not in silent}
    return {name: None for name, field in told.items() if not isinstance(field.default, list)}


def _parts(
    kind: type[Record], name: str, record_id: str, documents: Sequence[Mapping[str, Any]]
) -> list[Any]:
    part = kind.parts[name]
    rows = [_values(part, document) for document in documents]
    return [fresh(part, **row, **part.untold(row), **{part.owner: record_id}) for row in rows]


def _create(session: WriteSession, kind: type[Record], news: Sequence[New[Any]]) -> None:
    insert_rows(session, kind, [new.record for new in news])
    for name, part in kind.parts.items():
        insert_rows(session, part, [row for new in news for row in new.parts[name]])


def _change(session: WriteSession, kind: type[Record], entry: Entry) -> None:
    record_id, table = entry["resource_id"], table_of(kind)
    told = {name: difference["new"] for name, difference in (entry["difference"] or {}).items()}
    columns = {name: value for name, value in _values(kind, told).items() if name not in kind.parts}
    columns |= {"version": entry["version"], "updated_at": _instant(entry["at"])}
    session.execute(update(table).where(table.c.id == record_id).values(columns))
    changed = [name for name in kind.parts if name in told]
    for name in reversed(changed):
        part = table_of(kind.parts[name])
        session.execute(delete(part).where(part.c[kind.parts[name].owner] == record_id))
    for name in changed:
        insert_rows(session, kind.parts[name], _parts(kind, name, record_id, told[name] or ()))


def replay_some(session: WriteSession, told: Sequence[Entry]) -> None:
    """Makes the rows of some records alone, of all whose entries, which the caller has checked; they are not
    kept.
    """
    for run in _runs(earlier.read(map(_made_whole, told), {})):
        _write(session, run)


def documents_of(session: ReadSession, kind: type[Record], record_id: str) -> dict[str, Any]:
    """Return a record as its entries tell of it, by its rows."""
    columns = select(*(table_of(kind).c[name] for name in ledger_columns(kind)))
    row = session.execute(columns.where(table_of(kind).c.id == record_id)).one()
    found = {name: wire(value) for name, value in row._mapping.items()}
    return found | {
        name: part_documents(session, kind, name, [record_id]).get(record_id, []) for name in kind.parts
    }


def _made_of(session: ReadSession, person_id: str) -> earlier.State:
    """Return the state of a person that a key of an earlier version has made, if one has."""
    key = earlier.KEY + person_id.removeprefix(earlier.PERSON)
    first = entries().where(col(Change.resource_id) == key, col(Change.version) == 1)
    if (row := session.execute(first).first()) is None:
        return {}
    made = earlier.made_of({**whole(row), "difference": difference_of(row)})
    return earlier.after("person", person_id, {}, made["difference"]) if made else {}


def remake(session: WriteSession, noun: str, record_id: str) -> None:
    """Make the rows of one record anew of its entries, of which some have lost values."""
    kind = kinds()[noun]
    state = _made_of(session, record_id) if noun == "person" else {}
    query = entries().where(col(Change.resource) == noun, col(Change.resource_id) == record_id)
    for row in session.execute(query.order_by(col(Change.seq))).all():
        state = earlier.after(noun, record_id, state, difference_of(row))
    state = earlier.today(noun, record_id, state)
    before = documents_of(session, kind, record_id)
    differing = {
        name: {"old": old, "new": state.get(name)}
        for name, old in before.items()
        if given(old) != given(state.get(name))
    }
    last = {"resource_id": record_id, "version": row.version, "at": wire(row.at)}
    _change(session, kind, {**last, "difference": differing})
    left_open = OFF_LEDGER.get(noun)
    if (state.get("erased") or {}).get("whole") and left_open and table_of(kind).c[left_open].nullable:
        table = table_of(kind)
        session.execute(update(table).where(table.c.id == record_id).values({left_open: None}))
    session.expire_all()
    tell(session, kind, [Saved(record_id, differing)])


def supply(session: WriteSession, noun: str, record_id: str, columns: Mapping[str, Any]) -> None:
    """Fills in what the ledger must not hold of a record, where the replay has left it open."""
    kind = kinds()[noun]
    if columns.keys() != kind.off_ledger:
        raise Invalid(f"What is off the ledger of a {noun} is {', '.join(sorted(kind.off_ledger))} alone.")
    table = table_of(kind)
    left_open = table.c[OFF_LEDGER[noun]]
    session.execute(
        update(table)
        .where(table.c.id == record_id, left_open.is_(None) | (left_open == table.c.id))
        .values(_values(kind, columns))
    )


# --- JSON to columns ---------------------------------------------------------------------------


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


@cache
def _readers(kind: type[SQLModel]) -> Mapping[str, Any]:
    """How the columns are read that JSON has as strings."""
    read = {datetime: _instant, date: date.fromisoformat, Decimal: Decimal}
    found = {}
    for name, field in kind.model_fields.items():
        wanted = [type_ for type_ in read if repr(type_.__name__) in _types(field.annotation)]
        if wanted:
            found[name] = read[wanted[0]]
    return found


def _types(annotation: Any) -> str:
    names = [annotation, *getattr(annotation, "__args__", ())]
    return " ".join(repr(getattr(name, "__name__", "")) for name in names)


def _values(kind: type[SQLModel], told: Mapping[str, Any]) -> dict[str, Any]:
    readers = _readers(kind)
    return {
        name: readers[name](value) if name in readers and value is not None else value
        for name, value in told.items()
    }
