"""Bad input: a clear refusal in the one form, and a base that stays as it was."""

import json
import re
import socket
from collections import defaultdict
from itertools import count, cycle
from time import process_time
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract import Operation, asking, operations, place
from tests.newsroom import Json, Newsroom, match, ok, problem

CLAIM: Json = {"text": "Said once.", "mode": "paraphrase", "speakers": ["vladimir-putin"]}


def claim(**more: Any) -> bytes:
    return json.dumps({**CLAIM, **more}).encode()


def figure(**more: Any) -> bytes:
    return claim(figures=[{"measure": "gas", "value": "1", "unit": "m3", **more}])


BODIES: dict[str, tuple[bytes, int]] = {
    "no body": (b"", 422),
    "not JSON": (b"text=Said", 400),
    "cut off": (claim()[:-5], 400),
    "two documents": (claim() + claim(), 400),
    "not UTF-8": (b'{"text": "\xff\xfe"}', 400),
    "UTF-16": (claim().decode().encode("utf-16"), 400),
    "a list": (b"[]", 422),
    "a string": (b'"claim"', 422),
    "null": (b"null", 422),
    "a key twice": (b'{"text": "a", "text": "b"}', 400),
    "NaN": (figure().replace(b'"1"', b"NaN"), 400),
    "Infinity": (figure().replace(b'"1"', b"-Infinity"), 400),
    "1e400": (figure().replace(b'"1"', b"1e400"), 400),
    "an exponent beyond counting": (figure().replace(b'"1"', b"1e99999999999999999999"), 400),
    "60 digits": (figure().replace(b'"1"', b"1" * 60), 422),
    "6000 digits": (figure().replace(b'"1"', b"1" * 6000), 400),
    "60 digits in a string": (figure(value="1" * 60), 422),
    "NaN in a string": (figure(value="NaN"), 422),
    "nested a thousand deep": (b'{"about":' + b"[" * 1000 + b"]" * 1000 + b"}", 400),
    "nested a hundred thousand deep": (b"[" * 100_000, 400),
    "a lone surrogate": (claim(text="\ud800"), 422),
    "a NUL": (claim(text="a\x00b"), 422),
    "a NUL in a key": (claim(**{"te\x00xt": "a"}), 422),
    "an escape character": (claim(text="\x1b[31mred"), 422),
    "nothing but spaces": (claim(text=" \n\t"), 422),
    "nothing that can be seen": (claim(text="\u200b\u3164\u2800\u0301\ufe0f\U000e0041"), 422),
    "a title that cannot be seen": (claim(speakers=[{"entity": "vladimir-putin", "title": "\u2060"}]), 422),
    "a text too long": (claim(text="x" * 20_001), 422),
    "an unknown field": (claim(speaker="vladimir-putin"), 422),
    "an unknown field within": (figure(unti="m3"), 422),
    "null where a value is needed": (claim(text=None), 422),
    "null for a list": (claim(about=None), 422),
    "a number for a text": (claim(text=5), 422),
    "a boolean for a text": (claim(text=True), 422),
    "a text for a boolean": (figure(is_record="true"), 422),
    "a boolean for a number": (figure(value=True), 422),
    "no speaker": (claim(speakers=[]), 422),
    "a speaker that is not there": (claim(speakers=["vladimir-putn"]), 422),
    "a speaker twice": (claim(speakers=["vladimir-putin", {"entity": "vladimir-putin"}]), 422),
    "an id of another noun": (claim(speakers=["clm_01m87gne0veherp8apm1m6sqm3"]), 422),
    "an id of nothing": (claim(repeats="clm_01m87gne0veherp8apm1m6sqm3"), 422),
    "a day that does not exist": (claim(said="2023-02-30"), 422),
    "a month that does not exist": (claim(said="2023-13"), 422),
    "a date in words": (claim(said="last Tuesday"), 422),
    "a date a thousand long": (claim(said="2023" * 250), 422),
    "a year with an exponent": (claim(said="Y1E5000000"), 422),
    "a period with an exponent": (figure(period="2020/Y1E5000000"), 422),
    "a due day that does not exist": (claim(due="2023-02-29"), 422),
    "a due moment": (claim(due="2023-02-28T00:00:00Z"), 422),
    "an unknown mode": (claim(mode="quote"), 422),
    "an unknown language": (claim(language="not a language"), 422),
    "a topic that is no slug": (claim(topics=["Energy & Gas"]), 422),
    "an unknown unit": (figure(unit="furlong"), 422),
    "a hundred and one figures": (claim(figures=[{"measure": "a", "value": "1", "unit": "1"}] * 101), 422),
    "a source that is not there": (claim(appearances=[{"source": "https://example.org/none"}]), 422),
    "a source that is no URL": (claim(appearances=[{"source": "\\\\share"}]), 422),
}


