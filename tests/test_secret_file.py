"""The secret that a SQLite database is given: made once, whole, and for its owner alone."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.access import secret as module
from app.access.secret import secret_of
from app.base import files
from app.base.db import Database
from app.settings import Settings
from tests.commands import Command
from tests.newsroom import SqliteBases, ok
from tests.served import environment, served

OWN = {"RECORD_SECRET": ""}
"""No secret in the environment."""

ADMIN = ("key", "create", "Ann", "--role", "admin")


@pytest.fixture(params=[0o000, 0o022, 0o277], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


@pytest.mark.usefixtures("umask")
def test_what_holds_secrets_is_for_its_owner_alone(tmp_path: Path, command: Command) -> None:
    url = f"sqlite:///{tmp_path}/record.db"
    assert command(url, "migrate").code == 0
    assert command(url, *ADMIN, **OWN).code == 0
    assert command(url, "export", str(tmp_path / "export.ndjson")).code == 0
    assert command(url, "backup", str(tmp_path / "backup")).code == 0
    made = {file.name: mode(file) for file in tmp_path.iterdir()}
    assert made == dict.fromkeys(["record.db", "record.db.secret", "export.ndjson", "backup"], 0o600)


def test_what_is_beside_an_open_database_is_for_its_owner_too(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/record.db"
    before = os.umask(0)
    try:
        with served(environment(url), tmp_path / "log", "--migrate") as server, server.client() as client:
            ok(client.get("/v1/claims"))
            made = {file.name: mode(file) for file in tmp_path.iterdir() if file.name.startswith("record")}
    finally:
        os.umask(before)
    names = ["record.db", "record.db-wal", "record.db-shm", "record.db.secret"]
    assert made == dict.fromkeys(names, 0o600)


@pytest.mark.parametrize("content", [b"", b"\n", b"half a secret", b"\0" * 64, b"\0" * 32 + b"x" * 32])
def test_a_file_that_lost_its_secret_is_refused(
    sqlite_bases: SqliteBases, command: Command, content: bytes
) -> None:
    with sqlite_bases.fresh() as url:
        kept = Path(f"{url.removeprefix('sqlite:///')}.secret")
        kept.write_bytes(content)
        kept.chmod(0o600)
        for words in (["serve", "--host", "192.0.2.1"], ["serve", "--host", "192.0.2.1", "--migrate"], ADMIN):
            refused = command(url, *words, **OWN)
            assert (refused.code, refused.out) == (1, "")
            assert refused.last_line.startswith(f"{kept} has no secret in it: put it back")
        assert re.search(rf"fault +secret +{kept} has no secret", command(url, "doctor", **OWN).out)
        assert kept.read_bytes() == content
        kept.unlink()
        assert command(url, *ADMIN, **OWN).code == 0


def test_of_two_starters_the_first_one_s_secret_is_both_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path}/record.db", secret=None)
    db = Database(settings.database_url)
    first: list[bytes] = []

    def overtaken(path: Path) -> None:
        """The other starter comes while this one has its secret, and not yet the file's name."""
        monkeypatch.undo()
        files.sync(path)
        first.append(secret_of(settings, db))

    monkeypatch.setattr(files, "sync", overtaken)
    assert [secret_of(settings, db)] == first
    assert [file.name for file in tmp_path.iterdir()] == ["record.db.secret"]


def test_a_secret_is_on_disk_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if whoever made it has not got that far, or is of a version that did not care."""
    synced: list[Path] = []
    monkeypatch.setattr(module, "sync", lambda path: synced.append(path))
    kept = tmp_path / "record.db.secret"
    kept.write_text("a secret of a version before, long enough")
    settings = Settings(database_url=f"sqlite:///{tmp_path}/record.db", secret=None)
    secret_of(settings, Database(settings.database_url))
    assert synced == [kept, tmp_path]
