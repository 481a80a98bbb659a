"""Webhooks that keep up: batches, lag; and webhooks after a restore."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from secrets import token_hex

import pytest
from standardwebhooks import Webhook as Standard

from app.access.model import Key, Person
from app.base.db import Database
from app.base.ids import new_id
from app.base.sql import select
from app.base.times import now
from app.changes.model import fresh
from app.changes.store import New, save_all
from app.hooks import deliveries, progress
from app.operations.backup import backup, restore
from tests.commands import cut
from tests.newsroom import TESTS, Bases, Newsroom, Server, ok, problem
from tests.receiver import Got, Receiver, Says
from tests.test_metrics import scraped, value
from tests.test_webhooks import HOOKS, deliver, desk, hooked, last, patched, receiver, seen

__all__ = ["desk", "receiver"]


def written(room: Newsroom, count: int, size: int = 0) -> None:
    """So many entries, in one transaction."""
    names = [f"Desk {number}{'x' * size}" for number in range(count)]
    with room.db.write() as session:
        whose = session.execute(select(Person.id).limit(1)).scalar_one()
        more = {"person_id": whose, "role": "reader"}
        made = [fresh(Key, id=new_id("key"), name=name, token_hash=token_hex(), **more) for name in names]
        save_all(session, [New(key, {}) for key in made], by=TESTS, action="key.create")


def changes(got: Got) -> list[int]:
    """The places of a batch's entries."""
    assert got.told["type"] == "ledger.batch"
    return [entry["seq"] for entry in got.told["data"]["changes"]]


# --- batches -----------------------------------------------------------------------------------


def test_a_batch_is_one_message_under_one_signature(desk: Newsroom, receiver: Receiver) -> None:
    hook = hooked(desk, receiver.url, batch=4)
    assert hook["batch"] == 4
    here = last(desk)
    written(desk, 10)
    deliver(desk)
    assert [changes(got) for got in receiver.got] == [
        [*range(here + 1, here + 5)],
        [*range(here + 5, here + 9)],
        [here + 9, here + 10],
    ]
    entries = desk.get("/v1/changes", after=here, limit=200)["data"]
    told = [Standard(hook["secret"]).verify(got.body, got.headers) for got in receiver.got]
    assert [entry for each in told for entry in each["data"]["changes"]] == entries
    assert told[0]["timestamp"] == entries[3]["at"]
    assert len({got.id for got in receiver.got}) == 3
    state = seen(desk, hook)["deliveries"]
    assert (state["delivered"], state["lag"]) == (last(desk), {"entries": 0, "since": None})


def test_a_batch_that_was_not_taken_is_sent_again_as_it_was(desk: Newsroom, receiver: Receiver) -> None:
    hook = hooked(desk, receiver.url, batch=500, types=["key"])
    written(desk, 3)
    receiver.answer = lambda _got: Says(503)
    deliver(desk)
    desk.entity("Of another type")
    written(desk, 3)
    deliver(desk, now() + timedelta(seconds=6))
    receiver.answer = lambda _got: Says()
    deliver(desk, now() + timedelta(hours=1))
    first, second, third, fourth = receiver.got
    assert len({(got.id, got.body) for got in (first, second, third)}) == 1
    assert (len(changes(first)), changes(fourth)) == (3, [*range(last(desk) - 2, last(desk) + 1)])
    assert seen(desk, hook)["deliveries"]["delivered"] == last(desk)


def test_a_batch_whose_sender_died_is_sent_again_as_it_was(desk: Newsroom, receiver: Receiver) -> None:
    hooked(desk, receiver.url, batch=500)
    written(desk, 2)
    with desk.db.read() as session:
        [due] = progress.due(session, now())
        chunk = progress.chunk(session, due, progress.Run(due.place))
    assert chunk is not None
    [(message, end)] = chunk.messages
    with desk.db.write() as session:
        assert progress.lease(session, due, "a process that is dead", now(), end.seq)
    written(desk, 2)
    deliver(desk, now() + timedelta(seconds=61))
    assert [(got.id, len(changes(got))) for got in receiver.got] == [(message.id, 2), (receiver.got[1].id, 2)]
    assert receiver.got[0].body == message.body


