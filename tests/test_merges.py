"""Merges and their end: a model of them beside the API, and what they must not move for good."""

from itertools import combinations
from typing import Any

import httpx
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from app.base import schema
from app.projections import migrate
from tests.commands import Command
from tests.earlier import lay
from tests.newsroom import Bases, Json, Newsroom, Server, match, ok, opened, problem
from tests.test_projections import token_of_before
from tests.test_workflow import run

ANY = {"If-Match": "*"}
NAMES = ("Amber", "Birch", "Cedar", "Dunes")
ALIASES = ("Fjord", "Grove", "Heath", "Islet")
SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "mo", "ni", "pu", "ra")
MANY = len(NAMES)
PAIRS = tuple(combinations(range(MANY), 2))
HOW = ("speakers", "about", "figures")
RECORDS = st.integers(0, MANY - 1)


def merge(room: Newsroom, loser: str, into: str) -> Json:
    return ok(room.editor.post(f"/v1/entities/{loser}/merge", headers=ANY, json={"into": into}))


def part(room: Newsroom, loser: str) -> Json:
    return ok(room.editor.delete(f"/v1/entities/{loser}/merge", headers=ANY))


class Records:
    """Some records of things, and claims by, about and with figures of any two of them. A run that ends well
    leaves them as they were, so that the next begins with them.
    """

    def __init__(self, room: Newsroom) -> None:
        self.room = room
        self.in_use = False
        # Names of another run are in the base: neither is to be taken for a spelling of the other.
        self.run = "".join(SYLLABLES[int(digit)] for digit in str(room.state()))
        self.names, self.aliases = ([f"{name}{self.run}" for name in some] for some in (NAMES, ALIASES))
        self.slugs = [name.lower() for name in self.names]
        self.entities = [self.made(n) for n in range(MANY)]
        self.claims = {(how, pair): self.stated(how, pair) for how in HOW for pair in PAIRS}
        self.moves = [0] * MANY

    def made(self, n: int) -> Json:
        alias, number = {"name": self.aliases[n]}, {"scheme": "desk", "value": f"{self.run}-{n}"}
        return self.room.entity(self.names[n], "place", aliases=[alias], external_ids=[number])

    def stated(self, how: str, pair: tuple[int, int]) -> Json:
        two: Any = [self.slugs[n] for n in pair]
        if how == "figures":
            two = [{"measure": "distance", "value": 1, "unit": "m", "about": two}]
        return self.room.claim("Here it is.", **{how: two})


