"""What every route shares on the wire: a gate, known parameters and types, ETags.

Nothing here knows a noun.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Any, Protocol, TypeVar, get_args, runtime_checkable

from annotated_types import MaxLen
from fastapi import APIRouter, Request, Response
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query as QueryParam
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import Receive, Scope

from app.base.body import StrictRequest, beside_the_loop, media_type
from app.base.errors import (
    Invalid,
    Malformed,
    NotAcceptable,
    NotFound,
    PreconditionFailed,
    Problem,
    QueryTimeout,
    Unavailable,
    UnsupportedMediaType,
    nearest,
    short,
)
from app.base.fields import CODINGS, COMPRESSED_FROM, accepts, chosen_coding, coded, entity_tags, weights
from app.base.texts import check_marks

JSON, PROBLEM, MERGE_PATCH, EVENTS = (
    "application/json",
    "application/problem+json",
    "application/merge-patch+json",
    "text/event-stream",
)

AS_OF = "as_of"
"""The parameter of a read that names the moment as of which it reads."""


_VERSION = re.compile(rf'"v([1-9]\d{{0,15}})(-[0-9a-f]{{16}})?(-({"|".join(CODINGS)}))?"')
MOST_CHARACTERS, MAX_REF = 2_000, 200
"""How long the value of a query parameter is at most, unless it says otherwise, and an id in a path."""

_OF_PAGES = {"limit", "cursor", "sort", "order"}
"""Parameters that make no query shorter."""

MOST_VALUES = 100
"""How many values a query has at most, each of which may be a name to look up."""


class Call(Protocol):
    """A request that was let in."""

    async def attempt(self, shortcut: "Shortcut") -> Response | None:
        """What the shortcut answers."""


Shortcut = Callable[[Any], Response]
T = TypeVar("T")
E = TypeVar("E", bound=Callable[..., Any])


def at_once(shortcut: Shortcut) -> Callable[[E], E]:
    """Gives a route a shortcut, which is tried once a request was let in and has no unknown parameter. It
    takes what the gate makes of the request and answers as the route would, or raises NotAtOnce where that
    would take more than some microseconds; the route then goes the long way.
    """

    def mark(endpoint: E) -> E:
        endpoint.at_once = shortcut  # type: ignore[attr-defined]
        return endpoint

    return mark


def produces(media: str) -> Callable[[E], E]:
    """Says that a route answers in another type than JSON."""

    def mark(endpoint: E) -> E:
        endpoint.produces = media  # type: ignore[attr-defined]
        return endpoint

    return mark


@runtime_checkable
class Gate(Protocol):
    """A dependency that decides who may come in, before anything else of the request is looked at. `needs`
    is the name of the role that it takes, `public` that of the setting under which a reader needs no key, if
    there is one, `then` whether what it lets read can be read as of an earlier moment.
    """

    needs: str
    public: str | None
    then: bool
    call: type

    async def admit(self, request: Request) -> None:
        """Raises Unauthorized or Forbidden."""

    async def __call__(self, request: Request) -> Call:
        """The request as the route takes it."""

    def retreat(self, request: Request) -> bool:
        """Whether a request that found no database may be tried once more, elsewhere."""


class Route(APIRoute):
    """A route that looks at who asks first, and refuses query parameters it does not know and types it does
    not read or write.
    """

    @property
    def gates(self) -> list[Gate]:
        """Who decides who may come in: exactly one, which a test sees to."""
        calls: Iterable[object] = (each.call for each in self.dependant.dependencies)
        return [call for call in calls if isinstance(call, Gate)]

    @property
    def reads(self) -> Sequence[str]:
        """The types of body that it takes: JSON, or those that its description (`openapi_extra`) names."""
        described = (self.openapi_extra or {}).get("requestBody")
        if described is not None:
            return tuple(described["content"])
        if self.body_field is None:
            return ()
        return (MERGE_PATCH, JSON) if "PATCH" in (self.methods or ()) else (JSON,)

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        whole = super().get_route_handler()
        streamed = self.body_field is None  # an upload is read by its gate, piece by piece
        inner = whole if streamed or iscoroutinefunction(self.endpoint) else beside_the_loop(whole)
        known = {
            field.alias
            for field in get_flat_params(self.dependant)
            if isinstance(field.field_info, QueryParam)
        } | _fields_of_query_models(self)
        longer = {
            field.alias
            for field in get_flat_params(self.dependant)
            for each in field.field_info.metadata
            if isinstance(each, MaxLen) and each.max_length > MOST_CHARACTERS
        }
        gates = self.gates
        if any(gate.then for gate in gates):
            known.add(AS_OF)
        media = self.reads
        produced: str = getattr(self.endpoint, "produces", JSON)
        shortcut: Shortcut | None = getattr(self.endpoint, "at_once", None)

        async def handle(request: Request) -> Response:
            for gate in gates:
                await gate.admit(request)
            _check_path(request)
            check_query(request, known, longer)
            _check_accept(request, produced)
            if media:
                _check_type(request, media)
            if shortcut is not None:
                call = await gates[0](request)
                if (answer := await call.attempt(shortcut)) is not None:
                    return answer
            try:
                return await inner(StrictRequest(request.scope, request.receive))
            except QueryTimeout as fault:  # a standby is no slower than the primary
                raise QueryTimeout(f"{fault.detail} {_to_narrow(request, known)}") from fault
            except Unavailable:
                if not gates[0].retreat(request):
                    raise
            return await inner(StrictRequest(request.scope, request.receive))

        return handle


def _to_narrow(request: Request, known: Iterable[str]) -> str:
    """Return what a client can do about a query that takes too long."""
    given = sorted(set(request.query_params) - _OF_PAGES)
    if given:
        return f"Ask for less: narrow {', '.join(given)}."
    filters = sorted(set(known) - _OF_PAGES - {AS_OF})
    return f"Ask for less, by {', '.join(filters[:10])}." if filters else "Try again when it has less to do."


class Negotiated(Route):
    """A route for those who would rather have its type than JSON, which its address has for all others."""

    def __init__(self, *told: Any, **named: Any) -> None:
        super().__init__(*told, **named)
        self.media: str = getattr(self.endpoint, "produces", JSON)
        self._name = self.media.encode()

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        # Of each request to its address: most accept anything, and have nothing to be weighed.
        accepts = [value for name, value in scope["headers"] if name == b"accept"]
        accept = b"" if accepts == [b"*/*"] else b",".join(accepts).lower()
        if self._name in accept and _is_preferred(accept.decode("latin-1"), self.media):
            return super().matches(scope)
        return Match.NONE, {}


def _is_preferred(accept: str, media: str) -> bool:
    """Whether a client prefers a type to JSON (RFC 9110, section 12.5.1), or likes both and names it."""
    named = weights(accept)
    wild = (f"{media.partition('/')[0]}/*", "*/*")
    other = next((named[kind] for kind in (JSON, *wild) if kind in named), 0.0)
    return 0 < named.get(media, 0.0) >= other and (named[media] > other or JSON not in named)


def _fields_of_query_models(route: APIRoute) -> set[str]:
    names: set[str] = set()
    for field in route.dependant.query_params:
        annotation = field.field_info.annotation
        for model in (annotation, *get_args(annotation)):
            if isinstance(model, type) and issubclass(model, BaseModel):
                names |= {field.alias or name for name, field in model.model_fields.items()}
    return names


def _check_path(request: Request) -> None:
    for value in map(str, request.path_params.values()):
        if "\x00" in value:  # PostgreSQL cannot be asked
            raise NotFound("Nothing has a NUL in its id.")
        if len(value) > MAX_REF:
            raise NotFound(f"No id has more than {MAX_REF} characters.")


def check_query(request: Request, known: Iterable[str], longer: Collection[str] = ()) -> None:
    """Refuses parameters that are not known, naming the nearest that is, and values that are too long but for
    those of `longer`. Raises Invalid.
    """
    known = set(known)
    given = request.query_params.multi_items()
    if len(given) > MOST_VALUES:
        raise Invalid.at(
            given[MOST_VALUES][0], f"is one of {len(given)} values; {MOST_VALUES} are read at most"
        )
    for name, value in given:
        if name not in known:
            raise Invalid.at(short(name), f"is not a parameter here{nearest(name, known)}")
        if len(value) > MOST_CHARACTERS and name not in longer:
            raise Invalid.at(name, f"has {len(value)} characters; {MOST_CHARACTERS} are read at most")
        if "\x00" in value or "\ufffd" in value:
            raise Invalid.at(name, "has a character that is not text")
        try:
            check_marks(value)
        except ValueError as fault:
            raise Invalid.at(name, str(fault)) from None


def _check_accept(request: Request, produced: str) -> None:
    accept = request.headers.get("accept", "*/*")
    if not accepts(accept, produced) and not weights(accept).get(PROBLEM):
        raise NotAcceptable(f"This address answers in {produced}.", headers={"Vary": "Accept"})


def _check_type(request: Request, allowed: Sequence[str]) -> None:
    length = request.headers.get("content-length")
    if length in (None, "0") and "transfer-encoding" not in request.headers:
        return  # no body: whether one is needed is the route's matter
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise UnsupportedMediaType(
            "Send the body as it is, without Content-Encoding.", headers={"Accept-Encoding": "identity"}
        )
    media = media_type(request.headers.get("content-type", ""))
    if media not in allowed:
        raise UnsupportedMediaType(
            f"Send {' or '.join(allowed)}, not {media or 'a body without Content-Type'}.",
            headers=taken(request.method, allowed),
        )


def taken(method: str, media: Sequence[str]) -> dict[str, str]:
    """Return the field that names the types of body that a method takes (RFC 5789; Accept-Post is LDP's)."""
    name = {"PATCH": "Accept-Patch", "POST": "Accept-Post"}.get(method)
    return {name: ", ".join(media)} if name and media else {}


def etag_of(body: bytes, version: int | None = None) -> str:
    """A strong ETag (RFC 9110, section 8.8.3): the row's version, for If-Match, then the body's digest,
    for caches, since a claim's body also changes when its speaker is renamed.
    """
    digest = hashlib.sha256(body).hexdigest()[:16]
    return f'"{digest}"' if version is None else f'"v{version}-{digest}"'


def versions_in(condition: str, *, weak: bool = False) -> set[int] | None:
    """Return the versions that the tags of a condition are of, in whatever coding; None for `*`. Weak tags
    count for If-None-Match only. Raise Malformed.
    """
    tags = entity_tags(condition)
    if tags is None:
        return None
    found = (_VERSION.fullmatch(tag) for is_weak, tag in tags if weak or not is_weak)
    return {int(match[1]) for match in found if match}


def respond(
    request: Request,
    body: bytes,
    *,
    status: int = 200,
    version: int | None = None,
    headers: Mapping[str, str] | None = None,
    media: str = JSON,
) -> Response:
    """Return the answer to a read, with its ETag, or 304 without a body if the client has that already. Raise
    PreconditionFailed. What compresses the answer marks its tag with the coding.
    """
    tag, out = etag_of(body, version), dict(headers or {})
    coding = None
    if len(body) >= COMPRESSED_FROM:
        coding = chosen_coding(request.headers.get("accept-encoding", ""))
    if not known_already(request, coded(tag, coding)):
        return Response(body, status, {"ETag": tag, **out}, media_type=media)
    if len(body) >= COMPRESSED_FROM:
        out["Vary"] = ", ".join(filter(None, (out.get("Vary"), "Accept-Encoding")))
    return Response(status_code=304, headers={"ETag": coded(tag, coding), **out})


def known_already(request: Request, tag: str) -> bool:
    """Return whether the client has the answer with that ETag. The conditions come in the order of RFC 9110,
    section 13.2.2. Raise PreconditionFailed.
    """
    if_match, if_none_match = (request.headers.get(name) for name in ("if-match", "if-none-match"))
    if if_match is not None:
        tags = entity_tags(if_match)
        if tags is not None and (False, tag) not in tags:
            raise PreconditionFailed("If-Match names another version, or another coding of it.")
    if if_none_match is None:
        return False
    try:
        tags = entity_tags(if_none_match)
    except Malformed:  # a cache that has it wrong gets it anew
        return False
    known = tags is None or any(each == tag for _, each in tags)
    if known and request.method not in ("GET", "HEAD"):
        raise PreconditionFailed("If-None-Match names the answer.")
    return known


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Return what some work makes; it is cancelled if the client goes away. Raises ClientDisconnect, or
    TooLarge if the client is there and sends more than it may.
    """
    doing, gone = asyncio.ensure_future(work), asyncio.ensure_future(disconnected(receive))
    doing.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may ask for it
    try:
        await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise gone.result() or ClientDisconnect
        return doing.result()
    finally:
        doing.cancel()
        gone.cancel()


async def disconnected(receive: Receive) -> Problem | None:
    """Wait until the client has gone away, or sends more than it may. Return the refusal of that, or None."""
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    except Problem as refused:
        return refused
    return None


def v1(tag: str) -> APIRouter:
    """A feature's router: under `/v1`, its routes strict, in its own section of the documentation."""
    return APIRouter(prefix="/v1", route_class=Route, tags=[tag])
