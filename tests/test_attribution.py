"""Did they say it: worked like a verdict, on evidence, and confirmed by a primary source alone."""

from typing import Any, get_args

import pytest

from app.reviews.rules import PRIMARY
from app.sources.model import SourceKind
from tests.newsroom import Json, Newsroom, match, ok, problem, ruling

PAGE = {"url": "https://example.org/page", "stance": "context"}
WORDS = "The pipeline is agreed."


def sourced(room: Newsroom, kind: str, text: str | None = None) -> str:
    source = room.source(f"https://example.org/{kind}", kind=kind)
    if text:
        ok(room.reporter.post(f"/v1/sources/{source['id']}/snapshots", json={"text": text}))
    return str(source["id"])


def heard(source: str) -> Json:
    """A passage of a source that was not read."""
    passage = {"exact": "Thus he spoke."}
    return {"source": source, "stance": "supports", "anchor": passage, "locator": "00:12:30"}


def attributed(room: Newsroom, claim: Json, **more: Any) -> Json:
    room.take(claim)
    return room.review(claim, **{"verdict": None, **more})


def refused(room: Newsroom, claim: Json, **more: Any) -> Json:
    """The one fault of a ruling on a claim that the checker has."""
    body = ruling(**{"verdict": None, **more})
    path = f"/v1/claims/{claim['id']}/reviews"
    with room.unchanged():
        answer = problem(room.checker.post(path, headers=match(room.fresh(claim)), json=body), 422, "invalid")
    [fault] = answer["errors"]
    return dict(fault)


# --- on what evidence --------------------------------------------------------------------------


@pytest.mark.parametrize("four_eyes", [False, True])
def test_only_what_carries_the_words_themselves_confirms(room: Newsroom, four_eyes: bool) -> None:
    with room.with_settings(four_eyes=four_eyes) as here:
        for kind in get_args(SourceKind) if not four_eyes else ("transcript", "report"):
            claim = here.claim(f"Said in a {kind}.")
            here.take(claim)
            said = heard(sourced(here, kind))
            if kind in PRIMARY:
                review = here.review(claim, verdict=None, attribution="confirmed", evidence=[PAGE, said])
                assert review["attribution"] == "confirmed"
            else:
                fault = refused(here, claim, attribution="confirmed", evidence=[PAGE, said])
                assert fault["pointer"] == "/evidence"
                assert "press conference" in fault["detail"]
    assert set(get_args(SourceKind)) - set(PRIMARY) == {"article", "dataset", "report"}


def test_evidence_gathered_before_counts_as_well(room: Newsroom) -> None:
    claim = room.claim()
    said = heard(sourced(room, "speech"))
    path = f"/v1/claims/{claim['id']}/evidence"
    spoken, page = (ok(room.checker.post(path, json=item))["id"] for item in (said, PAGE))
    room.take(claim)
    assert (
        refused(room, claim, attribution="confirmed", evidence=None, cites=[page])["pointer"] == "/evidence"
    )
    room.review(claim, verdict=None, attribution="confirmed", evidence=None, cites=[page, spoken])


NO_ATTRIBUTIONS: list[tuple[Json, str, str]] = [
    ({"attribution": "confirmed", "evidence": []}, "/evidence", "piece of evidence"),
    ({"attribution": "misattributed", "evidence": []}, "/evidence", "piece of evidence"),
    ({"attribution": "misquoted", "evidence": [], "actual_words": "x"}, "/evidence", "piece of evidence"),
    ({"attribution": "misquoted"}, "/actual_words", "what was really said"),
    ({"attribution": "misquoted", "actual_words": " "}, "/actual_words", ""),
    ({"attribution": "misattributed", "actual_words": "x"}, "/actual_words", "misquoted"),
    ({"attribution": "unconfirmed", "actual_words": "x"}, "/actual_words", "misquoted"),
    ({"verdict": "false", "actual_words": "x"}, "/actual_words", "misquoted"),
    (
        {"attribution": "misquoted", "actual_words": "x", "actual_speaker": "rodina"},
        "/actual_speaker",
        "mis",
    ),
    ({"attribution": "misattributed", "actual_speaker": "nobody"}, "/actual_speaker", "nobody"),
    ({"attribution": "misattributed", "actual_speaker": "vladimir-putin"}, "/actual_speaker", "speaker"),
    ({"attribution": "misattributed", "actual_speaker": "putin"}, "/actual_speaker", "speaker"),
]


