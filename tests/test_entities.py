"""Entities: names in any script, one record for one thing, merges that can be taken back."""

import pytest

from tests.newsroom import Newsroom, match, ok, problem


def test_are_found_by_id_and_by_slug(room: Newsroom) -> None:
    xi = room.entity("Xi Jinping", aliases=[{"name": "习近平", "language": "zh"}])
    assert xi["slug"] == "xi-jinping"
    assert room.get("/v1/entities/xi-jinping") == room.get(f"/v1/entities/{xi['id']}") == xi
    assert xi["aliases"] == [{"name": "习近平", "language": "zh", "kind": "name"}]


def test_get_slugs_of_their_own(room: Newsroom) -> None:
    slugs = [room.entity("Siberia", "place")["slug"] for _ in range(3)]
    assert slugs == ["siberia", "siberia-2", "siberia-3"]
    assert room.entity("习近平")["slug"] == "xi-jin-ping"
    taken = room.reporter.post("/v1/entities", json={"name": "S", "kind": "place", "slug": "siberia"})
    assert problem(taken, 409, "conflict")["existing"].startswith("ent_")


def test_names_beyond_the_latin_script_do_not_change(room: Newsroom) -> None:
    name = "Володимир Зеленський"
    assert room.entity(name, aliases=[{"name": "Zelen\u0301skyy"}])["aliases"][0]["name"] == "Zeleńskyy"
    assert room.get("/v1/entities/volodimir-zelenskii")["name"] == name


def test_hold_titles_at_organizations_over_a_period(room: Newsroom) -> None:
    room.entity("Chatham House", "organization")
    affiliation = {"organization": "chatham-house", "title": "Senior research fellow", "period": "2018/.."}
    yu = room.entity("Yu Jie", affiliations=[affiliation])
    [held] = yu["affiliations"]
    assert (held["organization"]["name"], held["title"]) == ("Chatham House", "Senior research fellow")
    unknown = {"name": "X", "kind": "person", "affiliations": [{"organization": "nato", "title": "T"}]}
    refused = problem(room.reporter.post("/v1/entities", json=unknown), 422)
    assert refused["errors"][0]["pointer"] == "/affiliations/0/organization"


def test_are_unique_by_their_external_ids(room: Newsroom) -> None:
    china = room.entity("China", "country", external_ids=[{"scheme": "iso3166", "value": "CN"}])
    again = {"name": "PRC", "kind": "country", "external_ids": [{"scheme": "iso3166", "value": "CN"}]}
    assert problem(room.reporter.post("/v1/entities", json=again), 409)["existing"] == china["id"]
    assert room.get("/v1/entities", external_id="iso3166:CN")["data"] == [china]
    assert room.get("/v1/entities", external_id="iso3166:RU")["data"] == []


def test_a_patch_changes_what_it_names_and_null_clears_what_can_be_empty(room: Newsroom) -> None:
    xi = room.entity("Xi", description="President", aliases=[{"name": "习近平"}])
    path = f"/v1/entities/{xi['id']}"
    changed = ok(
        room.reporter.patch(path, headers=match(xi), json={"description": None, "name": "Xi Jinping"})
    )
    assert (changed["name"], changed["description"], changed["aliases"]) == (
        "Xi Jinping",
        None,
        xi["aliases"],
    )
    assert changed["version"] == 2
    for field in ("name", "kind", "slug"):
        problem(room.reporter.patch(path, headers=match(changed), json={field: None}), 422)
    assert room.get(path) == changed


def test_a_patch_that_changes_nothing_leaves_no_trace(room: Newsroom) -> None:
    xi = room.entity("Xi", aliases=[{"name": "习近平"}])
    with room.unchanged():
        path = f"/v1/entities/{xi['id']}"
        assert ok(room.reporter.patch(path, headers=match(xi), json={"aliases": xi["aliases"]})) == xi


def merge(room: Newsroom, loser: dict[str, object], into: str) -> dict[str, object]:
    path = f"/v1/entities/{loser['id']}/merge"
    return ok(room.editor.post(path, headers=match(loser), json={"into": into, "reason": "the same man"}))


def test_a_merged_record_leads_to_the_other_and_brings_its_names_and_claims(room: Newsroom) -> None:
    winner = room.entity("Volodymyr Zelenskyy")
    loser = room.entity("Zelenskiy", aliases=[{"name": "Зеленский", "language": "ru"}])
    claim = room.claim("There is no confirmation yet.", speakers=["zelenskiy"])
    merge(room, loser, "volodymyr-zelenskyy")

    for ref in (loser["id"], "zelenskiy"):
        answer = room.anyone.get(f"/v1/entities/{ref}")
        assert (answer.status_code, answer.headers["location"]) == (308, f"/v1/entities/{winner['id']}")
    found = ok(room.anyone.get("/v1/entities/zelenskiy", follow_redirects=True))
    assert {alias["name"] for alias in found["aliases"]} == {"Zelenskiy", "Зеленский"}
    for ref in ("zelenskiy", "volodymyr-zelenskyy"):
        [shown] = room.get("/v1/claims", speaker=ref)["data"]
        assert shown["id"] == claim["id"]
        assert shown["speakers"][0]["id"] == winner["id"]
    assert [each["id"] for each in room.get("/v1/entities")["data"]] == [winner["id"]]


def test_a_merge_can_be_taken_back(room: Newsroom) -> None:
    winner, loser = room.entity("Power of Siberia", "project"), room.entity("Power of Siberia 2", "project")
    merge(room, loser, winner["id"])
    tag = room.anyone.get(f"/v1/entities/{loser['id']}").headers["etag"]
    path = f"/v1/entities/{loser['id']}/merge"
    back = ok(room.editor.delete(path, headers={"If-Match": tag}))
    assert back["merged_into"] is None
    assert ok(room.anyone.get("/v1/entities/power-of-siberia-2"))["name"] == "Power of Siberia 2"
    assert room.get("/v1/entities/power-of-siberia") == winner
    problem(room.editor.delete(path, headers=match(back)), 409)


def test_merges_follow_one_another_and_do_not_go_round(room: Newsroom) -> None:
    one, two, three = (room.entity(name) for name in ("One", "Two", "Three"))
    merge(room, one, "two")
    merge(room, two, "three")
    assert room.anyone.get("/v1/entities/one").headers["location"] == f"/v1/entities/{three['id']}"
    circle = room.editor.post("/v1/entities/three/merge", headers=match(three), json={"into": "one"})
    assert "circle" in problem(circle, 409)["detail"]
    itself = room.editor.post("/v1/entities/three/merge", headers=match(three), json={"into": "three"})
    problem(itself, 409)
    tag = room.anyone.get("/v1/entities/two").headers["etag"]
    ok(room.editor.delete("/v1/entities/two/merge", headers={"If-Match": tag}))
    assert room.anyone.get("/v1/entities/one").headers["location"] == f"/v1/entities/{two['id']}"


@pytest.mark.parametrize("name", ["vladimir-putn", "putin-vladimir"])
def test_a_name_that_is_not_known_meets_the_nearest_that_is(room: Newsroom, name: str) -> None:
    room.entity()
    assert "did you mean vladimir-putin?" in problem(room.anyone.get(f"/v1/entities/{name}"), 404)["detail"]


def test_a_page_of_them_takes_the_same_number_of_queries_however_long(seeded: Newsroom) -> None:
    with seeded.queries() as few:
        seeded.get("/v1/entities", limit=2)
    with seeded.queries() as many:
        assert len(seeded.get("/v1/entities", limit=100)["data"]) == 46
    assert len(few) == len(many) <= 8
