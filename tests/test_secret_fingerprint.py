"""A database knows the secret that it was served with, and is not served with another one or none."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.access import secret as secrets
from app.access.house import House
from app.base.db import Database
from app.settings import Settings
from tests.commands import Command, tamper
from tests.earlier import lay
from tests.newsroom import SECRET, Bases, Newsroom, SqliteBases, ok, problem
from tests.served import environment, served

OTHER = "another secret for tests, of more than 32 characters"
OWN = {"RECORD_SECRET": ""}
"""No secret in the environment."""

SERVE = ("serve", "--host", "192.0.2.1")
"""Cannot listen at that address (RFC 5737), so that it ends even where it should have been refused before."""

ADMIN = ("key", "create", "Ann", "--role", "admin")
BEFORE = "0011"
"""The revision before fingerprints."""


def kept(url: str) -> Path:
    return Path(f"{url.removeprefix('sqlite:///')}.secret")


def check_refused(command: Command, url: str, said: str, **settings: str) -> None:
    for words in (SERVE, (*SERVE, "--migrate"), ADMIN):
        refused = command(url, *words, **settings)
        assert (refused.code, refused.out) == (1, "")
        assert said in refused.err.splitlines()[-1]
        assert "python -m app secret replace" in refused.err


def test_a_database_of_an_earlier_version_is_held_to_its_next_secret(
    bases: Bases, command: Command, tmp_path: Path
) -> None:
    with bases.fresh(migrated=False) as url:
        lay(url)  # with keys
        assert command(url, "migrate", "--down", BEFORE).code == 0
        env = environment(url, RECORD_SECRET=SECRET)
        with served(env, tmp_path / "log", "--migrate") as server, server.client() as client:
            ok(client.get("/v1/claims"))
        check_refused(command, url, "is not the one that this database was served with", RECORD_SECRET=OTHER)
        assert is_known(command, url, SECRET)
        assert not is_known(command, url, OTHER)
        assert command(url, *ADMIN).code == 0


def is_known(command: Command, url: str, secret: str) -> bool:
    """Whether the examination finds that the database was served with a secret."""
    found = command(url, "doctor", RECORD_SECRET=secret).out
    right = re.search(r"^ok +secret +it is the one", found, re.MULTILINE) is not None
    assert right is not (re.search(r"^fault +secret +.* is not the one", found, re.MULTILINE) is not None)
    return right


def test_what_needs_no_secret_goes_on_without_the_right_one(bases: Bases, command: Command) -> None:
    with bases.fresh(seeded=True) as url:
        for words in (["migrate"], ["seed"], ["verify"], ["export"], ["key", "list"]):
            assert command(url, *words, RECORD_SECRET=OTHER).code == 0


def test_a_database_in_use_is_given_no_secret(sqlite_bases: SqliteBases, command: Command) -> None:
    with sqlite_bases.fresh(seeded=True) as url:
        tamper(url, "DELETE FROM database_properties WHERE name = 'secret fingerprint'")
        kept(url).unlink()
        check_refused(command, url, f"{kept(url)} is not there, and the database is in use", **OWN)
        assert command(url, "migrate", **OWN).code == 0
        assert not kept(url).exists()
        kept(url).write_text(OTHER)
        assert command(url, *ADMIN, **OWN).code == 0, "of which none is known it is the first"


def test_a_new_database_has_its_secret_before_its_records(tmp_path: Path, command: Command) -> None:
    url = f"sqlite:///{tmp_path}/record.db"
    for words in (["migrate"], ["seed"], ADMIN):
        assert command(url, *words, **OWN).code == 0
    check_refused(command, url, "is not the one", RECORD_SECRET=OTHER)


def test_of_two_secrets_at_once_the_database_takes_one(bases: Bases) -> None:
    with bases.fresh() as url:
        db = Database(url)
        with ThreadPoolExecutor() as pool:
            found = [*pool.map(lambda n: secrets.hold_to(db, SECRET.encode() + bytes([n])), range(8))]
        assert sorted(map(str, found)) == sorted(["None", *[secrets.OTHER] * 7])
        db.dispose()


def test_a_server_whose_secret_was_replaced_is_not_ready(seeded: Newsroom, command: Command) -> None:
    client = seeded.admin
    assert command(seeded.settings.database_url, "secret", "replace").code == 0
    assert "not the one" in problem(seeded.anyone.get("/readyz"), 503)["detail"]
    problem(client.get("/v1/keys"), 401)


def test_a_server_that_came_up_before_its_database_is_not_ready_with_another_secret(seeded: Newsroom) -> None:
    seeded.app.state.house = House(seeded.settings, seeded.db, OTHER.encode())
    assert "not the one" in problem(seeded.anyone.get("/readyz"), 503)["detail"]


def test_a_server_that_came_up_before_its_database_answers_nothing_with_another_secret(
    seeded: Newsroom,
) -> None:
    for secret, status in ((OTHER, 503), (SECRET, 200)):
        house = seeded.app.state.house = House(seeded.settings, seeded.db, secret.encode())
        house.unproven.set()  # as at a start without the database
        for path in ("/v1/claims", "/v1/log/checkpoint", "/v1/changes", "/readyz"):
            assert seeded.anyone.get(path).status_code == status, path
        assert seeded.anyone.get("/healthz").status_code == 200
        assert house.unproven.is_set() is (status == 503)


# --- another secret ----------------------------------------------------------------------------


@pytest.mark.parametrize("spoil", ["right", "other", "none", "empty"])
def test_a_secret_is_replaced(bases: Bases, command: Command, spoil: str) -> None:
    with bases.fresh(seeded=True) as url:
        on_sqlite = url.startswith("sqlite")
        made = command(url, *ADMIN).err.split()[0]
        given = {} if spoil == "right" else {"RECORD_SECRET": OTHER} if spoil == "other" else dict(OWN)
        if on_sqlite and spoil == "none":
            kept(url).unlink()
        if on_sqlite and spoil == "empty":
            kept(url).write_text("")
        done = command(url, "secret", "replace", **given)
        assert done.code == 0, done
        assert f"The API key {made} (admin, Ann) is revoked" in done.err
        for said in ("The log signs with another key", "Page cursors", "every server process anew"):
            assert said in done.err
        if on_sqlite and "RECORD_SECRET" in given and not given["RECORD_SECRET"]:
            assert done.out == ""
            assert kept(url).stat().st_mode & 0o777 == 0o600
            new = kept(url).read_text()
        else:
            new = done.out.strip()
        assert len(new) == 64
        assert f"{made}  admin     revoked" in command(url, "key", "list").out
        check_refused(command, url, "is not the one", RECORD_SECRET=SECRET)
        assert command(url, *ADMIN, RECORD_SECRET=new).code == 0
        assert command(url, "verify").code == 0


def test_replacing_a_secret_names_the_webhooks_and_spares_a_log_key_that_is_given(
    room: Newsroom, command: Command
) -> None:
    url = "https://hooks.example/record"
    made = ok(room.admin.post("/v1/webhooks", json={"url": url}))
    log_key = f"PRIVATE+KEY+tests+{0:08x}+x"
    done = command(room.settings.database_url, "secret", "replace", RECORD_LOG_KEY=log_key)
    assert f"The webhook {made['id']} to {url} signs with another secret" in done.err
    assert "The log signs" not in done.err


def test_a_failed_replacement_changes_nothing(
    sqlite_bases: SqliteBases, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with sqlite_bases.fresh(seeded=True) as url:
        assert command(url, *ADMIN, **OWN).code == 0
        monkeypatch.setattr("app.base.files.sync", full)
        refused = command(url, "secret", "replace", **OWN)
        monkeypatch.undo()
        assert (refused.code, "No space" in refused.last_line) == (1, True)
        assert kept(url).read_text() == SECRET
        assert "active" in command(url, "key", "list", **OWN).out
        assert is_known(command, url, SECRET)


@pytest.mark.usefixtures("client_programs")
def test_a_backup_beside_another_secret_is_noticed(bases: Bases, command: Command, tmp_path: Path) -> None:
    file = str(tmp_path / "backup")
    with bases.fresh(seeded=True) as url, bases.fresh() as elsewhere:
        assert command(url, *ADMIN).code == 0
        assert command(url, "backup", file).code == 0
        done = command(elsewhere, "restore", file, RECORD_SECRET=OTHER)
        assert (done.code, "is not the one" in done.err) == (0, True)
        check_refused(command, elsewhere, "is not the one", RECORD_SECRET=OTHER)
        assert command(elsewhere, *ADMIN).code == 0
        if elsewhere.startswith("sqlite"):
            done = command(elsewhere, "restore", file, "--force", **OWN)
            assert f"{kept(elsewhere)} is not there, and the database is in use" in done.err


def test_the_fingerprint_tells_nothing_of_the_secret(bases: Bases) -> None:
    with bases.fresh(seeded=True) as url:
        db = Database(url)
        with db.read() as session:
            found = dict(
                map(tuple, session.connection().exec_driver_sql("SELECT * FROM database_properties"))
            )
        db.dispose()
    assert found.keys() == {"secret fingerprint", "projections"}
    value = found["secret fingerprint"]
    assert len(value) == 64
    assert SECRET not in value
    settings = Settings(database_url="sqlite:///none.db", secret=SECRET)
    assert value == secrets.fingerprint(str(settings.secret).encode())
