"""Counts of claims: kept and counted ones are the same, and both are what the claims themselves give."""

from collections import Counter
from itertools import combinations
from typing import Any

import pytest

from app.base.times import span
from app.claims import stats
from app.claims.shapes import DIMENSIONS, StatsQuestion
from tests.newsroom import Json, Newsroom, match, ok, problem

PAIRS = [",".join(by) for n in (1, 2) for by in combinations(DIMENSIONS, n)]
FILTERS: list[dict[str, Any]] = [
    {},
    {"status": ["unverified", "in_review"]},
    {"verdict": "false"},
    {"speaker": "vladimir-putin"},
    {"speaker": ["vladimir-putin", "xi-jinping"]},
    {"topic": "energy", "status": "unverified"},
    {"publisher": "rfe-rl", "about": "russia"},
    {"said_from": "2023-03", "mode": "paraphrase"},
]


def values(claim: Json, dimension: str) -> set[str | None]:
    match dimension:
        case "speaker":
            return {speaker["id"] for speaker in claim["speakers"]}
        case "publisher":
            printed = [appearance["source"]["publisher"] for appearance in claim["appearances"]]
            return {publisher and publisher["id"] for publisher in printed} or {None}
        case "topic":
            return set(claim["topics"]) or {None}
        case "month":
            days = span(claim["said"]) if claim["said"] else None
            months = {f"{day:%Y-%m}" for day in (days.earliest, days.latest)} if days else set()
            return set(months) if len(months) == 1 else {None}
        case _:
            return {claim["verification"][dimension]}


def test_are_what_the_claims_themselves_give(furnished: Newsroom) -> None:
    """All of them without filters, and each second with one, in turn."""
    for number, filters in enumerate(FILTERS):
        are_right(furnished, filters, PAIRS[number % 2 :: 2] if filters else PAIRS)


def are_right(furnished: Newsroom, filters: dict[str, Any], pairs: list[str]) -> None:
    claims = furnished.get("/v1/claims", limit=200, **filters)["data"]
    for by in pairs:
        expected: Counter[tuple[str | None, ...]] = Counter()
        names = by.split(",")
        for claim in claims:
            both = [values(claim, name) for name in names]
            expected.update(
                [(a,) for a in both[0]] if len(both) == 1 else [(a, b) for a in both[0] for b in both[1]]
            )
        answer = furnished.get("/v1/stats", by=by, limit=1000, **filters)
        counted = {tuple(row[name] for name in names): row["claims"] for row in answer["data"]}
        assert counted == dict(expected), (by, filters)
        assert len(counted) == len(answer["data"])
        assert answer["total"] == len(claims)
        if "month" not in names:
            assert [row["claims"] for row in answer["data"]] == sorted(expected.values(), reverse=True)


def test_that_are_kept_are_those_that_are_counted(furnished: Newsroom) -> None:
    with furnished.db.read() as session:
        for by in PAIRS:
            for more in FILTERS:
                filters = {name: [value] if isinstance(value, str) and name != "said_from" else value
                           for name, value in more.items()}  # fmt: skip
                ask = StatsQuestion(by=by.split(","), **filters)
                if (kept := stats.kept(session, ask)) is None:
                    assert filters, "without filters, each pair is kept"
                    continue
                rows = [row for row in session.execute(kept).all() if row.claims]
                assert sorted(rows) == sorted(session.execute(stats.counted(session, ask)).all()), (by, more)


def test_by_month_come_in_order_of_time(furnished: Newsroom) -> None:
    for by in ("month", "month,status", "status,month"):
        latest = furnished.get("/v1/stats", by=by, limit=1000)["data"]
        months = [row["month"] or "" for row in latest]
        assert len(set(months)) > 2
        assert months == sorted(months, reverse=True)  # what is undated comes last
        assert furnished.get("/v1/stats", by=by, limit=1000, order="asc")["data"] == latest[::-1]
        first = furnished.get("/v1/stats", by=by, limit=2)
        rest = furnished.get("/v1/stats", by=by, limit=1000, cursor=first["next_cursor"])
        assert first["data"] + rest["data"] == latest
    facet = furnished.get("/v1/claims", facets="month", limit=1)["facets"]["month"]
    assert [row["claims"] for row in facet] == sorted((row["claims"] for row in facet), reverse=True)