def test_a_claim_that_cannot_be_is_refused_and_leaves_no_trace(room: Newsroom) -> None:
    room.entity()
    headers = {"Content-Type": "application/json"}
    with room.unchanged():
        for name, (body, status) in BODIES.items():
            answer = room.reporter.post("/v1/claims", content=body, headers=headers)
            assert answer.status_code == status, f"{name}: {answer.status_code} {answer.text}"
            refused = problem(answer, status)
            assert len(answer.content) < 5_000, name
            assert status == 400 or refused["errors"], name


WIDE: dict[str, tuple[bytes, int]] = {
    "8000 unknown fields": (claim(**{f"speakers{n}": 1 for n in range(8000)}), 400),
    "199 unknown fields": (claim(**{f"speakers{n}": 1 for n in range(190)}), 422),
    "100 figures of 190 unknown fields": (claim(figures=[{f"measure{n}": 1 for n in range(190)}] * 100), 422),
    "4 million values": (b'{"text": [' + b"null," * 1_600_000 + b"null]}", 400),
    "2.7 million lists": (b'{"text": [' + b"[]," * 2_600_000 + b"[]]}", 400),
    "700,000 members": (b"{" + b",".join(b'"%d":1' % n for n in range(700_000)) + b"}", 400),
    "strings and nothing between them": (b'"" ' * 2_600_000, 400),
    "escapes": (b'{"text": "' + b"\\\\" * 3_900_000 + b'"}', 422),
    "names of 2000 letters": (claim(**{"x" * 2000 + str(n): 1 for n in range(190)}), 422),
    "a name of a million letters": (claim(**{"x" * 1_000_000: 1}), 422),
    "a hundred speakers that are not there": (claim(about=[f"vladimir-put{n}" for n in range(50)]), 422),
    "a million combining marks": (b'{"text": "' + b"\\u0301" * 1_000_000 + b'"}', 422),
    "a snapshot of combining marks": (claim(text="a" + "\u0316\u0301" * 9_000), 422),
}


def test_a_refusal_costs_little_and_is_short_whatever_was_sent(room: Newsroom) -> None:
    room.entity()
    headers = {"Content-Type": "application/json"}
    with room.unchanged():
        for name, (body, status) in WIDE.items():
            began = process_time()  # of this process, which the server is in
            answer = room.reporter.post("/v1/claims", content=body, headers=headers)
            took = process_time() - began
            assert answer.status_code == status, f"{name}: {answer.status_code} {answer.text[:500]}"
            refused = problem(answer, status)
            assert len(refused.get("errors", [])) <= 20, name
            assert len(answer.content) < 10_000, name
            assert took < 2, f"{name}: {took:.2f} s"


def test_a_refusal_counts_what_it_does_not_list(room: Newsroom) -> None:
    unknown = {f"field{n}": 1 for n in range(30)}
    refused = problem(room.reporter.post("/v1/claims", json={**CLAIM, **unknown}), 422)
    assert (len(refused["errors"]), refused["more_errors"]) == (20, 10)
    assert "(29 more)" in refused["detail"]
    nobody = problem(
        room.reporter.post("/v1/claims", json={**CLAIM, "about": [f"n{n}" for n in range(25)]}), 422
    )
    assert (len(nobody["errors"]), nobody["more_errors"]) == (20, 6)
    asked = {"queries": json.dumps({"q0": {"query": "Putin", **unknown}})}
    batch = problem(room.anyone.post("/reconcile", data=asked), 422)
    assert (len(batch["errors"]), batch["more_errors"]) == (20, 10)
    assert batch["errors"][0]["pointer"].startswith("/q0/field")


@pytest.mark.parametrize("name", ["id", "jobs", "x", "zzzzzz"])
def test_what_is_like_no_known_name_meets_none(room: Newsroom, name: str) -> None:
    for body in ({name: 1}, {"figures": [{"measure": "a", "value": "1", "unit": name}]}):
        refused = problem(room.reporter.post("/v1/claims", json={**CLAIM, **body}), 422)
        assert "did you mean" not in refused["errors"][0]["detail"], refused


