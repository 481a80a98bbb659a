"""Connections: a client that keeps the server waiting loses its own. uvicorn limits neither the time in which
a request must arrive nor that in which an answer must be taken.
"""

import asyncio
import logging
import resource
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import h11
import orjson
from anyio import CancelScope
from starlette.types import Receive, Scope, Send
from uvicorn.middleware.proxy_headers import _TrustedHosts
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.base.boundary import CONNECTION, NOTHING, SECURITY
from app.base.errors import HeadersTooLarge, Malformed, Problem, RequestTimeout
from app.base.http import PROBLEM
from app.base.ids import new_id
from app.base.limits import network

log = logging.getLogger("on-the-record")

MAX_HEADERS = 64 * 1024
"""Bytes of a request's line and headers."""

MAX_UNSENT = 64 * 1024
"""Bytes of an answer that the system takes beyond what the client has room for."""

_RATE = 4096
"""Bytes a second that buy a slow sender more time."""
_TICK = 1.0
"""Seconds between two looks at a connection."""


PER_PEER = 100
"""Connections of one address, unless it is a trusted proxy's or this machine's."""
MOST_CONNECTIONS = 10_000
"""Connections of a process, if it may open twice as many files."""
MOST_UNFINISHED = 32 * 1024 * 1024
"""Bytes of unfinished headers that a process holds."""
_LITTLE = 4096
"""Bytes of unfinished headers for which no connection is closed."""
_THIS_MACHINE = ("127.0.0.1", "::1")
_WARNED_EVERY = 60.0
"""Seconds between two warnings that connections are refused."""

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


def raise_file_limit() -> int:
    """Raise the number of files that this process may have open, as far as is needed. Return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MOST_CONNECTIONS
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < allowed:
        with suppress(OSError, ValueError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
            return allowed
    return soft


class Connections:
    """The connections of one process: so many in all and for each address, and so many bytes of unfinished
    headers. All of it is used from one event loop.
    """

    def __init__(
        self,
        most: int = MOST_CONNECTIONS,
        trusted_proxies: Sequence[str] = _THIS_MACHINE,
        most_unfinished: int = MOST_UNFINISHED,
    ) -> None:
        self.most = most
        self.most_unfinished = most_unfinished
        self._trusted = _TrustedHosts(list(trusted_proxies))
        self._of_peer: Counter[str] = Counter()
        self._unfinished = 0
        self._warned = -_WARNED_EVERY

    def enter(self, host: str) -> str | None:
        """Return the peer that a new connection counts for, or None if there is no room for it."""
        host = host.removeprefix("::ffff:")
        exempt = not host or host in _THIS_MACHINE or host in self._trusted
        peer = network(host) or host
        if self._of_peer.total() >= self.most:
            self._warn(f"{self.most} are open")
            return None
        if not exempt and self._of_peer[peer] >= PER_PEER:
            self._warn(f"{PER_PEER} of one address are open")
            return None
        self._of_peer[peer] += 1
        return peer

    def leave(self, peer: str) -> None:
        """Give the place of a connection back."""
        self._of_peer[peer] -= 1
        if not self._of_peer[peer]:
            del self._of_peer[peer]

    def hold(self, before: int, now: int) -> bool:
        """Count the unfinished headers of a connection, and return whether it may go on."""
        self._unfinished += now - before
        if now <= _LITTLE or self._unfinished <= self.most_unfinished:
            return True
        self._warn(f"{self.most_unfinished} bytes of unfinished headers are held")
        return False

    def _warn(self, reason: str) -> None:
        if monotonic() - self._warned >= _WARNED_EVERY:
            self._warned = monotonic()
            log.warning("Connections are refused: %s (docs/security.md).", reason)


class PatientProtocol(H11Protocol):
    """HTTP/1.1 with patience for a client of so many seconds: to begin a request, to go on with it (at 4 KB/s
    it may take as long as it likes), and to take of an answer that waits for it. A body that nobody wants
    is not waited for longer than that.
    """

    patience = 8.0
    allowed: Connections
    conn: StrictConnection

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn = StrictConnection(h11.SERVER, MAX_HEADERS)
        self._since = self.loop.time()
        self._received = 0
        self._untaken = 0
        self._untaken_since = self._since
        self._answer, self.app = self.app, self._with_extension
        self._reading: CancelScope | None = None
        self._peer: str | None = None
        self._unfinished = 0

    async def _with_extension(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"] = {CONNECTION: self}
        try:
            # A native cancellation would not wait for a thread: its request's turn and its place among the
            # threads would be free while it goes on.
            with CancelScope() as reading:
                self._reading = reading if scope["method"] in _SAFE else None
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
        self._peer = self.allowed.enter(self.client[0] if self.client else "")
        if self._peer is None:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)
        self._count_unfinished(len(self.conn.trailing_data[0]))

    def on_response_complete(self) -> None:
        self._since, self._received = self.loop.time(), 0
        super().on_response_complete()
        self._count_unfinished(len(self.conn.trailing_data[0]))

    def _count_unfinished(self, length: int) -> None:
        before, self._unfinished = self._unfinished, length
        if not self.allowed.hold(before, length):
            self.transport.abort()

    def _look_again(self) -> None:
        self._looking = self.loop.call_later(_TICK, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._looking.cancel()
        self._count_unfinished(0)
        if self._peer is not None:
            self.allowed.leave(self._peer)
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


def protocol_of(patience: float, connections: Connections | None = None) -> type[PatientProtocol]:
    """The protocol with that patience, in seconds, and room for these connections."""
    return type(
        "Protocol", (PatientProtocol,), {"patience": patience, "allowed": connections or Connections()}
    )
