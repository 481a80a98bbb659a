"""What anyone can check without the base that it came from: an export, against a checkpoint from earlier."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.base import schema
from app.base.db import Database, secret_of
from app.base.notes import Checkpoint, Verifier
from app.changes.log import signer_of
from app.exchange.dump import MAX_EXPORTED, restore
from app.exchange.lines import of_file
from app.settings import Settings


@contextmanager
def opened(file: Path) -> Iterator[tuple[None, Database]]:
    """An export as a base of its own, gone at the end, which has no settings. Raises Invalid for one that is
    not whole.
    """
    with tempfile.TemporaryDirectory(prefix="record-verify-") as directory, file.open("rb") as lines:
        url = f"sqlite:///{directory}/export.db"
        schema.upgrade(url)
        db = Database(url)
        try:
            with db.write() as session:
                restore(session, of_file(lines, most=MAX_EXPORTED))
            yield None, db
        finally:
            db.dispose()


def signed(file: Path, key: str | None, settings: Settings | None) -> Checkpoint:
    """The checkpoint in a file, which that public key has signed, or else the one of these settings. Raises
    ValueError for any other.
    """
    if key is not None:
        public = Verifier.read(key)
    elif settings is not None:
        public = signer_of(settings, secret_of(settings)).verifier
    else:
        raise ValueError("--key is needed: the public key of /v1/log/key, kept since it was to be trusted")
    try:
        return Checkpoint.read(file.read_text(encoding="utf-8"), public)
    except ValueError as fault:
        raise ValueError(f"{file}: {fault}") from None
