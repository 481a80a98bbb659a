"""Feeds as files: read in one snapshot of the base, kept on the house's shelf.

A file's key begins with the hash of the ledger's last entry: it is right for as long as nothing is written.
"""

import gzip
import hashlib
import logging
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from pydantic import BaseModel

from app.access.house import House
from app.base.db import Readable, interruption
from app.base.errors import Internal
from app.base.fields import coded
from app.base.jobs import Job
from app.base.scratch import NO_ROOM
from app.base.shelf import Kept, Key, filled, kept, new_file
from app.changes.ledger import head
from app.exchange.flat import Feed
from app.exchange.formats import NDJSON, Columns, Format, Rows

log = logging.getLogger("on-the-record")

_COMMAND = (sys.executable, "-m", "app.exchange.parquet")
_LEVEL = 4
"""Of gzip: what the other answers are compressed with."""


@dataclass(frozen=True)
class Wanted:
    """A feed in a format, under its filters; compressed or not."""

    house: House
    base: Readable
    feed: Feed
    form: Format
    ask: BaseModel
    gzipped: bool = False

    def key(self, last: str, form: Format | None = None) -> Key:
        """Of the file, in a base whose ledger ends with the entry of that hash."""
        form = form or self.form
        seen = "public" if self.base.public else "inside"
        asked = self.ask.model_dump_json()
        return last, self.feed.name, form.suffix, seen, _declared(self.feed.columns), asked

    def tag(self, last: str) -> str:
        """A strong ETag, known without making the file. Each coding has its own (RFC 9110, section 8.8.3)."""
        whole = "\0".join(self.key(last))
        tag = f'"{hashlib.sha256(whole.encode()).hexdigest()[:16]}"'
        return coded(tag, "gzip" if self.gzipped else None)

    def last(self) -> str:
        """The hash of the ledger's last entry."""
        with self.base.read() as session:
            return head(session)[1]

    async def file(self, last: str, client: str | None) -> Kept:
        """The file, which is that of a later entry if one was written meanwhile."""
        shelf = self.house.shelf
        first = NDJSON if self.form.write is None else self.form
        found = await shelf.get(self.key(last, first), partial(self._render, first), client)
        if self.form.write is None:
            key = self.key(found.key[0])
            found = await shelf.get(key, partial(_parquet, found, key, self.feed.columns), client)
        if self.gzipped:
            found = await shelf.get((*found.key, "gzip"), partial(_gzipped, found), client)
        return found

    def _render(self, form: Format, job: Job) -> Kept:
        assert form.write is not None
        count = 0
        with self.base.read(patiently=True) as session, job.stopped_by(interruption(session)):
            _, last = head(session)

            def counted() -> Generator[Rows, None, None]:
                for rows in self.feed.rows(session, self.ask):
                    job.check()
                    yield each(rows)

            def each(rows: Rows) -> Rows:
                nonlocal count
                for row in rows:
                    count += 1
                    yield row

            # Left to the collector, a cursor is closed in the transaction that its connection has by then.
            with closing(counted()) as written:
                file = filled(form.write(self.feed.columns, written))
        return kept(self.key(last, form), file, count)


def _declared(columns: Columns) -> str:
    whole = "\n".join(f"{column.name} {column.kind}" for column in columns)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def _gzipped(whole: Kept, job: Job) -> Kept:
    file = new_file()
    try:
        with gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed:
            for piece in whole.pieces(0, whole.size):
                job.check()
                packed.write(piece)
    except BaseException:
        file.close()
        raise
    return kept((*whole.key, "gzip"), file, whole.count)


def _parquet(lines: Kept, key: Key, columns: Columns, job: Job) -> Kept:
    file = new_file()
    named = [f"{column.name}:{column.kind}" for column in columns]
    with (
        subprocess.Popen([*_COMMAND, *named], stdin=lines.file, stdout=file, stderr=subprocess.PIPE) as made,
        job.stopped_by(made.kill),
    ):
        _, told = made.communicate()
    if made.returncode:
        file.close()
        job.check()
        if made.returncode in NO_ROOM:
            raise OSError(made.returncode, os.strerror(made.returncode))
        log.error("No Parquet could be made: %s", told.decode(errors="replace")[-2000:])
        raise Internal("No Parquet could be made of it. Tell whoever runs this with the request id.")
    return kept(key, file, lines.count)
