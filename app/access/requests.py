"""The boundary of a request: who calls, what they may do, and the one transaction it has.

A route says by the type of its argument who may call it, and opens the transaction itself:

    def state_claim(body: ClaimIn, write: Reporting) -> Response:
        with write as session:
            …
            return write.answer(document, version=1)

The block's end commits, so an answer can leave only after its commit.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO, Annotated, Any, Generic, TypeVar
from weakref import finalize

import orjson
from fastapi import Depends, Request, Response
from sqlalchemy import delete
from sqlmodel import col
from starlette.concurrency import run_in_threadpool

from app.access.model import Idempotency, Role
from app.access.store import recognise
from app.base.body import MAX_LINE, strict_json
from app.base.db import Database, ReadSession, WriteSession
from app.base.errors import (
    Forbidden,
    Invalid,
    Malformed,
    PreconditionRequired,
    Stale,
    TooLarge,
    Unauthorized,
)
from app.base.http import JSON, Shortcut, respond, versions_in
from app.base.page import Cursors, Question, page_body
from app.base.shelf import Shelf
from app.base.times import now
from app.changes.model import Record
from app.changes.store import By, last_hash
from app.settings import Settings

ANONYMOUS = By("anonymous", "anonymous")
_REPLAYS_KEPT = timedelta(hours=24)


@dataclass(frozen=True)
class House:
    """What one running server has: its settings, its base and its secret."""

    settings: Settings
    db: Database
    secret: bytes
    questions: dict[tuple[str, bytes], Question] = field(default_factory=dict)
    """What queries of late were read as."""
    tags: dict[tuple[str, bytes], tuple[str, str]] = field(default_factory=dict)
    """The ETags of late answers, each with the hash of the ledger's last entry from before it was read."""

    @cached_property
    def shelf(self) -> Shelf:
        """Its feeds, as files."""
        return Shelf(self.settings.feed_bytes)


_QUESTIONS_KEPT = 10_000

S = TypeVar("S", bound=ReadSession)
Q = TypeVar("Q", bound=Question)
T = TypeVar("T")


class Replay(Exception):
    """This POST was answered before; here is the answer."""

    def __init__(self, response: Response) -> None:
        self.response = response


class _Call(Generic[S]):
    """What reading and writing requests share."""

    def __init__(self, request: Request, by: By, role: Role | None, body: bytes) -> None:
        self.request = request
        self.house: House = request.app.state.house
        self.by = by
        self.role = role
        self.body = body
        self._stack = ExitStack()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, fault, trace)

    @property
    def settings(self) -> Settings:
        """The server's settings."""
        return self.house.settings

    @property
    def cache(self) -> dict[str, str]:
        """Anyone may keep what anyone may read, if they ask whether it still holds."""
        public = self.settings.public_reading and self.role is None
        return {"Cache-Control": "no-cache" if public else "private, no-cache"}