def test_name_speakers_and_publishers_and_can_be_walked(seeded: Newsroom) -> None:
    first = seeded.get("/v1/stats", by="speaker", limit=2)
    assert len(first["data"]) == 2
    top = first["data"][0]
    assert top.keys() == {"speaker", "speaker_slug", "speaker_name", "claims"}
    assert seeded.get("/v1/claims", speaker=top["speaker_slug"], limit=200)["data"].__len__() == top["claims"]
    rest = seeded.get("/v1/stats", by="speaker", limit=1000, cursor=first["next_cursor"])
    everyone = seeded.get("/v1/stats", by="speaker", limit=1000)
    assert first["data"] + rest["data"] == everyone["data"]


def test_follow_a_merge_and_its_end(room: Newsroom) -> None:
    room.claim()
    room.entity("V. V. Putin")
    both = room.claim("Both.", speakers=["v-v-putin", "vladimir-putin"])
    entity = room.get("/v1/entities/vladimir-putin")
    path = f"/v1/entities/{entity['id']}/merge"
    merged = ok(room.editor.post(path, json={"into": "v-v-putin"}, headers=match(entity)))
    [row] = room.get("/v1/stats", by="speaker")["data"]
    assert (row["speaker_slug"], row["claims"]) == ("v-v-putin", 2), "a claim of both counts once"
    assert room.get("/v1/stats", by="speaker", speaker="vladimir-putin", about=[])["data"] == [row]
    ok(room.editor.delete(path, headers=match(merged)))
    counts = {row["speaker_slug"]: row["claims"] for row in room.get("/v1/stats", by="speaker")["data"]}
    assert counts == {"vladimir-putin": 2, "v-v-putin": 1}
    assert both["id"]


def test_change_with_a_ruling_in_its_own_transaction(room: Newsroom) -> None:
    claim = room.claim()
    room.take(claim)
    assert room.get("/v1/stats", by="status")["data"] == [{"status": "in_review", "claims": 1}]
    room.review(claim)
    counts = room.get("/v1/stats", by="status,verdict")["data"]
    assert counts == [{"status": "reviewed", "verdict": "false", "claims": 1}]


def test_stand_beside_the_list_as_facets_under_its_filters(seeded: Newsroom) -> None:
    answer = seeded.get("/v1/claims", facets="status,speaker", topic="energy", limit=1)
    assert answer["facets"].keys() == {"status", "speaker"}
    for facet in answer["facets"]["speaker"]:
        assert facet.keys() == {"value", "slug", "name", "claims"}
        found = seeded.get("/v1/claims", topic="energy", speaker=facet["value"], limit=200)["data"]
        assert len(found) == facet["claims"]
    [status] = answer["facets"]["status"]
    assert status["claims"] == seeded.get("/v1/stats", topic="energy")["total"]
    assert "facets" not in seeded.get("/v1/claims", limit=1)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"by": "colour"}, "by"),
        ({"by": "status,status"}, "twice"),
        ({"by": "status,verdict,month"}, "2"),
        ({"speaker": "nobody-at-all"}, "nobody-at-all"),
        ({"limit": 1001}, "limit"),
        ({"group": "status"}, "group"),
    ],
    ids=str,
)
def test_refuse_what_they_cannot_count(room: Newsroom, query: dict[str, Any], said: str) -> None:
    assert said in problem(room.anyone.get("/v1/stats", params=query), 422)["detail"]


def test_are_read_in_a_constant_number_of_queries(seeded: Newsroom) -> None:
    seeded.get("/v1/stats", by="speaker,topic")
    with seeded.queries() as sent:
        seeded.get("/v1/stats", by="speaker,topic", limit=1000)
    assert len(sent) <= 5
