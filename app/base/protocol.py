"""Connections: a client that keeps the server waiting loses its own. uvicorn limits neither the time in which
a request must arrive nor that in which an answer must be taken.
"""

import asyncio
from typing import Any

import h11
import orjson
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.base.boundary import CONNECTION, NOTHING, SECURITY
from app.base.errors import HeadersTooLarge, Malformed, Problem, RequestTimeout
from app.base.http import PROBLEM
from app.base.ids import new_id

MAX_HEADERS = 64 * 1024
"""Bytes of a request's line and headers."""

MAX_UNSENT = 64 * 1024
"""Bytes of an answer that the system takes beyond what the client has room for."""

_RATE = 4096
"""Bytes a second that buy a slow sender more time."""
_TICK = 1.0
"""Seconds between two looks at a connection."""


_SAFE = ("GET", "HEAD")

_UNANSWERED = (h11.IDLE, h11.SEND_RESPONSE)
"""What h11 calls us while we have not begun to answer."""


class StrictConnection(h11.Connection):
    """HTTP as h11 reads it, which takes a request of two lengths by one of them. A proxy before us may take
    it by the other, and what one of us reads as a body is a request of somebody else's to the other. `fault`
    is what was refused.
    """

    fault: str | None = None

    def next_event(self) -> Any:
        """Return the next event, as h11 does. Raises RemoteProtocolError."""
        event = super().next_event()
        if isinstance(event, h11.Request) and (fault := _unclear(event)):
            self.fault = fault
            raise h11.RemoteProtocolError(fault)
        return event


def _unclear(request: h11.Request) -> str | None:
    """Return what makes it unclear where a request ends (RFC 9112, sections 2.3 and 6.1), or None."""
    names = {name for name, _ in request.headers}
    if not request.http_version.startswith(b"1."):
        return "This is HTTP/1.1: the request names another version."
    if b"transfer-encoding" in names and b"content-length" in names:
        return "Send Content-Length or Transfer-Encoding, not both."
    if b"transfer-encoding" in names and request.http_version < b"1.1":
        return "HTTP/1.0 has no Transfer-Encoding."
    return None


class PatientProtocol(H11Protocol):
    """HTTP/1.1 with patience for a client of so many seconds: to begin a request, to go on with it (at 4 KB/s
    it may take as long as it likes), and to take of an answer that waits for it. A body that nobody wants
    is not waited for longer than that.
    """

    patience = 8.0
    conn: StrictConnection

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn = StrictConnection(h11.SERVER, MAX_HEADERS)
        self._since = self.loop.time()
        self._received = 0
        self._untaken = 0
        self._untaken_since = self._since
        self._answer, self.app = self.app, self._with_extension
        self._reading: asyncio.Task[Any] | None = None

    async def _with_extension(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"] = {CONNECTION: self}
        self._reading = asyncio.current_task() if scope["method"] in _SAFE else None
        try:
            await self._answer(scope, receive, send)
        except asyncio.CancelledError:
            if not self.is_lost:
                raise

    @property
    def is_lost(self) -> bool:
        """Whether nobody is there any more to be answered."""
        return self.transport.is_closing()

    async def taken(self) -> None:
        """Waits until nothing is left to be sent, or the connection is lost."""
        if self.transport.get_write_buffer_size():
            await self.flow.drain()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # any byte that waits pauses the writing
        self._look_again()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)

    def on_response_complete(self) -> None:
        self._since, self._received = self.loop.time(), 0
        super().on_response_complete()

    def _look_again(self) -> None:
        self._looking = self.loop.call_later(_TICK, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._looking.cancel()
        super().connection_lost(exc)
        if self._reading is not None:  # nobody waits for it; what writes is brought to its end
            self._reading.cancel()

    def _look(self) -> None:
        self._look_again()
        now = self.loop.time()
        if self._takes_nothing(now):
            self.transport.abort()
        elif self._sends_nothing(now) and not self.transport.is_closing():
            self._refuse(RequestTimeout("The request did not arrive in time."))

    def _takes_nothing(self, now: float) -> bool:
        """Whether an answer has waited for the client to take more of it for too long."""
        untaken = self.transport.get_write_buffer_size()
        if untaken == 0 or untaken > self._untaken or self._untaken - untaken >= _RATE:
            self._untaken, self._untaken_since = untaken, now
        return now - self._untaken_since > self.patience

    def _sends_nothing(self, now: float) -> bool:
        """Whether the rest of a request has been waited for for too long."""
        if self.flow.read_paused:
            self._since += _TICK  # it is we who do not read
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            return False
        wanted = self.conn.our_state in _UNANSWERED
        return now - self._since > self.patience + (self._received / _RATE if wanted else 0)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (what the library has to say stays here)
        """Answers what is not HTTP as every refusal is answered."""
        if len(self.conn.trailing_data[0]) > MAX_HEADERS:
            self._refuse(HeadersTooLarge(f"The headers have more than the {MAX_HEADERS} bytes read here."))
        else:
            self._refuse(Malformed(self.conn.fault or "This is no request in HTTP/1.1."))

    def _refuse(self, problem: Problem) -> None:
        asked = self.conn.their_state is not h11.IDLE or self.conn.trailing_data[0]
        if asked and self.conn.our_state in _UNANSWERED:
            self.transport.write(_written(problem))
        self.transport.close()


def _written(problem: Problem) -> bytes:
    request_id = new_id("req")
    body = orjson.dumps(problem.document(request_id))
    headers = [
        (b"content-type", PROBLEM.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
        (b"x-request-id", request_id.encode()),
        NOTHING,
        *SECURITY,
    ]
    reason = problem.title.encode()
    head = [b"HTTP/1.1 %d %s" % (problem.status, reason), *(b": ".join(pair) for pair in headers)]
    return b"\r\n".join([*head, b"", body])


def protocol_of(patience: float) -> type[PatientProtocol]:
    """The protocol with that patience, in seconds."""
    return type("Protocol", (PatientProtocol,), {"patience": patience})
