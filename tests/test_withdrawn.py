"""Withdrawn claims: out of every list and count unless they are asked for, and where they stay."""

import csv
import io
from itertools import combinations
from typing import Any

import httpx
import pytest

from app.claims.shapes import DIMENSIONS
from tests.newsroom import Json, Newsroom, match, ok, problem

GAS = {"measure": "gas supply", "value": "38", "unit": "bcm", "period": "2024"}
ODD = {"measure": "odd measure", "value": "1", "unit": "%"}


def withdraw(room: Newsroom, claim: Json) -> Json:
    """The claim, withdrawn."""
    path = f"/v1/claims/{claim['id']}/withdrawal"
    return ok(room.editor.post(path, json={"note": "Mistaken."}, headers=match(room.fresh(claim))))


@pytest.fixture
def desk(room: Newsroom) -> Newsroom:
    """Three claims of one speaker, all in one article, the last of them withdrawn with ruling and link."""
    room.entity()
    room.entity("RFE/RL", "organization")
    page = room.source(publisher="rfe-rl")["id"]
    for n, figures in enumerate(([GAS], [GAS | {"value": "40"}], [GAS | {"value": "90"}, ODD])):
        claim = room.claim(
            f"Pipeline statement {n}.",
            topics=["energy"],
            said="2023-03-21",
            figures=figures,
            appearances=[{"source": page}],
        )
        room.take(claim)
        room.review(claim)
    first, _, last = reversed(room.get("/v1/claims", sort="created")["data"])
    link = {"other": last["id"], "relation": "contradicts", "judgement": "positive"}
    ok(room.checker.post(f"/v1/claims/{first['id']}/links", json=link))
    withdraw(room, last)
    return room


def texts(room: Newsroom, path: str = "/v1/claims", **query: Any) -> set[str]:
    """The texts of the claims that are found, or that figures which are found stand in."""
    rows = [row.get("record", row) for row in room.get(path, **query)["data"]]
    return {row["text"] if "text" in row else row.get("claim", {}).get("text", "") for row in rows} - {""}


PRESENT = {"Pipeline statement 0.", "Pipeline statement 1."}
WITHDRAWN = {"Pipeline statement 2."}

LISTS: list[dict[str, str]] = [
    {},
    {"speaker": "vladimir-putin"},
    {"speaker": "vladimir-putin", "topic": "energy"},
    {"publisher": "rfe-rl"},
    {"has_figure": "true"},
    {"sort": "created"},
    {"sort": "reviewed"},
    {"sort": "repeats"},
    {"sort": "reads"},
    {"q": "pipeline"},
    {"q": "pipel*"},
    {"q": '"pipeline statement"'},
    {"q": "pipeline -article"},
    {"q": "pipeline", "topic": "energy"},
    {"q": "pipeline", "sort": "said"},
]


def test_a_list_has_withdrawn_claims_only_if_they_are_asked_for(desk: Newsroom) -> None:
    for query in LISTS:
        assert texts(desk, **query) == PRESENT, query
        assert texts(desk, **query, withdrawn="include") == PRESENT | WITHDRAWN, query
        assert texts(desk, **query, status="withdrawn") == WITHDRAWN, query
        assert texts(desk, **query, status="unverified", withdrawn="include") == WITHDRAWN, query
        assert texts(desk, **query, order="asc") == PRESENT, query
    for query in LISTS:  # what is known of a question by now is answered on the event loop
        assert texts(desk, **query) == PRESENT, query
        assert texts(desk, **query, withdrawn="include") == PRESENT | WITHDRAWN, query


def test_pages_are_full_whatever_was_left_out(desk: Newsroom) -> None:
    for query in ({}, {"q": "pipeline"}, {"sort": "repeats"}):
        first = desk.get("/v1/claims", **query, limit=1)
        second = desk.get("/v1/claims", **query, limit=1, cursor=first["next_cursor"])
        assert {first["data"][0]["text"], second["data"][0]["text"]} == PRESENT
        assert second["next_cursor"] is None


