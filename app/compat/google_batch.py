"""Many requests in one, as Google's clients send them: each is answered as if it had come by itself, with the
limits of whoever sends it, but for its turn: they are answered in their order, in the turn of the whole, and
each answer leaves as soon as it is there.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.parser import HeaderParser
from email.policy import HTTP
from http import HTTPStatus
from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from starlette.types import ASGIApp, Message, Scope

from app.access.requests import ReadingNow
from app.base.errors import Malformed, TooLarge
from app.base.ids import new_id
from app.base.limits import WITHIN
from app.compat.google_factcheck import BATCH
from app.compat.google_wire import Asked, GoogleRoute, refusal

router = APIRouter(route_class=GoogleRoute, include_in_schema=False)

MIXED = "multipart/mixed"
MOST = 100
"""Requests in one."""
MOST_BYTES, MOST_LINES = 8 * 1024, 50
"""Size of a header within a batch: each line of it takes time before it can be refused."""

_WITHIN = re.compile(r"(?:https?://[^/?#]*)?(/v1alpha1/[^\s#]*)", re.IGNORECASE)
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})
_OF_CONNECTION = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection",
                            b"accept-encoding", b"expect"})  # fmt: skip
"""Headers that a request in another has no say in."""
_OWN = _OF_CONNECTION | {b"content-type", b"x-request-id", b"idempotency-key", b"if-match", b"if-none-match",
                         b"x-http-method-override", b"range"}  # fmt: skip
"""Headers that are of the whole request, and not of each in it."""

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class _Part:
    """One of the requests: its name in the answer, and itself, unless it cannot be read."""

    name: str
    method: str
    address: str
    headers: Headers
    body: bytes


@router.post(BATCH, openapi_extra={"requestBody": {"content": {MIXED: {"schema": {"type": "string"}}}}})
async def batch(ask: Annotated[Asked, Query()], read: ReadingNow) -> Response:
    """Answers many requests in one, each as if it had come by itself."""
    del ask
    request = read.request
    media, body = request.headers.get("content-type", ""), await request.body()
    parts = await read.house.envelopes.run(lambda _job: _parts(media, body), read.client)
    boundary = f"batch_{new_id('req')}"
    answers = _answers(request.app, request.scope, parts, boundary.encode())
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(answers, headers=headers, media_type=f"{MIXED}; boundary={boundary}")


# --- in ----------------------------------------------------------------------------------------


def _parts(media: str, body: bytes) -> list[_Part]:
    """The requests in a body. Raises Malformed and TooLarge."""
    found = re.search(r"""boundary=("([^"\r\n]{1,200})"|([^\s;"]{1,200}))""", media, re.IGNORECASE)
    if found is None:
        raise Malformed("The Content-Type of the batch has no boundary.")
    boundary = re.escape((found[2] or found[3]).encode("latin-1"))
    pieces = re.split(rb"(?:\A|\r?\n)--" + boundary + rb"(?:--)?[ \t]*(?=\r?\n|\Z)", body)[1:]
    pieces = [piece for piece in pieces if piece.strip()]
    if not pieces:
        raise Malformed("The batch has no requests.")
    if len(pieces) > MOST:
        raise TooLarge(f"The batch has {len(pieces)} requests; {MOST} are answered at most.")
    return [_part(number, piece) for number, piece in enumerate(pieces, start=1)]


def _part(number: int, piece: bytes) -> _Part:
    around, inner = _split(piece.lstrip(b"\r\n"))
    named = dict(_headers(around)).get("content-id", f"<{number}>").strip()
    name = (
        f"<response-{named[1:-1]}>"
        if re.fullmatch(r"<[\x21-\x7e ]{1,250}>", named)
        else f"<response-{number}>"
    )
    line, _, rest = inner.lstrip(b"\r\n").partition(b"\n")
    asked = re.fullmatch(r"([A-Z]{1,10}) (\S+)( HTTP/\d(\.\d)?)?", line.decode("latin-1").strip())
    told, body = _split(rest)
    headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in _headers(told)]
    method, address = (asked[1], asked[2]) if asked else ("", "")
    return _Part(name, method, address, headers, body.rstrip(b"\r\n"))


def _split(text: bytes) -> tuple[bytes, bytes]:
    """Headers and what comes after them."""
    if text.startswith((b"\n", b"\r\n")):
        return b"", text.lstrip(b"\r\n")
    head, *rest = re.split(rb"\r?\n\r?\n", text, maxsplit=1)
    return head, rest[0] if rest else b""


def _headers(head: bytes) -> list[tuple[str, str]]:
    """Return the fields of a header. Raise TooLarge."""
    if len(head) > MOST_BYTES or len(head.splitlines()) > MOST_LINES:
        raise TooLarge(
            f"A request in the batch has a header of more than {MOST_BYTES} bytes or {MOST_LINES} lines."
        )
    parsed = HeaderParser(policy=HTTP.clone(refold_source="none")).parsestr(head.decode("latin-1"))
    return [(name.lower(), str(value)) for name, value in parsed.raw_items()]


# --- out ---------------------------------------------------------------------------------------


async def _answers(app: ASGIApp, scope: Scope, parts: list[_Part], boundary: bytes) -> AsyncIterator[bytes]:
    while parts:  # none is kept longer than it takes to answer it
        part = parts.pop(0)
        status, headers, body = await _answered(app, scope, part)
        head = [b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode())]
        told = [each for each in headers if each[0] != b"content-length"]
        head += [b"%s: %s" % each for each in (*told, (b"content-length", b"%d" % len(body)))]
        around = b"Content-Type: application/http\r\nContent-ID: " + part.name.encode()
        yield b"\r\n".join((b"--" + boundary, around, b"", *head, b"", body, b""))
    yield b"--" + boundary + b"--\r\n"


async def _answered(app: ASGIApp, scope: Scope, part: _Part) -> tuple[int, Headers, bytes]:
    """The answer of the application to one request."""
    if part.method not in _METHODS or not (within := _WITHIN.fullmatch(part.address)):
        wrong = refusal(Malformed("It is no request to this interface, such as GET /v1alpha1/pages."))
        return wrong.status_code, wrong.raw_headers, bytes(wrong.body)
    status, headers, body = 500, [], []
    given = iter([{"type": "http.request", "body": part.body, "more_body": False}])

    async def receive() -> Message:
        return next(given, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], message["headers"]
        else:
            body.append(message.get("body", b""))

    await app(_scope(scope, part, within[1]), receive, send)
    return status, headers, b"".join(body)


def _scope(scope: Scope, part: _Part, address: str) -> Scope:
    """A request as a connection would bring it: from the same client, with its key unless it has its own."""
    path, _, query = address.partition("?")
    own: Headers = [each for each in part.headers if each[0] not in _OF_CONNECTION]
    names = {name for name, _ in own}
    shared = [each for each in scope["headers"] if each[0] not in _OWN | names]
    host = [each for each in scope["headers"] if each[0] == b"host"]
    kept = ("type", "asgi", "http_version", "scheme", "server", "client", "root_path")
    return {name: scope[name] for name in kept if name in scope} | {
        "state": {WITHIN: True},
        "method": part.method,
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [*host, *shared, *own, (b"content-length", b"%d" % len(part.body))],
    }
