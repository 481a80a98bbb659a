"""What Google's APIs have in common: parameters, partial answers, JSONP, errors, and how their client sends a
question that is too long for an address.
"""

import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any, Literal

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from app.access.requests import Read, Write
from app.base.errors import Fault, IllegalMove, Invalid, Malformed, Problem, Stale, TooLarge
from app.base.http import JSON, Route, etag_of, respond
from app.base.problems import invalid
from app.base.types import QueryFlag
from app.exchange.claimreview import embeddable

Json = dict[str, Any]

_LONGEST = 64 * 1024
"""Bytes of a question that is sent as a body."""

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    406: "INVALID_ARGUMENT",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}

_NAME = r"[A-Za-z_$][A-Za-z0-9_$]*"
_CALLBACK = rf"^({_NAME}(\.{_NAME})*)?$"

Int32 = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Asked(BaseModel):
    """What every method takes besides its own parameters. A value that is empty was not given."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel)

    alt: Literal["json"] = "json"
    callback: Annotated[str, Field(max_length=200, pattern=_CALLBACK)] = ""
    fields_: Annotated[str, Field(alias="fields", max_length=2000)] = ""
    pretty_print: QueryFlag = True
    key: str = ""
    quota_user: str = ""
    access_token: Annotated[str, Field(alias="access_token")] = ""
    oauth_token: Annotated[str, Field(alias="oauth_token")] = ""
    upload_type: str = ""
    upload_protocol: Annotated[str, Field(alias="upload_protocol")] = ""
    xgafv: Annotated[Literal["1", "2"], Field(alias="$.xgafv")] = "2"


class Paged(Asked):
    """What a method takes besides that lists."""

    page_size: Int32 = 0
    page_token: Annotated[str, Field(max_length=1000)] = ""
    offset: Int32 = 0


class GoogleRoute(Route):
    """A route that takes its key and its refusals as Google's do."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                asked = await _with_query(request)
                return await inner(with_key(asked, _key(asked)))
            except RequestValidationError as fault:
                return refusal(invalid(fault.errors()))
            except Problem as fault:
                return refusal(fault)

        return handle


async def _with_query(request: Request) -> Request:
    """The request as a GET, if it says that its query is its body."""
    if request.method != "POST" or request.headers.get("x-http-method-override") != "GET":
        return request
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST:
            raise TooLarge("The question is too long.", headers={"Connection": "close"})
    if not body.isascii():
        raise Malformed("The question is not encoded as a query.")
    return Request({**request.scope, "query_string": bytes(body)}, request.receive)


def _key(request: Request) -> str:
    """The key in an address. It opens nothing that writes: addresses are kept in logs."""
    reads = request.method in ("GET", "HEAD") or request.headers.get("x-http-method-override") == "GET"
    return request.query_params.get("key", "") if reads else ""


def with_key(request: Request, key: str) -> Request:
    """The request with `key` as a key of ours, where reading needs one; elsewhere it may be anything."""
    public = request.app.state.house.settings.public_reading
    if public or not key.isascii() or not key or "authorization" in request.headers:
        return request
    sent = (b"authorization", b"Bearer " + key.encode())
    return Request({**request.scope, "headers": [*request.headers.raw, sent]}, request.receive)


# --- answers -----------------------------------------------------------------------------------


def answer(call: Read | Write, ask: Asked, body: Json, schema: Json, schemas: Mapping[str, Json]) -> Response:
    """The answer, or those fields of it that are asked for, which its schema must have. Raises Invalid."""
    if ask.fields_:
        mask = _Mask(ask.fields_).whole()
        if schema is not ANY:
            _check(mask, schema, schemas)
        body = _part(body, mask)
    written = embeddable(body, indent=ask.pretty_print)
    headers, media = dict(call.cache), JSON
    if ask.callback:
        written = b"// API callback\n" + ask.callback.encode() + b"(" + written + b");"
        # A script is for other sites, or it is for nobody.
        headers["Cross-Origin-Resource-Policy"], media = "cross-origin", "text/javascript"
    if isinstance(call, Write):
        return call.told(Response(written, headers={**headers, "ETag": etag_of(written)}, media_type=media))
    return respond(call.request, written, headers=headers, media=media)


