"""Who asks, and what the public is shown: every route, found by the tests themselves, asked without a key."""

import dataclasses
from collections.abc import Iterable, Iterator

import httpx
import pytest
from sqlalchemy import text
from sqlmodel import SQLModel

from app.access.caller import ANONYMOUS, Caller
from app.access.model import Role
from app.base.public import OPEN, SHOWN, as_public
from app.changes.entry import entry_hash
from app.claims.words import WITHDRAWN
from tests.contract import asking, operations, places
from tests.newsroom import TESTS, Json, Newsroom, match, ok

# --- who asks ----------------------------------------------------------------------------------


def test_one_value_says_who_asks_and_is_never_changed() -> None:
    checker = Caller(TESTS, Role.checker)
    assert [checker.has(role) for role in (Role.reporter, Role.checker, Role.editor)] == [True, True, False]
    assert checker.inside
    assert not ANONYMOUS.inside
    assert not ANONYMOUS.has(Role.reader)
    with pytest.raises(dataclasses.FrozenInstanceError):
        checker.role = Role.admin  # type: ignore[misc]


def test_what_is_read_knows_whether_the_public_asks(room: Newsroom) -> None:
    for base, public in ((room.db, False), (room.db.outside, True), (room.app.state.house.at(0), False)):
        assert base.public is public
        with base.read() as session:
            assert session.public is public
    assert room.app.state.house.at(0, public=True) == room.db.outside
    assert room.db.outside.reader is not room.db.reader


# --- the filter --------------------------------------------------------------------------------


def test_each_table_is_filtered_or_named_as_one_that_need_not_be() -> None:
    assert not SHOWN.keys() & OPEN
    assert SHOWN.keys() | OPEN == {*SQLModel.metadata.tables, "alembic_version"}


def test_the_public_reads_the_columns_that_a_table_has(room: Newsroom) -> None:
    with room.db.read() as inside, room.db.outside.read() as outside:
        for name in SHOWN:
            columns = [
                {*session.connection().exec_driver_sql(f"SELECT * FROM {name} LIMIT 0").keys()}
                for session in (inside, outside)
            ]
            assert columns[0] == columns[1], name


def test_whatever_names_a_table_is_filtered(room: Newsroom) -> None:
    """By the session, by `ask`, in parts, and in SQL that no query was built for."""
    claim = room.claim()
    with room.db.write() as session:
        session.execute(text("INSERT INTO hidden_records VALUES (:id)"), {"id": claim["id"]})
    room.tampered = True
    counts = ["SELECT count(*) FROM claims", "SELECT count(*) FROM (SELECT id FROM claims) AS c"]
    for base, there in ((room.db, 1), (room.db.outside, 0)):
        with base.read() as session:
            for words in counts:
                assert session.connection().exec_driver_sql(words).scalar_one() == there, words
            parts = session.execute(text("SELECT id FROM claims"), execution_options={"yield_per": 1})
            assert len(parts.all()) == there
            assert session.connection().exec_driver_sql(WITHDRAWN).all() == []


def test_a_statement_that_writes_is_none_of_the_public() -> None:
    assert as_public("SELECT 1") == "SELECT 1"
    with pytest.raises(RuntimeError):
        as_public("DELETE FROM claims")


# --- asking everything ---------------------------------------------------------------------------


def addresses(room: Newsroom) -> list[str]:
    """An address or more of each GET that the public may make, as it is now and as of the last change."""
    last = ok(room.admin.get("/v1/changes?order=desc&limit=1"))["data"][0]["seq"]
    found = []
    for operation in operations(room):
        if operation.reads and operation.allows(None):
            here = [*places(room, operation.path)]
            here = [asking(at, after=0, until=last) for at in here] if "until" in operation.query else here
            found += here
            if "as_of" in operation.query:
                found += [asking(at, as_of=last) for at in here[:2]]
            found += [asking(here[0], q="zanzibar")] if "q" in operation.query and here else []
    return found


def answers(client: httpx.Client, asked: Iterable[str]) -> Iterator[tuple[str, httpx.Response]]:
    for address in asked:
        yield address, client.get(address)


def having(word: str, told: Iterable[tuple[str, httpx.Response]]) -> set[str]:
    return {address for address, answer in told if word in answer.text.lower()}


# --- proposals and notes -------------------------------------------------------------------------


def propose(room: Newsroom, claim: Json) -> Json:
    """A ruling that waits, with words that are nowhere else."""
    proof = {"url": "https://example.org/zanzibar", "stance": "refutes", "note": "From zanzibar."}
    with room.with_settings(four_eyes=True) as careful:
        careful.take(claim)
        return careful.review(claim, summary="It is zanzibar.", evidence=[proof])


def test_no_answer_to_the_public_has_a_word_of_what_waits_or_was_returned(room: Newsroom) -> None:
    claim, other = room.claim(), room.claim("Another claim.")
    review = propose(room, claim)
    back = {"note": "Is zanzibar enough?"}
    with room.with_settings(four_eyes=True) as careful:
        propose(room, other)
        path = f"/v1/claims/{other['id']}/return"
        ok(careful.editor.post(path, headers=match(careful.fresh(other)), json=back))
    note = {"url": "https://example.org/b", "stance": "context", "note": "A source in zanzibar."}
    ok(room.checker.post(f"/v1/claims/{claim['id']}/evidence", json=note))
    asked = addresses(room)
    for caller, sees in ((room.anyone, False), (room.reader, True)):
        found = having("zanzibar", answers(caller, asked))
        assert bool(found) is sees, found
    path = f"/v1/claims/{claim['id']}/reviews"
    assert room.get(path)["data"] == []
    assert room.anyone.get(f"{path}/{review['id']}").status_code == 404
    [gathered] = room.get(f"/v1/claims/{claim['id']}/evidence")["data"]
    assert (gathered["url"], gathered["note"]) == ("https://example.org/b", None)
    for entry in room.get("/v1/changes", limit=200)["data"]:
        assert entry_hash(entry) == entry["hash"]


def test_what_waited_is_disclosed_once_it_is_approved(room: Newsroom) -> None:
    claim = room.claim()
    review = propose(room, claim)
    with room.with_settings(four_eyes=True) as careful:
        path = f"/v1/claims/{claim['id']}/approval"
        ok(careful.editor.post(path, headers=match(careful.fresh(claim))))
    path = f"/v1/claims/{claim['id']}/reviews"
    assert [each["id"] for each in room.get(path)["data"]] == [review["id"]]
    [gathered] = room.get(f"/v1/claims/{claim['id']}/evidence")["data"]
    assert (gathered["url"], gathered["note"]) == ("https://example.org/zanzibar", None)
    told = room.get("/v1/changes", limit=200)["data"]
    [approval] = [each for each in told if each["action"] == "claim.approve"]
    revealed = approval["difference"]["publication"]["new"]["reveals"]
    assert [each["resource"] for each in told if each["seq"] in revealed] == ["evidence", "review"]
    assert all(entry_hash(entry) == entry["hash"] for entry in told)
    assert having("from zanzibar", answers(room.anyone, addresses(room))) == set()
