"""Claims: stated, looked up in their sources, revised, and found."""

from collections.abc import Callable
from itertools import combinations, cycle
from typing import Any

import pytest

from tests.newsroom import Json, Newsroom, match, ok, problem

TEXT = (
    "Mr. Novak spoke on Tuesday. “The companies have been given orders to work out the details,” he told "
    "reporters. “We hope it’ll be this year.” The pipeline\n\nwould carry gas."
)


@pytest.fixture
def article(room: Newsroom) -> Json:
    """A source with its text."""
    source = room.source()
    ok(room.reporter.post(f"/v1/sources/{source['id']}/snapshots", json={"text": TEXT}))
    return source


def state(room: Newsroom, **more: Any) -> Any:
    body = {"text": "We hope.", "mode": "direct_quote", "speakers": ["vladimir-putin"], **more}
    return room.reporter.post("/v1/claims", json=body)


def test_show_all_that_was_stated(room: Newsroom) -> None:
    for name, kind in (("Xi Jinping", "person"), ("RFE/RL", "organization"), ("China", "country")):
        room.entity(name, kind)
    speakers = [{"entity": "vladimir-putin", "title": "President of Russia"}, {"entity": "xi-jinping"}]
    claim = room.claim(
        "Отношения вступили в новую эпоху.",
        speakers=speakers,
        relayed_by="rfe-rl",
        about=["china"],
        kind="promise",
        language="ru",
        said="2023-03-21",
        occasion="Talks",
        place="Moscow",
        context="After dinner.",
        topics=["diplomacy", "energy"],
        original_text="新时代",
        original_language="zh",
        due="2024-12-31",
    )
    assert [(s["slug"], s["title"]) for s in claim["speakers"]] == [
        ("vladimir-putin", "President of Russia"),
        ("xi-jinping", None),
    ]
    assert claim["relayed_by"]["name"] == "RFE/RL"
    assert [each["slug"] for each in claim["about"]] == ["china"]
    assert (claim["text"], claim["original_text"]) == ("Отношения вступили в новую эпоху.", "新时代")
    assert (claim["said"], claim["due"], claim["topics"]) == (
        "2023-03-21",
        "2024-12-31",
        ["diplomacy", "energy"],
    )
    assert claim["verification"] == {
        "status": "unverified",
        "verdict": None,
        "attribution": "unconfirmed",
        "agreement": None,
        "attribution_agreement": None,
        "assignee": None,
        "lease_expires_at": None,
        "reviewed_at": None,
        "note": None,
        "correction": None,
    }
    assert room.fresh(claim) == claim
    assert room.get("/v1/claims", speaker="xi-jinping")["data"] == [claim]


# --- quotes ------------------------------------------------------------------------------------


def test_a_quote_is_found_in_its_segments(room: Newsroom, article: Json) -> None:
    segments = [
        {"exact": "The companies have been given orders to work out the details"},
        {"exact": "We hope it’ll be this year."},
    ]
    text = "The companies have been given orders to work out the details. We hope it’ll be this year."
    claim = room.claim(
        text, mode="direct_quote", appearances=[{"source": article["url"], "anchors": segments}]
    )
    [appearance] = claim["appearances"]
    for anchor in appearance["anchors"]:
        assert anchor["state"] == "exact"
        assert TEXT[anchor["start"] : anchor["end"]] == anchor["exact"]
        assert TEXT.startswith(anchor["suffix"], anchor["end"])
    assert appearance["snapshot"].startswith("snp_")


def test_a_quote_set_with_other_marks_is_found_all_the_same(room: Newsroom, article: Json) -> None:
    claim = room.claim(
        "We hope it'll be this year.", mode="direct_quote", appearances=[{"source": article["id"]}]
    )
    [anchor] = claim["appearances"][0]["anchors"]
    assert anchor["state"] == "normalised"
    assert TEXT[anchor["start"] : anchor["end"]] == "We hope it’ll be this year."


