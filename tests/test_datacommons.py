"""Data Commons' REST API v2: by Data Commons' own client, and what each part of it answers by itself."""

import contextlib
import io
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from datacommons_client import DataCommonsClient
from datacommons_client.utils.error_handling import (
    APIError,
    DCAuthenticationError,
    DCStatusError,
    InvalidDCInstanceError,
)

from app.base.times import span
from app.claims.model import FigureKind
from app.compat import variables
from app.compat.datacommons import PATH
from tests.newsroom import Json, Newsroom, SqliteBases, match, ok
from tests.served import environment, served

OBSERVATION, NODE, RESOLVE = (f"{PATH}/{name}" for name in ("observation", "node", "resolve"))
ALL = ["variable", "entity", "date", "value", "facet"]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def client_of(room: Newsroom, **more: Any) -> Any:
    return DataCommonsClient(url=f"{room.server.url}{PATH}", **more)


# --- Data Commons' client ----------------------------------------------------------------------


@pytest.fixture
def live(sqlite_bases: SqliteBases, tmp_path: Path) -> Iterator[str]:
    """A server in a process of its own, with the seed."""
    with (
        sqlite_bases.fresh(seeded=True) as base,
        served(environment(base), tmp_path / "log") as server,
    ):
        yield server.url.rstrip("/")


def test_the_lines_of_the_documentation_run(live: str, root: Path) -> None:
    text = (root / "docs/clients.md").read_text().partition("## Data Commons' client")[2]
    [lines] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    told, names = io.StringIO(), dict[str, Any]()
    with contextlib.redirect_stdout(told):
        exec(lines.replace("http://localhost:8000", live), names)
    frame = names["frame"]
    [figure] = httpx.get(f"{live}/v1/figures?measure=bilateral trade&kind=reported").json()["data"]
    assert frame[["date", "value", "unit", "importName"]].values.tolist() == [
        [figure["period"], figure["value_number"], figure["unit"], "RFE/RL"]
    ]
    assert frame["provenanceUrl"].tolist() == [f"{live}/v1/claims/{figure['claim']['id']}"]
    assert frame[["entity_name", "variable_name"]].values.tolist() == [
        ["Russia", "bilateral trade (reported, USD), with China"]
    ]
    for part in ("reported/USD/bilateral_trade/ent_", "Russia", "unverified"):
        assert part in told.getvalue()


def _observed(room: Newsroom, entities: list[str], dcids: list[str], **more: Any) -> list[Json]:
    """What the client reads, as rows."""
    found = client_of(room).observation.fetch(
        variable_dcids=dcids, date=more.pop("date", "all"), select=ALL, entity_dcids=entities, **more
    )
    return [row.model_dump() for row in found.to_observation_records()]


def test_every_figure_that_can_be_told_is_an_observation(seeded: Newsroom) -> None:
    seeded.claim(figures=[gas("1", period=None), gas("2", about=[]), gas("3", "J", period="2020/2022")])
    client = client_of(seeded)
    figures = seeded.get("/v1/figures", limit=200)["data"]
    dated = {figure["id"]: figure for figure in figures if figure["period"] and figure["about"]}
    subjects = sorted({each["id"] for figure in figures for each in figure["about"]})
    there = client.observation.fetch_available_statistical_variables(subjects)
    met = []
    for entity, dcids in there.items():
        for row in _observed(seeded, [entity], dcids):
            met.append((row["provenanceUrl"], row["unit"], row["date"], row["value"]))
            assert row["variable"] in dcids
    expected = {
        (
            f"{seeded.server.url}/v1/claims/{figure['claim']['id']}",
            figure["unit"],
            variables.when(figure["period"]).date,
            float(figure[name]),
        )
        for figure in dated.values()
        for name in ("value", "lower", "upper")
        if figure[name] is not None
    }
    assert set(met) == expected
    assert len(expected) >= 3
    listed = client.node.fetch_property_values("StatisticalVariable", "typeOf", out=False)
    every = listed.extract_connected_dcids("StatisticalVariable", "typeOf")
    values = client.node.fetch_property_values(list(every), "observationsLeftOut").get_properties()
    left_out = sum(int(each["observationsLeftOut"][0].value) for each in values.values())
    assert left_out == len(figures) - len(dated) == 2


