"""The walk through the whole ledger, which checks it and the rows against each other."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from heapq import merge
from itertools import groupby, islice
from types import SimpleNamespace
from typing import Any

import orjson
from sqlalchemy import Row, bindparam, func
from sqlmodel import col

from app.base.db import ReadSession
from app.base.notes import Checkpoint
from app.base.sql import Query, select
from app.base.sql import table as table_of
from app.base.times import instant
from app.base.types import wire
from app.changes import earlier
from app.changes.entry import entry_hash, erasures, missing
from app.changes.guard import verify as verify_guard
from app.changes.ledger import GENESIS, difference_of, entries, whole
from app.changes.model import Change, ChangeValues, Record
from app.changes.store import BOOKKEEPING, given, ledger_columns, part_documents
from app.changes.tree import Walk
from app.changes.tree import verify as verify_tree

_BATCH = 500

UNREADABLE = (ValueError, TypeError, ArithmeticError)
"""What reading a row raises that holds what no such column can, which SQLite lets it."""


def verify(session: ReadSession, signed: Checkpoint | None = None) -> Iterator[str]:
    """Walks the whole ledger, then replays it and compares with the rows. Yields each fault found:
    a gap, a broken link, an altered entry, a record that differs from its history or has none, a node of its
    tree that is not what the entries make, and that they are not those that a checkpoint was signed for.
    """
    walk = Walk([signed.size] if signed else [])
    yield from verify_guard(session)
    yield from _verify_chain(session, walk)
    yield from _verify_values(session)
    yield from verify_tree(session, walk)
    if signed:
        yield from _verify_checkpoint(walk, signed)
    told = set(session.execute(select(Change.resource).distinct()).scalars())
    rows = session.execute(_counts()).one()
    if "key" in told:
        told.add("person")  # which keys of earlier versions are
    for kind, there in zip(record_kinds(), rows, strict=True):
        seen = (yield from _verify_records(session, kind)) if kind.noun in told else 0
        if there > seen:
            yield f"{kind.noun}: {there - seen} rows have no history"


def _verify_checkpoint(walk: Walk, signed: Checkpoint) -> Iterator[str]:
    if signed.size > walk.size:
        yield (
            f"the ledger ends at change {walk.size}, and the checkpoint was signed when it had {signed.size}"
        )
    elif walk.roots[signed.size] != signed.root:
        yield (
            f"the first {signed.size} changes are not those that the checkpoint was signed for: "
            "history was rewritten, or this is a fork of it"
        )


def record_kinds() -> list[type[Record]]:
    """Every noun that has a history, in the order of its table's name."""
    return sorted(Record.__subclasses__(), key=lambda kind: kind.noun)


def _verify_chain(session: ReadSession, walk: Walk) -> Iterator[str]:
    seq, previous = 0, GENESIS
    erased = _Erased()
    for row in _entries(session):
        if row is None:
            yield f"change {seq + 1}, or one soon after: holds what no such column can; the walk ends here"
            return
        seq += 1
        if row.seq != seq:
            yield f"change {row.seq}: {seq} was expected, so entries are missing or out of order"
            seq = row.seq
        if row.previous_hash != previous:
            yield f"change {row.seq}: does not follow from the entry before it"
        if row.form > 1 and row.salt is None and row.remains is None:
            yield f"change {row.seq}: some of its values are gone, and no entry erased them"
        digest = _recomputed_hash(row)
        erased.note(row)
        if row.hash != digest:
            yield f"change {row.seq}: was altered, its hash does not match"
        walk.add(digest or GENESIS)
        previous = row.hash
    yield from erased.faults()


class _Erased:
    """The entries that have lost values, and those that entries of erasures name."""

    def __init__(self) -> None:
        self.missing: dict[int, Any] = {}
        self.named: dict[int, Any] = {}

    def note(self, row: Row[Any]) -> None:
        """Look at an entry, in order."""
        with suppress(*_NO_ENTRY):
            entry = whole(row)
            if told := missing(entry):
                self.missing[row.seq] = told
            self.named |= {int(seq): told for seq, told in erasures(entry).items()}

    def faults(self) -> Iterator[str]:
        """Yield each entry of which one thing is missing and another was erased."""
        for seq in sorted(self.missing.keys() | self.named.keys()):
            there, named = self.missing.get(seq), self.named.get(seq)
            if there is None:
                yield f"change {seq}: was erased, and has its values again"
            elif named is None or there["values"] != named["values"]:
                yield f"change {seq}: some of its values are gone, and no entry erased them"
            elif there != named:
                yield f"change {seq}: what remains of its erased values was altered"


def _verify_values(session: ReadSession) -> Iterator[str]:
    """Values that no entry has, as when entries were removed."""
    entry = table_of(Change)
    values = table_of(ChangeValues)
    has = (entry.c.form > 1) | values.c.remains.is_not(None)
    query = select(values.c.seq).outerjoin(entry, (entry.c.seq == values.c.seq) & has)
    for seq in session.execute(query.where(entry.c.seq.is_(None)).order_by(values.c.seq)).scalars():
        yield f"change {seq}: has values, and is no such entry"