@pytest.mark.parametrize(
    "quote", ["We hope it'll be next year.", "The companies have been given orders to halt"]
)
def test_a_quote_that_is_not_there_is_refused_with_the_nearest_passage(
    room: Newsroom, article: Json, quote: str
) -> None:
    room.entity()
    with room.unchanged():
        refused = problem(state(room, text=quote, appearances=[{"source": article["id"]}]), 422)
    assert refused["errors"][0]["pointer"] == "/text"
    assert refused["nearest_passage"] in TEXT
    assert refused["nearest_passage"] in refused["detail"]


def test_a_part_in_quotation_marks_must_be_there_too(room: Newsroom, article: Json) -> None:
    room.claim()
    printed = [{"source": article["id"], "anchors": [{"exact": "work out the details"}]}]
    ok(
        state(
            room, text="They were told to “work out the details”.", mode="partial_quote", appearances=printed
        )
    )
    printed[0]["anchors"] = [{"exact": "sign at once"}]
    refused = problem(state(room, text="Do “sign at once”.", mode="partial_quote", appearances=printed), 422)
    assert refused["errors"][0]["pointer"] == "/appearances/0/anchors/0"


def test_the_segments_of_a_direct_quote_are_its_words(room: Newsroom, article: Json) -> None:
    printed = [{"source": article["id"], "anchors": [{"exact": "The companies have been given orders"}]}]
    room.claim()
    refused = state(room, text="We hope it'll be this year.", mode="direct_quote", appearances=printed)
    assert problem(refused, 422)["errors"][0]["pointer"] == "/appearances/0/anchors"


def test_a_paraphrase_whose_passage_is_gone_is_kept_and_marked(room: Newsroom, article: Json) -> None:
    printed = [{"source": article["id"], "anchors": [{"exact": "a sentence that was taken out of the page"}]}]
    claim = room.claim("Gas would flow.", appearances=printed)
    assert claim["appearances"][0]["anchors"][0]["state"] == "orphaned"


@pytest.mark.parametrize(
    "anchor",
    [
        {"exact": "Novak", "start": 10, "end": 5},
        {"exact": "Novak", "start": -1},
        {"exact": ""},
        {"exact": "Novak", "start": 0, "end": 10_000},
        {"exact": "Novak", "start": 10_000},
        {"exact": "Novak", "start": 4.5},
        {"exact": "Novak", "start": True},
    ],
)
def test_an_anchor_outside_its_text_is_refused(room: Newsroom, article: Json, anchor: Json) -> None:
    room.claim()
    printed = [{"source": article["id"], "anchors": [anchor]}]
    problem(state(room, text="Novak", mode="partial_quote", appearances=printed), 422)


# --- revising ----------------------------------------------------------------------------------


def test_a_patch_keeps_what_it_does_not_name(room: Newsroom, article: Json) -> None:
    figure = {"measure": "gas", "value": "98", "unit": "bcm"}
    printed = [{"source": article["id"], "anchors": [{"exact": "would carry gas"}]}]
    claim = room.claim(topics=["energy"], figures=[figure], appearances=printed, context="Said in Moscow.")
    path = f"/v1/claims/{claim['id']}"
    changed = ok(room.reporter.patch(path, headers=match(claim), json={"topics": ["trade"], "context": None}))
    assert (changed["topics"], changed["context"], changed["version"]) == (["trade"], None, 2)
    for field in ("text", "speakers", "appearances", "figures", "created_at"):
        assert changed[field] == claim[field]
    [entry, _] = room.get(f"{path}/history")["data"]
    assert entry["difference"].keys() == {"topics", "context"}


def test_a_changed_quote_is_looked_up_again(room: Newsroom, article: Json) -> None:
    claim = room.claim(
        "We hope it’ll be this year.", mode="direct_quote", appearances=[{"source": article["id"]}]
    )
    path = f"/v1/claims/{claim['id']}"
    wrong = room.reporter.patch(path, headers=match(claim), json={"text": "We hope it’ll be next year."})
    problem(wrong, 422)
    right = {"text": "The companies", "appearances": [{"source": article["id"]}]}
    changed = ok(room.reporter.patch(path, headers=match(claim), json=right))
    assert changed["appearances"][0]["anchors"][0]["start"] == TEXT.index("The companies")