# --- figures -----------------------------------------------------------------------------------


def gas(value: Any = None, unit: str = "bcm", **more: Any) -> Json:
    return {"measure": "gas", "value": value, "unit": unit, "period": "2023", "about": ["china"], **more}


@pytest.fixture
def desk(room: Newsroom) -> Newsroom:
    for name in ("china", "russia", "mongolia"):
        room.entity(name.title(), "country", slug=name)
    return room


def stated(desk: Newsroom, *figures: Json, **more: Any) -> Json:
    return desk.claim(f"Said {desk.state()}.", figures=list(figures), **more)


def shown(desk: Newsroom, **more: Any) -> list[tuple[str, str, float]]:
    """The method, unit and value of each observation of reported gas in China, the best facet first."""
    rows = _observed(desk, ["china"], ["reported/volume/gas"], **more)
    return [(row["measurementMethod"] or "", row["unit"], row["value"]) for row in rows]


def test_what_must_not_be_mixed_is_in_several_variables(desk: Newsroom) -> None:
    ids = {name: desk.get(f"/v1/entities/{name}")["id"] for name in ("china", "russia", "mongolia")}
    stated(desk, *(gas("1", kind=kind) for kind in get_args(FigureKind)), gas("2", "km3"), gas("3", "J"))
    stated(desk, gas("4", "USD"), gas("5", "EUR"), gas("6", "people"), gas("7", "cases"), gas("8", "%"))
    stated(desk, gas("9", "USD", about=["china", "russia"]), gas("1", "USD", about=["china", "mongolia"]))
    stated(desk, gas("1", measure="gas_100% now/then"), gas("1", measure="Öl"))
    found = client_of(desk).observation.fetch_available_statistical_variables(["china", "russia"])
    assert {name: sorted(dcids) for name, dcids in found.items()} == {
        "china": sorted(
            [
                *(f"{kind}/volume/gas" for kind in get_args(FigureKind)),
                *(f"reported/{unit}/gas" for unit in ("energy", "USD", "EUR", "{person}", "{case}", "ratio")),
                *(f"reported/USD/gas/{ids[name]}" for name in ("russia", "mongolia")),
                "reported/volume/gas%5F100%25_now%2Fthen",
                "reported/volume/Öl",
            ]
        ),
        "russia": [f"reported/USD/gas/{ids['china']}"],
    }
    for name, dcids in found.items():
        rows = _observed(desk, [name], dcids)
        assert {row["variable"] for row in rows} == set(dcids)
    assert shown(desk) == [("", "m3", 1e9), ("", "km3", 2.0)] or shown(desk) == [
        ("", "km3", 2.0),
        ("", "m3", 1e9),
    ]
    names = client_of(desk).node.fetch_entity_names(found["china"])
    assert names[f"reported/USD/gas/{ids['russia']}"].value == "gas (reported, USD), with Russia"
    assert names["reported/volume/gas%5F100%25_now%2Fthen"].value == "gas_100% now/then (reported, volume)"


def test_bounds_and_conditions_are_told_by_the_method(desk: Newsroom) -> None:
    words = {"eq": "", "ge": "AtLeast", "gt": "MoreThan", "le": "AtMost", "lt": "LessThan", "approx": "About"}
    stated(desk, *(gas(str(n), "m3", comparator=each) for n, each in enumerate(words)))
    stated(desk, gas(None, "m3", comparator="range", lower="7", upper="8"))
    stated(desk, gas("20", "m3", comparator="approx", lower="10", upper="30", condition="If it holds"))
    stated(desk, gas("40", "m3", period="2023?"))
    assert sorted(shown(desk), key=lambda each: each[2]) == [
        *((word, "m3", float(n)) for n, word in enumerate(words.values())),
        ("LowerBound", "m3", 7.0),
        ("UpperBound", "m3", 8.0),
        ("LowerBound; Condition: If it holds", "m3", 10.0),
        ("About; Condition: If it holds", "m3", 20.0),
        ("UpperBound; Condition: If it holds", "m3", 30.0),
        ("DateUncertain", "m3", 40.0),
    ]
    frame = client_of(desk).observations_dataframe(
        variable_dcids="reported/volume/gas",
        date="all",
        entity_dcids=["china"],
        property_filters={"measurementMethod": ["AtLeast", "UpperBound"]},
        include_constraints_metadata=True,
    )
    assert sorted(frame["value"]) == [1.0, 8.0]
    assert set(frame["figureKind"]) == {"reported"}


