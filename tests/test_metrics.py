"""What Prometheus is told, what the dashboard and the alerts ask for, and what a tracing collector gets."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import process_time
from typing import Any

import httpx
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from app.base import recent
from app.operations import metrics
from tests.newsroom import Newsroom, SqliteBases, ok, problem
from tests.served import environment, served
from tests.test_streams import following

MONITORING = Path(__file__).parents[1] / "docs" / "monitoring"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told is of now: by default it is kept for a moment."""
    monkeypatch.setattr(recent, "KEPT_SECONDS", 0)


def scraped(client: httpx.Client) -> Samples:
    """Every sample, by its name and labels."""
    answer = client.get("/metrics", headers={"Accept": "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    families = text_string_to_metric_families(answer.text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float:
    """A sample's value; 0 where there is none yet."""
    return samples.get((name, frozenset(labels.items())), 0)


def answered(samples: Samples, method: str, route: str, status: str) -> float:
    return value(samples, "record_http_requests_total", method=method, route=route, status=status)


# --- requests ----------------------------------------------------------------------------------

ASKED = [
    ("GET", "/v1/claims", "/v1/claims", "2xx"),
    ("HEAD", "/v1/claims", "/v1/claims", "2xx"),
    ("GET", "/v1/claims?speaker=nobody", "/v1/claims", "4xx"),
    ("DELETE", "/v1/claims", "/v1/claims", "4xx"),
    ("GET", "/v1/entities/vladimir-putin", "/v1/entities/{ref}", "2xx"),
    ("GET", "/v1/nothing", "none", "4xx"),
    ("BREW", "/nowhere", "none", "4xx"),
    ("GET", "/healthz", "/healthz", "2xx"),
]


def test_requests_are_counted_by_route_method_and_status(seeded: Newsroom) -> None:
    before = scraped(seeded.reader)
    for method, path, route, status in ASKED:
        before = are_counted(seeded, before, method, path, route, status)


def are_counted(
    seeded: Newsroom, before: Samples, method: str, path: str, route: str, status: str
) -> Samples:
    """Ask three times, and return what is told then."""
    name = method if method in metrics.METHODS else "other"
    for _ in range(3):
        answer = seeded.anyone.request(method, path)
        assert f"{answer.status_code // 100}xx" == status
    after = scraped(seeded.reader)
    assert answered(after, name, route, status) == answered(before, name, route, status) + 3
    took = "record_http_request_duration_seconds"
    for part, more in (("_count", 3), ("_bucket", 3)):
        labels = {"method": name, "route": route} | ({"le": "+Inf"} if part == "_bucket" else {})
        assert value(after, took + part, **labels) == value(before, took + part, **labels) + more
    summed = [value(each, f"{took}_sum", method=name, route=route) for each in (before, after)]
    assert 0 < summed[1] - summed[0] < 60
    return after


def test_what_nobody_caught_counts_as_failed(room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_given: object) -> None:
        raise ZeroDivisionError

    before = scraped(room.reader)
    monkeypatch.setattr("app.entities.store.create", fail)
    assert room.reporter.post("/v1/entities", json={"name": "A", "kind": "person"}).status_code == 500
    after = scraped(room.reader)
    asked = "POST", "/v1/entities", "5xx"
    assert answered(after, *asked) == answered(before, *asked) + 1


def test_a_request_that_is_being_answered_is_in_flight(room: Newsroom) -> None:
    assert value(scraped(room.reader), "record_http_requests_in_flight") == 1, "the scrape itself"
    release, asked = threading.Event(), threading.Event()

    def body() -> Iterator[bytes]:
        yield b"{"
        asked.set()
        release.wait(20)
        yield b"}"

    def send() -> None:
        room.another("reporter").post(
            "/v1/entities", content=body(), headers={"Content-Type": "application/json"}
        )

    sender = threading.Thread(target=send)
    sender.start()
    try:
        assert asked.wait(20)
        flying = (value(scraped(room.reader), "record_http_requests_in_flight") for _ in range(20))
        assert 2 in flying  # at the first scrape or soon: the server may be behind the client
    finally:
        release.set()
        sender.join()
    assert value(scraped(room.reader), "record_http_requests_in_flight") == 1


def test_it_costs_a_few_microseconds() -> None:
    """In processor time, which other work on the machine does not change; the best of several tries."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    async def nowhere(_message: Any) -> None:
        return None

    async def cost(of: Any) -> float:
        began = process_time()
        for _ in range(5000):
            await of({"type": "http", "method": "GET"}, None, nowhere)
        return (process_time() - began) / 5000

    async def both() -> list[float]:
        return [
            await cost(metrics.Measure(app, metrics.Metrics("1", []))) - await cost(app) for _ in range(9)
        ]

    assert min(asyncio.run(both())) < 10e-6


# --- the base ----------------------------------------------------------------------------------


def test_the_base_is_told_of(seeded: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "COUNTED_EVERY", 0)
    seeded.reporter.get("/healthz")
    before = scraped(seeded.reader)
    seeded.entity("Somebody New")
    after = scraped(seeded.reader)
    assert value(after, "record_ledger_seq") == value(before, "record_ledger_seq") + 1
    assert value(after, "record_records", kind="entity") == value(before, "record_records", kind="entity") + 1
    assert value(after, "record_records", kind="claim") == 33
    assert value(after, "record_claims", status="unverified") == 33
    assert value(after, "record_database_up") == 1
    assert value(after, "record_database_bytes", part="base") > 100_000
    assert value(after, "process_cpu_seconds_total") > 0
    assert value(after, "process_resident_memory_bytes") > 10_000_000
    [labels] = [dict(labels) for name, labels in after if name == "record_build_info"]
    assert labels.keys() == {"version", "python", "sqlite"}
    pools = {dict(labels)["pool"] for name, labels in after if name == "record_database_connections"}
    assert pools == set(seeded.db.pools)


def test_what_is_open_and_what_was_sent_is_told(room: Newsroom) -> None:
    room.entity()
    before = scraped(room.reader)
    with following(room.reader) as events:
        next(events)
        assert value(scraped(room.reader), "record_streams_open") == value(before, "record_streams_open") + 1
    assert value(before, "record_webhooks", state="delivering") == 0
    for taken in (True, False, False):
        room.app.state.metrics.note_delivery(taken)
    after = scraped(room.reader)
    for outcome, more in (("delivered", 1), ("failed", 2)):
        name, label = "record_webhook_deliveries_total", {"outcome": outcome}
        assert value(after, name, **label) == value(before, name, **label) + more


def test_a_large_table_is_not_counted_at_every_scrape(seeded: Newsroom) -> None:
    scraped(seeded.reader)
    seeded.entity("Somebody New")
    with seeded.queries() as sent:
        scraped(seeded.reader)
    assert [statement for statement in sent if "count(" in statement.lower()] == []


def test_a_connection_in_use_is_told(seeded: Newsroom) -> None:
    name = next(iter(seeded.db.pools))
    with seeded.db.read() as session:
        session.connection()
        found = scraped(seeded.reader)
        assert value(found, "record_database_connections", pool=name, state="in_use") == 1
    assert value(found, "record_database_connections", pool=name, state="most") == 20


# --- who may ask -------------------------------------------------------------------------------


def test_metrics_need_a_key_unless_they_are_public(room: Newsroom) -> None:
    problem(room.anyone.get("/metrics"), 401, "unauthorized")
    assert scraped(room.reader)
    with room.with_settings(public_metrics=True) as public:
        assert scraped(public.anyone)
    with room.with_settings(public_reading=False, public_metrics=True) as closed:
        assert scraped(closed.anyone)
        problem(closed.anyone.get("/v1/claims"), 401)


def test_a_base_that_is_away_is_told_where_no_key_must_be_checked(
    room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    with room.with_settings(public_metrics=True) as public:
        public.tampered = True
        monkeypatch.setattr(type(public.db), "missing", property(lambda _self: True))
        found = scraped(public.anyone)
        assert value(found, "record_database_up") == 0
        assert "record_ledger_seq" not in {name for name, _ in found}
        with public.client("otr_x") as somebody:
            problem(somebody.get("/metrics"), 503)
        monkeypatch.undo()


# --- what asks for them ------------------------------------------------------------------------

NAME = re.compile(r"\b(?:record|process)_[a-z_]+\b")


def expressions() -> list[str]:
    """Every expression of the dashboard and the alerts."""
    board = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    shown = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    noted = [each["expr"] for each in board["annotations"]["list"]]
    asked = [each["definition"] for each in board["templating"]["list"] if "definition" in each]
    rules = yaml.safe_load((MONITORING / "prometheus-alerts.yml").read_text())
    alerts = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    assert min(map(len, (shown, noted, asked, alerts))) > 0
    return [*shown, *noted, *asked, *alerts]


def unknown(asked: list[str], samples: Samples) -> set[str]:
    """The names that are asked for and not told."""
    return {name for each in asked for name in NAME.findall(each)} - {name for name, _ in samples}


def test_every_metric_that_is_asked_for_is_told(seeded: Newsroom) -> None:
    ok(seeded.admin.post("/v1/webhooks", json={"url": "https://desk.invalid/hook"}))
    seeded.anyone.get("/v1/claims")
    samples = scraped(seeded.reader)
    assert unknown(expressions(), samples) == set()
    assert unknown(["rate(record_nothing_total[5m])"], samples) == {"record_nothing_total"}
    asked = {name for each in expressions() for name in NAME.findall(each)}
    ours = {name for name, _ in samples if name.startswith("record_")}
    assert ours - asked == set(), "told, and on no panel"


def test_every_label_that_is_asked_for_is_told(seeded: Newsroom) -> None:
    ok(seeded.admin.post("/v1/webhooks", json={"url": "https://desk.invalid/hook"}))
    seeded.anyone.get("/v1/claims")
    labels = {label for _, pairs in scraped(seeded.reader) for label, _ in pairs}
    for each in expressions():
        assert each.count("(") == each.count(")"), each
        for listed in re.findall(r"\b(?:by|on) \(([^)]*)\)", each):
            assert set(listed.split(", ")) <= labels | {"job", "instance"}, each
        for matcher in re.findall(r"(\w+)=~?\"", each):
            assert matcher in labels | {"job", "instance"}, each


# --- traces ------------------------------------------------------------------------------------


@dataclass
class Collector:
    """Takes what OTLP over HTTP sends."""

    got: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def spans(self) -> list[Any]:
        found = [
            ExportTraceServiceRequest.FromString(body) for path, body in self.got if path == "/v1/traces"
        ]
        return [
            s for each in found for r in each.resource_spans for scope in r.scope_spans for s in scope.spans
        ]

    @contextmanager
    def listening(self) -> Iterator[str]:
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                got.append((self.path, body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_given: object) -> None:
                """Says nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield f"http://127.0.0.1:{server.server_address[1]}"
            server.shutdown()
            thread.join()


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_requests_are_traced_where_a_collector_is_named(sqlite_bases: SqliteBases, tmp_path: Path) -> None:
    collector, trace = Collector(), "0af7651916cd43dd8448eb211c80319c"
    with sqlite_bases.fresh(seeded=True) as url, collector.listening() as address:
        named = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "OTEL_SERVICE_NAME": "record",
        }
        with (
            served({**environment(url), **named}, tmp_path / "log") as server,
            server.client("otr_x") as client,
        ):
            parent = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
            client.get("/v1/claims/clm_none", headers=parent)
            client.get("/metrics")
            server.process.terminate()
            assert server.process.wait(20) == 0
        assert "Traceback" not in server.log.read_text()
    [span] = [each for each in collector.spans if each.trace_id.hex() == trace and each.kind == 2]
    assert span.name == "GET /v1/claims/{claim_id}"
    told = attributes(span)
    assert (told["http.route"], told["http.response.status_code"]) == ("/v1/claims/{claim_id}", 401)
    assert {attributes(each).get("http.route") for each in collector.spans} >= {"/v1/claims/{claim_id}"}
    assert not any(str(attributes(each).get("url.path")) == "/metrics" for each in collector.spans)
    assert b"otr_x" not in b"".join(body for _, body in collector.got), "no key leaves in a trace"


def test_nothing_is_traced_where_no_collector_is_named(sqlite_bases: SqliteBases, tmp_path: Path) -> None:
    with sqlite_bases.fresh(seeded=True) as url, served(environment(url), tmp_path / "log") as server:
        with server.client() as client:
            client.get("/v1/claims", headers={"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"})
        assert "telemetry" not in server.log.read_text().lower()
