"""The ledger told to whoever follows it, as it grows (Server-Sent Events, in the HTML standard).

All streams of a process share one look at where the ledger ends, and those that want the same share the
reading. A stream knows the last `seq` that it has told and nothing else, so an outage delays it and loses
nothing.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from fastapi import Response
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from app.base.db import Database, Readable
from app.base.errors import Full, TooManyRequests, Unauthorized, Unavailable
from app.base.http import EVENTS, disconnected
from app.base.limits import let_go
from app.changes.model import ChangeFilters, StreamQuestion
from app.changes.reads import between
from app.changes.replicas import Nearest
from app.changes.store import last_position

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent: proxies take a silent connection for a dead one."""
LOOKED_AT_EVERY = 0.5
"""Seconds between looks at the ledger."""
RETRY = b"retry: 2000\n\n"
"""After how many milliseconds a client shall come back that has lost its stream."""

_AT_ONCE = 500
"""How many entries are looked through in one reading, so that no filter makes it a long one."""
_KEPT = 4
"""How many readings are kept for streams that come a moment later."""
_AT_A_TIME = 2
"""How many readings are under way: streams must not take every connection."""

Pieces = Sequence[bytes]
_Asked = tuple[str, int, int, bool]


class Streams:
    """The streams of one process. `last` is the `seq` of the last entry as far as is known, `news` is done
    when there is a later one, and `ended` is whether the server is to stop.
    """

    def __init__(self, base: Database, at: Callable[[int], Readable], most: int, per_client: int) -> None:
        self.most = most
        self.per_client = per_client
        self.last = 0
        self.ended = False
        self._base, self._at = base, at
        self._open: Counter[str | None] = Counter()
        self._readings: OrderedDict[_Asked, asyncio.Task[Pieces]] = OrderedDict()

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
            found = await run_in_threadpool(self._position)
            if found > self.last:
                self.last = found
                self._wake()
            await asyncio.sleep(LOOKED_AT_EVERY)

    def _position(self) -> int:
        """Where the ledger ends, or 0 if no server of the base says so."""
        rows = self._base.ask(last_position(), {}) or self._at(0).ask(last_position(), {})
        return int(rows[0][0]) if rows else 0

    async def entries(self, ask: ChangeFilters, after: int, upto: int, *, secrets: bool) -> Pieces:
        """The matching entries after one `seq` up to another, as events. Raises Unavailable."""
        asked = (ask.model_dump_json(include={"resource", "resource_id", "actor"}), after, upto, secrets)
        reading = self._readings.get(asked)
        if reading is None:
            reading = self._readings[asked] = asyncio.ensure_future(self._read(asked, ask))
            if len(self._readings) > _KEPT:
                self._readings.popitem(last=False)
        return await asyncio.shield(reading)

    async def _read(self, asked: _Asked, ask: ChangeFilters) -> Pieces:
        _, after, upto, secrets = asked

        def read() -> Pieces:
            base = self._at(upto)
            try:
                with base.read() as session:
                    return [_event(each) for each in between(session, ask, after, upto, secrets=secrets)]
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


def _event(entry: dict[str, Any]) -> bytes:
    return b"id: %d\nevent: change\ndata: %b\n\n" % (entry["seq"], orjson.dumps(entry))


def _position(seq: int) -> bytes:
    return b'id: %d\nevent: position\ndata: {"seq":%d}\n\n' % (seq, seq)


class Events(Response):
    """One stream: what matches `ask` after an entry. `admitted` says whether its client may see what was done
    to keys, and raises Unauthorized once it may see nothing more.
    """

    media_type = EVENTS

    def __init__(
        self,
        streams: Streams,
        client: str | None,
        ask: StreamQuestion,
        after: int,
        admitted: Callable[[], Awaitable[bool]],
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self.streams, self.client = streams, client
        self.ask, self.after, self.admitted = ask, after, admitted

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
                finally:
                    gone.cancel()
            await send({"type": "http.response.body", "body": b""})

    async def _tell(self, sent: Callable[[bytes], Awaitable[None]], gone: "asyncio.Task[None]") -> None:
        clock = asyncio.get_running_loop().time
        await sent(RETRY + _position(self.after))
        silent_since = clock()
        while not (gone.done() or self.streams.ended):
            news = self.streams.news  # taken before the reading, so that none comes in between unseen
            pieces = await self._more()
            for piece in pieces or ():
                await sent(piece)
                silent_since = clock()
            if self.ask.until is not None and self.after >= self.ask.until:
                return
            if pieces is not None and self.after < self.streams.last:
                continue
            patience = LOOKED_AT_EVERY if pieces is None else silent_since + HEARTBEAT - clock()
            await asyncio.wait({gone, news}, timeout=max(patience, 0), return_when=asyncio.FIRST_COMPLETED)
            if clock() - silent_since >= HEARTBEAT:
                await sent(b":\n\n")
                silent_since = clock()

    async def _more(self) -> Pieces | None:
        """What is to be told next; None if the database is away."""
        upto = min(self.after + _AT_ONCE, self.streams.last)
        if self.ask.until is not None:
            upto = min(upto, self.ask.until)
        if upto <= self.after:
            return ()
        try:
            secrets = await self.admitted()
            found = await self.streams.entries(self.ask, self.after, upto, secrets=secrets)
        except Unavailable:
            return None
        self.after = upto
        return found
