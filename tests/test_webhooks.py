"""Webhooks: every change told to an address, in order, signed, and again until it is taken."""

import asyncio
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import update
from standardwebhooks import Webhook as Standard
from standardwebhooks import WebhookVerificationError

from app.access import store as keys
from app.access.house import House
from app.access.model import KeyIn, Person
from app.base.db import Database
from app.base.sql import select, table
from app.base.times import now
from app.exchange.dump import export, restore
from app.hooks import progress, schedule, sending, store
from app.hooks.deliveries import Deliveries
from app.hooks.model import EventType, Progress
from app.operations.doctor import examine
from tests.contract import furnish, whole
from tests.newsroom import SECRET, TESTS, Bases, Json, Newsroom, Server, SqliteBases, match, ok, problem
from tests.receiver import Got, Receiver, Says, receiving
from tests.served import environment, served
from tests.test_house import app_files
from tests.test_metrics import scraped, value

HOOKS = "/v1/webhooks"
NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def desk(room: Newsroom) -> Newsroom:
    """A newsroom whose webhooks may lead to this machine, and that has somebody to speak."""
    allow(room)
    room.entity()
    return room


def allow(room: Newsroom, **settings: Any) -> None:
    given = {**room.settings.model_dump(), "webhook_networks": NETWORKS, **settings}
    room.settings = type(room.settings).model_validate(given)
    room._answer()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def hooked(room: Newsroom, url: str, **more: Any) -> Json:
    """A new webhook, with its secret."""
    return ok(room.admin.post(HOOKS, json={"url": url, **more}))


def seen(room: Newsroom, hook: Json) -> Json:
    """A webhook as it is now."""
    return ok(room.admin.get(f"{HOOKS}/{hook['id']}"))


def patched(room: Newsroom, hook: Json, **fields: Any) -> Json:
    return ok(room.admin.patch(f"{HOOKS}/{hook['id']}", headers={"If-Match": "*"}, json=fields))


def delivering(room: Newsroom, at: datetime | None = None) -> Deliveries:
    house: House = room.app.state.house
    return Deliveries(house, room.app.state.metrics.note_delivery, (lambda: at) if at else now)


def deliver(room: Newsroom, at: datetime | None = None) -> None:
    """Delivers what is due, as of a moment."""
    asyncio.run(delivering(room, at).once())


def last(room: Newsroom) -> int:
    found: int = room.get("/v1/changes", order="desc", limit=1)["data"][0]["seq"]
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- what is told ------------------------------------------------------------------------------


def test_every_change_is_told_in_order_once_and_signed(desk: Newsroom, receiver: Receiver) -> None:
    hook = hooked(desk, receiver.url)
    here = last(desk)
    claim = desk.claim("«Quoted», with a line\nend, \u2028 and an é.")
    desk.take(claim)
    desk.review(claim)
    ok(desk.admin.post("/v1/keys", json={"name": "New desk", "role": "reader"}))
    deliver(desk)
    entries = desk.get("/v1/changes", after=here, order="asc", limit=200)["data"]
    assert len(entries) >= 5
    standard = Standard(hook["secret"])
    for got, entry in zip(receiver.got, entries, strict=True):
        told = standard.verify(got.body, got.headers)
        assert told == {"type": entry["action"], "timestamp": entry["at"], "data": entry}
        assert got.headers["content-type"] == "application/json"
    assert len({got.id for got in receiver.got}) == len(entries)
    made = [got.told["data"] for got in receiver.got if got.told["type"] == "key.create"]
    assert [entry["difference"] for entry in made] == [None] * 2, "the checker's key, and the new one"
    with pytest.raises(WebhookVerificationError):
        standard.verify(receiver.got[0].body + b" ", receiver.got[0].headers)
    with pytest.raises(WebhookVerificationError):
        standard.verify(receiver.got[0].body, {**receiver.got[0].headers, "webhook-id": "another"})
    deliver(desk)
    assert len(receiver.got) == len(entries)
    state = seen(desk, hook)["deliveries"]
    assert (state["delivered"], state["last_status"], state["last_error"]) == (last(desk), 200, None)


