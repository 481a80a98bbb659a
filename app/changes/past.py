"""The base as it stood earlier: its ledger replayed up to one entry, into a SQLite base of its own.

Every route then reads from that as it reads from the base of today, so that it answers what it answered then.
A moment that was asked for lately is kept, and a later one goes on from there.
"""

import asyncio
import re
import shutil
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from functools import cached_property
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import Engine, func, update
from sqlmodel import col

from app.base import schema
from app.base.db import Database, Readable, ReadSession, WriteSession
from app.base.errors import Busy, Invalid, StorageFull, Unavailable
from app.base.http import AS_OF
from app.base.jobs import GivenUp
from app.base.pools import SQLITE
from app.base.scratch import NO_ROOM, ScratchDirectory
from app.base.sql import among, select, table
from app.base.times import now
from app.changes.contexts import cut_contexts
from app.changes.entry import Entry
from app.changes.erasure import epoch
from app.changes.hidden import INTERNAL, hidden_of
from app.changes.ledger import entries, head, whole
from app.changes.model import Change
from app.changes.reads import Place, hash_at
from app.changes.replay import Replay, kinds
from app.changes.store import Saved, tell

_AT_ONCE = 500
_EMPTY = "empty.db"
_NO_ROOM = (Unavailable, SQLITE.OperationalError)
"""Faults of a base that is written to by one thread, in a directory of its own."""
_PATIENCE = 10
"""Seconds that a request waits for a moment to be made."""
_KEPT_FOR = 3 * _PATIENCE
"""Seconds for which a moment is still made after a request has waited in vain: it was told to come back."""
MOST_KEPT, _CONNECTIONS = 8, 2
"""How many moments are kept, and how many connections each has, which take up to 2 MB of memory."""
_MOST_WAITING = 8
"""How many moments are made, or wait for it, at a time; of one client, one."""


def place(session: ReadSession, moment: str, *, primary: bool) -> Place | None:
    """Return the last entry that counts at a moment; None where only the `primary` can tell, as a standby may
    lack later entries. Raises Invalid for no moment, or one yet to come.
    """
    last, _ = head(session)
    if re.fullmatch(r"\d{1,16}", moment, re.ASCII):
        seq = int(moment)
        if seq > last and primary:
            raise Invalid.at(AS_OF, f"is yet to come: the last change is {last}")
    else:
        at = _instant(moment)
        if at > now():
            raise Invalid.at(AS_OF, "is in the future")
        after = session.execute(select(func.min(Change.seq)).where(col(Change.at) > at)).scalar()
        if after is None and not primary:
            return None
        seq = last if after is None else int(after) - 1
    return Place(seq, hash_at(session, seq), epoch(session)) if seq <= last else None


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


@dataclass(frozen=True)
class Moment:
    """The base as it stood after an entry, and the file that it is in."""

    place: Place
    file: Path
    size: int
    base: Database


