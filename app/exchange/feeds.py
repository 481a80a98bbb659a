"""Flat feeds over HTTP: whole files with a length, a digest and ranges, for dashboards and data frames."""

import re
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Query, Response
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.types import Receive, Scope, Send

from app.access.requests import Read, Reading
from app.base.errors import RangeNotSatisfiable
from app.base.fields import chosen_coding
from app.base.http import Route, known_already, produces, v1, while_connected
from app.base.openapi import file_answers
from app.base.shelf import Kept
from app.exchange.flat import FEEDS, Feed
from app.exchange.formats import FORMATS, JSON_FORM, Format, row_schema
from app.exchange.render import Wanted

router = v1("feeds")

_RANGE = re.compile(r"bytes=(\d{1,18})?-(\d{1,18})?", re.ASCII)


class FileAnswer(Response):
    """A kept file, or a piece of it, in chunks."""

    def __init__(self, kept: Kept, status: int, headers: dict[str, str], start: int, end: int) -> None:
        super().__init__(b"", status, headers)
        self.headers["content-length"] = str(end - start)
        self.chunks: Iterator[bytes] = kept.pieces(start, end)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI's signature)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if not scope.get("head"):
            async for chunk in iterate_in_threadpool(self.chunks):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def answer_file(read: Read, feed: Feed, form: Format, ask: Any) -> Response:
    """A feed as a file, or a piece of it. Raises RangeNotSatisfiable."""
    asked = read.request.headers
    span = None if read.request.scope.get("head") else asked.get("range")
    takes_gzip = chosen_coding(asked.get("accept-encoding", ""), ["gzip"]) is not None
    packed = form.compresses and span is None and takes_gzip
    wanted = Wanted(read.house, read.base, feed, form, ask, packed)
    last = await run_in_threadpool(wanted.last)
    headers = {
        **read.cache,
        "ETag": wanted.tag(last),
        **({"Vary": "Accept-Encoding"} if form.compresses else {}),
    }
    if known_already(read.request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    kept = await while_connected(read.request.receive, wanted.file(last, read.client))
    if kept.key[0] != last:  # something was written meanwhile
        headers["ETag"] = wanted.tag(kept.key[0])
        known_already(read.request, headers["ETag"])
    headers |= {
        "Content-Type": form.content_type,
        "Accept-Ranges": "bytes",
        "Repr-Digest": f"sha-256=:{kept.digest}:",
        "Record-Count": str(kept.count),
        **({"Content-Encoding": "gzip"} if packed else {}),
    }
    if span is None or asked.get("if-range", headers["ETag"]) != headers["ETag"]:
        return FileAnswer(kept, 200, headers, 0, kept.size)
    return _part(kept, headers, span)


def _part(kept: Kept, headers: dict[str, str], span: str) -> Response:
    """One range; of several, or what is no range of bytes, the whole (RFC 9110, section 14.2)."""
    match = _RANGE.fullmatch(span.strip())
    if match is None or match[0].strip() == "bytes=-":
        return FileAnswer(kept, 200, headers, 0, kept.size)
    first, last = (None if number is None else int(number) for number in match.groups())
    if first is not None and last is not None and last < first:
        return FileAnswer(kept, 200, headers, 0, kept.size)
    start, end = _bounds(kept.size, first, last)
    if start >= end:
        raise RangeNotSatisfiable(f"It has {kept.size} bytes.", size=kept.size)
    headers |= {"Content-Range": f"bytes {start}-{end - 1}/{kept.size}"}
    return FileAnswer(kept, 206, headers, start, end)


def _bounds(size: int, first: int | None, last: int | None) -> tuple[int, int]:
    if first is None:
        return max(size - (last or 0), 0), size
    return first, size if last is None else min(last + 1, size)


# --- routes ------------------------------------------------------------------------------------


def _add(feed: Feed, form: Format) -> None:
    question: Any = feed.question

    @router.get(
        f"/{feed.name}.{form.suffix}",
        response_class=Response,
        responses=file_answers(form.media, _schema(feed, form), f"Every row, as {form.media}."),
        operation_id=f"feed_{feed.name}_{form.suffix}",
        description=f"All {feed.name} under the filters as flat rows: {form.suffix.upper()}.",
    )
    @produces(form.media)
    async def answer(ask: Annotated[question, Query()], read: Reading) -> Response:
        return await answer_file(read, feed, form, ask)


def _schema(feed: Feed, form: Format) -> dict[str, Any]:
    if form is JSON_FORM:
        return {"type": "array", "items": row_schema(feed.columns)}
    binary = {} if form.compresses else {"contentEncoding": "binary"}
    return {"type": "string", **binary}


for _feed in FEEDS:
    for _form in FORMATS:
        _add(_feed, _form)

PATHS = frozenset(route.path for route in router.routes if isinstance(route, Route))
"""The addresses of all feeds, which compress for themselves."""
