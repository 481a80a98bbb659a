"""The seed: complete, in its own words, and brought in once."""

import json
import unicodedata
from collections import Counter
from typing import Any

from app.exchange.records import bring_in
from tests.newsroom import SEED, TESTS, Newsroom


def records(name: str) -> list[Any]:
    return [json.loads(line) for line in (SEED / f"{name}.ndjson").read_text().splitlines()]


def test_holds_all_that_was_read_in_the_article() -> None:
    claims = {claim["ref"]: claim for claim in records("claims")}
    statements = [f"q{n:02}" for n in range(1, 24)]
    assertions = [f"a{n:02}" for n in range(1, 10)]
    assert sorted(claims) == sorted([*statements, *assertions, "f01"])
    modes = Counter(claims[ref]["mode"] for ref in statements)
    assert modes == {"direct_quote": 4, "partial_quote": 7, "paraphrase": 12}
    assert {claims[ref]["mode"] for ref in (*assertions, "f01")} == {"own_voice"}
    segments = [a for ref in statements for a in claims[ref]["appearances"][0]["anchors"]]
    quoted = [ref for ref in statements if "quote" in claims[ref]["mode"]]
    in_quotes = [a for ref in quoted for a in claims[ref]["appearances"][0]["anchors"]]
    assert (len(segments), len(in_quotes)) == (25, 13)
    passages = {e["anchor"]["start"] for claim in claims.values() for e in claim.get("evidence", [])}
    assert len(passages) == 15
    assert len(records("entities")) == 46


def test_has_the_five_figures_worth_checking() -> None:
    figures = [(c, f) for c in records("claims") for f in c.get("figures", [])]
    assert len(figures) == 5
    gas = next(f for _, f in figures if f["measure"] == "natural gas supply")
    assert (gas["value"], gas["scale"], gas["unit"], gas["comparator"]) == ("98", "billion", "m3", "ge")
    assert (gas["kind"], gas["period"]) == ("promised", "2023")
    assert "Power of Siberia 2" in gas["condition"]
    claim, trade = next((c, f) for c, f in figures if f["unit"] == "USD")
    assert (trade["value"], trade["scale"], trade["period"]) == ("190", "billion", "2022")
    assert trade["kind"] == "reported"
    assert trade["is_record"] is True
    assert [speaker["entity"] for speaker in claim["speakers"]] == ["rfe-rl"]


def test_repeats_no_more_of_the_article_than_its_quotes() -> None:
    """The text is RFE/RL's: only its hash, and the passages that claims and evidence rest on, are here."""
    [source] = records("sources")
    assert source["snapshot"]["text_withheld"] is True
    assert "text" not in source["snapshot"]
    covered = {
        place
        for claim in records("claims")
        for anchor in [
            *(a for appearance in claim["appearances"] for a in appearance["anchors"]),
            *(item["anchor"] for item in claim.get("evidence", [])),
        ]
        for place in range(anchor["start"], anchor["end"])
    }
    assert len(covered) < source["snapshot"]["length"] / 2


def test_names_people_and_countries_in_their_own_scripts() -> None:
    entities = {entity["slug"]: entity for entity in records("entities")}
    names = {slug: {a["name"] for a in entity.get("aliases", [])} for slug, entity in entities.items()}
    assert {"Владимир Путин", "Путин"} <= names["vladimir-putin"]
    assert "习近平" in names["xi-jinping"]
    assert {"中国", "Китай", "Beijing"} <= names["china"]
    assert not names["power-of-siberia"] & names["power-of-siberia-2"]
    for aliases in names.values():
        for name in aliases:
            assert name == unicodedata.normalize("NFC", name).strip()


def test_changes_nothing_when_it_is_brought_in_again(seeded: Newsroom) -> None:
    with seeded.unchanged(), seeded.db.write() as session:
        again = bring_in(session, SEED, by=TESTS)
    assert again == {("entity", "unchanged"): 46, ("source", "unchanged"): 1, ("claim", "unchanged"): 33}


def test_answers_what_putin_claims_of_the_pipeline(seeded: Newsroom) -> None:
    found = seeded.get("/v1/claims", speaker="vladimir-putin", about="power-of-siberia-2")["data"]
    with seeded.queries() as sent:
        seeded.get("/v1/claims", speaker="vladimir-putin", about="power-of-siberia-2")
    assert len(found) >= 3
    for claim in found:
        [appearance] = claim["appearances"]
        assert {speaker["title"] for speaker in claim["speakers"]} == {"President of Russia"}
        assert claim["said"] == "2023-03-21"
        assert appearance["source"]["title"] == "What Did The Xi-Putin Meeting In Moscow Achieve?"
        assert appearance["anchors"][0]["end"] > appearance["anchors"][0]["start"]
        assert claim["verification"]["status"] == "unverified"
    [gas] = [figure for claim in found for figure in claim["figures"]]
    assert (gas["value"], gas["unit"], gas["comparator"]) == ("98000000000", "m3", "ge")
    with seeded.queries() as sent_for_one:
        seeded.get("/v1/claims", speaker="vladimir-putin", about="power-of-siberia-2", limit=1)
    assert len(sent) == len(sent_for_one)
