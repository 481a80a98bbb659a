"""Projections have a version: an older one is not served, and is rebuilt while an old process reads on."""

import hashlib
import json
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlmodel import col

from app import projections
from app.access.model import Key
from app.access.store import token_hash
from app.base import properties, schema
from app.base.db import Database
from app.base.sql import select
from app.exchange.dump import restore
from app.main import unfitness
from app.operations.checks import faults as found_faults
from app.projections import DIGESTS, PROJECTIONS, VERSION, rebuild
from tests.commands import Command, forked
from tests.contract import reading
from tests.earlier import HERE, LAST_OF_FORM_1, content, lay
from tests.newsroom import SECRET, Bases, Newsroom, Server, ok, problem
from tests.served import environment
from tests.test_patch import RESOURCES, fields, patched
from tests.test_schema import REVISIONS
from tests.test_schema import rows as counted

NEXT = max(DIGESTS) + 1


def noted(room: Newsroom) -> str | None:
    with room.db.read() as session:
        return properties.get(session, "projections")


def note(url: str, value: str) -> None:
    """Note another version in a database."""
    db = Database(url, pool_size=1)
    with db.write() as session:
        properties.put(session, "projections", value)
    db.dispose()


def faults(url: str) -> list[str]:
    db = Database(url, pool_size=1)
    with db.read() as session:
        found = [*found_faults(session)]
    db.dispose()
    return found


# --- the digest --------------------------------------------------------------------------------

KEPT = {
    "claim_bodies": "SELECT claim_id, body, facts FROM claim_bodies",
    "claim_listing": "SELECT facet, status, said, claim_id FROM claim_listing",
    "claim_tallies": "SELECT first, second, a, b, claims FROM claim_tallies",
    "claim_ranks": "SELECT claim_id, status, repeats FROM claim_ranks",
    "figures": "SELECT id, lowest, highest FROM figures",
    "documents": "SELECT record_id, words FROM documents",
    "postings": "SELECT record_id, stem, weight FROM postings"
    " JOIN documents ON number = document JOIN stems ON stems.id = stem_id",
    "stems": "SELECT stem, documents FROM stems",
    "forms": "SELECT form, stem FROM forms JOIN stems ON stems.id = stem_id",
}
"""What is derived, without numbers that depend on the order of writing."""

OF_FIXED_IDS = KEPT | {"claim_twins": "SELECT claim_id, fingerprint FROM claim_twins"}
"""And what is made of ids."""


def rows(room: Newsroom, queries: Mapping[str, str], plain: Callable[[str], str] = str) -> Iterator[str]:
    """What is derived, a line a row."""
    with room.db.read() as session:
        for name, query in queries.items():
            yield name
            found = session.connection().exec_driver_sql(query)
            yield from sorted("\t".join(plain(str(each)) for each in row) for row in found)


_ID, _AT = re.compile(r"\b[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}\b"), re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


def without_chance(room: Newsroom) -> Callable[[str], str]:
    """Puts places in the ledger in the place of ids, and leaves out the time of day."""
    with room.db.read() as session:
        asked = session.connection().exec_driver_sql
        ids = [*asked("SELECT resource_id FROM changes WHERE version = 1 ORDER BY seq").scalars()]
        ids += asked("SELECT id FROM figures ORDER BY claim_id, position").scalars()
    places = {record_id: f"{record_id[:3]}-{n}" for n, record_id in enumerate(ids)}
    return lambda value: _AT.sub("at", _ID.sub(lambda found: places.get(found[0], found[0]), value))


def test_the_digest_of_the_projections_is_that_of_their_version(
    bases: Bases, server: Server, tmp_path: Path
) -> None:
    """The seed and every verdict, attribution, move and merge as version 0013 wrote them, and one of each
    resource with every field that it has today.
    """
    lines: list[str] = []
    with bases.fresh() as url, Newsroom(server, url) as room:
        with room.db.write() as session:
            restore(session, content(HERE / LAST_OF_FORM_1 / "export.ndjson").splitlines(keepends=True))
        lines += rows(room, OF_FIXED_IDS)
    with bases.fresh() as url, Newsroom(server, url) as room:
        for path, resource in RESOURCES.items():
            if "webhooks" not in path:
                at = resource.make(room)
                patched(room, at, **{name: first for name, (first, _) in fields(room, path, at).items()})
        lines += rows(room, KEPT, without_chance(room))
    (tmp_path / "lines").write_text("\n".join(lines))
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert digest == DIGESTS[VERSION], (
        f"What is derived from the records of the tests is not what version {VERSION} of the projections "
        f"makes of them, so databases that have it hold something else than this code expects. "
        f'Add to DIGESTS in app/projections.py:\n    {NEXT}: "{digest}",\n'
        "`migrate` then rebuilds them. Only where nothing but the tests' own records has changed may the "
        f"digest of version {VERSION} be replaced."
    )


