"""Databases, exports and bundles of earlier versions, which every later one has to read (see `make.py`)."""

import gzip
import json
from pathlib import Path

import psycopg

from app.base.db import Database
from app.changes.replay import Replay

HERE = Path(__file__).parent
LAST_OF_FORM_1 = "0013"
"""The last version whose entries all have the first form, so that migrations can still take it back."""


def content(file: Path) -> bytes:
    """Return what is in a file that is kept compressed."""
    return gzip.decompress(file.with_name(f"{file.name}.gz").read_bytes())


def lay_seed(url: str) -> None:
    """Replay the seed as that version brought it in."""
    lines = map(json.loads, content(HERE / LAST_OF_FORM_1 / "export.ndjson").splitlines())
    made = [line["change"] for line in lines if line.get("change", {}).get("actor") == "seed"]
    db = Database(url)
    with db.write() as session:
        Replay(session).take(made)
    db.dispose()


def lay(url: str, version: str = LAST_OF_FORM_1) -> None:
    """Put the database of an earlier version where nothing is yet."""
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).write_bytes(content(HERE / version / "record.sqlite"))
        return
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(content(HERE / version / "dump.sql"), prepare=False)  # many statements in one
