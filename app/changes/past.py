"""The base as it stood earlier: its ledger replayed up to one entry, into a SQLite base of its own.

Every route then reads from that as it reads from the base of today, so that it answers what it answered then.
A moment that was asked for lately is kept, and a later one goes on from there.
"""

import re
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlmodel import col

from app.base import schema
from app.base.db import Database, Readable, ReadSession, WriteSession
from app.base.errors import Invalid, Unavailable
from app.base.http import AS_OF
from app.base.sql import select, table
from app.base.times import now
from app.changes.model import Change
from app.changes.replay import Replay, kinds, supply
from app.changes.store import document, entries, head

_AT_ONCE = 500
_PATIENCE = 10
"""Seconds that a request waits for a moment to be made."""
_MOST_WAITING = 8
"""How many moments are made, or wait for it, at a time."""


def place(session: ReadSession, moment: str) -> int:
    """The `seq` of the last entry that counts at a moment. Raises Invalid for none, or one yet to come."""
    last, _ = head(session)
    if re.fullmatch(r"\d{1,16}", moment, re.ASCII):
        if int(moment) > last:
            raise Invalid.at(AS_OF, f"is yet to come: the last change is {last}")
        return int(moment)
    at = _instant(moment)
    if at > now():
        raise Invalid.at(AS_OF, "is in the future")
    return _last_until(session, at, last)


def _instant(moment: str) -> datetime:
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", moment, re.ASCII):
            end = datetime.combine(date.fromisoformat(moment), time.max, UTC)
            return min(end, now()) if end.date() == now().date() else end
        at = datetime.fromisoformat(moment.replace(" ", "+"))  # what a + in a query is without its escape
        if at.tzinfo is None or "T" not in moment:
            raise ValueError
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid.at(
            AS_OF, "is no moment: write 2026-11-24T10:00:00Z, 2026-11-24, or a change's seq"
        ) from None


def _last_until(session: ReadSession, at: datetime, last: int) -> int:
    """By bisection, since entries are in the order of their times."""
    first = 0
    while first < last:
        middle = (first + last + 1) // 2
        written = session.execute(select(Change.at).where(col(Change.seq) == middle)).scalar_one()
        first, last = (middle, last) if written <= at else (first, middle - 1)
    return first


class Past:
    """Earlier moments of a base, as bases of their own that are only read."""

    def __init__(self, most_bytes: int, read_seconds: int) -> None:
        """They take up to so many bytes of disk in all, but for the one that is being asked."""
        self.most_bytes = most_bytes
        self.read_seconds = read_seconds
        self._kept: OrderedDict[int, Database] = OrderedDict()
        self._under_way: dict[int, Future[Database]] = {}
        self._known = threading.Lock()
        self._maker = ThreadPoolExecutor(1, "past")
        self._ended = False

    def at(self, base: Readable, seq: int) -> Database:
        """The base as it stood after an entry. Raises Unavailable if making it takes longer than a request
        waits: it is made all the same, for whoever asks again.
        """
        with self._known:
            if found := self._kept.get(seq):
                self._kept.move_to_end(seq)
                return found
            making = self._under_way.get(seq) or self._begin(base, seq)
        try:
            return making.result(_PATIENCE)
        except TimeoutError:
            raise Unavailable("The base as it stood then is being made: ask again.", _PATIENCE) from None

    def _begin(self, base: Readable, seq: int) -> Future[Database]:
        if len(self._under_way) >= _MOST_WAITING:
            raise Unavailable("Other moments of the past are being made.", _PATIENCE)
        making = self._under_way[seq] = self._maker.submit(self._made, base, seq)
        making.add_done_callback(lambda _: self._under_way.pop(seq))
        return making

    @cached_property
    def _directory(self) -> Path:
        made = tempfile.TemporaryDirectory(prefix="record-past-")
        weakref.finalize(self, made.cleanup)
        schema.upgrade(f"sqlite:///{made.name}/0.db")
        return Path(made.name)

    def _made(self, base: Readable, seq: int) -> Database:
        with self._known:
            nearest = max((each for each in self._kept if each < seq), default=0)
        file = self._directory / f"{seq}.db"
        if seq:
            part = file.with_suffix(".part")
            shutil.copyfile(self._directory / f"{nearest}.db", part)
            self._fill(part, base, seq)
            part.replace(file)
        made = Database(f"sqlite:///{file}", read_seconds=self.read_seconds)
        if seq:
            weakref.finalize(made, _forget, file, made.reader, made.writer)
        with self._known:
            self._kept[seq] = made
            sizes = {each: (self._directory / f"{each}.db").stat().st_size for each in self._kept}
            while len(self._kept) > 1 and sum(sizes[each] for each in self._kept) > self.most_bytes:
                self._kept.popitem(last=False)
        return made

    def _fill(self, file: Path, base: Readable, seq: int) -> None:
        """Brings a copy of an earlier moment up to an entry. No entry changes, so they need not be read in
        one snapshot, which would be a long one.
        """
        db = Database(f"sqlite:///{file}")
        try:
            with db.write() as past:
                replay = Replay(past, going_on=True)
                while replay.seq < seq and not self._ended:
                    with base.read() as session:
                        some = _entries(session, replay.seq, seq)
                    replay.take(some)
                with base.read() as session:
                    _supply_texts(session, past)
        finally:
            db.dispose()

    def close(self) -> None:
        """Lets go of all of them."""
        self._ended = True
        self._maker.shutdown(cancel_futures=True)
        self._kept.clear()


def _entries(session: ReadSession, after: int, until: int) -> list[dict[str, Any]]:
    query = entries().where(col(Change.seq) > after, col(Change.seq) <= until)
    return [document(row) for row in session.execute(query.order_by(col(Change.seq)).limit(_AT_ONCE))]


def _supply_texts(session: ReadSession, past: WriteSession) -> None:
    """Gives the snapshots the texts that were at hand then, which no entry has."""
    rows = table(kinds()["snapshot"])
    missing = select(rows.c.id).where(rows.c.text_at_hand, rows.c.text.is_(None))
    for (snapshot_id,) in past.execute(missing).all():
        text = session.execute(select(rows.c.text).where(rows.c.id == snapshot_id)).scalar()
        supply(past, "snapshot", snapshot_id, {"text": text})


def _forget(file: Path, *engines: Engine) -> None:
    for engine in engines:
        engine.dispose()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
