"""The queues of fact-checkers: what is in them, in which order, and how repeats and reads are counted."""

import time
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.base.db import Database
from app.base.errors import Unavailable
from app.base.tally import Tally
from app.base.times import now
from app.claims import reads
from tests.contract import whole
from tests.newsroom import Json, Newsroom, ok, problem

NAMES = ["repeated", "read", "mine", "awaiting_approval", "expiring", "come_due"]


def queues(by: httpx.Client) -> dict[str, Json]:
    return {queue["name"]: queue for queue in ok(by.get("/v1/queues"))["data"]}


def held(by: httpx.Client) -> dict[str, list[str]]:
    """The texts of the claims in each queue, as its address lists them; which are as many as it says."""
    found = {}
    for name, queue in queues(by).items():
        rows = ok(by.get(queue["url"]))["data"]
        assert len(rows) == queue["claims"], queue
        found[name] = [row["text"] for row in rows]
    return found


def read(room: Newsroom, claim: Json, times: int = 1) -> None:
    for _ in range(times):
        room.fresh(claim)


def kept(room: Newsroom) -> dict[str, int]:
    """How often claims were read, by what was kept of it."""
    reads.keep(room.db, room.app.state.house.reads)
    with room.db.read() as session:
        rows = session.connection().exec_driver_sql("SELECT claim_id, reads FROM claim_ranks WHERE reads > 0")
        return {row[0]: row[1] for row in rows}


# --- the queues --------------------------------------------------------------------------------


def test_the_queues_are_for_checkers(room: Newsroom) -> None:
    problem(room.anyone.get("/v1/queues"), 401)
    problem(room.reporter.get("/v1/queues"), 403)
    assert list(queues(room.checker)) == NAMES
    assert {name: found for name, found in held(room.checker).items() if found} == {}


def test_each_queue_has_what_waits_in_it(room: Newsroom) -> None:
    today = now().date()
    room.claim("Open.")
    mine, others, late = (room.claim(name) for name in ("Mine.", "Another's.", "Soon free."))
    proposed, own = room.claim("Proposed."), room.claim("Proposed by me.")
    due = room.claim("It will be built.", kind="promise", due=(today - timedelta(days=1)).isoformat())
    room.claim("It will be built later.", kind="promise", due=(today + timedelta(days=9)).isoformat())
    room.claim("As I said.", repeats=due["id"], kind="promise", due=due["due"])
    with room.with_settings(four_eyes=True) as careful:
        second = careful.another("editor", "The second")
        careful.take(mine, second)
        careful.take(others, careful.another("checker", "Another"))
        path = f"/v1/claims/{late['id']}/assignment"
        ok(careful.checker.post(path, headers={"If-Match": "*"}, json={"minutes": 5}))
        for claim, by in ((proposed, careful.checker), (own, second)):
            careful.take(claim, by)
            careful.review(claim, by)
        found = held(second)
        unverified = {"Open.", "It will be built.", "It will be built later."}
        assert set(found["repeated"]) == set(found["read"]) == unverified
        assert found["repeated"][0] == "It will be built."
        assert {name: found[name] for name in NAMES[2:]} == {
            "mine": ["Mine."],
            "awaiting_approval": ["Proposed."],
            "expiring": ["Soon free."],
            "come_due": ["It will be built."],
        }
        assert held(careful.checker)["awaiting_approval"] == ["Proposed by me."]
        ok(second.post(f"/v1/claims/{proposed['id']}/approval", headers={"If-Match": "*"}))
        assert held(second)["awaiting_approval"] == []


def test_what_was_proposed_and_sent_back_waits_for_nobody_until_it_is_proposed_again(room: Newsroom) -> None:
    claim = room.claim()
    with room.with_settings(four_eyes=True) as careful:
        proposer = careful.another("editor", "The proposer")

        def waits() -> None:
            assert held(careful.editor)["awaiting_approval"] == [claim["text"]]
            assert held(proposer)["awaiting_approval"] == []

        for _ in range(2):
            if careful.fresh(claim)["verification"]["status"] == "unverified":
                careful.take(claim, proposer)
            careful.review(claim, proposer)
            waits()
            ok(careful.editor.post(f"/v1/claims/{claim['id']}/return", headers={"If-Match": "*"}))
            assert held(careful.editor)["awaiting_approval"] == []
        careful.review(claim, proposer)
        path = f"/v1/claims/{claim['id']}/withdrawal"
        ok(careful.editor.post(path, headers={"If-Match": "*"}, json={"note": "Stated twice."}))
        assert held(careful.editor)["awaiting_approval"] == []
        ok(careful.editor.delete(path, headers={"If-Match": "*"}))
        waits()