def test_the_values_are_exact_in_the_answer(desk: Newsroom) -> None:
    number = "12345678901234567890.123456789012345678"
    stated(desk, gas(number, "m3"))
    asked = {"entity": {"dcids": ["china"]}, "variable": {"dcids": ["reported/volume/gas"]}, "select": ALL}
    answer = desk.anyone.post(OBSERVATION, json=asked)
    assert f'"value":{number}}}' in answer.text
    assert shown(desk) == [("", "m3", float(Decimal(number)))]


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("2023", ("2023", "P1Y", True)),
        ("2023-02", ("2023-02", "P1M", True)),
        ("2024-02-29", ("2024-02-29", "P1D", True)),
        ("2022/2023", ("2022", "P2Y", True)),
        ("2023-01/2023-12", ("2023", "P1Y", True)),
        ("2022-07/2023-06", ("2022-07", "P12M", True)),
        ("2023-01-01/2023-12-31", ("2023", "P1Y", True)),
        ("2023-03-20/2023-03-22", ("2023-03-20", "P3D", True)),
        ("2023-21", ("2023-03", "P3M", True)),
        ("2023?", ("2023", "P1Y", False)),
        ("2023-03~", ("2023-03", "P1M", False)),
        ("202X", ("2020", "P10Y", False)),
        ("2023-XX", ("2023", "P1Y", False)),
        ("0001", ("0001", "P1Y", True)),
        ("9999-12-31", ("9999-12-31", "P1D", True)),
    ],
)
def test_a_period_is_a_date_and_a_length(period: str, expected: tuple[str, str, bool]) -> None:
    found = variables.when(period)
    assert found == expected
    assert span(found.date).earliest == span(period).earliest or not found.sure


def test_what_has_no_end_no_date_or_no_subject_is_left_out_and_counted(desk: Newsroom) -> None:
    for period in ("../2023", "2023/..", "2023/", None):
        stated(desk, gas("1", period=period))
    stated(desk, gas("2", about=[]), gas("3"))
    withdrawn = stated(desk, gas("4"), gas("5", period=None), gas("6", kind="target"))
    note = {"note": "Stated by mistake."}
    ok(desk.editor.post(f"/v1/claims/{withdrawn['id']}/withdrawal", json=note, headers=match(withdrawn)))
    assert [value for *_, value in shown(desk)] == [3e9]
    client = client_of(desk)
    dcids = ["reported/volume/gas", "target/volume/gas"]
    found = client.node.fetch_property_values(dcids, "observationsLeftOut").get_properties()
    assert {dcid: each["observationsLeftOut"][0].value for dcid, each in found.items()} == {dcids[0]: "5"}
    assert client.observation.fetch_available_statistical_variables("china") == {"china": [dcids[0]]}


