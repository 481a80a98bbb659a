"""A client of this API, on httpx alone: `Client`, and `AsyncClient` with the same methods to be awaited.

    with Client("http://127.0.0.1:8000", key="otr_…") as record:
        for claim in record.each("claims", speaker="vladimir-putin"):
            print(claim["text"], claim["verification"]["verdict"])

What a server refuses raises Refused with its problem (RFC 9457). What it cannot answer now (503, 429, a lost
connection) is asked again: a POST has an Idempotency-Key, so that it acts once. A PATCH or DELETE whose
connection was lost is not sent again, and raises httpx.TransportError: read the record to see what became of
it. Following a ledger in which a backup was restored raises Reset.
"""

import asyncio
import json
import random
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

TRIES = 6
"""How often a request is sent at most."""
_AGAIN = frozenset({429, 502, 503, 504})
_MOST_SECONDS = 30.0
_STREAM = httpx.Timeout(10, read=60)
"""A stream says something every quarter of a minute."""

Query = str | int | bool | None | Sequence[str]


class Refused(Exception):
    """What a server refused, and why: the members of its problem."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('title', '')}: {problem.get('detail', '')}")
        self.status = status
        self.problem = dict(problem)


class Reset(Refused):
    """Raised when the ledger no longer has the entry that a follower goes on from: a backup was restored.
    `head` has the `seq` and `hash` of the ledger's last entry.
    """

    @property
    def head(self) -> dict[str, Any]:
        """The ledger's last entry: its `seq` and `hash`."""
        return dict(self.problem["head"])


class Record(dict[str, Any]):
    """A record as the server shows it, with the ETag that a change of it is based on."""

    etag: str | None = None


