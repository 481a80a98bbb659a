"""The Reconciliation Service API 0.2 (W3C Entity Reconciliation Community Group), which OpenRefine speaks."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field, StrictStr

from app.access.requests import Read, Reading
from app.base.body import body_of, check_strings, strict_json
from app.base.boundary import MAX_TARGET
from app.base.db import ReadSession, interruption
from app.base.errors import Invalid, Malformed, NotFound, TooLarge, pointer
from app.base.http import Route, produces, respond, while_connected
from app.base.jobs import Job
from app.base.problems import checked
from app.base.types import Shape
from app.compat import suggest
from app.compat.candidates import read as read_records
from app.compat.candidates import resolved
from app.compat.properties import SOURCE, TYPES, check, known, shown_type, values
from app.compat.scoring import QueryIn, reconciled

PATH = "/reconcile"
BATCH, USUAL = 1_000, 100
"""How many queries, or records to extend, are read at once, and how many a client is told to send."""

VALUES = 1_000
"""Values of properties in a batch, each of which is compared with those of every record that may be meant."""

FORM = "application/x-www-form-urlencoded"
_MOST_PROPERTIES, _WIDTH, _HEIGHT = 50, 420, 280


def _ignored(callback: str | None = None, stamp: Annotated[str | None, Query(alias="_")] = None) -> None:
    """What clients add that would rather have JSONP: they get JSON, which CORS lets them read."""


# Spoken to by programs that know it from its own specification and manifest; /docs is of /v1.
router = APIRouter(prefix=PATH, route_class=Route, include_in_schema=False, dependencies=[Depends(_ignored)])


Json = Annotated[str | None, Query(max_length=MAX_TARGET)]

# --- asking ------------------------------------------------------------------------------------


@router.get("", operation_id="reconcile_by_query")
async def manifest_or_answer(read: Reading, queries: Json = None, extend: Json = None) -> Response:
    """What this service can do; or candidates for `queries`, or values of properties for `extend`."""
    if queries is None and extend is None:
        return _answer(read, _manifest(read))
    answered = partial(_asked, read, {"queries": queries, "extend": extend})
    return await while_connected(read.request.receive, read.house.batches.run(answered, read.client))


@router.post("", operation_id="reconcile", openapi_extra={"requestBody": {"content": {FORM: {}}}})
async def reconcile(read: Reading, queries: Json = None, extend: Json = None) -> Response:
    """Candidates for `queries`, or values of properties for `extend`, as fields of a form."""
    given, body = {"queries": queries, "extend": extend}, await body_of(read.request)

    def answered(job: Job) -> Response:
        return _asked(read, {**given, **_form(body)}, job)

    return await while_connected(read.request.receive, read.house.batches.run(answered, read.client))


def _form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=10)
    except UnicodeDecodeError:
        raise Malformed("The form is not UTF-8.") from None
    except ValueError:
        raise Malformed("The form has too many fields.") from None
    return dict(pairs)


def _asked(read: Read, given: Mapping[str, str | None], job: Job) -> Response:
    queries, extend = given.get("queries"), given.get("extend")
    if (queries is None) == (extend is None):
        raise Invalid.at("queries", "is needed, or extend: one of the two")
    if queries is not None:
        batch = _batch(_json(queries, "queries"))
        with read as session, job.stopped_by(interruption(session)):
            return _answer(read, reconciled(session, batch, job))
    wanted = checked(ExtendIn, _json(extend or "", "extend"))
    if len(wanted.ids) > BATCH:
        raise TooLarge(f"It has {len(wanted.ids)} ids; {BATCH} are read at once.")
    with read as session, job.stopped_by(interruption(session)):
        return _answer(read, _extended(session, wanted, job))


def _json(text: str, name: str) -> Any:
    try:
        found = strict_json(text.encode(), members=10 * BATCH)
    except Malformed as fault:
        raise Malformed(fault.detail.replace("The body", f"`{name}`", 1)) from None
    check_strings(found)
    if not isinstance(found, dict):
        raise Invalid.at(name, "is a JSON object")
    return found


def _batch(found: Mapping[str, Any]) -> dict[str, QueryIn]:
    if len(found) > BATCH:
        raise TooLarge(f"It has {len(found)} queries; {BATCH} are answered at once.")
    queries = {key: _query(key, value) for key, value in found.items()}
    given = sum(len(texts) for query in queries.values() for texts in query.known.values())
    if given > VALUES:
        raise Invalid.at("queries", f"has {given} values of properties; {VALUES} are compared at most")
    return queries


def _query(key: str, value: Any) -> QueryIn:
    try:
        return checked(QueryIn, value)
    except Invalid as fault:
        raise Invalid.under(pointer((key,)), fault) from None


def _answer(read: Read, document: Mapping[str, Any]) -> Response:
    return respond(read.request, orjson.dumps(document), headers=read.cache)


# --- what there is -----------------------------------------------------------------------------


def _root(request: Request) -> str:
    """Where this server is, as its client calls it. Raises Malformed."""
    host = request.headers.get("host", "")
    if not re.fullmatch(r"[\w.-]+(:\d+)?|\[[\da-fA-F:.]+\](:\d+)?", host, re.ASCII):
        raise Malformed("Host is not the name of a server.")
    return f"{request.scope['scheme']}://{host}{request.scope.get('root_path', '')}"


def _manifest(read: Read) -> dict[str, Any]:
    root = _root(read.request)
    page = f"{root}{PATH}/preview?id={{{{id}}}}"
    locked = {"authentication": {"type": "apiKey", "name": "Authorization", "in": "header"}}
    return {
        "versions": ["0.2"],
        "name": "On the Record",
        "identifierSpace": f"{root}{PATH}/preview?id=",
        "schemaSpace": f"{root}{PATH}/properties",
        "serviceVersion": read.request.app.version,
        "documentation": f"{root}/docs",
        "defaultTypes": [shown_type(kind) for kind in TYPES],
        "batchSize": USUAL,
        "view": {"url": page},
        "preview": {"url": page, "width": _WIDTH, "height": _HEIGHT},
        "suggest": {kind: _suggests(root, kind) for kind in ("entity", "type", "property")},
        "extend": {
            "propose_properties": {"service_url": root, "service_path": f"{PATH}/properties"},
            "property_settings": [],
        },
        **({} if read.settings.public_reading else locked),
    }


def _suggests(root: str, kind: str) -> dict[str, str]:
    return {
        "service_url": root,
        "service_path": f"{PATH}/suggest/{kind}",
        "flyout_service_url": root,
        "flyout_service_path": f"{PATH}/flyout?kind={kind}&id=${{id}}",
    }


# --- suggesting --------------------------------------------------------------------------------


class SuggestQuestion(BaseModel):
    """What was typed, and how many suggestions to leave out. The rest is what OpenRefine's box may send since
    it asked Freebase; it changes nothing.
    """

    prefix: Annotated[str, Field(max_length=500)]
    cursor: Annotated[int, Field(ge=0, le=10_000)] = 0
    type: list[str] = []
    limit: str | None = None
    type_strict: str | None = None
    filter: list[str] = []
    key: str | None = None
    lang: list[str] = []
    exact: str | None = None
    spell: str | None = None
    scoring: str | None = None
    prefixed: str | None = None
    stemmed: str | None = None
    format: str | None = None
    output: str | None = None
    mql_output: str | None = None


Suggesting = Annotated[SuggestQuestion, Query()]


@router.get("/suggest/entity", operation_id="suggest_entities")
def suggest_entities(ask: Suggesting, read: Reading) -> Response:
    """Entities and sources whose names begin as typed."""
    with read as session:
        return _answer(read, {"result": suggest.entities(session, ask.prefix, ask.type, ask.cursor)})


@router.get("/suggest/type", operation_id="suggest_types")
def suggest_types(ask: Suggesting, read: Reading) -> Response:
    """Types whose names begin as typed."""
    return _answer(read, {"result": suggest.types(ask.prefix, ask.cursor)})


@router.get("/suggest/property", operation_id="suggest_properties")
def suggest_properties(ask: Suggesting, read: Reading) -> Response:
    """Properties whose names begin as typed."""
    with read as session:
        return _answer(read, {"result": suggest.properties(session, ask.prefix, ask.cursor)})


# --- showing -----------------------------------------------------------------------------------

_STYLE = (
    "body{font:14px/1.4 system-ui;margin:.6rem}h1{font-size:1.1rem;margin:0}p{margin:.2rem 0}"
    "dt{color:#666;font-size:.8rem}dd{margin:0 0 .3rem}"
)
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors *"
)
"""A preview loads nothing and may be framed by anyone, which is what it is for."""

Ref = Annotated[str, Query(max_length=200)]


@router.get("/preview", operation_id="preview_record")
@produces("text/html")
def preview(id: Ref, read: Reading) -> Response:
    """One entity or source as a small page."""
    with read as session:
        body = suggest.about(session, _record(session, id), _root(read.request))
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>Preview</title><style>{_STYLE}</style>"
    headers = {**read.cache, "Content-Security-Policy": _POLICY}
    return respond(read.request, f"{page}{body}</html>".encode(), headers=headers, media="text/html")


@router.get("/flyout", operation_id="fly_out")
def fly_out(id: Ref, read: Reading, kind: Literal["entity", "type", "property"] = "entity") -> Response:
    """A few lines of HTML on what is suggested."""
    with read as session:
        return _answer(read, {"id": id, "html": _flyout(session, kind, id, _root(read.request))})


def _flyout(session: ReadSession, kind: str, ref: str, root: str) -> str:
    if kind == "entity":
        return suggest.about(session, _record(session, ref), root)
    there = known(session) if kind == "property" else {}
    if ref in there:
        return suggest.about_term(there[ref].name, there[ref].description)
    if kind == "type" and ref in TYPES:
        what = "Published documents." if ref == SOURCE else f"Entities of the kind {ref}."
        return suggest.about_term(TYPES[ref], what)
    raise NotFound(f"There is no {kind} {ref}.")


def _record(session: ReadSession, ref: str) -> Mapping[str, Any]:
    own = resolved(session, [ref]).get(ref)
    if own is None:
        raise NotFound(f"There is no entity or source {ref}.")
    return read_records(session, [own])[own]


# --- extending ---------------------------------------------------------------------------------


class WantedIn(Shape):
    """A property that is wanted; there is nothing to set."""

    id: StrictStr
    settings: dict[str, Any] = {}


class ExtendIn(Shape):
    """Records, and the properties that are wanted of each."""

    ids: list[StrictStr]
    properties: Annotated[list[WantedIn], Field(max_length=_MOST_PROPERTIES)]


@router.get("/properties", operation_id="propose_properties")
def propose_properties(
    read: Reading, type: str | None = None, limit: Annotated[int | None, Query(ge=1)] = None
) -> Response:
    """Properties that records of a type have."""
    if type is not None:
        check({"type": type}, TYPES, "type")
    with read as session:
        found = [{"id": each.id, "name": each.name} for each in known(session).values() if each.of(type)]
    asked = {"type": type, "limit": limit}
    told = {name: value for name, value in asked.items() if value is not None}
    return _answer(read, {**told, "properties": found[:limit]})


def _extended(session: ReadSession, wanted: ExtendIn, job: Job) -> dict[str, Any]:
    there = known(session)
    pids = {pointer(("properties", n, "id")): each.id for n, each in enumerate(wanted.properties)}
    check(pids, there, "property")
    own = resolved(session, wanted.ids)
    records = read_records(session, set(own.values()))
    rows = {}
    for ref in wanted.ids:
        job.check()
        rows[ref] = {pid: values(records[own[ref]], pid) if ref in own else [] for pid in pids.values()}
    meta = [{"id": pid, "name": there[pid].name, **_META.get(pid, {})} for pid in pids.values()]
    return {"meta": meta, "rows": rows}


_META: Mapping[str, Any] = {
    each: {"type": shown_type("organization")} for each in ("affiliation", "publisher")
}
