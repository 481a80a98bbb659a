"""Refusals out: every exception leaves as RFC 9457 `application/problem+json`, in one form."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast, get_args

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Mount
from starlette.routing import Route as StarletteRoute

from app.base.body import merge_patch
from app.base.errors import (
    MOST_ERRORS,
    MOST_SUGGESTIONS,
    Fault,
    Internal,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotFound,
    Problem,
    TooLarge,
    Unavailable,
    nearest,
    pointer,
    short,
)
from app.base.http import PROBLEM, Route, taken
from app.base.ids import request_id
from app.base.outages import note

_OF_FILES = ("GET", "HEAD")
"""What can be done with the files of a mount."""

_MOST_SORTED = 1000
"""Faults of a model that are looked through for those that are said twice, as the members of a union may."""


def problem_response(problem: Problem) -> Response:
    """The one form of every error (RFC 9457)."""
    body = orjson.dumps(problem.document(request_id.get()))
    headers = {"Cache-Control": "no-store", **problem.headers}
    return Response(body, problem.status, headers, media_type=PROBLEM)


def install_problem_handlers(app: FastAPI) -> None:
    """Every exception leaves as a problem, and none with its own text unless it is ours."""

    async def ours(_request: Request, fault: Exception) -> Response:
        if isinstance(fault, Unavailable):
            note(fault)
        return problem_response(cast(Problem, fault))

    async def validation(request: Request, fault: Exception) -> Response:
        known = _body_fields(request)
        return problem_response(invalid(cast(RequestValidationError, fault).errors(), known))

    async def http(request: Request, fault: Exception) -> Response:
        if request.method == "OPTIONS" and (told := _options(request)):
            return Response(status_code=204, headers=told)
        return problem_response(_from_http(request, cast(HTTPException, fault)))

    app.add_exception_handler(Problem, ours)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)


def _from_http(request: Request, fault: HTTPException) -> Problem:
    if isinstance(fault.__cause__, Problem):  # FastAPI wraps what strict_json raises
        return fault.__cause__
    match fault.status_code:
        case 404:
            return NotFound(f"There is nothing at {request.url.path}; /docs lists what there is.")
        case 405:
            allowed = allowed_methods(request)
            return MethodNotAllowed(
                f"{request.method} does not work here.", headers={"Allow": ", ".join(allowed)}
            )
        case 413:
            return TooLarge("The body is larger than this server reads.")
        case 400:
            return Malformed("The request cannot be read.")
        case _:
            return Internal("The server could not answer.")


def allowed_methods(request: Request) -> list[str]:
    """Return every method that some route has at this path, not just the first route's."""
    methods: set[str] = {each for route in _routes(request) for each in getattr(route, "methods", _OF_FILES)}
    return sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))


def _routes(request: Request) -> list[Any]:
    """Return the routes at this path; for `*` all that there are."""
    path: str = request.scope["path"]
    every = [each for each in request.app.routes if isinstance(each, (Mount, StarletteRoute))]
    return every if path == "*" else [each for each in every if each.path_regex.fullmatch(path)]


def _options(request: Request) -> dict[str, str]:
    """Return what can be done at this path, and with which types of body; nothing if nothing can."""
    routes = _routes(request)
    if not routes:
        return {}
    reading = [route for route in routes if isinstance(route, Route) and request.scope["path"] != "*"]
    types = (taken(method, route.reads) for route in reading for method in route.methods or ())
    told = {name: value for each in types for name, value in each.items()}
    return {"Allow": ", ".join(allowed_methods(request)), **told}


def _body_fields(request: Request) -> Callable[[tuple[str | int, ...]], set[str]]:
    route = request.scope.get("route")
    field = getattr(route, "body_field", None)
    model = field.field_info.annotation if field is not None else None

    def at(path: tuple[str | int, ...]) -> set[str]:
        return _fields_at(model, _names(path))

    return at


def _names(path: Iterable[str | int]) -> list[str]:
    return [step for step in path if isinstance(step, str)]