def test_the_page_s_receiver_believes_what_is_ours_and_nothing_else(
    desk: Newsroom, receiver: Receiver
) -> None:
    hook = hooked(desk, receiver.url)
    ok(desk.admin.post(f"{HOOKS}/{hook['id']}/test"))
    [got] = receiver.got
    page = (Path(__file__).parents[1] / "docs" / "events.md").read_text(encoding="utf-8")
    [lines] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(lines, names)
    is_ours = names["is_ours"]
    assert is_ours(hook["secret"], got.headers, got.body)
    assert not is_ours(hook["secret"], got.headers, got.body + b" ")
    assert not is_ours(hook["secret"], {**got.headers, "webhook-timestamp": "1700000000"}, got.body)
    assert not is_ours(hooked(desk, receiver.url)["secret"], got.headers, got.body)


def test_only_what_is_wanted_is_told_however_much_comes_between(
    desk: Newsroom, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "AT_ONCE", 2)
    monkeypatch.setattr(progress, "LOOKED_THROUGH", 4)
    hook = hooked(desk, receiver.url, types=["claim.take", "source"])
    claim = desk.claim()
    for number in range(9):
        desk.entity(f"Person {number}")
    desk.take(claim)
    for number in range(3):
        desk.source(f"https://example.org/{number}")
    for _ in range(9):
        deliver(desk)
    assert [got.told["type"] for got in receiver.got] == ["claim.take"] + ["source.create"] * 3
    assert last(desk) - seen(desk, hook)["deliveries"]["delivered"] < 4


def test_every_action_there_is_can_be_asked_for(sqlite_bases: SqliteBases, server: Server) -> None:
    with sqlite_bases.fresh(seeded=True) as url, Newsroom(server, url) as room:
        furnish(room)
        done = {entry["action"] for entry in whole(room, "/v1/changes")}
    written = {found for source in app_files() for found in re.findall(r'action="([a-z.]+)"', source.text)}
    moves = {f"{found}.follow" for found in ("entity.merge", "entity.part")}
    assert done | written | moves <= set(get_args(EventType))
    assert len(done) > 12
    assert len(written) > 20


# --- failures ----------------------------------------------------------------------------------


def test_what_was_not_taken_is_sent_again_under_the_same_id_before_all_else(
    desk: Newsroom, receiver: Receiver
) -> None:
    hook = hooked(desk, receiver.url)
    for number in range(4):
        desk.entity(f"Person {number}")
    end = last(desk)
    receiver.answer = lambda got: Says(503 if got.seq == end - 1 and len(receiver.got) < 4 else 200)
    began = now()
    deliver(desk, began)
    failing = seen(desk, hook)["deliveries"]
    assert (failing["delivered"], failing["attempts"], failing["last_status"]) == (end - 2, 1, 503)
    assert (failing["last_error"], failing["failing_since"]) == ("answered 503", failing["last_at"])
    assert timedelta(seconds=5) <= moment(failing["next_at"]) - began <= timedelta(seconds=5.5)
    deliver(desk, began + timedelta(seconds=4))
    assert len(receiver.got) == 3
    deliver(desk, began + timedelta(seconds=6))
    assert seen(desk, hook)["deliveries"]["attempts"] == 2
    deliver(desk, began + timedelta(seconds=400))
    assert receiver.seqs == [end - 3, end - 2, end - 1, end - 1, end - 1, end]
    assert len({got.id for got in receiver.got}) == 4
    fine = seen(desk, hook)["deliveries"]
    assert (fine["attempts"], fine["failing_since"], fine["next_at"]) == (0, None, None)


def test_the_waits_are_those_of_standard_webhooks() -> None:
    at = now()
    waits = [(schedule.next_at(at, n) - at).total_seconds() for n in range(1, 12)]
    hours = [2, 5, 10, 14, 20, 24, 24, 24]
    for wait, least in zip(waits, [5, 300, 1800, *(3600 * hour for hour in hours)], strict=True):
        assert least <= wait <= least * 1.1
    for asked, least in ((0, 5), (-100, 5), (120, 120), (10**9, 86400)):
        wait = (schedule.next_at(at, 4, timedelta(seconds=asked)) - at).total_seconds()
        assert least <= wait <= least * 1.1