@dataclass(frozen=True)
class Ask:
    """One request, the same each time it is sent."""

    method: str
    path: str
    query: Mapping[str, Query] = field(default_factory=dict)
    body: Any = None
    etag: str | None = None
    media: str = "application/json"
    key: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again although it is not known what became of it."""
        return self.method in ("GET", "POST")

    def arguments(self) -> dict[str, Any]:
        """What httpx takes of it."""
        headers = {}
        if self.method == "POST":
            headers["Idempotency-Key"] = self.key
        if self.etag is not None:
            headers["If-Match"] = self.etag
        content = None
        if self.body is not None:
            content, headers["Content-Type"] = json.dumps(self.body).encode(), self.media
        return {
            "method": self.method,
            "url": self.path if self.path.startswith("/") else f"/v1/{self.path}",
            "params": {name: value for name, value in self.query.items() if value is not None},
            "headers": headers,
            "content": content,
        }


def _read(answer: httpx.Response) -> Record:
    """The record in an answer. Raises Refused."""
    if answer.is_error:
        try:
            problem = answer.json()
        except ValueError:
            problem = {"detail": answer.text[:200]}
        raise _refused(answer.status_code, problem if isinstance(problem, dict) else {"detail": str(problem)})
    found = Record(answer.json())
    found.etag = answer.headers.get("etag")
    return found


def _refused(status: int, problem: Mapping[str, Any]) -> Refused:
    return (Reset if "head" in problem else Refused)(status, problem)


def _pause(tried: int, answer: httpx.Response | None) -> float | None:
    """Seconds until a request is sent again; None if its answer is final."""
    if answer is not None and answer.status_code not in _AGAIN:
        return None
    told = answer.headers.get("retry-after", "") if answer is not None else ""
    wait = float(told) if told.isdigit() else 0.2 * 2**tried
    return min(wait, _MOST_SECONDS) * random.uniform(1, 1.25)  # so that clients spread out


def _tag(record: Record | None) -> str | None:
    return None if record is None else record.etag


def _changed(record: Record) -> tuple[str, str | None]:
    """Where a record is, and its ETag."""
    nouns = {"clm": "claims", "ent": "entities", "src": "sources"}
    return f"{nouns[record['id'][:3]]}/{record['id']}", record.etag


def _last(page: Record) -> dict[str, Any]:
    return page["data"][0] if page["data"] else {"seq": 0}


def _seen(seq: int, digest: str | None) -> str:
    """The id of an event as a stream is asked to go on after it."""
    return str(seq) if digest is None else f"{seq}:{digest}"


class _Events:
    """Server-sent events made of lines (HTML standard, section 9.2.6), after the event `seen`."""

    def __init__(self, seen: str) -> None:
        self.seen = seen
        self._data: list[str] = []
        self._id: str | None = None
        self._name = ""

    @property
    def headers(self) -> dict[str, str]:
        """What a stream is asked for with."""
        return {"Accept": "text/event-stream", "Last-Event-ID": self.seen}

    def line(self, line: str) -> dict[str, Any] | None:
        """The change that is whole with this line. Raises Reset."""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        elif name == "event":
            self._name = value
        if line or not self._data:
            return None
        data, named = json.loads("\n".join(self._data)), self._name
        self.forget()
        if named == "reset":
            raise Reset(data["status"], data)
        self.seen = self.seen if self._id is None else self._id
        if named != "change":
            return None
        self.seen = _seen(data["seq"], data.get("hash"))
        return dict(data)

    def forget(self) -> None:
        """Drops what a lost connection left half-said."""
        self._data, self._name = [], ""


# --- the clients -------------------------------------------------------------------------------


class Client:
    """Asks a server; `key` is an API key, without which one can only read."""

    def __init__(self, url: str, key: str | None = None, **options: Any) -> None:
        """`options` are httpx's, such as `timeout`."""
        self.http = httpx.Client(base_url=url, headers=_authorization(key), **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def _ask(self, ask: Ask) -> Record:
        for tried in range(TRIES):
            answer = lost = None
            try:
                answer = self.http.request(**ask.arguments())
            except httpx.TransportError as fault:
                lost = fault
            wait = _pause(tried, answer)
            if answer is not None and (wait is None or tried == TRIES - 1):
                return _read(answer)
            if lost is not None and (tried == TRIES - 1 or not ask.repeatable):
                raise lost
            time.sleep(wait or 0)
        raise AssertionError

    def get(self, path: str, **query: Query) -> Record:
        """One record or page: `get("claims/clm_…")`. Raises Refused, as all of these do."""
        return self._ask(Ask("GET", path, query))

    def each(self, path: str, **query: Query) -> Iterator[dict[str, Any]]:
        """Every row of a list, page after page."""
        while True:
            page = self.get(path, **query)
            yield from page["data"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    def post(self, path: str, body: Any = None, *, based_on: Record | None = None) -> Record:
        """States, gathers, rules: `post("claims", {…})`; `based_on` is the record that it is about."""
        return self._ask(Ask("POST", path, body=body, etag=_tag(based_on)))

    def revise(self, record: Record, **changes: Any) -> Record:
        """Changes fields of a claim, entity or source as it was read."""
        path, etag = _changed(record)
        return self._ask(Ask("PATCH", path, body=changes, etag=etag, media="application/merge-patch+json"))

    def delete(self, path: str, *, based_on: Record | None = None) -> Record:
        """Takes back: a merge, a withdrawal, an assignment."""
        return self._ask(Ask("DELETE", path, etag=_tag(based_on)))

    def follow(
        self, after: int | None = None, after_hash: str | None = None, **query: Query
    ) -> Iterator[dict[str, Any]]:
        """Every change after a `seq`, or from now on, as it is written, without an end: a connection that is
        lost is taken up where it was. `after_hash` is the hash of the change at `after`. Raises Reset.
        """
        if after is None:  # or what is written while a first connection is lost would be missed
            newest = _last(self.get("changes", order="desc", limit=1))
            after, after_hash = newest["seq"], newest.get("hash")
        events, tried = _Events(_seen(after, after_hash)), 0
        asked = Ask("GET", "changes/stream", query).arguments()
        while True:
            try:
                told = {**asked, "headers": events.headers, "timeout": _STREAM}
                with self.http.stream(**told) as answer:
                    if _pause(tried, answer) is None:
                        if answer.is_error:
                            answer.read()
                            _read(answer)
                        for line in answer.iter_lines():
                            tried = 0
                            if change := events.line(line):
                                yield change
            except httpx.TransportError:
                pass
            events.forget()
            time.sleep(_pause(min(tried, TRIES), None) or 0)
            tried += 1


class AsyncClient:
    """As `Client`, to be awaited."""

    def __init__(self, url: str, key: str | None = None, **options: Any) -> None:
        """`options` are httpx's, such as `timeout`."""
        self.http = httpx.AsyncClient(base_url=url, headers=_authorization(key), **options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def _ask(self, ask: Ask) -> Record:
        for tried in range(TRIES):
            answer = lost = None
            try:
                answer = await self.http.request(**ask.arguments())
            except httpx.TransportError as fault:
                lost = fault
            wait = _pause(tried, answer)
            if answer is not None and (wait is None or tried == TRIES - 1):
                return _read(answer)
            if lost is not None and (tried == TRIES - 1 or not ask.repeatable):
                raise lost
            await asyncio.sleep(wait or 0)
        raise AssertionError

    async def get(self, path: str, **query: Query) -> Record:
        """As `Client.get`."""
        return await self._ask(Ask("GET", path, query))

    async def each(self, path: str, **query: Query) -> AsyncIterator[dict[str, Any]]:
        """As `Client.each`."""
        while True:
            page = await self.get(path, **query)
            for row in page["data"]:
                yield row
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    async def post(self, path: str, body: Any = None, *, based_on: Record | None = None) -> Record:
        """As `Client.post`."""
        return await self._ask(Ask("POST", path, body=body, etag=_tag(based_on)))

    async def revise(self, record: Record, **changes: Any) -> Record:
        """As `Client.revise`."""
        path, etag = _changed(record)
        patch = Ask("PATCH", path, body=changes, etag=etag, media="application/merge-patch+json")
        return await self._ask(patch)

    async def delete(self, path: str, *, based_on: Record | None = None) -> Record:
        """As `Client.delete`."""
        return await self._ask(Ask("DELETE", path, etag=_tag(based_on)))

    async def follow(
        self, after: int | None = None, after_hash: str | None = None, **query: Query
    ) -> AsyncIterator[dict[str, Any]]:
        """As `Client.follow`."""
        if after is None:
            newest = _last(await self.get("changes", order="desc", limit=1))
            after, after_hash = newest["seq"], newest.get("hash")
        events, tried = _Events(_seen(after, after_hash)), 0
        asked = Ask("GET", "changes/stream", query).arguments()
        while True:
            try:
                told = {**asked, "headers": events.headers, "timeout": _STREAM}
                async with self.http.stream(**told) as answer:
                    if _pause(tried, answer) is None:
                        if answer.is_error:
                            await answer.aread()
                            _read(answer)
                        async for line in answer.aiter_lines():
                            tried = 0
                            if change := events.line(line):
                                yield change
            except httpx.TransportError:
                pass
            events.forget()
            await asyncio.sleep(_pause(min(tried, TRIES), None) or 0)
            tried += 1


def _authorization(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}