def test_search_and_figures_have_them_only_if_they_are_asked_for(desk: Newsroom) -> None:
    for path, query in (
        ("/v1/search", {"q": "pipeline"}),
        ("/v1/search", {"q": "pipel*"}),
        ("/v1/search", {"q": "pipeline", "kind": "claim"}),
        ("/v1/search", {"q": "supply", "kind": "figure"}),
        ("/v1/figures", {}),
        ("/v1/figures", {"q": "supply"}),
        ("/v1/figures", {"measure": "gas supply", "unit": "bcm", "min": "1"}),
    ):
        assert texts(desk, path, **query) == PRESENT, (path, query)
        assert texts(desk, path, **query, withdrawn="include") == PRESENT | WITHDRAWN
    assert texts(desk, "/v1/figures", status="withdrawn") == WITHDRAWN
    claim = desk.get("/v1/claims", status="withdrawn")["data"][0]
    assert desk.get(f"/v1/figures/{claim['figures'][0]['id']}")["claim"]["id"] == claim["id"]


def test_a_series_has_them_only_if_they_are_asked_for(desk: Newsroom) -> None:
    def values(**query: str) -> list[str]:
        [line] = desk.get("/v1/figures/series", measure="gas supply", **query)["lines"]
        return sorted(point["converted"]["value"] for point in line["points"])

    assert values() == ["38000000000", "40000000000"] or values() == ["38", "40"]
    assert len(values(withdrawn="include")) == 3
    refused = desk.anyone.get("/v1/figures/series", params={"measure": "odd measur"})
    assert refused.status_code == 422
    assert "odd measure" not in refused.text
    assert desk.get("/v1/figures/series", measure="odd measure", withdrawn="include")["lines"]


def test_every_count_leaves_them_out_and_is_that_of_the_list(desk: Newsroom) -> None:
    values = {
        "status": "reviewed",
        "verdict": "false",
        "attribution": "unconfirmed",
        "speaker": "vladimir-putin",
        "publisher": "rfe-rl",
        "topic": "energy",
    }
    by_two = [",".join(pair) for pair in combinations(DIMENSIONS, 2)]
    for by in [*DIMENSIONS, *by_two]:
        for query in ({}, {"topic": "energy"}):
            assert_counts(desk, {**query, "by": by}, 2)
    for name, value in [*values.items(), ("kind", "fact")]:
        assert_counts(desk, {name: value, "topic": "energy", "by": "verdict"}, 2)
    for by in ("status", "verdict", "speaker,verdict"):
        assert_counts(desk, {"by": by, "withdrawn": "include"}, 3)
        assert_counts(desk, {"by": by, "status": "withdrawn"}, 1)


def assert_counts(room: Newsroom, asked: dict[str, str], claims: int) -> None:
    """Holds that each of all claims has the same values, and the total is theirs."""
    found = room.get("/v1/stats", **asked)
    assert found["total"] == claims, asked
    assert sum(row["claims"] for row in found["data"]) == claims, asked
    if asked.get("withdrawn") is None:
        assert len(found["data"]) == 1, asked


def test_facets_of_the_status_count_them_and_no_others_do(desk: Newsroom) -> None:
    def counts(**query: str) -> Json:
        facets = desk.get("/v1/claims", **query, facets="status,verdict,topic")["facets"]
        return {name: {row["value"]: row["claims"] for row in rows} for name, rows in facets.items()}

    assert counts() == {
        "status": {"reviewed": 2, "withdrawn": 1},
        "verdict": {"false": 2},
        "topic": {"energy": 2},
    }
    assert counts(topic="energy", mode="paraphrase")["status"] == {"reviewed": 2, "withdrawn": 1}
    assert counts(withdrawn="include")["verdict"] == {"false": 3}
    assert counts(status="withdrawn") == {
        "status": {"withdrawn": 1},
        "verdict": {"false": 1},
        "topic": {"energy": 1},
    }
    assert counts(status="reviewed")["status"] == {"reviewed": 2}


def test_flat_feeds_have_them_only_if_they_are_asked_for(desk: Newsroom) -> None:
    def rows(name: str, **query: str) -> int:
        return len(list(csv.DictReader(io.StringIO(ok_text(desk, f"/v1/{name}.csv", **query)))))

    assert [rows(name) for name in ("claims", "figures", "reviews", "links")] == [2, 2, 2, 0]
    every = [rows(name, withdrawn="include") for name in ("claims", "figures", "reviews", "links")]
    assert every == [3, 4, 3, 1]
    assert rows("claims", status="withdrawn") == rows("claims", q="pipeline", status="withdrawn") == 1