def test_combining_marks_are_refused_in_every_text(room: Newsroom) -> None:
    marked = "a" + "\u0301" * 31
    room.entity()
    writes: list[tuple[str, Json]] = [
        ("/v1/claims", {**CLAIM, "text": marked}),
        ("/v1/claims", {**CLAIM, "figures": [{"measure": marked, "value": "1", "unit": "m3"}]}),
        ("/v1/entities", {"kind": "person", "name": marked}),
        ("/v1/entities", {"kind": "person", "name": "A", "aliases": [{"name": marked}]}),
        ("/v1/sources", {"url": "https://example.org/a", "title": marked}),
        ("/v1/sources", {"url": "https://example.org/a", "title": "A", "snapshot": {"text": marked}}),
    ]
    with room.unchanged():
        for path, body in writes:
            refused = problem(room.reporter.post(path, json=body), 422)
            assert "combining marks" in refused["detail"], refused
        for path in ("/v1/claims", "/v1/search", "/v1/entities"):
            assert "combining marks" in problem(room.anyone.get(path, params={"q": marked}), 422)["detail"]
        for media, file in {
            "application/x-ndjson": json.dumps({"claim": {**CLAIM, "text": marked}}),
            "text/csv": f"text,mode,speaker\n{marked},paraphrase,vladimir-putin\n",
        }.items():
            answer = room.reporter.post("/v1/import", content=file.encode(), headers={"Content-Type": media})
            assert "combining marks" in answer.text


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        ({"speakrs": ["x"]}, "/speakrs", "did you mean 'speakers'?"),
        ({"speakers": ["vladimir-putn"]}, "/speakers/0", "did you mean vladimir-putin?"),
        ({"figures": [{"measure": "a", "value": "1", "unit": "bcmm"}]}, "/figures/0", "did you mean 'bcm'?"),
        ({"figures": [{"mesure": "a"}]}, "/figures/0/mesure", "did you mean 'measure'?"),
        ({"about": ["a", "nato"]}, "/about/0", "There is no entity a"),
    ],
)
def test_a_refusal_points_at_what_is_wrong_and_names_the_nearest(
    room: Newsroom, body: Json, pointer: str, says: str
) -> None:
    room.entity()
    refused = problem(room.reporter.post("/v1/claims", json={**CLAIM, **body}), 422)
    faults = {fault["pointer"]: fault["detail"] for fault in refused["errors"]}
    assert says in faults[pointer], faults


def test_a_name_that_cannot_be_seen_is_none(room: Newsroom) -> None:
    entity, claim = room.entity(), room.claim()
    bodies: list[tuple[str, str, Json]] = [
        ("/v1/entities", "/name", {"kind": "person", "name": "\u200b"}),
        ("/v1/entities", "/description", {"kind": "person", "name": "Ann", "description": "\u2066\u2069"}),
        (f"/v1/entities/{entity['id']}/merge", "/reason", {"into": "x", "reason": "\u00ad"}),
        ("/v1/sources", "/title", {"url": "https://example.org/a", "title": "\ufeff \u2800"}),
        (f"/v1/claims/{claim['id']}/withdrawal", "/note", {"note": "\u0301\u0302"}),
        ("/v1/keys", "/name", {"name": "\u115f\u1160", "role": "reader"}),
        ("/v1/webhooks", "/note", {"url": "https://desk.example/hook", "note": "\U000e0041"}),
    ]
    with room.unchanged():
        for path, pointer, body in bodies:
            refused = problem(room.admin.post(path, json=body, headers={"If-Match": "*"}), 422, "invalid")
            unseen = {"pointer": pointer, "detail": "has no character that can be seen"}
            assert unseen in refused["errors"], path


def test_an_id_of_another_noun_is_said_to_be_one(seeded: Newsroom) -> None:
    ids = [
        seeded.get(f"/v1/{nouns}", limit=1)["data"][0]["id"] for nouns in ("claims", "entities", "sources")
    ]
    for path in ("claims", "entities", "sources"):
        for other in ids:
            answer = seeded.anyone.get(f"/v1/{path}/{other}")
            if answer.status_code != 200:
                assert "is the id of a" in problem(answer, 404)["detail"]


