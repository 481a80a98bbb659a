"""The base as it stood: every read as of an earlier moment is what was answered then."""

import asyncio
import gc
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.base.db import Database
from app.base.http import Route
from app.base.sql import select
from app.changes import past as past_of
from app.changes.ledger import head
from app.changes.past import MOST_KEPT, Past
from app.changes.reads import Place, hash_at
from app.sources.model import Snapshot
from tests.newsroom import Newsroom, match, ok, problem

QUERIES = {
    "/v1/claims": ["", "limit=3", "sort=created&limit=4", "sort=reviewed", "q=pipeline",
                   "facets=status,verdict", "speaker=vladimir-putin", "status=reviewed",
                   "status=withdrawn", "topic=energy", "has_figure=true"],
    "/v1/entities": ["", "q=Путин", "kind=country"],
    "/v1/sources": ["", "sort=published"],
    "/v1/figures": ["", "measure=bilateral trade", "min=90 bcm&unit=m3"],
    "/v1/figures/series": ["measure=bilateral trade&about=russia"],
    "/v1/search": ["q=gas"],
    "/v1/stats": ["", "by=speaker,verdict", "by=month,status"],
    "/core/api/v2/node": ["nodes=russia&property=->*", "nodes=Country&property=<-typeOf"],
    "/core/api/v2/observation": ["entity.dcids=russia&select=variable&select=entity&select=value"],
    "/core/api/v2/resolve": ["nodes=Putin&property=<-description->dcid"],
}  # fmt: skip
"""What each list is asked; any other address is asked as it is."""


def addresses(room: Newsroom, ids: dict[str, str]) -> Iterator[str]:
    """Every read that takes `as_of`, of these records."""
    for route in room.app.state.routes:
        if not isinstance(route, Route) or "GET" not in (route.methods or ()):
            continue
        if not any(gate.then for gate in route.gates):
            continue
        if route.path.endswith(".parquet"):  # is made of the lines of .ndjson, by a process of its own
            continue
        names = re.findall(r"{(\w+)}", route.path)
        if names and not set(names) <= ids.keys():
            raise AssertionError(f"{route.path}: give the test an id for it")
        for query in QUERIES.get(route.path, [""]):
            yield route.path.format(**ids) + (f"?{query}" if query else "")


def as_of(path: str, moment: Any) -> str:
    return f"{path}{'&' if '?' in path else '?'}as_of={moment}"


def answered(answer: httpx.Response) -> Any:
    """What an answer says: its body and what names its state."""
    told = ("location", "etag", "record-count", "repr-digest", "content-type")
    content: Any = answer.content
    if answer.is_error:
        content = {**answer.json(), "request_id": None}
    return answer.status_code, content, {name: answer.headers.get(name) for name in told}


