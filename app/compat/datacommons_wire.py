"""What the parts of Data Commons' REST API v2 share: keys, refusals, questions and relations."""

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal, NamedTuple, get_args

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, AliasChoices, Field, StringConstraints
from starlette.exceptions import HTTPException

from app.base.errors import Invalid, Malformed, Problem
from app.base.http import JSON, Route
from app.base.problems import invalid
from app.base.times import span
from app.base.types import Shape
from app.compat.google_wire import bad_request, with_key

Json = dict[str, Any]

MOST = 5_000
"""How many nodes a question names, and how many figures an answer is made of: the names of all that an answer
has can be asked for at once, as the client does.
"""

MOST_VARIABLES = 100

_CODES = {
    400: 3, 401: 16, 403: 7, 404: 5, 406: 3, 412: 9, 429: 8, 500: 13, 501: 12, 503: 14
}  # fmt: skip
"""The codes of gRPC by the statuses of HTTP that stand for them."""


class DataCommonsRoute(Route):
    """A route that takes its key and its refusals as Data Commons' do, which is gRPC behind a gateway."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            key = request.headers.get("x-api-key") or request.query_params.get("key", "")
            try:
                return await inner(with_key(request, key))
            except RequestValidationError as fault:
                return refusal(invalid(fault.errors()))
            except HTTPException as fault:  # FastAPI wraps what is wrong with JSON
                cause = fault.__cause__
                return refusal(cause if isinstance(cause, Problem) else Malformed("It cannot be read."))
            except Problem as fault:
                return refusal(fault)

        return handle


def refusal(problem: Problem, status: int | None = None) -> Response:
    """A problem as the gateway has it."""
    status = status or (problem.status if problem.status in _CODES else 400)
    details = [bad_request(problem.errors)] if problem.errors else []
    body = {"code": _CODES[status], "message": problem.detail, "details": details}
    headers = {"Cache-Control": "no-store", **problem.headers}
    return Response(orjson.dumps(body), status, headers, media_type=JSON)


def not_here(why: str) -> Response:
    """The answer to what Data Commons has and a record of claims has not."""
    return refusal(Problem(why), 501)


# --- questions ---------------------------------------------------------------------------------

Dcid = Annotated[str, StringConstraints(min_length=1, max_length=5000)]
Text = Annotated[str, StringConstraints(max_length=2000)]
Token = Annotated[str, StringConstraints(max_length=1000)]
Select = Literal["date", "variable", "entity", "value", "facet"]


def _date(text: str) -> str:
    if text not in ("", "LATEST"):
        if not re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?", text, re.ASCII):
            raise ValueError("is LATEST, empty for all, or a date such as 2023, 2023-03 or 2023-03-21")
        span(text)
    return text


def _whole(select: list[Select]) -> list[Select]:
    if not {"variable", "entity"} <= set(select):
        raise ValueError("has variable and entity at least")
    return select


ObservationDate = Annotated[str, AfterValidator(_date)]
Selects = Annotated[list[Select], Field(max_length=len(get_args(Select))), AfterValidator(_whole)]
Variables = Annotated[list[Dcid], Field(max_length=MOST_VARIABLES)]
Some = Annotated[list[Dcid], Field(max_length=MOST)]


class NodeIn(Shape):
    """Some nodes, and the relations that are asked for of each."""

    nodes: Annotated[Some, Field(min_length=1)]
    property: Text
    next_token: Annotated[Token | None, Field(validation_alias=AliasChoices("nextToken", "next_token"))] = (
        None
    )


class VariableIn(Shape):
    """Variables; none for all that there are."""

    dcids: Variables = []


class EntityIn(Shape):
    """Entities, by their ids or by an expression."""

    dcids: Some = []
    expression: Text | None = None


class FilterIn(Shape):
    """What of the facets is wanted; nothing for all."""

    domains: Annotated[list[Dcid], Field(max_length=100)] = []
    facet_ids: Annotated[
        frozenset[Dcid], Field(max_length=MOST, validation_alias=AliasChoices("facet_ids", "facetIds"))
    ] = frozenset()

    @property
    def of_facets(self) -> bool:
        """Whether it leaves any out."""
        return bool(self.domains or self.facet_ids)


class ObservationIn(Shape):
    """Which observations are asked for, and what of each."""

    date: ObservationDate = ""
    variable: VariableIn = VariableIn()
    entity: EntityIn
    select: Selects
    filter: FilterIn = FilterIn()


class ResolveIn(Shape):
    """Names or ids, and what they are to lead to."""

    nodes: Annotated[list[Dcid], Field(min_length=1, max_length=1000)]
    property: Text | None = None
    resolver: Text | None = None
    target: Text | None = None


# --- relation expressions ----------------------------------------------------------------------

_NAME = r"[A-Za-z][A-Za-z0-9_]{0,99}\+?"
_NAMES = rf"\[ *((?:{_NAME}(?: *, *{_NAME})*)?) *\]"
_RELATION = re.compile(
    rf"(->|<-)(?:(\*)|{_NAMES}|({_NAME}))?(?:\{{ *typeOf *: *([A-Za-z][A-Za-z0-9_]*) *\}})?", re.ASCII
)


class Relation(NamedTuple):
    """`<-containedInPlace+{typeOf:Country}`: which way, by which properties (None for all), to which type.
    `labels` asks for the names of properties alone.
    """

    out: bool
    properties: tuple[str, ...] | None
    of_type: str | None
    labels: bool


def relation(expression: str, place: str = "property") -> Relation:
    """Reads an expression of one step. Raises Invalid."""
    found = _RELATION.fullmatch(expression.strip())
    if found is None:
        raise Invalid.at(
            place,
            "is no relation such as ->name, ->[name, typeOf], ->*, <-typeOf or <-containedInPlace+{typeOf:X}",
        )
    way, every, several, one, of_type = found.groups()
    labels = every is several is one is None
    if labels and of_type:
        raise Invalid.at(place, "has a type, but no property that leads to it")
    names = re.split(r" *, *", several) if several else [one] if one else []
    return Relation(way == "->", None if every or labels else tuple(dict.fromkeys(names)), of_type, labels)
