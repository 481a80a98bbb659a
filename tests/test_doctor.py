"""What the examination finds when things are broken, and that it finds nothing where none is."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.engine import make_url

from app.base import schema
from app.base.db import Database
from app.base.pools import engine_url
from app.base.times import now
from app.operations import clients, doctor, servers
from tests.commands import Command, tamper
from tests.newsroom import SECRET, Bases, PostgresBases, SqliteBases
from tests.postgres import (
    SETTINGS,
    Installation,
    allow_api_role,
    as_api_role,
    do,
    installations,
    plain,
    serve,
)

Found = list[tuple[str, str, str]]
Examine = Callable[..., Found]


@pytest.fixture
def examine(command: Command) -> Examine:
    """All that is found in a base: check, state and detail; the exit status tells of a fault."""

    def run(url: str, **settings: str) -> Found:
        done = command(url, "doctor", "--json", **settings)
        found = [(each["check"], each["state"], each["detail"]) for each in json.loads(done.out)]
        assert done.code == any(state == "fault" for _, state, _ in found)
        return found

    return run


def has(found: Found, check: str, state: str, part: str = "") -> bool:
    return any(each[:2] == (check, state) and part in each[2] for each in found)


def file_of(url: str) -> Path:
    return Path(str(engine_url(url).database))


# --- on both databases -------------------------------------------------------------------------


def test_lines_are_written_for_people_and_json_for_machines(
    sqlite_bases: SqliteBases, command: Command
) -> None:
    with sqlite_bases.fresh(seeded=True) as url:
        file_of(url).chmod(0o666)
        lines = command(url, "doctor")
        assert lines.code == 1
        assert f"fault    files        {file_of(url)} can be written by others: chmod 600\n" in lines.out
        assert f"ok       schema       at {schema.newest()}\n" in lines.out
        assert len(json.loads(command(url, "doctor", "--json").out)) == len(lines.out.splitlines())


Breaking = Callable[[str], None]


def saying(*statements: str) -> Breaking:
    return lambda url: tamper(url, *statements)


BROKEN: dict[str, tuple[Breaking, tuple[str, str, str]]] = {
    "an older schema": (
        saying("UPDATE alembic_version SET version_num = '0001'"),
        ("schema", "fault", "python -m app migrate"),
    ),
    "a forged claim": (
        saying("UPDATE claims SET text = 'Forged.' WHERE mode = 'direct_quote'"),
        ("records", "fault", "text is not what its history says"),
    ),
    "a count": (
        saying("UPDATE claim_tallies SET claims = 7 WHERE first = 'status'"),
        ("records", "fault", "the counts of claims are out of date"),
    ),
    "an entry of tomorrow": (
        saying("UPDATE changes SET at = '2199-01-01T00:00:00.000000Z' WHERE seq = 102"),
        ("clock", "fault", "yet to come"),
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_found(bases: Bases, examine: Examine, what: str) -> None:
    breaking, (check, state, part) = BROKEN[what]
    with bases.fresh(seeded=True) as url:
        assert not has(examine(url), check, state)
        breaking(url)
        assert has(examine(url), check, state, part), examine(url)


def test_keys_that_have_ended_or_never_end_are_named(
    bases: Bases, examine: Examine, command: Command
) -> None:
    soon, later = (f"{now() + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}" for days in (3, 300))
    made = [
        ("Gone", "reader", "2020-01-01T00:00:00Z"),
        ("Soon", "editor", soon),
        ("Well", "admin", later),
        ("Ever", "admin", None),
        ("Desk", "editor", None),
    ]
    with bases.fresh(seeded=True) as url:
        for name, role, expires in made:
            until = ["--expires", expires] if expires else []
            assert command(url, "key", "create", name, "--role", role, *until).code == 0
        found = examine(url)
        assert has(found, "keys", "warning", "(Gone) has expired")
        assert has(found, "keys", "warning", "(Soon) expires at")
        assert has(found, "keys", "warning", "(Ever) is an admin's and never expires")
        assert [each for each in found if "(Well)" in each[2] or "(Desk)" in each[2]] == []
        assert has(found, "keys", "ok", "4 count")


SETTINGS_THAT_WARN = [
    ({"RECORD_PUBLIC_METRICS": "true"}, "settings", "warning", "RECORD_PUBLIC_METRICS"),
    ({"RECORD_LOG_LEVEL": "debug"}, "settings", "warning", "RECORD_LOG_LEVEL"),
    ({"RECORD_PUBLIC_READING": "false"}, "settings", "warning", "RECORD_CORS_ORIGINS"),
    ({"RECORD_FEED_BYTES": str(10**18)}, "temporary", "warning", "RECORD_FEED_BYTES"),
    ({"RECORD_SECRET": "secret" * 9}, "secret", "fault", "can be guessed"),
]


@pytest.mark.parametrize(("settings", "check", "state", "part"), SETTINGS_THAT_WARN)
def test_settings_that_are_dangerous_are_named(
    sqlite_bases: SqliteBases, examine: Examine, settings: dict[str, str], check: str, state: str, part: str
) -> None:
    with sqlite_bases.fresh() as url:
        assert not has(examine(url), check, state, part)
        assert has(examine(url, **settings), check, state, part)
        assert has(examine(url), "settings", "ok", "read by anyone")


def test_running_as_root_is_named(
    sqlite_bases: SqliteBases, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite_bases.fresh() as url:
        for user, named in ((0, True), (1000, False)):
            monkeypatch.setattr(os, "geteuid", lambda user=user: user)
            assert has(examine(url), "settings", "warning", "root") is named


# --- SQLite ------------------------------------------------------------------------------------


def test_a_sound_file_has_neither_fault_nor_warning(
    sqlite_bases: SqliteBases, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with sqlite_bases.fresh(seeded=True) as url:
        file_of(url).chmod(0o600)
        found = examine(url)
        assert {state for _, state, _ in found} == {"ok"}, found
        checks = {
            "settings",
            "secret",
            "files",
            "temporary",
            "disk",
            "sqlite",
            "file",
            "log",
            "schema",
            "projections",
            "records",
            "keys",
        }
        assert {check for check, _, _ in found} == checks


@pytest.mark.parametrize(
    ("mode", "state"), [(0o600, "ok"), (0o640, "warning"), (0o644, "warning"), (0o602, "fault")]
)
def test_a_file_that_others_may_use_is_named(
    sqlite_bases: SqliteBases, examine: Examine, mode: int, state: str
) -> None:
    with sqlite_bases.fresh() as url:
        file_of(url).chmod(mode)
        assert has(examine(url), "files", state)


def test_a_directory_in_which_others_can_replace_the_file_is_named(
    sqlite_bases: SqliteBases, examine: Examine
) -> None:
    with sqlite_bases.fresh() as url:
        file_of(url).chmod(0o600)
        for mode, named in ((0o770, True), (0o1777, False), (0o755, False)):
            file_of(url).parent.chmod(mode)
            assert has(examine(url), "files", "fault", "who can replace") is named


def test_the_secret_s_file_is_looked_at(
    sqlite_bases: SqliteBases, examine: Examine, command: Command
) -> None:
    none = {"RECORD_SECRET": ""}
    with sqlite_bases.fresh() as url:
        assert has(examine(url, **none), "secret", "warning", "is not there")
        assert command(url, "key", "create", "Ann", "--role", "editor", **none).code == 0
        assert has(examine(url, **none), "secret", "ok", "record.db.secret")
        kept = file_of(url).with_name("record.db.secret")
        kept.chmod(0o640)
        assert has(examine(url, **none), "secret", "fault", "can be read by others")
        kept.unlink()
        assert has(examine(url, **none), "secret", "fault", "is not there, and the database is in use")
        other = examine(url)
        assert has(other, "secret", "fault", "is not the one that this database was served with before")
        assert not has(other, "secret", "ok", "served with")


def test_references_to_nowhere_are_found(sqlite_bases: SqliteBases, examine: Examine) -> None:
    with sqlite_bases.fresh(seeded=True) as url:
        assert has(examine(url), "file", "ok")
        tamper(url, "DELETE FROM sources")
        assert has(examine(url), "file", "fault", "of sources that is not there")


def test_a_file_whose_pages_are_damaged_is_found(sqlite_bases: SqliteBases, examine: Examine) -> None:
    with sqlite_bases.fresh(seeded=True) as url:
        file = file_of(url)
        whole = bytearray(file.read_bytes())
        whole[len(whole) // 2 : len(whole) // 2 + 8192] = b"\xff" * 8192
        file.write_bytes(whole)
        assert has(examine(url), "file", "fault") or has(examine(url), "database", "fault")
        file.write_bytes(b"no database at all, by any means" * 200)
        assert has(examine(url), "database", "fault", "not a database")
        file.unlink()
        assert has(examine(url), "database", "fault", "no base at")
        assert not file.exists()


def test_a_file_without_its_log_is_named(sqlite_bases: SqliteBases, examine: Examine) -> None:
    with sqlite_bases.fresh(seeded=True) as url:
        assert has(examine(url), "log", "ok")
        db = Database(url)
        db.writer.raw_connection().cursor().execute("PRAGMA journal_mode=DELETE")
        db.dispose()
        assert has(examine(url), "log", "warning", "journal_mode is delete")
        assert has(examine(url), "log", "warning"), "to look at it has not changed it"


def test_a_log_that_grows_is_named(
    sqlite_bases: SqliteBases, examine: Examine, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setattr(servers, "LONG_LOG", 1000)
    with sqlite_bases.fresh(seeded=True) as url:
        db = Database(url)
        with db.read() as session:
            session.connection().exec_driver_sql("SELECT count(*) FROM changes")
            assert command(url, "key", "create", "Ann", "--role", "editor").code == 0
            assert has(examine(url), "log", "warning", "a reader does not end")
        db.dispose()
        assert not has(examine(url), "log", "warning")


def test_commits_that_do_not_reach_the_disk_are_found(
    sqlite_bases: SqliteBases, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Database.__init__

    def careless(self: Database, *given: Any, **more: Any) -> None:
        made(self, *given, **more)
        event.listen(self.writer, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=1"))

    with sqlite_bases.fresh() as url:
        monkeypatch.setattr(Database, "__init__", careless)
        assert has(examine(url), "log", "fault", "a power cut loses commits")


def test_an_old_sqlite_and_a_full_disk_are_named(
    sqlite_bases: SqliteBases, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite_bases.fresh() as url:
        assert has(examine(url), "disk", "ok")
        monkeypatch.setattr(servers, "SOUND_SQLITE", (99, 0, 0))
        monkeypatch.setattr(doctor, "LEAST_FREE", 10**18)
        found = examine(url)
        assert has(found, "sqlite", "warning", "before 99.0.0")
        assert has(found, "disk", "fault", "MB free")


# --- PostgreSQL --------------------------------------------------------------------------------


def newest() -> Installation:
    return installations()[0]


@pytest.fixture(scope="module")
def durable() -> Iterator[str]:
    """The URL of a superuser on a server that keeps its data as a real one does."""
    of_tests = ("wal_level", "max_wal_senders")  # no standby follows the other one
    safe = {name: value for name, value in SETTINGS.items() if value != "off" and name not in of_tests}
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.postgres.SETTINGS", safe)
            server = stack.enter_context(serve(newest()))
        yield server.url


def settled(found: Callable[[], bool]) -> bool:
    """Whether something comes true: a server takes a moment to read its configuration."""
    for _ in range(100):
        if found():
            return True
        time.sleep(0.1)
    return False


def test_a_sound_server_has_no_fault(durable: str, examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    do(durable, "CREATE ROLE record LOGIN PASSWORD 'record'", "CREATE DATABASE record OWNER record")
    url = make_url(durable).set(username="record", password="record", database="record")
    owner = url.render_as_string(hide_password=False)
    for user in (durable, owner):
        allow_api_role(user)
    schema.upgrade(owner)
    found = examine(as_api_role(owner.replace("//record:", "//owner:")))
    bad = {(check, detail[:14]) for check, state, detail in found if state != "ok"}
    assert bad <= {("durability", "data_checksums"), ("backups", "Neither PATH n")}, found
    checks = {"server", "encoding", "user", "durability", "connections", "clock", "schema", "records", "keys"}
    assert {check for check, state, _ in found if state == "ok"} >= checks


def test_a_careless_server_is_named(postgres_bases: PostgresBases, examine: Examine) -> None:
    """The tests' own server is one, unless another was given."""
    with postgres_bases.fresh() as url:
        found = examine(url)
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            with psycopg.connect(plain(url)) as connection:
                row = connection.execute(f"SHOW {name}".encode()).fetchone()
            assert has(found, "durability", "fault", f"{name} is off") is (row == ("off",))
        assert has(found, "user", "warning", "superuser")
        assert has(examine(url, RECORD_POOL_SIZE="150"), "connections", "warning", "may want 300")
        assert not has(found, "connections", "warning")


