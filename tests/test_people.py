"""People: whose keys are, what those may do, and what is told of both."""

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
from tests.commands import Command
from tests.earlier import lay
from tests.newsroom import SECRET, TESTS, Bases, Newsroom, faults, ok, opened, problem


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