class Merges(RuleBasedStateMachine):
    """`into` is which of the records is merged into which, as it was asked for."""

    def __init__(self, records: Records) -> None:
        super().__init__()
        self.room, self.run = records.room, records.run
        self.names, self.aliases, self.slugs = records.names, records.aliases, records.slugs
        self.entities, self.claims, self.moves = records.entities, records.claims, records.moves
        self.records = records
        self.into: dict[int, int] = {}

    def end(self, n: int) -> int:
        """Where a record's chain of merges ends."""
        while n in self.into:
            n = self.into[n]
        return n

    def asks(self, method: str, n: int, **more: Any) -> httpx.Response:
        path = f"/v1/entities/{self.slugs[n]}/merge"
        return self.room.editor.request(method, path, headers=ANY, **more)

    @rule(chosen=RECORDS, into=RECORDS)
    def merges(self, chosen: int, into: int) -> None:
        """It is refused if the chain would go round."""
        free = [n for n in range(MANY) if n not in self.into]
        loser = free[chosen % len(free)]
        answer = self.asks("POST", loser, json={"into": self.slugs[into]})
        if self.end(into) == loser:
            assert "circle" in problem(answer, 409, "conflict")["detail"]
            return
        ok(answer)
        self.into[loser] = into
        self.moves[loser] += 1
        self.looks_right()

    @precondition(lambda self: self.into)
    @rule(chosen=RECORDS)
    def parts(self, chosen: int) -> None:
        """Any record that is merged, with those that are merged into it."""
        merged = sorted(self.into)
        loser = merged[chosen % len(merged)]
        ok(self.asks("DELETE", loser))
        del self.into[loser]
        self.moves[loser] += 1
        self.looks_right()

    @rule(n=RECORDS, into=RECORDS)
    def what_cannot_be(self, n: int, into: int) -> None:
        """What is merged is not merged again, and what is not is not parted."""
        if n in self.into:
            problem(self.asks("POST", n, json={"into": self.slugs[into]}), 409, "conflict")
        else:
            problem(self.asks("DELETE", n), 409, "conflict")

    def looks_right(self) -> None:
        """Everything is found under the record where its chain ends, and nowhere else."""
        for n in range(MANY):
            self.leads_on(n)
        listed = self.listed()
        one = list(self.claims.values())[sum(self.moves) % len(self.claims)]
        assert self.room.fresh(one) == listed[one["id"]], "alone it is as it is in the list"
        for (how, pair), claim in self.claims.items():
            shown = listed[claim["id"]]
            named = shown["figures"][0]["about"] if how == "figures" else shown[how]
            assert [each["slug"] for each in named] == list(
                dict.fromkeys(self.slugs[self.end(n)] for n in pair)
            )
            assert shown["version"] == 1, "the claim itself was not written"

    def listed(self) -> dict[str, Json]:
        return {claim["id"]: claim for claim in self.room.get("/v1/claims", limit=200)["data"]}

    def leads_on(self, n: int) -> None:
        """What one record's id, slug, external id and names lead to, and the claims under it."""
        end, ours = self.end(n), {m for m in range(MANY) if self.end(m) == self.end(n)}
        target = self.entities[end]["id"]
        if n != end:
            answer = self.room.anyone.get(f"/v1/entities/{self.entities[n]['id']}")
            assert (answer.status_code, answer.headers["location"]) == (308, f"/v1/entities/{target}")
        shown = ok(self.room.anyone.get(f"/v1/entities/{self.slugs[n]}", follow_redirects=True))
        names = {shown["name"], *(alias["name"] for alias in shown["aliases"])}
        assert names == {name for m in ours for name in (self.names[m], self.aliases[m])}
        numbers = {each["value"] for each in shown["external_ids"]}
        assert numbers == {f"{self.run}-{m}" for m in ours}
        word = (self.names, self.aliases)[sum(self.moves) % 2][n]  # the one and then the other
        for query in ({"external_id": f"desk:{self.run}-{n}"}, {"q": word}):
            assert [each["id"] for each in self.room.get("/v1/entities", **query)["data"]] == [target]
        self.lists(n, ours)
        history = self.room.get(f"/v1/entities/{self.slugs[n]}/history", limit=200)["data"]
        assert sum(entry["action"] in ("entity.merge", "entity.part") for entry in history) == self.moves[n]
        assert history[-1]["action"] == "entity.create"

    def lists(self, n: int, ours: set[int]) -> None:
        """The claims and figures under one record are those that name it or what is one with it."""

        def named(*hows: str) -> list[str]:
            return sorted(c["id"] for (how, pair), c in self.claims.items() if how in hows and ours & {*pair})

        lists = [("speaker", ["speakers"]), ("about", ["about"]), ("q", ["speakers", "about"])]
        if n in self.into:  # the record where its chain ends is asked for all of them
            lists = [lists[sum(self.moves) % 3]]
        for name, hows in lists:
            found = self.room.get("/v1/claims", limit=200, **{name: self.slugs[n]})["data"]
            assert sorted(each["id"] for each in found) == named(*hows), name
        figures = self.room.get("/v1/figures", limit=200, about=self.slugs[n])["data"]
        assert sorted(each["claim"]["id"] for each in figures) == named("figures")

    def teardown(self) -> None:
        """Once all is taken back everything is as it was."""
        for loser in sorted(self.into):
            part(self.room, self.slugs[loser])
            self.moves[loser] += 1
        for entity in self.entities:
            now = self.room.get(f"/v1/entities/{entity['id']}")
            assert {**now, "version": 0, "updated_at": 0} == {**entity, "version": 0, "updated_at": 0}
        listed = self.listed()
        for claim in self.claims.values():
            assert listed[claim["id"]] == claim
        self.records.in_use = False


def test_the_api_keeps_to_the_model(room: Newsroom) -> None:
    known: list[Records] = []

    def begun() -> Merges:
        if not known or known[-1].in_use:  # the run before has failed
            known.append(Records(room))
        known[-1].in_use = True
        return Merges(known[-1])

    run(begun, examples=5, steps=15)
    assert sum(known[-1].moves) >= 6, "too few merges to tell"


@pytest.fixture
def three(room: Newsroom) -> Newsroom:
    """A newsroom that knows of three things."""
    for name in ("One", "Two", "Three"):
        room.entity(name, "organization")
    return room