def ok_text(room: Newsroom, path: str, **query: str) -> str:
    answer = room.anyone.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_they_stay_where_copies_learn_of_them(desk: Newsroom) -> None:
    [claim] = desk.get("/v1/claims", status="withdrawn")["data"]
    assert desk.get(f"/v1/claims/{claim['id']}")["verification"]["status"] == "withdrawn"
    history = desk.get(f"/v1/claims/{claim['id']}/history")["data"]
    assert history[0]["action"] == "claim.withdraw"
    assert "claim.withdraw" in ok_text(desk, "/v1/changes", resource_id=claim["id"])
    assert desk.get("/v1/corrections")["data"][0]["claim"]["id"] == claim["id"]
    assert "Pipeline statement 2." in ok_text(desk, "/v1/verdicts.atom")
    items = desk.get("/v1/claimreviews.jsonld")["dataFeedElement"]
    [gone] = [item for item in items if "dateDeleted" in item]
    assert gone["item"]["claimReviewed"] == claim["text"]
    assert "reviewRating" not in gone["item"]
    assert len(items) == 3
    assert len(desk.get(f"/v1/claims/{claim['id']}/links")["data"]) == 1


def test_a_reinstated_claim_is_back_everywhere(desk: Newsroom) -> None:
    [claim] = desk.get("/v1/claims", status="withdrawn")["data"]
    moment = str(desk.get("/v1/changes", order="desc")["data"][0]["seq"])
    ok(desk.editor.delete(f"/v1/claims/{claim['id']}/withdrawal", headers=match(claim)))
    assert texts(desk) == texts(desk, q="pipeline") == texts(desk, "/v1/figures") == PRESENT | WITHDRAWN
    assert desk.get("/v1/stats", by="speaker,verdict")["data"][0]["claims"] == 3
    assert texts(desk, as_of=moment) == texts(desk, q="pipeline", as_of=moment) == PRESENT


# --- taken back by who stated it -----------------------------------------------------------------


def take_back(room: Newsroom, claim: Json, by: httpx.Client | None = None) -> httpx.Response:
    path, note = f"/v1/claims/{claim['id']}/withdrawal", {"note": "Typed into the wrong window."}
    return (by or room.reporter).post(path, json=note, headers=match(room.fresh(claim)))


def test_a_reporter_takes_back_their_own_claim(room: Newsroom) -> None:
    page = room.source()
    claim = room.claim(appearances=[{"source": page["id"], "anchors": [{"exact": "The pipeline"}]}])
    problem(take_back(room, claim, room.another("reporter")), 403)
    problem(take_back(room, claim, room.checker), 403)
    path = f"/v1/claims/{claim['id']}"
    ok(room.reporter.patch(path, json={"place": "Moscow"}, headers=match(claim)))
    archived = {"text": "The pipeline is there."}  # looks the quote up, which is no work on the claim
    ok(room.editor.post(f"/v1/sources/{page['id']}/snapshots", json=archived))
    gone = ok(take_back(room, claim))
    assert gone["verification"]["status"] == "withdrawn"
    assert room.get("/v1/corrections")["data"][0]["note"] == "Typed into the wrong window."
    problem(take_back(room, claim), 403)
    problem(room.reporter.delete(f"{path}/withdrawal", headers=match(gone)), 403)
    ok(room.editor.delete(f"{path}/withdrawal", headers=match(gone)))
    problem(take_back(room, claim), 403)


def test_not_once_anyone_else_has_done_anything_about_it(room: Newsroom) -> None:
    def gathered(path: str) -> None:
        ok(room.checker.post(f"{path}/evidence", json={"url": "https://example.org/b", "stance": "context"}))

    def taken(path: str) -> None:
        ok(room.checker.post(f"{path}/assignment", headers={"If-Match": "*"}))

    def taken_and_released(path: str) -> None:
        taken(path)
        ok(room.checker.delete(f"{path}/assignment", headers={"If-Match": "*"}))

    def revised(path: str) -> None:
        ok(room.editor.patch(path, json={"place": "Kyiv"}, headers={"If-Match": "*"}))

    def linked(path: str) -> None:
        other = room.claim("Another.")["id"]
        body = {"other": other, "relation": "supports", "judgement": "negative"}
        ok(room.checker.post(f"{path}/links", json=body))

    def repeated(path: str) -> None:
        room.claim("As was said.", repeats=path.rpartition("/")[2])

    for done in (gathered, taken, taken_and_released, revised, linked, repeated):
        claim = room.claim(f"A claim that is {done.__name__}.")
        done(f"/v1/claims/{claim['id']}")
        problem(take_back(room, claim), 403)
        assert room.fresh(claim)["verification"]["status"] != "withdrawn"
    repeat = room.claim("Once more.", repeats=room.claim("The first.")["id"])
    problem(take_back(room, repeat), 409)
