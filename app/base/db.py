"""Engines, sessions and the one transaction of a request, alike on SQLite and PostgreSQL."""

import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psycopg
from sqlalchemy import Engine, event, text
from sqlalchemy import create_engine as sqlalchemy_engine
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool
from sqlmodel import SQLModel

from app.base.caches import Cache
from app.base.errors import Busy, Unavailable
from app.base.files import create
from app.base.outages import OTHERS_WRITE, cause_of, check_reach, outage_is_a_problem
from app.base.postgres import (
    CONNECT_SECONDS,
    KEEPALIVE,
    STATEMENT_SECONDS,
    Door,
    for_reading,
    read_url,
)
from app.base.prepared import NotAtOnce, Prepared

try:  # a current SQLite: those before 3.51.3 can corrupt a WAL file when it is reset
    import pysqlite3.dbapi2 as sqlite
except ImportError:
    sqlite = sqlite3

SQLITE: Any = sqlite
"""The driver for SQLite files, of which there are two."""

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

WRITE_LOCK = 0x6F74720001
"""PostgreSQL advisory lock of the one writer at a time, so that the ledger's seq has no gap."""

_WRITE_URL = "write sqlite:///record.db or postgresql://user:password@host/name"

STATEMENTS: Cache[Any, Any] = Cache(lambda _, made: 16_000 + 64 * len(made.string or ""))
"""What statements were compiled to, of all databases. How much one takes by its length was measured."""

POOL_SECONDS = 5
_PROMPT_CONNECTIONS = 4
"""Connections to SQLite for `ask`. The event loop uses one at a time; threads ask now and then."""
_STEPS_BETWEEN_LOOKS = 500_000
"""Steps of SQLite's machine between two looks at the clock: some ten milliseconds."""

IN_DOUBT = (
    "The database was lost while the change was being kept, so that it is not known whether it was. "
    "With the same Idempotency-Key it is safe to send it again."
)


class ReadSession(Session):
    """A session that reads. Its connection refuses to write, at the database."""


class WriteSession(ReadSession):
    """A session that writes, one at a time; only a request's boundary commits it."""


class Readable(Protocol):
    """What is read from: a base, or whichever of its servers suits."""

    @property
    def reader(self) -> Engine:
        """Whose names are in memory apart from those of others."""

    def read(self, *, patiently: bool = False) -> AbstractContextManager[ReadSession]:
        """As `Database.read`."""

    def ask(self, question: "Prepared", given: Mapping[str, Any]) -> Sequence[Any] | None:
        """As `Database.ask`."""


T = TypeVar("T")


