"""A world's records written straight into a base: the rows and the ledger that the application would have
written, at the speed of the driver. `python -m app verify` finds nothing wrong with them.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import typer
from psycopg import sql
from sqlalchemy import Dialect, NullPool, Table
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlmodel import SQLModel, create_engine

from app.base import schema
from app.base.pools import sqlite  # type: ignore[attr-defined]  # the driver that the base chose
from app.base.sql import table
from app.changes.model import Change, Record
from app.cli import cli
from bench import generate, rivals
from bench import rows as made
from bench.generate import Json, World
from bench.rows import Loader
from tests.program import Program

SECRET = "a secret for benchmarks, of more than 32 characters"
SQLITE: Dialect = sqlite_dialect.dialect()


def _digest(files: Iterable[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:8]


CODE = _digest([Path(__file__), *(Path(str(module.__file__)) for module in (generate, made, rivals))])


def bound(rows: Iterable[Json], into: Table, dialect: Dialect) -> Iterator[list[Any]]:
    """Rows as a driver takes them."""
    binders = [(c.name, c.type.dialect_impl(dialect).bind_processor(dialect)) for c in into.columns]
    for row in rows:
        yield [bind(row[name]) if bind else row[name] for name, bind in binders]


def insert_into(into: Table, mark: str) -> str:
    """A prepared INSERT of whole rows; `mark` is the driver's for a value."""
    names = ", ".join(f'"{column.name}"' for column in into.columns)
    return f"INSERT INTO {into.name} ({names}) VALUES ({', '.join([mark] * len(into.columns))})"


def tables() -> list[Table]:
    """Of records, their parts and the ledger: all that is not derived from others."""
    kinds: list[type[SQLModel]] = [Change]
    for kind in Record.__subclasses__():
        kinds += [kind, *kind.parts.values()]
    return [table(kind) for kind in kinds]


@dataclass(frozen=True)
class Base:
    """A world in a SQLite file, made once and kept below `directory`."""

    world: World
    directory: Path

    @property
    def place(self) -> Path:
        """Where it is kept; named by all that it is made of, so that a stale one is never taken."""
        return self.directory / f"{self.world.claims}-{self.world.seed}-{schema.newest()}-{CODE}"

    @property
    def file(self) -> Path:
        """The base itself."""
        return self.place / "record.db"

    @property
    def url(self) -> str:
        """The setting RECORD_DATABASE_URL."""
        return f"sqlite:///{self.file.resolve()}"

    def made(self) -> "Base":
        """Makes it if it is not there, and what is derived from it if the application has changed since."""
        if not self.place.exists():
            half = self.place.with_name(self.place.name + ".half")
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir(parents=True)
            load_sqlite(self.world, half / "record.db")
            half.rename(self.place)
        stamp, code = self.place / "derived", _digest(sorted((schema.ROOT / "app").rglob("*.py")))
        if not stamp.exists() or stamp.read_text() != code:
            derive(self.url)
            stamp.write_text(code)
        return self


def load_sqlite(world: World, file: Path) -> None:
    """Makes a SQLite base of a world, but for what is derived from its rows."""
    url = f"sqlite:///{file.resolve()}"
    schema.upgrade(url)
    connection = sqlite.connect(str(file), isolation_level=None)
    # What is half loaded is thrown away, so nothing is journalled.
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "foreign_keys=OFF", "cache_size=-500000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    for batch in Loader(world).batches():
        for into, rows in batch.items():
            connection.executemany(insert_into(into, "?"), bound(rows, into, SQLITE))
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


def load_postgres(base: Base, url: str) -> None:
    """Copies a SQLite base into an empty PostgreSQL database, of whose server `url` has the superuser."""
    schema.upgrade(url)
    connection = sqlite.connect(str(base.file))
    with psycopg.connect(plain(url)) as session:
        session.execute("SET session_replication_role = replica")  # the rows' references were checked
        session.execute("SET timezone = 'UTC'")
        for into in tables():
            names = [column.name for column in into.columns]
            columns = sql.SQL(", ").join(map(sql.Identifier, names))
            rows = connection.execute(
                "SELECT {} FROM {}".format(", ".join(f'"{name}"' for name in names), into.name)
            )
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(into.name), columns)
            with session.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
    connection.close()
    with psycopg.connect(plain(url), autocommit=True) as session:
        session.execute("VACUUM ANALYZE")  # as its own autovacuum would, sooner or later
    derive(url)


def plain(url: str) -> str:
    """The URL without SQLAlchemy's name of the driver."""
    return url.replace("+psycopg", "", 1)


def derive(url: str) -> None:
    """Has the application rebuild whatever it derives from the rows, if it knows how."""
    if "reindex" in commands():
        program = Program(["reindex"], environment(url), Path("/dev/stderr"))
        with program.stdout as said:
            said.read()
        if code := program.wait(None):
            raise RuntimeError(f"reindex ended with {code}")


def commands() -> set[str]:
    """The names of the application's commands."""
    return set(getattr(typer.main.get_command(cli), "commands", {}))


def environment(url: str) -> dict[str, str]:
    """The environment of the application's commands on a base."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RECORD_")}
    return {**kept, "RECORD_DATABASE_URL": url, "RECORD_SECRET": SECRET, "RECORD_LOG_LEVEL": "warning"}


# --- for the rivals ----------------------------------------------------------------------------


def copy_for_datasette(base: Base) -> Path:
    """The claims' texts in a file of their own, with the FTS5 table that Datasette searches."""
    file = base.place / "search.db"
    if not file.exists():
        with _attached(base, file) as connection:
            connection.execute("CREATE TABLE claims (id TEXT PRIMARY KEY, text TEXT, said TEXT, status TEXT)")
            connection.execute("INSERT INTO claims SELECT id, text, said, status FROM base.claims")
            connection.execute('CREATE VIRTUAL TABLE claims_fts USING fts5(text, content="claims")')
            connection.execute("INSERT INTO claims_fts (claims_fts) VALUES ('rebuild')")
    return file


def copy_for_afternoon(base: Base) -> str:
    """The same data in the afternoon's tables; the answer is their file's URL."""
    file = base.place / "afternoon.db"
    url = f"sqlite:///{file.resolve()}"
    if not file.exists():
        rivals.Base.metadata.create_all(create_engine(url, poolclass=NullPool))
        with _attached(base, file) as connection:
            for statement in rivals.COPY:
                connection.execute(statement)
    return url


def copy_in_postgres(url: str) -> None:
    """The same data in the afternoon's tables, beside the service's."""
    rivals.Base.metadata.create_all(create_engine(url, poolclass=NullPool))
    with psycopg.connect(plain(url), autocommit=True) as session:
        for statement in rivals.COPY:
            session.execute(statement)
        session.execute("VACUUM ANALYZE")


@contextmanager
def _attached(base: Base, file: Path) -> Iterator[Any]:
    connection = sqlite.connect(str(file), isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("ATTACH ? AS base", [str(base.file)])
    connection.execute("BEGIN")
    yield connection
    connection.execute("COMMIT")
    connection.close()
