"""The whole base in one file: the same base comes of it, on either database, or nothing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import inspect, select
from sqlmodel import SQLModel

from app.base.db import Database
from app.base.errors import Conflict, Invalid, Problem
from app.base.types import wire
from app.changes.replay import ORDER, kinds
from app.exchange.dump import export, restore
from tests.newsroom import Bases, Newsroom, PostgresBases, SqliteBases, empty, faults, ok

NOT_OF_THE_BASE = {"documents", "stems", "forms", "postings", "reference_epoch", "idempotency",
                   "webhook_progress", "database_properties"}  # fmt: skip


def file_of(db: Database) -> list[bytes]:
    with db.read() as session:
        return list(export(session))


def dump(db: Database) -> dict[str, list[Any]]:
    """Every row of every table, but for the index of words, which numbers its documents as they come, and the
    epoch of names: whether these are right is checked after every test.
    """
    with db.read() as session:
        there = set(inspect(session.connection()).get_table_names())
        return {
            name: sorted(
                (tuple(map(wire, row)) for row in session.execute(select(table))), key=lambda row: str(row)
            )
            for name, table in SQLModel.metadata.tables.items()
            if name in there - NOT_OF_THE_BASE
        }


def bring(db: Database, lines: list[bytes]) -> tuple[int, int]:
    with db.write() as session:
        return restore(session, iter(lines))


@pytest.fixture
def rich(furnished: Newsroom) -> Newsroom:
    """A base with something of everything, changed in every way."""
    claim = furnished.claim("Revised.", figures=[{"measure": "gas", "value": "98.5", "unit": "bcm"}])
    repeat = furnished.claim("Said again.")
    path = f"/v1/claims/{repeat['id']}"
    body = {
        "repeats": claim["id"],
        "topics": ["a"],
        "figures": [{"measure": "b", "value": "0.1", "unit": "%"}],
    }
    ok(furnished.reporter.patch(path, headers={"If-Match": "*"}, json=body))
    return furnished


def test_the_same_base_comes_of_it_on_either_database(
    rich: Newsroom, sqlite_bases: SqliteBases, postgres_bases: PostgresBases
) -> None:
    lines, rows = file_of(rich.db), dump(rich.db)
    assert len(lines) > 100
    for bases in (sqlite_bases, postgres_bases):
        with empty(bases) as db:
            added, told = bring(db, lines)
            assert added == told == len(rows["changes"])
            found = dump(db)
            for table in rows:
                assert found[table] == rows[table], table
            assert faults(db) == []
            assert file_of(db) == lines


def test_twice_is_once_and_a_part_gets_the_rest(rich: Newsroom, bases: Bases) -> None:
    early = file_of(rich.db)
    rich.claim("Later.")
    late = file_of(rich.db)
    with empty(bases) as db:
        bring(db, early)
        assert bring(db, early)[0] == 0
        assert file_of(db) == early
        assert bring(db, late)[0] == 1
        assert file_of(db) == late
        assert bring(db, early)[0] == 0, "a base that is ahead stays as it is"
        assert file_of(db) == late
        assert dump(db) == dump(rich.db)


def test_another_history_is_refused(seeded: Newsroom, sqlite_bases: SqliteBases) -> None:
    lines = file_of(seeded.db)
    with empty(sqlite_bases) as db:
        bring(db, lines)
        seeded.claim("Here.")
        with Newsroom(seeded.server, str(db.url)) as other:
            other.claim("There.")
            before = dump(db)
            with pytest.raises(Conflict, match="differs from change"):
                bring(db, file_of(seeded.db))
        assert dump(db) == before


def altered(lines: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    yield "empty", []
    yield "cut off in a line", [*lines[:30], lines[30][:50]]
    yield "cut off between lines", lines[:30]
    yield "without its last line", lines[:-1]
    yield "a line is missing", lines[:20] + lines[21:]
    yield "two lines swapped", [*lines[:20], lines[21], lines[20], *lines[22:]]
    yield "a line twice", [*lines[:20], lines[19], *lines[20:]]
    yield "goes on", [*lines, lines[5]]
    yield "a word changed", [line.replace(b"Putin", b"Pushkin") for line in lines]
    off = next(n for n, line in enumerate(lines) if line.startswith(b'{"off_ledger"'))
    yield "a text changed", [*lines[:off], lines[off].replace(b'"id"', b'"ID"'), *lines[off + 1 :]]
    yield "of a later version", [lines[0].replace(b":2,", b":3,"), *lines[1:]]
    yield "no lines of an export", [b"{}\n", b"[]\n"]


def test_what_is_not_whole_leaves_nothing(rich: Newsroom, bases: Bases) -> None:
    lines = file_of(rich.db)
    with empty(bases) as db:
        nothing = dump(db)
        for what, wrong in altered(lines):
            with pytest.raises(Problem) as refused:
                bring(db, wrong)
            assert isinstance(refused.value, Invalid), what
            assert dump(db) == nothing, what
        bring(db, lines)
        assert faults(db) == []


def test_every_entry_is_as_the_feed_has_it(seeded: Newsroom) -> None:
    told = [json.loads(line)["change"] for line in file_of(seeded.db) if line.startswith(b'{"change"')]
    feed = seeded.get("/v1/changes", limit=200)["data"]
    assert told[: len(feed)] == feed


def test_a_replay_knows_every_noun() -> None:
    assert sorted(ORDER) == sorted(kinds())