def _fields_at(model: Any, path: list[str]) -> set[str]:
    models = _models_in(model)
    for step in path:
        annotations = [m.model_fields[step].annotation for m in models if step in m.model_fields]
        if annotations:
            models = [inner for a in annotations for inner in _models_in(a)]
    return {name for m in models for name in m.model_fields}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def invalid(
    faults: Sequence[Any], known: Callable[[tuple[str | int, ...]], set[str]] = lambda _: set()
) -> Invalid:
    """The refusal of what a model found wrong. `known` gives the fields that there are at a place."""
    errors: list[Fault] = []
    seen: set[tuple[str, str]] = set()
    for fault in faults[:_MOST_SORTED]:
        where, *path = fault["loc"]
        steps = tuple(path) if where in ("body", "query", "path", "header") else tuple(fault["loc"])
        place = (
            pointer(steps)
            if where not in ("query", "path", "header")
            else short("".join(map(str, steps[:1])))
        )
        detail = _renamed(fault) or _say(fault)
        if (place, detail) in seen:
            continue
        seen.add((place, detail))
        if fault["type"] == "extra_forbidden" and len(errors) < MOST_SUGGESTIONS:
            detail += nearest(str(steps[-1]), known(steps[:-1]))
        if len(errors) < MOST_ERRORS:
            errors.append({"pointer": place, "detail": detail})
    return Invalid.of(errors, len(seen) + len(faults[_MOST_SORTED:]))


def _say(fault: Any) -> str:
    match fault["type"]:
        case "extra_forbidden":
            return "is not a field here"
        case "missing":
            return "is needed"
        case "value_error":
            return str(fault["ctx"]["error"])
        case "string_too_short" if fault["ctx"]["min_length"] == 1:
            return "is empty"
        case kind:
            return _words(kind, fault.get("ctx", {}))


_RENAMED = {
    ("altered", "misquoted"): "is now called misquoted",
    ("misattributed", "disputed"): "is now an attribution, and no verdict: send it as attribution",
}
"""The refusal of a word of earlier versions, by that word and another that the field takes today."""


def _renamed(fault: Any) -> str | None:
    """Return what a word that could be here before is called now."""
    if fault["type"] != "literal_error":
        return None
    sent, expected = fault.get("input"), fault["ctx"]["expected"]
    return next(
        (told for (was, now), told in _RENAMED.items() if was == sent and f"'{now}'" in expected), None
    )


_WORDS = {
    "string_type": "is not a string",
    "string_unicode": "is not text",
    "string_too_short": "has fewer than {min_length} characters",
    "string_too_long": "has more than {max_length} characters",
    "string_pattern_mismatch": "does not have the form {pattern}",
    "literal_error": "is not one of {expected}",
    "enum": "is not one of {expected}",
    "int_parsing_size": "is too large",
    "greater_than": "is not more than {gt}",
    "greater_than_equal": "is less than {ge}",
    "less_than": "is not less than {lt}",
    "less_than_equal": "is more than {le}",
    "finite_number": "is not a finite number",
    "too_short": "has fewer than {min_length} items",
    "too_long": "has more than {max_length} items",
    "list_type": "is not a list",
    "set_type": "is not a list",
    "frozen_set_type": "is not a list",
    "tuple_type": "is not a list",
    "dict_type": "is not an object",
    "model_type": "is not an object",
    "model_attributes_type": "is not an object",
    "none_required": "is not null",
}
"""What is wrong with a value, by the names that Pydantic has for it: its own words are for programmers."""
_FAMILIES = {
    "int": "is not an integer",
    "float": "is not a number",
    "decimal": "is not a number",
    "bool": "is neither true nor false",
    "date": "is not a date",
    "datetime": "is not a moment",
    "json": "is not JSON",
    "union": "is of none of the forms that can be here",
}


def _words(kind: str, about: Mapping[str, Any]) -> str:
    words = _WORDS.get(kind) or _FAMILIES.get(kind.partition("_")[0], "cannot be here")
    return words.format_map(about)


M = TypeVar("M", bound=BaseModel)


def revised(model: type[M], current: Mapping[str, Any], patch: Mapping[str, Any]) -> M:
    """The whole that a merge patch makes of the current whole. Raises Invalid."""
    return checked(model, merge_patch(current, patch))


def checked(model: type[M], value: Any) -> M:
    """The value as the model has it. Raises Invalid, as a body of a request would."""
    try:
        return model.model_validate(value)
    except ValidationError as fault:
        errors = [{**error, "loc": ("body", *error["loc"])} for error in fault.errors(include_url=False)]
        raise invalid(errors, lambda path: _fields_at(model, _names(path))) from None
