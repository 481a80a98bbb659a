"""What anyone can check without the base that it came from: an export, against a checkpoint from earlier, and
the bundle of a claim.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from app.access.secret import secret_of
from app.base import schema
from app.base.db import Database
from app.base.notes import Checkpoint, Verifier
from app.base.scratch import scratch_directory
from app.changes.entry import missing
from app.changes.log import signer_of
from app.exchange.bundle import MOST_BYTES, WITHHELD, faults
from app.exchange.dump import MAX_EXPORTED, restore
from app.exchange.lines import of_file
from app.exchange.records import KeepNothing
from app.settings import Settings


@contextmanager
def opened(file: Path) -> Iterator[tuple[None, Database]]:
    """An export as a base of its own, gone at the end, which has no settings. Raises Invalid for one that is
    not whole.
    """
    with _empty_base() as db, file.open("rb") as lines:
        with db.write() as session:
            restore(session, of_file(lines, most=MAX_EXPORTED))
        yield None, db


@contextmanager
def _empty_base() -> Iterator[Database]:
    with scratch_directory() as directory:
        url = f"sqlite:///{directory}/record.db"
        schema.upgrade(url)
        db = Database(url)
        try:
            yield db
        finally:
            db.dispose()


def signed(file: Path, key: str | None, settings: Settings | None, db: Database) -> Checkpoint:
    """The checkpoint in a file, which that public key has signed, or else the one of these settings. Raises
    ValueError for any other.
    """
    own = signer_of(settings, secret_of(settings, db)).verifier if settings and key is None else None
    try:
        note = file.read_bytes().decode(errors="surrogateescape")  # which no note may have
        return Checkpoint.read(note, own or _given(key))
    except ValueError as fault:
        raise ValueError(f"{file}: {fault}") from None


def _given(key: str | None) -> Verifier:
    if key is None:
        raise ValueError("--key is needed: the public key of /v1/log/key, kept since it was to be trusted")
    return Verifier.read(key)


def is_bundle(file: Path) -> bool:
    """Whether a file is the bundle of a claim, rather than an export."""
    with file.open("rb") as content:
        return re.match(rb'\s*\{\s*"@context"', content.read(200)) is not None


def bundle_faults(file: Path, key: str | None) -> list[str]:
    """What is wrong with the bundle in a file. Raises ValueError for what is none, and without a key."""
    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f"{file} is larger than any bundle.")
    written = file.read_bytes()
    json.loads(written, object_pairs_hook=_named_once)
    public, content, found = _given(key), orjson.loads(written), []
    with _empty_base() as db, suppress(KeepNothing), db.write() as session:
        found = [*faults(content, public, session)]
        raise KeepNothing
    return found


def _named_once(members: list[tuple[str, Any]]) -> None:
    """Refuse an object in which a name stands twice, since other programs may read the other value."""
    names = [name for name, _ in members]
    if len({*names}) < len(names):
        raise ValueError("A name stands twice in one of its objects: programs would read different values")


def left_out(file: Path) -> tuple[int, int]:
    """Return how many values a bundle, which was found to be whole, withholds, and how many were erased."""
    withheld = erased = 0
    for change in orjson.loads(file.read_bytes())["changes"]:
        gone = len((missing(change, but=WITHHELD) or {"values": ()})["values"])
        withheld += len(change.get("commitments") or ()) - (gone if "form" in change else 0)
        erased += gone
    return withheld, erased