def refusal(problem: Problem, code: int | None = None) -> Response:
    """A problem as Google has it."""
    code = code or (problem.status if problem.status in _STATUSES else 400)
    status = _STATUSES[code]
    if isinstance(problem, IllegalMove):
        code, status = 400, "FAILED_PRECONDITION"
    elif isinstance(problem, Stale):
        code, status = 409, "ABORTED"
    error: Json = {"code": code, "message": problem.detail, "status": status}
    if problem.errors:
        error["details"] = [bad_request(problem.errors)]
    headers = {"Cache-Control": "no-store", **problem.headers}
    return Response(
        orjson.dumps({"error": error}, option=orjson.OPT_INDENT_2), code, headers, media_type=JSON
    )


def bad_request(faults: list[Fault]) -> Json:
    """What is wrong with a request, as `google.rpc` has it."""
    return {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": each["pointer"], "description": each["detail"]} for each in faults],
    }


# --- partial answers ---------------------------------------------------------------------------

Mask = dict[str, Any]
"""The names of members, each with the mask of what is in it; an empty one takes all of it."""

_DEEPEST = 10
ANY: Json = {"type": "any"}
"""The schema of what may have any members."""


class _Mask:
    """Reads a selector of fields, such as `nextPageToken,claims(text,claimReview/publisher/name)`."""

    def __init__(self, text: str) -> None:
        self._tokens = re.findall(r"[\w*]+|\S", text)
        self._at = 0

    def whole(self) -> Mask:
        """The mask. Raises Invalid."""
        found = self._some(0)
        if self._next():
            raise self._fault()
        return found

    def _some(self, depth: int) -> Mask:
        found: Mask = {}
        while True:
            found = _both(found, dict([self._one(depth)]))
            if not self._takes(","):
                return found

    def _one(self, depth: int) -> tuple[str, Mask]:
        name = self._next()
        if depth > _DEEPEST or not re.fullmatch(r"\w+|\*", name):
            raise self._fault()
        self._at += 1
        if self._takes("/"):
            return name, dict([self._one(depth + 1)])
        if not self._takes("("):
            return name, {}
        inner = self._some(depth + 1)
        if not self._takes(")"):
            raise self._fault()
        return name, inner

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _takes(self, token: str) -> bool:
        found = self._next() == token
        self._at += found
        return found

    def _fault(self) -> Invalid:
        return Invalid.at("fields", f"cannot be read at {self._next() or 'its end'!r}")


def _both(one: Mask, other: Mask) -> Mask:
    """What either takes: of a member that both have, both parts, or the whole if that is one of them."""
    shared = {
        name: one[name] and other[name] and _both(one[name], other[name]) for name in one if name in other
    }
    return {**one, **other, **shared}


def _check(mask: Mask, schema: Json, schemas: Mapping[str, Json]) -> None:
    known = _members(schema, schemas)
    for name, inner in mask.items():
        if name not in (*known, "*"):
            raise Invalid.at("fields", f"has {name!r}, which is no field there")
        for each in _within(known, schemas) if name == "*" else [known[name]]:
            if inner:
                _check(inner, each, schemas)


def _members(schema: Json, schemas: Mapping[str, Json]) -> Mapping[str, Json]:
    while "$ref" in schema or "items" in schema:
        schema = schema["items"] if "items" in schema else schemas[schema["$ref"]]
    found: Mapping[str, Json] = schema.get("properties", {})
    return found


def _within(known: Mapping[str, Json], schemas: Mapping[str, Json]) -> list[Json]:
    return [schema for schema in known.values() if _members(schema, schemas)]


def _part(value: Any, mask: Mask) -> Any:
    if isinstance(value, list):
        return [_part(each, mask) for each in value]
    if not mask or not isinstance(value, dict):
        return value
    wanted = {**dict.fromkeys(value, mask["*"]), **mask} if "*" in mask else mask
    return {
        name: _part(each, wanted[name])
        for name, each in value.items()
        if name in wanted and (not wanted[name] or isinstance(each, (dict, list)))
    }