def test_claims_that_differ_are_facets_and_those_that_hold_come_first(desk: Newsroom) -> None:
    source = desk.source("https://www.stats.example.org/2023", publisher="russia")
    for value, verdict, said in (
        ("1", "false", "2024"),
        ("2", None, "2021"),
        ("3", None, "2022"),
        ("4", "true", "2020"),
    ):
        prints = [{"source": source["id"]}] if value == "4" else []
        claim = stated(desk, gas(value, "m3", comparator="approx", lower="0"), said=said, appearances=prints)
        if verdict:
            desk.take(claim)
            desk.review(claim, verdict=verdict)
    assert shown(desk) == [
        ("About", "m3", 4.0),
        ("LowerBound", "m3", 0.0),
        ("About", "m3", 3.0),
        ("About", "m3", 2.0),
        ("LowerBound", "m3", 0.0),
        ("LowerBound", "m3", 0.0),
        ("About", "m3", 1.0),
        ("LowerBound", "m3", 0.0),
    ]
    best = _observed(desk, ["china"], ["reported/volume/gas"])[0]
    assert best["importName"] == "Vladimir Putin, in Russia"
    for domain, count in (("example.org", 2), ("www.stats.example.org", 2), ("ample.org", 0)):
        assert len(shown(desk, filter_facet_domains=domain)) == count
    assert shown(desk, filter_facet_ids=[best["facetId"]]) == [("About", "m3", 4.0)]
    claim_id = best["provenanceUrl"].rpartition("/")[2]
    told = (
        client_of(desk).node.fetch_property_values(claim_id, ["verdict", "source", "typeOf"]).get_properties()
    )
    assert {name: nodes[0].value or nodes[0].dcid for name, nodes in told[claim_id].items()} == {
        "verdict": "true",
        "source": source["url"],
        "typeOf": "Provenance",
    }


def test_what_a_claim_says_twice_of_one_date_is_two_facets(desk: Newsroom) -> None:
    stated(desk, gas("1"), gas("2"), gas("3", period="2022"))
    rows = _observed(desk, ["china"], ["reported/volume/gas"])
    facets: dict[str, list[str]] = {}
    for row in rows:
        facets.setdefault(row["facetId"], []).append(row["date"])
    assert sorted(facets.values()) == [["2022", "2023"], ["2023"]]
    for date in ("2023", "latest"):
        again = _observed(desk, ["china"], ["reported/volume/gas"], date=date)
        assert {(row["facetId"], row["value"]) for row in again} == {
            (row["facetId"], row["value"]) for row in rows if row["date"] == "2023"
        }
    assert _observed(desk, ["china"], ["reported/volume/gas"], date="2023-01") == []
    found = client_of(desk).observation.fetch_observations_by_entity_dcid(
        "all", "china", "reported/volume/gas", select=["variable", "entity", "facet"]
    )
    counts = [
        facet.obsCount for facet in found.byVariable["reported/volume/gas"].byEntity["china"].orderedFacets
    ]
    assert sorted(counts) == [1, 2]


def test_an_entity_has_many_names_and_merges_are_followed(desk: Newsroom) -> None:
    ids = [{"scheme": "wikidata", "value": "Q159"}, {"scheme": "datacommons", "value": "country/RUS"}]
    twin = desk.entity("Russian Federation", "country", external_ids=ids)
    stated(desk, gas("1", about=["russia"]), gas("2", about=["russian-federation", "china"]))
    ok(desk.editor.post(f"/v1/entities/{twin['id']}/merge", json={"into": "russia"}, headers=match(twin)))
    names = ["russia", "russian-federation", twin["id"], "wikidataId/Q159", "country/RUS"]
    china = desk.get("/v1/entities/china")["id"]
    dcids = ["reported/volume/gas", f"reported/volume/gas/{china}"]
    rows = _observed(desk, [*names, "nowhere"], dcids)
    assert sorted((row["entity"], row["value"]) for row in rows) == sorted(
        (name, value) for name in names for value in (1e9, 2e9)
    )
    # A variable keeps its name, though the other entity in it was merged.
    [row] = _observed(desk, ["china"], [f"reported/volume/gas/{twin['id']}"])
    assert row["value"] == 2e9
    found = client_of(desk).node.fetch_entity_names([*names, "nowhere"])
    assert {name: each.value for name, each in found.items()} == dict.fromkeys(names, "Russia")