class Read(_Call[ReadSession]):
    """A request that reads."""

    async def attempt(self, shortcut: Shortcut) -> Response | None:
        """What a shortcut answers. SQLite keeps no reader waiting, and a thread costs more than reading."""
        if self.house.db.sqlite:
            return self._attempt(shortcut)
        return await run_in_threadpool(self._attempt, shortcut)

    def _attempt(self, shortcut: Shortcut) -> Response | None:
        """While the ledger stands as it did when an answer had the client's ETag, it has that still."""
        asked = self.request.headers.get("if-none-match")
        rows = self.house.db.ask(last_hash(), {}) if asked else None
        if not rows:
            return shortcut(self)
        kept = self.house.tags
        if kept.get(self._asked) == (rows[0][0], asked):
            return Response(status_code=304, headers={"ETag": str(asked), **self.cache})
        answer = shortcut(self)
        if answer is not None:
            self._keep(kept, (rows[0][0], answer.headers["etag"]))
        return answer

    def remember(self, question: Question) -> None:
        """Keeps what the query of this request was read as, for `remembered`."""
        self._keep(self.house.questions, question)

    def _keep(self, known: dict[tuple[str, bytes], T], value: T) -> None:
        if len(known) >= _QUESTIONS_KEPT:
            known.clear()
        known[self._asked] = value

    def remembered(self, kind: type[Q]) -> Q | None:
        """What this very query was read as before: to read one takes longer than to answer it."""
        found = self.house.questions.get(self._asked)
        return found if isinstance(found, kind) else None

    @property
    def _asked(self) -> tuple[str, bytes]:
        return self.request.url.path, self.request.scope["query_string"]

    def __enter__(self) -> ReadSession:
        return self._stack.enter_context(self.house.db.read())

    @property
    def _cursors(self) -> Cursors:
        return Cursors(self.house.secret, self.request.url.path)

    def after(self, question: Question) -> Sequence[Any] | None:
        """The sort keys that the question's cursor stands for."""
        return self._cursors.read(question)

    def answer(self, document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
        """One record."""
        body = orjson.dumps(document)
        version = document.get("version")
        return respond(self.request, body, version=version, headers={**self.cache, **(headers or {})})

    def record(self, version: int, body: str) -> Response:
        """One record that is JSON already."""
        return respond(self.request, body.encode(), version=version, headers=self.cache)

    def page(self, question: Question, data: Sequence[Any], last: Any, **more: Any) -> Response:
        """One page of a list, and what else stands beside its rows."""
        body, link = page_body(self.request, self._cursors, question, data, last, more)
        return respond(self.request, body, headers={**self.cache, **link})


class Write(_Call[WriteSession]):
    """A request that writes, in one transaction that its `with` block's end commits."""

    session: WriteSession

    async def attempt(self, shortcut: Shortcut) -> Response | None:  # noqa: ARG002
        """Nothing: there is no shortcut to a write."""
        return None

    def __enter__(self) -> WriteSession:
        key = self._idempotency_key()
        with ExitStack() as stack:  # gives the connection back if there is an answer already
            self.session = stack.enter_context(self.house.db.write())
            if key is not None:
                self._replay(key)
            self._stack = stack.pop_all()
        return self.session

    @property
    def patch(self) -> dict[str, Any]:
        """The body of a PATCH as it was sent, nulls and all."""
        sent: dict[str, Any] = strict_json(self.body)
        return sent

    def expect(self, record: Record) -> None:
        """Holds the change to the version in If-Match (RFC 9110, section 13.1.1). Raises
        PreconditionRequired without one and Stale if the record has another by now.
        """
        header = self.request.headers.get("if-match")
        if header is None:
            raise PreconditionRequired("Send If-Match with the ETag of the version that you have read.")
        versions = versions_in(header)
        if versions is not None and record.version not in versions:
            raise Stale(f"It is at version {record.version} now: read it again.", version=record.version)

    def answer(
        self,
        document: Mapping[str, Any],
        status: int = 200,
        *,
        location: str | None = None,
        shown_once: Mapping[str, Any] | None = None,
    ) -> Response:
        """The answer, kept for a repeat of the request if that has an Idempotency-Key.

        `shown_once` is added to the first answer and is null in a repeated one.
        """
        headers = {"Cache-Control": "no-store"} | ({"Location": location} if location else {})
        kept = orjson.dumps({**document, **dict.fromkeys(shown_once or ())})
        body = orjson.dumps({**document, **(shown_once or {})})
        response = respond(
            self.request, body, status=status, version=document.get("version"), headers=headers
        )
        if key := self._idempotency_key():
            self._keep(key, response, kept)
        return response

    def _idempotency_key(self) -> str | None:
        key = self.request.headers.get("idempotency-key")
        if key is None or self.request.method != "POST":
            return None
        if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
            raise Malformed("Idempotency-Key has 1 to 255 printable ASCII characters.")
        return key

    def _request_hash(self) -> str:
        asked = f"{self.request.method} {self.request.url.path}?{self.request.url.query}\n"
        if_match = self.request.headers.get("if-match", "")
        return hashlib.sha256(asked.encode() + if_match.encode() + b"\n" + self.body).hexdigest()

    def _replay(self, key: str) -> None:
        kept = self.session.get(Idempotency, (self.by.id, key))
        if kept is None:
            return
        if kept.created_at < now() - _REPLAYS_KEPT:
            self.session.delete(kept)
            self.session.flush()
            return
        if kept.request_hash != self._request_hash():
            raise Invalid.at("Idempotency-Key", "was used for another request; a new request needs a new key")
        headers = {**orjson.loads(kept.headers), "Idempotency-Replayed": "true"}
        raise Replay(Response(kept.body, kept.status, headers, media_type=JSON))

    def _keep(self, key: str, response: Response, body: bytes) -> None:
        at = now()
        old = col(Idempotency.created_at) < at - _REPLAYS_KEPT
        self.session.execute(delete(Idempotency).where(old))
        headers = {
            name: response.headers[name]
            for name in ("etag", "location", "cache-control")
            if name in response.headers
        }
        self.session.add(
            Idempotency(
                actor=self.by.id,
                key=key,
                request_hash=self._request_hash(),
                status=response.status_code,
                headers=orjson.dumps(headers).decode(),
                body=body.decode(),
                created_at=at,
            )
        )
        self.session.flush()


class Upload(Write):
    """A request that writes what is in a file, its body. `file` is that, on disk once it is large."""

    def __init__(self, request: Request, by: By, role: Role | None, digest: bytes, file: IO[bytes]) -> None:
        super().__init__(request, by, role, digest)
        self.file = file
        finalize(self, file.close)  # for a request that is refused before it comes to its block

    def __enter__(self) -> WriteSession:
        try:
            return super().__enter__()
        except BaseException:
            self.file.close()
            raise

    def __exit__(self, *fault: Any) -> None:
        super().__exit__(*fault)
        self.file.close()


async def _received(request: Request) -> tuple[bytes, IO[bytes]]:
    """The digest of a body and the body, of which no line may be endless. Raises TooLarge."""
    digest, since_newline = hashlib.sha256(), 0
    file: IO[bytes] = SpooledTemporaryFile(max_size=MAX_LINE)  # noqa: SIM115 (closed with the request)
    try:
        async for chunk in request.stream():
            before, newline, after = chunk.rpartition(b"\n")
            longest = max(map(len, before.split(b"\n")), default=0) if newline else len(after)
            since_newline = len(after) if newline else since_newline + len(after)
            if max(longest, since_newline) > MAX_LINE:
                detail = f"A line is longer than the {MAX_LINE} bytes that this server reads."
                raise TooLarge(detail, headers={"Connection": "close"})
            digest.update(chunk)
            file.write(chunk)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return digest.digest(), file


C = TypeVar("C", bound="Read | Write")


class May(Generic[C]):
    """The gate that lets a request in by its role, and the dependency that gives it its transaction."""

    def __init__(self, role: Role, call: type[C]) -> None:
        self.role = role
        self.needs = role.name
        self.call = call

    async def admit(self, request: Request) -> None:
        """Raises Unauthorized or Forbidden."""
        house: House = request.app.state.house
        token = _token(request)
        by, role = ANONYMOUS, None
        if token is not None:
            by, role = await run_in_threadpool(recognise, house.db, house.secret, token)
        elif self.role > Role.reader or not house.settings.public_reading:
            raise Unauthorized("Send a key: Authorization: Bearer otr_…")
        if role is not None and role < self.role:
            raise Forbidden(
                f"This needs the role {self.role.name}; the key's is {role.name}.",
                role=role.name,
                needed=self.role.name,
            )
        request.state.caller = by, role

    async def __call__(self, request: Request) -> C:
        by, role = request.state.caller
        if issubclass(self.call, Upload):
            return self.call(request, by, role, *await _received(request))
        return self.call(request, by, role, await request.body() if self.call is Write else b"")


def _token(request: Request) -> str | None:
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip().isascii() or not token.strip():
        raise Unauthorized("The key is sent as: Authorization: Bearer otr_…")
    return token.strip()


Reading = Annotated[Read, Depends(May(Role.reader, Read))]
Reporting = Annotated[Write, Depends(May(Role.reporter, Write))]
Importing = Annotated[Upload, Depends(May(Role.reporter, Upload))]
Checking = Annotated[Write, Depends(May(Role.checker, Write))]
Editing = Annotated[Write, Depends(May(Role.editor, Write))]
Overseeing = Annotated[Read, Depends(May(Role.admin, Read))]
Administering = Annotated[Write, Depends(May(Role.admin, Write))]
