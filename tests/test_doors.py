"""Every door by which somebody rules: reviews, corrections, files, pages of Google's interface and the
command line. None lets one person rule alone under four eyes, or anybody rule for a desk that is another's.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.commands import Command
from tests.newsroom import Json, Newsroom, ok, problem, ruling
from tests.test_google_factcheck import PAGES, batch, page_of
from tests.test_organisations import desk, member, ruled

ANYHOW = {"If-Match": "*"}
URL = "https://other.example/2"


def told(text: str, publisher: str, **more: Any) -> Json:
    """A line that has what a desk says of a claim."""
    claim = {"text": text, "mode": "paraphrase", "speakers": ["vladimir-putin"]}
    return {"review": {"claim": claim, "publisher": publisher, "url": URL, "verdict": "false", **more}}


def node(text: str, publisher: str) -> Json:
    return {
        "@context": "https://schema.org",
        "@type": "ClaimReview",
        "url": URL,
        "author": {"@type": "Organization", "name": publisher},
        "claimReviewed": text,
        "itemReviewed": {"@type": "Claim", "author": {"@type": "Person", "name": "Vladimir Putin"}},
        "reviewRating": {"@type": "Rating", "alternateName": "False"},
    }


def reviewed(by: httpx.Client, claim: Json, publisher: str) -> httpx.Response:
    return by.post(
        f"/v1/claims/{claim['id']}/reviews", headers=ANYHOW, json=ruling(publisher=publisher, url=URL)
    )


def lines(by: httpx.Client, claim: Json, publisher: str) -> httpx.Response:
    headers = {"Content-Type": "application/x-ndjson"}
    return by.post(
        "/v1/import?mode=good", content=json.dumps(told(claim["text"], publisher)), headers=headers
    )


def linked(by: httpx.Client, claim: Json, publisher: str) -> httpx.Response:
    headers = {"Content-Type": "application/ld+json"}
    return by.post(
        "/v1/import?mode=good", content=json.dumps(node(claim["text"], publisher)), headers=headers
    )


def paged(by: httpx.Client, claim: Json, publisher: str) -> httpx.Response:
    page = page_of(claim["text"])
    page["claimReviewMarkups"][0]["claimAuthor"] = {"name": "Vladimir Putin"}
    url = f"https://other.example/{claim['id']}"
    return by.post(PAGES, json={**page, "pageUrl": url, "claimReviewAuthor": {"name": publisher}})


Door = Callable[[httpx.Client, Json, str], httpx.Response]
DOORS: Mapping[str, Door] = {"reviews": reviewed, "lines": lines, "linked": linked, "pages": paged}


def refused(answer: httpx.Response) -> bool:
    """Tell if nothing came in: by the answer, or by what it says of the row."""
    if answer.status_code != 200 or "results" not in answer.json():
        return answer.status_code >= 400
    [row] = answer.json()["results"]
    assert row["outcome"] != "refused" or (row["line"], row["made"], row["id"]) == (1, [], None)
    return bool(row["outcome"] == "refused")


def ways_to_decide(by: httpx.Client, claim: Json) -> list[httpx.Response]:
    return [by.post(f"/v1/claims/{claim['id']}/{move}", headers=ANYHOW) for move in ("approval", "return")]


def test_one_person_with_two_keys_passes_by_no_door(room: Newsroom) -> None:
    person, token = room.person("admin", "Ann")
    second = ok(room.admin.post("/v1/keys", json={"name": "Second", "role": "editor", "person": person}))
    other = room.entity("Other Desk", "organization")
    claims = {name: room.claim(f"The pipeline is {name}.") for name in (*DOORS, "corrected", "updated")}
    first = ruled(room.checker, claims["corrected"])
    page = ok(paged(room.checker, claims["updated"], other["name"]))
    with (
        room.with_settings(four_eyes=True) as strict,
        room.client(token) as one,
        room.client(second["secret"]) as two,
    ):
        room.take(claims["reviews"], by=one)
        for name, door in DOORS.items():
            assert not refused(door(one, claims[name], other["name"] if name != "reviews" else other["slug"]))
        path = f"/v1/claims/{claims['corrected']['id']}/reviews"
        new = ruling(verdict="true", corrects=first["id"], correction_note="Now we know.")
        ok(one.post(path, headers=ANYHOW, json=new))
        ok(one.delete(f"/v1alpha1/{page['name']}"))
        for name, claim in claims.items():
            assert strict.fresh(claim)["verification"]["status"] == "pending_approval", name
            with strict.unchanged():
                for answer in ways_to_decide(two, claim):
                    problem(answer, 409, "illegal-move")
            ok(strict.editor.post(f"/v1/claims/{claim['id']}/approval", headers=ANYHOW))


def test_a_desk_with_people_here_is_ruled_for_by_them_alone(room: Newsroom) -> None:
    own = desk(room, "Own Desk")
    us, outsider = member(room, "editor", own), room.admin
    ours = room.claim("The pipeline is ours.")
    page = ok(paged(us, ours, "Own Desk"))
    assert ok(us.get(f"/v1/claims/{ours['id']}/reviews"))["data"][0]["reviewer"] is not None
    [markup] = page["claimReviewMarkups"]
    changed = {**page, "claimReviewMarkups": [{**markup, "rating": {"textualRating": "True"}}]}
    raw = f"DELETE /v1alpha1/{page['name']} HTTP/1.1\r\nAuthorization: {outsider.headers['Authorization']}"
    here = room.take(room.claim("The pipeline is here."), by=outsider)
    with room.unchanged():
        for claim in (here, {**here, "text": "No one has stated this before."}):
            for name, door in DOORS.items():
                assert refused(door(outsider, claim, own if name == "reviews" else "Own Desk")), name
        assert refused(outsider.put(f"/v1alpha1/{page['name']}", json=changed))
        assert refused(outsider.delete(f"/v1alpha1/{page['name']}"))
        assert b" 200 " not in batch(room, raw, by=outsider).content


@pytest.mark.parametrize("change", ["rename", "merge", "take in", "part"])
def test_nobody_makes_a_desk_theirs_by_its_entity(room: Newsroom, change: str) -> None:
    own, other = desk(room, "Own Desk"), desk(room, "Other Desk")
    us = member(room, "editor", own)
    loser, winner = (other, own) if change == "take in" else (own, other)
    merge = {"into": winner}
    if change == "part":
        ok(room.admin.post(f"/v1/entities/{loser}/merge", headers=ANYHOW, json=merge))
    for by in (us, room.admin):
        match change:
            case "rename":
                answer = by.patch(f"/v1/entities/{own}", headers=ANYHOW, json={"name": "The Times"})
            case "part":
                answer = by.delete(f"/v1/entities/{loser}/merge", headers=ANYHOW)
            case _:
                answer = by.post(f"/v1/entities/{loser}/merge", headers=ANYHOW, json=merge)
        assert answer.status_code == (403 if by is us else 200), answer.text
    free = desk(room, "Nobody's Desk")
    ok(room.reporter.patch(f"/v1/entities/{free}", headers=ANYHOW, json={"name": "Everybody's Desk"}))


@pytest.mark.parametrize(("way", "outcome"), [("cli", "approval"), ("seed", "return")])
def test_what_a_command_brings_in_waits_under_four_eyes(
    room: Newsroom, command: Command, tmp_path: Path, way: str, outcome: str
) -> None:
    own = desk(room, "Own Desk")
    member(room, "checker", own)
    here, file = room.claim(), tmp_path / "claims.ndjson"
    file.write_text("\n".join(json.dumps(told(text, own)) for text in (here["text"], "Another thing.")))
    for name in ("entities", "sources"):
        (tmp_path / f"{name}.ndjson").touch()
    what = ("import", str(file), "--mode", "good") if way == "cli" else ("seed", str(tmp_path))
    done = command(room.settings.database_url, *what, RECORD_FOUR_EYES="true")
    assert done.code == 0, done
    for claim in ok(room.checker.get("/v1/claims"))["data"]:
        path = f"/v1/claims/{claim['id']}"
        assert claim["verification"]["status"] == "pending_approval"
        queue = ok(room.editor.get("/v1/queues"))["data"]
        assert next(each["claims"] for each in queue if each["name"] == "awaiting_approval") > 0
        ok(room.editor.post(f"{path}/{outcome}", headers=ANYHOW, json={"note": "Read."}))
        after = ok(room.checker.get(path))["verification"]
        standing = ("reviewed", "false") if outcome == "approval" else ("unverified", None)
        assert (after["status"], after["verdict"], after["assignee"]) == (*standing, None)
        [review] = ok(room.checker.get(f"{path}/reviews"))["data"]
        assert (review["reviewer"], review["entered_by"]["id"]) == (None, way)
