"""Requests as they come on the wire, in every form that HTTP has: bytes on a socket."""

import re
import socket
import time
from urllib.parse import urlsplit

import pytest

from app.base.fields import joined
from tests.newsroom import Newsroom, ok


def sent(room: Newsroom, target: str, *headers: str, method: str = "GET", host: str = "a.example") -> str:
    """The answer to a request as it is written here, to its last byte."""
    server = urlsplit(room.server.url)
    head = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers, "Connection: close", "", ""]
    with socket.create_connection((str(server.hostname), server.port or 0), timeout=30) as connection:
        connection.sendall("\r\n".join(head).encode("latin-1"))
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode("latin-1")


def status(answer: str) -> int:
    return int(answer.split(" ", 2)[1])


def test_a_target_in_absolute_form_is_a_path_on_the_host_that_it_names(seeded: Newsroom) -> None:
    """RFC 9112, section 3.2.2."""
    plain = seeded.anyone.get("/v1/claims?limit=1&q=gas").json()["data"][0]["id"]
    for target in ("http://record.example", "HTTP://record.example:8000", "https://record.example"):
        assert plain in sent(seeded, f"{target}/v1/claims?limit=1&q=gas"), target
        manifest = sent(seeded, f"{target}/reconcile")
        assert urlsplit(target).netloc in manifest, target
        assert "a.example" not in manifest, target
        assert status(sent(seeded, f"{target}/v1/cl%61ims")) == 200, target
        assert status(sent(seeded, f"{target}/v1/nothing")) == 404, target
        assert status(sent(seeded, f"{target}?x=/v1/claims")) == 307, target
        assert "Allow: " in sent(seeded, target, method="OPTIONS").title(), target
    for target in (
        "ftp://a.example/v1/claims",
        "http:///v1/claims",
        "http://u:p@a.example/v1/claims",
        "v1/claims",
        "*",
    ):
        assert status(sent(seeded, target)) == (404 if target == "*" else 400), target


def test_options_of_the_whole_server_says_what_it_does(room: Newsroom) -> None:
    answer = sent(room, "*", method="OPTIONS")
    assert status(answer) == 204
    [allow] = re.findall(r"(?im)^allow: (.*)\r$", answer)
    assert allow == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


def test_the_lines_of_a_list_are_one_list(seeded: Newsroom) -> None:
    for accepted in (("text/html", "application/json"), ("application/json", "text/html")):
        lines = (f"Accept: {each}" for each in accepted)
        assert status(sent(seeded, "/v1/claims", *lines)) == 200, accepted
    coded = sent(seeded, "/v1/entities", "Accept-Encoding: br;q=0.5", "Accept-Encoding: identity;q=0.1")
    assert "content-encoding: br" in coded.partition("\r\n\r\n")[0]


def test_lines_of_a_list_are_joined_in_as_much_time_as_they_are_long() -> None:
    lines = [(b"accept", b"text/html")] * 100_000
    began = time.thread_time()
    [(name, value)] = joined(lines)
    assert time.thread_time() - began < 1
    assert (name, value.count(b", ")) == (b"accept", 99_999)


@pytest.mark.parametrize(
    "lines",
    [
        ("Authorization: Bearer otr_x", "Authorization: Bearer otr_y"),
        ("Range: bytes=0-1", "Range: bytes=1-2"),
        ("Record-Position: 1", "Record-Position: 2"),
        ("Content-Type: text/csv", "Content-Type: application/json"),
        ("Idempotency-Key: a", "Idempotency-Key: b"),
    ],
)
def test_a_field_of_one_value_has_one(room: Newsroom, lines: tuple[str, str]) -> None:
    answer = sent(room, "/v1/claims", *lines)
    assert (status(answer), "twice" in answer) == (400, True)
    twice = sent(room, "/v1/claims", "Record-Position: 0", "Record-Position: 0")
    assert status(twice) == 200


def test_an_answer_is_in_the_coding_that_the_client_likes_best(seeded: Newsroom) -> None:
    for accepted, coding in (
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, br;q=0.5", "gzip"),
        ("gzip;q=0.2, br;q=0.5, identity;q=0.3", "br"),
        ("x-gzip", "gzip"),
        ("*", "zstd"),
        ("*, zstd;q=0", "br"),
        ("gzip;q=0.5, identity", None),
        ("gzip;q=0", None),
        ("identity;q=0", None),
        ("", None),
    ):
        answer = seeded.anyone.get("/v1/claims", headers={"Accept-Encoding": accepted})
        assert answer.headers.get("content-encoding") == coding, accepted
        assert "Accept-Encoding" in answer.headers["vary"].split(", "), accepted
        assert ok(answer)["data"]


def test_a_change_takes_the_tag_of_any_coding(room: Newsroom) -> None:
    """And the answer that is given again has the tag of the coding in which it is given."""
    path = f"/v1/claims/{room.claim('A claim that is compressed: ' + 'word ' * 200)['id']}"
    for coding in ("br", "gzip", "zstd", "identity"):
        read = room.anyone.get(path, headers={"Accept-Encoding": coding})
        headers = {"If-Match": read.headers["etag"]}
        changed = room.reporter.patch(path, headers=headers, json={"place": f"In {coding}"})
        assert ok(changed)["version"] == read.json()["version"] + 1
    body = {"text": "Said. " * 200, "mode": "paraphrase", "speakers": ["vladimir-putin"]}
    for coding in ("br", "gzip", "identity"):
        headers = {"Idempotency-Key": "once", "Accept-Encoding": coding}
        made = room.reporter.post("/v1/claims", json=body, headers=headers)
        assert made.headers["etag"].endswith(f'-{coding}"') is (coding != "identity")
        assert made.headers.get("content-encoding", "identity") == coding
