"""People: whose keys are, what those may do, and what is told of both."""

from collections.abc import Iterator

import httpx
import pytest

from app.access import people
from app.access import store as keys
from app.access.model import Key, KeyIn, Person
from app.base import schema
from app.base.db import Database
from app.base.errors import Invalid
from app.base.sql import select
from app.changes.earlier import person_of
from app.changes.store import save
from app.exchange.dump import export, restore
from app.projections import migrate
from tests.commands import Command
from tests.earlier import lay
from tests.newsroom import SECRET, TESTS, Bases, Json, Newsroom, Server, faults, match, ok, opened, problem


def people_of(db: Database) -> dict[str, tuple[str, str]]:
    """Each person's name and role, by id."""
    with db.read() as session:
        rows = session.execute(select(Person.id, Person.name, Person.role)).all()
    return {row.id: (row.name, row.role) for row in rows}


# --- keys of people ----------------------------------------------------------------------------


def test_a_key_for_which_nobody_is_named_makes_a_person(room: Newsroom) -> None:
    made = ok(room.admin.post("/v1/keys", json={"name": "Ann", "role": "checker"}))
    assert made["person"]["name"] == "Ann"
    assert people_of(room.db)[made["person"]["id"]] == ("Ann", "checker")
    assert ok(room.admin.get(f"/v1/keys/{made['id']}"))["person"] == made["person"]


@pytest.mark.parametrize("named_by", ["id", "name"])
def test_a_person_has_several_keys(room: Newsroom, named_by: str) -> None:
    first = ok(room.admin.post("/v1/keys", json={"name": "Ann", "role": "checker"}))
    body = {"name": "Ann's script", "role": "reporter", "person": first["person"][named_by]}
    second = ok(room.admin.post("/v1/keys", json=body))
    assert second["person"] == first["person"]
    assert [each for each in people_of(room.db).values() if each[0].startswith("Ann")] == [("Ann", "checker")]


def test_a_key_may_do_what_it_and_its_person_may(room: Newsroom) -> None:
    for person, own, least in (("reporter", "admin", "reporter"), ("editor", "reader", "reader")):
        first = ok(room.admin.post("/v1/keys", json={"name": f"The {person}", "role": person}))
        body = {"name": "Second", "role": own, "person": first["person"]["id"]}
        made = ok(room.admin.post("/v1/keys", json=body))
        with room.client(made["secret"]) as client:
            listed = client.get("/v1/keys")
            stated = client.post("/v1/entities", json={"name": person, "kind": "person"})
        assert problem(listed, 403)["role"] == least
        assert stated.status_code == (201 if least == "reporter" else 403)


def test_a_person_who_is_not_here_has_no_key(room: Newsroom) -> None:
    twins = [ok(room.admin.post("/v1/keys", json={"name": "Twin", "role": "reader"})) for _ in range(2)]
    with room.unchanged():
        for person in ("Nobody", "per_01kb1x2y3z4a5b6c7d8e9fghjk", twins[0]["id"], "Twin"):
            body = {"name": "Key", "role": "reader", "person": person}
            refused = problem(room.admin.post("/v1/keys", json=body), 422)
            assert refused["errors"][0]["pointer"] == "/person"
    assert all(each["person"]["id"] in refused["errors"][0]["detail"] for each in twins)


def test_the_command_makes_keys_for_people(room: Newsroom, command: Command) -> None:
    url = room.settings.database_url
    assert command(url, "key", "create", "Ann", "--role", "reporter").code == 0
    assert command(url, "key", "create", "Script", "--role", "editor", "--person", "Ann").code == 0
    assert "reporter  active     Script (Ann)" in command(url, "key", "list").out
    refused = command(url, "key", "create", "Script", "--role", "editor", "--person", "Ben")
    assert refused.code == 1
    assert "there is no person Ben" in refused.last_line


def test_no_key_of_somebody_who_ended_is_made_or_counts(room: Newsroom) -> None:
    with room.db.write() as session:
        key, token = keys.create(session, SECRET.encode(), KeyIn(name="Ann", role="editor"), by=TESTS)
        person_id = key.person_id
    with room.db.write() as session:
        person = session.get_one(Person, person_id)
        person.ended_at = person.created_at
        save(session, person, by=TESTS, action="person.end")
    with room.client(token) as client:
        problem(client.get("/v1/claims"), 401)
    with pytest.raises(Invalid), room.db.read() as session:
        people.resolve(session, person_id, "/person")


# --- people over HTTP --------------------------------------------------------------------------


