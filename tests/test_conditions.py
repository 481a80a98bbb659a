"""Conditions, repeats and refusals, alike on every route: the tests find the routes themselves."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from app.base.db import WriteSession
from tests.contract import Operation, asking, call, operations, place, reading
from tests.newsroom import Json, Newsroom, Server, ok, problem

CLAIM = {"text": "Said once.", "mode": "paraphrase", "speakers": ["vladimir-putin"]}


# --- reads -------------------------------------------------------------------------------------


def test_a_read_has_a_strong_etag_and_is_not_sent_again(furnished: Newsroom) -> None:
    for operation, at in reading(furnished):
        answer = furnished.admin.get(at)
        tag = answer.headers["etag"]
        assert re.fullmatch(r'"(v\d+-)?[0-9a-f]{16}"', tag), operation
        assert "no-cache" in answer.headers["cache-control"], operation
        for known in (tag, f'"other", W/{tag}', "*"):
            again = furnished.admin.get(at, headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag), operation
        assert furnished.admin.get(at, headers={"If-None-Match": '"other"'}).status_code == 200, operation


def test_head_answers_as_get_without_the_body(furnished: Newsroom) -> None:
    plain = {"Accept-Encoding": "identity"}
    for operation, at in reading(furnished):
        whole, head = (furnished.admin.request(m, at, headers=plain) for m in ("GET", "HEAD"))
        assert (head.status_code, head.content) == (200, b""), operation
        for name in ("content-length", "content-type", "etag", "cache-control"):
            assert head.headers[name] == whole.headers[name], f"{operation}: {name}"


def test_pages_of_other_sites_may_read_and_answers_are_compressed(seeded: Newsroom) -> None:
    for encoding in ("gzip", "br", "zstd"):
        headers = {"Origin": "https://dashboard.example", "Accept-Encoding": encoding}
        answer = seeded.anyone.get("/v1/claims", headers=headers)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "ETag" in answer.headers["access-control-expose-headers"]
        assert answer.headers["content-encoding"] == encoding
        assert len(answer.json()["data"]) == 20
    asked = {"Origin": "https://x.example", "Access-Control-Request-Method": "GET"}
    assert seeded.anyone.options("/v1/claims", headers=asked).status_code == 200
    asked["Access-Control-Request-Method"] = "POST"
    assert seeded.anyone.options("/v1/claims", headers=asked).status_code == 400


def test_a_request_is_known_by_its_id(room: Newsroom) -> None:
    for given, known_by in (("desk-7", "desk-7"), ("a b<script>", "req_"), ("x" * 101, "req_")):
        answer = room.anyone.get("/v1/claims", headers={"X-Request-Id": given})
        assert answer.headers["x-request-id"].startswith(known_by)


def test_each_address_has_one_type(furnished: Newsroom) -> None:
    for operation, at in reading(furnished):
        problem(furnished.admin.get(at, headers={"Accept": "text/html"}), 406, "not-acceptable")
        family = operation.media.partition("/")[0]
        for accepted in ("*/*", f"{family}/*;q=0.5", f"text/html, {operation.media};q=0.1"):
            assert furnished.admin.get(at, headers={"Accept": accepted}).status_code == 200, operation


# --- changes -----------------------------------------------------------------------------------


def test_a_change_names_the_version_that_it_is_based_on(furnished: Newsroom) -> None:
    changes = [operation for operation in operations(furnished) if not operation.reads]
    assert sum(operation.if_match for operation in changes) >= 12
    for operation in changes:
        at = place(furnished, operation.path)
        send: Json = {"method": operation.method, "url": at, "json": operation.example}
        if not operation.if_match:
            continue
        with furnished.unchanged():
            problem(furnished.admin.request(**send), 428, "precondition-required")
            for stale in ('"v999"', 'W/"v1"', '"0123456789abcdef"'):
                refused = problem(furnished.admin.request(**send, headers={"If-Match": stale}), 412, "stale")
                assert refused["version"] >= 1, operation
            for malformed in ("v1", "", '"v1'):
                problem(furnished.admin.request(**send, headers={"If-Match": malformed}), 400, "malformed")
        free = furnished.admin.request(**send, headers={"If-Match": "*"})
        assert free.status_code in (200, 201, 409), f"{operation}: {free.text}"


def posts(room: Newsroom) -> list[Operation]:
    return [operation for operation in operations(room) if operation.method == "POST"]


def test_a_post_that_is_sent_again_acts_once(furnished: Newsroom) -> None:
    replayed = 0
    for number, operation in enumerate(posts(furnished)):
        at = place(furnished, operation.path)
        first = call(furnished, operation, at, Idempotency_Key=f"key {number}")
        before = furnished.state()
        again = call(furnished, operation, at, Idempotency_Key=f"key {number}")
        assert furnished.state() == before, operation
        if first.is_success:
            replayed += 1
            assert again.status_code == first.status_code, operation
            assert {**again.json(), "secret": 0} == {**first.json(), "secret": 0}, operation
            assert again.headers["idempotency-replayed"] == "true", operation
            for name in ("etag", "location"):
                assert again.headers.get(name) == first.headers.get(name), operation
            media = "application/x-ndjson" if operation.takes_files else "application/json"
            headers = {"If-Match": "*", "Idempotency-Key": f"key {number}", "Content-Type": media}
            other = furnished.admin.post(at, content=b'{"another": "body"}', headers=headers)
            problem(other, 422, "invalid")
    assert replayed >= 8


def test_a_replay_does_not_give_a_secret_again(room: Newsroom) -> None:
    body, headers = {"name": "Desk", "role": "checker"}, {"Idempotency-Key": "once"}
    first, again = (ok(room.admin.post("/v1/keys", json=body, headers=headers)) for _ in range(2))
    assert first["secret"].startswith("otr_")
    assert again == {**first, "secret": None}


def test_a_post_that_is_sent_in_parallel_acts_once(room: Newsroom) -> None:
    room.entity()

    def state(_: int) -> httpx.Response:
        return room.reporter.post("/v1/claims", json=CLAIM, headers={"Idempotency-Key": "the same"})

    with ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(state, range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(room.get("/v1/claims")["data"]) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ".encode(), "a\tb"])
def test_an_idempotency_key_is_short_and_plain(room: Newsroom, key: Any) -> None:
    room.entity()
    with room.unchanged():
        problem(room.reporter.post("/v1/claims", json=CLAIM, headers={"Idempotency-Key": key}), 400)


# --- refusals ----------------------------------------------------------------------------------


def test_what_is_not_there_or_not_done_so_is_said_in_the_one_form(room: Newsroom) -> None:
    for path in ("/v1", "/v1/nothing", "/v1/claims/", "/v2/claims", "/v1/claims/x/y/z"):
        problem(room.anyone.get(path), 404, "not-found")
    methods: dict[str, set[str]] = {}
    for operation in operations(room):
        methods.setdefault(operation.path, {"OPTIONS"}).add(operation.method)
    for path in methods:
        at = re.sub(r"{\w+}", "x", path)
        there = set().union(*(found for each, found in methods.items() if fits(each, at)))
        allowed = there | ({"HEAD"} if "GET" in there else set())
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - allowed:
            answer = room.admin.request(method, at)
            problem(answer, 405, "method-not-allowed")
            assert set(answer.headers["allow"].split(", ")) - {"OPTIONS"} == allowed - {"OPTIONS"}, path


def fits(path: str, at: str) -> bool:
    """Whether an address is one of a path: what ends in `.jsonld` could be an id too."""
    return re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)), at) is not None


def test_a_body_of_another_type_is_refused(furnished: Newsroom) -> None:
    with furnished.unchanged():
        for operation in operations(furnished):
            if operation.schema is None:
                continue
            for media in ("text/plain", "application/xml", "application/x-www-form-urlencoded", ""):
                headers = {"Content-Type": media, "If-Match": "*"}
                answer = furnished.admin.request(
                    operation.method, operation.nowhere, content=b"{}", headers=headers
                )
                problem(answer, 415, "unsupported-media-type")


def test_a_parameter_that_is_not_known_is_refused_with_the_nearest(furnished: Newsroom) -> None:
    for operation, at in reading(furnished):
        refused = problem(furnished.admin.get(asking(at, limti="5")), 422, "invalid")
        if operation.lists:
            assert "did you mean 'limit'?" in refused["detail"], operation


# --- faults ------------------------------------------------------------------------------------


BROKEN_COMMIT = {
    "sqlite": (
        "PRAGMA defer_foreign_keys=ON",
        "INSERT INTO claim_topics VALUES ('clm_no', 0, 'secret-word')",
    ),
    "postgresql": (
        "CREATE TEMP TABLE twice (word text UNIQUE DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP",
        "INSERT INTO twice VALUES ('secret-word'), ('secret-word')",
    ),
}


def test_a_commit_that_fails_is_never_a_201(room: Newsroom) -> None:
    room.entity()
    statements = BROKEN_COMMIT["sqlite" if room.db.sqlite else "postgresql"]

    def spoil(session: Session) -> None:
        for statement in statements:
            session.connection().exec_driver_sql(statement)

    event.listen(WriteSession, "before_commit", spoil)
    try:
        with room.unchanged():
            refused = problem(room.reporter.post("/v1/claims", json=CLAIM), 500, "internal")
            assert "secret-word" not in str(refused)
    finally:
        event.remove(WriteSession, "before_commit", spoil)
    assert ok(room.reporter.post("/v1/claims", json=CLAIM))["text"] == "Said once."


def test_a_fault_in_the_middle_leaves_nothing_and_the_next_request_is_served(room: Newsroom) -> None:
    room.entity()

    def fail(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "INTO claim_speakers" in statement:
            raise RuntimeError("in the middle")

    event.listen(room.db.writer, "before_cursor_execute", fail)
    try:
        with room.unchanged():
            problem(room.reporter.post("/v1/claims", json=CLAIM), 500, "internal")
    finally:
        event.remove(room.db.writer, "before_cursor_execute", fail)
    assert room.get("/v1/claims")["data"] == []
    ok(room.reporter.post("/v1/claims", json=CLAIM))


@pytest.mark.parametrize("url", ["postgresql://x:y@127.0.0.1:1/none", "sqlite:////nowhere/at/all.db"])
def test_a_database_that_is_away_is_503_and_the_process_answers(server: Server, url: str) -> None:
    room = Newsroom(server, url, pool_size=2)
    room.tampered = True  # there is no base to check
    with room:
        for path in ("/v1/claims", "/readyz"):
            answer = room.anyone.get(path)
            problem(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
        assert room.anyone.get("/healthz").json() == {"status": "ok"}
        with room.client("otr_x") as someone:
            problem(someone.post("/v1/claims", json=CLAIM), 503, "unavailable")


def test_a_base_that_is_ready_says_so(room: Newsroom) -> None:
    assert room.anyone.get("/readyz").json() == {"status": "ready"}