def test_what_a_checker_has_taken_only_an_editor_may_change(room: Newsroom) -> None:
    claim = room.take(room.claim())
    path = f"/v1/claims/{claim['id']}"
    problem(room.reporter.patch(path, headers=match(claim), json={"text": "Other words."}), 403)
    assert ok(room.editor.patch(path, headers=match(claim), json={"text": "Other words."}))["version"] == 3


def test_a_quote_that_a_text_has_refuted_does_not_stand_in_the_way_of_the_rest(room: Newsroom) -> None:
    source = room.source()
    claim = room.claim("It is all agreed.", mode="direct_quote", appearances=[{"source": source["id"]}])
    ok(room.reporter.post(f"/v1/sources/{source['id']}/snapshots", json={"text": TEXT}))
    claim = room.fresh(claim)
    assert claim["appearances"][0]["anchors"][0]["state"] == "orphaned"
    path = f"/v1/claims/{claim['id']}"
    changed = ok(room.reporter.patch(path, headers=match(claim), json={"topics": ["energy"]}))
    assert (changed["topics"], changed["appearances"]) == (["energy"], claim["appearances"])
    problem(room.reporter.patch(path, headers=match(changed), json={"text": "It is agreed."}), 422)


@pytest.mark.parametrize(
    "field", ["text", "mode", "kind", "speakers", "about", "topics", "appearances", "figures"]
)
def test_null_is_no_value_for_what_a_claim_always_has(room: Newsroom, field: str) -> None:
    claim = room.claim(topics=["energy"])
    answer = room.reporter.patch(f"/v1/claims/{claim['id']}", headers=match(claim), json={field: None})
    if field in ("text", "mode", "speakers"):
        problem(answer, 422)
    else:  # back to what it is when nothing is said
        assert ok(answer)[field] in ([], "fact")


# --- finding -----------------------------------------------------------------------------------


def found(room: Newsroom, **query: Any) -> list[str]:
    return [claim["text"] for claim in room.get("/v1/claims", **query)["data"]]


def test_are_filtered_by_all_that_they_have(seeded: Newsroom) -> None:
    everything = seeded.get("/v1/claims", limit=200)["data"]
    assert len(everything) == 33
    filters: list[tuple[str, str, Callable[[Json], bool]]] = [
        ("mode", "direct_quote", lambda claim: claim["mode"] == "direct_quote"),
        ("kind", "promise", lambda claim: claim["kind"] == "promise"),
        ("topic", "energy", lambda claim: "energy" in claim["topics"]),
        ("has_figure", "true", lambda claim: bool(claim["figures"])),
        ("status", "unverified", lambda claim: claim["verification"]["status"] == "unverified"),
        ("attribution", "unconfirmed", lambda claim: claim["verification"]["attribution"] == "unconfirmed"),
    ]
    for name, value, wanted in filters:
        chosen = {claim["id"] for claim in seeded.get("/v1/claims", limit=200, **{name: value})["data"]}
        assert chosen == {claim["id"] for claim in everything if wanted(claim)}, name
        assert len(chosen) > 0
    assert len(found(seeded, has_figure="true")) == 5
    assert len(found(seeded, has_figure="false", limit=200)) == 28
    assert len(found(seeded, mode=["direct_quote", "partial_quote"], limit=200)) == 11
    assert len(found(seeded, publisher="rfe-rl", limit=200)) == 33
    assert found(seeded, verdict="false") == found(seeded, due_before="2023-12-31") == []
    assert len(found(seeded, due_before="2024-01-01")) == 2


def test_are_filtered_by_dates_that_are_uncertain(room: Newsroom) -> None:
    for said in ("2023-03-21", "2023-02", "2022", "2023-03-20/2023-03-22", "../2023-03-19", None):
        room.claim(str(said), said=said)
    assert set(found(room, said_from="2023-03-20")) == {"2023-03-21", "2023-03-20/2023-03-22"}
    assert set(found(room, said_to="2022-06")) == {"2022", "../2023-03-19"}
    assert set(found(room, said_from="2023-02-10", said_to="2023-02-11")) == {"2023-02", "../2023-03-19"}
    assert found(room)[:2] == ["2023-03-20/2023-03-22", "2023-03-21"]
    assert found(room)[-1] == "None"


