"""The boundary of a request: who calls, what they may do, and the one transaction it has.

A route says by the type of its argument who may call it, and opens the transaction itself:

    def state_claim(body: ClaimIn, write: Reporting) -> Response:
        with write as session:
            …
            return write.answer(document, version=1)

The block's end commits, so an answer can leave only after its commit.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from types import TracebackType
from typing import IO, Annotated, Any, Generic, TypeVar, get_origin
from weakref import finalize

import orjson
from fastapi import Depends, Request, Response
from pydantic import ValidationError
from sqlalchemy import Row, delete
from sqlmodel import col
from starlette.concurrency import run_in_threadpool

from app.access.caller import ANONYMOUS, Caller
from app.access.conditions import hold_to_presence, hold_to_version
from app.access.house import POSITION, House, asked_key, asked_position, counted_for
from app.access.model import Idempotency, Role
from app.access.store import recognise
from app.base.body import received, strict_json
from app.base.db import Readable, ReadSession, WriteSession
from app.base.errors import Invalid, Malformed, Problem, Unauthorized, Unavailable
from app.base.http import AS_OF, JSON, Shortcut, etag_of, respond
from app.base.page import Cursors, Page, Question, page_body
from app.base.prepared import NotAtOnce
from app.base.times import now
from app.changes.ledger import last_hash, last_seq
from app.changes.model import Record
from app.changes.replicas import Nearest
from app.settings import Settings

_REPLAYS_KEPT = timedelta(hours=24)

S = TypeVar("S", bound=ReadSession)
Q = TypeVar("Q", bound=Question)


class Replay(Exception):
    """This POST was answered before; here is the answer."""

    def __init__(self, response: Response) -> None:
        self.response = response


class _Call(Generic[S]):
    """What reading and writing requests share."""

    def __init__(self, request: Request, caller: Caller, body: bytes) -> None:
        self.request = request
        self.house: House = request.app.state.house
        self.caller, self.by, self.role = caller, caller.by, caller.role
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
        public = self.settings.public_reading and not self.caller.inside
        return {"Cache-Control": "no-cache" if public else "private, no-cache"}


class Read(_Call[ReadSession]):
    """A request that reads. All of it reads from `base`, which may be a standby."""

    @property
    def client(self) -> str | None:
        """Whom what is long counts for: a key or an address, and nobody on this machine itself."""
        return counted_for(self.request)

    @property
    def base(self) -> Readable:
        """What it reads from."""
        found: Readable = self.request.state.base
        return found

    async def attempt(self, shortcut: Shortcut) -> Response | None:
        """What a shortcut answers. SQLite keeps no reader waiting, and a thread costs more than reading."""
        if self.house.db.sqlite:
            return self._attempt(shortcut)
        return await run_in_threadpool(self._attempt, shortcut)

    def _attempt(self, shortcut: Shortcut) -> Response | None:
        """Answer 304 at once while the ledger stands as it did when the client's copy was found to hold."""
        sent = self.request.headers
        if "if-none-match" not in sent or "if-match" in sent:
            return self._try(shortcut)
        asked = (sent["if-none-match"], sent.get("accept-encoding", ""))
        rows = self.base.ask(last_hash(), {})
        if not rows:
            return self._try(shortcut)
        kept = self.house.tags
        if (known := kept.get(self._asked)) and known[:2] == (rows[0][0], asked):
            return Response(status_code=304, headers=known[2])
        answer = self._try(shortcut)
        # It may be of a later state: then it is not kept.
        if answer is not None and answer.status_code == 304 and self.base.ask(last_hash(), {}) == rows:
            kept[self._asked] = rows[0][0], asked, {**answer.headers}
        return answer

    def _try(self, shortcut: Shortcut) -> Response | None:
        try:
            return shortcut(self)
        except NotAtOnce:
            return None

    def page_at_once(
        self, kind: type[Q], find: Callable[[Readable, Q, Sequence[Any] | None], Page[Any]]
    ) -> Response:
        """The page that a shortcut finds. Raises NotAtOnce."""
        question = self._question(kind)
        found = find(self.base, question, self.after(question))
        return self.page(question, found.rows, found.last)

    def _question(self, kind: type[Q]) -> Q:
        """What the query asks, as the route will have it, which refuses it otherwise. To read a query takes
        longer than to answer it, so those of late are kept.
        """
        kept = self.house.questions.get(self._asked)
        if isinstance(kept, kind):
            return kept
        given = self.request.query_params
        lists = {n for n, field in kind.model_fields.items() if get_origin(field.annotation) is list}
        try:
            found = kind.model_validate({n: given.getlist(n) if n in lists else given[n] for n in given})
        except ValidationError:
            raise NotAtOnce from None
        self.house.questions[self._asked] = found
        return found

    @property
    def _asked(self) -> tuple[str, bytes, bool]:
        return self.request.url.path, self.request.scope["query_string"], self.base.public

    def __enter__(self) -> ReadSession:
        return self._stack.enter_context(self.base.read())

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
        """One record that is JSON already, and other types for those who would rather have them."""
        headers = {**self.cache, "Vary": "Accept"}
        return respond(self.request, body.encode(), version=version, headers=headers)

    def page(self, question: Question, data: Sequence[Any], last: Any, **more: Any) -> Response:
        """One page of a list, and what else stands beside its rows."""
        body, link = page_body(self.request, self._cursors, question, data, last, more)
        return respond(self.request, body, headers={**self.cache, **link})


