"""How routes say what they answer, and the OpenAPI document made of it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, get_type_hints

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, create_model

from app.base.boundary import MAX_VALUE
from app.base.descriptions import Words, complete
from app.base.errors import Problem, tree
from app.base.http import AS_OF, EVENTS, JSON, MAX_REF, MOST_CHARACTERS, PROBLEM, Route
from app.base.types import example

Responses = dict[int | str, dict[str, Any]]

_READ = {400, 401, 403, 404, 406, 412, 414, 422, 429, 431, 500, 503}
_WRITE = _READ | {409, 413, 415, 428}


class FaultOut(BaseModel):
    """One wrong value."""

    pointer: str
    detail: str


class ProblemOut(BaseModel):
    """An RFC 9457 problem. `type` leads to its description; `more_errors` counts the wrong values that
    `errors` does not list.
    """

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None
    errors: list[FaultOut] = []
    more_errors: Annotated[int, Field(ge=1)] | None = None


@cache
def _page_of(model: type[BaseModel], more: tuple[tuple[str, Any], ...]) -> type[BaseModel]:
    fields: dict[str, Any] = {name: (kind, None) for name, kind in more}
    return create_model(
        f"{model.__name__.removesuffix('Out')}Page",
        __doc__="A page; `next_cursor` is null on the last.",
        data=(list[model], ...),  # type: ignore[valid-type]
        next_cursor=(str | None, ...),
        **fields,
    )


def _problems(statuses: set[int]) -> Responses:
    found: Responses = {}
    for kind in tree(Problem):
        if kind.status in statuses and kind.status not in found:
            found |= refused(kind)
    return found


_SCHEMAS = "#/components/schemas/"
_PROBLEM = {"$ref": f"{_SCHEMAS}{ProblemOut.__name__}"}
"""As `model`, FastAPI would make a validator of it for each status of each route: a quarter of a second."""


def _problem_schemas() -> dict[str, Any]:
    made = ProblemOut.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}", mode="serialization")
    return {**made.pop("$defs"), ProblemOut.__name__: made}


MOVED: Responses = {
    308: {
        "description": "It is part of another record now.",
        "headers": {"Location": {"description": "Where that is.", "schema": {"type": "string"}}},
    }
}
"""The answer of an address whose record was merged into another."""


def refused(kind: type[Problem]) -> Responses:
    """A refusal that a read can meet and most reads cannot."""
    return {kind.status: {"description": kind.title, "content": {PROBLEM: {"schema": _PROBLEM}}}}


def answers(model: type[BaseModel], status: Literal[200, 201] = 200) -> Responses:
    """One record in the answer, and every problem that reading or writing it can meet."""
    described = (model.__doc__ or "").strip()
    return {status: {"model": model, "description": described}, **_problems(_WRITE)}


def answered_as_well(model: type[BaseModel], media: str, description: str) -> Responses:
    """One record in the answer, which has another type for those who would rather have that."""
    found = answers(model)
    content = {media: {"schema": {"type": "object", "description": description}}}
    return {**found, 200: {**found[200], "content": content}}


def listed(model: type[BaseModel], **more: Any) -> Responses:
    """A page of records in the answer, and the types of what else stands beside them."""
    return answers(_page_of(model, tuple(more.items())))


def document_answers(media: str, kind: str, description: str) -> Responses:
    """A document of another type than JSON in the answer, and every problem that reading it can meet."""
    whole = {"description": description, "content": {media: {"schema": {"type": kind}}}}
    return {200: whole, **_problems(_READ)}


def file_answers(media: str, schema: Mapping[str, Any], description: str) -> Responses:
    """A file in the answer, and every problem that reading it can meet."""
    headers = {
        name: {"description": meaning, "schema": {"type": kind}}
        for name, (kind, meaning) in _FILE_HEADERS.items()
    }
    whole = {"description": description, "headers": headers, "content": {media: {"schema": schema}}}
    part = {"description": "The bytes that `Range` asks for.", "content": {media: {}}}
    return {200: whole, 206: part, **_problems(_READ | {416})}


_FILE_HEADERS = {
    "Record-Count": ("integer", "The number of rows in the file."),
    "Repr-Digest": ("string", "Its SHA-256 (RFC 9530)."),
    "Accept-Ranges": ("string", "`bytes`: a part may be asked for."),
}


def partial(model: type[BaseModel], **body: Any) -> type[BaseModel]:
    """The body of a JSON Merge Patch (RFC 7396) for `model`: any of its fields, each of which may be null
    if the whole can be without it. `body` is the example.
    """
    said = get_type_hints(model, include_extras=True)
    fields: dict[str, Any] = {
        name: (
            said[name] if field.is_required() else said[name] | None,
            Field(default=None, description=field.description),
        )
        for name, field in model.model_fields.items()
    }
    doc = f"Any of the fields of {model.__name__}; null clears one that can be empty."
    name = model.__name__.removesuffix("In") + "Patch"
    config: ConfigDict = {**model.model_config, **example(body)}
    return create_model(name, __doc__=doc, __config__=config, **fields)


# --- the document ------------------------------------------------------------------------------


def _header(name: str, description: str, *, required: bool = False, **shape: Any) -> dict[str, Any]:
    shape = {"type": "string", **shape}
    return {"name": name, "in": "header", "required": required, "description": description, "schema": shape}


IF_MATCH: dict[str, Any] = {
    "parameters": [
        _header(
            "If-Match",
            "The ETag of the version that the change is based on.",
            required=True,
            pattern=r'^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$',
            examples=['"v3"'],
        )
    ]
}
"""What a route that changes a version adds to its description (`openapi_extra`)."""

_IF_NONE_MATCH = _header("If-None-Match", "An ETag; the answer is 304 if it still holds.")
_IDEMPOTENCY_KEY = _header(
    "Idempotency-Key", "Anything unique to this request: sent again, it acts once.", pattern="^[ -~]{1,255}$"
)
_AT_LEAST = _header(
    "Record-Position",
    "The value of this header in the answer to a write: the answer to this request has seen that write.",
    pattern="^[0-9]{1,15}$",
)
_AS_OF = {
    "name": AS_OF,
    "in": "query",
    "required": False,
    "description": "As the base stood then: an instant (`2026-11-24T10:00:00Z`), a day (its end, in UTC), or "
    "the `seq` of the last change that shall count.",
    "schema": {
        "type": "string",
        "pattern": r"^(\d{1,16}|\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d))?)$",
        "examples": ["2026-11-24"],
    },
}
_POSITION = {
    "Record-Position": {
        "description": "The value to send with a read that has to see this write.",
        "schema": {"type": "string"},
    }
}
_ETAG = {"ETag": {"description": "Names this version.", "schema": {"type": "string"}}}


def describe(app: FastAPI, routes: Sequence[Route], words: Words, *, public_reading: bool) -> None:
    """Completes the OpenAPI document that FastAPI makes: keys, roles, headers, links, the form of errors."""
    made, known = app.openapi, {route.operation_id: route for route in routes}

    def openapi() -> dict[str, Any]:
        document = made()
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        if "key" in schemes:
            return document  # FastAPI keeps what it made
        document["components"].setdefault("schemas", {}).update(_problem_schemas())
        schemes["key"] = {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer otr_…`"}
        for path in document["paths"].values():
            for method, operation in path.items():
                _complete(method, operation, known[operation["operationId"]], public_reading)
        _link(document)
        complete(document, words)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(method: str, operation: dict[str, Any], route: Route, public_reading: bool) -> None:
    role = route.gates[0].needs
    free = public_reading and role == "reader" and route.gates[0].public is not None
    operation["security"] = [{}, {"key": []}] if free else [{"key": []}]
    operation["x-role"] = role
    first = re.split(r"[.:]\s", operation.get("description", ""))[0]
    operation["summary"] = " ".join(first.split()).rstrip(".")
    if not free:
        operation["description"] = f"{operation.get('description', '')}\n\nNeeds the role {role}."
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        parameter["schema"] = _never_null(parameter["schema"])
    responses = operation["responses"]
    endless = getattr(route.endpoint, "produces", JSON) == EVENTS
    if endless:
        parameters.append(_AT_LEAST)
    elif method == "get":
        parameters += [_IF_NONE_MATCH, _AT_LEAST, *([_AS_OF] if route.gates[0].then else [])]
        responses["304"] = {"description": "It has not changed.", "headers": _ETAG}
        for status, usual in _problems(_WRITE - _READ).items():
            if responses.get(str(status), usual)["description"] == usual["description"]:
                responses.pop(str(status), None)  # it is said of every answer, and no read meets it
    elif method == "post":
        parameters.append(_IDEMPOTENCY_KEY)
    operation["parameters"] = [
        {**each, "schema": _bounded(each["schema"], _LONGEST[each["in"]])} for each in parameters
    ]
    for status, response in responses.items():
        if status in ("200", "201") and not endless:
            told = {} if method == "get" else _POSITION
            response["headers"] = {**response.get("headers", {}), **_ETAG, **told}
    operation["responses"] = dict(sorted(responses.items()))


_LONGEST = {"path": MAX_REF, "query": MOST_CHARACTERS, "header": MAX_VALUE}
"""Characters of a parameter that says nothing else."""


def _bounded(schema: dict[str, Any], longest: int) -> dict[str, Any]:
    """The schema of a parameter, each string of which has a greatest length."""
    if "items" in schema:
        return {**schema, "items": _bounded(schema["items"], longest)}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_bounded(each, longest) for each in schema["anyOf"]]}
    told = schema.keys() & {"maxLength", "enum", "const"} or schema.get("format") in ("date", "date-time")
    return schema if told or schema.get("type") != "string" else {**schema, "maxLength": longest}


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter, which may be left out but has no way to be null."""
    if {"type": "null"} not in schema.get("anyOf", []):
        return schema
    kinds = [kind for kind in schema["anyOf"] if kind != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**kinds[0], **rest} if len(kinds) == 1 else {**rest, "anyOf": kinds}