def test_commits_that_are_not_waited_for_are_found(durable: str, examine: Examine) -> None:
    with PostgresBases(durable).fresh() as url:
        assert has(examine(url), "durability", "ok", "synchronous_commit is on")
        do(url, f'ALTER DATABASE "{make_url(url).database}" SET synchronous_commit = off')
        assert has(examine(url), "durability", "fault", "a crash loses commits")


@pytest.mark.parametrize(("encoding", "part"), [("SQL_ASCII", "SQL_ASCII"), ("UTF8", "LC_CTYPE")])
def test_a_database_that_cannot_keep_every_name_is_found(
    postgres: str, examine: Examine, encoding: str, part: str
) -> None:
    name = f"narrow_{encoding.lower()}"
    locale = "LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'"
    do(postgres, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' {locale}")
    url = make_url(postgres).set(database=name).render_as_string(hide_password=False)
    try:
        schema.upgrade(url)
        assert has(examine(url), "encoding", "fault", part)
    finally:
        do(postgres, f"DROP DATABASE {name} WITH (FORCE)")


def test_clocks_that_differ_are_named(
    postgres_bases: PostgresBases, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres_bases.fresh() as url:
        for seconds in (10, -10):
            monkeypatch.setattr(servers, "now", lambda by=seconds: now() + timedelta(seconds=by))
            found = examine(url)
            assert has(found, "clock", "warning", "9.9") or has(found, "clock", "warning", "10.0"), found


def test_missing_client_programs_are_named(
    postgres_bases: PostgresBases, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "PLACES", ())
    with postgres_bases.fresh() as url:
        assert has(examine(url, PATH="/nowhere"), "backups", "warning", "pg_dump, pg_restore, psql")


def test_a_missing_secret_is_named(postgres_bases: PostgresBases, examine: Examine) -> None:
    with postgres_bases.fresh() as url:
        assert has(examine(url, RECORD_SECRET=""), "secret", "fault", "must be set")
        assert not has(examine(url, RECORD_SECRET=SECRET), "secret", "fault")


def test_a_database_that_is_away_is_named(examine: Examine) -> None:
    assert has(examine("postgresql://someone@127.0.0.1:1/none"), "database", "fault", "does not answer")


@contextmanager
def follower(url: str, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """What receives the server's log, as a standby does."""
    program = newest().bin / "pg_receivewal"
    address = make_url(plain(url)).set(database="replication").render_as_string(hide_password=False)
    command = [str(program), "--no-loop", f"--directory={directory}", f"--dbname={address}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        yield process
        process.send_signal(signal.SIGCONT)
        process.terminate()


def test_standbys_that_fall_behind_are_named(
    durable: str, examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PostgresBases(durable).fresh(seeded=True) as url:
        assert not has(examine(url), "standby", "ok")
        with follower(durable, tmp_path) as process:
            assert settled(lambda: has(examine(url), "standby", "ok", "pg_receivewal (async)"))
            process.send_signal(signal.SIGSTOP)
            monkeypatch.setattr(servers, "LAG_BYTES", 100_000)
            do(url, "CREATE TABLE ballast AS SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
            assert settled(lambda: has(examine(url), "standby", "warning", "bytes behind"))


def test_a_standby_that_commits_wait_for_and_that_is_not_there_is_found(
    durable: str, examine: Examine
) -> None:
    with PostgresBases(durable).fresh() as url:
        do(durable, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()")
        try:
            assert settled(lambda: has(examine(url), "standby", "fault", "commits wait"))
        finally:
            do(durable, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
        assert settled(lambda: not has(examine(url), "standby", "fault"))
