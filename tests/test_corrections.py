"""Corrections: what changed, why, when and by whom, on the claim, in lists and feeds, and in the ledger."""

import csv
import io
from typing import Any

import httpx
import pytest
from sqlmodel import col

from app.changes.model import Change
from app.reviews import corrections
from tests.contract import whole
from tests.newsroom import Json, Newsroom, match, ok, problem, ruling

NOTE = "We had misread the statement."


def move(
    by: httpx.Client, room: Newsroom, claim: Json, what: str, body: Any = None, method: str = "POST"
) -> Json:
    path = f"/v1/claims/{claim['id']}/{what}"
    return ok(by.request(method, path, headers=match(room.fresh(claim)), json=body))


def ruled(room: Newsroom, claim: Json, **more: Any) -> Json:
    room.take(claim)
    return room.review(claim, **more)


def corrected(room: Newsroom, claim: Json, wrong: Json, by: httpx.Client | None = None, **more: Any) -> Json:
    body = ruling(**{"verdict": "true", "corrects": wrong["id"], "correction_note": NOTE, **more})
    return move(by or room.editor, room, claim, "reviews", body)


def met(room: Newsroom, claim: Json) -> Any:
    return room.fresh(claim)["verification"]["correction"]


def told(room: Newsroom, **query: Any) -> list[Json]:
    return whole(room, "/v1/corrections", **query)


# --- what is told ------------------------------------------------------------------------------


def test_a_correction_says_what_changed_why_when_and_by_whom(room: Newsroom) -> None:
    claim = room.claim()
    assert room.fresh(claim)["verification"]["correction"] is None
    wrong = ruled(room, claim)
    right = corrected(room, claim, wrong)
    [row] = told(room)
    was = {"status": "reviewed", "verdict": "false", "attribution": "unconfirmed"}
    assert row["claim"] == {name: claim[name] for name in ("id", "text", "speakers")}
    assert (row["kind"], row["note"], row["by"]["name"]) == ("correction", NOTE, "The editor")
    assert (row["was"], row["became"]) == (was, {**was, "verdict": "true"})
    assert (row["review"], row["corrects"]) == (right["id"], wrong["id"])
    shown = met(room, claim)
    assert shown == {
        "kind": "correction", "note": NOTE, "at": shown["at"], "review": right["id"], "was": was,
    }  # fmt: skip
    assert wrong["created_at"] < shown["at"] <= row["at"]


def test_every_answer_that_has_the_claim_says_that_it_was_corrected(room: Newsroom) -> None:
    figure = {"measure": "gas", "value": "98", "unit": "bcm"}
    claim = room.claim("Gas flows.", figures=[figure])
    corrected(room, claim, ruled(room, claim))
    mark = met(room, claim)
    answers = [
        room.get("/v1/claims")["data"][0],
        room.get("/v1/claims", q="gas")["data"][0],
        room.get("/v1/claims", sort="repeats")["data"][0],
        room.get("/v1/figures")["data"][0],
        room.get("/v1/search", q="gas", kind="claim")["data"][0]["record"],
    ]
    assert [answer["verification"]["correction"] for answer in answers] == [mark] * len(answers)
    [row] = room.anyone.get("/v1/claims.json").json()
    columns = {name: row[name] for name in row if name.startswith(("correct", "was_"))}
    assert columns == {
        "correction": "correction", "corrected_at": mark["at"], "correction_note": NOTE,
        "was_status": "reviewed", "was_verdict": "false", "was_attribution": "unconfirmed",
    }  # fmt: skip
    [line] = csv.DictReader(io.StringIO(room.anyone.get("/v1/figures.csv").text))
    assert (line["correction"], line["corrected_at"]) == ("correction", mark["at"])


