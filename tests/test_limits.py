"""How much one client may ask for. The server of the tests trusts this machine as a proxy, so `at` makes a
request that came from another address.
"""

import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app import main
from app.access.house import House
from app.base import limits, recent
from app.base.db import Database
from app.base.errors import TooManyRequests
from app.base.limits import Meter, Turns, network
from app.operations.metrics import Metrics
from tests.newsroom import Newsroom, SqliteBases, ok, problem
from tests.served import environment, served

HERE, ELSEWHERE = "203.0.113.7", "198.51.100.23"
CLAIMS = "/v1/claims"


def at(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


def asked(client: httpx.Client, address: str, times: int = 1, path: str = CLAIMS) -> list[int]:
    """The statuses of some requests from an address."""
    return [client.get(path, headers=at(address)).status_code for _ in range(times)]


def key_of(client: httpx.Client) -> dict[str, str]:
    return {"Authorization": client.headers["Authorization"]}


# --- rates -------------------------------------------------------------------------------------


def test_an_address_may_ask_so_often_and_is_told(room: Newsroom) -> None:
    with room.with_settings(requests_per_address=5) as strict:
        for rest in (4, 3, 2, 1, 0):
            answer = strict.anyone.get(CLAIMS, headers=at(HERE))
            assert answer.status_code == 200
            assert answer.headers["ratelimit-policy"] == '"address";q=5;w=60'
            assert answer.headers["ratelimit"].startswith(f'"address";r={rest};t=')
        answer = strict.anyone.get(CLAIMS, headers={**at(HERE), "Origin": "https://dashboard.example"})
        refused = problem(answer, 429, "too-many-requests")
        assert refused["violated-policies"] == ["address"]
        assert 1 <= int(answer.headers["retry-after"]) <= 12
        assert answer.headers["ratelimit"] == f'"address";r=0;t={answer.headers["retry-after"]}'
        assert answer.headers["access-control-allow-origin"] == "*", "a page of another site is told too"
        assert "Retry-After" in answer.headers["access-control-expose-headers"]
        assert asked(strict.anyone, ELSEWHERE) == [200], "another address has a quota of its own"


def test_probes_have_a_quota_of_their_own(room: Newsroom) -> None:
    with room.with_settings(requests_per_address=3) as strict:
        assert asked(strict.anyone, HERE, 4) == [200, 200, 200, 429]
        asked_of = ("/healthz", "/readyz", "/healthz", "/readyz", "/metrics")
        assert [asked(strict.anyone, HERE, path=path)[0] for path in asked_of] == [200, 200, 200, 429, 429]


def test_a_subscriber_has_one_quota_for_all_its_ipv6_addresses(room: Newsroom) -> None:
    with room.with_settings(requests_per_address=2) as strict:
        assert asked(strict.anyone, "2001:db8:1:2::1") == [200]
        assert asked(strict.anyone, "2001:db8:1:2:ffff::9", 2) == [200, 429]
        assert asked(strict.anyone, "2001:db8:1:3::1") == [200]


@pytest.mark.parametrize(
    ("address", "whom"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", None),
        ("127.9.9.9", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("unknown", "unknown"),
        ("x" * 5000, "x" * 100),
    ],
)
def test_whom_an_address_stands_for(address: str, whom: str | None) -> None:
    assert network(address) == whom


def test_this_machine_is_not_limited(room: Newsroom) -> None:
    with room.with_settings(requests_per_address=1, requests_per_key=1, wrong_keys=1) as strict:
        for headers in ({}, key_of(strict.reader), {"Authorization": "Bearer otr_wrong"}):
            answers = [strict.anyone.get(CLAIMS, headers=headers) for _ in range(5)]
            assert 429 not in {answer.status_code for answer in answers}
            assert "ratelimit" not in answers[0].headers


def test_a_key_has_a_quota_of_its_own_wherever_it_is_used(room: Newsroom) -> None:
    with room.with_settings(requests_per_address=2, requests_per_key=3) as strict:
        assert asked(strict.anyone, HERE) == [200]
        assert asked(strict.reader, HERE) == [200], "not yet known, so it counts for its address"
        assert asked(strict.anyone, HERE) == [429]
        answer = strict.reader.get(CLAIMS, headers=at(HERE))
        assert answer.headers["ratelimit"].startswith('"key";r=1;')
        assert asked(strict.reader, ELSEWHERE, 2) == [200, 429]
        shouted = f"bEARER   {key_of(strict.reader)['Authorization'][7:]}"
        answer = strict.anyone.get(CLAIMS, headers={**at(ELSEWHERE), "Authorization": shouted})
        assert answer.status_code == 429, "it is the same key however it is written"


def test_who_tries_wrong_keys_is_stopped_and_nobody_else(room: Newsroom) -> None:
    with room.with_settings(wrong_keys=3) as strict:
        assert asked(strict.editor, HERE) == [200]
        wrong = [{**at(HERE), "Authorization": f"Bearer otr_{n}"} for n in range(5)]
        answers = [strict.anyone.get(CLAIMS, headers=headers) for headers in wrong]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
        assert problem(answers[4], 429)["violated-policies"] == ["wrong-keys"]
        assert int(answers[4].headers["retry-after"]) >= 1
        assert asked(strict.anyone, HERE) == [200], "reading needs no key"
        assert asked(strict.editor, HERE) == [200], "a key that was good before is good still"
        assert asked(strict.checker, HERE) == [429], "a key that is not known yet may be a guess"
        assert asked(strict.checker, ELSEWHERE) == [200]


def test_wrong_keys_are_counted_wherever_a_key_is_read(room: Newsroom) -> None:
    """Every address that reads a key, by what it answers to a wrong one, counts it."""
    with room.with_settings(wrong_keys=1) as strict:
        reading = [route for route in room.app.state.routes if getattr(route, "gates", ())]
        assert "/metrics" in {route.path for route in reading}
        for n, route in enumerate(reading):
            path, method = re.sub(r"{\w+(:\w+)?}", "x", route.path), min(route.methods)
            headers = {**at(f"192.0.{n // 250}.{n % 250}"), "Authorization": f"Bearer otr_{n}"}
            for status in (401, 429):
                found = strict.anyone.request(method, path, headers=headers).status_code
                assert found == status, (method, path)


def test_a_wrong_key_in_an_address_counts_too(room: Newsroom) -> None:
    """Google's client has its key there."""
    with room.with_settings(wrong_keys=2, public_reading=False) as strict:
        path = "/v1alpha1/claims:search?query=gas&key="
        assert [asked(strict.anyone, HERE, path=f"{path}otr_{n}")[0] for n in range(4)] == [
            401,
            401,
            429,
            429,
        ]
        assert asked(strict.reader, HERE) == [429], "it may be a guess"
        assert asked(strict.reader, ELSEWHERE) == [200]


def test_wrong_keys_that_are_sent_at_once_are_not_all_tried(room: Newsroom) -> None:
    with room.with_settings(wrong_keys=3, requests_at_once=2) as strict, ThreadPoolExecutor(24) as guesser:
        clients = [strict.client(f"otr_{n}") for n in range(24)]
        statuses = list(guesser.map(lambda client: asked(client, HERE)[0], clients))
        for client in clients:
            client.close()
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 3 + 1, "one more that had its turn at the same time"


def test_a_key_that_was_revoked_is_a_wrong_key(room: Newsroom) -> None:
    with room.with_settings(wrong_keys=2) as strict:
        key_id, token = strict.key("editor")
        with strict.client(token) as client:
            assert asked(client, HERE) == [200]
            ok(strict.admin.delete(f"/v1/keys/{key_id}"))
            assert asked(client, HERE, 3) == [401, 401, 429]


def test_a_quota_comes_back_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(limits, "monotonic_ns", lambda: int(now * 1e9))
    meter = Meter("m", 6)
    assert [meter.take("a") >= 0 for _ in range(8)] == [True] * 6 + [False] * 2
    now += 9.9
    assert meter.take("a") < 0
    now += 0.1
    assert [meter.take("a") >= 0 for _ in range(2)] == [True, False]
    now += 1000
    assert [meter.take("a") >= 0 for _ in range(7)] == [True] * 6 + [False], "no more than is whole"
    assert meter.take("b") >= 0


def test_in_no_minute_is_more_granted_than_twice_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(limits, "monotonic_ns", lambda: int(now * 1e9))
    meter, granted = Meter("m", 7), []
    for step in range(40_000):
        now = step * 0.01 + (step % 13) * 0.0007
        if meter.take("a") >= 0:
            granted.append(now)
    for n, first in enumerate(granted):
        assert sum(first <= each < first + 60 for each in granted[n:]) <= 14
    assert len(granted) == pytest.approx(7 + 400 * 7 / 60, abs=1)


def test_a_meter_forgets_who_was_not_seen_for_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_KEPT", 100)
    meter = Meter("m", 10)
    for n in range(1000):
        meter.take(f"client {n}")
        meter.take("always here")
    assert len(meter._whole_at) == 100
    assert "always here" in meter
    assert "client 0" not in meter


# --- turns -------------------------------------------------------------------------------------


def test_the_requests_of_one_client_wait_in_their_order() -> None:
    turns, order, most = Turns(2), [], 0

    async def work(client: str, number: int) -> None:
        nonlocal most
        await turns.take(client)
        most = max(most, turns._under_way["a"])
        await asyncio.sleep(0)
        order.append((client, number))
        turns.give(client)

    async def all_of_them() -> None:
        await asyncio.gather(*(work("a", n) for n in range(50)), work("b", 0))
        await asyncio.sleep(0)

    asyncio.run(all_of_them())
    assert most == 2
    assert [number for client, number in order if client == "a"] == list(range(50))
    assert order.index(("b", 0)) < 5, "another client does not wait for them"
    assert (turns._under_way, turns._waiting) == ({}, {})


def test_no_client_has_more_answered_in_a_round_than_it_has_turns() -> None:
    """Most answers are made without waiting, so that nobody else is heard in between."""
    turns, order = Turns(2), []

    async def work(client: str) -> None:
        await turns.take(client)
        order.append(client)
        turns.give(client)

    async def all_of_them() -> None:
        await asyncio.gather(*(work("a") for _ in range(50)), work("b"))
        await asyncio.sleep(0)

    asyncio.run(all_of_them())
    assert order.index("b") == 2
    assert (turns._under_way, turns._waiting) == ({}, {})


def test_who_goes_away_while_waiting_takes_no_turn_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_WAITING", 2)

    async def come_and_go() -> None:
        turns = Turns(1)
        await turns.take("a")
        waiting = [asyncio.create_task(turns.take("a")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyRequests):
            await turns.take("a")
        waiting[0].cancel()
        await asyncio.sleep(0)
        turns.give("a")
        await waiting[1]
        third = asyncio.create_task(turns.take("a"))
        await asyncio.sleep(0)
        turns.give("a")
        asyncio.get_running_loop().call_soon(third.cancel)  # it has its turn, and does not know yet
        with suppress(asyncio.CancelledError):
            await third
        await asyncio.sleep(0)
        assert (turns._under_way, turns._waiting) == ({}, {})

    asyncio.run(come_and_go())


def test_who_keeps_the_server_busy_waits_for_himself(room: Newsroom) -> None:
    with room.with_settings(requests_at_once=2) as strict, ThreadPoolExecutor(3) as greedy:
        writer = strict.reporter
        assert asked(writer, HERE) == [200]
        with strict.db.write() as session:
            session.execute(text("SELECT 1"))  # no other writer has its turn now
            held = [
                greedy.submit(
                    writer.post, "/v1/entities", json={"name": name, "kind": "person"}, headers=at(HERE)
                )
                for name in ("A", "B")
            ]
            time.sleep(1)
            third = greedy.submit(asked, writer, HERE)
            assert asked(strict.anyone, HERE) == [200], "another client at the same address"
            assert asked(strict.anyone, ELSEWHERE) == [200]
            time.sleep(0.5)
            assert not third.done()
        assert [each.result().status_code for each in held] == [201, 201]
        assert third.result() == [200]


# --- probes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/readyz", "/metrics"])
def test_probes_are_answered_from_memory_for_a_moment(
    room: Newsroom, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(recent, "KEPT_SECONDS", 60)
    looks: list[int] = []
    unfitness, exposition = main.unfitness, Metrics.exposition

    def look(db: Database, secret: bytes) -> str | None:
        looks.append(1)
        return unfitness(db, secret)

    def expose(metrics: Metrics, house: House) -> bytes:
        looks.append(1)
        return exposition(metrics, house)

    monkeypatch.setattr(main, "unfitness", look)
    monkeypatch.setattr(Metrics, "exposition", expose)
    reader = room.reader
    with ThreadPoolExecutor(8) as supervisors:
        answers = list(supervisors.map(lambda _: reader.get(path), range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert looks == [1]
    assert len({answer.content for answer in answers}) == 1


def test_a_failed_probe_is_told_as_long_as_a_good_one(
    room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "unfitness", lambda *_of: "The schema is old.")
    assert problem(room.anyone.get("/readyz"), 503, "unavailable")["detail"] == "The schema is old."
    monkeypatch.setattr(main, "unfitness", lambda *_of: None)
    end = time.monotonic() + 20
    while room.anyone.get("/readyz").status_code == 503:
        assert time.monotonic() < end
        time.sleep(0.1)


# --- who is believed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "counts"),
    [
        ("127.0.0.1:8000", False),
        ("127.9.9.9", False),
        ("[::1]:8000", False),
        ("localhost", False),
        ("LOCALHOST:80", False),
        ("api.localhost:8000", False),
        ("", False),
        ("claims.example", True),
        ("claims.example:443", True),
        ("localhost.example", True),
        ("127.0.0.1.example", True),
        ("notlocalhost", True),
        ("localhost:80@claims.example", True),
    ],
)
def test_loopback_is_this_machine_if_it_is_asked_by_such_a_name(
    room: Newsroom, caplog: pytest.LogCaptureFixture, host: str, counts: bool
) -> None:
    with room.with_settings(requests_per_address=2) as strict:
        answers = [strict.anyone.get(CLAIMS, headers={"Host": host}).status_code for _ in range(4)]
    assert answers == ([200, 200, 429, 429] if counts else [200] * 4)
    warnings = [record.message for record in caplog.records if "X-Forwarded-For" in record.message]
    assert len(warnings) == counts, "it is said once"


def test_a_proxy_that_names_its_clients_is_not_warned_of(
    room: Newsroom, caplog: pytest.LogCaptureFixture
) -> None:
    with room.with_settings(requests_per_address=2) as strict:
        named = {"Host": "claims.example", **at(HERE)}
        assert strict.anyone.get(CLAIMS, headers=named).status_code == 200
    assert not caplog.records


@pytest.mark.parametrize("trusted", [True, False])
def test_a_forwarded_address_counts_if_the_proxy_is_trusted(
    sqlite_bases: SqliteBases, tmp_path: Path, trusted: bool
) -> None:
    proxies = '["127.0.0.0/8"]' if trusted else "[]"
    more: dict[str, Any] = {"RECORD_TRUSTED_PROXIES": proxies, "RECORD_REQUESTS_PER_ADDRESS": "2"}
    with (
        sqlite_bases.fresh() as url,
        served(environment(url, **more), tmp_path / "log") as server,
        server.client() as client,
    ):
        assert asked(client, HERE, 4) == [200, 200, 429, 429]
        expected = [200] if trusted else [429]  # all count for the proxy
        assert asked(client, f"{HERE}, {ELSEWHERE}") == expected, "the last that is not a proxy is the client"


@pytest.mark.parametrize("name", ["Via", "Forwarded", "X-Forwarded-Proto", "X-Real-IP", "x-forwarded-host"])
def test_what_a_proxy_on_this_machine_has_passed_on_is_not_of_this_machine(room: Newsroom, name: str) -> None:
    with room.with_settings(requests_per_address=2) as strict:
        headers = {"Host": "127.0.0.1:8000", name: "example"}
        answers = [strict.anyone.get(CLAIMS, headers=headers).status_code for _ in range(4)]
    assert answers == [200, 200, 429, 429]