def test_a_person_is_shown_whole_to_admins_and_in_short_to_checkers(room: Newsroom) -> None:
    desk = ok(room.reporter.post("/v1/entities", json={"name": "The Desk", "kind": "organization"}))
    body = {
        "name": "Ann Example",
        "role": "editor",
        "byline": "A. E.",
        "email": "ann@example.org",
        "organisations": [desk["slug"]],
    }
    made = ok(room.admin.post("/v1/people", json=body))
    assert [each["id"] for each in made["organisations"]] == [desk["id"]]
    assert (made["byline"], made["email"], made["ended_at"]) == ("A. E.", "ann@example.org", None)
    assert ok(room.admin.get(f"/v1/people/{made['id']}")) == made
    short = {name: made[name] for name in ("id", "name", "role")}
    for client in (room.checker, room.editor):
        assert ok(client.get(f"/v1/people/{made['id']}")) == short
        assert short in ok(client.get("/v1/people"))["data"]
    assert "ann@example.org" not in room.editor.get("/v1/people").text


def test_an_email_is_not_on_the_ledger_and_is_in_an_export(room: Newsroom, bases: Bases) -> None:
    made = ok(room.admin.post("/v1/people", json={"name": "Ann", "role": "reader", "email": "a@example.org"}))
    path = f"/v1/people/{made['id']}"
    changed = ok(room.admin.patch(path, headers=match(made), json={"email": "ann@example.org"}))
    assert (changed["email"], changed["version"]) == ("ann@example.org", made["version"] + 1)
    told = room.admin.get(f"/v1/changes?resource=person&resource_id={made['id']}").text
    assert "example.org" not in told
    assert "email_set_at" in told
    with bases.fresh() as url, opened(url) as db:
        with room.db.read() as session, db.write() as writing:
            restore(writing, export(session))
        with db.read() as session:
            assert session.get_one(Person, made["id"]).email == "ann@example.org"
        assert faults(db) == []


BAD = [
    ({"name": "Ann", "role": "king"}, "/role"),
    ({"name": "", "role": "reader"}, "/name"),
    ({"name": "Ann", "role": "reader", "email": "nobody"}, "/email"),
    ({"name": "Ann", "role": "reader", "organisations": ["nowhere"]}, "/organisations/0"),
    ({"name": "Ann", "role": "reader", "organisations": ["somebody"]}, "/organisations/0"),
]


@pytest.mark.parametrize(("body", "at"), BAD)
def test_a_person_who_cannot_be_is_refused(room: Newsroom, body: Json, at: str) -> None:
    room.entity("Somebody")
    ok(room.admin.get("/v1/me"))
    before = people_of(room.db)
    refused = problem(room.admin.post("/v1/people", json=body), 422)
    assert refused["errors"][0]["pointer"] == at
    assert people_of(room.db) == before


def test_whoever_has_a_key_is_told_who_they_are(room: Newsroom) -> None:
    problem(room.anyone.get("/v1/me"), 401)
    person = ok(room.admin.post("/v1/people", json={"name": "Ann", "role": "checker", "byline": "A."}))
    for role, least in (("reader", "reader"), ("admin", "checker")):
        key = ok(room.admin.post("/v1/keys", json={"name": "Key", "role": role, "person": person["id"]}))
        with room.client(key["secret"]) as client:
            me = ok(client.get("/v1/me"))
        assert (me["person"]["id"], me["person"]["byline"]) == (person["id"], "A.")
        assert (me["key"]["id"], me["key"]["role"], me["role"]) == (key["id"], role, least)


def test_ending_a_person_ends_keys_and_leases_at_once(room: Newsroom) -> None:
    person, token = room.person("checker", "Ann")
    ok(room.admin.post("/v1/keys", json={"name": "Second", "role": "checker", "person": person}))
    claim = room.claim()
    with room.client(token) as ann:
        ok(ann.post(f"/v1/claims/{claim['id']}/assignment", headers=match(claim)))
        ended = ok(room.admin.patch(f"/v1/people/{person}", headers={"If-Match": "*"}, json={"ended": True}))
        problem(ann.get("/v1/claims"), 401)
    assert ended["ended_at"] is not None
    theirs = [each for each in ok(room.admin.get("/v1/keys"))["data"] if each["person"]["id"] == person]
    assert [each["revoked_at"] is not None for each in theirs] == [True, True]
    free = room.fresh(claim)["verification"]
    assert (free["status"], free["assignee"], free["lease_expires_at"]) == ("unverified", None, None)
    assert person not in room.checker.get("/v1/people").text
    problem(room.admin.post("/v1/keys", json={"name": "New", "role": "reader", "person": person}), 422)
    back = ok(room.admin.patch(f"/v1/people/{person}", headers={"If-Match": "*"}, json={"ended": False}))
    assert back["ended_at"] is None
    with room.client(token) as ann:
        problem(ann.get("/v1/claims"), 401)


