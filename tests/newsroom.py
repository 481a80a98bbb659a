"""A newsroom for a test: a base, an application on it, a server, and clients with keys."""

import contextlib
import itertools
import json
import os
import re
import shutil
import socket
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from zlib import crc32

import httpx
import psycopg
import uvicorn
from fastapi import FastAPI
from psycopg import sql
from sqlalchemy import Dialect, Engine, event
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite as sqlite_dialect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access import secret as secrets
from app.access import store as keys
from app.access.house import House
from app.access.model import KeyIn, RoleName
from app.base import schema
from app.base.db import Database
from app.base.errors import Unavailable
from app.base.files import create
from app.base.sql import Query
from app.changes.store import By
from app.exchange.records import bring_in
from app.main import create_app
from app.operations.checks import faults as found_faults
from app.projections import rebuild_at_once, refuse_to_write
from app.settings import Settings
from tests.postgres import allow_api_role, as_api_role

SECRET = "a secret for tests, of more than 32 characters"
SEED = schema.ROOT / "seed"
TESTS = By("tests", "tests")
Json = dict[str, Any]


# --- bases -------------------------------------------------------------------------------------


class Bases(Protocol):
    """Makes fresh bases."""

    def fresh(
        self, *, seeded: bool = False, migrated: bool = True, like: str = ""
    ) -> contextlib.AbstractContextManager[str]:
        """The URL of a base that is gone afterwards; it begins as one of that name that was kept."""

    def keep(self, url: str, name: str) -> None:
        """Keeps a base, which nobody has open, as it is now."""

    def has(self, name: str) -> bool:
        """Whether a base of that name was kept."""


def _usual(*, seeded: bool) -> str:
    return "seeded" if seeded else "empty"


def _prepare(url: str, name: str) -> None:
    schema.upgrade(url)
    if name == _usual(seeded=True):
        db = Database(url)
        with db.write() as session:
            bring_in(session, SEED, by=By("seed", "seed"))
            secrets.note(session, SECRET.encode())
        db.dispose()


