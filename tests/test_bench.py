"""The benchmarks run, on bases that the application itself finds sound. Nothing here is about time."""

import sys
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main as bench
from bench.generate import World
from bench.load import SECRET, Base
from tests.commands import forked
from tests.served import environment, served

SMALL = 200
OURS = {"id", "version", "created_at", "updated_at", "verification"}
"""What is not the same in a claim that was loaded and one that was brought in: their ids and standing."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


def test_the_benchmarks_run(
    directory: Path, postgres: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On PostgreSQL, whose base is a copy of one that is made on SQLite. What is measured has processes of
    its own; who measures has not.
    """
    quick = ["--rounds", "1", "--seconds", "0.01", "--imported", "10", "--directory", str(directory)]
    monkeypatch.setattr(sys, "argv", ["bench", str(SMALL), *quick, "--databases", "postgresql"])
    monkeypatch.setenv("TEST_DATABASE_URL", postgres)
    bench()
    said = capsys.readouterr().out
    assert "failed" not in said, said
    lines = [line for line in said.splitlines() if f"| postgresql | {SMALL} |" in line]
    for work in ("one claim", "page of 20", "the same page", "memory", "import of 10 claims", "search",
                 "counts by", "export by"):  # fmt: skip
        assert any(line.startswith(f"| {work}") for line in lines), work


def test_verify_finds_nothing_wrong_with_a_loaded_base(directory: Path) -> None:
    base = Base(World(SMALL), directory).made()
    env = environment(base.url)
    done = forked(["verify"], env)
    assert done.code == 0, done
    assert "unbroken" in done.out


def test_what_is_loaded_is_what_would_be_brought_in(tmp_path: Path) -> None:
    world = World(30)
    loaded = environment(Base(world, tmp_path).made().url, RECORD_SECRET=SECRET)
    world.write(tmp_path)
    brought = environment(f"sqlite:///{tmp_path}/brought.db")
    for command in (["migrate"], ["seed", str(tmp_path)]):
        assert forked(command, brought).code == 0
    assert _claims(loaded, tmp_path) == _claims(brought, tmp_path)


def _claims(env: dict[str, str], directory: Path) -> list[Any]:
    with served(env, directory / "log") as server, server.client() as client:
        found = client.get("/v1/claims?limit=200&sort=created&withdrawn=include").json()["data"]
    assert len(found) == 30
    return [_without_ids({key: value for key, value in claim.items() if key not in OURS}) for claim in found]


def _without_ids(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_ids(inner) for key, inner in value.items() if key != "id"}
        case list():
            return [_without_ids(inner) for inner in value]
    return value


def test_a_seed_gives_one_world() -> None:
    one, same, other = World(20), World(20), World(20, seed=2)
    assert list(one.records()) == list(same.records()) != list(other.records())
    assert list(one.entities()) == list(same.entities())
    assert list(one.sources()) == list(same.sources())
