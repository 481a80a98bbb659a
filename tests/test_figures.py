"""Figures: exact, in their plain unit, found across claims."""

import pytest

from tests.newsroom import Json, Newsroom, match, ok, problem

TRADE: Json = {
    "measure": "bilateral trade",
    "value": "190",
    "scale": "billion",
    "unit": "USD",
    "period": "2022",
}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"value": "98", "unit": "bcm"}, ("98000000000", "m3")),
        ({"value": 98, "scale": "billion", "unit": "m3"}, ("98000000000", "m3")),
        ({"value": "190000000000.123456789012", "unit": "USD"}, ("190000000000.123456789012", "USD")),
        ({"value": 0.1, "unit": "%"}, ("0.1", "%")),
        ({"value": "-4.50", "unit": "percent"}, ("-4.5", "%")),
        ({"value": "1e3", "unit": "t"}, ("1000", "t")),
        (
            {"value": "12345678901234567890.123456789012345678", "unit": "1"},
            ("12345678901234567890.123456789012345678", "1"),
        ),
    ],
)
def test_are_kept_exactly_in_their_plain_unit(room: Newsroom, given: Json, kept: tuple[str, str]) -> None:
    claim = room.claim(figures=[{"measure": "gas", **given}])
    [figure] = room.fresh(claim)["figures"]
    assert (figure["value"], figure["unit"]) == kept
    assert figure["value_number"] == float(kept[0])


def test_have_bounds_and_a_comparator(room: Newsroom) -> None:
    spread = {"measure": "dead", "lower": "10", "upper": "20", "comparator": "range", "unit": "people"}
    about = {
        "measure": "dead",
        "value": "15",
        "lower": "10",
        "upper": "20",
        "comparator": "approx",
        "unit": "people",
    }
    one, other = room.claim(figures=[spread, about])["figures"]
    assert (one["value"], one["value_number"], one["lower"], one["upper"]) == (None, None, "10", "20")
    assert (other["value"], other["comparator"], other["display"]) == ("15", "approx", "about 15 people")
    assert one["display"] == "10 to 20 people"


NO_FIGURES: list[Json] = [
    {"unit": "bcm"},
    {"value": "1"},
    {"value": "1", "unit": "furlong"},
    {"value": "1", "unit": "m3", "scale": "gazillion"},
    {"comparator": "range", "value": "1", "unit": "m3"},
    {"value": "5", "lower": "6", "unit": "m3"},
    {"value": "1" * 60, "unit": "m3"},
    {"value": "1" * 37, "scale": "trillion", "unit": "m3"},
    {"value": "0.1234567890123456789", "unit": "m3"},
    {"value": "NaN", "unit": "m3"},
    {"value": "Infinity", "unit": "m3"},
    {"value": True, "unit": "m3"},
    {"value": "1,5", "unit": "m3"},
    {"value": "1", "unit": "m3", "period": "2023-02-30"},
    {"value": "1", "unit": "m3", "kind": "guessed"},
    {"value": "1", "unit": "m3", "is_record": "yes"},
    {"id": "fig_00000000000000000000000000", "value": "1", "unit": "m3"},
]


def test_that_cannot_be_are_refused_where_they_are_wrong(room: Newsroom) -> None:
    room.claim()
    for wrong in NO_FIGURES:
        body = {
            "text": "x",
            "mode": "paraphrase",
            "speakers": ["vladimir-putin"],
            "figures": [{"measure": "gas", **wrong}],
        }
        with room.unchanged():
            refused = problem(room.reporter.post("/v1/claims", json=body), 422, "invalid")
        assert all(error["pointer"].startswith("/figures/0") for error in refused["errors"]), wrong


def test_are_found_across_claims_with_who_says_them(seeded: Newsroom) -> None:
    figures = seeded.get("/v1/figures")["data"]
    assert len(figures) == 5
    [gas] = seeded.get("/v1/figures", measure="natural gas supply", about="china", speaker="vladimir-putin")[
        "data"
    ]
    assert (gas["value"], gas["comparator"], gas["kind"], gas["period"]) == (
        "98000000000",
        "ge",
        "promised",
        "2023",
    )
    assert gas["condition"].startswith("Only if Power of Siberia 2")
    assert gas["claim"]["speakers"][0]["name"] == "Vladimir Putin"
    assert gas["verification"]["status"] == "unverified"
    [trade] = seeded.get("/v1/figures", unit="USD", is_record="true")["data"]
    assert (trade["value"], trade["kind"], trade["claim"]["mode"]) == (
        "190000000000",
        "reported",
        "own_voice",
    )
    assert seeded.get(f"/v1/figures/{trade['id']}") == trade | {"converted": None}
    assert seeded.get("/v1/figures", source=seeded.get("/v1/sources")["data"][0]["url"])["data"] == figures
    with seeded.queries() as few:
        seeded.get("/v1/figures", limit=1)
    with seeded.queries() as many:
        seeded.get("/v1/figures", limit=100)
    assert len(few) == len(many)


def test_are_filtered_by_the_period_that_they_cover(room: Newsroom) -> None:
    for period in ("2022", "2023-02", None):
        room.claim(figures=[{**TRADE, "measure": str(period), "period": period}])

    def measured(**query: str) -> list[str]:
        return [figure["measure"] for figure in room.get("/v1/figures", **query)["data"]]

    assert measured(period_from="2023") == ["2023-02"]
    assert measured(period_to="2022-12-31") == ["2022"]
    assert measured(period_from="2022-06", period_to="2023") == ["2023-02", "2022"]


def test_keep_their_id_when_the_claim_is_revised(room: Newsroom) -> None:
    claim = room.claim(figures=[TRADE])
    [figure] = claim["figures"]
    path = f"/v1/claims/{claim['id']}"
    known = {**TRADE, "id": figure["id"], "value": "195"}
    changed = ok(room.reporter.patch(path, headers=match(claim), json={"figures": [known, TRADE]}))
    first, second = changed["figures"]
    assert (first["id"], first["value"]) == (figure["id"], "195000000000")
    assert second["id"] != figure["id"]
    twice = room.reporter.patch(path, headers=match(changed), json={"figures": [known, known]})
    assert problem(twice, 422)["errors"][0]["pointer"].startswith("/figures/")


def test_an_id_of_another_noun_says_so(seeded: Newsroom) -> None:
    claim = seeded.get("/v1/claims", limit=1)["data"][0]
    assert "id of a claim" in problem(seeded.anyone.get(f"/v1/figures/{claim['id']}"), 404)["detail"]
    problem(seeded.anyone.get("/v1/figures/fig_00000000000000000000000000"), 404)