def test_a_batch_has_so_many_bytes_at_most(
    desk: Newsroom, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "MOST_BYTES", 4000)
    hooked(desk, receiver.url, batch=500)
    here = last(desk)
    written(desk, 12)
    desk.source("https://example.org/" + "x" * 1900, "One that is too long")
    written(desk, 12)
    deliver(desk)
    told = [changes(got) for got in receiver.got]
    assert [seq for batch in told for seq in batch] == [*range(here + 1, last(desk) + 1)]
    assert 5 <= len(told) <= 10
    assert all(len(got.body) <= 4000 or len(changes(got)) == 1 for got in receiver.got)
    assert max(len(got.body) for got in receiver.got) > 4000, "an entry that has more goes alone"


def test_a_run_that_has_lasted_long_enough_is_gone_on_with(
    desk: Newsroom, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_RUN_SECONDS", -1)
    hooked(desk, receiver.url, batch=2)
    here = last(desk)
    written(desk, 6)
    for _ in range(3):
        deliver(desk)
    assert [changes(got) for got in receiver.got] == [[here + n, here + n + 1] for n in (1, 3, 5)]


def test_a_batch_can_be_asked_for_and_given_up(desk: Newsroom, receiver: Receiver) -> None:
    hook = hooked(desk, receiver.url)
    assert hook["batch"] is None
    for wrong in (0, 501, -1, "5", 1.5, True, [1]):
        refused = problem(desk.admin.post(HOOKS, json={"url": receiver.url, "batch": wrong}), 422)
        assert refused["errors"][0]["pointer"] == "/batch", wrong
    assert patched(desk, hook, batch=500)["batch"] == 500
    written(desk, 2)
    deliver(desk)
    assert patched(desk, hook, batch=None)["batch"] is None
    deliver(desk)
    assert [got.told["type"] for got in receiver.got] == ["ledger.batch", "webhook.revise"]


@pytest.mark.parametrize("batch", [None, 500])
def test_hundreds_arrive_once_and_in_order(
    desk: Newsroom, receiver: Receiver, batch: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_RUN_SECONDS", 600)
    hook = hooked(desk, receiver.url, batch=batch)
    here = last(desk)
    count = 1100 if batch else 150
    written(desk, count)
    deliver(desk)
    told = [seq for got in receiver.got for seq in (changes(got) if batch else [got.seq])]
    assert told == [*range(here + 1, here + count + 1)]
    assert len(receiver.connections) == 1, "one connection for all of them"
    assert seen(desk, hook)["deliveries"]["delivered"] == here + count


# --- lag ---------------------------------------------------------------------------------------


def test_how_far_behind_it_is(desk: Newsroom, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LOOKED_THROUGH", 4)
    hook = hooked(desk, receiver.url)
    narrow = hooked(desk, receiver.url, types=["source"])
    idle = hooked(desk, receiver.url, enabled=False)
    deliver(desk)
    assert seen(desk, hook)["deliveries"]["lag"] == {"entries": 0, "since": None}
    written(desk, 3)
    oldest = desk.get("/v1/changes", after=seen(desk, hook)["deliveries"]["delivered"], limit=1)["data"][0][
        "at"
    ]
    assert seen(desk, hook)["deliveries"]["lag"] == {"entries": 3, "since": oldest}
    assert seen(desk, narrow)["deliveries"]["lag"]["entries"] < 3, "what it is not told does not count"
    measures = scraped(desk.reader)
    behind = {
        entry["id"]: entry["deliveries"]["lag"]["entries"] for entry in ok(desk.admin.get(HOOKS))["data"]
    }
    for each in (hook, narrow):
        assert value(measures, "record_webhook_lag_entries", webhook=each["id"]) == behind[each["id"]]
    assert value(measures, "record_webhook_lag_seconds", webhook=hook["id"]) > 0
    assert idle["id"] not in str(measures), "who wants nothing is not behind"
    written(desk, 9)
    state = seen(desk, hook)["deliveries"]
    assert state["lag"]["entries"] == last(desk) - state["delivered"] > 9
    deliver(desk)
    assert seen(desk, hook)["deliveries"]["lag"] == {"entries": 0, "since": None}


# --- after a restore ---------------------------------------------------------------------------


def ahead(room: Newsroom) -> None:
    """The ledger ends before the webhook's place."""
    cut(room.settings.database_url, last(room) - 2)


def elsewhere(room: Newsroom) -> None:
    """The ledger has another entry at the webhook's place."""
    there = last(room)
    ahead(room)
    while last(room) < there:
        room.entity(f"Instead {last(room)}")


@pytest.mark.parametrize("lose", [ahead, elsewhere])
def test_one_that_was_told_another_ledger_is_told_so_before_all_else(
    desk: Newsroom, receiver: Receiver, lose: Callable[[Newsroom], None]
) -> None:
    desk.tampered = True
    hook = hooked(desk, receiver.url, types=["entity"])
    for name in ("One", "Two", "Three"):
        desk.entity(name)
    deliver(desk)
    old = receiver.got[:]
    lose(desk)
    deliver(desk)  # sees it
    [head] = desk.get("/v1/changes", order="desc", limit=1)["data"]
    assert seen(desk, hook)["deliveries"]["reset_at"] is not None
    receiver.answer = lambda _got: Says(500 if len(receiver.got) == len(old) else 200)
    deliver(desk)
    desk.entity("After")
    deliver(desk, now() + timedelta(seconds=6))
    deliver(desk, now() + timedelta(seconds=6))
    refused, taken, after = receiver.got[len(old) :]
    assert (refused.id, refused.body) == (taken.id, taken.body)
    told = Standard(hook["secret"]).verify(taken.body, taken.headers)
    assert told["type"] == "ledger.reset"
    assert told["data"] == {"after": {"seq": head["seq"], "hash": head["hash"]}}
    assert after.told["data"]["difference"]["name"]["new"] == "After"
    assert after.id not in {got.id for got in old}, "its seq is that of another which was told"
    assert seen(desk, hook)["deliveries"]["reset_at"] is None


@pytest.mark.usefixtures("client_programs")
def test_a_restored_backup_is_announced_to_every_webhook(
    bases: Bases, server: Server, receiver: Receiver, tmp_path: Path
) -> None:
    file = tmp_path / "kept.backup"
    with bases.fresh() as url, Newsroom(server, url, webhook_networks=["127.0.0.0/8"]) as room:
        hook = hooked(room, receiver.url, batch=3)
        room.entity("Kept")
        deliver(room)
        place = last(room)
        with owner_of(url) as owner:
            backup(owner, file)
        restored(room, url, file)
        deliver(room)
        assert [got.told["type"] for got in receiver.got] == ["ledger.batch"], "nothing was lost"
        room.entity("Lost")
        deliver(room)
        lost = receiver.got[-1]
        restored(room, url, file)
        room.entity("Instead")
        deliver(room)
        [digest] = [e["hash"] for e in room.get("/v1/changes", limit=200)["data"] if e["seq"] == place]
        reset, *more = receiver.got[receiver.got.index(lost) + 1 :]
        assert reset.told["type"] == "ledger.reset"
        assert reset.told["data"] == {"after": {"seq": place, "hash": digest}}
        told = [entry for got in more for entry in got.told["data"]["changes"]]
        assert [entry["seq"] for entry in told] == [*range(place + 1, last(room) + 1)]
        assert seen(room, hook)["deliveries"]["reset_at"] is None


def restored(room: Newsroom, url: str, file: Path) -> None:
    """Puts a backup in place, while nobody has the base open."""
    room.db.dispose()
    with owner_of(url) as owner:
        restore(owner, file, lambda _session: iter(()), force=True)


@contextmanager
def owner_of(url: str) -> Iterator[Database]:
    """A base as the commands open it."""
    db = Database(url)
    yield db
    db.dispose()
