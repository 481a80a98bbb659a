"""The Merkle log over the ledger: what its proofs prove to someone who has only them, and what is refused."""

import contextlib
import re
from base64 import b64decode
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from app.base import merkle
from app.base.db import Database, WriteSession
from app.base.notes import Checkpoint, Signer, Verifier, read_proof
from app.base.pools import SQLITE
from app.base.sql import table
from app.changes.ledger import head
from app.changes.model import Change, Record
from app.changes.store import BOOKKEEPING, New, ledger_columns, save_all
from app.changes.tree import WIDTH, Tree
from app.changes.walk import record_kinds, verify
from app.entities.model import Entity, EntityIn
from app.entities.rows import compose
from tests.commands import Command, tamper
from tests.contract import furnish
from tests.newsroom import (
    SECRET,
    TESTS,
    Bases,
    Newsroom,
    Server,
    SqliteBases,
    match,
    ok,
    prepared,
    problem,
)

MANY = 2 * WIDTH + 40


def fill(room: Newsroom, count: int, name: str = "concept") -> None:
    """Adds so many changes."""
    with room.db.write() as session:
        news = [new(session, f"{name}-{n}") for n in range(count)]
        save_all(session, news, by=TESTS, action="entity.create")


def new(session: WriteSession, slug: str) -> New[Entity]:
    return compose(session, EntityIn(kind="concept", name="A concept", slug=slug), {}, (), free=True)


@pytest.fixture
def long(room: Newsroom) -> Newsroom:
    fill(room, MANY)
    return room


