"""Earlier versions stay readable: their exports, bundles, checkpoints and databases (`earlier/make.py`)."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.base.db import Database
from app.changes.ledger import head
from app.changes.replay import Replay, supply
from app.exchange.dump import export
from tests.commands import Command
from tests.contract import reading
from tests.earlier import HERE, content, lay
from tests.earlier.make import BUNDLES
from tests.newsroom import Bases, Json, Newsroom, Server, empty, faults, ok

VERSIONS = sorted(each.name for each in HERE.iterdir() if each.name.isdigit())
NOWHERE = "sqlite:///none/record.db"


@pytest.fixture(params=VERSIONS)
def earlier(request: pytest.FixtureRequest) -> Path:
    """The directory of an earlier version."""
    return HERE / str(request.param)


def told(earlier: Path, what: str) -> list[Json]:
    """The lines of an export of one kind."""
    lines = map(json.loads, content(earlier / "export.ndjson").splitlines())
    return [line[what] for line in lines if what in line]


def test_there_is_a_version() -> None:
    assert VERSIONS


def test_an_export_is_imported_by_the_command_and_told_as_it_was(
    bases: Bases, earlier: Path, command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "record.ndjson"
    file.write_bytes(content(earlier / "export.ndjson"))
    with bases.fresh() as url:
        done = command(url, "import", str(file))
        assert done.code == 0, done
        assert command(url, "verify").code == 0
        db = Database(url)
        with db.read() as session:
            again = [json.loads(line) for line in export(session)]
        db.dispose()
    assert [line["change"] for line in again if "change" in line] == told(earlier, "change")


def test_its_checkpoint_is_kept_to_offline(command: Command, earlier: Path, tmp_path: Path) -> None:
    file = tmp_path / "record.ndjson"
    file.write_bytes(content(earlier / "export.ndjson"))
    key, signed = (earlier / "key.txt").read_text().strip(), earlier / "checkpoint.txt"
    done = command(NOWHERE, "verify", str(file), "--checkpoint", str(signed), "--key", key)
    assert done.code == 0, done


def test_its_entries_are_replayed_one_by_one(bases: Bases, earlier: Path) -> None:
    with empty(bases) as db:
        for entry in told(earlier, "change"):
            with db.write() as session:
                Replay(session, going_on=True).take([entry])
                assert head(session) == (entry["seq"], entry["hash"])
            if entry["action"] in ("claim.correct", "entity.merge"):
                assert faults(db) == []
        with db.write() as session:
            for each in told(earlier, "off_ledger"):
                columns = {name: value for name, value in each.items() if name not in ("noun", "id")}
                supply(session, each["noun"], each["id"], columns)
        assert faults(db) == []


def test_its_bundles_verify(command: Command, earlier: Path, tmp_path: Path) -> None:
    bundles, key = content(earlier / "bundles.ndjson").splitlines(), (earlier / "key.txt").read_text().strip()
    assert len(bundles) == BUNDLES
    file = tmp_path / "bundle.jsonld"
    for bundle in bundles:
        file.write_bytes(bundle)
        assert command(NOWHERE, "verify", str(file), "--key", key).code == 0
        altered: Any = json.loads(bundle)
        altered["record"]["claim"]["text"] += "!"
        file.write_text(json.dumps(altered))
        assert command(NOWHERE, "verify", str(file), "--key", key).code == 1


def test_its_database_is_upgraded_verified_and_served(
    bases: Bases, server: Server, earlier: Path, command: Command
) -> None:
    with bases.fresh(migrated=False) as url:
        lay(url, earlier.name)
        assert command(url, "migrate").code == 0
        with Newsroom(server, url) as room:
            assert room.faults() == []
            for operation, address in reading(room):
                answer = room.admin.get(address)
                assert answer.status_code == 200, (str(operation), answer.text)
            last = room.claim("Stated in a later version.")
            seqs = range(1, ok(room.anyone.get("/v1/changes?order=desc&limit=1"))["data"][0]["seq"] + 1)
            for seq in (*seqs[:: len(seqs) // 2], seqs[-1]):
                ok(room.anyone.get(f"/v1/claims?as_of={seq}"))
            ok(room.anyone.get(f"/v1/claims/{last['id']}/bundle"))