# --- another version ---------------------------------------------------------------------------


@pytest.fixture
def step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebuilds are committed after every batch."""
    monkeypatch.setattr(projections, "_COMMIT_SECONDS", 0)


OLDER = (
    """UPDATE claim_bodies SET facts = replace(facts, '"month":', '"week":')""",
    "DELETE FROM claim_tallies WHERE first = 'month' OR second = 'month'",
    "UPDATE claim_bodies SET body = replace(body, '\"place\":', '\"where\":')",
    "UPDATE forms SET stem_id = stem_id + 1",
    "DELETE FROM claim_twins WHERE claim_id < (SELECT max(claim_id) FROM claim_twins)",
    "UPDATE claim_twins SET fingerprint = 'another'",
    "UPDATE documents SET words = 'nothing', stems = '' WHERE number > 80",
    "DELETE FROM postings WHERE document > 80",
    "UPDATE stems SET documents = (SELECT count(*) FROM postings WHERE stem_id = stems.id) WHERE stem <> ''",
)
"""What makes the projections an older version's: whole by themselves, and not what this code reads."""


def make_older(url: str, *more: str) -> None:
    """Put the projections of an older version into a database."""
    db = Database(url, pool_size=1)
    with db.write() as session:
        for statement in (*OLDER, *more):
            session.connection().exec_driver_sql(statement)
        properties.put(session, "projections", "0")
    db.dispose()


class Killed(Exception):
    """Ends a rebuild."""


def go_on(url: str, steps: int) -> list[str]:
    """Rebuild up to so many commits, and return what was said."""
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if len(said) == steps:
            raise Killed

    db = Database(url, pool_size=2)
    try:
        rebuild(db, say)
    except Killed:
        pass
    finally:
        db.dispose()
    return said


@pytest.mark.usefixtures("step_by_step")
def test_an_older_version_is_rebuilt_in_steps_while_an_old_process_reads_on(seeded: Newsroom) -> None:
    url, whole = seeded.settings.database_url, seeded.get("/v1/claims", limit=50)
    found = seeded.get("/v1/search", q="gas", limit=50)
    seeded.reporter  # noqa: B018 (makes a key)
    make_older(url)
    said: list[str] = []
    for _ in PROJECTIONS:
        said += go_on(url, 3)
        if said[-1].startswith("The projections are"):
            break
        listed = ok(seeded.anyone.get("/v1/claims?limit=50"))["data"]
        assert [claim["id"] for claim in listed] == [claim["id"] for claim in whole["data"]]
        assert ok(seeded.anyone.get("/v1/stats?by=speaker"))["data"] != []
        body = {"name": "Nobody", "kind": "person"}
        refused = problem(seeded.reporter.post("/v1/entities", json=body), 503)
        assert "another version" in refused["detail"]
        assert "being rebuilt" in problem(seeded.anyone.get("/readyz"), 503)["detail"]
    else:
        raise AssertionError("it begins again and again")
    numbers = [int(line.rpartition(", ")[2].partition(" of ")[0]) for line in said[:-1]]
    assert numbers == sorted(numbers), "it begins again"
    assert len(numbers) > len(PROJECTIONS)
    assert unfitness(seeded.db) is None
    assert noted(seeded) == str(VERSION)
    assert seeded.faults() == []
    assert (seeded.get("/v1/claims", limit=50), seeded.get("/v1/search", q="gas", limit=50)) == (whole, found)
    seeded.entity("Somebody")


