"""Connections to PostgreSQL that give up a server which does not answer, and find the one that does."""

import re
from time import monotonic
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import Params, PQGen
from sqlalchemy import Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import ConnectionPoolEntry

CONNECT_SECONDS, STATEMENT_SECONDS, PING_SECONDS = 3, 15, 2
AWAY_SECONDS = 1.0
"""How long a server that did not answer in time is not asked again."""

KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""Both ends notice in half a minute that the other's machine is gone; a writer's lock goes with it."""

_SEVERAL = re.compile(
    r"(?P<user>\w[\w+]*://(?:[^/?]*@)?)(?P<hosts>[^/?@]+,[^/?@]+)(?P<rest>(?:[/?].*)?)", re.DOTALL
)
_HOST = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>\d*))?")

_LONGEST_PREPARED = 4096
"""Characters of a statement that the server prepares once it comes again and again."""

TAKES_WRITES = "read-write"

T = TypeVar("T")


class Bounded(psycopg.Connection[Any]):
    """A connection that waits `patience` seconds for each answer, or without end if that is None.

    The server's own `statement_timeout` is of no use when it is frozen, or its machine gone.
    """

    patience: float | None = STATEMENT_SECONDS

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Waits for an answer. Raises OperationalError, and the connection is closed, if there is none."""
        patience = self.patience if timeout is None else timeout
        began = monotonic()
        try:
            return super().wait(gen, interval, patience)
        except psycopg.OperationalError:
            if patience is not None and monotonic() - began >= patience:
                self.pgconn.finish()  # in the middle of an answer it is of no more use
            raise

    def __del__(self, *_given: Any) -> None:
        """Ends what SQLAlchemy drops unclosed: a connection whose server died at its first question."""
        if hasattr(self, "pgconn"):
            self.pgconn.finish()


class Cursor(psycopg.Cursor[Any]):
    """A cursor that does not have long statements prepared, nor counts how often they come: they are made for
    one request, and a connection would keep the text of a hundred.
    """

    def execute(self, query: Any, params: Params | None = None, **options: Any) -> Self:
        if isinstance(query, str) and len(query) > _LONGEST_PREPARED:
            options["prepare"] = False
        return super().execute(query, params, **options)


class Door:
    """How the engines of one base connect, and wait for statements that may take so many `seconds`: somewhat
    longer, for the server is to end them. When a connect has waited in vain, the others need not.
    """

    def __init__(self, seconds: int = STATEMENT_SECONDS) -> None:
        self.seconds = seconds
        self.patience: float = seconds + PING_SECONDS
        self.shut_until = 0.0
        self.shut_because = ""

    def guard(self, engine: Engine, *, prompt: bool) -> Engine:
        """Makes an engine's connections bounded: `prompt` ones, and the ping before others, to the length of
        a ping.
        """
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "connect", _less_patient)
        if not prompt:
            event.listen(engine, "checkout", self._be_patient)
            event.listen(engine, "checkin", _less_patient)
        return engine

    def _connect(self, _dialect: Any, _entry: ConnectionPoolEntry, _args: Any, options: Any) -> Bounded:
        began = monotonic()
        if began < self.shut_until:
            raise psycopg.OperationalError(self.shut_because)
        try:
            return Bounded.connect(cursor_factory=Cursor, **options)
        except psycopg.OperationalError as fault:
            if monotonic() - began >= AWAY_SECONDS:
                self.shut_because = str(fault)
                self.shut_until = monotonic() + AWAY_SECONDS
            raise

    def _be_patient(self, connection: Bounded, _entry: ConnectionPoolEntry, _proxy: Any) -> None:
        connection.patience = self.patience


def _less_patient(connection: Bounded | None, _entry: ConnectionPoolEntry) -> None:
    if connection is not None:  # or it was given up
        connection.patience = PING_SECONDS


def read_url(url: str) -> URL:
    """The URL, of which libpq's form for several servers (`//a:5432,b:5432/name`) is read too; then the one
    that takes writes is looked for. Raises ValueError or ArgumentError.
    """
    several = _SEVERAL.fullmatch(url)
    if several is None:
        return make_url(url)
    hosts = [_HOST.fullmatch(host) for host in several["hosts"].split(",")]
    if not all(hosts):
        raise ValueError("a host is written host:port")
    names, ports = zip(*((h["v6"] or h["name"], h["port"] or "") for h in hosts if h), strict=True)
    one = make_url(several["user"] + several["rest"])
    query = {"target_session_attrs": TAKES_WRITES, **one.query}
    return one.set(query={**query, "host": ",".join(names), "port": ",".join(ports)})


def for_reading(url: URL) -> URL:
    """The same servers for connections that refuse to write. libpq takes such a connection for one to a
    standby, and would find none that takes writes.
    """
    if url.query.get("target_session_attrs") != TAKES_WRITES:
        return url
    return url.update_query_dict({"target_session_attrs": "primary"})
