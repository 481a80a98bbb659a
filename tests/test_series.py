"""Figures compared: ranges and units over HTTP, and one measure over time."""

from typing import Any

import pytest
from sqlalchemy import text

from tests.newsroom import Json, Newsroom, match, ok, problem

PLACES = ("china", "russia", "mongolia")


def gas(value: Any = None, unit: str = "bcm", **more: Any) -> Json:
    return {"measure": "gas", "value": value, "unit": unit, "period": "2023", "about": ["china"], **more}


@pytest.fixture
def desk(room: Newsroom) -> Newsroom:
    for name in PLACES:
        room.entity(name.title(), "country", slug=name)
    return room


def stated(desk: Newsroom, *figures: Json, **more: Any) -> Json:
    return desk.claim(f"Said {desk.state()}.", figures=list(figures), **more)


def found(desk: Newsroom, **query: Any) -> list[str]:
    """The displays of what matches, oldest first."""
    return [figure["display"] for figure in desk.get("/v1/figures", order="asc", **query)["data"]]


# --- ranges ------------------------------------------------------------------------------------

STATED = {
    "98": gas("98"),
    "at least 98": gas("98", comparator="ge"),
    "over 98": gas("98", comparator="gt"),
    "at most 98": gas("98", comparator="le"),
    "under 98": gas("98", comparator="lt"),
    "about 98": gas("98", comparator="approx"),
    "about 98, 95 to 101": gas("98", comparator="approx", lower="95", upper="101"),
    "95 to 101": gas(None, comparator="range", lower="95", upper="101"),
    "98 km3": gas("98", "km3"),
    "98 bn USD": gas("98", "USD", scale="billion"),
}
AT, UP, DOWN = {"98", "about 98", "98 km3"}, {"at least 98", "over 98"}, {"at most 98", "under 98"}
WIDE = {"about 98, 95 to 101", "95 to 101"}
RANGES = [
    ({"min": "98 bcm"}, AT | UP | WIDE | {"at most 98"}),
    ({"min": "98000000000 m3"}, AT | UP | WIDE | {"at most 98"}),
    ({"min": "98000000000.000000000000000001 m3"}, UP | WIDE),
    ({"min": "97999999999.999999999999999999 m3"}, AT | UP | DOWN | WIDE),
    ({"max": "98bcm"}, AT | DOWN | WIDE | {"at least 98"}),
    ({"max": "97999999999.999999999999999999 m3"}, DOWN | WIDE),
    ({"min": "98 km3", "max": "98 bcm"}, AT | WIDE | {"at least 98", "at most 98"}),
    ({"min": "101 km3"}, UP | WIDE),
    ({"min": "101.000001 km3"}, UP),
    ({"max": "95 bn m3"}, DOWN | WIDE),
    ({"max": "94.999 bn m3"}, DOWN),
    ({"min": "-5 m3", "max": "0 m3"}, DOWN),
    ({"min": "3 tcf"}, AT | UP | WIDE | DOWN),
    ({"max": "98", "unit": "bcm"}, AT | DOWN | WIDE | {"at least 98"}),
    ({"min": "90 bn", "unit": "m3"}, AT | UP | DOWN | WIDE),
    ({"min": "97 billion USD"}, {"98 bn USD"}),
    ({"min": "99 billion USD"}, set()),
    ({"min": "1 EUR"}, set()),
    ({"unit": "USD"}, {"98 bn USD"}),
    ({"dimension": "money"}, {"98 bn USD"}),
    ({"dimension": "volume", "measure": "gas"}, AT | UP | DOWN | WIDE),
    ({"dimension": "energy"}, set()),
    ({"min": "98 bcm", "dimension": "volume", "unit": "[cft_i]"}, AT | UP | WIDE | {"at most 98"}),
]


def test_a_range_finds_what_allows_a_number_of_it(desk: Newsroom) -> None:
    stated(desk, *({**figure, "display": name} for name, figure in STATED.items()))
    for query, names in RANGES:
        assert set(found(desk, **query)) == names, query


