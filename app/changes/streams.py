"""The ledger told to whoever follows it, as it grows (Server-Sent Events, in the HTML standard).

All streams of a process share one look at where the ledger ends, and those that want the same share the
reading. A stream knows the last `seq` that it has told and nothing else, so an outage delays it and loses
nothing. It knows that entry's hash as well: once the ledger has another one there, or none, a backup was
restored, and the stream says so and ends.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import orjson
from fastapi import Response
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from app.base.db import Database, Readable
from app.base.errors import Full, LedgerReset, Problem, TooManyRequests, Unauthorized, Unavailable
from app.base.http import EVENTS, disconnected
from app.base.ids import request_id
from app.base.limits import let_go
from app.changes.entry import Entry
from app.changes.erasure import last_epoch
from app.changes.ledger import last_position
from app.changes.model import ChangeFilters, StreamQuestion
from app.changes.reads import Place, between, hash_at, must_hold
from app.changes.replicas import Nearest

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent: proxies take a silent connection for a dead one."""
LOOKED_AT_EVERY = 0.5
"""Seconds between looks at the ledger."""
RETRY = b"retry: 2000\n"
"""The milliseconds after which a client comes back that has lost its stream. It is a line of the first event:
to clients that know no better, a block of its own is an event.
"""
COMMENT = b":\n"
"""A line that is no part of an event, and without a blank line that could end one."""
_RETRY_AFTER_RESET = 30_000
"""The same after a reset: a page that does not know the event comes back again and again."""

_AT_ONCE = 500
"""How many entries are looked through in one reading, so that no filter makes it a long one."""
_KEPT = 4
"""How many readings are kept for streams that come a moment later."""
_AT_A_TIME = 2
"""How many readings are under way: streams must not take every connection."""

Pieces = Sequence[tuple[Place, bytes]]
"""Entries as events, each with its place."""


class At(Protocol):
    """Gives what is read from that has all up to a position."""

    def __call__(self, position: int, *, public: bool = False) -> Readable:
        """As `House.at`."""


class Told(NamedTuple):
    """Who is told: the `public`, or somebody inside, who may see what was done to keys (`secrets`) or not."""

    public: bool
    secrets: bool


_Asked = tuple[str, int, int, bool, bool, bool, Any]


@dataclass(frozen=True)
class Reading:
    """Entries as events, and the hashes of those that they come after and go up to, None for one that is not
    there.
    """

    before: str | None
    pieces: Pieces
    reached: str | None