def test_all_of_a_type_are_asked_for_on_earth(desk: Newsroom) -> None:
    desk.entity("Yamal", "place", slug="yamal")
    stated(desk, gas("1"), gas("2", about=["russia"]), gas("3", about=["yamal", "russia"]))
    client = client_of(desk)

    there = client.observation.fetch_available_statistical_variables(["russia", "yamal"])
    dcids = sorted({dcid for some in there.values() for dcid in some})

    def of_type(name: str) -> list[tuple[str, float]]:
        frame = client.observations_dataframe(dcids, "latest", entity_type=name, parent_entity="Earth")
        return sorted((row.entity_name, row.value) for row in frame.itertuples())

    assert of_type("Country") == [("China", 1e9), ("Russia", 2e9), ("Russia", 3e9)]
    assert of_type("Place") == [("Yamal", 3e9)]
    children = client.node.fetch_place_children("Earth", children_type="Place")["Earth"]
    assert [each["name"] for each in children] == ["Yamal"]
    assert client.node.fetch_place_parents("yamal") == {}
    assert client.node.fetch_place_ancestors("yamal") == {"yamal": []}
    with pytest.raises(APIError, match="not kept"):
        client.observation.fetch_observations_by_entity_type(
            "all", "russia", "Place", ["reported/volume/gas"]
        )


def test_takes_the_same_few_queries_however_much_there_is(desk: Newsroom) -> None:
    client, counts = client_of(desk), []
    for _ in range(2):
        stated(desk, *(gas(str(n), period=str(2000 + n)) for n in range(1, 50)))
        _observed(desk, ["china"], ["reported/volume/gas"])  # the names are at hand from here on
        with desk.queries() as sent:
            client.observation.fetch_available_statistical_variables(["china", "russia"])
            client.observation.fetch("reported/volume/gas", "all", ALL, ["china", "russia"])
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 12


# --- nodes -------------------------------------------------------------------------------------


def test_nodes_are_told_of_by_their_properties(room: Newsroom) -> None:
    room.entity("Russia", "country", aliases=[{"name": "Россия", "language": "ru"}, {"name": "RF"}])
    held = [{"organization": "russia", "title": "President"}]
    room.entity(affiliations=held, external_ids=[{"scheme": "wikidata", "value": "Q7747"}])
    client = client_of(room)
    nodes = client.node.fetch_property_values(
        ["nowhere", "vladimir-putin", "Country", "country/GTM"],
        ["typeOf", "wikidataId", "affiliation", "shoe"],
    ).get_properties()
    assert {
        dcid: {name: [n.dcid or n.value for n in some] for name, some in each.items()}
        for dcid, each in nodes.items()
    } == {
        "vladimir-putin": {
            "typeOf": ["Person"],
            "wikidataId": ["Q7747"],
            "affiliation": [room.get("/v1/entities/russia")["id"]],
        },
        "Country": {"typeOf": ["Class"]},
    }
    russian = client.node.fetch_entity_names(["russia", "vladimir-putin"], language="ru")
    assert {dcid: each.value for dcid, each in russian.items()} == {"russia": "Россия"}
    assert client.node.fetch_property_labels(["russia"]).get_properties() == {
        "russia": ["alternateName", "name", "nameWithLanguage", "typeOf", "url"]
    }
    inward = client.node.fetch_property_labels(
        ["russia", "vladimir-putin", "Country"], out=False
    ).get_properties()
    assert inward == {"russia": ["affiliation"], "Country": ["typeOf"]}
    found = client.node.fetch_property_values("russia", "affiliation", out=False)
    assert [node.name for node in found.get_properties()["russia"]["affiliation"]] == ["Vladimir Putin"]
    every = client.node.fetch("russia", "->*").get_properties()["russia"]
    assert [node.value for node in every["alternateName"]] == ["Россия", "RF"]
    typed = client.node.fetch_property_values("vladimir-putin", "affiliation", constraints="typeOf:Person")
    assert typed.get_properties() == {}
    classes = client.node.fetch_all_classes().extract_connected_dcids("Class", "typeOf")
    assert {"Person", "StatisticalVariable", "Class"} <= set(classes)


