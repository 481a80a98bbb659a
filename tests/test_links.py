"""Links between claims: judged, judged again, and suggested until they were."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.newsroom import Json, Newsroom, match, ok, problem

AGREED = "Mongolia has given its consent to the pipeline Power of Siberia."


def judge(
    room: Newsroom,
    one: Json,
    other: Json,
    relation: str,
    judgement: str = "positive",
    by: httpx.Client | None = None,
    **more: Any,
) -> httpx.Response:
    body = {"other": other["id"], "relation": relation, "judgement": judgement, **more}
    return (by or room.checker).post(f"/v1/claims/{one['id']}/links", json=body)


def links(room: Newsroom, claim: Json, **query: Any) -> list[Json]:
    found: list[Json] = ok(room.checker.get(f"/v1/claims/{claim['id']}/links", params=query))["data"]
    return found


def suggestions(room: Newsroom, claim: Json, **query: Any) -> list[Json]:
    found: list[Json] = room.get(f"/v1/claims/{claim['id']}/suggestions", **query)["data"]
    return found


def suggested(room: Newsroom, claim: Json, **query: Any) -> dict[str, str]:
    """What is suggested: relations, by the other claim's id."""
    return {each["claim"]["id"]: each["relation"] for each in suggestions(room, claim, **query)}


def two(room: Newsroom) -> tuple[Json, Json]:
    return room.claim(AGREED), room.claim("Ulan Bator has agreed to nothing.")


# --- judging -----------------------------------------------------------------------------------


def test_a_link_says_what_one_claim_is_to_another_who_judged_when_and_why(room: Newsroom) -> None:
    one, other = two(room)
    made = judge(room, one, other, "supports", note="The same treaty.")
    link = ok(made)
    assert made.status_code == 201
    assert (link["claim"]["id"], link["relation"], link["other"]["id"]) == (
        one["id"],
        "supports",
        other["id"],
    )
    assert (link["judgement"], link["note"], link["version"]) == ("positive", "The same treaty.", 1)
    assert link["judged_by"]["name"] == "The checker"
    assert link["judged_at"] == link["created_at"]
    assert link["other"].keys() == {"id", "text", "mode", "said", "speakers", "verification"}
    assert ok(room.checker.get(made.headers["location"])) == link
    assert links(room, one) == links(room, other) == [link], "it is found from either end"
    entry = room.get("/v1/changes", resource="link")["data"][-1]
    assert (entry["action"], entry["resource_id"], entry["reason"]) == (
        "link.judge",
        link["id"],
        "The same treaty.",
    )


def test_a_later_judgement_takes_the_place_of_an_earlier_one(room: Newsroom) -> None:
    one, other = two(room)
    link = ok(judge(room, one, other, "contradicts", "unsure", note="To be asked."))
    path, second = f"/v1/claims/{other['id']}/links/{link['id']}", room.another("checker", "Second desk")
    changed = ok(second.patch(path, headers=match(link), json={"judgement": "positive", "note": None}))
    assert (changed["judgement"], changed["note"], changed["version"]) == ("positive", None, 2)
    assert changed["judged_by"]["name"] == "Second desk"
    assert changed["judged_at"] > link["judged_at"]
    assert links(room, one) == [changed]
    problem(room.checker.patch(path, headers=match(link), json={"judgement": "negative"}), 412, "stale")
    problem(room.checker.patch(path, json={"judgement": "negative"}), 428)
    with room.unchanged():
        ok(second.patch(path, headers=match(changed), json={"judgement": "positive"}))
        problem(second.patch(path, headers=match(changed), json={"judgement": None}), 422)
        problem(second.patch(path, headers=match(changed), json={"relation": "supports"}), 422)
    entries = room.get("/v1/changes", resource_id=link["id"])["data"]
    assert [entry["difference"]["judgement"] for entry in entries] == [
        {"old": None, "new": "unsure"},
        {"old": "unsure", "new": "positive"},
    ]