def test_the_ledger_has_it_by_its_action_and_reason(room: Newsroom) -> None:
    claim = room.claim()
    corrected(room, claim, ruled(room, claim))
    move(room.editor, room, claim, "withdrawal", {"note": "Stated twice."})
    move(room.editor, room, claim, "withdrawal", method="DELETE")
    entries = {entry["seq"]: entry for entry in whole(room, "/v1/changes", resource="claim")}
    seen = [(entries[row["seq"]]["action"], entries[row["seq"]]["reason"]) for row in told(room)]
    assert seen == [("claim.reinstate", None), ("claim.withdraw", "Stated twice."), ("claim.correct", NOTE)]
    for row in told(room):
        entry = entries[row["seq"]]
        assert (entry["resource_id"], entry["at"]) == (claim["id"], row["at"])
        assert entry["difference"]["correction"]["new"]["kind"] == row["kind"]


def test_a_withdrawal_and_a_reinstatement_say_what_the_claim_was(room: Newsroom) -> None:
    claim = room.claim()
    ruled(room, claim)
    move(room.editor, room, claim, "withdrawal", {"note": "Stated twice."})
    gone = met(room, claim)
    assert (gone["kind"], gone["note"], gone["was"]["status"]) == ("withdrawal", "Stated twice.", "reviewed")
    move(room.editor, room, claim, "withdrawal", method="DELETE")
    back = met(room, claim)
    assert (back["kind"], back["note"], back["was"]["status"]) == ("reinstatement", None, "withdrawn")
    assert [(row["kind"], row["was"]["status"], row["became"]["status"]) for row in told(room)] == [
        ("reinstatement", "withdrawn", "reviewed"),
        ("withdrawal", "reviewed", "withdrawn"),
    ]
    assert [row["became"]["verdict"] for row in told(room)] == ["false", "false"]


def test_a_correction_of_words_alone_is_told_too(room: Newsroom) -> None:
    claim = room.claim()
    wrong = ruled(room, claim, reviewed_at="2024-01-01T00:00:00Z")
    first = corrected(room, claim, wrong, verdict="false", reviewed_at="2024-01-01T00:00:00Z")
    corrected(room, claim, first, verdict="false", reviewed_at="2024-01-01T00:00:00Z")
    assert [row["was"] == row["became"] for row in told(room)] == [True, True]


def test_a_correction_takes_the_place_of_the_whole_ruling(room: Newsroom) -> None:
    claim = room.claim()
    wrong = ruled(room, claim, attribution="misattributed")
    body = {"corrects": wrong["id"], "correction_note": NOTE}
    for missing, place in (("verdict", "/verdict"), ("attribution", "/attribution")):
        both = {"verdict": "true", "attribution": "misattributed", missing: None}
        path = f"/v1/claims/{claim['id']}/reviews"
        with room.unchanged():
            sent = ruling(**both, **body)
            refused = problem(room.editor.post(path, headers=match(room.fresh(claim)), json=sent), 422)
        assert refused["errors"][0]["pointer"] == place
    corrected(room, claim, wrong, verdict="false", attribution="unconfirmed")
    [row] = told(room)
    assert (row["was"]["attribution"], row["became"]["attribution"]) == ("misattributed", "unconfirmed")
    assert row["was"]["verdict"] == row["became"]["verdict"] == "false"


def test_a_correction_keeps_the_evidence_unless_it_brings_its_own(room: Newsroom) -> None:
    claim = room.claim()
    proofs = [{"url": f"https://example.org/{n}", "stance": "refutes"} for n in (1, 2)]
    wrong = ruled(room, claim, evidence=proofs)
    kept = corrected(room, claim, wrong, verdict="misleading", evidence=None)
    assert [each["id"] for each in kept["evidence"]] == [each["id"] for each in wrong["evidence"]]
    last = corrected(room, claim, kept, evidence=None, cites=[kept["evidence"][1]["id"]])
    assert [each["id"] for each in last["evidence"]] == [kept["evidence"][1]["id"]]
    own = corrected(room, claim, last, evidence=[{"url": "https://example.org/3", "stance": "refutes"}])
    assert [each["url"] for each in own["evidence"]] == ["https://example.org/3"]

    other = room.claim("Gas flows.")
    bare = ruled(room, other, verdict="not_checkable", evidence=None)
    wish = ruling(corrects=bare["id"], correction_note=NOTE, evidence=None)
    path, headers = f"/v1/claims/{other['id']}/reviews", match(room.fresh(other))
    with room.unchanged():
        refused = problem(room.editor.post(path, headers=headers, json=wish), 422)
    assert refused["errors"][0]["pointer"] == "/evidence"