DUE: list[tuple[str, str | None, str | None, bool]] = [
    ("promise", "2024-06-30", None, True),
    ("prediction", "2024-06-30", None, True),
    ("fact", "2024-06-30", None, False),
    ("promise", "2024-07-01", None, True),
    ("promise", "2024-07-02", None, False),
    ("promise", None, None, False),
    ("promise", "2024-06-30", "2024-06-29T23:59:59Z", True),
    ("promise", "2024-06-30", "2024-06-30T00:00:00Z", False),
    ("promise", "2024-06-30", "2024-06-30T23:59:59Z", False),
]
"""A claim's kind, when it is due, when it was reviewed, and whether it waits on 1 July 2024."""


def test_what_has_come_due_is_looked_at_once_more(room: Newsroom) -> None:
    waiting = {}
    for n, (kind, due, reviewed_at, waits) in enumerate(DUE):
        claim = room.claim(f"It will be ready, number {n}.", kind=kind, due=due)
        if reviewed_at:
            room.take(claim)
            room.review(claim, reviewed_at=reviewed_at)
        if waits:
            waiting[claim["id"]] = claim
    found = room.get("/v1/claims", come_due="2024-07-01")["data"]
    assert {each["id"] for each in found} == waiting.keys()
    for claim in waiting.values():
        room.take(claim)
    assert room.get("/v1/claims", come_due="2024-07-01")["data"] == []


def test_a_queue_is_counted_as_far_as_is_of_use(room: Newsroom) -> None:
    for n in range(4):
        room.claim(f"Claim {n}.")
    with patch("app.reviews.queues.MOST", 3):
        assert queues(room.checker)["repeated"]["claims"] == 3


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_what_has_come_due_is_paged_like_any_list(room: Newsroom, order: str) -> None:
    texts = [f"Claim {n}." for n in range(5)]
    for n, words in enumerate(texts):
        room.claim(words, kind="promise", due="2024-01-01", said=f"2023-01-0{n + 1}")
    rows: list[Json] = []
    query: Json = {"come_due": "2024-02-01", "limit": 2, "order": order}
    while True:
        page = room.get("/v1/claims", **query)
        rows += page["data"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert [row["text"] for row in rows] == (texts if order == "asc" else texts[::-1])


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"come_due": "2024"}, "come_due"),
        ({"lease_expires_before": "2024-01-01"}, "lease_expires_before"),
        ({"is_repeat": "maybe"}, "is_repeat"),
        ({"sort": "loudest"}, "sort"),
    ],
)
def test_what_cannot_be_asked_is_refused(room: Newsroom, query: Json, place: str) -> None:
    assert problem(room.anyone.get("/v1/claims", params=query), 422)["errors"][0]["pointer"] == place


# --- repeats -----------------------------------------------------------------------------------


def by_repeats(room: Newsroom, **query: Any) -> list[tuple[str, int]]:
    rows = whole(room, "/v1/claims", sort="repeats", **query)
    return [(row["text"], row["rank"]["repeats"]) for row in rows]


def test_the_most_repeated_come_first_as_repeats_come_and_go(room: Newsroom) -> None:
    one, two = room.claim("One."), room.claim("Two.")
    again = room.claim("One again.", repeats=one["id"])
    room.claim("One once more.", repeats=again["id"])
    room.claim("Two again.", repeats=two["id"])
    assert by_repeats(room, is_repeat="false") == [("One.", 2), ("Two.", 1)]
    assert by_repeats(room, order="asc", is_repeat="false") == [("Two.", 1), ("One.", 2)]
    assert [text for text, _ in by_repeats(room)] == [
        "One.", "Two.", "Two again.", "One once more.", "One again.",
    ]  # fmt: skip
    path = f"/v1/claims/{again['id']}"
    ok(room.reporter.patch(path, headers={"If-Match": "*"}, json={"repeats": two["id"]}))
    assert by_repeats(room, is_repeat="false") == [("Two.", 2), ("One.", 1)]
    ok(room.reporter.patch(path, headers={"If-Match": "*"}, json={"repeats": None}))
    assert by_repeats(room, is_repeat="false") == [("Two.", 1), ("One.", 1), ("One again.", 0)]
    ok(room.reporter.patch(f"/v1/claims/{one['id']}", headers={"If-Match": "*"}, json={"repeats": two["id"]}))
    assert by_repeats(room, is_repeat="false") == [("Two.", 3), ("One again.", 0)]


def test_each_standing_has_its_own_order(room: Newsroom) -> None:
    one, two, three = (room.claim(text) for text in ("One.", "Two.", "Three."))
    for n, claim in enumerate((one, two, two, three, three, three)):
        room.claim(f"Again {n}.", repeats=claim["id"])
    room.take(three)
    room.review(three)
    own = {"is_repeat": "false"}
    assert by_repeats(room, status="unverified", **own) == [("Two.", 2), ("One.", 1)]
    assert by_repeats(room, status=["unverified", "reviewed"], **own) == [
        ("Three.", 3), ("Two.", 2), ("One.", 1),
    ]  # fmt: skip
    assert by_repeats(room, speaker="vladimir-putin", verdict="false", **own) == [("Three.", 3)]
    assert by_repeats(room, q="Two") == [("Two.", 2)]


