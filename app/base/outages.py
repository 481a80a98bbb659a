"""The faults of the database that are outages, and why there is one, in a line for whoever runs the server.
Clients are not told why: it names hosts, roles, paths and users, though no password.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import psycopg
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, OperationalError, TimeoutError

from app.base.errors import Busy, QueryTimeout, StorageFull, Unavailable

log = logging.getLogger("on-the-record")

NOTED_EVERY = 60.0
"""Seconds until an outage is logged again that goes on for the same reason."""

_GIVEN_UP = "The database was working on this for as long as it may for one request, and gave it up."
OTHERS_WRITE = "Others were writing for longer than a change waits for its turn."

_SQLITE_BUSY = re.compile("locked|busy", re.IGNORECASE)
_SQLITE_OUTAGE = re.compile("unable to open|disk I/O|interrupted", re.IGNORECASE)
_SQLITE_FULL = "database or disk is full"
_SQLITE_READ_ONLY = "readonly"
"""What SQLite says of a file that may not be written, and of a write by a reading session too."""

_OF_A_STANDBY = (psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.FeatureNotSupported)
"""What a server says that takes no writes, or whose transactions cannot be told to be for writing."""

_CONNECTING = re.compile(r"connection to server [^\n]+")
_noted: dict[str, float] = {}


@contextmanager
def outage_is_a_problem(url: URL, *, writing: bool = False) -> Iterator[None]:
    """Turns a lost, refused or over-busy database into Unavailable, and if `writing` one that takes no
    writes; other faults pass.
    """
    try:
        yield
    except TimeoutError as fault:
        raise Busy("Every database connection is taken.") from fault
    except psycopg.OperationalError as fault:  # from a COPY, which SQLAlchemy knows nothing of
        raise Unavailable("The database does not answer.", cause=cause_of(fault, url)) from fault
    except DBAPIError as fault:
        cause = fault.orig or fault
        if isinstance(cause, psycopg.errors.QueryCanceled) or str(cause) == "interrupted":
            raise QueryTimeout(_GIVEN_UP) from fault
        if isinstance(cause, psycopg.errors.DiskFull) or _SQLITE_FULL in str(cause):
            raise StorageFull(
                "There is no room on the disk of the database.", cause=cause_of(cause, url)
            ) from fault
        if url.get_backend_name() == "sqlite" and _SQLITE_BUSY.search(str(cause)):
            raise Busy(OTHERS_WRITE) from fault
        if detail := _outage(fault, url, writing=writing):
            raise Unavailable(detail, cause=cause_of(cause, url)) from fault
        raise


def _outage(fault: DBAPIError, url: URL, *, writing: bool) -> str | None:
    """Return what a client is told of a fault that is an outage, and None of any other."""
    cause, on_sqlite = fault.orig, url.get_backend_name() == "sqlite"
    if isinstance(cause, psycopg.errors.InsufficientPrivilege):
        return "The database refuses the server's role."
    if on_sqlite and _SQLITE_READ_ONLY in str(cause):
        stuck = writing or any(obstacles(Path(os.path.abspath(str(url.database)))))
        return "The database takes no writes now." if stuck else None
    if isinstance(fault, OperationalError):  # SQLite's word for a faulty statement too
        away = not on_sqlite or _SQLITE_OUTAGE.search(str(cause))
        return "The database does not answer." if away else None
    if fault.connection_invalidated:
        return "The database connection was lost."
    if writing and isinstance(cause, _OF_A_STANDBY):
        return "The database takes no writes now."
    return None


def cause_of(fault: BaseException, url: URL) -> str:
    """Return what the database said, and of a SQLite file what may be the matter with it."""
    said = str(fault).strip()
    if url.get_backend_name() == "sqlite":
        return file_cause(said, Path(str(url.database)))
    # With several addresses, each has failed for a reason of its own.
    lines = dict.fromkeys(_CONNECTING.findall(said)) or said.splitlines()[:1] or [type(fault).__name__]
    cause = " ".join("; ".join(lines).split())
    return cause.replace(url.password, "[password]") if url.password else cause


def file_cause(said: str, file: Path) -> str:
    """Return what was said of a file, its path, who asks for it, and what is in the way."""
    whole = Path(os.path.abspath(file))
    return "; ".join([f"{said}: {whole}, as uid {os.geteuid()}", *obstacles(whole)])


def check_reach(file: Path) -> None:
    """Raises Unavailable for a file that is not there, where this process could not make it either."""
    if any(obstacles(Path(os.path.abspath(file)))):
        raise Unavailable("The database cannot be reached.", cause=file_cause("there is none", file))


def obstacles(file: Path) -> Iterator[str]:
    """Yield what keeps this process from reading and writing a file, which need not be there yet."""
    for directory in reversed(file.parents):
        if not os.path.isdir(directory):
            yield f"{directory} is no directory"
            return
        if not os.access(directory, os.X_OK):
            yield f"it may not enter {directory}, {_belonging(directory)}"
            return
    if os.path.isdir(file):
        yield f"{file} is a directory"
    elif os.statvfs(file.parent).f_flag & os.ST_RDONLY:
        yield "its file system is read-only"
    elif os.statvfs(file.parent).f_bavail == 0:
        yield "its file system is full"
    else:
        for path in (file.parent, file):
            if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
                yield f"it may not write {path}, {_belonging(path)}"


def _belonging(path: Path) -> str:
    found = path.stat()
    return f"which belongs to uid {found.st_uid} (mode {found.st_mode & 0o7777:o})"


def note(away: Unavailable) -> None:
    """Log why the database is away, once a minute as long as that does not change."""
    if away.cause and _noted.get(away.cause, -NOTED_EVERY) <= monotonic() - NOTED_EVERY:
        _noted.clear()
        _noted[away.cause] = monotonic()
        log.warning("%s", away.told)
