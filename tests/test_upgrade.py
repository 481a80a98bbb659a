"""The way up and back that docs/operations.md describes, gone by its commands on a base with rows in it."""

import re
import shlex
from pathlib import Path

import pytest

from app.base import schema
from app.base.db import Database
from tests.commands import Command, digests, write_one
from tests.earlier import lay_seed
from tests.newsroom import Bases

OLD = "0001"

pytestmark = pytest.mark.usefixtures("client_programs")


def documented() -> list[list[str]]:
    """The commands of the section on upgrading, in their order."""
    page = (schema.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    [section] = re.findall(r"^## Upgrading.*?(?=^## )", page, flags=re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for line in re.findall(r"^    python -m app (.+)$", section, re.MULTILINE)]


def hashes(url: str) -> list[str]:
    """The hash of each entry of the ledger."""
    db = Database(url)
    with db.read() as session:
        query = "SELECT hash FROM changes ORDER BY seq"
        found = [*session.connection().exec_driver_sql(query).scalars()]
    db.dispose()
    return found


def test_the_documented_way_up_and_back(
    bases: Bases, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    backup, migrate, verify, down, restore = documented()
    assert [
        words[0] for words in (backup, migrate, verify, restore)
    ] == "backup migrate verify restore".split()
    assert down == ["migrate", "--down", OLD]
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        done = command(url, *words)
        assert done.code == 0, done
        return done.out

    with bases.fresh() as url:
        lay_seed(url)
        whole = run(*verify)
        run(*down)
        old, entries = digests(url), hashes(url)
        assert 10 < len(old) < 30
        assert command(url, *verify).code == 1, "an older schema is not served"

        run(*backup)
        run(*migrate)
        assert run(*verify) == whole
        assert hashes(url) == entries

        write_one(url, command, tmp_path)
        run(*verify)
        run(*restore)
        assert digests(url) == old, "nothing of the newer version is left"
        assert command(url, "verify").last_line.endswith("is needed: python -m app migrate")
        run(*migrate)
        assert run(*verify) == whole
        run(*down)
        assert digests(url) == old