class SqliteBases:
    """Files, copied from one that was prepared once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.numbers = itertools.count()

    @contextmanager
    def fresh(self, *, seeded: bool = False, migrated: bool = True, like: str = "") -> Iterator[str]:
        place = self.directory / str(next(self.numbers))
        place.mkdir()
        if migrated:
            shutil.copy(self._template(like or _usual(seeded=seeded)), place / "record.db")
        if seeded or like:
            create(place / "record.db.secret", SECRET.encode())
        yield f"sqlite:///{place}/record.db"
        shutil.rmtree(place)

    def keep(self, url: str, name: str) -> None:
        file = Path(url.removeprefix("sqlite:///"))
        assert not file.with_name(f"{file.name}-wal").exists(), "somebody has it open"
        shutil.copy(file, self._kept(name))

    def has(self, name: str) -> bool:
        return self._kept(name).exists()

    def _kept(self, name: str) -> Path:
        return self.directory / f"template-{name}.db"

    def _template(self, name: str) -> Path:
        if not self.has(name):
            _prepare(f"sqlite:///{self._kept(name)}", name)
        return self._kept(name)


class PostgresBases:
    """Databases on one server, cloned from one that was prepared once. To clone one takes as long as many a
    test, so one in which nothing was written serves the next.
    """

    def __init__(self, server: str) -> None:
        self.server = server
        self.numbers = itertools.count()
        self.run = f"record_{time.time_ns():x}"
        self.unwritten: defaultdict[str, list[str]] = defaultdict(list)
        self._admin = psycopg.connect(server.replace("+psycopg", "", 1), autocommit=True)
        weakref.finalize(self, self._admin.close)

    @contextmanager
    def fresh(self, *, seeded: bool = False, migrated: bool = True, like: str = "") -> Iterator[str]:
        template = self._template(like or _usual(seeded=seeded)) if migrated else "template0"
        if self.unwritten[template]:
            name = self.unwritten[template].pop()
        else:
            name = f"{self.run}_{next(self.numbers)}"
            self._create(name, template)
        before = self._transactions()
        yield self._url(name)
        if self._transactions() == before:
            self.unwritten[template].append(name)
        else:
            self._command("DROP DATABASE {} WITH (FORCE)", name)

    def _transactions(self) -> int:
        """How many have written on the whole server."""
        [(found,)] = self._admin.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        return int(found)

    def keep(self, url: str, name: str) -> None:
        self._create(self._kept(name), str(make_url(url).database))

    def _kept(self, name: str) -> str:
        return f"{self.run}_{name}"

    def _template(self, name: str) -> str:
        kept = self._kept(name)
        if not self.has(name):
            self._create(kept, "template0")
            _prepare(self._url(kept), name)
        return kept

    def _create(self, name: str, template: str) -> None:
        # To log each page takes longer than to copy the files, as older servers always do.
        how = "STRATEGY FILE_COPY" if self._admin.info.server_version >= 150000 else ""
        self._command(f"CREATE DATABASE {{}} TEMPLATE {{}} {how}", name, template)
        if template == "template0":
            allow_api_role(self._url(name))

    def has(self, name: str) -> bool:
        found = self._admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self._kept(name)])
        return found.fetchone() is not None

    def _command(self, command: Any, *names: str) -> None:
        self._admin.execute(sql.SQL(command).format(*map(sql.Identifier, names)))

    def _url(self, name: str) -> str:
        return make_url(self.server).set(database=name).render_as_string(hide_password=False)


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """A base, closed at the end."""
    db = Database(url, pool_size=2)
    try:
        yield db
    finally:
        db.dispose()


@contextmanager
def empty(bases: Bases) -> Iterator[Database]:
    """A fresh base with nothing in it."""
    with bases.fresh() as url, opened(url) as db:
        yield db


def faults(db: Database) -> list[str]:
    """The faults that `verify` finds in a base."""
    with db.read() as session:
        return [*found_faults(session)]


# --- the server --------------------------------------------------------------------------------


class Server:
    """A real server on a real socket; `app` is what answers."""

    app: ASGIApp

    def __enter__(self) -> Self:
        config = uvicorn.Config(
            self._answer, port=0, log_level="error", lifespan="off", interface="asgi3", server_header=False
        )
        self._server = uvicorn.Server(config)
        self._socket = config.bind_socket()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})
        self._thread.start()
        while not self._server.started:
            time.sleep(0.001)
        return self

    def __exit__(self, *_fault: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def _is_its_turn(*, sqlite: bool) -> bool:
    """Tell if the base of this test is verified, which takes a seventh of the run. Of a test on both
    databases it is one of the two, by the name of the test.
    """
    name = re.sub("sqlite|postgresql", "", os.environ.get("PYTEST_CURRENT_TEST", ""))
    return (crc32(name.partition(" ")[0].encode()) % 2 == 0) == sqlite


class Newsroom:
    """An application on a base, with clients: `anyone` has no key, the others a key of their role."""

    def __init__(self, server: Server, database_url: str, **settings: Any) -> None:
        self.server = server
        self.usual = not settings
        self.settings = Settings(database_url=database_url, secret=SECRET, **settings)
        self.tampered = False
        self.sound: int | None = None  # the state that was verified last
        self._clients: dict[str, httpx.Client] = {}

    def __enter__(self) -> Self:
        self.db = Database(as_api_role(self.settings.database_url), guard=refuse_to_write)
        if not self.db.missing:
            for engine in {*self.db.pools.values()}:
                _share(engine)
        # To build the application takes longer than most tests: under the usual settings it is built once.
        self.app = _usual_app(self.settings) if self.usual else create_app(self.settings)
        self._answer()
        self.at_first: int | None = None  # of a base that is away, or has no schema yet
        with contextlib.suppress(Unavailable, DBAPIError):
            self.at_first = self.state()
        return self

    def _answer(self) -> None:
        self.app.state.house = House(self.settings, self.db, SECRET.encode())
        self.server.app = self.app

    def __exit__(
        self, kind: type[BaseException] | None, _fault: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            client.close()
        # Whatever a test has written, the base must agree with its own ledger, and what is derived with it.
        looked_at = not kind and not self.tampered and _is_its_turn(sqlite=self.db.sqlite)
        checked = looked_at and self.state() not in (self.at_first, self.sound)
        faults = self.faults() if checked else []
        self.db.dispose()
        assert not faults, faults

    @contextmanager
    def with_settings(self, **settings: Any) -> Iterator["Newsroom"]:
        """The same base under other settings."""
        with Newsroom(self.server, self.settings.database_url, **settings) as other:
            yield other
            # It is looked at once, at the end, with what is written to it later.
            self.tampered, other.tampered = self.tampered or other.tampered, True
        self._answer()

    def faults(self) -> list[str]:
        """What `verify` finds."""
        return faults(self.db)

    def loses(self, statement: str) -> bool:
        """Tell if `verify` notices what a statement takes away, which is there again afterwards."""
        with contextlib.suppress(_Undone), self.db.write() as session:
            session.connection().exec_driver_sql(statement)
            noticed = [*found_faults(session)] != []
            raise _Undone
        return noticed

    def rebuild(self) -> None:
        """Rebuild the projections, as the owner of the tables."""
        db = Database(self.settings.database_url, pool_size=1)
        with db.write() as session:
            rebuild_at_once(session)
        db.dispose()

    # clients

    def client(self, token: str | None = None) -> httpx.Client:
        # No TLS here, and a context for it takes longer to make than most tests.
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        client = httpx.Client(
            base_url=self.server.url, headers=headers, trust_env=False, timeout=30, verify=False
        )
        client._cookies = _NoCookies()
        return client

    def key(self, role: RoleName, name: str | None = None, expires_at: Any = None) -> tuple[str, str]:
        """A new key's id and token."""
        wish = KeyIn(name=name or f"The {role}", role=role, expires_at=expires_at)
        with self.db.write() as session:
            made, token = keys.create(session, SECRET.encode(), wish, by=TESTS)
        return made.id, token

    def person(self, role: RoleName, name: str) -> tuple[str, str]:
        """A new person's id, and the token of their key."""
        key_id, token = self.key(role, name)
        return str(ok(self.admin.get(f"/v1/keys/{key_id}"))["person"]["id"]), token

    def another(self, role: RoleName, name: str | None = None) -> httpx.Client:
        """A client with a new key."""
        key_id, token = self.key(role, name)
        client = self._clients[key_id] = self.client(token)
        return client

    def _kept(self, role: RoleName | None) -> httpx.Client:
        name = role or "anyone"
        if name not in self._clients:
            self._clients[name] = self.client(self.key(role)[1] if role else None)
        return self._clients[name]

    @property
    def anyone(self) -> httpx.Client:
        return self._kept(None)

    @property
    def reader(self) -> httpx.Client:
        return self._kept("reader")

    @property
    def reporter(self) -> httpx.Client:
        return self._kept("reporter")

    @property
    def checker(self) -> httpx.Client:
        return self._kept("checker")

    @property
    def editor(self) -> httpx.Client:
        return self._kept("editor")

    @property
    def admin(self) -> httpx.Client:
        return self._kept("admin")

    # records, stated over HTTP

    def get(self, path: str, **query: Any) -> Json:
        return ok(self.anyone.get(path, params=query))

    def entity(self, name: str = "Vladimir Putin", kind: str = "person", **more: Any) -> Json:
        return ok(self.reporter.post("/v1/entities", json={"name": name, "kind": kind, **more}))

    def source(self, url: str = "https://example.org/a", title: str = "A report", **more: Any) -> Json:
        return ok(self.reporter.post("/v1/sources", json={"url": url, "title": title, **more}))

    def claim(self, text: str = "The pipeline is agreed.", **more: Any) -> Json:
        """A paraphrase by Putin, who is added if he is not there."""
        body = {"text": text, "mode": "paraphrase", "speakers": ["vladimir-putin"], **more}
        missing = self.anyone.get("/v1/entities/vladimir-putin").status_code == 404
        if missing and "vladimir-putin" in json.dumps(body):
            self.entity()
        return ok(self.reporter.post("/v1/claims", json=body))

    def take(self, claim: Json, by: httpx.Client | None = None) -> Json:
        """The claim as it is after it was taken."""
        path = f"/v1/claims/{claim['id']}/assignment"
        return ok((by or self.checker).post(path, headers=match(self.fresh(claim))))

    def review(self, claim: Json, by: httpx.Client | None = None, **more: Any) -> Json:
        """A ruling on a claim that was taken."""
        path = f"/v1/claims/{claim['id']}/reviews"
        return ok((by or self.checker).post(path, headers=match(self.fresh(claim)), json=ruling(**more)))

    def fresh(self, record: Json) -> Json:
        """A claim as it is now, to those inside."""
        return ok(self.reporter.get(f"/v1/claims/{record['id']}"))

    def state(self) -> int:
        """How many changes the ledger has, but for those of keys and people, made for clients on the way."""
        with self.db.read() as session:
            count = "SELECT count(*) FROM changes WHERE resource NOT IN ('person', 'key')"
            return int(session.connection().exec_driver_sql(count).scalar_one())

    def plan(self, query: Query) -> list[str]:
        """How the database would answer a query, line by line, were there rows enough to go by an index."""
        words = str(query.compile(dialect=sqlite_dialect(), compile_kwargs={"literal_binds": True}))
        with self.db.read() as session:
            connection = session.connection()
            if connection.dialect.name == "sqlite":
                return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}")]
            for other in ("seqscan", "bitmapscan"):  # which a table of no rows is read by
                connection.exec_driver_sql(f"SET LOCAL enable_{other} = off")
            found = connection.exec_driver_sql(f"EXPLAIN {words}".replace("%", "%%"))
            return [row[0] for row in found]

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """What is done inside must leave no trace. Where nothing at all was written, the base is as sound as
        it was, which is seen at the end.
        """
        before = self.state()
        with self._watched() as written:
            yield
            assert self.state() == before, "the ledger has grown"
            if written():
                assert self.faults() == []
                self.sound = before

    @contextmanager
    def _watched(self) -> Iterator[Callable[[], bool]]:
        """Return whether anything was written since, on a connection that sees what others commit."""
        words = "PRAGMA data_version" if self.db.sqlite else "SELECT pg_snapshot_xmax(pg_current_snapshot())"
        with contextlib.closing(self.db.engines(public=False).prompt.raw_connection()) as connection:

            def ask() -> Any:
                return connection.cursor().execute(words).fetchone()

            before = ask()
            yield lambda: ask() != before

    @contextmanager
    def queries(self) -> Iterator[list[str]]:
        """The statements that are sent to the database meanwhile."""
        sent: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            sent.append(statement)

        readers = [self.db.engines(public=public).read for public in (False, True)]
        for reader in readers:
            event.listen(reader, "before_cursor_execute", note)
        yield sent
        for reader in readers:
            event.remove(reader, "before_cursor_execute", note)


