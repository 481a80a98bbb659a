"""Conditions, repeats and refusals, alike on every route: the tests find the routes themselves."""

import gzip
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session
from starlette.routing import Mount, Route

from app.base.db import WriteSession
from app.base.fields import CODINGS as COMPRESSED
from tests.contract import Operation, asking, call, operations, place, reading, reading_in_turn
from tests.newsroom import Json, Newsroom, Server, ok, problem

CODINGS = ("identity", *COMPRESSED)
CLAIM = {"text": "Said once.", "mode": "paraphrase", "speakers": ["vladimir-putin"]}


# --- reads -------------------------------------------------------------------------------------


def test_a_read_has_a_strong_etag_in_each_coding_and_is_not_sent_again(furnished: Newsroom) -> None:
    """One function reads If-None-Match for all routes: each route is sent one of its forms, of the answer in
    one coding or in none, in turn.
    """
    for number, operation, at in reading_in_turn(furnished):
        tags = {}
        for coding in (CODINGS[0], CODINGS[1 + number % (len(CODINGS) - 1)]):
            accepted = {"Accept-Encoding": coding}
            answer = furnished.admin.get(at, headers=accepted)
            sent = answer.headers.get("content-encoding")
            tag = tags[sent] = answer.headers["etag"]
            assert sent in (None, coding), operation
            assert re.fullmatch(rf'"(v\d+-)?[0-9a-f]{{16}}{f"-{sent}" if sent else ""}"', tag), operation
            assert "no-cache" in answer.headers["cache-control"], operation
        if number // 2 % 2:
            accepted = {"Accept-Encoding": CODINGS[0]}
            tag = tags[None]
        known = ([tag], ['"other", W/' + tag], ["*"], ['"other"', tag])[number // 4 % 4]
        again = furnished.admin.get(at, headers=lines(accepted, "If-None-Match", known))
        assert (again.status_code, again.content) == (304, b""), f"{operation}: {known}"
        assert again.headers["etag"] == tag, operation
        for name in ("cache-control", "vary"):
            assert again.headers.get(name) == answer.headers.get(name), f"{operation}: {name}"
        # None of these is it, nor all of them in one field.
        others = sorted({'"other"', tag.replace('"v', '"w'), *tags.values()} - {tag})
        again = furnished.admin.get(at, headers={**accepted, "If-None-Match": ", ".join(others)})
        assert again.status_code == 200, f"{operation}: {others}"
        assert len(set(tags.values())) == len(tags), operation


def lines(headers: dict[str, str], name: str, values: list[str]) -> list[tuple[str, str]]:
    """Headers in which one comes in several lines."""
    return [*headers.items(), *((name, value) for value in values)]


def test_a_read_holds_to_the_version_that_it_names(furnished: Newsroom) -> None:
    """If-Match first, then If-None-Match (RFC 9110, section 13.2.2). One function reads them for all routes:
    each route is sent one of the forms, by one of the methods, in turn.
    """
    for number, operation, at in reading_in_turn(furnished):
        tag = furnished.admin.get(at).headers["etag"]
        held = ([tag], ["*"], ['"other", ' + tag], ['"other"', tag])[number % 4]
        answer = furnished.admin.get(at, headers=lines({}, "If-Match", held))
        assert answer.status_code == 200, f"{operation}: {held}"
        failed = (['"other"'], [f"W/{tag}"], [tag.upper()], ['"other"', f"W/{tag}"])[number // 4 % 4]
        method = ("GET", "HEAD")[(number + number // 16) % 2]
        headers = lines({"If-None-Match": "*", "Range": "bytes=0-1"}, "If-Match", failed)
        answer = furnished.admin.request(method, at, headers=headers)
        assert answer.status_code == 412, f"{operation}: {failed}"
    assert furnished.admin.get(at, headers={"If-Match": "v1"}).status_code == 400, operation


def test_head_answers_as_get_without_the_body(furnished: Newsroom) -> None:
    for number, operation, at in reading_in_turn(furnished):
        coding = {"Accept-Encoding": CODINGS[number % len(CODINGS)]}
        whole, head = (furnished.admin.request(m, at, headers=coding) for m in ("GET", "HEAD"))
        assert (head.status_code, head.content) == (200, b""), operation
        own = {"x-request-id", "date"}
        for name in (whole.headers.keys() | head.headers.keys()) - own:
            assert head.headers.get(name) == whole.headers.get(name), f"{operation}: {name}"


def test_pages_of_other_sites_may_read_and_answers_are_compressed(seeded: Newsroom) -> None:
    for encoding in ("gzip", "br", "zstd"):
        headers = {"Origin": "https://dashboard.example", "Accept-Encoding": encoding}
        answer = seeded.anyone.get("/v1/claims", headers=headers)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "ETag" in answer.headers["access-control-expose-headers"]
        assert answer.headers["content-encoding"] == encoding
        assert len(answer.json()["data"]) == 20
    asked = {"Origin": "https://x.example", "Access-Control-Request-Method": "GET"}
    allowed = seeded.anyone.options("/v1/claims", headers=asked)
    assert (allowed.status_code, allowed.content) == (204, b"")
    assert allowed.headers["access-control-allow-methods"] == "GET, HEAD"
    asked["Access-Control-Request-Method"] = "POST"
    assert seeded.anyone.options("/v1/claims", headers=asked).status_code == 400


def test_a_request_is_known_by_its_id(room: Newsroom) -> None:
    for given, known_by in (("desk-7", "desk-7"), ("a b<script>", "req_"), ("x" * 101, "req_")):
        answer = room.anyone.get("/v1/claims", headers={"X-Request-Id": given})
        assert answer.headers["x-request-id"].startswith(known_by)


def test_each_address_has_one_type(furnished: Newsroom) -> None:
    """One function reads Accept for all routes: the first route of each type is sent every form, the others
    one of those that are refused and one of those that are taken, in turn.
    """
    met: Counter[str] = Counter()
    for operation, at in reading(furnished):
        media, family = operation.media, operation.media.partition("/")[0]
        json = media == "application/json" or media.endswith("+json")
        number = met[media]
        met[media] += 1
        refusing = (
            ["text/html"],
            [f"*/*, {media};q=0"],
            [f"{family}/*;q=0.0000, */*"],
            ["*/*;q=0.000"],
            ["text/html", "image/png"],
            *([] if json else [["application/json"]]),
        )
        accepting = (
            ["*/*"],
            [f"{family}/*;q=0.5"],
            [f"text/html, {media};q=0.1"],
            [f"*/*;q=0, {media.upper()} ; Q=0.001"],
            [f'text/html;x="a,b;q=0", {media};charset=utf-8'],
            ["text/html", media],
            [""],
            *([["application/json"], ["*/*;q=0, application/json"]] if json else []),
        )
        for refused in refusing if not number else [refusing[number % len(refusing)]]:
            answer = furnished.admin.get(at, headers=lines({}, "Accept", refused))
            assert "Accept" in answer.headers["vary"].split(", "), f"{operation}: {refused}"
            problem(answer, 406, "not-acceptable")
        for accepted in accepting if not number else [accepting[number % len(accepting)]]:
            answer = furnished.admin.get(at, headers=lines({}, "Accept", accepted))
            assert answer.status_code == 200, f"{operation}: {accepted}"


# --- changes -----------------------------------------------------------------------------------


def test_a_change_names_the_version_that_it_is_based_on(furnished: Newsroom) -> None:
    """One function reads both conditions for all routes: the first route is sent all pairs of them, each
    other one, in turn, as of what is stale and what is malformed.
    """
    changes = [operation for operation in operations(furnished) if not operation.reads]
    changes = [operation for operation in changes if operation.if_match]
    assert len(changes) >= 12
    for number, operation in enumerate(changes):
        at = place(furnished, operation.path)
        send: Json = {"method": operation.method, "url": at, "json": operation.example}
        with furnished.unchanged():
            problem(furnished.admin.request(**send), 428, "precondition-required")
            stale = ('"v999"', 'W/"v1"', '"0123456789abcdef"')[number % 3]
            refused = problem(furnished.admin.request(**send, headers={"If-Match": stale}), 412, "stale")
            assert refused["version"] >= 1, operation
            malformed = ("v1", "", '"v1')[number % 3]
            problem(furnished.admin.request(**send, headers={"If-Match": malformed}), 400, "malformed")
            version = refused["version"]
            tags = [
                f'"v{version}"',
                *(f'"v{version}-0123456789abcdef{x}"' for x in ("", "-br", "-gzip", "-zstd")),
            ]
            pairs = [*zip([*tags, "*"], ["*", *tags], strict=True)]
            for tag, unless in [pairs[number % len(pairs)]] if number else pairs:
                for condition in ([tag], ['"v999"', tag]):
                    there = {"If-None-Match": unless}
                    headers = lines(there, "If-Match", condition) if "*" not in condition else there
                    answer = furnished.admin.request(**send, headers=headers)
                    problem(answer, 412, "precondition-failed")
        free = furnished.admin.request(**send, headers={"If-Match": "*"})
        assert free.status_code in (200, 201, 409), f"{operation}: {free.text}"


def test_a_change_of_no_version_holds_to_no_version(furnished: Newsroom) -> None:
    failed = 0
    for operation in operations(furnished):
        if operation.reads or operation.if_match:
            continue
        at = place(furnished, operation.path)
        with furnished.unchanged():
            for condition in ({"If-None-Match": "*"}, {"If-Match": '"v999"'}, {"If-Match": '"other"'}):
                send: Json = {"method": operation.method, "url": at, "json": operation.example}
                answer = furnished.admin.request(**send, headers=condition)
                assert not answer.is_success, f"{operation}: {condition}"
                failed += answer.status_code == 412
    assert failed >= 24


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
            assert again.headers.get("location") == first.headers.get("location"), operation
            plain = [each.headers["etag"].replace('-zstd"', '"') for each in (first, again)]
            assert plain[0] == plain[1], operation
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
    """One function refuses methods for all paths: each path is asked by one or two of them, in turn."""
    for path in ("/v1", "/v1/nothing", "/v1/claims/", "/v2/claims", "/v1/claims/x/y/z"):
        problem(room.anyone.get(path), 404, "not-found")
    methods: dict[str, set[str]] = {}
    for route in room.app.routes:
        if isinstance(route, Route):
            methods.setdefault(route.path, {"OPTIONS"}).update(route.methods or ())
        elif isinstance(route, Mount):
            methods[f"{route.path}/x"] = {"OPTIONS", "GET"}
    for number, path in enumerate(methods):
        at = re.sub(r"{\w+}", "x", path)
        there = set().union(*(found for each, found in methods.items() if fits(each, at)))
        allowed = there | ({"HEAD"} if "GET" in there else set())
        refused = sorted({"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} - allowed)
        for method in {refused[number % len(refused)], refused[number // 2 % len(refused)]}:
            answer = room.admin.request(method, at)
            problem(answer, 405, "method-not-allowed")
            assert set(answer.headers["allow"].split(", ")) == allowed, path
        told = room.anyone.options(at, headers={"Origin": "https://x.example"} if number % 2 else {})
        assert (told.status_code, told.content) == (204, b""), path
        assert set(told.headers["allow"].split(", ")) == allowed, path
        assert "content-length" not in told.headers


def fits(path: str, at: str) -> bool:
    """Whether an address is one of a path: what ends in `.jsonld` could be an id too."""
    return re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)), at) is not None


def test_a_body_of_another_type_is_refused(furnished: Newsroom) -> None:
    with furnished.unchanged():
        for operation in operations(furnished):
            if operation.schema is None:
                continue
            method, at = operation.method, operation.nowhere
            for media in ("text/plain", "application/xml", "application/x-www-form-urlencoded", ""):
                headers = {"Content-Type": media, "If-Match": "*"}
                answer = furnished.admin.request(method, at, content=b"{}", headers=headers)
                problem(answer, 415, "unsupported-media-type")
                told = answer.headers[f"accept-{method.lower()}"]
                assert "application/json" in told, operation
                assert furnished.anyone.options(at).headers[f"accept-{method.lower()}"] == told, operation
            packed = {"Content-Type": "application/json", "Content-Encoding": "gzip", "If-Match": "*"}
            answer = furnished.admin.request(method, at, content=gzip.compress(b"{}"), headers=packed)
            problem(answer, 415, "unsupported-media-type")
            assert answer.headers["accept-encoding"] == "identity", operation


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