# --- four eyes ---------------------------------------------------------------------------------


def test_under_four_eyes_a_correction_is_told_once_it_is_approved(room: Newsroom) -> None:
    claim = room.claim()
    wrong = ruled(room, claim)
    with room.with_settings(four_eyes=True) as careful:
        chief = careful.another("editor", "The chief")
        right = corrected(careful, claim, wrong)
        assert not told(careful)
        assert met(careful, claim) is None
        move(chief, careful, claim, "approval", {"note": "Yes."})
        [row] = told(careful)
        assert (row["note"], row["by"]["name"]) == (NOTE, "The chief")
        assert (row["review"], row["corrects"]) == (right["id"], wrong["id"])
        assert (row["was"]["verdict"], row["became"]["verdict"]) == ("false", "true")
        assert (row["was"]["status"], row["became"]["status"]) == ("reviewed", "reviewed")
        assert met(careful, claim)["note"] == NOTE
        actions = [entry["action"] for entry in whole(careful, f"/v1/claims/{claim['id']}/history")]
        assert actions[:2] == ["claim.correct", "claim.propose"]


def test_a_correction_that_is_sent_back_is_never_told(room: Newsroom) -> None:
    claim = room.claim()
    wrong = ruled(room, claim)
    with room.with_settings(four_eyes=True) as careful:
        chief = careful.another("editor", "The chief")
        corrected(careful, claim, wrong)
        move(chief, careful, claim, "return", {"note": "No."})
        move(careful.editor, careful, claim, "assignment", method="DELETE")
        assert not told(careful)
        assert met(careful, claim) is None
        assert careful.fresh(claim)["verification"]["verdict"] == "false"


def test_a_ruling_that_waits_is_withdrawn_and_reinstated_as_it_was(room: Newsroom) -> None:
    claim = room.claim()
    with room.with_settings(four_eyes=True) as careful:
        ruled(careful, claim)
        move(careful.editor, careful, claim, "withdrawal", {"note": "Stated twice."})
        assert met(careful, claim)["was"]["status"] == "pending_approval"
        move(careful.editor, careful, claim, "withdrawal", method="DELETE")
        [back, _] = told(careful)
        assert (back["kind"], back["became"]["status"]) == ("reinstatement", "pending_approval")


# --- repeats -----------------------------------------------------------------------------------


def test_what_repeats_a_claim_carries_its_correction(room: Newsroom) -> None:
    claim = room.claim()
    early = room.claim("As I said.", repeats=claim["id"])
    room.review(early, verdict=None, attribution="misattributed")
    corrected(room, claim, ruled(room, claim))
    late = room.claim("As I have said.", repeats=early["id"])
    theirs = met(room, claim)
    assert met(room, late) == theirs
    assert met(room, early) == {**theirs, "was": {**theirs["was"], "attribution": "misattributed"}}
    [row] = told(room)
    assert row["claim"]["id"] == claim["id"], "it is told once"
    path, alone = f"/v1/claims/{late['id']}", {"repeats": None}
    freed = ok(room.editor.patch(path, headers={"If-Match": "*"}, json=alone))
    assert freed["verification"]["correction"] is None


def test_the_attribution_of_a_repeat_is_corrected_on_itself(room: Newsroom) -> None:
    claim = room.claim()
    repeat = room.claim("As I said.", repeats=claim["id"])
    wrong = room.review(repeat, verdict=None, attribution="misattributed")
    body = {"attribution": "unconfirmed", "corrects": wrong["id"], "correction_note": "It was another."}
    path = f"/v1/claims/{repeat['id']}/reviews"
    for by, verdict, status in ((room.checker, None, 403), (room.editor, "true", 409)):
        sent = ruling(**{**body, "verdict": verdict})
        assert problem(by.post(path, headers=match(room.fresh(repeat)), json=sent), status)
    move(room.editor, room, repeat, "reviews", ruling(**body, verdict=None))
    own = met(room, repeat)
    assert (own["note"], own["was"]["attribution"]) == ("It was another.", "misattributed")
    assert room.fresh(repeat)["verification"]["attribution"] == "unconfirmed"
    assert met(room, claim) is None
    room.take(claim)
    assert met(room, repeat) == own, "what is carried later takes away nothing that is newer"
    corrected(room, claim, room.review(claim))
    assert met(room, repeat)["note"] == NOTE
    assert [row["claim"]["id"] for row in told(room)] == [claim["id"], repeat["id"]]