def _link(document: dict[str, Any]) -> None:
    """Leads from every answer that is a record to what can be asked of it and done to it (OpenAPI links)."""
    paths = document["paths"]
    links = document["components"].setdefault("links", {})
    homes = {
        _answered(methods["get"]): path
        for path, methods in paths.items()
        if "get" in methods and path.endswith("}")
    }
    for path, methods in paths.items():
        for method, operation in methods.items():
            home = homes.get(_answered(operation))
            if method == "post" and "201" in operation["responses"]:
                home = next((each for each in homes.values() if each.rpartition("/")[0] == path), home)
            if home and (leads := dict(_leads(paths, home, operation["operationId"]))):
                links |= leads
                [made] = operation["responses"].keys() & {"200", "201"}
                operation["responses"][made]["links"] = {
                    name: {"$ref": f"#/components/links/{name}"} for name in leads
                }


def _answered(operation: dict[str, Any]) -> str:
    """The name of the schema of an operation's answer."""
    responses = operation["responses"]
    content = (responses.get("200") or responses["201"])["content"].get("application/json", {})
    return str(content.get("schema", {}).get("$ref", "")) or operation["operationId"]


def _leads(paths: dict[str, Any], home: str, but: str) -> Iterator[tuple[str, dict[str, Any]]]:
    *around, own = re.findall(r"{(\w+)}", home)
    here = {name: f"$request.path.{name}" for name in around} | {own: "$response.body#/id"}
    for path, methods in paths.items():
        if f"{path}/".startswith(f"{home}/") and path.count("{") == len(here):
            for operation in methods.values():
                taken = {each["name"] for each in operation["parameters"]}
                tag = {"header.If-Match": "$response.header.ETag"} if "If-Match" in taken else {}
                if operation["operationId"] != but:
                    yield (
                        operation["operationId"],
                        {
                            "operationId": operation["operationId"],
                            "description": operation["summary"],
                            "parameters": {**here, **tag},
                        },
                    )