class Making:
    """A moment in the making, and how many requests wait for it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.done: Future[Moment]
        self._waiting = 0
        self._wanted_until = 0.0

    @property
    def is_wanted(self) -> bool:
        """Whether anyone waits for it, or was told to come back for it."""
        return self._waiting > 0 or monotonic() < self._wanted_until

    async def wait(self, seconds: float) -> Moment | None:
        """Return the moment; None if it takes longer. A request that ends before, as its client has gone
        away, wants it no more. Raises GivenUp if nobody wanted it.
        """
        waiting = asyncio.wrap_future(self.done)
        waiting.add_done_callback(
            lambda done: done.cancelled() or done.exception()
        )  # nobody may wait by then
        self._waiting += 1
        try:
            # Not the future alone: to be cancelled while waiting would cancel it.
            done, _ = await asyncio.wait({waiting}, timeout=seconds)
            if not done:
                self._wanted_until = monotonic() + _KEPT_FOR
                return None
            return waiting.result()
        finally:
            self._waiting -= 1
            if not self.is_wanted:
                self.done.cancel()  # if it was not begun


class Past:
    """Earlier moments of a base, as bases of their own that are only read."""

    def __init__(self, most_bytes: int, read_seconds: int) -> None:
        """They take up to so many bytes of disk in all, but for the one that is being asked."""
        self.most_bytes = most_bytes
        self.read_seconds = read_seconds
        self._kept: OrderedDict[int, Moment] = OrderedDict()
        self._under_way: dict[int, Making] = {}
        self._of_client: dict[str, Making] = {}
        self._known = threading.Lock()
        self._maker = ThreadPoolExecutor(1, "past")
        self._numbers = count()
        self._ended = False
        self._forgotten = 0

    async def at(self, base: Readable, place: Place, client: str | None = None) -> Database:
        """The base as it stood after an entry. A client has one moment made at a time, and waits for that
        before its next (None: this machine itself, which has no such limit). Raises Busy if it takes
        longer than a request waits: it is made all the same for a while, for whoever asks again.
        """
        end = monotonic() + _PATIENCE
        while True:
            with self._known:
                found = self._kept.get(place.seq)
                if found is not None and found.place == place:  # or it is of a ledger that is no more
                    self._kept.move_to_end(place.seq)
                    return found.base
                making = self._under_way.get(place.seq)
                if making is None:
                    making = self._of_client.get(client or "") or self._begin(base, place, client)
            with suppress(GivenUp):
                made = await making.wait(end - monotonic())
                if made is None:
                    raise Busy("The base as it stood then is being made: ask again.", _PATIENCE)
                if making.place == place:
                    return made.base

    def _begin(self, base: Readable, place: Place, client: str | None) -> Making:
        if len(self._under_way) >= _MOST_WAITING:
            raise Busy("Other moments of the past are being made.", _PATIENCE)
        making = self._under_way[place.seq] = Making(place)
        if client is not None:
            self._of_client[client] = making

        def end(_done: Future[Moment]) -> None:
            del self._under_way[place.seq]
            if client is not None:
                del self._of_client[client]

        making.done = self._maker.submit(self._made, base, making)
        making.done.add_done_callback(end)
        return making

    @cached_property
    def _directory(self) -> Path:
        made = ScratchDirectory()
        try:
            schema.upgrade(f"sqlite:///{made.path}/{_EMPTY}")
            _end_log(Database(f"sqlite:///{made.path}/{_EMPTY}"))
        except BaseException as fault:
            made.remove()
            raise (_no_room() if isinstance(fault, _NO_ROOM) else fault) from fault.__cause__
        weakref.finalize(self, made.remove)
        return made.path

    def _made(self, base: Readable, making: Making) -> Moment:
        seq, forgotten = making.place.seq, self._forgotten
        nearest = self._nearest(base, making.place)  # held, so that its file stays
        self._keep_to(self.most_bytes - (nearest.size if nearest else 0))
        directory = self._directory
        file = directory / f"{seq}-{next(self._numbers)}.db"  # of its own: another of that seq may be in use
        try:
            shutil.copyfile(nearest.file if nearest else directory / _EMPTY, file)
            self._fill(file, base, making)
            made = Moment(
                making.place,
                file,
                file.stat().st_size,
                Database(f"sqlite:///{file}", _CONNECTIONS, self.read_seconds),
            )
        except BaseException as fault:
            _forget(file)
            if isinstance(fault, StorageFull) or (isinstance(fault, OSError) and fault.errno in NO_ROOM):
                self._keep_to(0)  # what is kept makes way for whoever asks next
            raise
        weakref.finalize(made.base, _forget, file, *made.base.pools.values())
        with self._known:
            if forgotten != self._forgotten:
                return made
            self._kept[seq] = made
        self._keep_to(max(self.most_bytes, made.size))
        return made

    def _nearest(self, base: Readable, place: Place) -> Moment | None:
        """The latest moment before an entry that is of this ledger: a backup may have been restored since, or
        something erased.
        """
        with self._known:
            kept = [each for each in self._kept.values() if each.place.epoch == place.epoch]
            before = [each for each in kept if each.place.seq < place.seq]
        before.sort(key=lambda each: each.place.seq, reverse=True)
        with base.read() as session:
            there = (each for each in before if hash_at(session, each.place.seq) == each.place.hash)
            return next(there, None)

    def forget(self) -> None:
        """Let go of all moments, since what was erased is in them, and keep none that is being made."""
        with self._known:
            self._forgotten += 1
        self._keep_to(0)

    def _keep_to(self, most_bytes: int) -> None:
        """Let go of the moments asked for longest ago, until the others have so many bytes at most, and are
        few enough for the memory.
        """
        with self._known:
            kept = self._kept
            while len(kept) > MOST_KEPT or (kept and sum(each.size for each in kept.values()) > most_bytes):
                kept.popitem(last=False)

    def _fill(self, file: Path, base: Readable, making: Making) -> None:
        """Brings a copy of an earlier moment up to an entry. No entry changes, so they need not be read in
        one snapshot, which would be a long one. Raises StorageFull and GivenUp.
        """
        seq = making.place.seq
        db = Database(f"sqlite:///{file}")
        reading = False
        try:
            with db.write() as past:
                replay = Replay(past, going_on=True)
                while replay.seq < seq and not self._ended:
                    if not making.is_wanted:
                        raise GivenUp
                    reading = True
                    with base.read() as session:
                        some = _entries(session, replay.seq, seq)
                    reading = False
                    replay.take(some)
                reading = True
                with base.read() as session:
                    hidden = {noun: hidden_of(session, prefix) for noun, prefix in _TAKEN_BACK.items()}
                reading = False
                _take_back(past, hidden)
            _end_log(db)
            with db.read() as past:
                found = Place(*head(past))
            if found.seq != seq:
                raise _no_room()
            if found != replace(making.place, epoch=""):
                raise Busy("A backup was restored meanwhile: ask again.", 1)
        except _NO_ROOM as fault:
            raise fault if reading else _no_room() from fault
        finally:
            db.dispose()

    def close(self) -> None:
        """Lets go of all of them."""
        self._ended = True
        self._maker.shutdown(cancel_futures=True)
        self._kept.clear()
        if "_directory" in vars(self):
            shutil.rmtree(self._directory, ignore_errors=True)


def _entries(session: ReadSession, after: int, until: int) -> list[Entry]:
    query = entries().where(col(Change.seq) > after, col(Change.seq) <= until)
    rows = session.execute(query.order_by(col(Change.seq)).limit(_AT_ONCE)).all()
    return cut_contexts(session, [whole(row) for row in rows])


_TAKEN_BACK = {"source": "src_", "claim": "clm_"}
"""The records that can be taken back from the public, with the prefix of their ids."""


def _take_back(past: WriteSession, hidden: Mapping[str, Sequence[str]]) -> None:
    """Hide what the public saw at a moment and what was taken back since, with the claims and the evidence
    that named such a source then.
    """
    known = kinds()
    claim: Any = known["claim"]
    evidence: Any = known["evidence"]
    for noun, ids in hidden.items():
        if ids:
            kind: Any = known[noun]
            _set(past, kind, among(past, kind.id, ids), INTERNAL)
    if sources := hidden["source"]:
        _set(past, claim, claim.publication == _NAMED_ONE, None)  # the moment before, of which this was made
        printed: Any = claim.parts["appearances"]
        naming = select(printed.claim_id).where(among(past, printed.source_id, sources))
        _set(past, claim, claim.id.in_(naming), INTERNAL, publication=_NAMED_ONE)
        _set(past, evidence, among(past, evidence.source_id, sources), INTERNAL)


_NAMED_ONE = {"named": "what was taken back"}
"""The mark of a claim that is hidden in a moment for a source that it named."""


def _set(past: WriteSession, kind: Any, which: Any, visibility: str | None, **more: Any) -> None:
    old = None if visibility else INTERNAL
    ids = past.execute(select(kind.id).where(which, kind.visibility == old)).scalars().all()
    if ids:
        hidden = update(table(kind)).where(among(past, kind.id, ids))
        past.execute(hidden.values(visibility=visibility, **more))
        difference = {"visibility": {"old": old, "new": visibility}}
        tell(past, kind, [Saved(record_id, difference) for record_id in ids])


def _end_log(db: Database) -> None:
    """Move what is in the log of a SQLite base into its file, which then is all there is of it, and takes no
    room on the disk when it is read. Raises Unavailable or sqlite3.OperationalError.
    """
    try:
        with db.writer.connect() as connection:
            cursor = connection.connection.cursor()
            if cursor.execute("PRAGMA journal_mode=DELETE").fetchone() != ("delete",):
                raise _no_room()
    finally:
        db.dispose()


def _no_room() -> StorageFull:
    return StorageFull("There is no room now to make the base as it stood then.", _PATIENCE)


def _forget(file: Path, *engines: Engine) -> None:
    for engine in engines:
        engine.dispose()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
