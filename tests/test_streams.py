"""The ledger followed as it grows: each entry once and in order, whatever happens meanwhile."""

import itertools
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy.engine import make_url

from app.access import store as keys
from app.access.model import KeyIn
from app.base.db import Database
from app.changes import streams
from tests.contract import whole
from tests.events import Event, Reader
from tests.newsroom import SECRET, TESTS, Bases, Json, Newsroom, ok, problem
from tests.served import Served, environment, served

STREAM = "/v1/changes/stream"


@contextmanager
def following(client: httpx.Client, headers: dict[str, str] | None = None, **query: Any) -> Iterator[Any]:
    """The events of a stream, one by one."""
    with client.stream("GET", STREAM, params=query, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        yield iter(Reader(answer.iter_raw()))


def told(client: httpx.Client, headers: dict[str, str] | None = None, **query: Any) -> list[Json]:
    """The entries that a stream with an end tells."""
    with following(client, headers, **query) as events:
        return [entry(event) for event in events if event.name == "change"]


def entry(event: Event) -> Json:
    found: Json = json.loads(event.data)
    assert event.name == "change"
    assert event.id in (str(found["seq"]), f"{found['seq']}:{found['hash']}")
    return found


def entries(events: Iterator[Event], count: int) -> list[Json]:
    """The next entries, whatever is told in between."""
    changes = (entry(event) for event in events if event.name == "change")
    return list(itertools.islice(changes, count))


def seqs(events: Iterator[Event], count: int) -> list[int]:
    """The places of the next entries."""
    return [each["seq"] for each in entries(events, count)]


def last(room: Newsroom) -> int:
    found: int = room.get("/v1/changes", order="desc", limit=1)["data"][0]["seq"]
    return found


# --- what is told ------------------------------------------------------------------------------


def test_tells_what_the_ledger_has(room: Newsroom) -> None:
    room.claim("«Quoted», with a line\nend, \u2028 and \u0085.")
    everything = whole(room, "/v1/changes")
    assert told(room.admin, after=0, until=last(room)) == everything
    assert told(room.admin, after=2, until=4) == everything[2:4]
    assert told(room.admin, {"Last-Event-ID": "3"}, after=0, until=4) == everything[3:4]
    asked: Json = {"after": 0, "until": last(room), "resource": "claim"}
    assert told(room.editor, **asked) == whole(room, "/v1/changes", resource="claim") != []
    assert told(room.anyone, **asked) == room.get("/v1/changes", resource="claim")["data"]
    assert told(room.anyone, **asked, resource_id="clm_other") == []


def test_a_page_can_read_it_byte_by_byte(room: Newsroom) -> None:
    room.claim()
    headers = {"Accept": "text/event-stream", "Accept-Encoding": "gzip, br, zstd"}
    answer = room.anyone.get(STREAM, params={"after": 0, "until": last(room)}, headers=headers)
    assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert not {"content-length", "content-encoding", "etag"} & answer.headers.keys()
    reader = Reader(bytes([byte]) for byte in answer.content)
    first, *changes = reader
    assert first == Event("position", '{"seq":0}', "0")
    assert [int(change.id) for change in changes] == list(range(1, last(room) + 1))
    assert reader.retry == 2000
    assert b"\r" not in answer.content


def test_begins_now_and_says_where_that_is(room: Newsroom) -> None:
    room.claim()
    here = last(room)
    with following(room.anyone) as events:
        position = next(events)
        assert (position.name, position.id) == ("position", str(here))
        [newest] = room.get("/v1/changes", order="desc", limit=1)["data"]
        assert json.loads(position.data) == {"seq": here, "hash": newest["hash"]}
        room.claim("Another.")
        found = entry(next(events))
        assert (found["seq"], found["action"]) == (here + 1, "claim.state")


def test_a_filter_is_not_confused_by_long_stretches_without_a_match(
    room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.claim()
    for number in range(6):
        room.entity(f"Person {number}")
    room.claim("The last.")
    monkeypatch.setattr(streams, "_AT_ONCE", 2)
    asked: Json = {"after": 0, "until": last(room)}
    assert [each["seq"] for each in told(room.anyone, **asked)] == list(range(1, last(room) + 1))
    assert told(room.anyone, **asked, resource="claim") == room.get("/v1/changes", resource="claim")["data"]


def test_what_was_done_to_keys_is_told_to_admins_only(room: Newsroom) -> None:
    made = ok(room.admin.post("/v1/keys", json={"name": "New desk", "role": "checker"}))
    asked: Json = {"after": 0, "until": last(room), "resource": "key", "resource_id": made["id"]}
    assert [each["difference"] for each in told(room.anyone, **asked)] == [None]
    assert [each["difference"] for each in told(room.editor, **asked)] == [None]
    [full] = told(room.admin, **asked)
    assert full["difference"]["name"] == {"old": None, "new": "New desk"}
    assert made["secret"] not in json.dumps(full)


def test_head_and_refusals_have_an_end(room: Newsroom) -> None:
    assert room.anyone.head(STREAM).headers["cache-control"] == "no-store"
    problem(room.anyone.get(STREAM, headers={"Accept": "application/json"}), 406)
    for wrong in ("-1", "x", "1.5", "9" * 30):
        refused = problem(room.anyone.get(STREAM, headers={"Last-Event-ID": wrong}), 422)
        assert refused["errors"][0]["pointer"] == "Last-Event-ID"
    problem(room.anyone.get(STREAM, params={"limit": 1}), 422)


def test_an_empty_last_event_id_is_none(room: Newsroom) -> None:
    room.claim()
    everything = whole(room, "/v1/changes")
    assert told(room.admin, {"Last-Event-ID": ""}, after=0, until=last(room)) == everything
    with following(room.anyone, {"Last-Event-ID": ""}) as events:
        assert next(events).id == str(last(room))


def test_every_block_of_a_stream_is_an_event(room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers that only cut at blank lines, as many in Python and Go do, meet nothing else."""
    monkeypatch.setattr(streams, "HEARTBEAT", 0.05)
    room.claim()
    here, blocks = last(room), b""
    with room.anyone.stream("GET", STREAM, params={"after": 0, "until": here + 1}) as answer:
        for piece in answer.iter_raw():
            blocks += piece
            if blocks.count(b"\n:\n") == 3:
                room.entity("Another")
    *whole_blocks, rest = blocks.split(b"\n\n")
    assert (len(whole_blocks), rest) == (here + 2, b"")
    assert all(re.search(rb"(?m)^data: {", block) for block in whole_blocks)
    assert whole_blocks[0].startswith(b"retry: 2000\nid: 0\n")


# --- what happens meanwhile --------------------------------------------------------------------


def test_misses_nothing_while_eight_write(room: Newsroom) -> None:
    room.claim()
    here = last(room)

    def state(number: int) -> None:
        body = {"text": f"Claim {number}", "mode": "paraphrase", "speakers": ["vladimir-putin"]}
        ok(room.reporter.post("/v1/claims", json=body))

    def follow(_number: int) -> list[int]:
        with room.client() as client:
            return [each["seq"] for each in told(client, after=here, until=here + 48)]

    with ThreadPoolExecutor(8) as writers, ThreadPoolExecutor(3) as followers:
        seen = followers.map(follow, range(3))
        list(writers.map(state, range(48)))
        assert list(seen) == [list(range(here + 1, here + 49))] * 3


def test_silence_is_broken_so_that_proxies_keep_it_open(
    room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.05)
    room.entity()
    with following(room.anyone) as events:
        assert [next(events).name for _ in range(4)] == ["position", ":", ":", ":"]
        room.entity("Another")
        assert seqs(events, 1) == [last(room)]


def lose(room: Newsroom) -> None:
    """Has the server lose its database for a while."""
    url = make_url(room.settings.database_url)
    if url.get_backend_name() == "sqlite":
        base = Path(str(url.database))
        away = base.rename(base.with_suffix(".away"))
        time.sleep(0.1)
        away.rename(base)
        return
    with psycopg.connect(
        room.settings.database_url.replace("+psycopg", "", 1), autocommit=True
    ) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_an_outage_of_the_database_delays_it(room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LOOKED_AT_EVERY", 0.02)
    room.entity()
    here = last(room)
    with following(room.anyone) as events:
        next(events)
        for number in range(3):
            room.entity(f"Before {number}")
            lose(room)
            room.entity(f"After {number}")
        assert seqs(events, 6) == list(range(here + 1, here + 7))


def test_a_base_that_is_away_at_first_is_waited_for(
    sqlite_bases: Bases, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LOOKED_AT_EVERY", 0.02)
    with sqlite_bases.fresh() as url, Newsroom(server, url) as room:
        room.entity()
        here, base = last(room), Path(url.removeprefix("sqlite:///"))
        away = base.rename(base.with_suffix(".away"))
        with following(room.anyone, after=0, until=here) as events:
            assert next(events).name == "position"
            away.rename(base)
            assert seqs(events, here) == list(range(1, here + 1))
        away = base.rename(base.with_suffix(".away"))
        problem(room.anyone.get(STREAM), 503, "unavailable")
        away.rename(base)


def test_a_key_that_has_ended_is_told_nothing_more(room: Newsroom) -> None:
    key_id, token = room.key("reader")
    assert room.admin
    with room.client(token) as client, following(client) as events:
        assert next(events).name == "position"
        ok(room.admin.delete(f"/v1/keys/{key_id}"))
        assert list(events) == []


# --- limits ------------------------------------------------------------------------------------


def away(number: int) -> dict[str, str]:
    """As if it came from another machine."""
    return {"X-Forwarded-For": f"198.51.100.{number}"}


def test_a_client_has_so_many_streams_and_the_server_too(room: Newsroom) -> None:
    with room.with_settings(streams=4, streams_per_client=2) as narrow, ExitStack() as stack:
        first = stack.enter_context(following(narrow.anyone, away(1)))
        stack.enter_context(following(narrow.anyone, away(1)))
        refused = narrow.anyone.get(STREAM, headers=away(1))
        assert problem(refused, 429)["violated-policies"] == ["streams"]
        assert refused.headers["retry-after"] == "10"
        stack.enter_context(following(narrow.reader, away(1)))
        with following(narrow.anyone, away(2)):
            full = narrow.anyone.get(STREAM, headers=away(3))
            problem(full, 503, "full")
            assert full.headers["retry-after"] == "10"
        assert next(first).name == "position"
        for _ in range(100):  # until the server has seen that the other is gone
            answer = narrow.anyone.get(STREAM, headers=away(3), params={"until": 0})
            if answer.status_code == 200:
                break
            time.sleep(0.02)
        assert answer.status_code == 200


def test_an_open_stream_takes_no_turn_of_its_client(room: Newsroom) -> None:
    with (
        room.with_settings(requests_at_once=1) as narrow,
        following(narrow.anyone, away(1)) as events,
    ):
        next(events)
        assert narrow.anyone.get("/v1/claims", headers=away(1)).status_code == 200


# --- the server --------------------------------------------------------------------------------


def written(url: str, count: int) -> None:
    """Writes so many entries, past every server."""
    db = Database(url)
    for number in range(count):
        with db.write() as session:
            keys.create(session, SECRET.encode(), KeyIn(name=f"Desk {number}", role="reader"), by=TESTS)
    db.dispose()


def stopped(server: Served) -> float:
    """How many seconds a server takes to stop that is told to."""
    began = time.monotonic()
    os.kill(server.process.pid, signal.SIGTERM)
    assert server.process.wait(20) == 0
    return time.monotonic() - began


def test_a_new_server_goes_on_where_the_old_one_stopped(bases: Bases, tmp_path: Path) -> None:
    with bases.fresh() as url:
        env = environment(url, RECORD_SECRET=SECRET, RECORD_LOG_LEVEL="warning")
        with served(env, tmp_path / "old") as old, old.client() as client:
            with following(client) as events:
                begun = next(events)
                assert (begun.name, begun.id) == ("position", "0")
                written(url, 2)
                assert seqs(events, 2) == [1, 2]
                written(url, 1)
                took = stopped(old)
                rest = [event.id for event in events if event.name == "change"]
            assert took < 2, "it waits for no stream"
            assert (tmp_path / "old").read_text() == "", "to end a stream is no fault"
        written(url, 3)
        port = old.url.rpartition(":")[2]
        known = {"Last-Event-ID": rest[-1] if rest else "2"}
        with served(env, tmp_path / "new", "--port", port) as new, new.client() as client:
            assert new.url == old.url
            with following(client, known) as events:
                missing = 6 - int(known["Last-Event-ID"])
                assert [*map(int, rest), *seqs(events, missing)] == [3, 4, 5, 6]
                written(url, 1)
                assert seqs(events, 1) == [7]
