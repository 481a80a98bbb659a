"""Followers after a restore: whoever is ahead of the ledger, or followed another one, is told so."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.changes import streams
from app.changes.ledger import GENESIS
from app.client import AsyncClient, Client, Reset
from tests.commands import cut
from tests.events import Event
from tests.newsroom import Json, Newsroom, problem
from tests.test_streams import STREAM, entries, following, last, told

CHANGES = "/v1/changes"


def back_to(room: Newsroom, seq: int) -> None:
    """Has the ledger end with an entry of earlier, as after the restore of a backup."""
    room.tampered = True
    cut(room.settings.database_url, seq)


def entry_at(room: Newsroom, seq: int) -> Json:
    [found] = room.get(CHANGES, after=seq - 1, limit=1)["data"]
    return dict(found)


def ledger_head(room: Newsroom) -> Json:
    [newest] = room.get(CHANGES, order="desc", limit=1)["data"]
    return {name: newest[name] for name in ("seq", "hash")}


def reset(events: Iterator[Event]) -> Json:
    """The problem that a stream ends with."""
    *_, event = events
    assert event.name == "reset"
    return dict(json.loads(event.data))


@contextmanager
def forked(room: Newsroom) -> Iterator[list[Json]]:
    """Gives what a ledger had after its third entry, in which there are others by now."""
    for name in ("One", "Two", "Three"):
        room.entity(name)
    lost = room.get(CHANGES, after=3, limit=200)["data"]
    while (more := last(room)) < 6:
        room.entity(f"Person {more}")
    lost = room.get(CHANGES, after=3, limit=200)["data"]
    back_to(room, 3)
    for entry in lost:
        room.entity(f"Instead of {entry['seq']}")
    assert last(room) == lost[-1]["seq"]
    yield lost


# --- page by page ------------------------------------------------------------------------------


def test_who_is_ahead_of_the_ledger_is_refused_with_its_head(room: Newsroom) -> None:
    room.claim()
    head = ledger_head(room)
    assert room.get(CHANGES, after=head["seq"], after_hash=head["hash"])["data"] == []
    queries: list[Json] = [
        {"after": head["seq"] + 1},
        {"after": 2**53 - 1},
        {"after": 10**9, "order": "desc"},
    ]
    for query in queries:
        refused = problem(room.anyone.get(CHANGES, params=query), 409, "ledger-reset")
        assert refused["head"] == head
        assert (
            f"You are at change {query['after']} and the last one here is {head['seq']}" in refused["detail"]
        )


def test_an_empty_ledger_has_a_head_too(room: Newsroom) -> None:
    refused = problem(room.anyone.get(CHANGES, params={"after": 1}), 409, "ledger-reset")
    assert refused["head"] == {"seq": 0, "hash": GENESIS}
    assert room.get(CHANGES, after=0, after_hash=GENESIS)["data"] == []
    problem(room.anyone.get(CHANGES, params={"after": 0, "after_hash": "0" * 63 + "1"}), 409, "ledger-reset")


def test_a_fork_is_seen_by_the_hash(room: Newsroom) -> None:
    with forked(room) as lost:
        for entry in lost:
            assert entry_at(room, entry["seq"])["hash"] != entry["hash"]
            query = {"after": entry["seq"], "after_hash": entry["hash"]}
            refused = problem(room.anyone.get(CHANGES, params=query), 409, "ledger-reset")
            assert refused["head"] == ledger_head(room)
        common = entry_at(room, 3)
        assert len(room.get(CHANGES, after=3, after_hash=common["hash"])["data"]) == len(lost)


def test_a_cursor_is_a_place_too(room: Newsroom) -> None:
    for name in ("One", "Two", "Three"):
        room.entity(name)
    for order in ("asc", "desc"):
        page = room.get(CHANGES, limit=2, order=order)
        assert room.get(CHANGES, limit=2, order=order, cursor=page["next_cursor"])["data"]
        ahead = room.get(CHANGES, limit=1, order=order, after=last(room) - 2)["next_cursor"]
        kept = page["data"][-1]["seq"]
        asked: Json = {"limit": 2, "order": order, "cursor": page["next_cursor"]}
        there = last(room)
        back_to(room, kept - 1)
        problem(room.anyone.get(CHANGES, params=asked), 409, "ledger-reset")
        while last(room) < there:
            room.entity(f"Another {order} {last(room)}")
        problem(room.anyone.get(CHANGES, params=asked), 409, "ledger-reset")
        assert ahead


@pytest.mark.parametrize("wrong", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "٣" * 64])
def test_a_hash_that_is_none_is_refused(room: Newsroom, wrong: str) -> None:
    for path in (CHANGES, STREAM):
        answer = problem(room.anyone.get(path, params={"after": 0, "after_hash": wrong}), 422)
        assert [fault["pointer"] for fault in answer["errors"]] == ["after_hash"]
        alone = problem(room.anyone.get(path, params={"after_hash": GENESIS}), 422)
        assert [fault["pointer"] for fault in alone["errors"]] == ["after_hash"]


# --- as it grows -------------------------------------------------------------------------------


def test_a_stream_that_begins_ahead_ends_with_a_reset(room: Newsroom) -> None:
    room.claim()
    head = ledger_head(room)
    for headers, query in (({}, {"after": head["seq"] + 1}), ({"Last-Event-ID": str(head["seq"] + 5)}, {})):
        with following(room.anyone, headers, **query) as events:
            found = reset(events)
        assert (found["status"], found["head"]) == (409, head)
        assert found["type"] == "/problems#ledger-reset"
    answer = room.anyone.get(STREAM, params={"after": head["seq"] + 1})
    block = answer.text.partition("event: reset\n")[0].rpartition("\n\n")[2]
    assert block == "retry: 30000\n", "a page comes back seldom, and does not go on after the reset"


def test_a_stream_sees_a_fork(room: Newsroom) -> None:
    with forked(room) as lost:
        for entry in lost:
            for headers, query in (
                ({}, {"after": entry["seq"], "after_hash": entry["hash"]}),
                ({"Last-Event-ID": f"{entry['seq']}:{entry['hash']}"}, {}),
            ):
                with following(room.anyone, headers, **query) as events:
                    assert (
                        reset(events)["head"]["seq"] <= ledger_head(room)["seq"]
                    )  # seen while it grows, or after
        common = entry_at(room, 3)
        asked: Json = {"after": 3, "after_hash": common["hash"], "until": last(room)}
        with following(room.anyone, **asked) as events:
            position, *changes = events
        assert position.id == f"3:{common['hash']}"
        assert [each.id for each in changes] == [
            f"{each['seq']}:{each['hash']}" for each in room.get(CHANGES, after=3, limit=200)["data"]
        ], "a browser goes on with hashes that once had one"


def test_a_stream_that_is_open_hears_of_a_restore(room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LOOKED_AT_EVERY", 0.02)
    for name in ("One", "Two", "Three"):
        room.entity(name)
    here = last(room)
    with following(room.anyone) as idle, following(room.anyone, after=here - 2) as behind:
        assert next(idle).name == "position"
        assert len(entries(behind, 2)) == 2
        back_to(room, here - 1)
        found = [reset(events)["head"]["seq"] for events in (idle, behind)]
    assert found == [here - 1] * 2
    assert [each["seq"] for each in told(room.anyone, after=0, until=here - 1)] == [*range(1, here)]


def test_a_stream_that_is_open_hears_of_a_fork_that_has_grown_further(
    room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger went back and beyond between two looks at it."""
    for name in ("One", "Two", "Three"):
        room.entity(name)
    monkeypatch.setattr(streams, "LOOKED_AT_EVERY", 0.02)
    here = last(room)
    with following(room.anyone) as events:
        assert next(events).name == "position"
        monkeypatch.setattr(room.app.state.house.streams, "_position", lambda: (here, True))
        back_to(room, here - 2)
        for number in range(4):
            room.entity(f"Instead {number}")
        monkeypatch.undo()
        assert reset(events)["head"]["seq"] <= ledger_head(room)["seq"]  # seen while it grows, or after


