"""What comes in has a greatest length, and what one anonymous client asks for takes bounded memory."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from app.base.boundary import MAX_TARGET, MAX_VALUE
from app.base.db import ReadSession
from app.base.http import MAX_REF, MOST_CHARACTERS
from app.compat import scoring
from app.main import MAX_ASKED
from tests.commands import forked
from tests.fuzz.memory import attack
from tests.fuzz.watch import HELD, WATCH
from tests.newsroom import SECRET, Bases, Json, Newsroom, ok, problem
from tests.served import environment, served

MB = 1024 * 1024
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


# --- lengths -----------------------------------------------------------------------------------


def _strings(schema: Json, schemas: Json) -> Iterator[Json]:
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if schema.get("type") == "string" and not schema.keys() & {"enum", "const"}:
        yield schema
    for inner in (*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())):
        yield from _strings(inner, schemas)


def _parameters(document: Json) -> Iterator[tuple[str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for parameter in operation["parameters"]:
                yield f"{method.upper()} {path} {parameter['name']}", parameter


def test_each_text_that_a_parameter_takes_has_a_greatest_length(seeded: Newsroom) -> None:
    document = seeded.get("/openapi.json")
    schemas = document["components"]["schemas"]
    endless = [
        name
        for name, parameter in _parameters(document)
        for schema in _strings(parameter["schema"], schemas)
        if "maxLength" not in schema and schema.get("format") not in ("date", "date-time")
    ]
    assert endless == []
    assert sum(1 for _ in _parameters(document)) > 300


def test_what_is_longer_is_refused_by_name(seeded: Newsroom) -> None:
    """In each operation that reads, each parameter of text is sent one character more than it takes."""
    document = seeded.get("/openapi.json")
    schemas = document["components"]["schemas"]
    for called, parameter in _parameters(document):
        method, path, name = called.split(" ")
        longest = [
            int(each["maxLength"]) for each in _strings(parameter["schema"], schemas) if "format" not in each
        ]
        if method != "GET" or parameter["in"] == "header" or not longest:
            continue
        value = "x" * (max(longest) + 1)
        if parameter["in"] == "path":
            answer = seeded.admin.get(path.replace(f"{{{name}}}", value).replace("{", "").replace("}", ""))
            problem(answer, 404, "not-found")
            continue
        answer = seeded.admin.get(path.replace("{", "").replace("}", ""), params={name: value})
        if answer.status_code != 404:  # of a record that is not there
            faults = problem(answer, 422)["errors"]
            assert any(fault["pointer"].startswith(name) for fault in faults), called


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/claims?q=" + "x" * MAX_TARGET, 414),
        ("/" + "x" * MAX_TARGET, 414),
        ("/v1/claims?speaker=" + "x" * (MOST_CHARACTERS + 1), 422),
        ("/v1/nothing?" + "&".join(f"a{n}=b" for n in range(1000)), 404),
        ("/v1/claims/" + "x" * (MAX_REF + 1), 404),
        ("/v1/entities/" + "%d0%b6" * (MAX_REF + 1), 404),
        ("/reconcile?queries=" + "x" * (MAX_TARGET - 100), 400),
    ],
    ids=lambda value: str(value)[:24],
)
def test_an_address_has_a_greatest_length(seeded: Newsroom, path: str, status: int) -> None:
    problem(seeded.anyone.get(path), status)


def test_a_header_has_a_greatest_length(seeded: Newsroom) -> None:
    for name in ("If-None-Match", "Accept", "Cookie", "X-Anything", "Authorization"):
        told = problem(seeded.anyone.get("/v1/claims", headers={name: "x" * (MAX_VALUE + 1)}), 431)
        assert name.lower() in told["detail"]
    assert seeded.anyone.get("/v1/claims", headers={"Cookie": "x" * MAX_VALUE}).status_code == 200


# --- batches -----------------------------------------------------------------------------------


def test_a_question_in_a_body_has_a_greatest_size_and_number_of_members(seeded: Newsroom) -> None:
    """8 MB of empty lists took 600 MB, and a second of the event loop."""
    large = "queries=" + "x" * MAX_ASKED
    problem(seeded.anyone.post("/reconcile", content=large, headers=FORM), 413, "too-large")
    wide = "queries={" + ",".join(f'"{n}":[[],[]]' for n in range(40_000)) + "}"
    told = problem(seeded.anyone.post("/reconcile", content=wide, headers=FORM), 400, "malformed")
    assert "values" in told["detail"]
    usual = {"queries": json.dumps({f"q{n}": {"query": f"Vladimir Putin {n}"} for n in range(300)})}
    assert len(seeded.anyone.post("/reconcile", data=usual).json()) == 300


BATCHES: Json = {
    "/reconcile": {"data": {"queries": json.dumps({"q": {"query": "Xi"}})}},
    "/core/api/v2/resolve": {"json": {"nodes": ["Xi"], "property": "<-description->dcid"}},
}


@pytest.mark.parametrize("path", BATCHES)
def test_a_batch_ends_when_its_client_goes_away(seeded: Newsroom, path: str) -> None:
    begun, ended = threading.Event(), threading.Event()
    endless = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        "postgresql": "SELECT pg_sleep(600)",
    }

    def candidates(session: ReadSession, *_more: Any) -> Any:
        connection = session.connection()
        begun.set()
        try:
            connection.exec_driver_sql(endless[connection.dialect.name])
        finally:
            ended.set()

    with patch.object(scoring, "candidates", candidates), seeded.client() as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post(path, **BATCHES[path], timeout=httpx.Timeout(30, read=1))
        assert begun.wait(10)
    assert ended.wait(5)
    assert "ent_" in str(ok(seeded.anyone.post(path, **BATCHES[path])))


@pytest.mark.parametrize("path", BATCHES)
def test_a_batch_takes_so_long_at_most(seeded: Newsroom, path: str) -> None:
    """Of the processor, which the database knows nothing of."""
    seeded.settings = seeded.settings.model_copy(update={"read_seconds": 0})
    seeded._answer()
    refused = seeded.anyone.post(path, **BATCHES[path])
    assert refused.status_code == 503
    assert "takes the processor for too long" in refused.text
    assert int(refused.headers["retry-after"]) > 0


def test_a_batch_has_so_many_values_at_most(seeded: Newsroom) -> None:
    """40 queries of 500 aliases each kept a processor busy for six seconds."""

    def asked(values: int) -> httpx.Response:
        aliases = [{"pid": "alias", "v": [f"Vladimir {n}" for n in range(50)]}]
        queries = {f"q{n}": {"query": "Putin", "properties": aliases} for n in range(values // 50)}
        return seeded.anyone.post("/reconcile", data={"queries": json.dumps(queries)})

    told = problem(asked(1_050), 422, "invalid")
    assert (told["errors"][0]["pointer"], "1000 are compared" in told["detail"]) == ("queries", True)
    assert len(ok(asked(1_000))) == 20


# --- memory ------------------------------------------------------------------------------------

CACHES = 8 * MB


def test_the_largest_text_is_read_beside_the_event_loop(bases: Bases, tmp_path: Path) -> None:
    """Bodies are read before the database has a part in it, so that one letter is enough for the second."""
    with bases.fresh(seeded=True) as url:
        env = environment(url, RECORD_SECRET=SECRET, RECORD_WEBHOOKS="false", **{WATCH: "yes"})
        token = forked(["key", "create", "Desk", "--role", "reporter"], env).out.strip()
        with served(env, tmp_path / "log") as server, server.client(token) as client:
            source = client.get("/v1/sources").json()["data"][0]["id"]
            for letter in ("ж", "a\u0301", "\\u0436") if url.startswith("sqlite") else ("ж",):
                text = letter * (7_900_000 // len(letter.encode()))
                answer = client.post(
                    f"/v1/sources/{source}/snapshots",
                    content=f'{{"text": "{text}"}}'.encode(),
                    headers={"Content-Type": "application/json"},
                )
                assert answer.status_code == 201, answer.text[:500]
            assert problem(client.post("/v1/claims", content=b'{"a":' * 20_000), 415)
            log = server.log.read_text()
    assert HELD not in log, log


def test_one_client_cannot_fill_the_memory_of_a_process(bases: Bases, tmp_path: Path) -> None:
    """A short form of what `make fuzz` does for ten minutes: ever new questions of all kinds."""
    with bases.fresh(seeded=True) as url:
        env = environment(
            url,
            RECORD_SECRET=SECRET,
            RECORD_LOG_LEVEL="warning",
            RECORD_WEBHOOKS="false",
            RECORD_CACHE_BYTES=str(CACHES),
            RECORD_REQUESTS_PER_ADDRESS="0",
            **{WATCH: "yes"},
        )
        with served(env, tmp_path / "log") as server:
            measured = attack(server, seconds=5)
            assert "Traceback" not in server.log.read_text()
    assert measured.failures(CACHES) == []
    assert measured.answers["200"] > 10
