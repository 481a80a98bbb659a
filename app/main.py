"""The application: the one place that sees every feature."""

import asyncio
import base64
import hashlib
import html
import logging
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from threading import Lock
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi_offline import FastAPIOffline
from sqlalchemy.orm import configure_mappers
from starlette.concurrency import run_in_threadpool
from starlette.types import Scope
from starlette_compress import add_compress_type

from app import projections
from app.access import secret as secrets
from app.access.house import POSITION, House
from app.access.requests import Read, Replay
from app.access.routes import router as keys
from app.base import schema
from app.base.boundary import Boundary
from app.base.caches import BUDGET
from app.base.db import Database
from app.base.errors import Problem, Unavailable, tree
from app.base.fields import Received
from app.base.http import EVENTS, Route
from app.base.limits import WATCHED, Limits
from app.base.middleware import Compress, Cors
from app.base.openapi import describe
from app.base.outages import note
from app.base.problems import install_problem_handlers, problem_response
from app.base.scratch import sweep
from app.changes.replay import check_kinds
from app.changes.replicas import Replicas
from app.changes.routes import of_log as log_of_changes
from app.changes.routes import router as changes
from app.claims import reads
from app.claims.routes import of_stats as stats
from app.claims.routes import router as claims
from app.compat.datacommons import router as datacommons
from app.compat.google_batch import router as google_batch
from app.compat.google_factcheck import router as google_factcheck
from app.compat.google_pages import router as google_pages
from app.compat.reconcile import PATH as RECONCILE
from app.compat.reconcile import router as reconciliation
from app.entities.routes import router as entities
from app.erasure.routes import router as erasures
from app.erasure.watch import watching
from app.exchange.feeds import PATHS as FEEDS
from app.exchange.feeds import router as feeds
from app.exchange.linked import PATHS as LINKED
from app.exchange.linked import preferred
from app.exchange.linked import router as linked
from app.exchange.routes import of_claims as bundles
from app.exchange.routes import router as files
from app.figures.routes import router as figures
from app.hooks.deliveries import LAST_SECONDS, Deliveries
from app.hooks.routes import router as webhooks
from app.links.routes import router as links
from app.operations.metrics import measure
from app.operations.routes import router as measures
from app.people.routes import router as people
from app.projections import refuse_to_write
from app.publication.routes import router as publication
from app.publication.store import Embargoes
from app.reviews.routes import of_sources as texts
from app.reviews.routes import router as reviews
from app.reviews.syndication import FEED
from app.search.routes import router as search
from app.settings import Settings
from app.sources.routes import router as sources
from app.web.guide import router as guide
from app.web.reference import DESCRIBED

log = logging.getLogger("on-the-record")

add_compress_type(FEED)

VERSION = "0.1.0"

ROUTERS: Sequence[APIRouter] = (
    linked,  # before the claims, or `.jsonld` would be part of an id
    preferred,
    claims,
    bundles,
    search,
    stats,
    reviews,
    publication,
    links,
    entities,
    sources,
    texts,
    figures,
    feeds,
    files,
    changes,
    log_of_changes,
    erasures,
    reconciliation,
    people,
    keys,
    webhooks,
    measures,
    guide,
    google_factcheck,
    datacommons,
    google_pages,
    google_batch,
)

STATIC = "/static-offline-docs"
"""Where `FastAPIOffline` has the scripts and styles of the reference."""

CONDITIONS = ("If-Match", "If-None-Match", "If-Range")
"""The headers with conditions that pages of other sites may send."""

EXPOSED = (
    "ETag",
    "Link",
    "X-Request-Id",
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
    "Accept-Ranges",
    "Content-Range",
    "Record-Count",
    POSITION,
    "Repr-Digest",
)
"""The headers of an answer that pages of other sites may read."""

ABOUT = """Who said what, where it is printed, and whether it holds. [The guide](/guide) has a tutorial,
the terms that are used here, and a page for each subject.

Reading needs no key unless this server says otherwise; writing does: `Authorization: Bearer otr_…`. Every
change takes `If-Match` with the `ETag` of the version it is based on, every POST an `Idempotency-Key` if it
may be sent twice, and every error is `application/problem+json` (their kinds: [/problems](/problems)). No
string anywhere may have a NUL or a lone surrogate, and no number more than 60 digits."""