def test_a_ruling_on_the_attribution_that_does_not_hold_is_refused(room: Newsroom) -> None:
    claim = room.claim()
    room.entity("Rodina", "organization")
    same = room.entity("Putin")
    ok(room.editor.post("/v1/entities/putin/merge", headers=match(same), json={"into": "vladimir-putin"}))
    room.take(claim)
    for ruled, place, word in NO_ATTRIBUTIONS:
        fault = refused(room, claim, **ruled)
        assert fault["pointer"] == place, ruled
        assert word in fault["detail"], ruled


def test_that_it_is_open_needs_no_evidence(room: Newsroom) -> None:
    claim = room.claim()
    assert attributed(room, claim, attribution="unconfirmed", evidence=None)["evidence"] == []
    assert room.fresh(claim)["verification"]["status"] == "reviewed"


# --- what was said, and by whom ----------------------------------------------------------------


def test_what_was_misquoted_says_what_was_said(room: Newsroom) -> None:
    claim = room.claim()
    review = attributed(room, claim, attribution="misquoted", actual_words="It is all but agreed.")
    assert (review["actual_words"], review["actual_speaker"]) == ("It is all but agreed.", None)
    [row] = room.anyone.get("/v1/reviews.json").json()
    assert (row["actual_words"], row["actual_speaker"]) == ("It is all but agreed.", None)


def test_what_is_misattributed_may_say_who_said_it(room: Newsroom) -> None:
    first, second = room.claim(), room.claim("Another.")
    xi = room.entity("Xi Jinping")
    review = attributed(room, first, attribution="misattributed", actual_speaker="xi-jinping")
    assert review["actual_speaker"] == {"id": xi["id"], "slug": "xi-jinping", "name": "Xi Jinping"}
    assert attributed(room, second, attribution="misattributed")["actual_speaker"] is None
    room.entity("President Xi")
    merge = f"/v1/entities/{xi['id']}/merge"
    ok(room.editor.post(merge, headers=match(xi), json={"into": "president-xi"}))
    [shown] = room.get(f"/v1/claims/{first['id']}/reviews")["data"]
    assert shown["actual_speaker"]["name"] == "President Xi"
    named = [row["actual_speaker_name"] for row in room.anyone.get("/v1/reviews.json?order=asc").json()]
    assert named == ["President Xi", None]


# --- desks and corrections ---------------------------------------------------------------------


def test_desks_agree_on_the_attribution_or_are_split(room: Newsroom) -> None:
    for name in ("Desk A", "Desk B"):
        room.entity(name, "organization")
    claim = room.claim()
    seen = []
    for desk, said in (("desk-a", "misattributed"), ("desk-b", "unconfirmed"), ("desk-b", "misattributed")):
        attributed(room, claim, attribution=said, publisher=desk)
        shown = room.fresh(claim)["verification"]
        seen.append((shown["attribution"], shown["attribution_agreement"], shown["agreement"]))
    assert seen == [
        ("misattributed", "single", None),
        ("unconfirmed", "split", None),
        ("misattributed", "unanimous", None),
    ]
    [row] = room.anyone.get("/v1/claims.json").json()
    assert row["attribution_agreement"] == "unanimous"


def test_an_attribution_is_corrected_like_a_verdict(room: Newsroom) -> None:
    claim = room.claim()
    wrong = attributed(room, claim, attribution="misattributed")
    said = heard(sourced(room, "broadcast"))
    body = {"attribution": "confirmed", "corrects": wrong["id"], "correction_note": "It was aired."}
    path = f"/v1/claims/{claim['id']}/reviews"
    sent = ruling(**body, verdict=None, evidence=[PAGE])
    with room.unchanged():
        fault = problem(room.editor.post(path, headers=match(room.fresh(claim)), json=sent), 422)
    assert fault["errors"][0]["pointer"] == "/evidence"
    ok(room.editor.post(path, headers=match(room.fresh(claim)), json={**sent, "evidence": [said]}))
    [row] = room.get("/v1/corrections")["data"]
    assert (row["was"]["attribution"], row["became"]["attribution"]) == ("misattributed", "confirmed")
    correction = room.fresh(claim)["verification"]["correction"]
    assert (correction["note"], correction["was"]["attribution"]) == ("It was aired.", "misattributed")