def _entries(session: ReadSession) -> Iterator[Row[Any] | None]:
    """All entries; None for one that cannot be read, and then no more."""
    query = entries().order_by(col(Change.seq)).execution_options(yield_per=_BATCH)
    try:
        yield from session.execute(query)
    except UNREADABLE:
        yield None


def _recomputed_hash(row: Row[Any]) -> str | None:
    if row.form == 1 and row.remains is not None:  # its values are gone, and the chain covers its hash
        return str(row.hash)
    try:
        return entry_hash(whole(row))
    except (ValueError, TypeError):
        return None


@cache
def _counts() -> Query:
    """The query for how many rows each kind of record has."""
    counts = (select(func.count()).select_from(table_of(kind)) for kind in record_kinds())
    return select(*(count.scalar_subquery() for count in counts))


def _verify_records(session: ReadSession, kind: type[Record]) -> Generator[str, None, int]:
    """Return how many records of a kind have a history."""
    seen = 0
    replayed = (
        (record_id, _replay(kind.noun, record_id, list(changes)))
        for record_id, changes in groupby(_changes(session, kind.noun), lambda row: row.resource_id)
    )
    while some := list(islice(replayed, _BATCH)):
        seen += len(some)
        yield from _compare_all(session, kind, some)
    return seen


def _changes(session: ReadSession, noun: str) -> Iterator[Any]:
    """All entries of a kind, by record, and what entries of earlier versions stand for."""
    told = session.execute(_histories(), {"noun": noun})
    if noun != "person":
        return told
    keys = session.execute(_histories(), {"noun": "key"}).all()
    return merge(filter(None, map(_person, keys)), told, key=lambda row: row.resource_id)


def _person(key: Row[Any]) -> Any:
    with suppress(*_NO_ENTRY):
        if made := earlier.made_of({**whole(key), "difference": difference_of(key)}):
            difference = orjson.dumps(made["difference"])
            return SimpleNamespace(**{**made, "at": key.at, "difference": difference, "remains": None})
    return None


@cache
def _histories() -> Query:
    """The query for all entries of a kind, by record."""
    return (
        entries()
        .where(col(Change.resource) == bindparam("noun"))
        .order_by(col(Change.resource_id), col(Change.seq))
        .execution_options(yield_per=_BATCH)
    )


def _compare_all(
    session: ReadSession, kind: type[Record], some: Sequence[tuple[str, Mapping[str, Any]]]
) -> Iterator[str]:
    try:
        kept = _documents(session, kind, [record_id for record_id, _ in some])
    except UNREADABLE:
        if len(some) == 1:
            yield f"{kind.noun} {some[0][0]}: a row holds what no such column can"
        else:  # which of them it is shows one by one
            for each in some:
                yield from _compare_all(session, kind, [each])
        return
    for record_id, expected in some:
        yield from _compare(kind.noun, record_id, expected, kept.get(record_id))


_NO_ENTRY = (ValueError, TypeError, KeyError, AttributeError)
"""What following an entry raises that is none: the walk of the chain has named it."""


def _replay(noun: str, record_id: str, changes: Sequence[Any]) -> dict[str, Any]:
    state: earlier.State = {}
    for change in changes:
        with suppress(*_NO_ENTRY):
            state = earlier.after(noun, record_id, state, difference_of(change))
    with suppress(*_NO_ENTRY):
        state = earlier.today(noun, record_id, state)
    first, last = changes[0], changes[-1]
    return {
        **state,
        "version": last.version,
        "created_at": instant(first.at),
        "updated_at": instant(last.at),
    }


def _documents(session: ReadSession, kind: type[Record], ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    names = [*ledger_columns(kind), *sorted(BOOKKEEPING - {"id"})]
    rows = session.execute(_rows(kind), {"ids": ids}).all()
    found = {row.id: {name: wire(row._mapping[name]) for name in names} for row in rows}
    for part in kind.parts:
        children = part_documents(session, kind, part, ids)
        for record_id, state in found.items():
            state[part] = children.get(record_id, [])
    return found


@cache
def _rows(kind: type[Record]) -> Query:
    table = table_of(kind)
    names = ("id", *ledger_columns(kind), *sorted(BOOKKEEPING - {"id"}))
    mine = table.c.id.in_(bindparam("ids", expanding=True))
    return select(*(table.c[name] for name in names)).where(mine)


def _compare(
    noun: str, record_id: str, expected: Mapping[str, Any], kept: Mapping[str, Any] | None
) -> Iterator[str]:
    if kept is None:
        yield f"{noun} {record_id}: its rows are gone"
        return
    for field in sorted(expected.keys() | kept.keys()):
        if given(expected.get(field)) != given(kept.get(field)):
            yield f"{noun} {record_id}: {field} is not what its history says"