@pytest.mark.parametrize("relation", ["contradicts", "repeats"])
def test_a_pair_without_a_direction_is_judged_once(room: Newsroom, relation: str) -> None:
    one, other = two(room)
    link = ok(judge(room, other, one, relation, "negative"))
    assert (link["claim"]["id"], link["other"]["id"]) == (one["id"], other["id"]), "the older one first"
    for pair in ((one, other), (other, one)):
        assert problem(judge(room, *pair, relation, "unsure"), 409, "conflict")["existing"] == link["id"]
    ok(judge(room, one, other, "supports", "negative"))
    ok(judge(room, other, one, "supports", "negative"))
    assert len(links(room, one)) == 3
    assert [each["relation"] for each in links(room, one, relation=relation)] == [relation]


def test_two_who_judge_at_once_make_one_link(room: Newsroom) -> None:
    one, other = two(room)
    pairs = [(one, other), (other, one)] * 4
    client = room.checker
    with ThreadPoolExecutor(8) as judges:
        answers = list(
            judges.map(lambda pair: judge(room, pair[0], pair[1], "contradicts", by=client), pairs)
        )
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 7]
    assert len(links(room, one)) == 1


def test_links_are_listed_by_page_and_filtered(room: Newsroom) -> None:
    one = room.claim(AGREED)
    others = [room.claim(f"Another {n}.") for n in range(5)]
    judgements = ["positive", "negative", "unsure", "positive", "negative"]
    made = [
        ok(judge(room, other, one, "supports", judgement))["id"]
        for other, judgement in zip(others, judgements, strict=True)
    ]
    page = room.get(f"/v1/claims/{one['id']}/links", limit=2)
    rest = room.get(f"/v1/claims/{one['id']}/links", limit=5, cursor=page["next_cursor"], order="desc")
    assert [each["id"] for each in page["data"] + rest["data"]] == made[::-1]
    assert [each["id"] for each in links(room, one, judgement=["unsure", "negative"], order="asc")] == [
        made[1],
        made[2],
        made[4],
    ]
    assert links(room, one, relation="contradicts") == []
    with room.queries() as few:
        links(room, one, limit=1)
    with room.queries() as many:
        assert len(links(room, one)) == 5
    assert len(few) == len(many)


def test_what_is_no_link_is_refused_and_says_why(room: Newsroom) -> None:
    one, other = two(room)
    with room.unchanged():
        itself = problem(judge(room, one, one, "contradicts"), 422)
        assert itself["errors"] == [{"pointer": "/other", "detail": "is this claim itself"}]
        for wrong in ({"id": "clm_none"}, {"id": other["speakers"][0]["id"]}):
            assert problem(judge(room, one, wrong, "supports"), 422)["errors"][0]["pointer"] == "/other"
        problem(judge(room, {"id": "clm_none"}, one, "supports"), 404)
        for field, value in (("relation", "resembles"), ("judgement", "perhaps"), ("note", " ")):
            body = {"other": other["id"], "relation": "supports", "judgement": "positive", field: value}
            refused = problem(room.checker.post(f"/v1/claims/{one['id']}/links", json=body), 422)
            assert refused["errors"][0]["pointer"] == f"/{field}"
        repeat = problem(judge(room, one, other, "repeats"), 422)
        assert "PATCH /v1/claims/{id}" in repeat["errors"][0]["detail"]
        for role in ("reporter", "reader"):
            problem(judge(room, one, other, "supports", by=getattr(room, role)), 403)
    link = ok(judge(room, one, other, "supports"))
    third = room.claim("A third.")
    problem(room.anyone.get(f"/v1/claims/{third['id']}/links/{link['id']}"), 404)
    path = f"/v1/claims/{third['id']}/links/{link['id']}"
    problem(room.checker.patch(path, headers=match(link), json={"judgement": "negative"}), 404)


def test_a_claim_does_not_both_support_and_contradict_another(room: Newsroom) -> None:
    one, other = two(room)
    link = ok(judge(room, one, other, "supports"))
    against = problem(judge(room, other, one, "contradicts"), 409, "conflict")
    assert against["existing"] == link["id"]
    doubt = ok(judge(room, other, one, "contradicts", "unsure"))
    path = f"/v1/claims/{one['id']}/links"
    sure = {"judgement": "positive"}
    problem(room.checker.patch(f"{path}/{doubt['id']}", headers=match(doubt), json=sure), 409)
    ok(room.checker.patch(f"{path}/{link['id']}", headers=match(link), json={"judgement": "negative"}))
    ok(room.checker.patch(f"{path}/{doubt['id']}", headers=match(doubt), json=sure))


