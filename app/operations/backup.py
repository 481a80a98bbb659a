"""Backups: the whole base in one file, taken while it is written to, and put back in one step.

SQLite's is a database file (VACUUM INTO), PostgreSQL's an archive in pg_dump's custom format. Either is one
consistent state, so its ledger is the base's up to some entry.
"""

import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from typing import Any
from urllib.parse import quote

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.base import schema
from app.base.db import WRITE_LOCK, Database, ReadSession
from app.base.errors import Unavailable
from app.base.files import replacing
from app.base.pools import SQLITE
from app.base.times import now
from app.changes.grants import GRANTS, check_owner
from app.changes.reads import Head, hash_at, is_empty, last
from app.hooks.progress import announce_reset, states
from app.operations.clients import Clients, complaint

_MAGIC = {b"SQLite format 3\0": "SQLite", b"PGDMP": "PostgreSQL"}


def backup(db: Database, file: Path, *, force: bool = False) -> Head:
    """Writes a backup, which only its owner may read, and tells the last entry that is in it. The file has
    its name once it is whole. Raises ValueError if there is a file already, or none can be made.
    """
    if schema.current(db) is None:
        raise ValueError("There is no base to back up: its schema is at no revision.")
    _refuse_the_base_itself(db, file)
    if file.exists() and not force:
        raise ValueError(f"{file} is there already: --force replaces it")
    with replacing(file) as unfinished:
        return _vacuumed(db, unfinished) if db.sqlite else _dumped(db, unfinished)


def restore(
    db: Database, file: Path, faults: Callable[[ReadSession], Iterator[str]], *, force: bool = False
) -> Head:
    """Puts a backup in the place of the base, all of it or nothing, and tells its last entry. Raises
    ValueError if the backup is of another database or not sound (`faults` looks at its records, where it can
    be asked before it is put in place), or if the base is not empty and not to be replaced. Webhooks are told
    of it later, unless the backup has all that the base had.
    """
    _refuse_the_base_itself(db, file)
    held, needed = _kind(file), "SQLite" if db.sqlite else "PostgreSQL"
    if held != needed:
        advice = "; `export` and `import` go from one database to the other" if held else ""
        raise ValueError(f"{file} is {held or 'no'} backup and the base is on {needed}{advice}")
    if not force and not is_empty(db):
        raise ValueError("The base is not empty: --force replaces all that is in it")
    before = _last_known(db)
    if db.sqlite:
        _swap(db, file, faults)
    else:
        _replay(db, file)
    _tell_webhooks(db, before)
    with db.read() as session:
        return last(session)


def _tell_webhooks(db: Database, before: Head) -> None:
    """Has webhooks told of a restore, unless the entry that was the last one before is still there."""
    if schema.staleness(db) is not None:
        return
    with db.read() as session:
        whole = before[0] > 0 and hash_at(session, before[0]) == before[1]
        anybody = any(states(session).values())
    if anybody and not whole:
        with db.write() as session:
            announce_reset(session, now())


def _last_known(db: Database) -> Head:
    """The last entry of a base that is about to be replaced, as far as it can be read."""
    with suppress(DBAPIError, Unavailable), db.read() as session:
        return last(session)
    return 0, ""


def _refuse_the_base_itself(db: Database, file: Path) -> None:
    if db.sqlite and not db.missing and file.exists() and file.samefile(str(db.url.database)):
        raise ValueError(f"{file} is the base itself, not a backup")


def _kind(file: Path) -> str:
    with file.open("rb") as opened:
        start = opened.read(16)
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "")


# --- SQLite ------------------------------------------------------------------------------------


def _vacuumed(db: Database, into: Path) -> Head:
    address = f"file:{quote(str(db.url.database))}?mode=ro"
    with closing(SQLITE.connect(address, uri=True, isolation_level=None)) as connection:
        connection.execute("VACUUM INTO ?", (str(into),))
    with _opened(into) as copy, copy.read() as session:
        return last(session)


@contextmanager
def _opened(file: Path) -> Iterator[Database]:
    db = Database(f"sqlite:///{file}", pool_size=1)
    try:
        yield db
    finally:
        db.dispose()


