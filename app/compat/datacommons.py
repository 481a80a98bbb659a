"""Data Commons' REST API v2, by which its client reads figures as observations. What is answered is in
docs/clients.md.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from app.access.requests import Read, Reading
from app.base.body import body_of, check_strings, strict_json
from app.base.db import ReadSession, interruption
from app.base.errors import Invalid
from app.base.http import JSON, respond, while_connected
from app.base.jobs import Job
from app.base.page import Cursors, Question
from app.base.problems import checked
from app.compat.candidates import owners
from app.compat.datacommons_wire import (
    DataCommonsRoute,
    Json,
    NodeIn,
    ObservationIn,
    ResolveIn,
    not_here,
)
from app.compat.nodes import KINDS, related
from app.compat.observations import CLASSES, kind_of, observed
from app.compat.scoring import MATCHES, QueryIn, reconciled
from app.entities import documents

PATH = "/core/api/v2"
"""Where Data Commons' own servers for other people's data have it, so that a client finds it by the host."""


def _ignored(key: str = "") -> None:
    """The key, which the route has taken."""


# Spoken to by programs that know it from its own documentation; /docs is of /v1.
router = APIRouter(
    prefix=PATH, route_class=DataCommonsRoute, include_in_schema=False, dependencies=[Depends(_ignored)]
)


def _answer(read: Read, document: Mapping[str, Any]) -> Response:
    return respond(read.request, orjson.dumps(document), headers=read.cache)


# --- nodes -------------------------------------------------------------------------------------


class _Of(Question):
    """A question of nodes, to which a token is bound."""

    nodes: list[str]
    relation: str


class NodeQuery(BaseModel):
    """What `node` takes in an address."""

    nodes: list[str] = []
    property: str = ""
    next_token: Annotated[str, Field(alias="nextToken")] = ""


@router.get("/node", operation_id="datacommons_get_node")
def get_node(ask: Annotated[NodeQuery, Query()], read: Reading) -> Response:
    """What some nodes are related to. A client asks so whether this is a server of Data Commons."""
    return _node(checked(NodeIn, ask.model_dump()), read)


@router.post("/node", operation_id="datacommons_node")
def post_node(ask: NodeIn, read: Reading) -> Response:
    """What some nodes are related to."""
    return _node(ask, read)


def _node(ask: NodeIn, read: Read) -> Response:
    of = _Of(nodes=ask.nodes, relation=ask.property, cursor=ask.next_token or None)
    with read as session:
        data, last = related(session, ask, read.after(of), str(read.request.base_url))
    cursors = Cursors(read.house.secret, read.request.url.path)
    return _answer(read, {"data": data, **({"nextToken": cursors.make(of, tuple(last))} if last else {})})


# --- observations ------------------------------------------------------------------------------


class ObservationQuery(BaseModel):
    """What `observation` takes in an address."""

    date: str = ""
    select: list[str] = []
    variables: Annotated[list[str], Field(alias="variable.dcids")] = []
    entities: Annotated[list[str], Field(alias="entity.dcids")] = []
    expression: Annotated[str, Field(alias="entity.expression")] = ""
    domains: Annotated[list[str], Field(alias="filter.domains")] = []
    facet_ids: Annotated[list[str], Field(alias="filter.facet_ids")] = []


@router.get("/observation", operation_id="datacommons_get_observation")
def get_observation(ask: Annotated[ObservationQuery, Query()], read: Reading) -> Response:
    """Figures of some entities, by variables and facets."""
    whole = {
        "date": ask.date,
        "select": ask.select,
        "variable": {"dcids": ask.variables},
        "entity": {"dcids": ask.entities, "expression": ask.expression},
        "filter": {"domains": ask.domains, "facet_ids": ask.facet_ids},
    }
    return _observation(checked(ObservationIn, whole), read)


@router.post("/observation", operation_id="datacommons_observation")
def post_observation(ask: ObservationIn, read: Reading) -> Response:
    """Figures of some entities, by variables and facets."""
    return _observation(ask, read)


def _observation(ask: ObservationIn, read: Read) -> Response:
    with read as session:
        return _answer(read, observed(session, ask, str(read.request.base_url)))


# --- resolving ---------------------------------------------------------------------------------

_LEADS = re.compile(r"<-(description|wikidataId|geoCoordinate)(?:\{ *typeOf *: *(\w+) *\})?->dcid", re.ASCII)


class ResolveQuery(BaseModel):
    """What `resolve` takes in an address."""

    nodes: list[str] = []
    property: str = ""
    resolver: str = ""
    target: str = ""


@router.get("/resolve", operation_id="datacommons_get_resolve")
async def get_resolve(ask: Annotated[ResolveQuery, Query()], read: Reading) -> Response:
    """The entities that names, or ids of Wikidata, may mean."""
    return await _in_turn(read, lambda job: _resolve(checked(ResolveIn, ask.model_dump()), read, job))


@router.post(
    "/resolve", operation_id="datacommons_resolve", openapi_extra={"requestBody": {"content": {JSON: {}}}}
)
async def post_resolve(read: Reading) -> Response:
    """The entities that names, or ids of Wikidata, may mean."""
    body = await body_of(read.request)

    def resolved(job: Job) -> Response:
        given = strict_json(body)
        check_strings(given)
        return _resolve(checked(ResolveIn, given), read, job)

    return await _in_turn(read, resolved)


async def _in_turn(read: Read, work: Callable[[Job], Response]) -> Response:
    """Return what some work makes in the turn of its client among batches of names."""
    return await while_connected(read.request.receive, read.house.batches.run(work, read.client))


def _resolve(ask: ResolveIn, read: Read, job: Job) -> Response:
    if ask.resolver == "indicator":
        return not_here("Variables are not looked for by words: they are those of an entity's observations.")
    found = _LEADS.fullmatch((ask.property or "").strip())
    if found is None:
        raise Invalid.at(
            "property", "is <-description->dcid or <-wikidataId->dcid, with {typeOf:X} or without"
        )
    by, name = found.groups()
    if by == "geoCoordinate":
        return not_here("Entities have no coordinates here.")
    kinds = [kind_of(name, "property")] if name else list(CLASSES.values())
    with read as session, job.stopped_by(interruption(session)):
        if by == "description":
            candidates = _named(session, ask.nodes, kinds, job)
        else:
            candidates = _of_wikidata(session, ask.nodes, kinds)
    entities = [{"node": node, "candidates": candidates[node]} for node in candidates]
    return _answer(read, {"entities": entities})


def _named(
    session: ReadSession, names: Sequence[str], kinds: Sequence[str], job: Job
) -> dict[str, list[Json]]:
    """Whom each name means; all who may well be meant where that is not one."""
    queries = {name: QueryIn(query=name[:2000], type=[*kinds]) for name in names}
    found = {}
    for name, answer in reconciled(session, queries, job).items():
        results = answer["result"]
        certain = [each for each in results if each["match"]]
        meant = certain or [each for each in results if each["score"] >= MATCHES]
        found[name] = [_candidate(each["id"], each["type"][0]["id"]) for each in meant]
    return found


def _of_wikidata(session: ReadSession, ids: Sequence[str], kinds: Sequence[str]) -> dict[str, list[Json]]:
    owned = owners(session, {("wikidata", each) for each in ids})
    there = documents.by_id(session, sorted({each for some in owned.values() for each in some}))
    return {
        each: [
            _candidate(found, there[found]["kind"])
            for found in sorted(owned.get(("wikidata", each), ()))
            if there[found]["kind"] in kinds
        ]
        for each in ids
    }


def _candidate(entity_id: str, kind: str) -> Json:
    return {"dcid": entity_id, "dominantType": KINDS[kind]}