@pytest.mark.parametrize("wrong", ["1:", "1:abc", f"1:{'0' * 65}", ":", f"{2**53}", "1;2"])
def test_an_id_that_is_none_is_refused(room: Newsroom, wrong: str) -> None:
    refused = problem(room.anyone.get(STREAM, headers={"Last-Event-ID": wrong}), 422)
    assert [fault["pointer"] for fault in refused["errors"]] == ["Last-Event-ID"]


# --- what is kept ------------------------------------------------------------------------------


def test_a_moment_of_a_ledger_that_is_no_more_is_not_told(room: Newsroom) -> None:
    def names(seq: int) -> set[str]:
        return {each["name"] for each in room.get("/v1/entities", as_of=seq)["data"]}

    for name in ("One", "Two", "Lost", "Lost as well"):
        room.entity(name)
    here = last(room)
    assert {"Lost", "Lost as well"} <= names(here)
    assert "Lost" in names(here - 1), "a later moment would go on from this"
    back_to(room, here - 2)
    assert "Two" in names(here - 2)
    problem(room.anyone.get("/v1/entities", params={"as_of": here}), 422)
    for name in ("Instead", "And more", "At last"):
        room.entity(name)
    assert names(here) & {"Lost", "Lost as well", "Instead", "And more"} == {"Instead", "And more"}
    assert names(here + 1) & {"Lost", "Lost as well", "At last"} == {"At last"}


# --- the client --------------------------------------------------------------------------------


def test_the_client_raises_what_happened_with_the_head(room: Newsroom) -> None:
    with forked(room) as lost, Client(room.server.url) as record:
        place = {"after": lost[0]["seq"], "after_hash": lost[0]["hash"]}
        asks: list[Callable[[], Any]] = [
            lambda: next(record.follow(**place)),
            lambda: next(record.follow(after=last(room) + 1)),
            lambda: record.get("changes", **place),
            lambda: next(record.each("changes", **place)),
        ]
        for ask in asks:
            with pytest.raises(Reset) as raised:
                ask()
            assert raised.value.head == ledger_head(room)
        assert next(record.follow(3, entry_at(room, 3)["hash"]))["seq"] == 4


def test_the_client_that_is_awaited_does_too(room: Newsroom) -> None:
    async def first(**place: Any) -> Json:
        async with AsyncClient(room.server.url) as record:
            return await anext(aiter(record.follow(**place)))

    room.claim()
    assert asyncio.run(first(after=0))["seq"] == 1
    with pytest.raises(Reset) as raised:
        asyncio.run(first(after=1, after_hash=GENESIS))
    assert raised.value.head == ledger_head(room)


def test_the_client_sees_a_restore_between_two_connections(room: Newsroom) -> None:
    room.claim()
    seen = last(room)
    with Client(room.server.url) as record:
        changes = record.follow(after=seen - 1)
        assert next(changes)["seq"] == seen
        room.app.state.house.streams.ended = True  # with the next change
        room.entity("Lost")
        back_to(room, seen - 1)
        for name in ("Instead", "And more"):
            room.entity(name)
        room._answer()
        with pytest.raises(Reset) as raised:
            next(changes)
    assert raised.value.head["seq"] == last(room)
