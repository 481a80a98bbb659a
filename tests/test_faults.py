"""Faults of the database, the disk, the clock and the process, put on a real server: it refuses while they
last, loses nothing, and comes back by itself.
"""

import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.base import postgres as limits
from app.base import schema
from app.base.db import Database
from app.base.errors import Unavailable
from app.base.pools import engine_url
from app.base.sql import select
from app.entities.model import Entity
from app.operations.checks import faults as found_faults
from tests.commands import forked
from tests.earlier import lay_seed
from tests.newsroom import SECRET, Bases, Json, SqliteBases, match, ok, problem
from tests.nodes import Node, node, wait_for
from tests.served import Served, environment, served
from tests.torture.trials import token_on

BACK_SECONDS = 3.0
"""Within which a server answers once its database does."""

STILL_SECONDS = 10.0
"""Within which a request is refused while the database does not answer."""


def entity(client: httpx.Client, name: str, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/v1/entities", json={"name": name, "kind": "organization"}, headers=headers)


def refused(answer: httpx.Response, *slugs: str) -> None:
    assert problem(answer, 503)["type"].removeprefix("/problems#") in (slugs or ["unavailable", "busy"])
    assert int(answer.headers["retry-after"]) > 0


def is_back(client: httpx.Client) -> None:
    """Reads and writes are answered again, soon."""
    numbers = itertools.count()

    def answers() -> bool:
        wrote = entity(client, f"Back at try {next(numbers)} of {time.time()}")
        assert wrote.status_code in (201, 503), wrote.text
        return wrote.status_code == 201 and client.get("/v1/claims").status_code == 200

    wait_for(answers, BACK_SECONDS)


def faults(url: str) -> list[str]:
    """What `verify` finds."""
    db = Database(url)
    with db.read() as session:
        found = [*found_faults(session)]
    db.dispose()
    return found


def names_in(url: str) -> list[str]:
    """The names of all entities, as the base has them."""
    db = Database(url)
    with db.read() as session:
        found = [*session.execute(select(Entity.name)).scalars()]
    db.dispose()
    return found


def names(client: httpx.Client) -> list[str]:
    """Of all entities, page by page."""
    found: list[str] = []
    at = "/v1/entities?limit=200"
    while at:
        page = client.get(at)
        found += [row["name"] for row in ok(page)["data"]]
        at = page.links.get("next", {}).get("url", "")
    return found


@contextmanager
def serving(url: str, log: Path, *options: str, **settings: str) -> Iterator[tuple[Served, httpx.Client]]:
    """A server on a base, and a client with an editor's key."""
    env = environment(url, RECORD_SECRET=SECRET, **settings)
    with served(env, log, *options) as server, server.client(token_on(url)) as client:
        yield server, client


# --- the database away -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database() -> Iterator[Node]:
    """A PostgreSQL that can be stopped and frozen."""
    with node() as made:
        yield made


@pytest.fixture
def base(database: Node) -> Iterator[str]:
    """A fresh base on it."""
    name = f"record_{time.time_ns()}"
    database.ask(f"CREATE DATABASE {name}")
    schema.upgrade(database.url(name))
    yield database.url(name)
    database.ask(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_database_that_goes_and_comes_back_is_followed(database: Node, base: str, tmp_path: Path) -> None:
    token = token_on(base)
    database.stop()
    env = environment(base, RECORD_SECRET=SECRET)
    with served(env, tmp_path / "log", ready=False) as server, server.client(token) as client:
        for _ in range(2):
            refused(client.get("/readyz"))
            refused(client.get("/v1/claims"))
            refused(entity(client, "Nobody"))
            assert client.get("/healthz").status_code == 200
            database.start()
            is_back(client)
            database.stop()
        database.start()
        is_back(client)
        assert "Nobody" not in names(client)
    assert "Traceback" not in server.log.read_text()


def test_a_frozen_database_is_given_up_and_followed_when_it_thaws(
    database: Node, base: str, tmp_path: Path
) -> None:
    with serving(base, tmp_path / "log") as (server, client):
        assert [client.get("/v1/claims").status_code for _ in range(2)] == [200, 200]

        def ask(number: int) -> tuple[httpx.Response, float]:
            began = time.monotonic()
            answer = entity(client, f"E{number}") if number % 2 else client.get("/v1/claims")
            return answer, time.monotonic() - began

        database.freeze()
        try:
            with ThreadPoolExecutor(60) as pool:
                asked = [pool.submit(ask, number) for number in range(60)]
                assert httpx.get(f"{server.url}/healthz", timeout=1, trust_env=False).status_code == 200
                answers = [each.result() for each in asked]
        finally:
            database.thaw()
        for answer, _ in answers:
            refused(answer)
        assert max(seconds for _, seconds in answers) < STILL_SECONDS
        is_back(client)
        assert not any(name.startswith("E") for name in names(client))


def test_a_statement_that_is_under_way_when_the_database_freezes_is_given_up(
    database: Node, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PING_SECONDS", 1)
    db = Database(base, read_seconds=1)
    with db.write():
        pass

    def freeze_in_the_middle() -> None:
        with db.write() as session:
            connection = session.connection()
            database.freeze()
            began = time.monotonic()
            try:
                connection.exec_driver_sql("SELECT 1")
            finally:
                waited.append(time.monotonic() - began)
                database.thaw()

    waited: list[float] = []
    with pytest.raises(Unavailable):
        freeze_in_the_middle()
    assert 2 <= waited[0] < 3
    with db.write() as session:  # what was given up holds no lock
        assert session.connection().exec_driver_sql("SELECT 1").scalar_one() == 1
    db.dispose()


def test_a_write_waits_for_the_standby_beyond_every_time_limit(
    database: Node, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait that a time limit ended would be answered as if the standby had the change."""
    monkeypatch.setattr(limits, "PING_SECONDS", 1)
    db = Database(base, read_seconds=1)
    with db.write() as session:
        session.connection().exec_driver_sql("CREATE TABLE kept (at integer)")
    database.ask("ALTER SYSTEM SET synchronous_standby_names = 'one_that_is_not_there'")
    database.ask("SELECT pg_reload_conf()")
    try:
        wait_for(lambda: database.ask("SHOW synchronous_standby_names") == "one_that_is_not_there", 5)
        with pytest.raises(Unavailable, match="not known"), db.write() as session:
            session.connection().exec_driver_sql("INSERT INTO kept VALUES (1)")
    finally:
        database.ask("ALTER SYSTEM RESET synchronous_standby_names")
        database.ask("SELECT pg_reload_conf()")
    with db.write() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM kept").scalar_one() == 1
    db.dispose()


def test_a_standby_is_read_and_refuses_writes_until_it_is_promoted(
    database: Node, base: str, tmp_path: Path
) -> None:
    token = token_on(base)
    standby = database.standby("standby")
    try:
        url = standby.url(base.rpartition("/")[2])
        env = environment(url, RECORD_SECRET=SECRET)
        with served(env, tmp_path / "log") as server, server.client(token) as client:
            for _ in range(3):  # on connections that have read before, too
                refused(entity(client, "Nobody"))
                assert client.get("/v1/claims").status_code == 200
            standby.promote()
            is_back(client)
        assert "Traceback" not in server.log.read_text()
    finally:
        database.ask("ALTER SYSTEM RESET synchronous_standby_names")
        database.ask("SELECT pg_reload_conf()")
        standby.stop()


@pytest.mark.parametrize(
    ("url", "hosts", "ports", "wanted"),
    [
        ("postgresql://u:p%40w@a:1,b:2/x?target_session_attrs=read-write", "a,b", "1,2", "read-write"),
        ("postgres://u:p,q@a,b/x", "a,b", ",", "read-write"),
        (
            "postgresql://u@[::1]:5,h.example/x?target_session_attrs=any&sslmode=require",
            "::1,h.example",
            "5,",
            "any",
        ),
    ],
)
def test_several_servers_are_named_as_libpq_names_them(url: str, hosts: str, ports: str, wanted: str) -> None:
    read = engine_url(url)
    assert (read.query["host"], read.query["port"]) == (hosts, ports)
    assert (read.database, read.query["target_session_attrs"]) == ("x", wanted)
    assert engine_url(read.render_as_string(hide_password=False)) == read


def test_one_server_is_read_as_before() -> None:
    assert engine_url("postgresql://u:p,q@h/x").host == "h"
    for wrong in ("postgresql://u@a:1,b:x/y", "postgresql://u@a,,b/y"):
        with pytest.raises(ValueError, match="RECORD_DATABASE_URL"):
            engine_url(wrong)


# --- the disk full -----------------------------------------------------------------------------


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A file system of its own, in memory."""
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(path)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("only who may mount can make a small disk")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> Path:
    """Takes what is free."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return filler


FULL = ("storage-full", "unavailable")
"""A limit on the size of files is a fault of the disk to SQLite."""


def write_until_refused(client: httpx.Client) -> list[str]:
    """The names that were acknowledged before the disk was full."""
    kept: list[str] = []
    for number in range(2000):
        name = f"Filler {number} {'of the disk ' * 40}"[:400].strip()
        answer = entity(client, name)
        if answer.status_code != 201:
            refused(answer, *FULL)
            return kept
        kept.append(name)
    raise AssertionError("the disk was never full")


def goes_on_when_full(client: httpx.Client, free: Callable[[], None]) -> None:
    """Reads live, writes are refused, and both go on once there is room. After the first refusal some may
    still fit, since a vacuum finds room.
    """
    kept, refusals = write_until_refused(client), list[str]()
    for number in range(100):
        name = f"Nobody {number} {'of the disk ' * 40}"[:400].strip()
        answer = entity(client, name)
        if answer.status_code == 201:
            kept.append(name)
        else:
            refused(answer, *FULL)
            refusals.append(name)
        assert client.get("/v1/claims").status_code == 200
        assert set(kept) <= set(names(client))
        if len(refusals) == 3:
            break
    assert len(refusals) == 3
    free()
    is_back(client)
    assert set(kept) <= set(names(client))
    assert not {*refusals} & set(names(client))


def test_a_full_disk_under_sqlite_refuses_writes_only(sqlite_bases: SqliteBases, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "12m") as disk, sqlite_bases.fresh(seeded=True) as url:
        shutil.copy(url.removeprefix("sqlite:///"), disk / "record.db")
        small = f"sqlite:///{disk}/record.db"
        with serving(small, tmp_path / "log") as (_, client):
            ok(entity(client, "Before"))
            filler = fill(disk)
            goes_on_when_full(client, filler.unlink)
        assert faults(small) == []


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits a process from outside")
def test_a_limit_on_files_under_sqlite_refuses_writes_only(sqlite_bases: SqliteBases, tmp_path: Path) -> None:
    with sqlite_bases.fresh() as url:
        with serving(url, tmp_path / "log") as (server, client):
            ok(entity(client, "Before"))
            pid = server.process.pid
            wal = Path(url.removeprefix("sqlite:///") + "-wal").stat().st_size
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (wal + 20_000, resource.RLIM_INFINITY))
            unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            goes_on_when_full(client, lambda: _set_limit(pid, unlimited))
        assert faults(url) == []


def _set_limit(pid: int, limit: tuple[int, int]) -> None:
    resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)


def test_a_full_disk_under_postgresql_refuses_writes_only(database: Node, tmp_path: Path) -> None:
    with small_disk(database.place.directory / "disk", "40m") as disk:
        space = disk / "space"
        space.mkdir()
        assert database.place.account is not None
        os.chown(space, database.place.account.uid, database.place.account.gid)
        database.ask(f"CREATE TABLESPACE small LOCATION '{space}'")
        database.ask("CREATE DATABASE small TABLESPACE small")
        url = database.url("small")
        schema.upgrade(url)
        with serving(url, tmp_path / "log") as (_, client):
            ok(entity(client, "Before"))
            filler = fill(disk)
            goes_on_when_full(client, filler.unlink)
        assert faults(url) == []
        database.ask("DROP DATABASE small WITH (FORCE)")
        database.ask("DROP TABLESPACE small")


# --- the clock ---------------------------------------------------------------------------------

CLOCK = """
    import time
    from pathlib import Path
    import uuid_utils
    from app.base import times

    def now():
        return datetime.now(UTC) + timedelta(seconds=int(OFF.read_text()))

    times.OFF = off = Path({offset!r})
    times.now.__code__ = now.__code__  # wherever it was imported to
    uuid7 = uuid_utils.uuid7
    def shifted():
        return uuid7(nanoseconds=time.time_ns() + int(off.read_text()) * 10**9)
    uuid_utils.uuid7 = shifted
"""
"""A `sitecustomize` that puts the clock of a process off by the seconds in a file."""


def test_a_clock_that_jumps_breaks_no_lease_id_or_order(bases: Bases, tmp_path: Path) -> None:
    offset = tmp_path / "offset"
    offset.write_text("0")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(textwrap.dedent(CLOCK).format(offset=str(offset)))
    with bases.fresh() as url:
        site = str(tmp_path / "site")
        with serving(url, tmp_path / "log", PYTHONPATH=site) as (server, client):
            other = server.client(token_on(url))
            ok(client.post("/v1/entities", json={"name": "A", "kind": "person", "slug": "a"}))
            claims = [state(client, 0)]
            claim = ok(client.post(f"/v1/claims/{claims[0]['id']}/assignment", headers=match(claims[0])))
            for number, seconds in enumerate((-3600, -7200, 0, -30), start=1):
                offset.write_text(str(seconds))
                claims += [state(client, number), state(client, 10 * number)]
                taken = other.post(f"/v1/claims/{claim['id']}/assignment", headers=match(claim))
                problem(taken, 409)
                again = entity(client, "Once", key="once")
                assert again.status_code == 201
                assert ("idempotency-replayed" in again.headers) == (number > 1)
                in_order(client, claims)
            offset.write_text(str(5 * 3600))
            ok(other.post(f"/v1/claims/{claim['id']}/assignment", headers=match(claim)))
            offset.write_text("0")
            in_order(client, [*claims, state(client, 99)])
            other.close()
        assert faults(url) == []


def state(client: httpx.Client, number: int) -> Json:
    body = {"text": f"Claim {number}.", "mode": "paraphrase", "speakers": ["a"]}
    return ok(client.post("/v1/claims", json=body))


def in_order(client: httpx.Client, claims: list[Json]) -> None:
    """The ledger has them in the order in which they were stated, and a list has each of them once."""
    query = {"resource": "claim", "limit": "200"}
    entries = ok(client.get("/v1/changes", params=query))["data"]
    stated = [entry["resource_id"] for entry in entries if entry["version"] == 1]
    assert stated == [claim["id"] for claim in claims]
    found, at = [], "/v1/claims?limit=2&sort=created"
    while at:
        page = client.get(at)
        found += [row["id"] for row in ok(page)["data"]]
        at = page.links.get("next", {}).get("url", "")
    assert sorted(found) == sorted(stated)


# --- processes ---------------------------------------------------------------------------------


def test_two_servers_on_one_sqlite_file_write_in_turn(sqlite_bases: SqliteBases, tmp_path: Path) -> None:
    with sqlite_bases.fresh() as url:
        with serving(url, tmp_path / "1") as (_, one), serving(url, tmp_path / "2") as (_, two):
            two.headers = one.headers  # one key, on both

            def write(number: int) -> None:
                client = (one, two)[number % 2]
                made = ok(entity(client, f"E{number}", key=f"key {number}"))
                read = ok((two, one)[number % 2].get(f"/v1/entities/{made['id']}"))
                assert read["name"] == made["name"], "what one has acknowledged, the other shows"
                again = entity((two, one)[number % 2], f"E{number}", key=f"key {number}")
                assert again.headers["idempotency-replayed"] == "true"

            with ThreadPoolExecutor(12) as pool:
                list(pool.map(write, range(80)))
            for client in (one, two):
                assert sorted(names(client)) == sorted(f"E{number}" for number in range(80))
        assert faults(url) == []


def rows(count: int) -> str:
    return "\n".join(
        json.dumps({"entity": {"name": f"Row {number}", "kind": "organization"}}) for number in range(count)
    )


@pytest.mark.parametrize("count", [300, 40_000], ids=["that ends in time", "that does not"])
def test_a_server_told_to_stop_loses_nothing(bases: Bases, tmp_path: Path, count: int) -> None:
    """Requests and an import are under way: each is answered and kept, or is not kept."""
    acknowledged: list[str] = []
    imported: list[httpx.Response] = []
    file = rows(count)

    def write(client: httpx.Client, worker: int) -> None:
        for number in itertools.count():
            try:
                answer = entity(client, f"W{worker} {number}")
            except httpx.TransportError:
                return
            if answer.status_code != 201:
                problem(answer, 503)
                return
            acknowledged.append(f"W{worker} {number}")

    def bring_in(client: httpx.Client) -> None:
        headers = {"Content-Type": "application/x-ndjson"}
        imported.append(client.post("/v1/import", content=file, headers=headers))

    with bases.fresh() as url:
        with serving(url, tmp_path / "log") as (server, client):
            workers = [threading.Thread(target=write, args=(client, worker)) for worker in range(4)]
            for worker in workers:
                worker.start()
            wait_for(lambda: len(acknowledged) > 8, 20)
            importer = threading.Thread(target=bring_in, args=(client,))
            importer.start()
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(10) == 0
            for worker in [*workers, importer]:
                worker.join()
            assert "Traceback" not in server.log.read_text()
        there = names_in(url)
        brought = [name for name in there if name.startswith("Row")]
        if imported[0].status_code == 200:
            assert len(brought) == count
        else:
            problem(imported[0], 503, "stopping")
            assert brought == []
        assert set(acknowledged) <= set(there)
        assert len(set(there)) == len(there)
        assert faults(url) == []


KILLED = """
    import os, signal, sys
    sys.path.insert(0, {root!r})
    from sqlalchemy import Engine, event
    left = {statements}

    @event.listens_for(Engine, "before_cursor_execute")
    def count(*_):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
"""
"""A `sitecustomize` that kills its process before a statement."""


def migrate(url: str, directory: Path, killed_before: int | None = None) -> int:
    """Brings a base up to date in a process of its own, and how that ended."""
    env = environment(url, RECORD_SECRET=SECRET)
    if killed_before is not None:
        text = textwrap.dedent(KILLED).format(root=str(schema.ROOT), statements=killed_before)
        (directory / "sitecustomize.py").write_text(text)
        env["PYTHONPATH"] = str(directory)
    return forked(["migrate"], env).code


def test_a_migration_that_is_killed_is_made_good_by_the_next(bases: Bases, tmp_path: Path) -> None:
    with bases.fresh() as url:
        lay_seed(url)
        before = exported(url)
        schema.downgrade(url, "0001")
        for at in (10, 40, 120):
            assert migrate(url, tmp_path, killed_before=at) == -signal.SIGKILL
        assert migrate(url, tmp_path) == 0
        assert faults(url) == []
        assert exported(url) == before


def exported(url: str) -> str:
    env = environment(url, RECORD_SECRET=SECRET)
    done = forked(["export"], env)
    assert done.code == 0, done
    return done.out


def test_a_base_of_which_nothing_is_derived_yet_is_refused(bases: Bases, tmp_path: Path) -> None:
    """A migration that was cut off between its tables and what fills them: lists would look empty."""
    with bases.fresh() as url:
        lay_seed(url)
        schema.downgrade(url, "0001")
        env = environment(url, RECORD_SECRET=SECRET)
        for _ in range(2):
            done = forked(["serve", "--port", "0"], env)
            assert done.code == 1
            assert done.err.strip().endswith("python -m app migrate")
            assert done.out == ""
            schema.upgrade(url)  # and no more, as if the process had ended there
        assert migrate(url, tmp_path) == 0
        with serving(url, tmp_path / "log") as (_, client):
            assert ok(client.get("/v1/claims"))["data"] != []