@pytest.mark.parametrize("change", [{"ended": True}, {"role": "editor"}])
def test_the_last_admin_stays_one(room: Newsroom, change: Json, command: Command) -> None:
    me = ok(room.admin.get("/v1/me"))["person"]["id"]
    ok(room.admin.post("/v1/keys", json={"name": "Mine too", "role": "admin", "person": me}))
    path, anyhow = f"/v1/people/{me}", {"If-Match": "*"}
    before = people_of(room.db)
    assert "last of an admin" in problem(room.admin.patch(path, headers=anyhow, json=change), 409)["detail"]
    assert people_of(room.db) == before
    ok(room.admin.patch(path, headers=anyhow, json={"byline": "A."}))
    if "role" in change:
        room.key("admin", "Another")
        ok(room.admin.patch(path, headers=anyhow, json=change))
        problem(room.admin.get("/v1/keys"), 403)
    else:
        assert command(room.settings.database_url, "person", "end", me).code == 0
        problem(room.admin.get("/v1/claims"), 401)
        assert f"{me}  admin     ended " in command(room.settings.database_url, "person", "list").out


def test_a_new_name_shows_where_a_person_has_taken_a_claim(room: Newsroom) -> None:
    person, token = room.person("checker", "Ann")
    claim = room.claim()
    with room.client(token) as ann:
        ok(ann.post(f"/v1/claims/{claim['id']}/assignment", headers=match(claim)))
        assert ok(ann.get(f"/v1/claims/{claim['id']}"))["verification"]["assignee"]["name"] == "Ann"
        ok(room.admin.patch(f"/v1/people/{person}", headers={"If-Match": "*"}, json={"name": "Anna"}))
        shown = ok(ann.get(f"/v1/claims/{claim['id']}"))["verification"]["assignee"]
    assert shown == {"id": person, "name": "Anna"}


# --- people, not keys, work ---------------------------------------------------------------------


@pytest.fixture
def ann(room: Newsroom) -> Iterator[tuple[str, httpx.Client, httpx.Client]]:
    """Somebody with two keys, of an editor and an admin."""
    person, token = room.person("admin", "Ann")
    second = ok(room.admin.post("/v1/keys", json={"name": "Second", "role": "editor", "person": person}))
    with room.client(token) as one, room.client(second["secret"]) as other:
        yield person, one, other


Ann = tuple[str, httpx.Client, httpx.Client]


def test_nobody_passes_four_eyes_with_two_keys(room: Newsroom, ann: Ann) -> None:
    person, one, other = ann
    with room.with_settings(four_eyes=True) as strict:
        claim = strict.claim()
        strict.review(strict.take(claim, by=one), by=one)
        path = f"/v1/claims/{claim['id']}"
        for move in ("approval", "return"):
            problem(other.post(f"{path}/{move}", headers={"If-Match": "*"}), 409, "illegal-move")
        queues = {each["name"]: each for each in ok(other.get("/v1/queues"))["data"]}
        assert queues["awaiting_approval"]["claims"] == 0
        assert f"not_proposed_by={person}" in queues["awaiting_approval"]["url"]
        ok(strict.editor.post(f"{path}/approval", headers={"If-Match": "*"}))


def test_what_somebody_proposed_who_has_ended_is_returned_to_nobody(room: Newsroom) -> None:
    person, token = room.person("checker", "Ann")
    with room.with_settings(four_eyes=True) as strict, room.client(token) as ann:
        claim = strict.claim()
        strict.review(strict.take(claim, by=ann), by=ann)
        ok(strict.admin.patch(f"/v1/people/{person}", headers={"If-Match": "*"}, json={"ended": True}))
        path = f"/v1/claims/{claim['id']}"
        ok(strict.editor.post(f"{path}/return", headers={"If-Match": "*"}, json={"note": "Not yet."}))
        after = strict.fresh(claim)["verification"]
        assert (after["status"], after["assignee"]) == ("unverified", None)


def test_a_lease_is_a_persons_whichever_key_they_use(room: Newsroom, ann: Ann) -> None:
    _, one, other = ann
    claim = room.claim()
    room.take(claim, by=one)
    queues = {each["name"]: each for each in ok(other.get("/v1/queues"))["data"]}
    assert queues["mine"]["claims"] == 1
    assert [each["id"] for each in ok(other.get(queues["mine"]["url"]))["data"]] == [claim["id"]]
    room.review(claim, by=other)


