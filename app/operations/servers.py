"""What is looked at in the database itself: SQLite's file and library, PostgreSQL's server."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import text

from app.base.db import Database, ReadSession
from app.base.pools import SQLITE
from app.base.times import now
from app.changes.grants import APPEND_ONLY, ERASED_FROM, READ_ONLY
from app.operations.backup import damage
from app.operations.clients import Clients

Looked = Iterator[tuple[str, Literal["ok", "warning", "fault"], str]]

SOUND_SQLITE = (3, 51, 3)
"""Versions before it can corrupt a WAL file when it is reset."""

LONG_LOG = 256 * 1024 * 1024
OLDEST_SERVER = 14
LAG_BYTES = 64 * 1024 * 1024
SKEW = timedelta(seconds=1)
"""How far the clocks of API and database may be apart without a word."""


def examine(db: Database, pool_size: int) -> Looked:
    """What is looked at, its state, and more. Raises Unavailable."""
    if db.sqlite:
        with db.read() as session:
            yield from _sqlite(db, session)
    else:
        with db.read() as session:
            yield from _server(session)
            yield from _role(session)
            yield from _durability(session)
            yield from _standbys(session)
            yield from _connections(session, pool_size)
            yield from _skew(session)
        yield from _clients(db)


# --- SQLite ------------------------------------------------------------------------------------


def _sqlite(db: Database, session: ReadSession) -> Looked:
    version = SQLITE.sqlite_version
    if tuple(SQLITE.sqlite_version_info) < SOUND_SQLITE:
        sound = ".".join(map(str, SOUND_SQLITE))
        yield "sqlite", "warning", f"{version}: before {sound} a WAL file can be corrupted when it is reset"
    else:
        yield "sqlite", "ok", version
    found = [*damage(session)]
    for fault in found:
        yield "file", "fault", fault
    if not found:
        yield "file", "ok", "pages, indexes and references hold"
    yield from _log(db, session)


def _log(db: Database, session: ReadSession) -> Looked:
    mode = session.connection().exec_driver_sql("PRAGMA journal_mode").scalar_one()
    if mode != "wal":
        yield "log", "warning", f"journal_mode is {mode}: readers and the writer wait for each other"
        return
    with closing(db.writer.raw_connection()) as connection:
        [(synchronous,)] = connection.cursor().execute("PRAGMA synchronous").fetchall()
    if synchronous < 2:
        yield "log", "fault", "synchronous is not FULL: a power cut loses commits"
    base = Path(str(db.url.database))
    log = base.with_name(base.name + "-wal")
    if log.exists() and log.stat().st_size > LONG_LOG:
        yield "log", "warning", f"{log} has {log.stat().st_size / 1e6:,.0f} MB: a reader does not end"
    if synchronous >= 2:
        yield "log", "ok", "WAL, every commit on disk before its answer"


# --- PostgreSQL --------------------------------------------------------------------------------


def _one(session: ReadSession, query: str) -> Any:
    return session.execute(text(query)).scalar_one()


def _shown(session: ReadSession, name: str) -> str:
    return str(_one(session, f"SHOW {name}"))


def _server(session: ReadSession) -> Looked:
    version = _shown(session, "server_version")
    old = int(_shown(session, "server_version_num")) // 10000 < OLDEST_SERVER
    yield "server", "fault" if old else "ok", f"PostgreSQL {version}"
    encoding = _shown(session, "server_encoding")
    if encoding != "UTF8":
        yield "encoding", "fault", f"{encoding}: not every name can be kept; make the database with UTF8"
    elif not _one(session, "SELECT lower('Ж') = 'ж'"):
        yield "encoding", "fault", "LC_CTYPE knows no letters but ASCII's: make the database with C.UTF-8"
    else:
        yield "encoding", "ok", encoding
    if _one(session, "SELECT pg_is_in_recovery()"):
        yield "server", "fault", "This is a standby: it can only be read"


_TOO_MUCH = """
  WITH own AS (SELECT oid, relname, relowner FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
      AND relowner = (SELECT relowner FROM pg_class WHERE oid = to_regclass(:read_only)))
  SELECT 'is a superuser' FROM pg_roles WHERE rolname = current_user AND rolsuper
  UNION ALL SELECT 'may ' || what FROM pg_roles, LATERAL (VALUES
      (rolcreaterole, 'make roles'), (rolcreatedb, 'make databases'), (rolreplication, 'copy the server'),
      (rolbypassrls, 'pass by row-level security')) AS may (it, what)
    WHERE rolname = current_user AND it AND NOT rolsuper
  UNION ALL SELECT 'owns the tables: it could disable the ledger''s triggers'
    WHERE EXISTS (SELECT FROM own WHERE pg_has_role(relowner, 'MEMBER'))
  UNION ALL SELECT 'may create in the schema' WHERE has_schema_privilege(current_schema(), 'CREATE')
  UNION ALL SELECT 'may ' || what || ' ' || relname FROM own, unnest(
      ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS what
    WHERE NOT pg_has_role(relowner, 'MEMBER') AND has_table_privilege(oid, what)
      AND (relname = :read_only OR what IN ('TRUNCATE', 'TRIGGER')
           OR relname = ANY(:append_only) AND what <> 'INSERT'
           OR relname = :erased_from AND what = 'DELETE')"""
_TOO_LITTLE = """
  SELECT what || ' on ' || relname
  FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS what
  WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
    AND relowner = (SELECT relowner FROM pg_class WHERE oid = to_regclass(:read_only))
    AND NOT has_table_privilege(pg_class.oid, what)
    AND (what = 'SELECT' OR relname <> :read_only)
    AND (what IN ('SELECT', 'INSERT') OR relname <> ALL(:append_only))
    AND (what <> 'DELETE' OR relname <> :erased_from)"""


def _role(session: ReadSession) -> Looked:
    """A server needs to write rows, and to add to the ledger and the log; nothing else."""
    tables = {"read_only": READ_ONLY, "erased_from": ERASED_FROM, "append_only": [*APPEND_ONLY]}
    role = _one(session, "SELECT current_user")
    too_much = session.execute(text(_TOO_MUCH), tables).scalars().all()
    too_little = session.execute(text(_TOO_LITTLE), tables).scalars().all()
    for privilege in too_much:
        yield "user", "warning", f"{role} {privilege}; a server only writes rows (docs/operations.md, Roles)"
    if too_little:
        lacks = f"{', '.join(too_little[:3])}{' and more' if too_little[3:] else ''}"
        yield "user", "fault", f"{role} lacks {lacks}: python -m app migrate, as the tables' owner"
    if not too_much and not too_little:
        yield "user", "ok", f"{role} writes rows, and only adds to the ledger"


def _durability(session: ReadSession) -> Looked:
    lost = {
        "fsync": "a power cut can corrupt the base",
        "full_page_writes": "a power cut can corrupt the base",
        "synchronous_commit": "a crash loses commits that were answered",
    }
    off = [name for name in lost if _shown(session, name) == "off"]
    for name in off:
        yield "durability", "fault", f"{name} is off: {lost[name]}"
    if _shown(session, "data_checksums") == "off":
        yield "durability", "warning", "data_checksums are off: a page that rots is not noticed"
    if not off:
        yield "durability", "ok", f"synchronous_commit is {_shown(session, 'synchronous_commit')}"


_STANDBYS = """SELECT coalesce(nullif(application_name, ''), pid::text) AS name, sync_state AS state,
  pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(replay_lsn, flush_lsn, write_lsn, sent_lsn)) AS behind
  FROM pg_stat_replication WHERE NOT pg_is_in_recovery() ORDER BY 1"""


def _standbys(session: ReadSession) -> Looked:
    rows = session.execute(text(_STANDBYS)).all()
    for row in rows:
        behind = "an unknown amount" if row.behind is None else f"{int(row.behind):,} bytes"
        late = row.behind is None or row.behind > LAG_BYTES
        yield "standby", "warning" if late else "ok", f"{row.name} ({row.state}) is {behind} behind"
    named = _shown(session, "synchronous_standby_names")
    if named and not any(row.state in ("sync", "quorum") for row in rows):
        yield "standby", "fault", f"synchronous_standby_names is {named} and none is there: commits wait"


def _connections(session: ReadSession, pool_size: int) -> Looked:
    most = int(_shown(session, "max_connections"))
    own = 2 * pool_size  # one pool for requests, one for what is read at once
    if own > most:
        yield "connections", "warning", f"one process may want {own}, the server has {most}: RECORD_POOL_SIZE"
    else:
        yield "connections", "ok", f"{own} of the server's {most} at most for each process"


def _skew(session: ReadSession) -> Looked:
    before = now()
    theirs: datetime = _one(session, "SELECT clock_timestamp()")
    after = now()
    apart = max(before - theirs, theirs - after, timedelta())
    said = f"{apart.total_seconds():.3f} s between this machine and the database"
    state: Literal["ok", "warning"] = "warning" if apart > SKEW else "ok"
    yield "clock", state, said


def _clients(db: Database) -> Looked:
    try:
        found = Clients(db)
    except ValueError as fault:
        yield "backups", "warning", str(fault)
    else:
        yield "backups", "ok", f"client programs of version {found.major} in {found.directory}"
