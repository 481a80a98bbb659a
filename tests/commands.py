"""The command line, run for tests, and what someone with the database's own tools can do behind its back."""

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import inspect

from app.base import schema
from app.base.db import Database
from app.base.pools import SQLITE, engine_url
from app.cli import main
from tests.newsroom import SECRET
from tests.program import Program
from tests.served import environment


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        """What is said, which is one line."""
        [line] = self.err.strip().splitlines()
        return line


def run(arguments: Sequence[str], env: dict[str, str]) -> Done:
    """Runs a command in a process of its own."""
    done = subprocess.run(
        arguments, cwd=schema.ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def forked(arguments: Sequence[str], env: Mapping[str, str], user: int | None = None) -> Done:
    """Runs a command of the application in a process of its own, without its start; as another user if root
    wants it so.
    """
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as errors:
        program = Program(arguments, env, Path(errors.name), user)
        with program.stdout as output:
            out = output.read()
        return Done(program.wait(120), out, errors.read())


Command = Callable[..., Done]


def in_this_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """What runs a command on a base in this process."""

    def run_here(url: str, *arguments: str, **settings: str) -> Done:
        wanted = environment(url, **{"RECORD_SECRET": SECRET, **settings})
        monkeypatch.setattr(sys, "argv", ["app", *arguments])
        monkeypatch.setattr(os, "environ", {name: value for name, value in wanted.items() if value})
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        failed = code if isinstance(code, str) else ""
        return Done(1 if failed else int(str(code or 0)), said.out, said.err + failed)

    return run_here


def tamper(url: str, *statements: str) -> None:
    """Does what someone with the database's own tools can do."""
    parsed = engine_url(url)
    if parsed.get_backend_name() == "sqlite":
        tamper_file(Path(str(parsed.database)), *statements)
        return
    address = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as session:
        session.execute("SET session_replication_role = replica")  # no foreign keys
        session.execute("ALTER TABLE changes DISABLE TRIGGER USER")
        for statement in statements:
            assert session.execute(statement.encode()).rowcount, statement
        session.execute("ALTER TABLE changes ENABLE ALWAYS TRIGGER changes_no_update")


def cut(url: str, last: int) -> None:
    """Ends the ledger after an entry, as a backup that is restored does."""
    tamper(url, *(f"DELETE FROM {name} WHERE seq > {last}" for name in ("changes", "change_values")))


def tamper_file(file: Path, *statements: str) -> None:
    """The same to a SQLite file: the ledger's triggers are there again when it is done. By the same library
    as the server's: of two in one process, one takes the other's locks away when it closes the file.
    """
    guards = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'changes'"
    with contextlib.closing(SQLITE.connect(file)) as connection, connection:
        kept = connection.execute(guards).fetchall()
        for name, _ in kept:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert connection.execute(statement).rowcount, statement
        for _, made in kept:
            connection.execute(made)


def digests(url: str) -> dict[str, str]:
    """The digest of each table's rows, in the order of their text."""
    db = Database(url)
    found = {}
    with db.read() as session:
        connection = session.connection()
        for name in inspect(connection).get_table_names():
            rows = sorted(repr(tuple(row)) for row in connection.exec_driver_sql(f'SELECT * FROM "{name}"'))
            found[name] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    db.dispose()
    return found


def write_one(url: str, command: Command, directory: Path) -> None:
    """Adds an entity, by way of files in a directory."""
    (directory / "entities.ndjson").write_text('{"slug": "later", "name": "Later", "kind": "person"}\n')
    (directory / "sources.ndjson").write_text("")
    (directory / "claims.ndjson").write_text("")
    done = command(url, "seed", str(directory))
    assert done.code == 0, done