@pytest.mark.parametrize("named_by", ["id", "name"])
def test_a_claim_is_given_to_a_person(room: Newsroom, ann: Ann, named_by: str) -> None:
    person, *_ = ann
    claim = room.claim()
    to = {"assignee": person if named_by == "id" else "Ann"}
    given = ok(room.editor.post(f"/v1/claims/{claim['id']}/assignment", headers=match(claim), json=to))
    assert given["verification"]["assignee"] == {"id": person, "name": "Ann"}


def test_the_actor_of_an_entry_is_a_person(room: Newsroom, ann: Ann) -> None:
    person, one, other = ann
    for client, name in ((one, "One"), (other, "Two")):
        ok(client.post("/v1/entities", json={"name": name, "kind": "person"}))
    found = ok(room.admin.get("/v1/changes", params={"actor": person}))["data"]
    assert [(each["actor"], each["actor_name"]) for each in found] == [(person, "Ann")] * 2


def test_an_actors_entries_from_before_are_found_by_the_person(bases: Bases, server: Server) -> None:
    with bases.fresh(migrated=False) as url:
        lay(url, "0013")
        migrate(url)
        with Newsroom(server, url) as room:
            whole = ok(room.admin.get("/v1/changes", params={"limit": 200, "order": "desc"}))["data"]
            key = next(each["actor"] for each in whole if each["actor"].startswith("key_"))
            found = ok(room.admin.get("/v1/changes", params={"actor": person_of(key), "limit": 200}))["data"]
    assert {each["actor"] for each in found} == {key}


def test_a_kept_answer_is_a_keys(ann: Ann) -> None:
    _, one, other = ann
    again = {"Idempotency-Key": "one"}
    made = [
        client.post("/v1/entities", json={"name": name, "kind": "person"}, headers=again)
        for client, name in ((one, "One"), (other, "Two"), (one, "One"))
    ]
    assert [ok(each)["name"] for each in made] == ["One", "Two", "One"]
    assert [each.headers.get("idempotency-replayed") for each in made] == [None, None, "true"]


# --- keys from before there were people --------------------------------------------------------


def expected(db: Database) -> dict[str, tuple[str, str]]:
    """The people that keys of before make."""
    with db.read() as session:
        rows = session.execute(select(Key.id, Key.name, Key.role, Key.person_id)).all()
    assert all(row.person_id == person_of(row.id) for row in rows)
    return {person_of(row.id): (row.name, row.role) for row in rows}


def test_each_key_of_before_is_a_person_wherever_it_is_read(bases: Bases) -> None:
    with bases.fresh(migrated=False) as url, bases.fresh() as again:
        lay(url, "0013")
        schema.upgrade(url)
        with opened(url) as upgraded, opened(again) as imported:
            with upgraded.read() as session, imported.write() as writing:
                restore(writing, export(session))
            assert people_of(upgraded) == people_of(imported) == expected(imported) != {}
            for db in (upgraded, imported):
                assert [each for each in faults(db) if "person" in each or "key" in each] == []


def test_a_key_of_before_with_another_person_is_a_fault(bases: Bases) -> None:
    with bases.fresh(migrated=False) as url:
        lay(url, "0013")
        schema.upgrade(url)
        with opened(url) as db:
            first, second, *_ = sorted(people_of(db))
            with db.writer.begin() as connection:
                moved = f"UPDATE keys SET person_id = '{second}' WHERE person_id = '{first}'"
                connection.exec_driver_sql(moved)
                connection.exec_driver_sql(f"UPDATE people SET name = 'Another' WHERE id = '{second}'")
            told = faults(db)
        assert f"key {first.replace('per_', 'key_')}: person_id is not what its history says" in told
        assert f"person {second}: name is not what its history says" in told


def test_what_is_done_to_such_a_person_follows_on(bases: Bases) -> None:
    with bases.fresh(migrated=False) as url, bases.fresh() as again:
        lay(url, "0013")
        schema.upgrade(url)
        with opened(url) as db, opened(again) as imported:
            person_id = min(people_of(db))
            with db.write() as session:
                person = session.get_one(Person, person_id)
                person.name = "Ann Example"
                save(session, person, by=TESTS, action="person.revise")
            with db.read() as session, imported.write() as writing:
                restore(writing, export(session))
            for each in (db, imported):
                assert people_of(each)[person_id][0] == "Ann Example"
                assert [fault for fault in faults(each) if "person" in fault] == []


def test_there_is_no_way_down_once_there_are_people(bases: Bases) -> None:
    with bases.fresh() as url:
        with opened(url) as db, db.write() as session:
            people.create(session, "Ann", "editor", by=TESTS)
        with pytest.raises(ValueError, match="Entries from 1 on tell of people"):
            schema.downgrade(url, "0017")