def test_claims_of_which_one_repeats_the_other_are_not_linked(room: Newsroom) -> None:
    first = room.claim(AGREED)
    one, other = (room.claim(f"{AGREED} {n}", repeats=first["id"]) for n in "ab")
    for pair in ((first, one), (other, first), (one, other)):
        for relation, judgement in (
            ("contradicts", "positive"),
            ("supports", "positive"),
            ("repeats", "negative"),
        ):
            problem(judge(room, *pair, relation, judgement), 409, "conflict")
    assert links(room, first) == []


# --- suggestions -------------------------------------------------------------------------------


def test_claims_of_the_same_words_are_suggested_with_why(room: Newsroom) -> None:
    for n in range(5):
        room.claim(f"Trade has grown by a record in month {n}.")
    one = room.claim(AGREED)
    room.entity("Xi Jinping")
    same = room.claim("Mongolia gave consent to Power of Siberia, the pipeline.", speakers=["xi-jinping"])
    again = room.claim("To the pipeline Power of Siberia Mongolia has given its consent.")
    first, second = suggestions(room, one)
    assert [each["claim"]["id"] for each in (first, second)] == [again["id"], same["id"]]
    assert {each["relation"] for each in (first, second)} == {"repeats"}
    assert [reason["kind"] for reason in first["reasons"]] == ["words", "speaker"]
    assert [reason["kind"] for reason in second["reasons"]] == ["words"]
    for each in (first, second):
        assert each["score"] == sum(reason["points"] for reason in each["reasons"])
        assert {"mongolia", "consent"} <= set(each["reasons"][0]["detail"].replace(",", "").split())
        assert each["link"] is None
    assert second["claim"]["speakers"][0]["name"] == "Xi Jinping"
    assert set(suggested(room, same)) == {one["id"], again["id"]}
    assert suggestions(room, one, relation="contradicts") == []
    problem(room.anyone.get("/v1/claims/clm_none/suggestions"), 404)


def test_any_script_has_words_and_a_text_may_have_none(room: Newsroom) -> None:
    room.claim("Trade has grown by a record.")
    one, same = room.claim("蒙古国已经同意西伯利亚力量管道。"), room.claim("西伯利亚力量管道：蒙古国同意。")
    assert suggested(room, one) == {same["id"]: "repeats"}
    assert suggestions(room, room.claim("…!")) == []
    room.claim("Trade has grown by a record.", said="2023")
    long = room.claim(" ".join(f"word{n}" for n in range(2000)))
    assert suggestions(room, long) == []


def gas(value: str, **more: Any) -> list[Json]:
    figure = {"measure": "gas to China", "value": value, "unit": "bcm", "period": "2022", "about": ["russia"]}
    return [{**figure, **more}]


@pytest.fixture
def desk(room: Newsroom) -> Newsroom:
    room.entity("Russia", "country")
    room.entity("Norway", "country")
    return room


def test_other_figures_of_the_same_contradict_and_the_same_figures_support(desk: Newsroom) -> None:
    one = desk.claim("Deliveries came to fifteen.", figures=gas("15"))
    differs = desk.claim("They were hardly more than last year.", figures=gas("12000000000", unit="m3"))
    agrees = desk.claim("Pipelines worked at full load.", figures=gas("15000000000", unit="m3"))
    allows = desk.claim("No less than promised.", figures=gas("14", comparator="ge"))
    others: list[Json] = [{"period": "2023"}, {"about": ["norway"]}, {"unit": "t"}, {"kind": "forecast"},
                          {"measure": "gas to Turkey"}, {"period": None}]  # fmt: skip
    for n, more in enumerate(others):
        desk.claim(f"Elsewhere {n}.", figures=gas("1", **more))
    assert suggested(desk, one) == {
        differs["id"]: "contradicts",
        agrees["id"]: "supports",
        allows["id"]: "supports",
    }
    [first, *_] = suggestions(desk, one)
    [reason, _] = first["reasons"]
    assert (reason["kind"], reason["points"]) == ("figure", 60)
    assert reason["figures"] == [one["figures"][0]["id"], differs["figures"][0]["id"]]
    assert reason["detail"].startswith("gas to China, 2022 differs: 15")
    alike = desk.claim("Deliveries came to fifteen!", figures=gas("15"))
    assert suggested(desk, one)[alike["id"]] == "repeats"


