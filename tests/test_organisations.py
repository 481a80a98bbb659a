"""People rule for their own organisations; what others have published is entered, and marked so."""

import json
from typing import Any

import httpx
import pytest

from app.access.model import RoleName
from tests.newsroom import Json, Newsroom, match, ok, problem, ruling

Desk = tuple[str, httpx.Client]


def member(room: Newsroom, role: RoleName, *organisations: str) -> httpx.Client:
    """A client of somebody who belongs to organisations."""
    person, token = room.person(role, f"Of {' and '.join(organisations) or 'none'}")
    change = {"organisations": [*organisations]}
    ok(room.admin.patch(f"/v1/people/{person}", headers={"If-Match": "*"}, json=change))
    room._clients[person] = room.client(token)
    return room._clients[person]


def desk(room: Newsroom, name: str) -> str:
    return str(room.entity(name, "organization")["slug"])


def ruled(by: httpx.Client, claim: Json, **more: Any) -> Json:
    path = f"/v1/claims/{claim['id']}"
    if "corrects" not in more:
        ok(by.post(f"{path}/assignment", headers={"If-Match": "*"}))
    return ok(by.post(f"{path}/reviews", headers={"If-Match": "*"}, json=ruling(**more)))


def test_a_ruling_is_of_the_first_organisation_of_who_rules(room: Newsroom) -> None:
    first, second = desk(room, "First Desk"), desk(room, "Second Desk")
    both = member(room, "checker", first, second)
    review = ruled(both, room.claim())
    assert (review["publisher"]["slug"], "entered_by" in review) == (first, False)
    other = ruled(both, room.claim("Another."), publisher=second)
    assert (other["publisher"]["slug"], "entered_by" in other) == (second, False)
    assert other["reviewer"] is not None
    alone = ruled(room.checker, room.claim("A third."))
    assert (alone["publisher"], "entered_by" in alone) == (None, False)
    path = f"/v1/claims/{review['claim']}/reviews/{review['id']}"
    shown = ok(room.anyone.get(path))
    assert (shown["publisher"]["slug"], shown["reviewer"]) == (first, None), "the public is told the desk"


def test_what_names_another_desk_is_entered(room: Newsroom) -> None:
    own, other = desk(room, "Own Desk"), desk(room, "Other Desk")
    us = member(room, "checker", own)
    claim = room.claim()
    review = ruled(us, claim, publisher=other, url="https://other.example/1")
    assert (review["publisher"]["slug"], review["reviewer"]) == (other, None)
    assert review["entered_by"]["name"] == "Of own-desk"
    path = f"/v1/claims/{claim['id']}"
    assert ok(room.anyone.get(f"{path}/reviews"))["data"][0]["entered_by"] is None
    told = room.anyone.get(path, headers={"Accept": "application/ld+json"}).json()
    [found] = [each for each in told["@graph"] if each["@type"] == "ClaimReview"]
    assert found["author"]["name"] == "Other Desk"
    assert found["sdPublisher"]["@type"] == "Organization"
    row = json.loads(room.anyone.get("/v1/reviews.ndjson").text.splitlines()[0])
    assert (row["entered"], row["publisher_name"], row["reviewer"]) == (True, "Other Desk", None)
    bundle = ok(room.anyone.get(f"{path}/bundle"))
    assert bundle["record"]["reviews"][0]["entered_by"] is None


def imported(by: httpx.Client, claim: Json, publisher: str, **more: Any) -> Json:
    row = {
        "type": "review",
        "publisher": publisher,
        "url": "https://other.example/2",
        "summary": "As they say.",
        "claim": {"text": claim["text"], "speakers": [{"entity": "vladimir-putin"}], "mode": "paraphrase"},
        **more,
    }
    headers = {"Content-Type": "application/x-ndjson"}
    answer = by.post("/v1/import?mode=good", content=json.dumps(row), headers=headers)
    [result] = answer.json()["results"]
    return dict(result)


def test_what_another_desk_confirms_confirms_nothing_here(room: Newsroom) -> None:
    other = desk(room, "Other Desk")
    claim = room.claim()
    assert imported(room.checker, claim, other, attribution="confirmed")["outcome"] == "created"
    [review] = ok(room.checker.get(f"/v1/claims/{claim['id']}/reviews"))["data"]
    assert (review["attribution"], review["reviewer"]) == ("confirmed", None)
    assert review["entered_by"]["name"] == "The checker"
    assert room.fresh(claim)["verification"]["attribution"] == "unconfirmed"


@pytest.mark.parametrize("way", ["import", "correction"])
def test_the_word_of_a_desk_that_is_here_is_its_peoples_to_give(room: Newsroom, way: str) -> None:
    own = desk(room, "Own Desk")
    us, claim = member(room, "editor", own), room.claim()
    first = ruled(us, claim, url="https://other.example/2")
    path, note = f"/v1/claims/{claim['id']}/reviews", {"corrects": first["id"], "correction_note": "No."}
    if way == "import":
        before = ok(room.checker.get(path))["data"]
        for url in ("https://other.example/2", "https://other.example/another"):
            assert imported(room.editor, claim, own, verdict="true", url=url)["outcome"] == "refused"
        assert ok(room.checker.get(path))["data"] == before
    else:
        body = ruling(verdict="true", publisher=own, **note)
        with room.unchanged():
            problem(room.editor.post(path, headers=match(room.fresh(claim)), json=body), 403)
    corrected = ruled(us, claim, verdict="true", **note)
    assert corrected["publisher"]["slug"] == own


def test_a_merged_organisation_is_its_winner(room: Newsroom) -> None:
    own, same = desk(room, "Own Desk"), desk(room, "Own Desk Ltd")
    us = member(room, "checker", same)
    ok(room.admin.post(f"/v1/entities/{same}/merge", headers={"If-Match": "*"}, json={"into": own}))
    review = ruled(us, room.claim(), publisher=own)
    assert ("entered_by" in review, review["publisher"]["slug"]) == (False, own)
    assert [each["slug"] for each in ok(us.get("/v1/me"))["person"]["organisations"]] == [own]
