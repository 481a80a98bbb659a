"""What the tests stand on.

Whatever touches data runs twice, on SQLite and on a real PostgreSQL (see `postgres.py`): `room` is a newsroom
with a fresh base, cloned from one that was migrated once for the whole run; `seeded` has the seed in it. They
are asked over HTTP, on a real socket, by a real client. Each worker has one server, which answers with the
application of the test that is running. Nothing is mocked.
"""

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy.orm import configure_mappers

from app.base import schema
from app.base.caches import BUDGET, Budget
from app.base.jobs import Job
from app.base.pools import STATEMENTS
from app.base.shelf import Kept, Key, kept, new_file
from app.changes import past, store
from app.exchange import parquet, render
from app.exchange.formats import Columns
from app.operations import offline
from tests.commands import Command, in_this_process
from tests.contract import furnish
from tests.newsroom import Bases, Newsroom, PostgresBases, Server, SqliteBases, prepared
from tests.postgres import has_clients, in_memory, installations, running_postgres

# Servers and commands are started by the hundred: what they import is compiled once.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

PARQUET_BY_PROCESS = render._parquet


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are processors: a part of the time a test waits for servers to start."""
    return max(2, (os.cpu_count() or 1) * 3 // 2)


def pytest_collection_finish() -> None:
    """What was imported stays: to look through it again and again takes a part of every test."""
    configure_mappers()  # as an application does, which not every test makes
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a superuser on a real PostgreSQL."""
    with running_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_bases() -> Iterator[SqliteBases]:
    with TemporaryDirectory(prefix="record-bases-", dir=next(in_memory(), None)) as directory:
        yield SqliteBases(Path(directory))


class Copies:
    """Stands for `app.base.schema` where bases of SQLite are made only to be thrown away."""

    def __init__(self, bases: SqliteBases) -> None:
        self.bases = bases

    def upgrade(self, url: str) -> None:
        with self.bases.fresh() as made:
            shutil.copy(made.removeprefix("sqlite:///"), url.removeprefix("sqlite:///"))


@pytest.fixture(scope="session", autouse=True)
def migrated_once(sqlite_bases: SqliteBases) -> Iterator[None]:
    """A moment of the past and a check offline begin with an empty base: it is a copy of one that all
    migrations have made, since to run them takes longer than most tests. See `migrated_each_time`.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module in (offline, past):
            patch.setattr(module, "schema", Copies(sqlite_bases))
        yield


@pytest.fixture(scope="session", autouse=True)
def statements_at_once() -> Iterator[None]:
    """What statements were compiled to is kept from the first time on, and there is room for those of all
    tests: most bases live for a moment, and to compile for each anew takes a quarter of the tests' time.
    """
    BUDGET._caches.discard(STATEMENTS)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"_given": None, "_share": 1, "_budget": Budget(128 * 1024 * 1024)}.items():
            patch.setattr(STATEMENTS, name, value)
        yield
    BUDGET.add(STATEMENTS)


@pytest.fixture
def migrated_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a base is made by the migrations after all."""
    for module in (offline, past):
        monkeypatch.setattr(module, "schema", schema)


def _parquet_here(lines: Kept, key: Key, columns: Columns, _job: Job) -> Kept:
    file = new_file()
    named = [f"{column.name}:{column.kind}" for column in columns]
    with os.fdopen(os.dup(file.fileno()), "wb") as made:
        parquet.main(named, lines.file.fileno(), made)
    return kept(key, file, lines.count)


@pytest.fixture(scope="session", autouse=True)
def parquet_in_this_process() -> Iterator[None]:
    """Every walk through the routes asks for Parquet, and a process for each file takes ten times as long as
    the file. See `parquet_in_its_process`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "_parquet", _parquet_here)
        yield


@pytest.fixture
def parquet_in_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet is made by a process after all."""
    monkeypatch.setattr(render, "_parquet", PARQUET_BY_PROCESS)


@pytest.fixture(scope="session")
def postgres_bases(postgres: str) -> PostgresBases:
    return PostgresBases(postgres)


@pytest.fixture(params=["sqlite", "postgresql"])
def bases(request: pytest.FixtureRequest) -> Bases:
    """Where fresh bases come from: each test that uses it runs on both databases."""
    found: Bases = request.getfixturevalue(f"{request.param.removesuffix('ql')}_bases")
    return found


@pytest.fixture
def room(bases: Bases, server: Server) -> Iterator[Newsroom]:
    """A newsroom with an empty base."""
    with bases.fresh() as url, Newsroom(server, url) as newsroom:
        yield newsroom


@pytest.fixture
def seeded(bases: Bases, server: Server) -> Iterator[Newsroom]:
    """A newsroom with the seed's records."""
    with bases.fresh(seeded=True) as url, Newsroom(server, url) as newsroom:
        yield newsroom


@pytest.fixture
def furnished(bases: Bases, server: Server) -> Iterator[Newsroom]:
    """A newsroom with something in it for every operation: the contract tests call them all."""
    with prepared(bases, server, furnish, seeded=True) as newsroom:
        yield newsroom


@pytest.fixture
def first_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries are written as versions before the second form did, so that migrations can take them back."""
    monkeypatch.setattr(store, "FORM", 1)


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's directory."""
    return Path(__file__).parents[1]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command on a base in this process."""
    return in_this_process(monkeypatch, capsys)


@pytest.fixture
def client_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no PostgreSQL is installed, the programs that come with the tests' server are on PATH."""
    found = installations()
    if not any(each.source == "local" and has_clients(each) for each in found):
        monkeypatch.setenv("PATH", str(found[0].bin), prepend=":")