class _NoCookies(httpx.Cookies):
    """Keeps none: to look for them takes a tenth of a request, and no answer sets any (`test_owasp.py`)."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Take nothing."""


class _Undone(Exception):
    """Ends a transaction without a commit."""


_APPS: list[FastAPI] = []


@contextmanager
def prepared(
    bases: Bases, server: Server, prepare: Callable[[Newsroom], object], *, seeded: bool = False
) -> Iterator[Newsroom]:
    """A newsroom that is prepared by a function, which is called once for all tests that ask for it."""
    name = f"{prepare.__module__}_{prepare.__name__}".replace(".", "_")
    if not bases.has(name):
        with bases.fresh(seeded=seeded) as url:
            with Newsroom(server, url) as newsroom:
                prepare(newsroom)
            bases.keep(url, name)
    with bases.fresh(like=name) as url, Newsroom(server, url) as newsroom:
        yield newsroom


def _share(engine: Engine) -> None:
    """Has all bases of one kind share what SQL was compiled to, which is kept by dialect: to compile it for
    each base anew takes a sixth of the tests' time.
    """
    if engine.dialect.name not in _DIALECTS:
        with contextlib.suppress(DBAPIError), engine.connect():  # it knows its database once it was connected
            _DIALECTS[engine.dialect.name] = engine.dialect, engine._compiled_cache
        return
    engine.dialect, engine._compiled_cache = _DIALECTS[engine.dialect.name]