def test_a_range_that_most_figures_are_in_has_the_same_answer(
    desk: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for in the order of the list, not by an index."""
    stated(desk, *({**figure, "display": name} for name, figure in STATED.items()))
    monkeypatch.setattr("app.figures.store._MANY", 1)
    for query, names in RANGES:
        assert set(found(desk, **query)) == names, query


def test_a_range_is_exact_to_the_38th_digit(desk: Newsroom) -> None:
    low, high = "12345678901234567890.123456789012345678", "12345678901234567890.123456789012345679"
    for number in (low, high, f"-{low}", f"-{high}"):
        stated(desk, gas(number, "m3", display=number))
    assert found(desk, min=f"{high} m3") == [high]
    assert found(desk, max=f"-{high} m3") == [f"-{high}"]
    assert found(desk, min=f"{low} m3", max=f"{low} m3") == [low]
    assert found(desk, min=f"-{low} m3", max=f"{low} m3") == [low, f"-{low}"]
    figure = desk.get("/v1/figures", min=f"{high} m3", unit="L")["data"][0]
    assert figure["converted"]["value"] == "12345678901234567890123.456789012345679"


NO_RANGES = [
    ({"min": "90"}, "min", "needs a unit"),
    ({"max": "90 bn"}, "max", "needs a unit"),
    ({"min": "bcm"}, "min", "begins with a number"),
    ({"min": ""}, "min", "begins with a number"),
    ({"min": "90 bcmm"}, "min", "did you mean 'bcm'?"),
    ({"min": "90 usd"}, "min", "did you mean 'USD'?"),
    ({"min": "1,000 m3"}, "min", "not plain"),
    ({"min": "10 000 m3"}, "min", "not plain"),
    ({"min": "1e99 m3"}, "min", "38 digits"),
    ({"min": "0.0000000000000000001 m3"}, "min", "38 digits"),
    ({"min": "NaN m3"}, "min", "is not a unit"),
    ({"min": "9" * 28 + " billionn m3"}, "min", "not a unit"),
    ({"min": "9" * 101}, "min", "100"),
    ({"min": "91 bcm", "max": "90 bcm"}, "max", "less than min"),
    ({"min": "1 km3", "max": "35 bcf"}, "max", "less than min"),
    ({"min": "1 bcm", "max": "1 J"}, "max", "does not compare"),
    ({"min": "1 USD", "max": "2 EUR"}, "max", "does not compare"),
    ({"min": "1 %", "unit": "pp"}, "min", "does not compare"),
    ({"min": "1 people", "unit": "cases"}, "min", "does not compare"),
    ({"min": "1 bcm", "dimension": "energy"}, "min", "a unit of volume"),
    ({"unit": "m3", "dimension": "money"}, "unit", "a unit of volume"),
    ({"unit": "90 bcm"}, "unit", "a unit alone"),
    ({"unit": "billion"}, "unit", "a unit alone"),
    ({"unit": ""}, "unit", "a unit alone"),
    ({"unit": "furlong"}, "unit", "not a unit"),
    ({"dimension": "size"}, "dimension", "volume"),
]


def test_a_range_that_cannot_be_is_refused_where_it_is_wrong(desk: Newsroom) -> None:
    for query, pointer, says in NO_RANGES:
        with desk.unchanged():
            [fault] = problem(desk.anyone.get("/v1/figures", params=query), 422, "invalid")["errors"]
        assert fault["pointer"] == pointer, query
        assert says in fault["detail"], query


# --- conversion --------------------------------------------------------------------------------


def test_come_in_the_unit_that_is_asked_for(desk: Newsroom) -> None:
    stated(desk, gas("98"), gas(None, "km3", comparator="range", lower="1", upper="2"), gas("1", "USD"))
    plain, between = desk.get("/v1/figures", unit="bcm", order="asc")["data"]
    assert (plain["value"], plain["unit"]) == ("98000000000", "m3")
    assert plain["converted"] == {
        "unit": "bcm", "value": "98", "lower": None, "upper": None, "value_number": 98.0, "exact": True,
    }  # fmt: skip
    assert (between["unit"], between["converted"]["lower"], between["converted"]["upper"]) == (
        "km3",
        "1",
        "2",
    )
    feet = desk.get("/v1/figures", unit="[cft_i]", order="asc")["data"][0]["converted"]
    assert feet["value"] == "3460837338705.8818445429250146922574393"
    assert (feet["exact"], feet["value_number"]) == (False, 3460837338705.882)
    [paid] = desk.get("/v1/figures", unit="billion USD")["data"]
    assert paid["converted"]["value"] == "0.000000001"
    assert [f["converted"] for f in desk.get("/v1/figures")["data"]] == [None] * 3


# --- series ------------------------------------------------------------------------------------


def series(desk: Newsroom, **query: Any) -> Json:
    return desk.get("/v1/figures/series", **{"measure": "gas", **query})


def only_line(desk: Newsroom, **query: Any) -> Json:
    [line] = series(desk, **query)["lines"]
    found: Json = line
    return found


def test_is_one_measure_over_time_in_one_unit(desk: Newsroom) -> None:
    stated(desk, gas("3", period="2023"), said="2023-02")
    stated(desk, gas("2", "km3", period="2023"), said="2023-01")
    stated(desk, gas("1000", "m3", period="2022", is_record=True, condition="If it holds"), said="2024")
    stated(desk, gas("5", "m3", period=None))
    stated(desk, gas("5", period="2023", measure="oil"))
    line = only_line(desk, about="china")
    assert (line["unit"], line["dimension"], [each["slug"] for each in line["about"]]) == (
        "m3",
        "volume",
        ["china"],
    )
    assert [point["converted"]["value"] for point in line["points"]] == [
        "5",
        "1000",
        "2000000000",
        "3000000000",
    ]
    record = line["points"][1]
    assert (record["is_record"], record["condition"], record["claim"]["said"]) == (
        True,
        "If it holds",
        "2024",
    )
    assert record["verification"]["status"] == "unverified"
    in_bcm = only_line(desk, unit="bcm", period_from="2023", period_to="2023-12-31")
    assert [point["converted"]["value"] for point in in_bcm["points"]] == ["2", "3"]
    whole = series(desk)
    assert (whole["complete"], whole["note"], whole["measure"]) == (True, None, "gas")


def test_lines_are_not_mixed(desk: Newsroom) -> None:
    stated(desk, gas("1", "USD"), gas("2", "CNY"), gas("3", "bcm"), gas("4", "J"), gas("5", "km3"))
    stated(desk, gas("6", "USD", about=["russia", "china"]), gas("7", "USD", about=["china", "russia"]))
    lines = [
        (line["unit"], len(line["about"]), len(line["points"]), len(line["disagreements"]))
        for line in series(desk)["lines"]
    ]
    assert sorted(lines) == [
        ("CNY", 1, 1, 0),
        ("J", 1, 1, 0),
        ("USD", 1, 1, 0),
        ("USD", 2, 2, 1),
        ("km3", 1, 2, 1),
    ]
    assert len(series(desk, about=["china", "russia"])["lines"]) == 1
    assert series(desk, about="mongolia")["lines"] == []
    assert [line["unit"] for line in series(desk, unit="USD")["lines"]] == ["USD", "USD"]


def pairs(line: Json) -> set[tuple[str, str]]:
    """Who disagrees with whom, by display."""
    shown = {point["id"]: point["display"] for point in line["points"]}
    return {(p["display"], shown[other]) for p in line["points"] for other in p["disagrees_with"]}


def test_shows_who_disagrees_with_whom(desk: Newsroom) -> None:
    for name, figure in {
        "98": gas("98"),
        "98 again": gas("98", "km3"),
        "over 98": gas("98", comparator="gt"),
        "at least 98": gas("98", comparator="ge"),
        "90 to 97": gas(None, comparator="range", lower="90", upper="97", kind="estimated"),
        "promised": gas("50", kind="promised"),
        "promised too": gas("60", kind="promised"),
        "forecast": gas("70", kind="forecast"),
        "target": gas("80", kind="target"),
        "another year": gas("1", period="2024"),
        "no year": gas("2", period=None),
        "no year too": gas("3", period=None),
    }.items():
        stated(desk, {**figure, "display": name})
    line = only_line(desk)
    apart = {("98", "over 98"), ("98 again", "over 98"), ("promised", "promised too")}
    apart |= {("90 to 97", name) for name in ("98", "98 again", "over 98", "at least 98")}
    assert pairs(line) == apart | {pair[::-1] for pair in apart}
    shown = {point["id"]: point["display"] for point in line["points"]}
    assert [
        (d["period"], d["question"], {shown[i] for i in d["figures"]}) for d in line["disagreements"]
    ] == [
        ("2023", "actual", {"98", "98 again", "over 98", "at least 98", "90 to 97"}),
        ("2023", "promised", {"promised", "promised too"}),
    ]


def test_an_uncertain_year_is_the_same_year(desk: Newsroom) -> None:
    stated(desk, gas("1", period="2023"), gas("2", period="2023~"))
    assert len(only_line(desk)["disagreements"]) == 1


def test_a_repeat_and_a_withdrawn_claim_disagree_with_nothing(desk: Newsroom) -> None:
    first = stated(desk, gas("1"))
    stated(desk, gas("2"), repeats=first["id"])
    mistaken = stated(desk, gas("3"))
    assert len(only_line(desk)["disagreements"][0]["figures"]) == 2
    path = f"/v1/claims/{mistaken['id']}/withdrawal"
    ok(desk.editor.post(path, json={"note": "Stated by mistake."}, headers=match(mistaken)))
    for query, points in (({}, 2), ({"withdrawn": "include"}, 3)):
        line = only_line(desk, **query)
        assert (len(line["points"]), line["disagreements"], pairs(line)) == (points, [], set())


def test_follows_merged_subjects(desk: Newsroom) -> None:
    stated(desk, gas("1"), gas("2", about=["mongolia"]))
    assert len(series(desk)["lines"]) == 2
    loser = desk.get("/v1/entities/mongolia")
    ok(desk.editor.post("/v1/entities/mongolia/merge", json={"into": "china"}, headers=match(loser)))
    line = only_line(desk, about="mongolia")
    assert [each["slug"] for each in line["about"]] == ["china"]
    assert len(line["disagreements"]) == 1


def test_a_measure_that_is_none_meets_the_nearest(seeded: Newsroom) -> None:
    for wrong in ("Bilateral Trade", "bilateral trad"):
        answer = seeded.anyone.get("/v1/figures/series", params={"measure": wrong})
        [fault] = problem(answer, 422, "invalid")["errors"]
        assert fault["pointer"] == "measure"
        assert "did you mean 'bilateral trade'" in fault["detail"]
    for measure in ([], [""], ["x" * 501]):
        answer = seeded.anyone.get("/v1/figures/series", params={"measure": measure})
        [fault] = problem(answer, 422, "invalid")["errors"]
        assert fault["pointer"] == "measure"
    known = {"measure": "bilateral trade"}
    wrongs: list[tuple[Json, str]] = [
        ({"about": "chinaa"}, "about/0"),
        ({"unit": "furlong"}, "unit"),
        ({"unit": "5 USD"}, "unit"),
        ({"period_from": "2023-13"}, "period_from"),
        ({"period": "2023"}, "period"),
        ({"about": ["china"] * 11}, "about"),
    ]
    for query, pointer in wrongs:
        answer = seeded.anyone.get("/v1/figures/series", params={**known, **query})
        assert problem(answer, 422, "invalid")["errors"][0]["pointer"] == pointer


def test_takes_the_same_few_queries_however_long_it_is(desk: Newsroom) -> None:
    counts = []
    for _ in range(2):
        stated(desk, *(gas(str(n), period=str(2000 + n)) for n in range(1, 100)))
        series(desk, about="china", unit="km3")  # the names are at hand from here on
        with desk.queries() as sent:
            series(desk, about="china", unit="km3")
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 8


def test_says_so_where_it_is_cut_off(desk: Newsroom) -> None:
    for _ in range(6):
        stated(desk, *(gas(str(n), period=str(2000 + n)) for n in range(1, 101)))
    whole = series(desk)
    assert sum(len(line["points"]) for line in whole["lines"]) == 500
    assert (whole["complete"], "500" in whole["note"]) == (False, True)
    rest = series(desk, period_from="2084")
    assert (rest["complete"], len(rest["lines"][0]["points"])) == (True, 6 * 17)


# --- keys in the ledger's shadow ---------------------------------------------------------------


def test_a_revision_moves_a_figure_in_the_order(desk: Newsroom) -> None:
    claim = stated(desk, gas("1"))
    change = {"figures": [gas("100")]}
    ok(desk.reporter.patch(f"/v1/claims/{claim['id']}", json=change, headers=match(claim)))
    assert len(found(desk, min="99 bcm")) == 1
    assert found(desk, max="99 bcm") == []
    entries = desk.get(f"/v1/claims/{claim['id']}/history")["data"]
    assert "lowest" not in str(entries)


def test_a_figure_out_of_its_place_is_noticed(desk: Newsroom) -> None:
    [figure] = stated(desk, gas("1"))["figures"]
    with desk.db.write() as session:
        session.execute(text("UPDATE figures SET lowest = '0'"))
    assert desk.faults() == [f"figure {figure['id']}: does not stand where its value belongs"]
    desk.tampered = True
