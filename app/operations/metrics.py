"""Measures for Prometheus, in its text format 0.0.4: what this process has answered, and what the base holds.

While requests are answered only a few numbers are kept, all of them from the one event loop; they are made
into metrics when somebody asks.
"""

import math
import platform
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from fastapi import FastAPI
from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from sqlalchemy import func, text
from sqlmodel import col
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.house import House
from app.base.db import Database, ReadSession
from app.base.errors import Unavailable
from app.base.pools import SQLITE
from app.base.sql import select
from app.base.sql import table as table_of
from app.base.times import now
from app.changes.ledger import head
from app.changes.walk import record_kinds
from app.claims.derived import ClaimTally
from app.hooks.progress import lags, states

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The buckets of durations."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
COUNTED_EVERY = 60
"""Seconds for which a count of records is kept: to count a large table takes longer than all the rest."""


@dataclass
class _Served:
    """The answers of one route, method and class of status."""

    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))

    @property
    def number(self) -> int:
        return sum(self.buckets)


class Metrics:
    """What one process has to tell."""

    def __init__(self, version: str, routes: Sequence[BaseRoute]) -> None:
        self.version = version
        self.routes = routes
        self.in_flight = 0
        self._served: dict[tuple[str, str, int], _Served] = defaultdict(_Served)
        self._deliveries = dict.fromkeys(("delivered", "failed"), 0)
        self._process = ProcessCollector(registry=None)
        self._counted: tuple[float, str, dict[str, int]] = (-math.inf, "", {})

    def note(self, scope: Scope, status: int, seconds: float) -> None:
        """Keeps that a request was answered. A status of 0 is for none: its client went away."""
        method = scope["method"]
        route = scope.get("route")
        if route is None and method == "HEAD":  # is answered as a GET, by a request of its own
            route = self._route_of({**scope, "method": "GET"})
        path = getattr(route, "path", None) or "none"
        served = self._served[path, method if method in METHODS else "other", status // 100]
        served.seconds += seconds
        served.buckets[bisect_left(SECONDS, seconds)] += 1

    def _route_of(self, scope: Scope) -> BaseRoute | None:
        return next((each for each in self.routes if each.matches(scope)[0] is Match.FULL), None)

    def note_delivery(self, taken: bool) -> None:
        """Keeps that a message was sent to a webhook."""
        self._deliveries["delivered" if taken else "failed"] += 1

    def exposition(self, house: House) -> bytes:
        """All metrics as text."""
        return generate_latest(_Collected([*self._of_process(house), *self._of_base(house.db)]))

    # --- of this process -----------------------------------------------------------------------

    def _of_process(self, house: House) -> Iterator[Metric]:
        about = {
            "version": self.version,
            "python": platform.python_version(),
            "sqlite": SQLITE.sqlite_version,
        }
        yield InfoMetricFamily("record_build", "What runs.", value=about)
        yield GaugeMetricFamily(
            "record_http_requests_in_flight", "Requests that are being answered.", value=self.in_flight
        )
        yield GaugeMetricFamily(
            "record_streams_open", "Streams of changes that are open.", value=house.streams.number
        )
        sent = CounterMetricFamily(
            "record_webhook_deliveries",
            "Messages sent to webhooks, by what became of them.",
            labels=["outcome"],
        )
        for outcome, number in self._deliveries.items():
            sent.add_metric([outcome], number)
        yield sent
        yield from self._requests()
        yield from self._process.collect()

    def _requests(self) -> Iterator[Metric]:
        number = CounterMetricFamily(
            "record_http_requests", "Requests answered.", labels=["route", "method", "status"]
        )
        duration = HistogramMetricFamily(
            "record_http_request_duration_seconds",
            "From a request's head to the end of its answer.",
            labels=["route", "method"],
        )
        together: dict[tuple[str, str], _Served] = defaultdict(_Served)
        for (path, method, status), served in sorted(self._served.copy().items()):
            number.add_metric([path, method, f"{status}xx" if status else "none"], served.number)
            both = together[path, method]
            both.seconds += served.seconds
            both.buckets = [a + b for a, b in zip(both.buckets, served.buckets, strict=True)]
        for labels, served in together.items():
            duration.add_metric(labels, _cumulated(served.buckets), served.seconds)
        yield from (number, duration)

    # --- of the base ---------------------------------------------------------------------------

    def _of_base(self, db: Database) -> Iterator[Metric]:
        yield _pools(db)
        found: list[Metric] = []
        try:
            with db.read() as session:
                found = [*self._records(session), _size(db, session)]
        except Unavailable:
            pass
        yield GaugeMetricFamily("record_database_up", "Whether the database answers.", value=bool(found))
        yield from found

    def _records(self, session: ReadSession) -> Iterator[Metric]:
        seq, digest = head(session)
        yield GaugeMetricFamily("record_ledger_seq", "The ledger's last entry.", value=seq)
        yield _labelled("record_records", "Records by kind.", "kind", self._counts(session, digest))
        query = select(ClaimTally.a, ClaimTally.claims).where(
            col(ClaimTally.first) == "status", col(ClaimTally.second) == ""
        )
        claims = {row.a: row.claims for row in session.execute(query)}
        yield _labelled("record_webhooks", "Webhooks by how they stand.", "state", states(session))
        yield from _lags(session)
        yield _labelled("record_claims", "Claims by status of their verification.", "status", claims)

    def _counts(self, session: ReadSession, digest: str) -> dict[str, int]:
        at, then, counts = self._counted
        if digest != then and time.monotonic() - at >= COUNTED_EVERY:
            counts = {
                kind.noun: session.execute(select(func.count()).select_from(table_of(kind))).scalar_one()
                for kind in record_kinds()
            }
            self._counted = time.monotonic(), digest, counts
        return counts


class Measure:
    """Pure ASGI, around everything: notes how each request was answered, and how long it took."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer, noted."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self.metrics.in_flight += 1
        began = perf_counter()
        try:
            await self.app(scope, receive, noted)
        finally:
            self.metrics.in_flight -= 1
            self.metrics.note(scope, status, perf_counter() - began)


def measure(app: FastAPI, version: str) -> None:
    """Has an application measured, around all that it has so far."""
    app.state.metrics = Metrics(version, app.state.routes)
    app.add_middleware(Measure, metrics=app.state.metrics)


class _Collected(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self.metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self.metrics


def _cumulated(buckets: Sequence[int]) -> list[tuple[str, float]]:
    total, found = 0, []
    for bound, number in zip([*map(str, SECONDS), "+Inf"], buckets, strict=True):
        total += number
        found.append((bound, float(total)))
    return found


def _lags(session: ReadSession) -> Iterator[Metric]:
    entries, seconds = {}, {}
    for webhook, lag in lags(session).items():
        entries[webhook] = float(lag.entries)
        seconds[webhook] = max((now() - lag.since).total_seconds(), 0.0) if lag.since else 0.0
    yield _labelled(
        "record_webhook_lag_entries", "Entries that a webhook has yet to be told.", "webhook", entries
    )
    yield _labelled("record_webhook_lag_seconds", "Age of the first of them.", "webhook", seconds)


def _labelled(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    made = GaugeMetricFamily(name, about, labels=[label])
    for value, number in sorted(values.items()):
        made.add_metric([value], number)
    return made


def _pools(db: Database) -> Metric:
    made = GaugeMetricFamily(
        "record_database_connections", "Connections of this process.", labels=["pool", "state"]
    )
    for name, engine in db.pools.items():
        pool: Any = engine.pool
        for state, number in (
            ("in_use", pool.checkedout()),
            ("idle", pool.checkedin()),
            ("most", pool.size()),
        ):
            made.add_metric([name, state], number)
    return made


def _size(db: Database, session: ReadSession) -> Metric:
    made = GaugeMetricFamily("record_database_bytes", "What the base takes on disk.", labels=["part"])
    if not db.sqlite:
        query = text("SELECT pg_database_size(current_database())")
        made.add_metric(["base"], session.execute(query).scalar_one())
        return made
    base = Path(str(db.url.database))
    for part, path in (("base", base), ("log", base.with_name(base.name + "-wal"))):
        made.add_metric([part], path.stat().st_size if path.exists() else 0)
    return made