def _house(settings: Settings) -> House:
    configure_mappers()  # which a replay needs, and nothing may have asked for by then
    check_kinds()
    db = Database(settings.database_url, settings.pool_size, settings.read_seconds, refuse_to_write)
    return House(settings, db, secrets.secret_of(settings, db), Replicas(db, settings))


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application on a base. Raises ValueError for settings that cannot be."""
    settings = settings or Settings()
    BUDGET.most = settings.cache_bytes
    house = _house(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if swept := await run_in_threadpool(sweep):
            log.info("Removed temporary files that %d ended processes have left", swept)
        await run_in_threadpool(_refuse_unfit, house)
        house.open()
        keeper, embargoes = reads.Keeper(house.db, house.reads), Embargoes(house.db)
        async with _delivering(house, app.state.metrics.note_delivery), watching(house):
            yield
        embargoes.close()
        keeper.close()
        house.close()

    app = FastAPIOffline(
        title="On the Record",
        version=VERSION,
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        telemetry={"auto_configure": True, "exclude": _is_of_operations},
        swagger_ui_parameters={"persistAuthorization": True, "tryItOutEnabled": True},
    )
    app.state.house = house
    app.state.routes = [route for router in (*ROUTERS, operations) for route in router.routes]
    # Flat, since a router that is included looks for a route twice; and before FastAPI's own `/openapi.json`.
    app.router.routes[:0] = app.state.routes
    strict = [route for route in app.state.routes if isinstance(route, Route)]
    describe(app, strict, DESCRIBED, public_reading=settings.public_reading)
    install_problem_handlers(app)
    app.add_exception_handler(Replay, _replay)
    app.add_middleware(Compress, but=_AS_THEY_ARE, files=STATIC)
    app.add_middleware(Boundary, **_bounds(settings))
    app.add_middleware(
        Cors,
        allow_origins=settings.cors_origins,
        allow_headers=[*CONDITIONS, "Authorization", "Last-Event-ID", "Range", POSITION],
        expose_headers=EXPOSED,
        forms=[RECONCILE],
    )
    measure(app, VERSION)
    app.add_middleware(Received)
    return app


@asynccontextmanager
async def _delivering(house: House, note: Callable[[bool], None]) -> AsyncIterator[None]:
    """Delivers to webhooks meanwhile."""
    if not house.settings.webhooks:
        yield
        return
    task = asyncio.ensure_future(Deliveries(house, note).run())
    yield
    task.cancel()
    await asyncio.wait([task], timeout=LAST_SECONDS)


def _bounds(settings: Settings) -> dict[str, Any]:
    """What the settings have for the boundary."""
    return {
        "limits": Limits(
            per_address=settings.requests_per_address,
            per_key=settings.requests_per_key,
            wrong_keys=settings.wrong_keys,
            at_once=settings.requests_at_once,
        ),
        "max_body_bytes": settings.max_body_bytes,
        "bodies": {
            **dict.fromkeys(_ASKED_IN_BODIES, min(MAX_ASKED, settings.max_body_bytes)),
            "/v1/import": settings.max_import_bytes,
        },
        "hsts_seconds": settings.hsts_seconds,
        "log_addresses": settings.log_addresses,
    }


MAX_ASKED = 1024 * 1024
"""Bytes of a body that asks for something and changes nothing, which anyone may send."""

_ASKED_IN_BODIES = [
    route.path
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, Route) and "POST" in (route.methods or ()) and route.gates[0].call is Read
]

_AS_THEY_ARE = (
    FEEDS
    | LINKED
    | {
        route.path
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, Route) and getattr(route.endpoint, "produces", None) == EVENTS
    }
)
"""The addresses whose answers are not compressed on their way out: feeds, whose lengths and digests are of
compressed files, and streams, each of which would keep some megabytes for it.
"""


def _is_of_operations(scope: Scope) -> bool:
    """Whether a request is of those that come every few seconds and say nothing in a trace."""
    return scope.get("path") in WATCHED


def unfitness(db: Database, secret: bytes | None = None) -> str | None:
    """Return why the database cannot be served, with this secret if one is given, or None. Raises
    Unavailable.
    """
    if fault := schema.staleness(db):
        return fault
    with db.read() as session:  # a migration may have been cut off before its end
        if fault := projections.staleness(session):
            return fault
        if secret is not None and secrets.is_other(session, secret):
            return secrets.OTHER
    return None


def _refuse_unfit(house: House) -> None:
    try:
        if fault := unfitness(house.db) or secrets.hold_to(house.db, house.secret):
            raise SystemExit(fault)
    except Unavailable as away:
        house.unproven.set()
        log.warning("%s; /readyz will say when the database can be used.", away.told.rstrip("."))


async def _replay(_request: Request, replay: Exception) -> Response:
    assert isinstance(replay, Replay)
    return replay.response


# --- operations --------------------------------------------------------------------------------

operations = APIRouter(include_in_schema=False)
_DESCRIBING = Lock()
"""Held while the OpenAPI document is made: once is enough."""


@operations.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether this process answers. Asks no database."""
    return {"status": "ok"}