class Streams:
    """The streams of one process. `last` is the `seq` of the last entry as far as is known, `news` is done
    when there is a later one, and `ended` is whether the server is to stop.
    """

    def __init__(self, base: Database, at: At, most: int, per_client: int) -> None:
        self.most = most
        self.per_client = per_client
        self.last = 0
        self.forgotten = 0
        self.ended = False
        self._base, self._at = base, at
        self._open: Counter[str | None] = Counter()
        self._readings: OrderedDict[_Asked, asyncio.Task[Reading]] = OrderedDict()
        self._epoch_look: asyncio.Task[Any] | None = None
        self._next_look: asyncio.Task[Any] | None = None

    @contextmanager
    def place(self, client: str | None) -> Iterator[None]:
        """A place for one stream; the ledger is looked at while any is taken. Only the number of all streams
        is limited for a `client` of None. Raises TooManyRequests or Full.
        """
        if client is not None and self._open[client] >= self.per_client:
            raise TooManyRequests(f"{self.per_client} streams of yours are open.", 10, ["streams"], {})
        if self._open.total() >= self.most:
            raise Full(f"{self.most} streams are open.")
        if not self._open.total():
            self.news = asyncio.get_running_loop().create_future()
            self._readers = asyncio.Semaphore(_AT_A_TIME)
            self._looking = asyncio.ensure_future(self._look())
        self._open[client] += 1
        try:
            yield
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]
            if not self._open:
                self._looking.cancel()
                self._readings.clear()

    @property
    def number(self) -> int:
        """How many are open."""
        return self._open.total()

    def end(self) -> None:
        """Ends every stream at once: the server is to stop."""
        self.ended = True
        if self._open:
            self._wake()

    def _wake(self) -> None:
        news, self.news = self.news, asyncio.get_running_loop().create_future()
        news.set_result(None)

    async def _look(self) -> None:
        while True:
            # A thread that is not waited for would no longer count among those that there may be.
            found, certain = await asyncio.shield(run_in_threadpool(self._position))
            if found > self.last or (certain and found < self.last):
                if found < self.last:  # a backup was restored: what was read is of another ledger
                    self._readings.clear()
                self.last = found
                self._wake()
            await asyncio.sleep(LOOKED_AT_EVERY)

    def _position(self) -> tuple[int, bool]:
        """Return where the ledger ends, and whether that is the primary's word: a standby's may be behind.
        Where the ledger ends is 0 if no server answers.
        """
        rows = self._base.ask(last_position(), {})
        if rows is not None:
            return (int(rows[0][0]) if rows else 0), True
        rows = self._at(0).ask(last_position(), {})
        return (int(rows[0][0]) if rows else 0), False

    async def confirm(self, place: Place) -> str:
        """Return the hash of the entry at a place. Raises LedgerReset if the primary says that it is gone, or
        another; and Unavailable.
        """

        def read() -> str:
            with suppress(LedgerReset), self._at(place.seq).read() as session:
                return must_hold(session, place)
            with self._base.read() as session:
                return must_hold(session, place)

        async with self._readers:
            return await run_in_threadpool(read)

    async def entries(
        self, ask: ChangeFilters, after: int, upto: int, *, caller: Told, hashed: bool
    ) -> Reading:
        """The matching entries after one `seq` up to another, as events, whose ids have hashes if `hashed`.
        Raises Unavailable.
        """
        filters = ask.model_dump_json(include={"resource", "resource_id", "actor"})
        asked = (filters, after, upto, caller.public, caller.secrets, hashed, await self._epoch())
        reading = self._readings.get(asked)
        if reading is None:
            reading = self._readings[asked] = asyncio.ensure_future(self._read(asked, ask))
            if len(self._readings) > _KEPT:
                self._readings.popitem(last=False)
        return await asyncio.shield(reading)

    async def _epoch(self) -> Any:
        """Return the epoch of the erasures, by a look that begins after this was asked. What others have read
        before may have been erased since; all who ask at the same moment share the look.
        """
        if self._next_look is None:
            self._next_look = asyncio.ensure_future(self._looked(self._epoch_look))
        return await asyncio.shield(self._next_look)

    async def _looked(self, before: "asyncio.Task[Any] | None") -> Any:
        if before is not None:
            await asyncio.wait({before})
        self._epoch_look, self._next_look = self._next_look, None
        rows = await run_in_threadpool(self._base.ask, last_epoch(), {})
        return rows[0][0] if rows else None

    def forget(self) -> None:
        """Has what was read be read anew, by streams that are at it too."""
        self.forgotten += 1
        self._readings.clear()

    async def _read(self, asked: _Asked, ask: ChangeFilters) -> Reading:
        _, after, upto, public, secrets, hashed, _ = asked

        def read() -> Reading:
            base = self._at(upto, public=public)
            try:
                with base.read() as session:
                    found = between(session, ask, after, upto, secrets=secrets)
                    pieces = [(Place(e["seq"], e["hash"]), _event(e, hashed=hashed)) for e in found]
                    return Reading(hash_at(session, after), pieces, hash_at(session, upto))
            except Unavailable:
                if isinstance(base, Nearest):
                    base.retreat()
                raise

        try:
            async with self._readers:
                return await run_in_threadpool(read)
        except BaseException:
            self._readings.pop(asked, None)
            raise


def _event(entry: Entry, *, hashed: bool) -> bytes:
    seen = _id(Place(entry["seq"], entry["hash"] if hashed else None))
    return b"id: %b\nevent: change\ndata: %b\n\n" % (seen, orjson.dumps(entry))