_DIALECTS: dict[str, tuple[Dialect, Any]] = {}


def _usual_app(settings: Settings) -> FastAPI:
    if not _APPS:
        _APPS.append(create_app(settings))
    return _APPS[0]


def ok(answer: httpx.Response) -> Json:
    """The body of an answer that must be good."""
    assert answer.is_success, f"{answer.status_code} {answer.text}"
    body: Json = answer.json()
    return body


def problem(answer: httpx.Response, status: int, slug: str | None = None) -> Json:
    """The body of a refusal, which must be in the one form."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["content-type"] == "application/problem+json"
    body: Json = answer.json()
    assert body.keys() >= {"type", "title", "status", "detail", "request_id"}
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]
    if slug is not None:
        assert body["type"] == f"/problems#{slug}"
    return body


def match(record: Json) -> dict[str, str]:
    """The If-Match header for a record as it was answered."""
    return {"If-Match": f'"v{record["version"]}"'}


def ruling(**more: Any) -> Json:
    """A review that is complete: false, with a reason and a piece of evidence."""
    whole = {
        "verdict": "false",
        "summary": "Not what the record shows.",
        "evidence": [{"url": "https://example.org/proof", "stance": "refutes"}],
        **more,
    }
    return {name: value for name, value in whole.items() if value is not None}