KILLED = """
import itertools, os, signal, sys
sys.path.insert(0, {root!r})
from dataclasses import replace
from app import projections

def few(ids):
    return lambda session, last: (
        some[n : n + 8] for some in ids(session, last) for n in range(0, len(some), 8)
    )

projections.PROJECTIONS = tuple(
    replace(each, ids=each.ids and few(each.ids)) for each in projections.PROJECTIONS
)
projections._COMMIT_SECONDS = 0
step, steps = projections._go_on, itertools.count(1)

def kill(session):
    place = step(session)  # whose transaction is open
    if next(steps) == {last}:
        os.kill(os.getpid(), signal.SIGKILL)
    return place

projections._go_on = kill
"""
"""A `sitecustomize` that kills its process in a step of a rebuild, when eight records more are done and not
yet kept.
"""


def test_a_rebuild_that_is_killed_goes_on_where_it_stopped(seeded: Newsroom, tmp_path: Path) -> None:
    url, whole = seeded.settings.database_url, seeded.get("/v1/claims", limit=50)
    found = seeded.get("/v1/search", q="gas", limit=50)
    body = {"name": "Nobody", "kind": "person"}
    seeded.reporter  # noqa: B018 (makes a key)
    make_older(url)
    env = {**environment(url, RECORD_SECRET=SECRET), "PYTHONPATH": str(tmp_path)}
    places, said = [], ""
    for last in (24, 24, 0):  # the last of them goes on to the end
        (tmp_path / "sitecustomize.py").write_text(KILLED.format(root=str(schema.ROOT), last=last))
        done = forked(["migrate"], env)
        said += done.err
        if last:
            assert done.code == -signal.SIGKILL, done
            place = json.loads(noted(seeded) or "")
            places.append((place["number"], place["after"]))
            assert [claim["id"] for claim in ok(seeded.anyone.get("/v1/claims?limit=50"))["data"]] == [
                claim["id"] for claim in whole["data"]
            ]
            assert (
                "another version" in problem(seeded.reporter.post("/v1/entities", json=body), 503)["detail"]
            )
    assert done.code == 0, done
    assert places == sorted(set(places)), "it began again"
    assert any(after for _, after in places), "none was in the middle of a projection"
    numbers = [int(told) for told in re.findall(r", (\d+) of", said)]
    assert numbers == sorted(numbers), "it began again"
    assert (noted(seeded), unfitness(seeded.db), seeded.faults()) == (str(VERSION), None, [])
    assert (seeded.get("/v1/claims", limit=50), seeded.get("/v1/search", q="gas", limit=50)) == (whole, found)
    ok(seeded.reporter.post("/v1/entities", json=body))


@pytest.mark.usefixtures("step_by_step")
def test_what_does_not_add_up_is_rebuilt_from_nothing(seeded: Newsroom) -> None:
    make_older(seeded.settings.database_url, "UPDATE claim_tallies SET claims = claims + 1 WHERE first <> ''")
    said = go_on(seeded.settings.database_url, 0)
    assert said[-1].startswith("The projections are")
    assert len([line for line in said if line.startswith("Rebuilding documents")]) > 1
    assert seeded.faults() == []


def test_a_rebuild_of_another_version_is_not_gone_on_with(seeded: Newsroom) -> None:
    url = seeded.settings.database_url
    make_older(url)
    note(url, '{"version":0,"cleared":false,"number":9,"after":""}')
    go_on(url, 0)
    assert seeded.faults() == []


def test_commands_refuse_another_version_and_name_what_helps(
    bases: Bases, command: Command, tmp_path: Path
) -> None:
    with bases.fresh(seeded=True) as url:
        make_older(url)
        for words in (
            ["verify"],
            ["export", str(tmp_path / "e.ndjson")],
            ["key", "create", "A", "--role", "admin"],
        ):
            done = command(url, *words)
            assert done.code == 1
            assert "of version 0, and version" in done.last_line
            assert done.last_line.endswith("python -m app migrate")
        looked = command(url, "doctor", "--json")
        assert looked.code == 1
        [finding] = [each for each in json.loads(looked.out) if each["check"] == "projections"]
        assert finding["state"] == "fault"
        done = command(url, "migrate")
        assert done.code == 0
        assert done.last_line == f"The projections are of version {VERSION}"
        assert command(url, "verify").code == 0
        assert command(url, "migrate").err == ""
        make_older(url)
        assert command(url, "reindex").code == 0
        assert faults(url) == []