def _id(place: Place) -> bytes:
    return b"%d" % place.seq if place.hash is None else b"%d:%b" % (place.seq, place.hash.encode())


def _position(place: Place, *, hashed: bool) -> bytes:
    data = {"seq": place.seq} | ({} if place.hash is None else {"hash": place.hash})
    seen = _id(place if hashed else Place(place.seq))
    return b"id: %b\nevent: position\ndata: %b\n\n" % (seen, orjson.dumps(data))


def _reset(reset: LedgerReset) -> bytes:
    """The last event of a stream. It has no `id`, so that nobody goes on without having read it."""
    data = orjson.dumps(reset.document(request_id.get()))
    return b"retry: %d\nevent: reset\ndata: %b\n\n" % (_RETRY_AFTER_RESET, data)


class Events(Response):
    """One stream: what matches `ask` after an entry. `admitted` says what its client may see, and raises
    Unauthorized once that is nothing more.
    """

    media_type = EVENTS

    def __init__(
        self,
        streams: Streams,
        client: str | None,
        ask: StreamQuestion,
        after: Place,
        admitted: Callable[[], Awaitable[Told]],
        *,
        hashed: bool,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self.streams, self.client = streams, client
        self.ask, self.place, self.admitted = ask, after, admitted
        self.hashed = hashed
        self._confirmed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The stream, until its client goes away or the server is to stop."""

        async def sent(piece: bytes) -> None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})

        with self.streams.place(self.client):
            let_go(scope)
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            if not scope.get("head"):
                gone = asyncio.ensure_future(disconnected(receive))
                try:
                    await self._tell(sent, gone)
                except Unauthorized:
                    pass  # the client is told when it comes back
                except LedgerReset as reset:
                    await sent(_reset(reset))
                finally:
                    gone.cancel()
            await send({"type": "http.response.body", "body": b""})

    async def _tell(
        self, sent: Callable[[bytes], Awaitable[None]], gone: "asyncio.Task[Problem | None]"
    ) -> None:
        clock = asyncio.get_running_loop().time
        await sent(RETRY + _position(self.place, hashed=self.hashed))
        silent_since = clock()
        while not (gone.done() or self.streams.ended):
            news = self.streams.news  # taken before the reading, so that none comes in between unseen
            forgotten, place = self.streams.forgotten, self.place
            pieces = await self._more()
            for at, piece in pieces or ():
                if forgotten != self.streams.forgotten:  # something was erased since it was read
                    self.place, self._confirmed, pieces = place, False, None
                    break
                await sent(piece)
                place, silent_since = at, clock()
            if pieces is not None and self.ask.until is not None and self.place.seq >= self.ask.until:
                return
            if pieces is not None and self.place.seq < self.streams.last:
                continue
            patience = LOOKED_AT_EVERY if pieces is None else silent_since + HEARTBEAT - clock()
            await asyncio.wait({gone, news}, timeout=max(patience, 0), return_when=asyncio.FIRST_COMPLETED)
            if clock() - silent_since >= HEARTBEAT:
                await sent(COMMENT)
                silent_since = clock()

    async def _more(self) -> Pieces | None:
        """What is to be told next; None if the database is away. Raises LedgerReset."""
        after = self.place.seq
        upto = min(after + _AT_ONCE, self.streams.last)
        if self.ask.until is not None:
            upto = min(upto, self.ask.until)
        try:
            if not self._confirmed or after > self.streams.last:
                self.place = Place(after, await self.streams.confirm(self.place))
                self._confirmed = True
            if upto <= after:
                return ()
            caller = await self.admitted()
            found = await self.streams.entries(self.ask, after, upto, caller=caller, hashed=self.hashed)
            if found.before != self.place.hash or found.reached is None:
                self.streams.forget()
                await self.streams.confirm(self.place)
                return None  # what was read was of a standby that has yet to hear of it
        except Unavailable:
            return None
        self.place = Place(upto, found.reached)
        return found.pieces
