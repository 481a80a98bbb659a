"""Why a database cannot be used is said to whoever runs the server, in one line, and to no client."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from app.base import schema
from app.base.db import Database
from tests.commands import Command, forked
from tests.newsroom import SECRET, PostgresBases, SqliteBases, problem
from tests.postgres import as_api_role, free_port
from tests.served import environment, served
from tests.test_faults import fill, small_disk

NOBODY = 65534

WRONG = {
    "password": ({"password": "hidden-and-wrong"}, 'password authentication failed for user "'),
    "role": ({"username": "record_nobody", "password": "hidden"}, 'failed for user "record_nobody"'),
    "database": ({"database": "record_none"}, 'database "record_none" does not exist'),
    "port": ({"port": 1}, 'connection to server at "127.0.0.1", port 1 failed: Connection refused'),
    "host": ({"host": "db.invalid"}, "failed to resolve host 'db.invalid'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_an_address_is_said(postgres: str, command: Command, what: str) -> None:
    changed, said = WRONG[what]
    right = make_url(postgres)
    url = right.set(**changed).render_as_string(hide_password=False)  # type: ignore[arg-type]
    for words in ("verify", "migrate"):
        refused = command(url, words)
        assert (refused.code, refused.out) == (1, "")
        assert said in refused.last_line
        assert refused.last_line.startswith("The database is away: The database does not answer: ")
        assert "hidden" not in refused.last_line
        assert str(right.password) not in refused.last_line
    found = command(url, "doctor")
    assert (found.code, said in found.out.splitlines()[-1], "hidden" in found.out) == (1, True, False)


def test_a_role_without_a_privilege_is_said_in_a_line(
    postgres_bases: PostgresBases, command: Command
) -> None:
    with postgres_bases.fresh() as url:
        refused = command(as_api_role(url), "reindex")
        assert (refused.code, refused.out) == (1, "")
        assert refused.last_line.endswith(
            "refuses the server's role: permission denied for table ledger_nodes"
        )
    with postgres_bases.fresh(migrated=False) as url:
        refused = command(as_api_role(url), "migrate")
        assert (refused.code, "permission denied for schema public" in refused.last_line) == (1, True)


def test_the_log_has_the_cause_and_a_client_has_not(postgres: str, tmp_path: Path) -> None:
    port = free_port()
    url = make_url(postgres).set(port=port).render_as_string(hide_password=False)
    log = tmp_path / "log"
    with (
        served(environment(url, RECORD_SECRET=SECRET), log, ready=False) as server,
        server.client() as client,
    ):
        for path in ("/readyz", "/v1/claims", "/readyz"):
            told = problem(client.get(path), 503, "unavailable")
            assert told["detail"] == "The database does not answer."
    lines = [line for line in log.read_text().splitlines() if "Connection refused" in line]
    assert len(lines) == 2, "at the start, and of the first request"
    assert all(f"port {port} failed" in line for line in lines)


def test_a_file_that_is_gone_is_named_to_no_client(sqlite_bases: SqliteBases, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        sqlite_bases.fresh() as url,
        served(environment(url), log) as server,
        server.client() as client,
    ):
        file = Path(str(make_url(url).database))
        file.unlink()
        told = problem(client.get("/v1/claims?limit=3"), 503, "unavailable")
        assert str(file.parent) not in str(told)
        assert f"there is no base at {file}: python -m app migrate makes one" in log.read_text()


# --- a SQLite file that cannot be used ---------------------------------------------------------


def no_directory(file: Path) -> str:
    file.unlink()
    file.parent.rmdir()
    return f"{file.parent} is no directory"


def is_a_directory(file: Path) -> str:
    file.unlink()
    file.mkdir()
    return f"{file} is a directory"


@pytest.mark.parametrize("breaking", [no_directory, is_a_directory])
@pytest.mark.parametrize("words", ["migrate", "verify", "doctor"])
def test_a_path_that_is_none_is_named(
    command: Command, tmp_path: Path, breaking: Callable[[Path], str], words: str
) -> None:
    file = tmp_path / "data" / "record.db"
    file.parent.mkdir()
    file.touch()
    said = breaking(file)
    refused = command(f"sqlite:///{file}", words)
    assert refused.code == 1
    assert f"{file}, as uid {os.geteuid()}; {said}" in refused.out + refused.err
    assert "Traceback" not in refused.err


def readable_by_nobody() -> bool:
    """Return whether another user can run the application from where it is."""
    if os.geteuid() != 0:
        return False
    look = ["cat", str(schema.ROOT / "alembic.ini")]
    return subprocess.run(look, user=NOBODY, stdout=subprocess.DEVNULL, check=False).returncode == 0


@pytest.fixture
def place(sqlite_bases: SqliteBases) -> Iterator[Path]:
    """A migrated file in a directory that any user can get to."""
    directory = Path(tempfile.mkdtemp(prefix="record-place-"))
    directory.chmod(0o755)
    with sqlite_bases.fresh() as url:
        shutil.copy(str(make_url(url).database), directory / "record.db")
    (directory / "record.db").chmod(0o600)
    yield directory / "record.db"
    shutil.rmtree(directory)


@pytest.mark.skipif(not readable_by_nobody(), reason="only root runs commands as another user")
def test_another_user_and_a_directory_of_root_are_said(place: Path) -> None:
    def refused(*words: str) -> str:
        done = forked(words, environment(f"sqlite:///{place}"), user=NOBODY)
        assert (done.code, done.out) == (1, ""), done
        return done.last_line

    directory = place.parent
    for words in (("verify",), ("migrate",), ("migrate", "--down", "0001")):
        said = refused(*words)
        assert f"{place}, as uid {NOBODY}; it may not write {directory}, " in said
        assert f"it may not write {place}, which belongs to uid 0 (mode 600)" in said
    place.unlink()
    assert f"it may not write {directory}, which belongs to uid 0 (mode 755)" in refused("migrate")
    directory.chmod(0o700)
    for words in (("migrate",), ("verify",)):
        assert f"it may not enter {directory}, which belongs to uid 0 (mode 700)" in refused(*words)


def test_a_read_only_and_a_full_file_system_are_said(place: Path, command: Command, tmp_path: Path) -> None:
    make_key, backup = ["key", "create", "Ann", "--role", "admin"], ["backup", str(tmp_path / "copy")]
    with small_disk(tmp_path / "disk", "4m") as disk:
        file = disk / "record.db"
        shutil.copy(place, file)
        where = f"{file}, as uid {os.geteuid()}; its file system is "
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for words in (["migrate"], ["verify"], make_key, backup):
            told = command(f"sqlite:///{file}", *words)
            assert (told.code, f"{where}read-only" in told.last_line) == (1, True), told
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        fill(disk)
        told = command(f"sqlite:///{file}", *make_key)
        assert (told.code, f"{where}full" in told.last_line) == (1, True), told


def test_a_session_that_reads_and_writes_all_the_same_is_a_fault_of_ours(place: Path) -> None:
    db = Database(f"sqlite:///{place}")
    with pytest.raises(OperationalError, match="readonly"), db.read() as session:
        session.connection().exec_driver_sql("DELETE FROM claims")
    db.dispose()


def test_a_file_that_is_no_database_is_said_in_a_line(command: Command, place: Path) -> None:
    place.write_bytes(b"no database at all, by any means" * 200)
    for words in (["verify"], ["migrate"], ["backup", str(place.with_name("copy"))]):
        refused = command(f"sqlite:///{place}", *words)
        assert (refused.code, refused.out) == (1, "")
        assert "file is not a database" in refused.last_line
