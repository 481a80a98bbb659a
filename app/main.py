"""The application: the one place that sees every feature."""

import html
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send
from starlette_compress import CompressMiddleware

from app.access.requests import House, Replay
from app.access.routes import router as keys
from app.base import schema
from app.base.boundary import Boundary
from app.base.db import Database, secret_of
from app.base.errors import Problem, Unavailable, tree
from app.base.http import Route
from app.base.openapi import describe
from app.base.problems import install_problem_handlers, problem_response
from app.changes.routes import router as changes
from app.claims.routes import of_sources as quotes
from app.claims.routes import of_stats as stats
from app.claims.routes import router as claims
from app.entities.routes import router as entities
from app.exchange.feeds import PATHS as FEEDS
from app.exchange.feeds import router as feeds
from app.exchange.routes import router as files
from app.figures.routes import router as figures
from app.reviews.routes import of_sources as texts
from app.reviews.routes import router as reviews
from app.search.routes import router as search
from app.settings import Settings
from app.sources.routes import router as sources

log = logging.getLogger("on-the-record")

ROUTERS: Sequence[APIRouter] = (
    claims,
    reviews,
    entities,
    sources,
    texts,
    quotes,
    figures,
    stats,
    search,
    feeds,
    files,
    changes,
    keys,
)

ABOUT = """Who said what, where it is printed, and whether it holds.

Reading needs no key unless this server says otherwise; writing does: `Authorization: Bearer otr_…`. Every
change takes `If-Match` with the `ETag` of the version it is based on, every POST an `Idempotency-Key` if it
may be sent twice, and every error is `application/problem+json` (their kinds: [/problems](/problems)). No
string anywhere may have a NUL or a lone surrogate, and no number more than 60 digits."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application on a base. Raises ValueError for settings that cannot be."""
    settings = settings or Settings()
    house = House(settings, Database(settings.database_url, settings.pool_size), secret_of(settings))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(_refuse_stale_schema, house.db)
        yield
        house.shelf.clear()
        house.db.dispose()

    app = FastAPIOffline(
        title="On the Record",
        version="0.1.0",
        description=ABOUT,
        redoc_url=None,
        redirect_slashes=False,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        swagger_ui_parameters={"persistAuthorization": True, "tryItOutEnabled": True},
    )
    app.state.house = house
    for router in (*ROUTERS, operations):
        app.include_router(router)
    app.state.routes = [route for router in (*ROUTERS, operations) for route in router.routes]
    strict = [route for route in app.state.routes if isinstance(route, Route)]
    describe(app, strict, public_reading=settings.public_reading)
    install_problem_handlers(app)
    app.add_exception_handler(Replay, _replay)
    larger = {"/v1/import": settings.max_import_bytes}
    app.add_middleware(Boundary, max_body_bytes=settings.max_body_bytes, larger=larger)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "HEAD"],
        allow_headers=["Authorization", "If-None-Match", "If-Range", "Range"],
        expose_headers=[
            "ETag",
            "Link",
            "X-Request-Id",
            "Retry-After",
            "Accept-Ranges",
            "Content-Range",
            "Record-Count",
            "Repr-Digest",
        ],
    )
    app.add_middleware(Compress)
    return app


class Compress(CompressMiddleware):
    """Compresses answers, but for feeds: their lengths and digests are of the compressed files."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer as the client takes it."""
        within = self.app if scope.get("path") in FEEDS else super().__call__
        await within(scope, receive, send)


def _refuse_stale_schema(db: Database) -> None:
    try:
        if fault := schema.staleness(db):
            raise SystemExit(fault)
    except Unavailable:
        log.warning("The database does not answer yet; /readyz will say when it does.")


async def _replay(_request: Request, replay: Exception) -> Response:
    assert isinstance(replay, Replay)
    return replay.response


# --- operations --------------------------------------------------------------------------------

operations = APIRouter(include_in_schema=False)


@operations.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether this process answers. Asks no database."""
    return {"status": "ok"}


@operations.get("/readyz")
def readyz(request: Request) -> Response:
    """Whether the database answers and has the schema that this code is written for."""
    house: House = request.app.state.house
    try:
        fault = schema.staleness(house.db)
    except Unavailable as away:
        return problem_response(away)
    if fault:
        return problem_response(Unavailable(fault, retry_after=10))
    return Response('{"status":"ready"}', media_type="application/json")


@operations.get("/")
async def home() -> Response:
    """Leads to the documentation."""
    return RedirectResponse("/docs")


@operations.get("/problems")
async def problems() -> Response:
    """What each kind of problem means: where a problem's `type` leads."""
    rows = "".join(map(_problem_row, tree(Problem)))
    style = "body{font:16px/1.5 system-ui;max-width:46rem;margin:2rem auto;padding:0 1rem}code{color:#944}"
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>Problems</title><style>{style}</style>"
    return HTMLResponse(f"{page}<h1>Problems</h1><dl>{rows}</dl></html>")


def _problem_row(kind: type[Problem]) -> str:
    meaning = html.escape(" ".join((kind.__doc__ or "").split()))
    meaning = re.sub("`(.+?)`", r"<code>\1</code>", meaning)
    title = html.escape(kind.title)
    return f"<dt id={kind.slug}><code>{kind.status}</code> {title}</dt><dd>{meaning}</dd>"