def leads_to(room: Newsroom, slug: str) -> str:
    found: str = ok(room.anyone.get(f"/v1/entities/{slug}", follow_redirects=True))["slug"]
    return found


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_a_record_goes_with_the_one_that_it_was_merged_into(three: Newsroom, order: tuple[str, str]) -> None:
    into = {"one": "two", "two": "three"}
    for loser in order:
        merge(three, loser, into[loser])
    assert leads_to(three, "one") == leads_to(three, "two") == "three"
    assert part(three, "two")["merged_into"] is None
    assert (leads_to(three, "one"), leads_to(three, "two")) == ("two", "two")
    assert part(three, "one")["aliases"] == []


def test_a_claim_of_both_records_can_still_be_revised_and_is_of_both_again(three: Newsroom) -> None:
    claim = three.claim(
        speakers=[{"entity": "one", "title": "Desk"}, "two"], about=["two", "three", "one"],
        relayed_by="one",
    )  # fmt: skip
    merge(three, "one", "two")
    shown = three.fresh(claim)
    assert [(each["slug"], each["title"]) for each in shown["speakers"]] == [("two", "Desk")]
    assert [each["slug"] for each in shown["about"]] == ["two", "three"]
    assert shown["relayed_by"]["slug"] == "two"
    [row] = three.anyone.get("/v1/claims.json").json()
    assert (row["speakers"], row["about"]) == ("Two", "Two; Three")
    path = f"/v1/claims/{claim['id']}"
    changed = ok(three.reporter.patch(path, headers=match(shown), json={"place": "Moscow"}))
    assert changed["speakers"] == shown["speakers"]
    part(three, "one")
    back = three.fresh(claim)
    for name in ("speakers", "about", "relayed_by"):
        assert back[name] == claim[name]


def test_a_source_that_is_revised_meanwhile_stays_its_publisher_s(three: Newsroom) -> None:
    source = three.source(publisher="one")
    merge(three, "one", "two")
    path = f"/v1/sources/{source['id']}"
    assert ok(three.reporter.patch(path, headers=ANY, json={"title": "B"}))["publisher"]["slug"] == "two"
    part(three, "one")
    assert three.get(path)["publisher"]["slug"] == "one"


def test_what_the_other_record_brought_is_not_kept_by_sending_it_back(three: Newsroom) -> None:
    given: dict[str, Any] = {
        "aliases": [{"name": "Eins", "language": "de"}],
        "external_ids": [{"scheme": "desk", "value": "1"}],
    }
    ok(three.reporter.patch("/v1/entities/one", headers=ANY, json=given))
    merge(three, "one", "two")
    shown = three.get("/v1/entities/two")
    assert {alias["name"] for alias in shown["aliases"]} == {"One", "Eins"}
    own = {"name": "Zwei", "language": "de", "kind": "name"}
    whole = {"aliases": [*shown["aliases"], own], "external_ids": shown["external_ids"]}
    changed = ok(three.reporter.patch("/v1/entities/two", headers=match(shown), json=whole))
    assert {alias["name"] for alias in changed["aliases"]} == {"One", "Eins", "Zwei"}
    part(three, "one")
    assert three.get("/v1/entities/two")["aliases"] == [own]
    assert three.get("/v1/entities/two")["external_ids"] == []
    assert three.get("/v1/entities", external_id="desk:1")["data"][0]["slug"] == "one"


@pytest.mark.usefixtures("first_form")
def test_a_claim_of_two_merged_records_shows_one_after_the_way_up(
    bases: Bases, server: Server, command: Command
) -> None:
    with bases.fresh(migrated=False) as url:
        lay(url)
        migrate(url)
        with Newsroom(server, url) as room:
            client = room.client(token_of_before(room))
            room._clients |= {"reporter": client, "editor": client}
            room.entity("V. V. Putin")
            claim = room.claim(about=["v-v-putin", "vladimir-putin"])
            merged = {"into": "vladimir-putin"}
            ok(room.editor.post("/v1/entities/v-v-putin/merge", json=merged, headers={"If-Match": "*"}))
            shown = room.fresh(claim)
            assert len(shown["about"]) == 1
            room.tampered = True  # a step back drops columns, so that the ledger tells of more than the rows
            schema.downgrade(url, "0005")
            with opened(url) as db, db.write() as session:  # as it was kept then
                twice = "UPDATE claim_bodies SET body = replace(body, '\"about\":[', '\"about\":[{},')"
                session.connection().exec_driver_sql(twice)
            assert command(url, "migrate").code == 0
            assert room.fresh(claim) == shown
