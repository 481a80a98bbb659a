"""Keyset pages: a cursor names the last row seen, so that a walk neither loses nor doubles rows while
others write. Cursors are opaque, signed, and good only for the question they came from.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import quote

import orjson
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Date, Row, tuple_

from app.base.db import ReadSession
from app.base.errors import Malformed
from app.base.sql import Query
from app.base.types import Instant, Sort, wire

PAGE, MAX_PAGE = 20, 200

_QUERY = "%=&+,:;@!$'()*/?~"
"""What stands for itself in a query (RFC 3986, section 3.4), besides letters and digits."""


class Question(BaseModel):
    """What every list can be asked. Its fields are the query parameters."""

    model_config = ConfigDict(frozen=True)

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE, description="The most records in one answer.")] = PAGE
    cursor: Annotated[str | None, Field(max_length=1000, description="`next_cursor` of the page before.")] = (
        None
    )
    order: Annotated[Sort, Field(description="Newest first (`desc`) or oldest first.")] = "desc"


WORDS = (
    'Words, `"exact phrases"`, `-exclusions`, beginnings such as `pipe*`: the best match first, with `match`'
    " telling why."
)
Words = Annotated[str | None, Field(min_length=1, max_length=500, description=WORDS)]

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows and, if there are more, the sort keys of the last."""

    rows: Sequence[T]
    last: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Cursors:
    """Makes and reads the cursors of one list, which is known by its path, with the base's secret."""

    secret: bytes
    path: str

    def make(self, question: Question, last: tuple[Any, ...]) -> str:
        """The cursor that goes on after the row with these sort keys."""
        body = orjson.dumps([wire(key) for key in last])
        return base64.urlsafe_b64encode(self._sign(question, body) + body).decode().rstrip("=")

    def read(self, question: Question) -> list[Any] | None:
        """The sort keys to go on after. Raises Malformed if the cursor is not ours, or another
        question's.
        """
        if question.cursor is None:
            return None
        try:
            raw = base64.b64decode(question.cursor + "=" * (-len(question.cursor) % 4), b"-_", True)
        except ValueError:
            raw = b""
        if not hmac.compare_digest(raw[:16], self._sign(question, raw[16:])):
            raise Malformed("The cursor is not one that this question's answer gave.")
        keys: list[Any] = orjson.loads(raw[16:])
        return keys

    def _sign(self, question: Question, body: bytes) -> bytes:
        asked = question.model_dump_json(exclude={"cursor", "limit"}).encode()
        message = self.path.encode() + b"\0" + asked + b"\0" + body
        return hmac.digest(self.secret, b"cursor\0" + message, hashlib.sha256)[:16]


def page(
    session: ReadSession,
    query: Query,
    keys: Sequence[Any],
    question: Question,
    after: Sequence[Any] | None,
) -> Page[Row[Any]]:
    """One page of `query` in the order of `keys`, the last of which is unique; none may be null."""
    down = question.order == "desc"
    if after is not None:
        here, there = tuple_(*keys), tuple(map(_from_wire, keys, after))
        query = query.where(here < there if down else here > there)
    ordered = query.order_by(*(key.desc() if down else key.asc() for key in keys))
    rows = session.execute(
        ordered.add_columns(*(key.label(f"key{n}") for n, key in enumerate(keys))).limit(question.limit + 1)
    ).all()
    if len(rows) <= question.limit:
        return Page(rows)
    rows = rows[: question.limit]
    return Page(rows, tuple(getattr(rows[-1], f"key{n}") for n in range(len(keys))))


def _from_wire(key: ColumnElement[Any], value: Any) -> Any:
    match key.type:
        case Date():
            return date.fromisoformat(value)
        case Instant():
            return datetime.fromisoformat(value)
        case _:
            return value


def page_body(
    request: Request,
    cursors: Cursors,
    question: Question,
    data: Sequence[Any],
    last: Any,
    more: Mapping[str, Any],
) -> tuple[bytes, dict[str, str]]:
    """A collection's body, with what else stands beside its rows, and its `Link` header (RFC 8288)."""
    cursor = cursors.make(question, last) if last is not None else None
    body = orjson.dumps({"data": data, "next_cursor": cursor, **more})
    if cursor is None:
        return body, {}
    asked = re.sub(r"(^|&)cursor=[^&]*", "", request.scope["query_string"].decode("latin-1")).lstrip("&")
    following = f"{request.url.path}?{quote(asked, _QUERY)}{'&' if asked else ''}cursor={cursor}"
    return body, {"Link": f'<{following}>; rel="next"'}