def test_a_target_is_left_alone_for_as_long_as_it_asks(desk: Newsroom, receiver: Receiver) -> None:
    began = now()
    date = (began + timedelta(seconds=120)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    hooks = {header: hooked(desk, receiver.url) for header in ("120", date, "soon\u00e9", "9" * 30)}
    ids = {hook["id"]: header for header, hook in hooks.items()}
    receiver.answer = lambda got: Says(429, {"Retry-After": ids[got.id.rpartition("_")[0]]})
    desk.entity("Another")
    deliver(desk)
    for header, least in (("120", 120), (date, 118), ("soon\u00e9", 5), ("9" * 30, 5)):
        wait = moment(seen(desk, hooks[header])["deliveries"]["next_at"]) - began
        assert timedelta(seconds=least) < wait < timedelta(seconds=least * 1.1 + 10), header


def test_is_disabled_after_days_of_failure_with_a_notice_and_goes_on_when_enabled(
    desk: Newsroom, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    hook = hooked(desk, receiver.url + "?token=of-the-target")
    desk.entity("Waits")
    missed = last(desk)
    receiver.answer = lambda _got: Says(500)
    began = at = now()
    while (hook := seen(desk, hook))["enabled"]:
        at = max(at, moment(hook["deliveries"]["next_at"] or hook["created_at"]))
        deliver(desk, at)
    assert timedelta(days=5) <= at - began < timedelta(days=6)
    assert len(receiver.got) == 12
    assert [got.id.rpartition("-")[0] for got in receiver.got] == [f"{hook['id']}_{missed}"] * 12
    assert hook["disabled_because"] == "Nothing was taken for 5 days; at last: answered 500."
    [notice] = desk.get("/v1/changes", resource="webhook", order="desc", limit=1)["data"]
    assert (notice["action"], notice["actor"]) == ("webhook.disable", "webhooks")
    assert notice["reason"] == hook["disabled_because"]
    assert f"The webhook {hook['id']} was disabled" in caplog.text
    assert "of-the-target" not in caplog.text, "an address may be as good as a key"
    assert value(scraped(desk.reader), "record_webhooks", state="disabled") == 1
    advice = [found.detail for found in examine(desk.settings) if found.check == "webhooks"]
    assert advice == [f"{hook['id']} was disabled: {hook['disabled_because']}"]
    deliver(desk, at + timedelta(days=30))
    assert len(receiver.got) == 12
    receiver.answer = lambda _got: Says()
    again = patched(desk, hook, enabled=True)
    assert (again["disabled_because"], again["deliveries"]["next_at"]) == (None, None)
    deliver(desk)
    assert receiver.seqs[12:] == [*range(missed, last(desk) + 1)]


def test_a_target_that_is_gone_is_left_at_once(desk: Newsroom, receiver: Receiver) -> None:
    receiver.answer = lambda _got: Says(410)
    hook = hooked(desk, receiver.url)
    desk.entity("Another")
    deliver(desk)
    gone = seen(desk, hook)
    assert (gone["enabled"], gone["disabled_because"]) == (False, "The target says that it is gone (410).")
    deliver(desk, now() + timedelta(days=1))
    assert len(receiver.got) == 1


def test_another_address_is_tried_at_once(desk: Newsroom, receiver: Receiver) -> None:
    with receiving(lambda _got: Says(500)) as old:
        hook = hooked(desk, old.url)
        desk.entity("Another")
        deliver(desk)
    assert patched(desk, hook, note="It fails.")["deliveries"]["attempts"] == 1
    assert patched(desk, hook, url=receiver.url)["deliveries"]["attempts"] == 0
    deliver(desk)
    assert receiver.seqs[0] == old.seqs[0]


# --- targets that do harm ----------------------------------------------------------------------


@contextmanager
def silent() -> Iterator[str]:
    """The address of one that takes a connection and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_one_that_hangs_keeps_nobody_waiting(
    desk: Newsroom, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "WHOLE_SECONDS", 0.3)
    with silent() as dead:
        hook = hooked(desk, dead)
        hooked(desk, receiver.url)
        desk.entity("Another")
        deliver(desk)
        state = seen(desk, hook)["deliveries"]
    assert (state["last_status"], state["last_error"]) == (None, "no answer within 0.3 seconds")
    assert len(receiver.got) == 1
    states = scraped(desk.reader)
    assert value(states, "record_webhooks", state="delivering") == 1
    assert value(states, "record_webhooks", state="failing") == 1


def test_no_redirect_is_followed(desk: Newsroom, receiver: Receiver) -> None:
    hook = hooked(desk, receiver.url)
    desk.entity("Another")
    with receiving() as inside:
        statuses = [301, 302, 303, 307, 308]
        receiver.answer = lambda _got: Says(statuses[min(len(receiver.got), 4)], {"Location": inside.url})
        for status in statuses:
            told = ok(desk.admin.post(f"{HOOKS}/{hook['id']}/test"))
            assert told["error"] == f"answered {status}, and redirects are not followed"
        deliver(desk)
        assert inside.got == []
    state = seen(desk, hook)["deliveries"]
    assert (state["last_status"], state["delivered"] < last(desk)) == (308, True)


def test_an_answer_without_end_is_not_read(desk: Newsroom, receiver: Receiver) -> None:
    receiver.answer = lambda _got: Says(200, endless=True)
    hook = hooked(desk, receiver.url)
    desk.entity("Another")
    deliver(desk)
    assert seen(desk, hook)["deliveries"]["delivered"] == last(desk)
    assert receiver.poured < 20_000_000, "no more than what buffers hold"


@pytest.mark.parametrize("body", [b"", b"abc"], ids=["stalled", "cut off"])
def test_what_comes_after_a_good_status_is_not_waited_for(
    desk: Newsroom, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(sending, "_REST_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        said, over = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + body, threading.Event()
        if body:
            over.set()
        thread = threading.Thread(target=_say, args=(listener, said, over))
        thread.start()
        hook = hooked(desk, f"http://127.0.0.1:{listener.getsockname()[1]}/")
        told = ok(desk.admin.post(f"{HOOKS}/{hook['id']}/test"))
        over.set()
        thread.join()
    assert (told["delivered"], told["status"], told["seconds"] < 5) == (True, 200, True)


RUBBISH = {
    b"": "no answer in HTTP",
    b"SSH-2.0-OpenSSH_9.2\r\n": "no answer in HTTP",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000: "no answer in HTTP",
    b"HTTP/1.1 999999 \r\n\r\n": "no answer in HTTP",
}


def test_what_is_no_answer_is_a_failure(desk: Newsroom) -> None:
    for rubbish, said in RUBBISH.items():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=_say, args=(listener, rubbish))
            thread.start()
            hook = hooked(desk, f"http://127.0.0.1:{listener.getsockname()[1]}/")
            told = ok(desk.admin.post(f"{HOOKS}/{hook['id']}/test"))
            thread.join()
        assert (told["delivered"], told["status"], told["error"]) == (False, None, said), rubbish[:20]
    told = ok(desk.admin.post(f"{HOOKS}/{hook['id']}/test"))
    assert told["error"] == "no connection"


def _say(listener: socket.socket, answer: bytes, over: threading.Event | None = None) -> None:
    """Says something to whoever comes, and closes, once it is over."""
    connection, _ = listener.accept()
    with connection, suppress(OSError):
        connection.recv(65536)
        connection.sendall(answer)
        if over is not None:
            over.wait(20)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):  # what is closed unread is reset, and the answer may be lost with it
            pass


# --- what admins do ----------------------------------------------------------------------------


def test_what_was_told_is_told_again_from_any_place(desk: Newsroom, receiver: Receiver) -> None:
    hook = hooked(desk, receiver.url)
    path = f"{HOOKS}/{hook['id']}/replay"
    assert ok(desk.admin.post(path, json={"after": 0}))["deliveries"]["delivered"] == 0
    deliver(desk)
    first = receiver.got[:]
    assert receiver.seqs == [*range(1, last(desk) + 1)]
    ok(desk.admin.post(path, json={"after": last(desk) - 2}))
    deliver(desk)
    assert [(got.id, got.body) for got in receiver.got[len(first) :]] == [(g.id, g.body) for g in first[-2:]]
    desk.entity("Not told of")
    ok(desk.admin.post(path, json={"after": last(desk)}))
    deliver(desk)
    assert len(receiver.got) == len(first) + 2
    for wrong in (last(desk) + 1, -1, 2**53, "1", None):
        problem(desk.admin.post(path, json={"after": wrong}), 422, "invalid")


def test_a_secret_that_is_replaced_signs_for_another_day(desk: Newsroom, receiver: Receiver) -> None:
    hook = hooked(desk, receiver.url)
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", hook["secret"])
    rotated = ok(desk.admin.post(f"{HOOKS}/{hook['id']}/rotate", headers=match(hook)))
    assert rotated["secret"] != hook["secret"]
    problem(desk.admin.post(f"{HOOKS}/{hook['id']}/rotate", headers=match(hook)), 412, "stale")
    desk.entity("Another")
    deliver(desk)
    for got in receiver.got:
        for each in (hook, rotated):
            assert Standard(each["secret"]).verify(got.body, got.headers)
    count = len(receiver.got)
    desk.entity("One more")
    later = now() + timedelta(hours=25)
    deliver(desk, later)
    [got] = receiver.got[count:]
    # The library takes no message of tomorrow, so what it would sign is compared.
    signed = Standard(rotated["secret"]).sign(got.id, later, got.body.decode())
    assert got.headers["webhook-signature"] == signed


def test_no_secret_is_kept_and_addresses_are_shown_to_admins_only(desk: Newsroom) -> None:
    made = hooked(desk, "https://desk.invalid/hook?token=of-the-target", note="Dashboard")
    assert made["secret"] not in desk.admin.get(HOOKS).text
    with desk.db.read() as session:
        kept = b"".join(export(session)).decode()
        kept += str(session.connection().exec_driver_sql("SELECT * FROM webhooks").all())
    assert made["secret"].removeprefix("whsec_") not in kept
    for client in (desk.anyone, desk.editor):
        [entry] = ok(client.get("/v1/changes", params={"resource": "webhook"}))["data"]
        assert (entry["action"], entry["difference"]) == ("webhook.create", None)
        told = client.get("/v1/changes/stream", params={"after": 0, "until": last(desk)}).text
        assert "webhook.create" in told
        assert "of-the-target" not in told
    [entry] = ok(desk.admin.get("/v1/changes", params={"resource": "webhook"}))["data"]
    assert entry["difference"]["url"]["new"].endswith("of-the-target")


def test_a_ping_says_what_became_of_it(desk: Newsroom, receiver: Receiver) -> None:
    hook = hooked(desk, receiver.url, enabled=False)
    path = f"{HOOKS}/{hook['id']}/test"
    sent: Json = {"headers": {"Idempotency-Key": "once"}}
    told = ok(desk.admin.post(path, **sent))
    assert (told["delivered"], told["status"], told["error"]) == (True, 200, None)
    [got] = receiver.got
    assert Standard(hook["secret"]).verify(got.body, got.headers)["type"] == "webhook.ping"
    assert ok(desk.admin.post(path, **sent)) == told
    assert len(receiver.got) == 1
    receiver.answer = lambda _got: Says(404)
    assert ok(desk.admin.post(path))["error"] == "answered 404"
    allow(desk, webhooks=False)
    problem(desk.admin.post(path), 409, "conflict")


def test_one_that_was_removed_is_told_nothing_and_changed_no_more(desk: Newsroom, receiver: Receiver) -> None:
    hook = hooked(desk, receiver.url)
    path = f"{HOOKS}/{hook['id']}"
    assert ok(desk.admin.delete(path, headers=match(hook)))["removed_at"] is not None
    desk.entity("Another")
    deliver(desk)
    assert receiver.got == []
    any_version = {"If-Match": "*"}
    with desk.unchanged():
        problem(desk.admin.delete(path, headers=any_version), 409, "conflict")
        problem(desk.admin.patch(path, headers=any_version, json={"enabled": True}), 409, "conflict")
        problem(desk.admin.post(f"{path}/rotate", headers=any_version), 409, "conflict")
        problem(desk.admin.post(f"{path}/replay", json={"after": 0}), 409, "conflict")
        problem(desk.admin.post(f"{path}/test"), 409, "conflict")


BAD: list[tuple[Json, str]] = [
    ({}, "/url"),
    ({"url": None}, "/url"),
    ({"url": "x" * 2001}, "/url"),
    ({"url": "https://a.example/\x00"}, "/url"),
    ({"url": "https://a.example", "types": ["claim.reviewd"]}, "/types/0"),
    ({"url": "https://a.example", "types": ["claim", "claim"]}, "/types"),
    ({"url": "https://a.example", "types": None}, "/types"),
    ({"url": "https://a.example", "enabled": "yes"}, "/enabled"),
    ({"url": "https://a.example", "secret": "whsec_x"}, "/secret"),
    ({"url": "https://a.example", "rotation": 7}, "/rotation"),
]


def test_a_webhook_that_cannot_be_is_refused(desk: Newsroom) -> None:
    with desk.unchanged():
        for body, pointer in BAD:
            refused = problem(desk.admin.post(HOOKS, json=body), 422, "invalid")
            assert refused["errors"][0]["pointer"] == pointer, body


def test_there_are_not_more_than_can_be_told(desk: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST", 2)
    first, _ = (hooked(desk, f"https://127.0.0.1/{n}") for n in range(2))
    with desk.unchanged():
        refused = desk.admin.post(HOOKS, json={"url": "https://127.0.0.1/3"})
        assert "no more may be" in problem(refused, 409, "conflict")["detail"]
    ok(desk.admin.delete(f"{HOOKS}/{first['id']}", headers={"If-Match": "*"}))
    hooked(desk, "https://127.0.0.1/3")


# --- several at once ---------------------------------------------------------------------------


def test_two_processes_deliver_to_one_webhook_one_at_a_time(desk: Newsroom, receiver: Receiver) -> None:
    hooked(desk, receiver.url)
    for number in range(8):
        desk.entity(f"Person {number}")

    async def both() -> None:
        one, other = delivering(desk), delivering(desk)
        await asyncio.gather(one.once(), other.once(), one.once(), other.once())

    asyncio.run(both())
    deliver(desk)
    assert receiver.seqs == [*range(last(desk) - 7, last(desk) + 1)]


def test_what_a_dead_process_was_at_is_taken_over_after_a_minute(desk: Newsroom, receiver: Receiver) -> None:
    hooked(desk, receiver.url)
    desk.entity("Another")
    with desk.db.write() as session:
        [due] = progress.due(session, now())
        assert progress.lease(session, due, "a process that is dead", now())
        assert not progress.lease(session, due, "another", now())
    deliver(desk, now() + timedelta(seconds=50))
    assert receiver.got == []
    deliver(desk, now() + timedelta(seconds=61))
    assert receiver.seqs == [last(desk)]


def in_the_middle(receiver: Receiver, act: Callable[[], Any]) -> None:
    """Has something done while the first message is under way."""

    def answer(_got: Got) -> Says:
        if not receiver.got:
            act()
        return Says()

    receiver.answer = answer


def test_a_run_does_not_go_past_a_replay_or_an_end(desk: Newsroom, receiver: Receiver) -> None:
    hook = hooked(desk, receiver.url)
    for number in range(3):
        desk.entity(f"Person {number}")
    first = last(desk) - 2
    again = {"after": first - 1}
    in_the_middle(receiver, lambda: ok(desk.admin.post(f"{HOOKS}/{hook['id']}/replay", json=again)))
    deliver(desk)
    assert receiver.seqs == [first]
    assert seen(desk, hook)["deliveries"]["delivered"] == first - 1, "the replay's place stays"
    receiver.got.clear()
    in_the_middle(receiver, lambda: patched(desk, hook, enabled=False))
    deliver(desk)
    assert receiver.seqs == [first]
    patched(desk, hook, enabled=True)
    deliver(desk)
    assert sorted(set(receiver.seqs)) == [*range(first, last(desk) + 1)]


def test_a_server_that_stops_keeps_what_was_taken(desk: Newsroom, receiver: Receiver) -> None:
    hook = hooked(desk, receiver.url)
    for number in range(3):
        desk.entity(f"Person {number}")
    first, asked, release = last(desk) - 2, threading.Event(), threading.Event()

    def answer(got: Got) -> Says:
        if got.seq > first:  # so the answer to the one before was taken
            asked.set()
            release.wait(20)
        return Says()

    receiver.answer = answer

    async def stopped() -> None:
        task = asyncio.ensure_future(delivering(desk).run())
        while not asked.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(stopped())
    assert seen(desk, hook)["deliveries"]["delivered"] == first
    release.set()
    receiver.answer = lambda _got: Says()
    receiver.got.clear()
    deliver(desk)
    assert receiver.seqs[-2:] == [first + 1, first + 2], "no lease stands in the way"


def test_a_base_that_was_brought_in_is_told_of_what_comes_after(
    desk: Newsroom, receiver: Receiver, bases: Bases
) -> None:
    hooked(desk, receiver.url)
    desk.entity("Before")
    with bases.fresh() as url, desk.db.read() as session:
        other = Database(url)
        with other.write() as into:
            restore(into, export(session))
        desk.app.state.house = House(desk.settings, other, SECRET.encode())
        deliver(desk)
        deliver(desk)
        with other.write() as into:
            assert [row.position for row in into.execute(table(Progress).select())] == [last(desk)]
        other.dispose()
    assert receiver.got == []


# --- a server of its own -----------------------------------------------------------------------


def test_a_server_that_is_killed_in_the_middle_loses_nothing(bases: Bases, tmp_path: Path) -> None:
    hold = threading.Event()
    with bases.fresh() as url, receiving() as receiver:
        receiver.answer = lambda _got: Says() if len(receiver.got) != 2 or hold.wait(20) else Says(500)
        env = environment(url, RECORD_SECRET=SECRET, RECORD_WEBHOOK_NETWORKS=json.dumps(NETWORKS))
        db = Database(url)
        token = new_keys(db, 1)
        with served(env, tmp_path / "old") as old, old.client(token) as admin:
            hook = ok(admin.post(HOOKS, json={"url": receiver.url}))
            new_keys(db, 5)
            receiver.wait(2)
        hold.set()
        with db.write() as session:  # as if a minute had gone by
            session.execute(update(table(Progress)).values(leased_until=None))
        first = hook["deliveries"]["delivered"] + 1
        with served(env, tmp_path / "new"):
            receiver.wait_for(first + 4)
        db.dispose()
    assert [*dict.fromkeys(receiver.seqs)] == [*range(first, first + 5)]
    assert len({got.id for got in receiver.got}) == 5
    for got in receiver.got:
        assert Standard(hook["secret"]).verify(got.body, got.headers)
    assert receiver.url not in (tmp_path / "old").read_text() + (tmp_path / "new").read_text()


def new_keys(db: Database, count: int) -> str:
    """So many keys, of one person, past every server; the last one."""
    for number in range(count):
        with db.write() as session:
            person = session.execute(select(Person.id).limit(1)).scalar()
            wish = KeyIn(name=f"Desk {number}", role="admin", person=person)
            _, token = keys.create(session, SECRET.encode(), wish, by=TESTS)
    return token
