"""Backups, made while others write and put back whole, on both databases; and those that must be refused."""

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.base.db import Database
from app.base.pools import engine_url
from app.changes.ledger import GENESIS
from app.operations import clients
from tests.commands import Command, digests, forked, tamper, write_one
from tests.newsroom import SECRET, Bases, PostgresBases, SqliteBases, ok
from tests.postgres import has_clients, installations, serve
from tests.served import Served, environment, served

SAID = re.compile(r"(\d+) changes, up to ([0-9a-f]{64}), are in ")


pytestmark = pytest.mark.usefixtures("client_programs")


def hashes(url: str) -> dict[int, str]:
    """The ledger's hashes by seq."""
    db = Database(url)
    with db.read() as session:
        rows = session.connection().exec_driver_sql("SELECT seq, hash FROM changes").all()
    db.dispose()
    return {int(row[0]): str(row[1]) for row in rows}


def told(out: str) -> tuple[int, str]:
    """The last entry of which a command tells."""
    [(seq, digest)] = SAID.findall(out)
    return int(seq), digest


@contextmanager
def written_to(server: Served, token: str) -> Iterator[Callable[[int], None]]:
    """Three clients write to the server as long as the block goes on; what is yielded waits for so many more
    writes.
    """
    stop, written, count = threading.Event(), threading.Condition(), 0

    def write(number: int) -> None:
        nonlocal count
        with server.client(token) as client:
            while not stop.is_set():
                body = {"name": f"Desk {number}", "kind": "organization", "slug": f"desk-{number}-{count}"}
                ok(client.post("/v1/entities", json=body))
                with written:
                    count += 1
                    written.notify_all()
                stop.wait(0.2)

    def wait(more: int) -> None:
        with written:
            aim = count + more
            assert written.wait_for(lambda: count >= aim, timeout=60)

    threads = [threading.Thread(target=write, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield wait
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# --- there and back ----------------------------------------------------------------------------


def test_a_backup_of_a_base_that_is_written_to_is_one_of_its_states(
    bases: Bases, command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "record.backup"
    with bases.fresh(seeded=True) as url, bases.fresh() as other:
        env = environment(url, RECORD_SECRET=SECRET)
        key = command(url, "key", "create", "Desk", "--role", "reporter").out.strip()
        with served(env, tmp_path / "log") as server, written_to(server, key) as wait:
            wait(10)
            done = forked(["backup", str(file)], env)
            wait(10)
        assert done.code == 0, done
        seq, digest = told(done.out)
        written = hashes(url)
        assert 30 < seq < max(written), "others wrote before and after it"
        assert written[seq] == digest
        restored = command(other, "restore", str(file))
        assert restored.code == 0, restored
        assert told(restored.out) == (seq, digest)
        assert hashes(other) == {n: each for n, each in written.items() if n <= seq}
        assert command(other, "verify").out == f"{seq} changes, unbroken up to {digest}\n"


def test_every_table_comes_back_as_it_was(bases: Bases, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "record.backup"
    with bases.fresh(seeded=True) as url, bases.fresh(migrated=False) as other:
        before = digests(url)
        assert len(before) > 25
        assert command(url, "backup", str(file)).code == 0
        assert file.stat().st_mode & 0o777 == 0o600
        assert command(other, "restore", str(file)).code == 0
        assert digests(other) == before
        assert command(other, "verify").code == 0
        write_one(other, command, tmp_path)
        assert command(other, "verify").code == 0
        assert [each.name for each in tmp_path.iterdir() if ".backup." in each.name] == []


def test_a_base_that_is_not_empty_is_replaced_only_if_told(
    bases: Bases, command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "record.backup"
    with bases.fresh(seeded=True) as url, bases.fresh() as other:
        assert command(url, "backup", str(file)).code == 0
        write_one(other, command, tmp_path)
        tamper_table(other)
        before = digests(other)
        refused = command(other, "restore", str(file))
        assert (refused.code, refused.out) == (1, "")
        assert refused.last_line == "The base is not empty: --force replaces all that is in it"
        assert digests(other) == before
        done = command(other, "restore", str(file), "--force")
        assert done.code == 0, done
        assert digests(other) == digests(url), "and nothing that was there is left"
        assert command(other, "verify").code == 0


def tamper_table(url: str) -> None:
    """A table that another version might have."""
    db = Database(url)
    with db.write() as session:
        session.connection().exec_driver_sql("CREATE TABLE of_another_version (id integer)")
    db.dispose()


def test_a_file_is_replaced_only_if_told(bases: Bases, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "record.backup"
    file.write_text("precious")
    with bases.fresh(seeded=True) as url:
        refused = command(url, "backup", str(file))
        assert (refused.code, "--force" in refused.last_line) == (1, True)
        assert file.read_text() == "precious"
        done = command(url, "backup", str(file), "--force")
        assert done.code == 0, done
        assert file.stat().st_mode & 0o777 == 0o600
        nowhere = command(url, "backup", str(tmp_path / "none" / "file"))
        assert (nowhere.code, "none" in nowhere.last_line) == (1, True)
        assert list(tmp_path.iterdir()) == [file]


def test_it_reminds_of_the_secret(sqlite_bases: SqliteBases, command: Command, tmp_path: Path) -> None:
    with sqlite_bases.fresh(seeded=True) as url:
        done = command(url, "backup", str(tmp_path / "a"))
        assert done.last_line.endswith("keep RECORD_SECRET too")
        done = command(url, "backup", str(tmp_path / "b"), RECORD_SECRET="")
        assert done.last_line.endswith("record.db.secret too")
        assert SECRET.encode() not in (tmp_path / "a").read_bytes()


# --- what is refused ---------------------------------------------------------------------------


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])


def altered(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 3000] = bytes(3000)
    file.write_bytes(whole)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def text(file: Path) -> None:
    file.write_text("no backup at all")


def test_a_damaged_backup_changes_nothing(bases: Bases, command: Command, tmp_path: Path) -> None:
    whole, file = tmp_path / "whole.backup", tmp_path / "record.backup"
    with bases.fresh(seeded=True) as url:
        assert command(url, "backup", str(whole)).code == 0
        write_one(url, command, tmp_path)
        before = digests(url)
        for damage in (cut_off, altered, empty, text):
            shutil.copy(whole, file)
            damage(file)
            refused = command(url, "restore", str(file), "--force")
            assert (refused.code, refused.out) == (1, ""), refused
            assert re.search("damaged, the base is as it was|is no backup", refused.last_line), refused
            assert digests(url) == before, damage
        assert command(url, "verify").code == 0


def test_a_backup_whose_ledger_is_forged_is_refused(
    sqlite_bases: SqliteBases, command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "record.backup"
    with sqlite_bases.fresh(seeded=True) as url:
        assert command(url, "backup", str(file)).code == 0
        tamper(f"sqlite:///{file}", "UPDATE changes SET actor_name = 'Ann' WHERE seq = 5")
        refused = command(url, "restore", str(file), "--force")
        assert (refused.code, "change 5: was altered" in refused.last_line) == (1, True)


def test_a_backup_of_a_later_version_is_refused(bases: Bases, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "record.backup"
    with bases.fresh(seeded=True) as url, bases.fresh() as other:
        tamper(url, "UPDATE alembic_version SET version_num = '7777'")
        assert command(url, "backup", str(file)).code == 0
        refused = command(other, "restore", str(file))
        assert (refused.code, "7777" in refused.last_line) == (1, True)
        assert command(other, "verify").out == f"0 changes, unbroken up to {GENESIS}\n"


def test_a_backup_of_the_other_database_is_refused_with_what_to_do(
    sqlite_bases: SqliteBases, postgres_bases: PostgresBases, command: Command, tmp_path: Path
) -> None:
    with sqlite_bases.fresh() as one, postgres_bases.fresh() as other:
        assert command(one, "backup", str(tmp_path / "one")).code == 0
        assert command(other, "backup", str(tmp_path / "other")).code == 0
        for url, file in ((one, "other"), (other, "one")):
            refused = command(url, "restore", str(tmp_path / file))
            assert (refused.code, "`export` and `import`" in refused.last_line) == (1, True)


def test_no_base_is_no_backup(bases: Bases, command: Command, tmp_path: Path) -> None:
    with bases.fresh(migrated=False) as url:
        refused = command(url, "backup", str(tmp_path / "none"))
        assert (refused.code, list(tmp_path.iterdir())) == (1, [])
        assert "no base to back up" in refused.last_line


@pytest.mark.parametrize("words", ["backup", "restore"])
def test_the_base_itself_is_no_backup(sqlite_bases: SqliteBases, command: Command, words: str) -> None:
    """A server would go on writing into the file that it was, which has no name any more."""
    with sqlite_bases.fresh(seeded=True) as url:
        file = Path(str(engine_url(url).database))
        number = file.stat().st_ino
        refused = command(url, words, str(file), "--force")
        assert (refused.code, "is the base itself" in refused.last_line) == (1, True)
        assert file.stat().st_ino == number


def test_a_base_that_is_served_is_not_swapped(
    sqlite_bases: SqliteBases, command: Command, tmp_path: Path
) -> None:
    """The server would go on writing into the file that is no longer there."""
    file = tmp_path / "record.backup"
    with sqlite_bases.fresh(seeded=True) as url:
        assert command(url, "backup", str(file)).code == 0
        with served(environment(url), tmp_path / "log"):
            refused = command(url, "restore", str(file), "--force")
        assert (refused.code, "in use" in refused.last_line) == (1, True)
        assert command(url, "restore", str(file), "--force").code == 0


def test_a_base_that_is_broken_is_replaced_and_its_log_forgotten(
    sqlite_bases: SqliteBases, command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "record.backup"
    with sqlite_bases.fresh(seeded=True) as url:
        base = Path(str(engine_url(url).database))
        before = digests(url)
        assert command(url, "backup", str(file)).code == 0
        base.write_bytes(b"x" * 5000)
        base.with_name("record.db-wal").write_bytes(b"a log of the file that was there")
        assert "not empty" in command(url, "restore", str(file)).last_line
        done = command(url, "restore", str(file), "--force")
        assert done.code == 0, done
        assert digests(url) == before


def test_a_restored_file_keeps_its_mode(sqlite_bases: SqliteBases, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "record.backup"
    with sqlite_bases.fresh(seeded=True) as url:
        base = Path(str(engine_url(url).database))
        base.chmod(0o640)
        assert command(url, "backup", str(file)).code == 0
        assert command(url, "restore", str(file), "--force").code == 0
        assert base.stat().st_mode & 0o777 == 0o640
        assert not base.with_name("record.db-wal").exists()


# --- PostgreSQL's programs ---------------------------------------------------------------------


def test_a_restore_that_fails_on_the_way_leaves_the_base_as_it_was(
    postgres_bases: PostgresBases, command: Command, tmp_path: Path
) -> None:
    """Indexes are made last, when the rows that were there are gone and the others in."""
    file = tmp_path / "record.backup"
    refusal = """
        CREATE SCHEMA beside;
        CREATE FUNCTION beside.refuse() RETURNS event_trigger LANGUAGE plpgsql
          AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$;
        CREATE EVENT TRIGGER refusal ON ddl_command_start WHEN TAG IN ('CREATE INDEX')
          EXECUTE FUNCTION beside.refuse();
        SELECT 1"""
    with postgres_bases.fresh(seeded=True) as url:
        assert command(url, "backup", str(file)).code == 0
        write_one(url, command, tmp_path)
        tamper(url, refusal)
        before = digests(url)
        refused = command(url, "restore", str(file), "--force")
        assert (refused.code, "the disk is full" in refused.last_line) == (1, True)
        assert digests(url) == before
        assert command(url, "verify").code == 0


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """The only place where programs are found: those of an installation, but for some that are scripts."""

    def place(bin_: Path | None, **scripts: str) -> Path:
        directory = tmp_path / "bin"
        directory.mkdir()
        for name in clients.NAMES:
            if name in scripts:
                (directory / name).write_text(f"#!/bin/sh\n{scripts[name]}\n")
                (directory / name).chmod(0o755)
            elif bin_ is not None:
                (directory / name).symlink_to(bin_ / name)
        monkeypatch.setattr(clients, "PLACES", (str(directory),))
        monkeypatch.setattr(shutil, "which", lambda _name: None)
        return directory

    return place


def test_a_script_that_breaks_off_is_not_committed(
    postgres_bases: PostgresBases, command: Command, tmp_path: Path, found: Callable[..., Path]
) -> None:
    """What has come by then is a script that would run well: all tables and rows, and no index."""
    real = next(each.bin for each in installations() if has_clients(each))
    broken = f"""case "$*" in
*--no-owner*) {real}/pg_restore "$@" | sed '/^ALTER TABLE ONLY/,$d'; exit 1;;
esac
exec {real}/pg_restore "$@\""""
    file = tmp_path / "record.backup"
    found(real, pg_restore=broken)
    with postgres_bases.fresh(seeded=True) as url:
        assert command(url, "backup", str(file)).code == 0
        write_one(url, command, tmp_path)
        before = digests(url)
        refused = command(url, "restore", str(file), "--force")
        assert (refused.code, "The base is as it was: pg_restore failed" in refused.last_line) == (1, True)
        assert digests(url) == before


OLD = "echo 'pg_dump (PostgreSQL) 9.6.24'"


@pytest.mark.parametrize(
    ("scripts", "says"),
    [({}, "Neither PATH nor"), (dict.fromkeys(clients.NAMES, OLD), "those found are of version 9")],
    ids=["missing", "too old"],
)
def test_programs_that_are_missing_or_too_old_are_said(
    postgres_bases: PostgresBases,
    command: Command,
    tmp_path: Path,
    found: Callable[..., Path],
    scripts: dict[str, str],
    says: str,
) -> None:
    found(None, **scripts)
    with postgres_bases.fresh(seeded=True) as url:
        refused = command(url, "backup", str(tmp_path / "none"))
        assert (refused.code, says in refused.last_line) == (1, True), refused
        assert "pg_dump, pg_restore, psql" in refused.last_line
        assert not (tmp_path / "none").exists()


def test_programs_newer_than_the_server_will_do(
    command: Command, tmp_path: Path, found: Callable[..., Path]
) -> None:
    suiting = sorted((each.major, str(each.bin)) for each in installations() if has_clients(each))
    (oldest, _), (newest, programs) = suiting[0], suiting[-1]
    if oldest == newest:
        pytest.skip("there is one version of PostgreSQL here")
    found(Path(programs))
    file = tmp_path / "record.backup"
    server = next(each for each in installations() if each.major == oldest)
    with serve(server) as running, PostgresBases(running.url).fresh(seeded=True) as url:
        assert command(url, "backup", str(file)).code == 0
        before = digests(url)
        done = command(url, "restore", str(file), "--force")
        assert done.code == 0, done
        assert digests(url) == before
