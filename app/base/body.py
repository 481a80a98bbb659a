"""Bodies in: JSON read strictly, and JSON Merge Patch."""

import asyncio
import hashlib
import json
import math
import re
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from app.base.errors import Invalid, Malformed, TooLarge, pointer
from app.base.texts import check_marks

MAX_DEPTH, MAX_NUMBER = 64, 60
MAX_MEMBERS, MAX_VALUES = 200, 50_000
"""Members of one JSON object, and values in a whole body: each takes time before it can be refused."""
MAX_LINE = 1024 * 1024
"""Bytes in a line of a file: one that never ends must not fill the memory."""

LARGE_BODY = 64 * 1024
"""Bytes of a body from which on it is read and checked beside the event loop."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_STRUCTURE = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[,\[{]', re.DOTALL)
"""Strings, whole, and what stands before or between values outside them."""
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")


def strict_json(body: bytes, members: int = MAX_MEMBERS) -> Any:
    """Reads JSON as RFC 8259 has it and no more: numbers exact (`Decimal`), no NaN or Infinity, no key
    twice, UTF-8 only, at most `members` members in an object and `MAX_VALUES` values. Raises Malformed.
    """
    _check_size(body)
    try:
        return json.loads(
            body.decode("utf-8"),
            object_pairs_hook=partial(_object, members),
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_constant,
        )
    except UnicodeDecodeError:
        raise Malformed("The body is not UTF-8.") from None
    except json.JSONDecodeError as fault:
        raise Malformed(f"The body is not JSON from line {fault.lineno}, column {fault.colno} on.") from None
    except RecursionError:
        raise Malformed("The body is nested too deeply.") from None


def _check_size(body: bytes) -> None:
    """Raise Malformed for a body of too many values, before a value is made of any."""
    if sum(map(body.count, (b",", b"[", b"{"))) <= MAX_VALUES:
        return
    separators = 0
    for n, found in enumerate(_STRUCTURE.finditer(body)):
        separators += not found[0].startswith(b'"')
        if separators > MAX_VALUES or n > 3 * MAX_VALUES:  # JSON has two strings for a separator at most
            raise Malformed(f"The body has more than {MAX_VALUES} values.")


def _object(most: int, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > most:
        raise Malformed(f"An object has {len(pairs)} members; {most} are read at most.")
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Malformed("The body has an object with the same key twice.")
    return found


def _decimal(text: str) -> Decimal | int:
    with suppress(InvalidOperation):  # an exponent that no Decimal can have
        number = Decimal(text)
        if len(text) <= MAX_NUMBER and abs(number.adjusted()) <= MAX_NUMBER:
            # `60.0` is an integer to JSON Schema, and some clients write all numbers so.
            return int(number) if number == number.to_integral_value() else number
    raise Malformed("The body has a number that is too long to be kept exactly.")


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER:
        raise Malformed("The body has a number that is too long to be kept exactly.")
    return int(text)


def _constant(text: str) -> Any:
    raise Malformed(f"The body has {text}, which is not JSON.")


def check_strings(value: Any, path: tuple[str | int, ...] = ()) -> None:
    """Raises Invalid for strings that are not text, Malformed for what is nested too deeply."""
    if len(path) > MAX_DEPTH:
        raise Malformed("The body is nested too deeply.")
    match value:
        case str():
            _check_text(value, path)
        case dict():
            for key, item in value.items():
                _check_text(key, path)
                check_strings(item, (*path, key))
        case list():
            for index, item in enumerate(value):
                check_strings(item, (*path, index))


def _check_text(text: str, path: tuple[str | int, ...]) -> None:
    if text.isascii() and "\0" not in text:
        return
    if _NOT_TEXT.search(text):
        raise Invalid.at(pointer(path), "has a NUL or a lone surrogate, which is not text")
    try:
        check_marks(text)
    except ValueError as fault:
        raise Invalid.at(pointer(path), str(fault)) from None


async def body_of(request: Request) -> bytes:
    """Return the body, which comes once: a request that is read anew, from the primary, has it still."""
    if not hasattr(request.state, "body"):
        request.state.body = await request.body()
    body: bytes = request.state.body
    return body


class StrictRequest(Request):
    """A request whose JSON is read strictly."""

    async def json(self) -> Any:
        if not hasattr(self, "_strict"):
            self._strict = strict_json(await self.body())
            check_strings(self._strict)
        return self._strict


def beside_the_loop(inner: Handler) -> Handler:
    """Return a handler that answers requests with a large body from a thread, on an event loop of its own.

    FastAPI reads and checks a body on the loop that it is called on, and megabytes take longer than others
    should have to wait.
    """

    async def handle(request: Request) -> Response:
        chunked = "transfer-encoding" in request.headers
        if not chunked and int(request.headers.get("content-length", 0)) < LARGE_BODY:
            return await inner(request)
        await request.body()  # on this loop, which the connection is on
        return await run_in_threadpool(lambda: asyncio.run(inner(request)))

    return handle


def merge_patch(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Applies a JSON Merge Patch (RFC 7396): null removes, objects merge, all else replaces."""
    merged = dict(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            kept = merged.get(key)
            merged[key] = merge_patch(kept if isinstance(kept, dict) else {}, value)
        else:
            merged[key] = value
    return merged


LINKED, HTML = "application/ld+json", "text/html"

_WITHOUT_LINES = (HTML, LINKED)
"""Types of files that may be one line, and are not read line by line."""


def media_type(header: str) -> str:
    """The type that a Content-Type, or a `type` in a page, names: without parameters, in small letters."""
    return header.partition(";")[0].strip().lower()


async def received(request: Request) -> tuple[bytes, IO[bytes]]:
    """The digest of a body and the body, of which no line may be endless if it has lines. Raises TooLarge."""
    digest, since_newline = hashlib.sha256(), 0
    media = media_type(request.headers.get("content-type", ""))
    longest_line = math.inf if media in _WITHOUT_LINES else MAX_LINE
    file: IO[bytes] = SpooledTemporaryFile(max_size=MAX_LINE)  # noqa: SIM115 (closed with the request)
    try:
        async for chunk in request.stream():
            before, newline, after = chunk.rpartition(b"\n")
            longest = max(map(len, before.split(b"\n")), default=0) if newline else len(after)
            since_newline = len(after) if newline else since_newline + len(after)
            if max(longest, since_newline) > longest_line:
                detail = f"A line is longer than the {MAX_LINE} bytes that this server reads."
                raise TooLarge(detail, headers={"Connection": "close"})
            digest.update(chunk)
            file.write(chunk)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return digest.digest(), file
