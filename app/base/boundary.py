"""What stands around every request: its id, its limits, the headers and the line in the log that every answer
has, and the last resort for faults.
"""

import asyncio
import logging
import re
from collections.abc import Iterator, Mapping
from time import perf_counter
from typing import Protocol

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.base.errors import (
    HeadersTooLarge,
    Internal,
    Malformed,
    Problem,
    Stopping,
    StorageFull,
    TargetTooLong,
    TooLarge,
)
from app.base.fields import Header, check_single
from app.base.ids import new_id, request_id
from app.base.limits import WATCHED, Limits, Visit
from app.base.logs import note_request
from app.base.problems import problem_response
from app.base.scratch import NO_ROOM

log = logging.getLogger("on-the-record")

POLICY = b"content-security-policy"
SECURITY: list[Header] = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
"""What every answer tells a browser, beside its policy."""
NOTHING: Header = (POLICY, b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
"""The policy of an answer that has none of its own: it is data, and no page may frame it."""


MAX_TARGET, MAX_VALUE = 8192, 8192
"""Bytes of an address with its query (RFC 9110, section 4.1, wants 8,000), and of the value of a header."""

CONNECTION = "record.connection"
"""The extension of ASGI by which a server shows the connection of a request."""


class Connection(Protocol):
    """The connection that a request came by."""

    @property
    def is_lost(self) -> bool:
        """Whether nobody is there any more to be answered."""

    async def taken(self) -> None:
        """Waits until the client has taken all that was sent, or is gone."""


_METHODS = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT".split())


class Boundary:
    """Pure ASGI: gives each request an id, lets it in at its turn, answers HEAD as GET without the body,
    reads no more of a body than `max_body_bytes` (or what `bodies` has for its path), and turns what nobody
    caught into a 500 problem, so that the connection stays good for the next request, and what there is no
    more time for into a 503.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits,
        max_body_bytes: int,
        bodies: Mapping[str, int],
        hsts_seconds: int = 0,
        log_addresses: bool = False,
    ) -> None:
        self.app = app
        self.limits = limits
        self.max_body_bytes = max_body_bytes
        self.bodies = bodies
        self.hsts: list[Header] = []
        if hsts_seconds:
            self.hsts = [(b"strict-transport-security", b"max-age=%d" % hsts_seconds)]
        self.log_addresses = log_addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        passage = _Passage(self, scope, receive, send)
        token = request_id.set(passage.id)
        try:
            await passage.through()
        finally:
            request_id.reset(token)


class _Passage:
    """One request on its way through the boundary and back."""

    def __init__(self, boundary: Boundary, scope: Scope, receive: Receive, send: Send) -> None:
        self.boundary = boundary
        self.head = scope["method"] == "HEAD"
        self.scope = {**scope, "method": "GET", "head": True} if self.head else scope
        self._receive, self._send = receive, send
        self.sent: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # the first of a name counts
        self.id = _id_of(self.sent.get(b"x-request-id"))
        self.most = boundary.bodies.get(scope["path"], boundary.max_body_bytes)
        self.received = 0
        self.status: int | None = None
        self.visit: Visit | None = None
        self.connection: Connection | None = scope.get("extensions", {}).get(CONNECTION)

    async def through(self) -> None:
        """Answers the request, whatever happens, and notes it in the log."""
        began = perf_counter()
        try:
            self.visit = await self.boundary.limits.admit(self.scope, self.sent)
            self._check()
            self._check_lengths()
            await self.boundary.app(self.scope, self.receive, self.send)
            if self.connection is not None and self.visit is not None:
                await self.connection.taken()  # an answer that nobody reads holds its turn
        except ClientDisconnect:
            pass
        except asyncio.CancelledError as fault:
            if self.connection is not None and self.connection.is_lost:
                raise  # there is nobody to be told
            await self._refuse(fault)
        except Exception as fault:
            await self._refuse(fault)
        finally:
            if self.visit is not None:
                self.visit.end()
            self._note(perf_counter() - began)

    def _check(self) -> None:
        """Raise Malformed for what two readers would understand differently."""
        check_single(self.scope["headers"])
        if not self.scope["path"].startswith("/") and self.scope["path"] != "*":
            raise Malformed("The target of the request is neither a path nor an http address.")

    def _check_lengths(self) -> None:
        """Raise TargetTooLong, HeadersTooLarge or TooLarge for what is longer than is read."""
        path = self.scope.get("raw_path") or self.scope["path"].encode()
        length = len(path) + len(self.scope["query_string"])
        if length > MAX_TARGET:
            raise TargetTooLong(f"The address has {length} characters; {MAX_TARGET} are read at most.")
        for name, value in self.sent.items():
            if len(value) > MAX_VALUE:
                header = name.decode("latin-1")[:100]
                raise HeadersTooLarge(f"{header} has {len(value)} bytes; {MAX_VALUE} are read at most.")
        if int(self.sent.get(b"content-length", b"0")) > self.most:
            raise _too_large(self.most)

    async def _refuse(self, fault: BaseException) -> None:
        problem = self._last_resort(fault)
        if self.status is not None:
            raise fault
        await problem_response(problem)(self.scope, self.receive, self.send)

    def _last_resort(self, fault: BaseException) -> Problem:
        if isinstance(fault, Problem):
            return fault
        if isinstance(fault, asyncio.CancelledError):
            log.warning("%s %s was given up", self.method, self.route)
            return Stopping("This server was told to stop: it is not known whether anything was written.")
        if isinstance(fault, OSError) and fault.errno in NO_ROOM:
            log.error("%s %s: no room for temporary files: %s", self.method, self.route, fault.strerror)
            return StorageFull("There is no room now for the temporary files that the answer needs.")
        log.error("%s %s failed", self.method, self.route, exc_info=fault)
        return Internal("Nothing was written. If it goes on, tell whoever runs this with the request id.")

    async def receive(self) -> Message:
        """The next part of the body. Raises TooLarge."""
        message = await self._receive()
        self.received += len(message.get("body", b""))
        if self.received > self.most:
            raise _too_large(self.most)
        return message

    async def send(self, message: Message) -> None:
        """The next part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.visit is not None:
                self.visit.answered(message["status"], known="caller" in self.scope.get("state", ()))
            message["headers"] = [*message["headers"], *self._headers(message["headers"])]
        elif self.head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)

    def _headers(self, own: list[Header]) -> Iterator[Header]:
        """What is added to those of the answer."""
        given = {name for name, _ in own}
        yield from (each for each in (NOTHING, *SECURITY) if each[0] not in given)
        yield b"x-request-id", self.id.encode()
        if self.scope["scheme"] == "https":
            yield from self.boundary.hsts
        if self.visit is not None:
            yield from self.visit.headers

    @property
    def method(self) -> str | None:
        """As it was asked, if it is one of HTTP: what is written in its place may be anything."""
        method = "HEAD" if self.head else self.scope["method"]
        return method if method in _METHODS else None

    @property
    def route(self) -> str | None:
        """The path as the documentation has it: what was written in its place may be anything."""
        return getattr(self.scope.get("route"), "path", None)

    def _note(self, seconds: float) -> None:
        client = self.scope.get("client") if self.boundary.log_addresses else None
        # A probe that finds nothing wrong comes every few seconds, and would be most of the log.
        quiet = self.scope["path"] in WATCHED and self.status is not None and self.status < 400
        note_request(
            logging.DEBUG if quiet else logging.INFO,
            method=self.method,
            route=self.route,
            status=self.status,
            ms=round(seconds * 1000, 2),
            **({"address": client[0]} if client else {}),
        )


def _id_of(offered: bytes | None) -> str:
    if offered is not None and re.fullmatch(rb"[\w.:-]{1,100}", offered):
        return offered.decode()
    return new_id("req")


def _too_large(most: int) -> TooLarge:
    # What is left of the body is not read, so the connection cannot be used again.
    detail = f"The body is larger than the {most} bytes that this server reads."
    return TooLarge(detail, headers={"Connection": "close"})
