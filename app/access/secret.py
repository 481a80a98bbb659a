"""The server's secret, which keys, cursors, webhook signatures and the log's key are derived from."""

import secrets
from contextlib import suppress
from pathlib import Path

from app.base.files import create, sync
from app.settings import MIN_SECRET, Settings


def secret_of(settings: Settings) -> bytes:
    """Return the secret of the settings, or else the one in a file beside the SQLite database, which is made
    if it is not there. Raises ValueError on PostgreSQL without one, and for a file that has none.
    """
    if settings.secret:
        return settings.secret.encode()
    kept = secret_file(settings)
    if kept is None:
        raise ValueError(f"RECORD_SECRET must be set: at least {MIN_SECRET} random characters")
    if not kept.exists():
        with suppress(FileExistsError):  # another process was first, and its secret is this one's too
            create(kept, secrets.token_hex(32).encode())
    secret = read_secret(kept)
    # Nothing is signed with a secret that a power cut could take: whoever made it may not have got this far.
    sync(kept)
    sync(kept.parent)
    return secret


def secret_file(settings: Settings) -> Path | None:
    """Return where the secret of a SQLite database is kept if the settings have none."""
    base = settings.sqlite_file
    return base and base.with_name(base.name + ".secret")


def read_secret(file: Path) -> bytes:
    """Return the secret in a file. Raises ValueError if it has none, or a part of one."""
    content = file.read_bytes().strip()
    if len(content) < MIN_SECRET or b"\0" in content:  # a power cut can leave zeros
        raise ValueError(
            f"{file} has no secret in it: put it back from your copy. If there is none, delete the file: the "
            "next start makes a new secret, and every API key must be made anew."
        )
    return content
