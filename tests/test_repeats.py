"""Claims that repeat others: chains of one step, verification carried, who repeated what and when."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.newsroom import Json, Newsroom, match, ok, problem, ruling

ANYHOW = {"If-Match": "*"}


def claims(room: Newsroom, **query: Any) -> list[str]:
    """The texts of the claims under some filters."""
    return [claim["text"] for claim in room.get("/v1/claims", **query)["data"]]


def test_a_repeat_carries_the_verification_of_the_first(room: Newsroom) -> None:
    first = room.claim(said="2023-03-21")
    early = room.claim("As I said, it is agreed.", repeats=first["id"], said="2023-03-22")
    room.take(first)
    room.review(first)
    late = room.claim("Agreed, as all know.", repeats=early["id"], said="2023-04-01")
    for claim in (early, late):
        shown = room.fresh(claim)
        assert shown["repeats"] == first["id"]
        assert (shown["verification"]["status"], shown["verification"]["verdict"]) == ("reviewed", "false")
    after = room.get("/v1/claims", repeats=first["id"], said_from="2023-03-23")["data"]
    assert [claim["id"] for claim in after] == [late["id"]]


def test_a_repeat_is_not_ruled_on_but_its_own_attribution_is(room: Newsroom) -> None:
    first = room.claim()
    repeat = room.claim("As I said.", repeats=first["id"])
    path = f"/v1/claims/{repeat['id']}"
    refused = problem(room.checker.post(f"{path}/assignment", headers=match(repeat)), 409, "illegal-move")
    assert refused["repeats"] == first["id"]
    assert [move["move"] for move in refused["legal_moves"]] == ["attribute"]
    heard = {"source": room.source(kind="speech")["id"], "stance": "supports"}
    heard |= {"anchor": {"exact": "as I said"}, "locator": "00:12:30"}
    room.review(repeat, verdict=None, attribution="confirmed", evidence=[heard])
    assert room.fresh(repeat)["verification"]["attribution"] == "confirmed"
    assert room.fresh(first)["verification"]["attribution"] == "unconfirmed"


def test_under_four_eyes_the_attribution_of_a_repeat_waits(room: Newsroom) -> None:
    first = room.claim()
    repeat = room.claim("As I said.", repeats=first["id"])
    path = f"/v1/claims/{repeat['id']}"
    with room.with_settings(four_eyes=True) as strict:
        strict.review(repeat, by=strict.editor, verdict=None, attribution="fabricated")
        assert strict.fresh(repeat)["verification"]["attribution"] == "unconfirmed"
        assert strict.get(f"{path}/reviews")["data"] == []
        with strict.unchanged():
            again = ruling(verdict=None, attribution="confirmed")
            for move, body in (("approval", None), ("return", None), ("reviews", again)):
                answer = strict.editor.post(f"{path}/{move}", headers=ANYHOW, json=body)
                problem(answer, 409, "illegal-move")
            alone = strict.editor.patch(path, headers=ANYHOW, json={"repeats": None})
            assert "waits for approval" in problem(alone, 409)["detail"]
            problem(
                strict.admin.post(f"/v1/claims/{first['id']}/approval", headers=ANYHOW), 409, "illegal-move"
            )
        ok(strict.admin.post(f"{path}/return", headers=ANYHOW, json={"note": "Not yet."}))
        strict.review(repeat, by=strict.editor, verdict=None, attribution="fabricated")
        ok(strict.admin.post(f"{path}/approval", headers=ANYHOW))
        shown = strict.fresh(repeat)["verification"]
        assert (shown["attribution"], shown["status"]) == ("fabricated", "unverified")
        other = strict.claim("As all say.", repeats=first["id"])
        strict.review(other, by=strict.editor, verdict=None, attribution="fabricated")
        ok(strict.admin.post("/v1/erasures", json={"record": other["id"], "note": "By order."}))


def test_a_claim_that_has_repeats_may_become_one_itself(room: Newsroom) -> None:
    oldest, first = room.claim("Agreed in 2022.", said="2022"), room.claim("Agreed.")
    repeat = room.claim("Agreed again.", repeats=first["id"])
    path = f"/v1/claims/{first['id']}"
    ok(room.reporter.patch(path, headers=match(first), json={"repeats": oldest["id"]}))
    assert room.fresh(repeat)["repeats"] == oldest["id"]
    for wrong in (first["id"], repeat["id"]):
        tag = match(room.fresh(oldest))
        itself = room.reporter.patch(f"/v1/claims/{oldest['id']}", headers=tag, json={"repeats": wrong})
        assert problem(itself, 422)["errors"][0]["pointer"] == "/repeats"


def test_a_repeat_that_is_set_free_stands_on_its_own(room: Newsroom) -> None:
    first = room.claim()
    room.take(first)
    room.review(first)
    repeat = room.claim("As I said.", repeats=first["id"])
    path = f"/v1/claims/{repeat['id']}"
    free = ok(room.editor.patch(path, headers=match(repeat), json={"repeats": None}))
    assert (free["repeats"], free["verification"]["status"], free["verification"]["verdict"]) == (
        None,
        "unverified",
        None,
    )


def repeat_of(room: Newsroom, claim: Json, other: str, **more: Any) -> httpx.Response:
    """The answer to stating that a claim repeats another."""
    path = f"/v1/claims/{claim['id']}"
    return room.reporter.patch(path, headers=match(room.fresh(claim)), json={"repeats": other, **more})


@pytest.mark.parametrize("length", [1, 2, 4])
def test_no_chain_of_repeats_goes_round_however_long(room: Newsroom, length: int) -> None:
    chain = [room.claim(f"Said {n} times.") for n in range(length)]
    for one, next_ in pairwise(chain):
        ok(repeat_of(room, one, next_["id"]))
    for each in chain:
        with room.unchanged():
            [fault] = problem(repeat_of(room, chain[-1], each["id"]), 422)["errors"]
        assert fault["pointer"] == "/repeats"
        assert "would have a claim repeat itself" in fault["detail"]
        assert (each["id"] in fault["detail"]) == (each is not chain[-1]), "it says through which"
    found = [room.fresh(each)["repeats"] for each in chain]
    assert found == [*[chain[-1]["id"]] * (length - 1), None], "each is carried along to the last"


def test_of_two_claims_that_become_repeats_of_one_another_at_once_one_does(room: Newsroom) -> None:
    for n in range(5):
        one, other = room.claim(f"One {n}."), room.claim(f"Other {n}.")
        pairs = [(one, other), (other, one)] * 3
        client = room.reporter

        def state(pair: tuple[Json, Json], client: httpx.Client = client) -> httpx.Response:
            body = {"repeats": pair[1]["id"]}
            return client.patch(f"/v1/claims/{pair[0]['id']}", headers={"If-Match": "*"}, json=body)

        with ThreadPoolExecutor(6) as reporters:
            answers = list(reporters.map(state, pairs))
        [first], [second] = ({answer.status_code for answer in answers[way::2]} for way in (0, 1))
        assert {first, second} == {200, 422}
        loser, winner = (one, other) if first == 200 else (other, one)
        assert (room.fresh(loser)["repeats"], room.fresh(winner)["repeats"]) == (winner["id"], None)


def test_what_is_withdrawn_is_withdrawn_with_its_repeats_and_not_repeated_any_more(room: Newsroom) -> None:
    first, other = room.claim(), room.claim("Something else.")
    repeat = room.claim("As I said.", repeats=first["id"])
    path = f"/v1/claims/{first['id']}/withdrawal"
    ok(room.editor.post(path, headers=match(first), json={"note": "It was never said."}))
    for claim in (first, repeat):
        shown = room.fresh(claim)["verification"]
        assert (shown["status"], shown["note"]) == ("withdrawn", "It was never said.")
    for target in (first, repeat):
        with room.unchanged():
            refused = problem(repeat_of(room, other, target["id"]), 422)
        assert refused["errors"] == [
            {"pointer": "/repeats", "detail": f"leads to {first['id']}, which is withdrawn"}
        ]
    ok(room.editor.delete(path, headers=match(room.fresh(first))))
    assert room.fresh(repeat)["verification"]["status"] == "unverified"
    ok(room.editor.post(path, headers=match(room.fresh(first)), json={"note": "Never."}))
    free = {"repeats": None}
    tag = match(room.fresh(repeat))
    alone = ok(room.editor.patch(f"/v1/claims/{repeat['id']}", headers=tag, json=free))
    assert (alone["verification"]["status"], alone["verification"]["note"]) == ("unverified", None)


def test_who_repeated_it_since_it_was_checked_is_one_request(room: Newsroom) -> None:
    first = room.claim(said="2023-03-21")
    said = ["2023-03-22", "2023-03-25", "2023-03-26", "2023-03", "2023-04", None]
    repeats = {day: room.claim(f"As said, {day}.", repeats=first["id"], said=day) for day in said}
    room.claim("Something else.", said="2023-05")
    asked: Json = {"repeats": first["id"], "repeated_after_review": "true"}
    assert claims(room, **asked) == []
    room.take(first)
    room.review(first, reviewed_at="2023-03-25T12:00:00Z")
    after = ["As said, 2023-04.", "As said, 2023-03-26."]
    assert claims(room, **asked) == claims(room, repeated_after_review="true") == after
    assert claims(room, **{**asked, "repeats": repeats["2023-04"]["id"]}) == after, "of which it is asked"
    assert claims(room, **asked, sort="created") == after
    assert claims(room, **asked, verdict="true") == []
    assert len(claims(room, **{**asked, "repeated_after_review": "false"})) == 4
    assert len(claims(room, repeated_after_review="false")) == 6
    assert len(claims(room, repeats=first["id"])) == 6
    refused = problem(room.anyone.get("/v1/claims?repeats=clm_none"), 422)
    assert refused["errors"][0]["pointer"] == "repeats/0"