def test_repeats_that_are_brought_in_are_counted(room: Newsroom) -> None:
    claim = room.claim("One.")
    lines = "".join(
        f'{{"claim": {{"text": "Again {n}.", "mode": "paraphrase", "speakers": ["vladimir-putin"],'
        f' "repeats": "{claim["id"]}"}}}}\n'
        for n in range(60)
    )
    answer = room.reporter.post(
        "/v1/import", content=lines.encode(), headers={"Content-Type": "application/x-ndjson"}
    )
    assert ok(answer)["created"] == 60
    assert by_repeats(room, is_repeat="false") == [("One.", 60)]


def test_a_lost_count_is_noticed_and_made_anew_and_reads_stay(room: Newsroom) -> None:
    claim = room.claim("One.")
    room.claim("Again.", repeats=claim["id"])
    read(room, claim, 3)
    assert kept(room) == {claim["id"]: 3}
    for wrong in ("repeats = 7", "status = 'reviewed'"):
        with room.db.write() as session:
            session.execute(text(f"UPDATE claim_ranks SET {wrong}"))
        assert room.faults() != []
        room.rebuild()
        assert room.faults() == []
    assert kept(room) == {claim["id"]: 3}


# --- reads -------------------------------------------------------------------------------------


def test_the_most_read_come_first(room: Newsroom) -> None:
    claims = [room.claim(f"Claim {n}.") for n in range(3)]
    room.app.state.house.reads.take()
    for times, claim in zip((2, 5, 0), claims, strict=True):
        read(room, claim, times)
    assert kept(room) == {claims[0]["id"]: 2, claims[1]["id"]: 5}
    rows = whole(room, "/v1/claims", sort="reads")
    assert [(row["text"], row["rank"]["reads"]) for row in rows] == [
        ("Claim 1.", 5), ("Claim 0.", 2), ("Claim 2.", 0),
    ]  # fmt: skip


def test_a_read_is_a_whole_answer(room: Newsroom) -> None:
    claim = room.claim()
    room.app.state.house.reads.take()
    path = f"/v1/claims/{claim['id']}"
    tag = room.anyone.get(path).headers["etag"]
    for _ in range(3):
        assert room.anyone.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert room.anyone.head(path).status_code == 200
    problem(room.anyone.get("/v1/claims/clm_00000000000000000000000000"), 404)
    room.get("/v1/claims")
    assert kept(room) == {claim["id"]: 1}
    ok(room.reader.get(path, headers={"Record-Position": "1"}))
    assert kept(room) == {claim["id"]: 2}


def test_reading_writes_nothing_to_the_ledger_and_holds_nobody_up(room: Newsroom) -> None:
    claim = room.claim()
    with room.unchanged():
        read(room, claim, 2)
        assert kept(room)
    with room.db.write() as session:
        session.execute(text("UPDATE claim_ranks SET reads = 0"))  # the writer's turn is taken
        began = time.monotonic()
        read(room, claim)
        assert time.monotonic() - began < 1


@pytest.mark.parametrize("fault", [Unavailable("away"), OperationalError("", {}, Exception())])
def test_what_could_not_be_kept_stays_counted(room: Newsroom, fault: Exception) -> None:
    claim = room.claim()
    room.app.state.house.reads.take()
    read(room, claim, 2)
    with patch.object(Database, "write", side_effect=fault):
        reads.keep(room.db, room.app.state.house.reads)
    read(room, claim)
    assert kept(room) == {claim["id"]: 3}


def test_counts_are_kept_every_so_often_and_at_the_end(room: Newsroom) -> None:
    claim, tally = room.claim(), Tally()

    def now_kept() -> int:
        with room.db.read() as session:
            row = session.connection().exec_driver_sql("SELECT reads FROM claim_ranks").one()
            return int(row[0])

    with patch.object(reads, "EVERY_SECONDS", 0.05):
        keeper = reads.Keeper(room.db, tally)
        tally.add(claim["id"])
        until = time.monotonic() + 20
        while now_kept() < 1 and time.monotonic() < until:
            time.sleep(0.05)
        assert now_kept() == 1
    with patch.object(reads, "EVERY_SECONDS", 60):
        keeper.close()
        keeper = reads.Keeper(room.db, tally)
        tally.add(claim["id"], 4)
        keeper.close()
    assert now_kept() == 5


def test_a_tally_counts_so_many_keys_and_no_more() -> None:
    tally = Tally(most=2)
    for key in ("a", "b", "a", "c"):
        tally.add(key)
    taken = tally.take()
    assert (taken, tally.take()) == ({"a": 2, "b": 1}, {})
    tally.add("a")
    tally.give_back(taken)
    assert tally.take() == {"a": 3, "b": 1}