def test_a_stale_version_a_low_role_and_an_ended_key_change_nothing(room: Newsroom) -> None:
    record = room.claim()
    path, headers = f"/v1/claims/{record['id']}", match(record)
    ok(room.reporter.patch(path, headers=headers, json={"text": "Said twice."}))
    revoked, token = room.key("editor", "Revoked")
    ok(room.admin.delete(f"/v1/keys/{revoked}"))
    _, expired = room.key("editor", "Expired", expires_at="2020-01-01T00:00:00Z")
    with room.unchanged():
        problem(room.reporter.patch(path, headers=headers, json={"text": "Never."}), 412, "stale")
        problem(room.reader.post("/v1/claims", json=CLAIM), 403, "forbidden")
        for ended in (token, expired, "otr_" + "x" * 43):
            sent = {"Authorization": f"Bearer {ended}"}
            problem(room.anyone.post("/v1/claims", json=CLAIM, headers=sent), 401, "unauthorized")


def test_a_source_is_not_added_twice_under_two_spellings(room: Newsroom) -> None:
    source = room.source("https://example.org/report")
    with room.unchanged():
        again = {"url": "HTTP://Example.org:80/x/../report?utm_source=y#z", "title": "Again"}
        refused = problem(room.reporter.post("/v1/sources", json=again), 409, "conflict")
    assert refused["existing"] == source["id"]


@pytest.mark.parametrize(
    "moment", ["2023-03-22T10:00:00", "0", 0, "2023-02-30T00:00:00Z", "99999-01-01T00:00:00Z", ""]
)
def test_a_moment_has_its_zone_and_exists(room: Newsroom, moment: Any) -> None:
    body = {"name": "Desk", "role": "checker", "expires_at": moment}
    with room.unchanged():
        refused = problem(room.admin.post("/v1/keys", json=body), 422)
    assert refused["errors"][0]["pointer"] == "/expires_at"


def test_a_moment_of_long_ago_is_shown_as_it_was_told(room: Newsroom) -> None:
    text = {"text": "A chronicle.", "retrieved_at": "0242-03-21T17:42:43Z"}
    kept = ok(room.reporter.post(f"/v1/sources/{room.source()['id']}/snapshots", json=text))
    assert kept["retrieved_at"] == "0242-03-21T17:42:43.000000Z"


def test_an_integer_may_be_written_with_a_point(room: Newsroom) -> None:
    path = f"/v1/claims/{room.claim()['id']}/assignment"
    headers = {"If-Match": "*", "Content-Type": "application/json"}
    ok(room.checker.post(path, headers=headers, content=b'{"minutes": 60.0}'))
    problem(room.checker.post(path, headers=headers, content=b'{"minutes": 60.5}'), 422)


def test_a_file_that_was_forgotten_is_missed(room: Newsroom) -> None:
    with room.unchanged():
        problem(room.reporter.post("/v1/import"), 415, "unsupported-media-type")
        empty = room.reporter.post("/v1/import", headers={"Content-Type": "application/x-ndjson"})
        assert ok(empty)["results"] == []


def test_a_file_that_is_refused_unread_is_closed(room: Newsroom) -> None:
    headers = {"Content-Type": "application/x-ndjson"}
    for _ in range(3):  # a file that is left open is a ResourceWarning, which is an error here
        problem(room.reporter.post("/v1/import?mode=some", content=b"{}\n" * 9, headers=headers), 422)


# --- bodies too large --------------------------------------------------------------------------


def test_a_body_too_large_is_refused_and_the_next_request_is_served(room: Newsroom) -> None:
    with room.with_settings(max_body_bytes=2000) as small:
        small.entity()
        with small.unchanged():
            large = claim(text="x" * 3000)
            headers = {"Content-Type": "application/json"}
            problem(small.reporter.post("/v1/claims", content=large, headers=headers), 413, "too-large")
            parts = (large[n : n + 100] for n in range(0, len(large), 100))
            problem(small.reporter.post("/v1/claims", content=parts, headers=headers), 413, "too-large")
        ok(small.reporter.post("/v1/claims", json=CLAIM))


def test_a_body_that_is_announced_but_never_sent_is_refused_at_once(room: Newsroom) -> None:
    host, port = room.server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"POST /v1/claims HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


# --- hostile words -----------------------------------------------------------------------------

HOSTILE = (
    "", " ", "'", "' OR 1=1 --", '"; DROP TABLE claims; --', "%", "_", "\\", "%00", "\x00", "\ud7ff\ue000",
    "𝕏" * 50, "null", "true", "-1", "0", "1e400", "9" * 60, "9223372036854775808", "NaN", "../../etc", "{}",
    "[]", "<script>", "clm_01m87gne0veherp8apm1m6sqm3", "clm_zzzzzzzzzzzzzzzzzzzzzzzzzz", "2023-02-30",
    "0000", "0001-01-01", "9999-12-31", "-99999-01-01", "https://", "https://[::1", "wikidata:", "x" * 5000,
)  # fmt: skip


