"""Pools of connections, alike to SQLite and PostgreSQL."""

import math
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Engine, event
from sqlalchemy import create_engine as sqlalchemy_engine
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from app.base.caches import Cache
from app.base.files import create
from app.base.postgres import CONNECT_SECONDS, KEEPALIVE, Door, for_reading, read_url
from app.base.public import read_for_the_public

try:  # a current SQLite: those before 3.51.3 can corrupt a WAL file when it is reset
    import pysqlite3.dbapi2 as sqlite
except ImportError:
    sqlite = sqlite3

SQLITE: Any = sqlite
"""The driver for SQLite files, of which there are two."""

_WRITE_URL = "write sqlite:///record.db or postgresql://user:password@host/name"

STATEMENTS: Cache[Any, Any] = Cache(lambda _, made: 16_000 + 64 * len(made.string or ""), share=8, again=True)
"""The compiled statements of all databases. The size by length was measured. Few searches repeat the shape of
an earlier one, and a statement that is pushed out leaves a thousand objects as garbage.
"""

POOL_SECONDS = 5
_PROMPT_CONNECTIONS = 4
"""Connections to SQLite for `ask`. The event loop uses one at a time; threads ask now and then."""
_STEPS_BETWEEN_LOOKS = 500_000
"""Steps of SQLite's machine between two looks at the clock: some ten milliseconds."""


class Engines(NamedTuple):
    """The pools of connections that are read from by sessions, and by `ask`."""

    read: Engine
    prompt: Engine


def reading(url: URL, pool_size: int, door: Door, *, public: bool) -> Engines:
    """The pools that a base is read by, for the public or for those inside."""
    if url.get_backend_name() == "sqlite":
        prompt = sqlite_engine(url, _PROMPT_CONNECTIONS, patience=0, public=public)
        return Engines(sqlite_engine(url, pool_size, public=public), prompt)
    made = Engines(_pg(url, pool_size, door), _pg(url, pool_size, door, prompt=True))
    for engine in made if public else ():
        event.listen(engine, "connect", lambda connection, _entry: read_for_the_public(connection))
    return made


def engine_url(url: str) -> URL:
    """The SQLAlchemy URL with our drivers. Raises ValueError for another database, or one in memory."""
    try:
        parsed = read_url(url)
    except (ArgumentError, ValueError):
        raise ValueError(f"RECORD_DATABASE_URL is not a URL: {_WRITE_URL}") from None
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise ValueError("RECORD_DATABASE_URL: a base is kept in a file: write sqlite:///record.db")
        return parsed.set(drivername="sqlite")
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise ValueError(f"RECORD_DATABASE_URL is of another database: {_WRITE_URL}")


def _pg(url: URL, pool_size: int, door: Door, *, prompt: bool = False) -> Engine:
    """`prompt` connections are for one SELECT at a time: that a server is there is not asked first."""
    options = {"statement_timeout": 1000 * door.seconds, "timezone": "UTC"}
    options |= {f"tcp_{name}": value for name, value in KEEPALIVE.items()}
    options |= {"default_transaction_read_only": "on"} if prompt else {}
    engine = sqlalchemy_engine(
        for_reading(url) if prompt else url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        pool_pre_ping=not prompt,
        execution_options={"compiled_cache": STATEMENTS},
        hide_parameters=True,  # what was asked is nothing for a log
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "client_encoding": "utf8",  # whatever the database or the environment say
            "application_name": "on-the-record",
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            "autocommit": prompt,
            **KEEPALIVE,
        },
    )
    return door.guard(engine, prompt=prompt)


def sqlite_engine(
    url: URL, pool_size: int, *, writes: bool = False, patience: int | None = None, public: bool = False
) -> Engine:
    """Return a pool of connections. A pool of one for writing is the queue in which writers wait their turn.

    `patience` is the time in seconds to wait for a connection and for a lock of the file (None: the usual).
    """
    for_a_connection = 30 if writes else POOL_SECONDS
    engine = sqlalchemy_engine(
        url,
        module=sqlite,
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=for_a_connection if patience is None else patience,
        execution_options={"compiled_cache": STATEMENTS},
        hide_parameters=True,
        connect_args={
            "check_same_thread": False,
            "timeout": 30 if patience is None else patience,
            "isolation_level": None,
        },
    )

    @event.listens_for(engine, "do_connect")
    def _create(*_: object) -> None:
        if writes and not os.path.exists(str(url.database)):  # SQLite would let others read it
            with suppress(OSError):  # SQLite says what is wrong
                create(Path(str(url.database)), b"")

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, entry: ConnectionPoolEntry) -> None:
        if public:
            read_for_the_public(connection)
        cursor = connection.cursor()
        # Only a writer creates the file or turns it to WAL; FULL, or a power cut loses commits.
        pragmas = ["journal_mode=WAL", "synchronous=FULL"] if writes else ["query_only=ON"]
        for pragma in (*pragmas, "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        connection.set_progress_handler(
            lambda: time.thread_time() > entry.info.get("until", math.inf), _STEPS_BETWEEN_LOOKS
        )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # The driver's own BEGIN is deferred, and then fails with "database is locked" under load.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