# --- asking ------------------------------------------------------------------------------------


@pytest.fixture
def several(room: Newsroom) -> dict[str, Json]:
    """Three claims, of two speakers, one of them printed by a publisher; corrected, withdrawn, reinstated."""
    room.entity("Xi Jinping")
    desk = room.entity("Rodina", "organization")
    source = room.source(publisher=desk["id"])
    claims = {
        "correction": room.claim("One.", appearances=[{"source": source["id"]}]),
        "withdrawal": room.claim("Two.", speakers=["xi-jinping"]),
        "reinstatement": room.claim("Three."),
    }
    corrected(room, claims["correction"], ruled(room, claims["correction"]))
    for name in ("withdrawal", "reinstatement"):
        move(room.editor, room, claims[name], "withdrawal", {"note": "Stated twice."})
    move(room.editor, room, claims["reinstatement"], "withdrawal", method="DELETE")
    return claims


def test_corrections_are_asked_for_by_what_they_are_of(room: Newsroom, several: dict[str, Json]) -> None:
    def kinds(**query: Any) -> list[str]:
        return [row["kind"] for row in told(room, **query)]

    every = ["reinstatement", "withdrawal", "withdrawal", "correction"]
    assert kinds() == every
    assert kinds(order="asc") == every[::-1]
    assert kinds(claim=several["reinstatement"]["id"]) == ["reinstatement", "withdrawal"]
    assert kinds(speaker="xi-jinping") == ["withdrawal"]
    assert kinds(publisher="rodina") == ["correction"]
    assert kinds(kind=["correction", "reinstatement"]) == ["reinstatement", "correction"]
    third = told(room)[2]["at"]
    assert kinds(since=third) == every[:3]
    assert kinds(until=third) == every[3:]
    assert kinds(speaker="vladimir-putin", publisher="rodina", kind="withdrawal") == []


def test_what_follows_a_merge_is_found_by_either_name(room: Newsroom, several: dict[str, Json]) -> None:
    assert several
    loser, _ = room.get("/v1/entities/xi-jinping"), room.entity("Xi")
    ok(room.editor.post(f"/v1/entities/{loser['id']}/merge", headers=match(loser), json={"into": "xi"}))
    for name in ("xi", "xi-jinping"):
        [row] = told(room, speaker=name)
        assert row["claim"]["speakers"][0]["name"] == "Xi"


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"speaker": "nobody"}, "speaker"),
        ({"publisher": "nobody"}, "publisher"),
        ({"kind": "excuse"}, "kind/0"),
        ({"since": "yesterday"}, "since"),
        ({"until": "2024-01-01"}, "until"),
        ({"verdict": "true"}, "verdict"),
    ],
)
def test_what_cannot_be_asked_is_refused(room: Newsroom, query: Json, place: str) -> None:
    refused = problem(room.anyone.get("/v1/corrections", params=query), 422)
    assert refused["errors"][0]["pointer"].startswith(place.partition("/")[0])


def test_a_page_goes_by_the_index_of_corrections(room: Newsroom) -> None:
    query = corrections._query().order_by(col(Change.seq).desc()).limit(3)
    plan = room.plan(query)
    assert any("ix_changes_seq" in line for line in plan), plan
    assert not any("B-TREE" in line or "Sort" in line for line in plan), plan


def test_all_of_it_is_made_anew_as_it_was(room: Newsroom, several: dict[str, Json]) -> None:
    before = {name: room.fresh(claim) for name, claim in several.items()}
    room.rebuild()
    assert {name: room.fresh(claim) for name, claim in several.items()} == before