def test_long_lists_come_in_pages(desk: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.compat.nodes.PAGE", 2)
    for n in range(5):
        stated(desk, gas("1", measure=f"gas {n // 2}", kind=("target", "reported")[n % 2]), gas("1", "J"))
    stated(desk, gas("1", "km3", measure="gas 0", kind="target"))
    client = client_of(desk)
    names = ["Country", "StatisticalVariable", "Person", "Class", "Provenance"]
    whole = client.node.fetch(names, "<-typeOf")
    got = {name: whole.extract_connected_dcids(name, "typeOf") for name in names}
    assert [len(got[name]) for name in names] == [3, 6, 1, 11, 6]
    assert all(len(set(some)) == len(some) for some in got.values())
    page = client.node.fetch(names, "<-typeOf", all_pages=False)
    assert (len(page.extract_connected_dcids("Country", "typeOf")), bool(page.nextToken)) == (2, True)
    after = client.node.fetch(names, "<-typeOf", next_token=page.nextToken)
    assert after.extract_connected_dcids("Country", "typeOf") == got["Country"][2:]
    for token in ("nonsense", "é", "x" * 1000):
        with pytest.raises(APIError, match="cursor"):
            client.node.fetch(names, "<-typeOf", next_token=token)
    with pytest.raises(APIError, match="cursor"):
        client.node.fetch(names[:2], "<-typeOf", next_token=page.nextToken)


# --- resolving ---------------------------------------------------------------------------------


def test_names_and_ids_of_wikidata_lead_to_entities(desk: Newsroom) -> None:
    putin = desk.entity(external_ids=[{"scheme": "wikidata", "value": "Q7747"}])
    for kind in ("country", "place"):
        desk.entity("Georgia", kind)
    resolve = client_of(desk).resolve
    found = resolve.fetch_dcids_by_name(["Putin Vladimir", "Georgia", "Nobody at all"])
    assert [len(each.candidates) for each in found.entities] == [1, 2, 0]
    assert found.to_flat_dict()["Putin Vladimir"] == putin["id"]
    assert found.entities[0].candidates[0].dominantType == "Person"
    assert len(resolve.fetch_dcids_by_name("Georgia", "Country").entities[0].candidates) == 1
    by_id = resolve.fetch_dcids_by_wikidata_id(["Q7747", "Q1"])
    assert by_id.to_flat_dict() == {"Q7747": putin["id"], "Q1": []}
    assert resolve.fetch_dcids_by_wikidata_id("Q7747", "Country").to_flat_dict() == {"Q7747": []}
    for asked in (("1#2", "<-geoCoordinate->dcid"), ("gas", None, "indicator")):
        with pytest.raises(DCStatusError) as fault:
            resolve.fetch(*asked)
        assert (fault.value.status_code, fault.value.response.json()["code"]) == (501, 12)


# --- refusals ----------------------------------------------------------------------------------

_ALL_THINGS: tuple[Any, ...] = (None, [], "x", 5, {}, {"x": 1})
_NODE: Json = {"nodes": ["china"], "property": "->name"}
_OBSERVED: Json = {"entity": {"dcids": ["china"]}, "select": ["variable", "entity"]}
_RESOLVED: Json = {"nodes": ["China"], "property": "<-description->dcid"}
_EARTH = "Earth<-containedInPlace+{typeOf:Country}"
_WRONG: list[tuple[str, Json, str, list[Any]]] = [
    (NODE, _NODE, "nodes", [None, [], "china", [None], [5], [""], ["a\0"], ["x" * 5001], ["china"] * 5001]),
    (
        NODE, _NODE, "property",
        [
            None, 5, "", "name", "->na-me", "->name->x", "<-a->b", "->[name", "->[name,]", "->{typeOf:X}",
            "->name{typeOf}", "->name{x:y}", "->name\0", "->" + "x" * 101, "->" * 999, ["->name"], "->é",
        ],
    ),
    (NODE, {"property": "<-typeOf"}, "nodes", [[f"c{n}" for n in range(101)]]),
    (NODE, {"nodes": ["Earth"]}, "property", ["<-containedInPlace+{typeOf:Planet}"]),
    (NODE, _NODE, "nextToken", [5, "x" * 1001]),
    (OBSERVATION, _OBSERVED, "select", [None, [], ["variable"], ["x"], "value", [1], ["entity"] * 6]),
    (
        OBSERVATION, _OBSERVED, "date",
        [None, 2023, "soon", "latest", "2023-13", "2023-02-30", "0000", "2023?", "٢٠٢٣"],
    ),
    (
        OBSERVATION, _OBSERVED, "entity",
        [
            None, [], {}, {"dcids": []}, {"dcids": None}, {"dcids": ["china"] * 5001}, {"dcids": "china"},
            {"dcids": ["china"], "expression": _EARTH}, {"expression": _EARTH.replace("Earth", "china")},
            {"expression": _EARTH.replace("Country", "Planet")}, {"expression": "Earth"},
            {"expression": "Earth<-containedInPlace+"}, {"expression": "Earth->name"}, {"expression": "\0"},
        ],
    ),
    (OBSERVATION, _OBSERVED, "variable", [None, [], {"dcids": ["x"] * 101}, {"x": 1}]),
    (OBSERVATION, _OBSERVED, "filter", [None, {"x": 1}, {"facet_ids": [1]}, {"domains": "x"}]),
    (RESOLVE, _RESOLVED, "nodes", [["x"] * 1001, [], [None], "China"]),
    (
        RESOLVE, _RESOLVED, "property",
        [None, "->name", "<-description{typeOf:Planet}->dcid", "<-x->dcid", "<-description->dcid" * 200],
    ),
    (RESOLVE, _RESOLVED, "resolver", [5, []]),
]  # fmt: skip
WRONG = [
    *((path, body) for path in (NODE, OBSERVATION, RESOLVE) for body in _ALL_THINGS),
    *((path, {**body, name: value}) for path, body, name, values in _WRONG for value in values),
]


def refused(answer: httpx.Response, status: int = 400, code: int = 3) -> Json:
    """A refusal, which must be in the gateway's form."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["content-type"] == "application/json"
    body: Json = answer.json()
    assert body.keys() == {"code", "message", "details"}
    assert body["code"] == code
    assert body["message"]
    return body


def test_what_is_wrong_is_refused_in_the_gateway_s_form(desk: Newsroom) -> None:
    with desk.unchanged():
        for path, body in WRONG:
            refused(desk.anyone.post(path, json=body))
        for content in (b"", b"{", b"\xff", b"[" * 100_000, b'{"nodes": NaN}', b'{"nodes": ["\\ud800"]}'):
            for path in (NODE, OBSERVATION, RESOLVE):
                refused(desk.anyone.post(path, content=content, headers={"Content-Type": "application/json"}))
        refused(desk.anyone.post(NODE, content=b"{}", headers={"Content-Type": "text/plain"}))
        for query in (
            "",
            "?nodes=a",
            "?property=->name",
            "?nodes=a&property=->name&x=1",
            "?nodes=%00&property=->name",
        ):
            refused(desk.anyone.get(NODE + query))
        refused(desk.anyone.get(f"{OBSERVATION}?select=entity"))
        refused(desk.anyone.get(RESOLVE))
    [violation] = refused(desk.anyone.post(OBSERVATION, json={**_OBSERVED, "date": "soon"}))["details"]
    assert violation["fieldViolations"][0]["field"] == "/date"


ODD = [
    "reported/volume", "reported/volume/", "reported/volume/gas/", "reported/volume/gas/china", "a/b/c/d/e",
    "reported/volume/%00", "reported/volume/%ff", "reported/volume/%zz", "reported/volume/a%20b",
    "reported/m3/gas", "told/volume/gas", "reported/volume/g_s%", "'; DROP TABLE claims; --",
    "clm_01m87gne0veherp8apm1m6sqm3", "wikidataId/", "wikidataId/%", "Earth", "Class", "\u202e", "💥",
    "reported/volume/gas/" + "+".join(["ent_" + "0" * 26] * 90),
]  # fmt: skip


def test_what_is_not_known_is_there_with_nothing_in_it(desk: Newsroom) -> None:
    stated(desk, gas("1"))
    there = [*ODD, desk.source()["id"]]
    for relation in ("->", "<-", "->*", "<-*", "->name", "->[]"):
        data = ok(desk.anyone.post(NODE, json={"nodes": there, "property": relation}))["data"]
        assert data.keys() == set(there)
        assert {dcid for dcid, each in data.items() if each not in ({}, {"arcs": {}})} <= {"Earth", "Class"}
    asked = {"entity": {"dcids": [*there, "china"]}, "variable": {"dcids": ODD}, "select": ALL}
    found = ok(desk.anyone.post(OBSERVATION, json=asked))
    assert found == {"byVariable": {dcid: {"byEntity": {}} for dcid in ODD}, "facets": {}}
    resolved = ok(desk.anyone.post(RESOLVE, json={**_RESOLVED, "nodes": ODD}))
    assert [each["node"] for each in resolved["entities"]] == ODD


def test_more_than_is_answered_at_once_is_refused(desk: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.compat.observations.MOST", 3)
    stated(desk, *(gas("1", period=str(2000 + n), measure=f"gas {n}") for n in range(4)))
    whole = {**_OBSERVED, "select": ALL}
    for body in (_OBSERVED, whole):
        assert "more than 3 figures" in refused(desk.anyone.post(OBSERVATION, json=body))["message"]
    ok(desk.anyone.post(OBSERVATION, json={**whole, "date": "2001"}))
    ok(desk.anyone.post(OBSERVATION, json={**whole, "variable": {"dcids": ["reported/volume/gas_0"]}}))


def test_an_address_asks_the_same(desk: Newsroom) -> None:
    stated(desk, gas("1"), gas("2", period="2022"))
    body = {**_OBSERVED, "select": ALL, "date": "2022", "variable": {"dcids": ["reported/volume/gas"]}}
    query: Json = {
        "entity.dcids": "china",
        "select": ALL,
        "date": "2022",
        "variable.dcids": "reported/volume/gas",
    }
    posted = ok(desk.anyone.post(OBSERVATION, json=body))
    assert ok(desk.anyone.get(OBSERVATION, params=query | {"key": "any"})) == posted
    assert len(posted["facets"]) == 1
    assert ok(desk.anyone.get(NODE, params=_NODE)) == ok(
        desk.anyone.post(NODE, json={**_NODE, "nextToken": None})
    )
    assert ok(desk.anyone.get(RESOLVE, params=_RESOLVED)) == ok(desk.anyone.post(RESOLVE, json=_RESOLVED))
    select, entity = _OBSERVED["select"], {"expression": _EARTH}
    found = ok(desk.anyone.get(OBSERVATION, params={"entity.expression": _EARTH, "select": select}))
    assert found == ok(desk.anyone.post(OBSERVATION, json={"select": select, "entity": entity}))
    china = desk.get("/v1/entities/china")["id"]
    assert found["byVariable"] == {"reported/volume/gas": {"byEntity": {china: {}}}}


def test_the_key_is_one_of_this_server_s_where_reading_needs_one(desk: Newsroom) -> None:
    assert client_of(desk, api_key="anything").node.fetch_entity_names("china")
    _, token = desk.key("reader")
    with desk.with_settings(public_reading=False) as private:
        with pytest.raises(InvalidDCInstanceError):
            client_of(private)
        client = client_of(private, api_key=token)
        assert client.node.fetch_entity_names("china")["china"].value == "China"
        ok(private.anyone.get(NODE, params={**_NODE, "key": token}))
        client.api.headers["X-API-Key"] = "otr_wrong"
        with pytest.raises(DCAuthenticationError):
            client.node.fetch_entity_names("china")
        for name, value in ((b"x-api-key", b"\xe4"), (b"authorization", b"Basic eA=="), (b"x-api-key", b"")):
            refused(private.anyone.post(NODE, json=_NODE, headers=[(name, value)]), 401, 16)
