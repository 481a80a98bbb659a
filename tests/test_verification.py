"""Verification: taken, ruled on with evidence, approved by another pair of eyes, corrected, withdrawn."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import col

from app.base.sql import select
from app.base.times import now
from app.changes.store import save
from app.claims.model import Claim
from tests.newsroom import TESTS, Json, Newsroom, match, ok, problem, ruling


def move(
    room: Newsroom, by: httpx.Client, method: str, claim: Json, what: str, body: Any = None
) -> httpx.Response:
    """A move on a claim as it is now."""
    path = f"/v1/claims/{claim['id']}/{what}"
    return by.request(method, path, headers=match(room.fresh(claim)), json=body)


def standing(room: Newsroom, claim: Json) -> Json:
    shown: Json = room.fresh(claim)["verification"]
    return shown


def let_lease_expire(room: Newsroom, claim: Json) -> None:
    with room.db.write() as session:
        record = session.execute(select(Claim).where(col(Claim.id) == claim["id"])).scalars().one()
        record.lease_expires_at = now() - timedelta(seconds=1)
        save(session, record, by=TESTS, action="claim.wait")


def heard(room: Newsroom, kind: str = "transcript") -> Json:
    """A piece of evidence that has the words themselves."""
    source = room.source(f"https://example.org/{kind}", f"The {kind}", kind=kind)
    passage = {"exact": "The pipeline is agreed."}
    return {"source": source["id"], "stance": "context", "anchor": passage, "locator": "00:12:30"}


def legal(refused: Json) -> list[str]:
    return [each["move"] for each in refused["legal_moves"]]


# --- taking ------------------------------------------------------------------------------------


def test_a_claim_is_taken_for_a_time_and_given_back(room: Newsroom) -> None:
    claim = room.claim()
    taken = room.take(claim)
    assert taken["verification"]["status"] == "in_review"
    assert taken["verification"]["assignee"]["name"] == "The checker"
    assert taken["verification"]["lease_expires_at"] > taken["updated_at"]
    query = {"assignee": taken["verification"]["assignee"]["id"]}
    mine = ok(room.checker.get("/v1/claims", params=query))["data"]
    assert [each["id"] for each in mine] == [claim["id"]]
    back = ok(move(room, room.checker, "DELETE", claim, "assignment"))
    assert back["verification"] == claim["verification"]


def test_a_claim_that_another_has_taken_is_theirs_until_the_lease_expires(room: Newsroom) -> None:
    claim, second = room.claim(), room.another("checker", "Second desk")
    room.take(claim)
    refused = problem(move(room, second, "POST", claim, "assignment"), 409, "illegal-move")
    assert "until" in refused["detail"]
    assert legal(refused) == []
    problem(move(room, second, "POST", claim, "reviews", ruling()), 409)
    problem(move(room, second, "DELETE", claim, "assignment"), 409)
    let_lease_expire(room, claim)
    late = problem(move(room, room.checker, "POST", claim, "reviews", ruling()), 409)
    assert "expired" in late["detail"]
    assert legal(late) == ["take", "release", "enter"]
    assert (
        ok(move(room, second, "POST", claim, "assignment"))["verification"]["assignee"]["name"]
        == "Second desk"
    )


def test_an_editor_gives_a_claim_to_a_checker(room: Newsroom) -> None:
    claim = room.claim()
    desk, _ = room.person("checker", "Energy desk")
    body = {"assignee": desk, "minutes": 5}
    problem(move(room, room.checker, "POST", claim, "assignment", body), 403)
    given = ok(move(room, room.editor, "POST", claim, "assignment", body))
    assert given["verification"]["assignee"] == {"id": desk, "name": "Energy desk"}
    other = room.claim("Another.")
    for wrong in ("key_00000000000000000000000000", room.person("reporter", "Ann")[0], "Ann", other["id"]):
        refused = move(room, room.editor, "POST", other, "assignment", {"assignee": wrong})
        assert problem(refused, 422)["errors"][0]["pointer"] == "/assignee"


def test_an_untaken_claim_is_not_ruled_on(room: Newsroom) -> None:
    claim = room.claim()
    with room.unchanged():
        refused = problem(move(room, room.checker, "POST", claim, "reviews", ruling()), 409, "illegal-move")
    assert legal(refused) == ["take", "enter"]
    assert refused["legal_moves"][0]["request"] == f"POST /v1/claims/{claim['id']}/assignment"


# --- ruling ------------------------------------------------------------------------------------


def test_a_ruling_says_what_who_when_why_and_on_what_evidence(room: Newsroom) -> None:
    source, claim = room.source(), room.claim()
    room.take(claim)
    passage = {
        "source": source["id"],
        "anchor": {"exact": "The pipeline was not agreed."},
        "stance": "refutes",
    }
    review = room.review(
        claim, verdict="false", label="Pants on fire", evidence=[passage], explanation="At length."
    )
    assert (review["verdict"], review["label"], review["state"]) == ("false", "Pants on fire", "published")
    assert review["rating"] == {"value": "1", "best": "5", "worst": "1"}
    assert review["reviewer"]["name"] == "The checker"
    assert review["summary"] == "Not what the record shows."
    [evidence] = review["evidence"]
    assert (evidence["source"]["id"], evidence["stance"]) == (source["id"], "refutes")
    assert evidence["anchor"]["state"] == "unchecked"
    after = standing(room, claim)
    assert (after["status"], after["verdict"], after["agreement"]) == ("reviewed", "false", "single")
    assert after["reviewed_at"] == review["reviewed_at"]
    assert ok(room.checker.get(f"/v1/claims/{claim['id']}/reviews"))["data"] == [review]
    alone = f"/v1/claims/{claim['id']}/reviews/{review['id']}"
    assert ok(room.reader.get(alone)) == review
    assert room.get(alone) == {**review, "reviewer": None}


NO_RULINGS: list[tuple[Json, str]] = [
    ({"summary": None}, "/summary"),
    ({"summary": "  "}, "/summary"),
    ({"evidence": []}, ""),
    ({"verdict": None}, ""),
    ({"verdict": "sort of"}, "/verdict"),
    ({"evidence": [{"stance": "refutes"}]}, "/evidence/0"),
    ({"evidence": [{"url": "ftp://x.example", "stance": "refutes"}]}, "/evidence/0/url"),
    ({"evidence": [{"source": "https://example.org/none", "stance": "context"}]}, "/evidence/0/source"),
    ({"cites": ["evd_00000000000000000000000000"]}, "/cites/0"),
    ({"corrects": "rev_x"}, ""),
    ({"publisher": "nobody"}, "/publisher"),
    ({"reviewed_at": "2023-03-22T10:00:00"}, "/reviewed_at"),
    ({"rating": {"value": "3", "best": "5"}}, "/rating/worst"),
]


def test_a_ruling_without_reason_or_evidence_is_refused(room: Newsroom) -> None:
    claim = room.take(room.claim())
    for wrong, place in NO_RULINGS:
        body = {name: value for name, value in {**ruling(), **wrong}.items() if value is not None}
        with room.unchanged():
            refused = problem(
                room.checker.post(f"/v1/claims/{claim['id']}/reviews", headers=match(claim), json=body), 422
            )
        assert refused["errors"][0]["pointer"] == place, wrong


def test_what_cannot_be_checked_needs_no_evidence(room: Newsroom) -> None:
    claim = room.claim()
    room.take(claim)
    room.review(claim, verdict="not_checkable", evidence=None)
    assert standing(room, claim)["verdict"] == "not_checkable"


@pytest.mark.parametrize("kind", ["opinion", "position"])
def test_opinions_are_recorded_not_rated(room: Newsroom, kind: str) -> None:
    claim = room.claim(kind=kind)
    taken = room.take(claim)
    path = f"/v1/claims/{claim['id']}/reviews"
    refused = problem(room.checker.post(path, headers=match(taken), json=ruling()), 422)
    assert refused["errors"][0]["pointer"] == "/verdict"
    room.review(claim, verdict=None, attribution="confirmed", evidence=[heard(room)])
    assert standing(room, claim)["attribution"] == "confirmed"


def test_whether_they_said_it_and_whether_it_is_true_are_two_questions(room: Newsroom) -> None:
    claim = room.claim()
    room.take(claim)
    room.review(claim, verdict="true", attribution="misquoted", actual_words="It is all but agreed.")
    both = standing(room, claim)
    assert (both["verdict"], both["attribution"]) == ("true", "misquoted")
    room.take(claim)
    room.review(claim, verdict="false")
    assert (standing(room, claim)["verdict"], standing(room, claim)["attribution"]) == ("false", "misquoted")
    assert len(room.get("/v1/claims", verdict="false", attribution="misquoted")["data"]) == 1


def test_several_desks_agree_or_are_split(room: Newsroom) -> None:
    for name in ("Desk A", "Desk B"):
        room.entity(name, "organization")
    claim = room.claim()
    seen = []
    for desk, verdict in (
        ("desk-a", "false"),
        ("desk-b", "false"),
        ("desk-b", "half_true"),
        ("desk-a", "half_true"),
    ):
        room.take(claim)
        room.review(claim, verdict=verdict, publisher=desk)
        seen.append((standing(room, claim)["verdict"], standing(room, claim)["agreement"]))
    assert seen == [
        ("false", "single"),
        ("false", "unanimous"),
        ("half_true", "split"),
        ("half_true", "unanimous"),
    ]


def test_evidence_gathered_before_is_cited_in_the_ruling(room: Newsroom) -> None:
    source, claim = room.source(), room.claim()
    ok(
        room.reporter.post(
            f"/v1/sources/{source['id']}/snapshots", json={"text": "It was not agreed at all."}
        )
    )
    path = f"/v1/claims/{claim['id']}/evidence"
    item = {"source": source["url"], "anchor": {"exact": "not agreed"}, "stance": "refutes", "note": "Plain."}
    gathered = ok(room.checker.post(path, json=item))
    assert (gathered["anchor"]["state"], gathered["anchor"]["start"]) == ("exact", 7)
    missing = {**item, "anchor": {"exact": "signed and sealed in full, with a ribbon around it"}}
    assert problem(room.checker.post(path, json=missing), 422)["errors"][0]["pointer"] == "/anchor"
    assert ok(room.reader.get(path))["data"] == [gathered]
    assert room.get(path)["data"] == [
        {name: value for name, value in gathered.items() if name != "note_visibility"} | {"note": None}
    ]
    room.take(claim)
    review = room.review(claim, evidence=None, cites=[gathered["id"]])
    assert review["evidence"] == [gathered]


# --- racing ------------------------------------------------------------------------------------


def test_of_two_who_rule_at_once_one_wins_and_nothing_is_lost(room: Newsroom) -> None:
    claim = room.claim()
    taken = room.take(claim)
    path = f"/v1/claims/{claim['id']}/reviews"

    def rule(verdict: str) -> httpx.Response:
        return room.checker.post(path, headers=match(taken), json=ruling(verdict=verdict))

    with ThreadPoolExecutor(8) as racers:
        answers = list(racers.map(rule, ["true", "false"] * 8))
    won = [answer for answer in answers if answer.status_code == 201]
    assert len(won) == 1
    for answer in answers:
        if answer is not won[0]:
            assert problem(answer, 412, "stale")["version"] == taken["version"] + 1
    assert ok(room.checker.get(path))["data"] == [won[0].json()]
    assert standing(room, claim)["verdict"] == won[0].json()["verdict"]


def test_of_sixteen_who_take_a_claim_at_once_one_has_it(room: Newsroom) -> None:
    claim = room.claim()
    desks = [room.another("checker", f"Desk {n}") for n in range(16)]

    def take(desk: httpx.Client) -> int:
        return desk.post(f"/v1/claims/{claim['id']}/assignment", headers=match(claim)).status_code

    with ThreadPoolExecutor(16) as racers:
        assert sorted(racers.map(take, desks)) == [200] + [412] * 15


# --- four eyes ---------------------------------------------------------------------------------


def test_under_four_eyes_a_ruling_waits_for_another_editor(room: Newsroom) -> None:
    claim = room.claim()
    with room.with_settings(four_eyes=True) as careful:
        proposer = careful.another("editor", "Proposer")
        careful.take(claim, proposer)
        review = careful.review(claim, proposer)
        assert review["state"] == "proposed"
        waiting = standing(careful, claim)
        assert (waiting["status"], waiting["verdict"]) == ("pending_approval", None)
        problem(move(careful, careful.checker, "POST", claim, "approval"), 403)
        own = problem(move(careful, proposer, "POST", claim, "approval"), 409, "illegal-move")
        assert legal(own) == ["withdraw"]
        note = {"note": "Well done."}
        approved = ok(move(careful, careful.editor, "POST", claim, "approval", note))
        assert approved["verification"]["verdict"] == "false"
        [shown] = ok(careful.editor.get(f"/v1/claims/{claim['id']}/reviews"))["data"]
        assert (shown["state"], shown["decision"]["outcome"]) == ("published", "approved")
        assert (shown["decision"]["decided_by"]["name"], shown["decision"]["note"]) == (
            "The editor",
            "Well done.",
        )


def test_a_ruling_sent_back_goes_to_its_proposer(room: Newsroom) -> None:
    claim = room.claim()
    with room.with_settings(four_eyes=True) as careful:
        careful.take(claim)
        first = careful.review(claim, verdict="true")
        back = ok(move(careful, careful.editor, "POST", claim, "return", {"note": "On what evidence?"}))
        assert back["verification"]["status"] == "in_review"
        assert back["verification"]["assignee"]["name"] == "The checker"
        second = careful.review(claim, verdict="false")
        ok(move(careful, careful.editor, "POST", claim, "approval"))
        states = {
            each["id"]: each["state"]
            for each in ok(careful.checker.get(f"/v1/claims/{claim['id']}/reviews"))["data"]
        }
        assert states == {first["id"]: "returned", second["id"]: "published"}
        assert standing(careful, claim)["verdict"] == "false"


def test_a_ruling_that_waits_outlives_a_withdrawal(room: Newsroom) -> None:
    claim = room.claim()
    with room.with_settings(four_eyes=True) as careful:
        careful.take(claim)
        careful.review(claim)
        ok(move(careful, careful.editor, "POST", claim, "withdrawal", {"note": "A mistake."}))
        again = ok(move(careful, careful.editor, "DELETE", claim, "withdrawal"))
        assert again["verification"]["status"] == "pending_approval"
        ok(move(careful, careful.editor, "POST", claim, "approval"))
        assert standing(careful, claim)["verdict"] == "false"


# --- correcting and withdrawing ----------------------------------------------------------------


def test_a_correction_replaces_a_ruling_and_leaves_a_public_note(room: Newsroom) -> None:
    claim = room.claim()
    room.take(claim)
    wrong = room.review(claim, verdict="false")
    body = ruling(verdict="true", corrects=wrong["id"], correction_note="We had misread the statement.")
    problem(move(room, room.checker, "POST", claim, "reviews", body), 403)
    right = ok(move(room, room.editor, "POST", claim, "reviews", body))
    assert right["corrects"] == wrong["id"]
    after = standing(room, claim)
    assert (after["verdict"], after["note"]) == ("true", "We had misread the statement.")
    states = [each["state"] for each in room.get(f"/v1/claims/{claim['id']}/reviews")["data"]]
    assert states == ["published", "corrected"]
    twice = problem(move(room, room.editor, "POST", claim, "reviews", body), 422)
    assert twice["errors"][0]["pointer"] == "/corrects"


def test_a_withdrawn_claim_stays_readable_with_its_note(room: Newsroom) -> None:
    claim = room.claim()
    problem(move(room, room.editor, "POST", claim, "withdrawal", {}), 422)
    problem(move(room, room.checker, "POST", claim, "withdrawal", {"note": "No."}), 403)
    gone = ok(move(room, room.editor, "POST", claim, "withdrawal", {"note": "He never said it."}))
    assert (gone["verification"]["status"], gone["verification"]["note"]) == (
        "withdrawn",
        "He never said it.",
    )
    assert room.get("/v1/claims", status="withdrawn")["data"] == [gone]
    refused = problem(move(room, room.editor, "POST", claim, "assignment"), 409)
    assert legal(refused) == ["reinstate"]
    back = ok(move(room, room.editor, "DELETE", claim, "withdrawal"))
    assert {**back["verification"], "correction": None} == claim["verification"]


# --- afterwards --------------------------------------------------------------------------------


def test_those_inside_can_see_who_ruled_what_when_and_why(room: Newsroom) -> None:
    claim = room.claim()
    room.take(claim)
    room.review(claim, verdict="mostly_false", summary="The parameters were open.")
    history = ok(room.checker.get(f"/v1/claims/{claim['id']}/history"))["data"]
    assert [entry["action"] for entry in history] == ["claim.review", "claim.take", "claim.state"]
    ruled = history[0]
    assert (ruled["actor_name"], ruled["reason"]) == ("The checker", "The parameters were open.")
    assert ruled["difference"]["verdict"] == {"old": None, "new": "mostly_false"}
    assert ruled["difference"]["status"] == {"old": "in_review", "new": "reviewed"}


def test_nothing_of_a_review_can_be_edited_or_deleted(room: Newsroom) -> None:
    claim = room.claim()
    room.take(claim)
    review = room.review(claim)
    for method in ("PUT", "PATCH", "DELETE"):
        answer = room.admin.request(method, f"/v1/claims/{claim['id']}/reviews/{review['id']}", json={})
        assert problem(answer, 405)
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