def _swap(db: Database, file: Path, faults: Callable[[ReadSession], Iterator[str]]) -> None:
    base = Path(str(db.url.database))
    with replacing(base) as copy:
        shutil.copyfile(file, copy)
        _check_file(copy, faults)
        with closing(SQLITE.connect(copy)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        if base.exists():
            _hand_over(base, copy)
            db.dispose()
            _close(base)


def _hand_over(base: Path, copy: Path) -> None:
    """Lets those use the copy who could use the base."""
    kept = base.stat()
    with suppress(PermissionError):
        os.chown(copy, kept.st_uid, kept.st_gid)
    copy.chmod(stat.S_IMODE(kept.st_mode))


def _check_file(file: Path, faults: Callable[[ReadSession], Iterator[str]]) -> None:
    with _opened(file) as db:
        try:
            with db.read() as session:
                found = [*damage(session)]
            revision = schema.current(db)
            if not found and revision is not None and schema.staleness(db) is None:
                with db.read() as session:
                    found = [*faults(session)]
        except DBAPIError as fault:
            found, revision = [str(fault.orig)], None
    if found:
        raise ValueError(f"The backup is damaged, the base is as it was: {found[0]}")
    _check_revision(revision)


def damage(session: ReadSession) -> Iterator[str]:
    """What SQLite itself finds wrong in a file: its pages, its indexes, rows that refer to none."""
    connection = session.connection()
    for row in connection.exec_driver_sql("PRAGMA integrity_check"):
        if row[0] != "ok":
            yield " ".join(str(row[0]).split())  # one finding may be in several lines
    for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"{row[0]}: row {row[1]} refers to one of {row[2]} that is not there"


def _check_revision(revision: str | None) -> None:
    if revision is None or not schema.is_known(revision):
        raise ValueError(
            f"The backup's schema is at {revision or 'no revision'}, which this version does not know; "
            "the base is as it was"
        )


def _close(base: Path) -> None:
    """Ends the base's write-ahead log, which would be taken for the new file's. Raises ValueError if a
    process has the base open: it would go on writing to the old file.
    """
    try:
        with closing(SQLITE.connect(base, timeout=2, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    except SQLITE.OperationalError as fault:
        raise ValueError(f"The base is in use ({fault}): stop the server first") from fault
    except SQLITE.DatabaseError:  # it is no database any more, which is why it is replaced
        for suffix in ("-wal", "-shm"):
            base.with_name(base.name + suffix).unlink(missing_ok=True)


# --- PostgreSQL --------------------------------------------------------------------------------


def _dumped(db: Database, into: Path) -> Head:
    clients = Clients(db)
    with db.read() as session:
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        snapshot = session.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        clients.run(
            "pg_dump",
            "--format=custom",
            f"--snapshot={snapshot}",
            f"--schema={_schema(session)}",
            f"--file={into}",
        )
        return last(session)


def _schema(session: ReadSession) -> str:
    name = str(session.execute(text("SELECT current_schema()")).scalar_one())
    return '"' + name.replace('"', '""') + '"'


_BEGIN = f"BEGIN;\nSELECT pg_advisory_xact_lock({WRITE_LOCK});\n"
_EMPTY = Path(__file__).with_name("empty.sql")

_NEWER_ONLY = b"SET transaction_timeout = 0;\n"
"""What programs of version 17 and newer put at the head of a script, and servers before do not know."""


def _replay(db: Database, file: Path) -> None:
    clients = Clients(db)
    with db.read() as session:
        check_owner(session.connection())
        name = _schema(session)
    within = f"--schema={name.strip(chr(34))}"
    _check_archive(clients, file, within)
    db.dispose()
    options = ["--no-owner", "--no-privileges", "--no-comments", within, "--file=-", str(file)]
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as answered:
        psql = clients.start(
            "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", told=answered, stdin=PIPE
        )
        script = clients.start("pg_restore", *options, told=told, stdout=PIPE)
        with psql, script, suppress(BrokenPipeError):  # psql has ended, and says below why
            _feed(psql.stdin, script.stdout, name, whole=lambda: script.wait() == 0)
        if script.returncode not in (0, -signal.SIGPIPE):
            raise ValueError(f"The base is as it was: {complaint('pg_restore', told)}")
        if psql.returncode:
            raise ValueError(f"The base is as it was: {complaint('psql', answered)}")


def _feed(into: Any, script: Any, within: str, *, whole: Callable[[], bool]) -> None:
    """Hands a script on within one transaction, which is committed only if it has come to its end."""
    with into, script:
        into.write(_BEGIN.encode() + _EMPTY.read_bytes())
        for _ in range(40):
            line = script.readline()
            into.write(b"" if line == _NEWER_ONLY else line)
        shutil.copyfileobj(script, into, 1024 * 1024)
        into.write(
            f"\nSET search_path = {within};\n{GRANTS}COMMIT;\n".encode() if whole() else b"\nROLLBACK;\n"
        )


def _check_archive(clients: Clients, file: Path, within: str) -> None:
    """Reads all of an archive before anything is replaced. Raises ValueError."""
    options = [within, "--data-only", "--table=alembic_version", "--file=-", str(file)]
    try:
        clients.run("pg_restore", "--file=/dev/null", str(file))
        rows = clients.run("pg_restore", *options).decode().split("FROM stdin;\n", 1)
    except ValueError as fault:
        raise ValueError(f"The backup is damaged, the base is as it was: {fault}") from fault
    _check_revision(rows[1].split("\n", 1)[0] if len(rows) == 2 else None)