@operations.get("/readyz")
async def readyz(request: Request) -> Response:
    """Whether the database answers and has the schema that this code is written for, and all that follows."""
    house: House = request.app.state.house
    fault = await house.readiness.get(lambda: _unreadiness(house))
    if fault is not None:
        return problem_response(fault)
    return Response('{"status":"ready"}', media_type="application/json")


def _unreadiness(house: House) -> Problem | None:
    try:
        fault = unfitness(house.db, house.secret)
        if fault is None and house.unproven.is_set():
            house.prove()
    except Unavailable as away:
        note(away)
        return away
    return Unavailable(fault, retry_after=10) if fault else None


@operations.get("/openapi.json")
def openapi(request: Request) -> Response:
    """Return the OpenAPI document, which takes up to a second to make."""
    with _DESCRIBING:
        return Response(orjson.dumps(request.app.openapi()), media_type="application/json")


@operations.get("/")
async def home() -> Response:
    """Leads to the documentation."""
    return RedirectResponse("/docs")


@operations.get("/docs")
async def docs(request: Request) -> Response:
    """The reference, whose scripts and styles are here too."""
    app: FastAPI = request.app
    page = get_swagger_ui_html(
        openapi_url=str(app.openapi_url),
        title=f"{app.title}: reference",
        swagger_js_url=f"{STATIC}/swagger-ui-bundle.js",
        swagger_css_url=f"{STATIC}/swagger-ui.css",
        swagger_favicon_url=f"{STATIC}/favicon.png",
        swagger_ui_parameters=app.swagger_ui_parameters,
    )
    # It sets styles of single elements, which no hash can name.
    return _page(bytes(page.body).decode(), styles="'unsafe-inline'")


@operations.get("/problems")
async def problems() -> Response:
    """What each kind of problem means: where a problem's `type` leads."""
    rows = "".join(map(_problem_row, tree(Problem)))
    style = "body{font:16px/1.5 system-ui;max-width:46rem;margin:2rem auto;padding:0 1rem}code{color:#944}"
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>Problems</title><style>{style}</style>"
    return _page(f"{page}<h1>Problems</h1><dl>{rows}</dl></html>", styles=_hashes("style", page))


def _page(page: str, styles: str) -> Response:
    """A page that may load what is here and run the scripts that are in it, by their hashes; nothing else."""
    policy = (
        f"default-src 'none'; script-src 'self' {_hashes('script', page)}; style-src 'self' {styles}; "
        "img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


def _hashes(tag: str, page: str) -> str:
    inline = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in inline)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def _problem_row(kind: type[Problem]) -> str:
    meaning = html.escape(" ".join((kind.__doc__ or "").split()))
    meaning = re.sub("`(.+?)`", r"<code>\1</code>", meaning)
    title = html.escape(kind.title)
    return f"<dt id={kind.slug}><code>{kind.status}</code> {title}</dt><dd>{meaning}</dd>"