def noted(room: Newsroom) -> tuple[str, Checkpoint]:
    """The checkpoint of now, checked with the public key."""
    key = Verifier.read(room.anyone.get("/v1/log/key").text)
    note = room.anyone.get("/v1/log/checkpoint")
    assert (note.status_code, note.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    return note.text, Checkpoint.read(note.text, key)


def entries(room: Newsroom) -> list[str]:
    """The hashes of all entries."""
    found: list[str] = []
    while page := room.get("/v1/changes", after=len(found), limit=200)["data"]:
        found += [entry["hash"] for entry in page]
    return found


def decoded(hashes: list[str]) -> list[bytes]:
    return [b64decode(each) for each in hashes]


def test_the_checkpoint_is_of_all_changes(long: Newsroom) -> None:
    _, signed = noted(long)
    hashes = entries(long)
    assert signed.size == len(hashes) >= MANY
    leaves = [merkle.leaf(bytes.fromhex(each)) for each in hashes]

    def at(level: int, index: int) -> bytes:
        return merkle.fold(leaves[index << level : (index + 1) << level])

    assert signed.root == merkle.root(len(leaves), at)


def test_each_change_is_proven_to_be_in_it(long: Newsroom) -> None:
    note, signed = noted(long)
    for seq in (1, 2, WIDTH, WIDTH + 1, 2 * WIDTH, signed.size):
        proven = ok(long.anyone.get("/v1/log/inclusion", params={"seq": seq}))
        entry = long.get("/v1/changes", after=seq - 1, limit=1)["data"][0]
        index, hashes, checkpoint = read_proof(proven["proof"])
        assert (index, hashes, checkpoint) == (seq - 1, decoded(proven["hashes"]), note)
        leaf = merkle.leaf(bytes.fromhex(entry["hash"]))
        assert merkle.includes(signed.root, signed.size, index, leaf, hashes)
        assert proven["hash"] == entry["hash"]
    earlier = ok(long.anyone.get("/v1/log/inclusion", params={"seq": 3, "size": 300}))
    assert (earlier["size"], len(earlier["hashes"])) == (300, 9)


def test_the_log_of_later_begins_with_that_of_earlier(long: Newsroom) -> None:
    note, old = noted(long)
    fill(long, 3, "later")
    _, new = noted(long)
    assert new.size == old.size + 3
    for asked in ({"first": old.size}, {"checkpoint": note}):
        proven = ok(long.anyone.get("/v1/log/consistency", params=asked))
        assert (proven["first"], proven["second"]) == (old.size, new.size)
        assert merkle.extends(old.size, old.root, new.size, new.root, decoded(proven["hashes"]))
        assert b64decode(proven["second_root"]) == new.root


def test_the_key_stays_and_can_be_set(room: Newsroom) -> None:
    first = room.anyone.get("/v1/log/key").text
    assert re.fullmatch(r"on-the-record/[0-9a-f]{8}\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+\n", first)
    with room.with_settings(log_origin="example.org/record") as named:
        assert named.anyone.get("/v1/log/key").text.startswith("example.org/record+")
        assert noted(named)[1].origin == "example.org/record"
    own = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
    with room.with_settings(log_key=own) as keyed:
        assert keyed.anyone.get("/v1/log/key").text.startswith("PeterNeumann+c74f20a3+")
        assert noted(keyed)[1].origin == "PeterNeumann"
    with pytest.raises(ValueError, match="RECORD_LOG_KEY: A private key is written"):
        _ = room.with_settings(log_key="x" * 40).__enter__().app.state.house.signer


def test_an_empty_log_has_a_checkpoint_too(room: Newsroom) -> None:
    with room.db.read() as session:
        assert head(session)[0] == 0
    assert noted(room)[1].root == merkle.EMPTY


def refusals(room: Newsroom) -> list[tuple[str, dict[str, Any], int, str]]:
    note, signed = noted(room)
    stranger = Signer(signed.origin, b"s" * 32)
    future = room.app.state.house.signer.note(str(Checkpoint(signed.origin, signed.size + 1, signed.root)))
    fork = room.app.state.house.signer.note(str(Checkpoint(signed.origin, signed.size, b"f" * 32)))
    inclusion, consistency = "/v1/log/inclusion", "/v1/log/consistency"
    return [
        (inclusion, {"seq": signed.size + 1}, 422, "seq"),
        (inclusion, {"seq": 5, "size": 4}, 422, "seq"),
        (inclusion, {"seq": 1, "size": signed.size + 1}, 422, "size"),
        (inclusion, {"seq": 0}, 422, "seq"),
        (inclusion, {}, 422, "seq"),
        (consistency, {}, 422, "first"),
        (consistency, {"first": 1, "checkpoint": note}, 422, "first"),
        (consistency, {"first": 3, "second": 2}, 422, "first"),
        (consistency, {"first": 1, "second": signed.size + 1}, 422, "second"),
        (consistency, {"checkpoint": note.replace("\n", "\n1", 1)}, 422, "forged"),
        (consistency, {"checkpoint": stranger.note(str(signed))}, 422, "not signed by"),
        (consistency, {"checkpoint": "x" * 5000}, 422, "4096"),
        (consistency, {"checkpoint": "x"}, 422, "not a signed note"),
        (consistency, {"checkpoint": future}, 409, "a backup was restored"),
        (consistency, {"checkpoint": fork}, 409, "fork"),
    ]


def test_what_cannot_be_proven_is_refused(seeded: Newsroom) -> None:
    for path, query, status, named in refusals(seeded):
        refused = problem(seeded.anyone.get(path, params=query), status)
        assert named in str(refused), (path, query)


# --- the ledger at the database ----------------------------------------------------------------

NAMES = ", ".join(column.name for column in table(Change).columns)
AGAIN = "INSERT INTO changes SELECT * FROM changes WHERE seq = 2"
ATTACKS = [
    "UPDATE changes SET reason = 'x' WHERE seq = 2",
    "UPDATE changes SET reason = 'x' WHERE seq = 99999",
    "DELETE FROM changes WHERE seq = 2",
    "DELETE FROM changes",
]
ONLY = {
    "sqlite": [
        "INSERT OR REPLACE INTO changes SELECT * FROM changes WHERE seq = 2",
        "REPLACE INTO changes SELECT * FROM changes WHERE seq = 2",
        f"INSERT OR REPLACE INTO changes (rowid, {NAMES}) SELECT 2, 9999, {NAMES[5:]} FROM changes LIMIT 1",
        "UPDATE OR REPLACE changes SET seq = 1 WHERE seq = 2",
        f"{AGAIN} ON CONFLICT (seq) DO UPDATE SET reason = 'x'",
    ],
    "postgresql": [
        "TRUNCATE changes",
        "TRUNCATE changes CASCADE",
        f"{AGAIN} ON CONFLICT (seq) DO UPDATE SET reason = 'x'",
    ],
}


def test_the_database_refuses_to_change_the_ledger(seeded: Newsroom) -> None:
    """Even to the owner of its tables. The role that serves has not the privileges either."""
    database = "sqlite" if seeded.db.sqlite else "postgresql"
    owner = Database(seeded.settings.database_url)
    for attack in (*ATTACKS, *ONLY[database]):
        if database == "sqlite" and "99999" in attack:
            continue  # its triggers are of rows
        with (
            seeded.unchanged(),
            pytest.raises(DBAPIError, match="only added to"),
            owner.write() as session,
        ):
            session.connection().execute(text(attack))
    owner.dispose()
    assert seeded.faults() == []


UNGUARDED = {
    "sqlite": [
        "DROP TRIGGER changes_no_replace",
        "DROP TRIGGER changes_no_delete",
        "DROP TRIGGER changes_no_update",
    ],
    "postgresql": [
        "DROP TRIGGER changes_no_update ON changes",
        "ALTER TABLE changes DISABLE TRIGGER changes_no_update",
        "ALTER TABLE changes ENABLE REPLICA TRIGGER changes_no_update",
    ],
}


@pytest.mark.parametrize("way", range(3))
def test_a_ledger_without_its_guard_is_named(bases: Bases, command: Command, way: int) -> None:
    with bases.fresh(seeded=True) as url:
        ways = UNGUARDED["sqlite" if url.startswith("sqlite") else "postgresql"]
        db = Database(url)
        with db.write() as session:
            session.connection().execute(text(ways[way % len(ways)]))
        db.dispose()
        found = command(url, "verify")
        assert found.code == 1
        assert re.search(r"the ledger's trigger changes_no_\w+ (is gone|does not hold for)", found.out)


# --- offline -----------------------------------------------------------------------------------


def exported(room: Newsroom, command: Command, file: Path) -> None:
    assert command(room.settings.database_url, "export", str(file)).code == 0


def test_an_export_is_checked_against_an_old_checkpoint(
    long: Newsroom, command: Command, tmp_path: Path
) -> None:
    note, old = noted(long)
    key = long.anyone.get("/v1/log/key").text.strip()
    kept = tmp_path / "checkpoint"
    kept.write_text(note)
    long.entity(name="Later")
    export = tmp_path / "export.ndjson"
    exported(long, command, export)
    nowhere = "sqlite:///none/record.db"
    arguments = ("verify", str(export), "--checkpoint", str(kept), "--key", key)
    done = command(nowhere, *arguments)
    assert done.code == 0, done
    said = f"They begin with the {old.size} changes that the checkpoint of {old.origin} is signed for\n"
    assert done.out.endswith(said)
    assert command(nowhere, "verify", str(export)).code == 0
    here = command(long.settings.database_url, "verify", "--checkpoint", str(kept), RECORD_SECRET=SECRET)
    assert here.code == 0, here
    unkeyed = command(nowhere, "verify", str(export), "--checkpoint", str(kept))
    assert (unkeyed.code, "--key is needed" in unkeyed.last_line) == (1, True)


def test_another_history_is_no_match_for_a_checkpoint(
    room: Newsroom, command: Command, tmp_path: Path
) -> None:
    room.entity(name="One")
    room.entity(name="Two")
    note, _ = noted(room)
    signer: Signer = room.app.state.house.signer
    export = tmp_path / "export.ndjson"
    exported(room, command, export)
    kept = tmp_path / "checkpoint"
    longer = Checkpoint(signer.name, 99, b"x" * 32)
    for written, named in (
        (note.replace("\n", "\n9", 1), "forged"),
        (signer.note(str(Checkpoint(signer.name, 2, b"x" * 32))), "this is a fork of it"),
        (signer.note(str(longer)), "the checkpoint was signed when it had 99"),
        ("", "not a signed note"),
    ):
        kept.write_text(written)
        found = command(
            "sqlite:///none/record.db",
            "verify", str(export), "--checkpoint", str(kept), "--key", str(signer.verifier),
        )  # fmt: skip
        assert found.code == 1
        assert named in found.out + found.err, found


def test_a_node_that_was_altered_is_named(long: Newsroom, command: Command) -> None:
    long.tampered = True
    tamper(long.settings.database_url, f"UPDATE ledger_nodes SET hash = '{'0' * 64}' WHERE position = 1")
    assert any("log node 1.1: is not what the changes make" in fault for fault in long.faults())
    assert command(long.settings.database_url, "reindex").code == 0
    assert long.faults() == []


def test_the_kept_nodes_are_those_of_a_tree_made_anew(long: Newsroom) -> None:
    with long.db.read() as session:
        size, _ = head(session)
        kept = Tree(session)
        roots = {n: kept.root(n) for n in (1, 255, 256, 257, 300, 512, size)}
        leaves = [merkle.leaf(bytes.fromhex(each)) for each in entries(long)]
    for n, root in roots.items():
        assert root == merkle.root(n, lambda level, i: merkle.fold(leaves[i << level : (i + 1) << level]))


# --- every column ------------------------------------------------------------------------------


def told_columns(kind: type[Record]) -> Iterator[tuple[str, str, str]]:
    """The columns that the ledger tells of, of a noun's records: noun, table and column."""
    yield from ((kind.noun, table(kind).name, name) for name in (*ledger_columns(kind), *BOOKKEEPING))
    for part in kind.parts.values():
        yield from (
            (kind.noun, table(part).name, c.name) for c in table(part).c if c.name not in part.off_ledger
        )


def test_no_column_that_the_ledger_tells_of_is_changed_unseen(
    sqlite_bases: SqliteBases, server: Server
) -> None:
    """In every table, in every column, one row gets another value: each time something is found. Each noun's
    records are verified by themselves, so that one walk tells of a column of each noun.
    """
    with prepared(sqlite_bases, server, furnish, seeded=True) as room:
        waits = room.get("/v1/claims", status="pending_approval")["data"][0]
        ok(room.editor.post(f"/v1/claims/{waits['id']}/approval", headers=match(waits)))
        room.tampered = True
        unseen, empty = [], set()
        file = Path(str(room.db.url.database))
        for columns in zip_longest(*map(told_columns, record_kinds())):
            changed = {}
            with contextlib.closing(SQLITE.connect(file)) as connection:
                connection.execute("PRAGMA ignore_check_constraints = ON")
                for noun, name, column in filter(None, columns):
                    row = connection.execute(f'SELECT rowid, "{column}" FROM {name} LIMIT 1').fetchone()
                    if row is None:
                        empty.add(name)
                        continue
                    change = f'UPDATE {name} SET "{column}" = ? WHERE rowid = ?'
                    boolean = isinstance(SQLModel.metadata.tables[name].c[column].type, Boolean)
                    connection.execute(change, (1 - (row[1] or 0) if boolean else other(row[1]), row[0]))
                    changed[noun] = f"{name}.{column}", change, (row[1], row[0])
                connection.commit()
                with room.db.read() as session:
                    seen = {re.split("[ :]", fault)[0] for fault in verify(session)}
                unseen += [column for noun, (column, *_) in changed.items() if noun not in seen]
                for _, change, back in changed.values():
                    connection.execute(change, back)
                connection.commit()
        assert (unseen, empty) == ([], set())
        assert room.faults() == []


def other(value: Any) -> Any:
    """Another value of the same kind."""
    match value:
        case int() | float():
            return value + 1000  # of a position, where no other is
        case str() if value[:1].isdigit() and value[-1:] == "Z":
            return value.replace("Z", "1Z") if "." not in value else re.sub(r"\d\dZ$", "01Z", value)
        case str() if value[:1].isdigit():
            return value[:-1] + ("1" if value[-1:] != "1" else "2")
        case _:
            return f"{value or ''}x"