def test_what_was_judged_does_not_come_back(desk: Newsroom) -> None:
    one = desk.claim("Deliveries came to fifteen.", figures=gas("15"))
    differs = desk.claim("Twelve, said the ministry.", figures=gas("12"))
    again = desk.claim("Deliveries came to fifteen!", figures=gas("15"))
    same = desk.claim("They came to fifteen, the deliveries.")
    agrees = desk.claim("Pipelines worked at full load.", figures=gas("15"))
    ok(judge(desk, differs, one, "contradicts"))
    ok(judge(desk, again, one, "repeats", "negative"))
    ok(judge(desk, one, same, "repeats", "negative"))
    doubt = ok(judge(desk, agrees, one, "supports", "unsure"))
    assert suggested(desk, one) == {again["id"]: "supports"}, "which was not asked yet"
    ok(judge(desk, again, one, "supports", "positive"))
    assert suggested(desk, one) == suggested(desk, one, relation="repeats") == {}
    for other in (differs, again, same, agrees):
        assert one["id"] not in suggested(desk, other)
    assert suggested(desk, one, include="unsure") == {agrees["id"]: "supports"}
    [unsure] = suggestions(desk, one, include="unsure")
    assert unsure["link"] == doubt["id"]
    problem(desk.anyone.get(f"/v1/claims/{one['id']}/suggestions?include=negative"), 422)


def test_of_claims_that_repeat_one_another_one_is_suggested_and_judged(room: Newsroom) -> None:
    for n in range(5):
        room.claim(f"Trade has grown by a record in month {n}.")
    one, first = room.claim(AGREED), room.claim("Consent was given by Mongolia to Power of Siberia.")
    own = room.claim(f"Indeed: {AGREED}", repeats=one["id"])
    theirs = room.claim(f"{AGREED} So it was said.", repeats=first["id"])
    assert suggested(room, one) == {theirs["id"]: "repeats"}, "the closest of them"
    assert suggested(room, own) == {theirs["id"]: "repeats"}
    assert set(suggested(room, first)) <= {one["id"], own["id"]}
    ok(judge(room, own, theirs, "repeats", "negative"))
    for each in (one, own, first, theirs):
        assert suggested(room, each) == {}, "whichever of them was judged"
    ok(room.editor.post(f"/v1/claims/{first['id']}/withdrawal", headers=match(first), json={"note": "No."}))
    assert suggested(room, one, include="unsure") == {}


def test_suggestions_come_by_page_the_best_first_or_last(room: Newsroom) -> None:
    one = room.claim(AGREED)
    for n in range(7):
        room.claim(AGREED.replace("its consent", " ".join(["consent", *["indeed"] * n])))
    for n in range(8):
        room.claim(f"Trade has grown by a record in month {n}.")
    whole = suggestions(room, one, limit=200)
    assert len(whole) == 7
    assert [each["score"] for each in whole] == sorted((each["score"] for each in whole), reverse=True)
    found: list[Json] = []
    cursor: dict[str, str] = {}
    while True:
        page = room.get(f"/v1/claims/{one['id']}/suggestions", limit=3, **cursor)
        found += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == whole
    assert suggestions(room, one, order="asc") == whole[::-1]


def test_suggestions_take_the_same_few_queries_however_many(seeded: Newsroom) -> None:
    for claim in seeded.get("/v1/claims", has_figure="true")["data"]:
        suggestions(seeded, claim)
        with seeded.queries() as sent:
            suggestions(seeded, claim)
        assert len(sent) <= 10