class Diary:
    """What was answered at each moment, at every third address in turn; each database begins with another."""

    def __init__(self, room: Newsroom, ids: dict[str, str]) -> None:
        self.room = room
        self.paths = list(addresses(room, ids))
        self.days: list[tuple[int, str, dict[str, Any]]] = []

    def write(self) -> None:
        with self.room.db.read() as session:
            seq, _ = head(session)
        turn = len(self.days) + self.room.db.sqlite
        asked = self.paths[turn % 3 :: 3]
        said = {path: answered(self.room.anyone.get(path)) for path in asked}
        self.days.append((seq, datetime.now(UTC).isoformat().replace("+00:00", "Z"), said))

    def compare(self) -> None:
        for day, (seq, at, said) in enumerate(self.days):
            for n, (path, then) in enumerate(said.items()):
                moment = seq if (day // 3 + n) % 2 else at  # each address is asked in either way, on some day
                assert answered(self.room.anyone.get(as_of(path, moment))) == then, (path, moment)


def test_every_read_as_of_a_moment_is_what_was_answered_then(seeded: Newsroom) -> None:
    room = seeded
    claim = room.get("/v1/claims", speaker="vladimir-putin", has_figure="true", limit=1)["data"][0]
    source = room.source(title="A second report", publisher="rfe-rl")
    text = "He said: “The pipeline is agreed.” Then he left."
    quote = room.claim(
        text="The pipeline is agreed.", mode="direct_quote", appearances=[{"source": source["id"]}]
    )
    taken = room.take(claim)
    first = room.review(taken, verdict="false", summary="Not so.")
    judged = {"other": quote["id"], "relation": "contradicts", "judgement": "unsure"}
    link = ok(room.checker.post(f"/v1/claims/{claim['id']}/links", json=judged))
    ids = {
        "link_id": link["id"],
        "claim_id": claim["id"],
        "review_id": first["id"],
        "ref": "vladimir-putin",
        "source_id": source["id"],
        "snapshot_id": "snp_none",
        "figure_id": claim["figures"][0]["id"],
    }
    other = room.entity(name="V. V. Putin", aliases=[{"name": "VVP"}])
    diary = Diary(room, ids)
    diary.write()
    shot = ok(
        room.reporter.post(
            f"/v1/sources/{source['id']}/snapshots", json={"text": text, "text_withheld": False}
        )
    )
    ids["snapshot_id"] = shot["id"]
    diary.paths = list(addresses(room, ids))
    diary.write()
    putin = room.get("/v1/entities/vladimir-putin")
    ok(room.reporter.patch(f"/v1/entities/{putin['id']}", json={"name": "V. Putin"}, headers=match(putin)))
    diary.write()
    fresh = room.get(f"/v1/entities/{other['id']}")
    ok(
        room.editor.post(
            f"/v1/entities/{other['id']}/merge", json={"into": "vladimir-putin"}, headers=match(fresh)
        )
    )
    diary.write()
    again = room.fresh(claim)
    ok(
        room.editor.post(
            f"/v1/claims/{claim['id']}/reviews",
            json={
                "verdict": "mostly_false",
                "summary": "Less false.",
                "corrects": first["id"],
                "correction_note": "The second source was overlooked.",
                "evidence": [{"url": "https://example.org/e", "stance": "refutes"}],
            },
            headers=match(again),
        )
    )
    diary.write()
    gone = room.fresh(quote)
    ok(
        room.editor.post(
            f"/v1/claims/{quote['id']}/withdrawal", json={"note": "Stated twice."}, headers=match(gone)
        )
    )
    diary.write()
    other_now = room.editor.get(f"/v1/entities/{other['id']}")
    parted = {"If-Match": other_now.headers["etag"]}
    ok(room.editor.delete(f"/v1/entities/{other['id']}/merge", headers=parted))
    diary.write()
    diary.compare()
    assert len({str(said) for _, _, said in diary.days}) == len(diary.days)


def test_a_walk_stays_at_its_moment(room: Newsroom) -> None:
    made = [room.claim(f"Claim {n}.")["id"] for n in range(5)]
    with room.db.read() as session:
        seq, _ = head(session)
    walked: list[str] = []
    path = f"/v1/claims?limit=2&sort=created&order=asc&as_of={seq}"
    while path:
        answer = room.anyone.get(path)
        walked += [claim["id"] for claim in ok(answer)["data"]]
        room.claim("Another.")
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    assert walked == made


def test_what_was_read_as_of_a_moment_does_not_change(room: Newsroom) -> None:
    room.claim("One.")
    with room.db.read() as session:
        seq, _ = head(session)
    first = room.anyone.get(f"/v1/claims?as_of={seq}")
    room.claim("Two.")
    again = room.anyone.get(f"/v1/claims?as_of={seq}", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert len(room.get("/v1/claims")["data"]) == 2


@pytest.mark.usefixtures("migrated_each_time")
def test_before_the_beginning_there_was_nothing(room: Newsroom) -> None:
    claim = room.claim()
    for moment in ("0", "1999-12-31", "2001-01-01T00:00:00Z", "2001-01-01T00:00:00+01:00"):
        assert ok(room.anyone.get("/v1/claims", params={"as_of": moment}))["data"] == []
        problem(room.anyone.get(f"/v1/claims/{claim['id']}", params={"as_of": moment}), 404)
    assert len(ok(room.anyone.get("/v1/claims?as_of=2001-01-01T00:00:00+01:00"))["data"]) == 0


def test_today_is_until_now(room: Newsroom) -> None:
    room.claim()
    today = datetime.now(UTC).date().isoformat()
    assert len(ok(room.anyone.get("/v1/claims", params={"as_of": today}))["data"]) == 1
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    assert ok(room.anyone.get("/v1/claims", params={"as_of": yesterday}))["data"] == []


NO_MOMENTS = [
    ("99999", "yet to come"),
    ("9" * 40, "no moment"),
    ("2999-01-01", "in the future"),
    ("2999-01-01T00:00:00Z", "in the future"),
    ("2023-03-21T10:00:00", "no moment"),
    ("2023-03", "no moment"),
    ("yesterday", "no moment"),
    ("", "no moment"),
    ("-1", "no moment"),
    ("٣", "no moment"),
    ("2023-02-30", "no moment"),
    ("9999-12-31T23:59:59-23:59", "no moment"),
]


@pytest.mark.parametrize("moment", NO_MOMENTS)
def test_what_is_no_moment_is_refused(room: Newsroom, moment: tuple[str, str]) -> None:
    written, named = moment
    for path in ("/v1/claims", "/v1/claims/clm_x", "/v1/stats", "/v1/claims.csv"):
        refused = problem(room.anyone.get(path, params={"as_of": written}), 422)
        assert refused["errors"][0]["pointer"] == "as_of"
        assert named in refused["detail"], refused


def test_only_what_has_a_past_can_be_asked_for_it(room: Newsroom) -> None:
    for path in ("/v1/changes", "/v1/log/checkpoint"):
        assert problem(room.anyone.get(path, params={"as_of": "1"}), 422)["errors"][0]["pointer"] == "as_of"
    refused = room.reporter.post("/v1/entities", params={"as_of": "1"}, json={"kind": "person", "name": "X"})
    assert problem(refused, 422)["errors"][0]["pointer"] == "as_of"
    problem(room.admin.get("/v1/keys", params={"as_of": "1"}), 422)


def place_of(room: Newsroom, seq: int) -> Place:
    with room.db.read() as session:
        return Place(seq, hash_at(session, seq))


def test_moments_take_as_much_disk_as_they_may(room: Newsroom) -> None:
    for n in range(4):
        room.claim(f"Claim {n}.")
    with room.db.read() as session:
        last, _ = head(session)
    with room.with_settings(past_bytes=0) as small:
        for _ in range(2):
            for seq in range(last, last - 4, -1):
                ok(small.anyone.get("/v1/claims", params={"as_of": seq}))
        gc.collect()
        left = [
            file.name.split("-")[0] for file in Path(small.app.state.house.past._directory).glob("*-*.db")
        ]
        assert left == [str(last - 3)]


def test_moments_are_few_enough_for_the_memory(room: Newsroom) -> None:
    """Each takes a megabyte or more of memory for its connections, whatever room the disk has."""
    for n in range(MOST_KEPT + 3):
        room.claim(f"Claim {n}.")
    with room.db.read() as session:
        last, _ = head(session)
    past: Past = room.app.state.house.past
    for seq in range(last - MOST_KEPT - 2, last):
        ok(room.anyone.get("/v1/claims", params={"as_of": seq}))
        assert len(past._kept) <= MOST_KEPT
    assert len(past._kept) == MOST_KEPT


def test_a_moment_that_is_still_read_is_no_other_s(room: Newsroom) -> None:
    """One that made way while somebody reads it is made again beside it."""
    for n in range(3):
        room.claim(f"Claim {n}.")
    with room.db.read() as session:
        last, _ = head(session)
    with room.with_settings(past_bytes=0) as small:
        past: Past = small.app.state.house.past

        def at(seq: int) -> Database:
            return asyncio.run(past.at(small.db, place_of(small, seq)))

        held = at(last)
        at(last - 1)
        again = at(last)
        assert again is not held
        del held
        gc.collect()
        with again.read() as session:
            assert head(session)[0] == last
        at(last - 1)


def test_a_text_that_is_withdrawn_is_in_no_moment(room: Newsroom) -> None:
    source = room.source()
    ok(room.reporter.post(f"/v1/sources/{source['id']}/snapshots", json={"text": "The secret text."}))
    with room.db.read() as session:
        last, _ = head(session)
    past: Past = room.app.state.house.past
    with asyncio.run(past.at(room.db, place_of(room, last))).read() as session:
        [text] = session.execute(select(Snapshot.text)).scalars().all()
    assert text is None
    problem(room.anyone.get(f"/v1/sources/{source['id']}/anchors", params={"as_of": last}), 422)


def test_many_ask_for_the_same_moment_at_once(room: Newsroom) -> None:

    for n in range(3):
        room.claim(f"Claim {n}.")
    with room.db.read() as session:
        last, _ = head(session)
    asked = [last - n % 3 for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda seq: room.anyone.get("/v1/claims", params={"as_of": seq}), asked))
    for seq, answer in zip(asked, answers, strict=True):
        assert len(ok(answer)["data"]) == sum(
            1 for change in room.get("/v1/changes", resource="claim")["data"] if change["seq"] <= seq
        )


# --- whoever waits for them --------------------------------------------------------------------


@contextmanager
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Moments that are not made until they may be."""
    release, fill = threading.Event(), Past._fill

    def slowly(past: Past, *more: Any) -> None:
        release.wait(30)
        fill(past, *more)

    monkeypatch.setattr(Past, "_fill", slowly)
    try:
        yield release
    finally:
        release.set()


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_client_has_one_moment_made_at_a_time(room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(10):
        room.claim(f"Claim {n}.")
    past: Past = room.app.state.house.past

    def ask(address: str, seq: int) -> int:
        headers = {"X-Forwarded-For": address}
        return room.anyone.get("/v1/claims", params={"as_of": seq}, headers=headers).status_code

    with held(monkeypatch) as release, ThreadPoolExecutor(6) as pool:
        greedy = [pool.submit(ask, "203.0.113.7", seq) for seq in range(1, 5)]
        until(lambda: past._under_way)
        honest = [pool.submit(ask, "198.51.100.23", 6), pool.submit(ask, "198.51.100.24", 6)]
        until(lambda: 6 in past._under_way)
        assert len(past._under_way) == 2, "one of each client, and those who want the same share it"
        release.set()
        assert [asked.result() for asked in honest] == [200, 200]
        assert [asked.result() for asked in greedy] == [200] * 4, "its others are made in their turn"
    assert (past._under_way, past._of_client) == ({}, {})


def test_a_moment_that_nobody_waits_for_is_given_up(room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        room.claim(f"Claim {n}.")
    past: Past = room.app.state.house.past

    async def come_and_go() -> None:
        places = {seq: place_of(room, seq) for seq in (2, 3, 4)}
        first, second = (
            asyncio.create_task(past.at(room.db, places[seq], f"client {seq}")) for seq in (2, 3)
        )
        patient = asyncio.create_task(past.at(room.db, places[4], "patient"))
        await asyncio.sleep(0.2)
        assert set(past._under_way) == {2, 3, 4}
        for gone in (first, second):
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone
        assert 3 not in past._under_way, "it was not begun, and its place is free at once"
        release.set()
        assert (await patient).missing is False

    with held(monkeypatch) as release:
        asyncio.run(come_and_go())
    assert set(past._kept) == {4}
    assert (past._under_way, past._of_client) == ({}, {})


def test_a_moment_that_takes_long_is_made_for_who_was_told_to_come_back(
    room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.claim()
    monkeypatch.setattr(past_of, "_PATIENCE", 0.3)
    with held(monkeypatch) as release:
        refused = problem(room.anyone.get("/v1/claims", params={"as_of": 2}), 503)
        assert "ask again" in refused["detail"]
        release.set()
        until(lambda: room.app.state.house.past._kept)
    assert ok(room.anyone.get("/v1/claims", params={"as_of": 2}))["data"] == []