class Database:
    """The base's two doors: `read()` and `write()`, each one transaction."""

    def __init__(
        self,
        url: str,
        pool_size: int = 20,
        read_seconds: int | None = None,
        guard: Callable[[Connection], None] | None = None,
    ) -> None:
        """`read_seconds` is how long one reading may keep SQLite busy (None: as long as it likes), and one
        statement PostgreSQL (None: STATEMENT_SECONDS). `guard` raises where a transaction may not write.
        """
        self.guard = guard
        self.url = engine_url(url)
        self.read_seconds = read_seconds
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self._file = self.url.database if self.sqlite else None
        door = Door(read_seconds or STATEMENT_SECONDS)
        self.reader = _sqlite(self.url, pool_size) if self.sqlite else _pg(self.url, pool_size, door)
        self.writer = _sqlite(self.url, 1, writes=True) if self.sqlite else self.reader
        self._prompt = (
            _sqlite(self.url, _PROMPT_CONNECTIONS, patience=0)
            if self.sqlite
            else _pg(self.url, pool_size, door, prompt=True)
        )

    @property
    def pools(self) -> dict[str, Engine]:
        """The pools of connections, by what they are for."""
        if self.sqlite:
            return {"read": self.reader, "write": self.writer, "read at once": self._prompt}
        return {"read and write": self.reader, "read at once": self._prompt}

    @property
    def missing(self) -> bool:
        """Whether this is a SQLite file that is not there."""
        return self._file is not None and not os.path.exists(self._file)

    @contextmanager
    def read(self, *, patiently: bool = False) -> Iterator[ReadSession]:
        """A snapshot of the base. Raises Unavailable if the database is away, or busy with it for longer than
        `read_seconds`, unless that is to be waited for.
        """
        if self.missing:  # to connect would make an empty one
            file = Path(str(self._file))
            check_reach(file)
            cause = f"there is no base at {file}: python -m app migrate makes one"
            raise Unavailable("The database was not made yet.", cause=cause)
        options = {} if self.sqlite else {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
        with (
            outage_is_a_problem(self.url),
            self.reader.connect().execution_options(**options) as connection,
            ReadSession(connection, autoflush=False) as session,
            _until(connection.info, None if patiently else self.read_seconds),
        ):
            yield session

    def ask(self, question: "Prepared", given: Mapping[str, Any]) -> Sequence[Any] | None:
        """The rows of one SELECT, which is a snapshot by itself, without the cost of a session. None if the
        database does not answer at once: `read` then says why, or manages.
        """
        return self.promptly(lambda connection: question.rows(connection, given, sqlite=self.sqlite))

    def promptly(self, work: Callable[[PoolProxiedConnection], T]) -> T | None:
        """Return the result of some work on a connection for `ask`, or None if the database does not answer
        at once. On SQLite the event loop calls it, so that it waits for neither a connection nor a lock.
        """
        if self.missing:
            return None
        connection = None
        try:
            connection = self._prompt.raw_connection()
            return work(connection)
        except (sqlite.Error, psycopg.Error, SQLAlchemyError):
            if connection is not None:
                connection.invalidate()
            return None
        finally:
            if connection is not None:
                connection.close()

    @contextmanager
    def write(self) -> Iterator[WriteSession]:
        """A transaction that is committed if the block ends well, and else leaves no trace.

        The lock of the only writer is taken by its first statement. Raises Unavailable.
        """
        with (
            outage_is_a_problem(self.url, writing=True),
            self.writer.connect() as connection,
            WriteSession(connection, autoflush=False, expire_on_commit=False) as session,
        ):
            event.listen(session, "after_begin", lambda _session, _transaction, begun: self._begin(begun))
            yield session
            try:
                session.commit()
            except BaseException as fault:
                # SQLite leaves the transaction open, and its one writer would never begin another.
                connection.invalidate()
                if isinstance(fault, DBAPIError) and _in_doubt(fault):
                    raise Unavailable(IN_DOUBT, cause=cause_of(fault.orig or fault, self.url)) from fault
                raise

    @contextmanager
    def schema_change(self) -> Iterator[Connection]:
        """A transaction that alters tables. On SQLite, which rebuilds a table to alter it, foreign keys are
        off meanwhile (dropping the old one would take the rows that refer to it along), then checked.
        """
        with outage_is_a_problem(self.url, writing=True), self.writer.connect() as connection:
            if self.sqlite:  # has no effect once the transaction has begun
                connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
            try:
                with connection.begin():
                    if not self.sqlite:
                        connection.execute(text("SET LOCAL statement_timeout = 0"))
                        connection.connection.driver_connection.patience = None  # type: ignore[union-attr]
                    self._take_turn(connection)
                    yield connection
                    if self.sqlite:
                        _check_references(connection)
            finally:
                connection.invalidate()  # its foreign keys are off

    def _begin(self, connection: Connection) -> None:
        self._take_turn(connection)
        if self.guard:
            self.guard(connection)

    def _take_turn(self, connection: Connection) -> None:
        if self.sqlite:  # has taken its turn by BEGIN IMMEDIATE
            return
        try:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": WRITE_LOCK})
        except DBAPIError as fault:
            if isinstance(fault.orig, psycopg.errors.QueryCanceled):
                raise Busy(OTHERS_WRITE) from fault
            raise

    def dispose(self) -> None:
        """Closes every connection."""
        for engine in (self.reader, self.writer, self._prompt):
            engine.dispose()


@contextmanager
def _until(info: dict[str, Any], seconds: int | None) -> Iterator[None]:
    """Has SQLite interrupt what a connection does after so many seconds of this thread's processor time: on a
    busy machine a short reading lasts long. PostgreSQL sees to that itself, by the clock.
    """
    info["until"] = math.inf if seconds is None else time.thread_time() + seconds
    try:
        yield
    finally:
        info["until"] = math.inf


Asker = Callable[[Prepared, Mapping[str, Any]], Sequence[Any]]
"""Gives the rows of a prepared SELECT: `at_once`, or `within` a session."""


def at_once(base: Readable) -> Asker:
    """An Asker without a session, which raises NotAtOnce."""

    def ask(question: Prepared, given: Mapping[str, Any]) -> Sequence[Any]:
        rows = base.ask(question, given)
        if rows is None:
            raise NotAtOnce
        return rows

    return ask


def within(session: ReadSession) -> Asker:
    """An Asker in the snapshot of a session."""
    connection = session.connection()
    on_sqlite = connection.dialect.name == "sqlite"

    def ask(question: Prepared, given: Mapping[str, Any]) -> Sequence[Any]:
        words, own = question.words(sqlite=on_sqlite)
        return connection.exec_driver_sql(words, {**own, **given}).all()

    return ask


def interruption(session: ReadSession) -> Callable[[], object]:
    """Return what has the database give up what a session is doing, for another thread to call."""
    driver: Any = session.connection().connection.driver_connection
    if isinstance(driver, psycopg.Connection):
        return partial(driver.cancel_safe, timeout=POOL_SECONDS)
    return driver.interrupt  # type: ignore[no-any-return]


def _check_references(connection: Connection) -> None:
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
        raise RuntimeError(f"the migration would break {len(broken)} references")


def _in_doubt(fault: DBAPIError) -> bool:
    """Whether a commit that failed so may have been kept all the same."""
    return fault.connection_invalidated or "disk I/O" in str(fault.orig)


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


def _sqlite(url: URL, pool_size: int, *, writes: bool = False, patience: int | None = None) -> Engine:
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
