"""The table of the ledger: how entries are kept, and read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Row, case, func
from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.page import Page, Question, page
from app.base.prepared import Prepared
from app.base.sql import Query, in_order, insert_many, select
from app.base.sql import table as table_of
from app.base.types import wire
from app.changes.contexts import without_contexts
from app.changes.entry import Entry
from app.changes.hidden import as_seen
from app.changes.model import Change, ChangeValues
from app.changes.workers import with_organisations

GENESIS = "0" * 64
"""The `previous_hash` of the first entry."""

_ENTRY = ("seq", "at", "actor", "actor_name", "action", "resource", "resource_id", "version",
          "difference", "reason", "request_id", "previous_hash", "hash")  # fmt: skip
_BESIDE = ("actor_name", "difference", "reason", "request_id")
"""The values of an entry that ChangeValues has, but for one of the first form."""

_SALTED = ("salt", "salts", "commitments", "remains")


def keep(session: WriteSession, made: Sequence[Entry]) -> None:
    """Write entries, which the caller has checked, as their documents have them. Only `save` and the replay
    may.
    """
    kept = [*map(rows_of, made)]
    insert_many(session, Change, [in_order(Change)(row) for row, _ in kept])
    insert_many(session, ChangeValues, [in_order(ChangeValues)(values) for _, values in kept if values])


def rows_of(entry: Entry) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the row of an entry in `changes` and, unless it is of the first form, the one beside it."""
    row = dict.fromkeys(table_of(Change).columns.keys())
    row |= {**entry, "at": datetime.fromisoformat(entry["at"]), "form": entry.get("form", 1)}
    row["difference"] = orjson.dumps(entry["difference"]).decode()
    if row["form"] == 1 and "remains" not in entry:
        return row, None
    values = dict.fromkeys(table_of(ChangeValues).columns.keys())
    values |= {name: row[name] for name in ("seq", *_BESIDE)}
    values |= {name: _json(entry.get(name)) for name in _SALTED}
    if row["form"] == 1:
        values["reason"] = entry["remains"].get("reason")
    return {**row, **dict.fromkeys(_BESIDE)}, values


def _json(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def whole(row: Row[Any]) -> dict[str, Any]:
    """Return an entry, read by `entries`, with what remains of erased values, which is for rows to be made of
    and for exports.
    """
    entry = document(row)
    return entry if row.remains is None else {**entry, "remains": orjson.loads(row.remains)}


def difference_of(row: Row[Any]) -> Mapping[str, Any]:
    """Return what rows are made of by an entry, read by `entries`."""
    told = orjson.loads(row.difference or "null") or {}
    return told if row.remains is None else {**told, **orjson.loads(row.remains)["difference"]}


def document(row: Row[Any]) -> dict[str, Any]:
    """Return an entry, read by `entries`, as JSON has it."""
    entry = {name: wire(getattr(row, name)) for name in _ENTRY}
    entry["difference"] = entry["difference"] and orjson.loads(entry["difference"])
    if row.form == 1:
        return entry if row.remains is None else {**entry, "reason": None}
    entry = {"form": row.form, **entry}
    if row.salt is not None:
        entry["salt"] = row.salt
    for name in ("salts", "commitments"):
        if (kept := getattr(row, name)) is not None:
            entry[name] = orjson.loads(kept)
    return entry


def entries() -> Query:
    """The query for entries, to which a list adds its filters."""
    return select(
        *map(told, _ENTRY), Change.form, *(getattr(ChangeValues, name) for name in _SALTED)
    ).outerjoin(ChangeValues, col(ChangeValues.seq) == col(Change.seq))


def told(name: str) -> ColumnElement[Any]:
    """Return what has a value of an entry in the query for them. An entry of the first form that has lost
    values may still have them in its own row.
    """
    kept: ColumnElement[Any] = getattr(Change, name)
    if name not in _BESIDE:
        return kept
    beside: ColumnElement[Any] = getattr(ChangeValues, name)
    covered = (col(Change.form) == 1) & col(ChangeValues.remains).is_not(None)
    return case((covered, beside), else_=func.coalesce(kept, beside)).label(name)


def history(
    session: ReadSession, noun: str, record_id: str, ask: Question, after: Sequence[Any] | None
) -> Page[Entry]:
    """A page of the entries of one record."""
    query = entries().where(col(Change.resource) == noun, col(Change.resource_id) == record_id)
    found = page(session, query, [col(Change.seq)], ask, after)
    whole = without_contexts(session, [document(row) for row in found.rows])
    return Page(with_organisations(session, whole, as_seen(session, whole)), found.last)


@cache
def last_hash() -> Prepared:
    """The hash of the last entry: what is read of the base while it stays the same is the same."""
    return Prepared(select(Change.hash).order_by(col(Change.seq).desc()).limit(1))


def last_seq() -> Query:
    """The query for the `seq` of the last entry, which is the base's position: what is read at a position has
    all that was written up to it.
    """
    return select(Change.seq).order_by(col(Change.seq).desc()).limit(1)


@cache
def last_position() -> Prepared:
    """The same, prepared."""
    return Prepared(last_seq())


def head(session: ReadSession) -> tuple[int, str]:
    """The last entry's seq and hash; (0, GENESIS) in an empty base."""
    row = session.execute(_last()).first()
    return (row.seq, row.hash) if row else (0, GENESIS)


@cache
def _last() -> Query:
    return select(Change.seq, Change.hash).order_by(col(Change.seq).desc()).limit(1)