def test_are_sorted_by_when_they_were_reviewed(room: Newsroom) -> None:
    first, second, _ = room.claim("First."), room.claim("Second."), room.claim("Third.")
    room.take(first)
    room.review(first)
    room.take(second)
    room.review(second)
    assert found(room, sort="reviewed", status="reviewed") == ["Second.", "First."]
    assert found(room, sort="created", order="asc") == ["First.", "Second.", "Third."]


def test_a_page_of_them_takes_the_same_number_of_queries_however_long(seeded: Newsroom) -> None:
    with seeded.queries() as first:
        seeded.get("/v1/claims", limit=200, said_from="1900")
    with seeded.queries() as other:
        seeded.get("/v1/claims", limit=1, said_from="1900")
    assert 1 <= len(other) <= 3, "one reads, the others begin"
    assert len(first) == len(other) + 2, "the names of entities and of sources are kept"


@pytest.mark.parametrize(
    "query", [{}, {"speaker": "vladimir-putin"}, {"topic": "energy", "status": "unverified"}]
)
def test_a_page_asked_for_again_is_the_same_and_a_changed_one_is_not(
    seeded: Newsroom, query: dict[str, str]
) -> None:
    first, again = (seeded.anyone.get("/v1/claims", params=query) for _ in range(2))
    assert (first.headers["etag"], first.content) == (again.headers["etag"], again.content)
    assert (
        seeded.anyone.get(
            "/v1/claims", params=query, headers={"If-None-Match": again.headers["etag"]}
        ).status_code
        == 304
    )
    seeded.claim("A new one.", topics=["energy"], said="2026-01-01")
    assert seeded.get("/v1/claims", **query)["data"][0]["text"] == "A new one."
    entity = seeded.get("/v1/entities/vladimir-putin")
    ok(seeded.reporter.patch("/v1/entities/vladimir-putin", json={"name": "V. Putin"}, headers=match(entity)))
    assert seeded.get("/v1/claims", **query)["data"][0]["speakers"][0]["name"] == "V. Putin"


FACETS = {
    "speaker": ["vladimir-putin", "xi-jinping"],
    "about": ["russia", "china", "power-of-siberia-2"],
    "topic": ["energy", "trade"],
    "publisher": ["rfe-rl"],
}


MORE: list[dict[str, Any]] = [{}, {"status": "unverified"}, {"mode": ["paraphrase", "direct_quote"]}]


def under(claim: Json, name: str) -> set[str]:
    """What a claim is listed under."""
    match name:
        case "topic":
            return set(claim["topics"])
        case "publisher":
            return {a["source"]["publisher"]["slug"] for a in claim["appearances"]}
        case _:
            return {entity["slug"] for entity in claim["speakers" if name == "speaker" else name]}


def test_a_page_by_what_they_are_listed_under_is_what_the_whole_list_has_of_it(seeded: Newsroom) -> None:
    """Every set of facets is walked in both orders, and so is every further filter: by turns."""
    everything = seeded.get("/v1/claims", limit=200)["data"]
    orders = cycle(("desc", "asc"))
    for names in (*combinations(FACETS, 1), *combinations(FACETS, 2)):
        for more in MORE:
            wanted = [
                claim["id"]
                for claim in everything
                if all(under(claim, name) & set(FACETS[name]) for name in names)
                and claim["mode"] in more.get("mode", [claim["mode"]])
            ]
            order = next(orders)
            asked = {name: FACETS[name] for name in names} | more | {"order": order, "limit": 5}
            page = seeded.get("/v1/claims", **asked)
            met = [claim["id"] for claim in page["data"]]
            while page["next_cursor"]:
                page = seeded.get("/v1/claims", **asked, cursor=page["next_cursor"])
                met += [claim["id"] for claim in page["data"]]
            assert met == (wanted if order == "desc" else wanted[::-1]), asked
