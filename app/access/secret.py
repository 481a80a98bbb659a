"""The server's secret, which keys, cursors, webhook signatures and the log's key are derived from, and its
fingerprint in the database, by which another secret is noticed.
"""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from app.base import properties
from app.base.db import Database, ReadSession, WriteSession
from app.base.errors import Unavailable
from app.base.files import create, replacing, sync
from app.base.outages import check_reach
from app.changes.reads import is_empty
from app.settings import MIN_SECRET, Settings

_FINGERPRINT = "secret fingerprint"
"""The property of the database that has it."""

_LOST = "If it is lost, `python -m app secret replace` makes a new one and says what that voids."
OTHER = f"The secret is not the one that this database was served with before: put that one back. {_LOST}"


def secret_of(settings: Settings, db: Database) -> bytes:
    """Return the secret of the settings, or else the one in a file beside the SQLite database, which is made
    for an empty one. Raises ValueError where there is none, and for a file that has none in it.
    """
    make_secret(settings, db)
    secret = known_secret(settings)
    if secret is None:
        raise ValueError(_missing(settings))
    if settings.secret is None and (kept := secret_file(settings)):
        # Nothing is signed with a secret that a power cut could take: whoever made it may not be done.
        sync(kept)
        sync(kept.parent)
    return secret


def _missing(settings: Settings) -> str:
    if kept := secret_file(settings):
        return f"{kept} is not there, and the database is in use: put it back from your copy. {_LOST}"
    return f"RECORD_SECRET must be set: at least {MIN_SECRET} random characters"


def make_secret(settings: Settings, db: Database) -> None:
    """Make the file with the secret of an empty SQLite database, if the settings have none. Raises
    Unavailable where this process can make none.
    """
    kept = secret_file(settings)
    if settings.secret is None and kept is not None and not os.path.exists(kept) and is_empty(db):
        check_reach(Path(str(db.url.database)))
        with suppress(FileExistsError):  # another process was first, and its secret is this one's too
            create(kept, _new().encode())


def known_secret(settings: Settings) -> bytes | None:
    """Return the secret, if there is one. Raises ValueError for a file that has none, or a part of one."""
    if settings.secret:
        return settings.secret.encode()
    kept = secret_file(settings)
    if kept is None or not os.path.exists(kept):
        return None
    content = kept.read_bytes().strip()
    if len(content) < MIN_SECRET or b"\0" in content:  # a power cut can leave zeros
        raise ValueError(f"{kept} has no secret in it: put it back from your copy. {_LOST}")
    return content


def secret_file(settings: Settings) -> Path | None:
    """Return where the secret of a SQLite database is kept if the settings have none."""
    base = settings.sqlite_file
    return base and base.with_name(base.name + ".secret")


def _new() -> str:
    return secrets.token_hex(32)


# --- the fingerprint ---------------------------------------------------------------------------


def fingerprint(secret: bytes) -> str:
    """Return what tells a secret from others, and is of no use to guess one that is random."""
    return hmac.digest(secret, b"fingerprint\0", hashlib.sha256).hex()


def is_other(session: ReadSession, secret: bytes) -> bool:
    """Return whether the database was served with another secret. One of which that is not known was not."""
    noted = properties.get(session, _FINGERPRINT)
    return noted is not None and not hmac.compare_digest(noted, fingerprint(secret))


def is_noted(session: ReadSession) -> bool:
    """Return whether the database has a fingerprint."""
    return properties.get(session, _FINGERPRINT) is not None


def note(session: WriteSession, secret: bytes) -> None:
    """Keep a secret's fingerprint, in the place of any other."""
    properties.put(session, _FINGERPRINT, fingerprint(secret))


def secret_fault(settings: Settings, db: Database) -> str | None:
    """Return what is wrong with the secret of these settings for a database, or None. Raises Unavailable."""
    try:
        secret = known_secret(settings)
    except (ValueError, OSError) as fault:
        return str(fault)
    if secret is None:
        return None if is_empty(db) else _missing(settings)
    with db.read() as session:
        return OTHER if is_other(session, secret) else None


def hold_to(db: Database, secret: bytes) -> str | None:
    """Note the fingerprint in a database that has none, and return what is wrong if it has another's. A
    database that takes no writes, such as a standby, is left without. Raises Unavailable.
    """
    with db.read() as session:
        noted = is_noted(session)
    if not noted:
        with suppress(Unavailable), db.write() as writing:
            if not is_noted(writing):  # by another process meanwhile
                note(writing, secret)
    with db.read() as session:
        return OTHER if is_other(session, secret) else None


def replace(session: WriteSession, settings: Settings) -> tuple[str, Path | None]:
    """Put a new secret in the place of the database's. Return it, and the file that has it now: None if it
    is to be given to the settings.
    """
    made = _new()
    note(session, made.encode())
    kept = secret_file(settings) if settings.secret is None else None
    if kept:
        with replacing(kept) as unfinished:
            unfinished.write_text(made)
    return made, kept
