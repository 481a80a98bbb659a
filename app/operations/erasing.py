"""Erasures by command: the bytes removed from the files, and the list of erasures, read and made again."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.engine import Connection

from app.base.db import Database
from app.base.errors import Problem
from app.base.pools import SQLITE
from app.changes.erasure import covered
from app.changes.grants import check_owner
from app.changes.guard import GUARDS
from app.changes.store import By
from app.erasure import store

_PATIENCE = 30.0
"""Seconds that readers are waited for, who keep SQLite's log from being emptied."""

_COVERED = (
    "UPDATE changes SET difference = NULL, reason = NULL, actor_name = NULL, request_id = NULL "
    "WHERE form = 1 AND difference IS NOT NULL AND seq IN (SELECT seq FROM change_values)"
)


def remove_bytes(db: Database) -> int:
    """Remove what was erased from the files of the database: from entries of the first form, which are only
    covered until then, from the room that deleted rows have left, and from the log. Return how many entries
    were covered. Raise ValueError for a role that does not own the tables.
    """
    with db.write() as session:
        connection = session.connection()
        check_owner(connection)
        count = covered(session)
        if count:
            _remove_covered(connection)
    (_vacuum_file if db.sqlite else _vacuum_tables)(db)
    return count


def _remove_covered(connection: Connection) -> None:
    """Pass by the triggers that keep the ledger, within a transaction that ends with them as they were."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("ALTER TABLE changes DISABLE TRIGGER changes_no_update"))
        connection.execute(text(_COVERED))
        connection.execute(text("ALTER TABLE changes ENABLE ALWAYS TRIGGER changes_no_update"))
        return
    guard = "changes_no_update"
    connection.exec_driver_sql(f"DROP TRIGGER {guard}")
    connection.exec_driver_sql(_COVERED)
    connection.exec_driver_sql(GUARDS["sqlite"][guard])


def _vacuum_file(db: Database) -> None:
    db.dispose()
    ends = time.monotonic() + _PATIENCE
    with closing(SQLITE.connect(str(db.url.database), timeout=_PATIENCE, isolation_level=None)) as connection:
        connection.execute("VACUUM")
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > ends:
                raise ValueError(
                    "Someone reads from the database all the time, so that its log stays: run it again"
                )
            time.sleep(0.1)


def _vacuum_tables(db: Database) -> None:
    own = (
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
        "AND relkind = 'r' AND relowner = current_user::regrole ORDER BY 1"
    )
    with db.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.connection.driver_connection.patience = None  # type: ignore[union-attr]
        connection.execute(text("SET statement_timeout = 0"))
        for name in connection.execute(text(own)).scalars().all():
            connection.exec_driver_sql(f"VACUUM (FULL, ANALYZE) {name}")
        connection.invalidate()  # its settings are its own


# --- the list -------------------------------------------------------------------------------------


def read_list(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """Yield the record and the note of each erasure in a file: one of `erase --list`, an export, an answer of
    `/v1/erasures`, or entries of erasures as followers are sent them. Raise ValueError for another file.
    """
    for number, line in enumerate(lines, start=1):
        try:
            value = orjson.loads(line)
            value = value.get(
                "data", value.get("change", value)
            )  # a page or a message, or a line of an export
            rows = value.get("changes", [value]) if isinstance(value, dict) else value
            found = [each for row in rows if (each := _erasure(row))]
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ValueError(f"Line {number} is no JSON of an erasure") from None
        yield from found


def _erasure(row: Mapping[str, Any]) -> tuple[str, str] | None:
    if "record" in row and "note" in row:
        return str(row["record"]), str(row["note"])
    if str(row.get("action")).endswith(".erase"):
        return row["difference"]["erased"]["new"]["order"], row["reason"]
    return None


def make_again(
    db: Database, orders: Iterable[tuple[str, str]], *, by: By
) -> Iterator[tuple[str, str | None]]:
    """Make those erasures that a database does not know of, one by one. Yield the record of each that was
    made, and of each that could not be, with the reason.
    """
    for record, note in orders:
        try:
            with db.write() as session:
                made = store.again(session, record, note, by=by)
        except Problem as fault:
            yield record, fault.detail
        else:
            if made:
                yield record, None