def test_no_word_in_a_query_breaks_anything(furnished: Newsroom) -> None:
    """Each word at one parameter in 150: the longer run of `make fuzz` has more of them."""
    turn, first = count(), dict[str, list[str]]()
    with furnished.unchanged():
        for operation in operations(furnished):
            if not operation.reads:
                continue
            at = place(furnished, operation.path, first)
            for word in HOSTILE:
                for name in (name for name in operation.query if next(turn) % 150 == 0):
                    answer = furnished.admin.get(asking(at, **{name: word}))
                    assert answer.status_code in (200, 400, 404, 422), f"{operation} {name}={word!r}"
                    if not answer.is_success:
                        problem(answer, answer.status_code)


def test_no_word_in_a_path_breaks_anything(furnished: Newsroom) -> None:
    """Each word at one path in six, and at each of the nouns."""
    words = [word for word in HOSTILE if word and "/" not in word]
    below: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in operations(furnished):
        if operation.reads and "{" in operation.path:
            below[operation.path.partition("/{")[0]].append(operation)
    for found in below.values():
        for n, word in enumerate(words):
            for operation in found[n % 6 :: 6] or found[n % len(found) :][:1]:
                answer = furnished.admin.get(re.sub(r"{\w+}", quote(word), operation.path))
                assert answer.status_code in (404, 414, 422), f"{operation} at {word!r}: {answer.status_code}"
                problem(answer, answer.status_code)


# --- whose words they are ----------------------------------------------------------------------

OF_LIBRARIES = re.compile(
    r"[Ii]nput should|[Vv]alue error|Expecting|[Uu]nterminated|unexpected end|delimiter|Traceback|Errno|codec"
    r"|pydantic|psycopg|sqlite|pyarrow"
)


def test_no_words_of_a_library_leave(furnished: Newsroom) -> None:
    """Whatever is wrong: a body, a type in it, a parameter, a row of a file, a script in a page. Of the types
    every other one, in turn.
    """
    wrong: Json = {"a": [None, {}, 1.5], "b": "x"}
    answers = []
    no_json = cycle((b"{", b'{"a": "', b"[1,,]", b"\xff", b'{"a" 1}', b"nul"))  # one function reads all
    for number, operation in enumerate(operations(furnished)):
        at = operation.nowhere
        if operation.schema is not None:
            fields = operation.schema.get("properties", {})
            values: tuple[Any, ...] = (None, 5, True, "", [], {}, wrong, [5, None], -1, 1.5, "\u200b")
            bodies = [json.dumps(dict.fromkeys(fields, value)).encode() for value in values[number % 2 :: 2]]
            broken = {"Content-Type": "application/json", "If-Match": "*"}
            for content in (*bodies, next(no_json)):
                answers.append(furnished.admin.request(operation.method, at, content=content, headers=broken))
        if operation.reads and operation.query:
            for word in (("", "-1"), ("x", "1.5"))[number % 2]:
                answers.append(furnished.admin.get(asking(at, **dict.fromkeys(operation.query, word))))
    for media, contents in FILES.items():
        for content in contents:
            headers = {"Content-Type": media}
            answers.append(furnished.admin.post("/v1/import", content=content, headers=headers))
    refused = [answer for answer in answers if answer.status_code >= 400]
    assert len(refused) > 200
    for answer in refused:
        assert answer.status_code < 500, answer.text
        assert not OF_LIBRARIES.search(answer.text), f"{answer.request.method} {answer.url}: {answer.text}"


JSONLD = (b"{", b'{"@type": "ClaimReview",}', b'{"a', b"\xff", b'[{"@type": "ClaimReview"}, nul]')
FILES = {
    "text/csv": (
        b'text,mode,speaker\n"A,paraphrase,Ann',
        b'text,mode,speaker\n"A"x,paraphrase,Ann',
        b"a\xff,b\n",
    ),
    "application/x-ndjson": (
        b"{",
        b'{"claim": {"text": 5}}',
        b'{"claim": 5}',
        b"\xff",
        b'{"source": {"url": 1}}',
    ),
    "application/ld+json": JSONLD,
    "text/html": [b'<script type="application/ld+json">' + each + b"</script>" for each in JSONLD],
}
