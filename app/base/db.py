"""Engines, sessions and the one transaction of a request, alike on SQLite and PostgreSQL."""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psycopg
from sqlalchemy import Engine, event, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import PoolProxiedConnection
from sqlmodel import SQLModel

from app.base.errors import Busy, Unavailable
from app.base.outages import OTHERS_WRITE, cause_of, check_reach, outage_is_a_problem
from app.base.pools import POOL_SECONDS, SQLITE, Engines, engine_url, reading, sqlite_engine
from app.base.postgres import STATEMENT_SECONDS, Door
from app.base.prepared import NotAtOnce, Prepared

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

WRITE_LOCK = 0x6F74720001
"""PostgreSQL advisory lock of the one writer at a time, so that the ledger's seq has no gap."""

IN_DOUBT = (
    "The database was lost while the change was being kept, so that it is not known whether it was. "
    "With the same Idempotency-Key it is safe to send it again."
)


class ReadSession(Session):
    """A session that reads. Its connection refuses to write, at the database. `public` is whether it is read
    for the public.
    """

    public = False


class WriteSession(ReadSession):
    """A session that writes, one at a time; only a request's boundary commits it."""


class Readable(Protocol):
    """What is read from: a base, or whichever of its servers suits, for the public or for those inside."""

    @property
    def public(self) -> bool:
        """Whether it is read for the public."""

    @property
    def reader(self) -> Engine:
        """Whose names are in memory apart from those of others."""

    def read(self, *, patiently: bool = False) -> AbstractContextManager[ReadSession]:
        """As `Database.read`."""

    def ask(self, question: "Prepared", given: Mapping[str, Any]) -> Sequence[Any] | None:
        """As `Database.ask`."""


T = TypeVar("T")


class Database:
    """The base's two doors: `read()` and `write()`, each one transaction. What is read for the public has
    connections of its own.
    """

    public = False

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
        self._inside = reading(self.url, pool_size, door, public=False)
        self._outside = reading(self.url, pool_size, door, public=True)
        self.writer = sqlite_engine(self.url, 1, writes=True) if self.sqlite else self.reader

    def engines(self, *, public: bool) -> Engines:
        """The pools of connections that are read from."""
        return self._outside if public else self._inside

    @property
    def reader(self) -> Engine:
        """The pool of connections of sessions that read for those inside."""
        return self._inside.read

    @property
    def outside(self) -> "Outside":
        """The base as it is read for the public."""
        return Outside(self)

    @property
    def pools(self) -> dict[str, Engine]:
        """The pools of connections, by what they are for."""
        if self.sqlite:
            inside = {"read": self.reader, "write": self.writer, "read at once": self._inside.prompt}
        else:
            inside = {"read and write": self.reader, "read at once": self._inside.prompt}
        outside = {"read by the public": self._outside.read, "read at once by it": self._outside.prompt}
        return inside | outside

    @property
    def missing(self) -> bool:
        """Whether this is a SQLite file that is not there."""
        return self._file is not None and not os.path.exists(self._file)

    @contextmanager
    def read(self, *, patiently: bool = False, public: bool = False) -> Iterator[ReadSession]:
        """A snapshot of the base, as the public has it or those inside. Raises Unavailable if the database is
        away, or busy with it for longer than `read_seconds`, unless that is to be waited for.
        """
        if self.missing:  # to connect would make an empty one
            file = Path(str(self._file))
            check_reach(file)
            cause = f"there is no base at {file}: python -m app migrate makes one"
            raise Unavailable("The database was not made yet.", cause=cause)
        options = {} if self.sqlite else {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
        with (
            outage_is_a_problem(self.url),
            self.engines(public=public).read.connect().execution_options(**options) as connection,
            ReadSession(connection, autoflush=False) as session,
            _until(connection.info, None if patiently else self.read_seconds),
        ):
            session.public = public
            yield session

    def ask(
        self, question: "Prepared", given: Mapping[str, Any], *, public: bool = False
    ) -> Sequence[Any] | None:
        """The rows of one SELECT, which is a snapshot by itself, without the cost of a session. None if the
        database does not answer at once: `read` then says why, or manages.
        """
        return self.promptly(
            lambda connection: question.rows(connection, given, sqlite=self.sqlite), public=public
        )

    def promptly(self, work: Callable[[PoolProxiedConnection], T], *, public: bool = False) -> T | None:
        """Return the result of some work on a connection for `ask`, or None if the database does not answer
        at once. On SQLite the event loop calls it, so that it waits for neither a connection nor a lock.
        """
        if self.missing:
            return None
        connection = None
        try:
            connection = self.engines(public=public).prompt.raw_connection()
            return work(connection)
        except (SQLITE.Error, psycopg.Error, SQLAlchemyError):
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
        for engine in (*self._inside, *self._outside, self.writer):
            engine.dispose()


class Outside:
    """A base as it is read for the public."""

    public = True

    def __init__(self, base: Database) -> None:
        self._base = base

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outside) and other._base is self._base

    def __hash__(self) -> int:
        return id(self._base)

    @property
    def reader(self) -> Engine:
        """As `Readable.reader`."""
        return self._base.engines(public=True).read

    def read(self, *, patiently: bool = False) -> AbstractContextManager[ReadSession]:
        """As `Database.read`."""
        return self._base.read(patiently=patiently, public=True)

    def ask(self, question: Prepared, given: Mapping[str, Any]) -> Sequence[Any] | None:
        """As `Database.ask`."""
        return self._base.ask(question, given, public=True)


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