@pytest.mark.usefixtures("client_programs")
def test_a_backup_with_an_older_version_is_restored_and_migrated(
    bases: Bases, command: Command, tmp_path: Path
) -> None:
    """What this code would find wrong with its projections is no damage of the backup."""
    file = str(tmp_path / "older.backup")
    with bases.fresh(seeded=True) as url:
        make_older(url)
        assert command(url, "backup", file).code == 0
        done = command(url, "restore", file, "--force")
        assert done.code == 0, done
        assert "of version 0, and version" in done.err
        assert command(url, "migrate").code == 0
        assert command(url, "verify").code == 0


def test_a_process_of_another_schema_reads_on_and_writes_nothing(seeded: Newsroom) -> None:
    url, reporter = seeded.settings.database_url, seeded.reporter
    db = Database(url, pool_size=1)
    with db.write() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    body = {"name": "Nobody", "kind": "person"}
    refused = reporter.post("/v1/entities", json=body)
    assert "another version" in problem(refused, 503)["detail"]
    assert refused.headers["retry-after"] == "10"
    assert len(ok(seeded.anyone.get("/v1/claims?limit=50"))["data"]) == 33
    with db.write() as session:
        session.connection().exec_driver_sql(f"UPDATE alembic_version SET version_num = '{REVISIONS[0]}'")
    db.dispose()
    ok(reporter.post("/v1/entities", json=body))


# --- migrations --------------------------------------------------------------------------------


EMPTY = {"ledger_nodes", "claim_bodies", "documents", "stems", "forms", "postings", "people_organisations"}
"""Tables that may have no rows: of each 256 entries, projections that a step back takes away, and what those
who were keys have none of.
"""


def upgraded(url: str, server: Server) -> list[str]:
    """Upgrade a database whose tables all have rows, and return an address for each of its routes."""
    lay(url)
    projections.migrate(url)
    with Newsroom(server, url) as room:
        room._clients["admin"] = room.client(token_of_before(room))
        body = {"name": "Written in a later version", "kind": "person"}
        ok(room.admin.post("/v1/entities", json=body, headers={"Idempotency-Key": "one"}))
        return [address for _, address in reading(room)]


def token_of_before(room: Newsroom) -> str:
    """A token for an admin's key of before: no step back leaves a person behind, whom a new one has."""
    token = "otr_of_before"
    admins = select(Key.id).where(col(Key.role) == "admin", col(Key.revoked_at).is_(None)).limit(1)
    with room.db.write() as session:
        known = update(Key).where(col(Key.id) == session.execute(admins).scalar_one())
        session.execute(known.values(token_hash=token_hash(SECRET.encode(), token)))
    return token


def step_back(url: str, revision: str, *more: str) -> None:
    schema.downgrade(url, revision)
    assert {name for name, count in counted(url).items() if not count} <= {*EMPTY, *more}


def test_the_newest_step_up_is_verified_and_served_with_rows_in_every_table(
    bases: Bases, server: Server
) -> None:
    with bases.fresh(migrated=False) as url:
        addresses = upgraded(url, server)
        step_back(url, REVISIONS[1])
        projections.migrate(url)
        with Newsroom(server, url) as room:
            assert room.faults() == []
            for address in addresses:
                answer = room.admin.get(address)
                assert answer.status_code == 200, (address, answer.text)


@pytest.mark.usefixtures("first_form")
def test_earlier_steps_up_have_right_projections_with_rows_in_every_table(
    bases: Bases, server: Server
) -> None:
    """The last steps, and the whole way up. A step back drops columns, so that the ledger tells of more than
    the rows have; after the longest way up, each route answers all the same.
    """
    with bases.fresh(migrated=False) as url:
        addresses = upgraded(url, server)
        for revision in (*REVISIONS[2:4], REVISIONS[-1]):
            step_back(url, revision, "change_values")  # of the second form, which no step below 0014 has
            projections.migrate(url)
            db = Database(url, pool_size=1)
            with db.read() as session:
                assert [fault for each in PROJECTIONS for fault in each.verify(session)] == [], revision
            db.dispose()
        with Newsroom(server, url) as room:
            assert {room.admin.get(address).status_code for address in addresses} == {200, 404}