class Write(_Call[WriteSession]):
    """A request that writes, in one transaction that its `with` block's end commits."""

    session: WriteSession
    _answered: Response | None = None
    _expected = False

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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, fault, trace)
        if isinstance(fault, Problem) and not isinstance(fault, Unavailable):
            self.house.tell_position(fault.headers)  # what it was refused for may be newer than a standby
        elif self._answered is not None:
            self.house.tell_position(self._answered.headers)

    @property
    def patch(self) -> dict[str, Any]:
        """The body of a PATCH as it was sent, nulls and all."""
        sent: dict[str, Any] = strict_json(self.body)
        return sent

    def expect(self, record: Record | Row[Any], *, needed: bool = True) -> None:
        """Hold the change of a record to the conditions of the request. Raise as `hold_to_version` does."""
        self._expected = True
        hold_to_version(self.request.headers, record.version, needed=needed)

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
        if not self._expected:
            hold_to_presence(self.request.headers)
        kept = orjson.dumps({**document, **dict.fromkeys(shown_once or ())})
        body = orjson.dumps({**document, **(shown_once or {})})
        headers = {"ETag": etag_of(body, document.get("version")), "Cache-Control": "no-store"}
        headers |= {"Location": location} if location else {}
        response = self._answered = Response(body, status, headers, media_type=JSON)
        if key := self._idempotency_key():
            self._keep(key, response, kept)
        return response

    def told(self, response: Response) -> Response:
        """An answer that was made elsewhere, which says how far the base is, as all answers to writes do."""
        if not self._expected:
            hold_to_presence(self.request.headers)
        response.headers["Cache-Control"] = "no-store"
        self._answered = response
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
        kept = self.session.get(Idempotency, (self.caller.key, key))
        if kept is None:
            return
        if kept.created_at < now() - _REPLAYS_KEPT:
            self.session.delete(kept)
            self.session.flush()
            return
        if kept.request_hash != self._request_hash():
            raise Invalid.at("Idempotency-Key", "was used for another request; a new request needs a new key")
        position = self.session.execute(last_seq()).scalar() or 0
        headers = {**orjson.loads(kept.headers), "Idempotency-Replayed": "true", POSITION: str(position)}
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
                actor=self.caller.key,
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

    def __init__(self, request: Request, caller: Caller, digest: bytes, file: IO[bytes]) -> None:
        super().__init__(request, caller, digest)
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


C = TypeVar("C", bound="Read | Write")


class May(Generic[C]):
    """The gate that lets a request in by its role, and the dependency that gives it its transaction. `public`
    is the setting by which a reader needs no key, if there is one, `then` whether it can be read as of an
    earlier moment.
    """

    def __init__(
        self, role: Role, call: type[C], public: str | None = "public_reading", then: bool = False
    ) -> None:
        self.role = role
        self.public = public
        self.then = then
        self.needs = role.name
        self.call = call

    async def admit(self, request: Request) -> None:
        """Raises Unauthorized or Forbidden."""
        house: House = request.app.state.house
        if house.unproven.is_set():
            await run_in_threadpool(house.prove)
        token, position = asked_key(request), asked_position(request)
        caller = ANONYMOUS
        if token is not None:
            caller, known = await run_in_threadpool(recognise, house.db, house.secret, token)
            position = max(position, known)
        elif not self.is_free(house.settings):
            raise Unauthorized("Send a key: Authorization: Bearer otr_…")
        caller.must_have(self.role)
        request.state.caller = caller
        request.state.base = base = house.at(position, public=not caller.inside)
        if self.then and (moment := request.query_params.get(AS_OF)) is not None:
            request.state.base = await house.as_of(base, moment, counted_for(request))

    def is_free(self, settings: Settings) -> bool:
        """Return whether a request needs no key."""
        return self.role is Role.reader and self.public is not None and bool(getattr(settings, self.public))

    def retreat(self, request: Request) -> bool:
        """Whether a request that has failed may do better if it is read anew, from the primary."""
        base = request.state.base
        return issubclass(self.call, Read) and isinstance(base, Nearest) and base.retreat()

    async def __call__(self, request: Request) -> C:
        caller: Caller = request.state.caller
        if issubclass(self.call, Upload):
            return self.call(request, caller, *await received(request))
        return self.call(request, caller, await request.body() if self.call is Write else b"")


Reading = Annotated[Read, Depends(May(Role.reader, Read, then=True))]
ReadingNow = Annotated[Read, Depends(May(Role.reader, Read))]
Measuring = Annotated[Read, Depends(May(Role.reader, Read, "public_metrics"))]
Identifying = Annotated[Read, Depends(May(Role.reader, Read, None))]
Surveying = Annotated[Read, Depends(May(Role.checker, Read))]
Reporting = Annotated[Write, Depends(May(Role.reporter, Write))]
Importing = Annotated[Upload, Depends(May(Role.reporter, Upload))]
Checking = Annotated[Write, Depends(May(Role.checker, Write))]
Editing = Annotated[Write, Depends(May(Role.editor, Write))]
Overseeing = Annotated[Read, Depends(May(Role.admin, Read))]
Administering = Annotated[Write, Depends(May(Role.admin, Write))]
