"""Temporary files: a full directory for them, what dead processes have left there, and its examination."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.base.scratch import ScratchDirectory, sweep
from app.operations import temporary
from app.settings import Settings
from tests.commands import Command
from tests.newsroom import SECRET, Bases, Json, ok
from tests.served import Served, environment, served
from tests.test_faults import fill, small_disk

NEEDED = (
    "/v1/claims.csv",
    "/v1/entities.parquet",
    "/v1/claims.json",
    "/v1/claims?as_of=40",
    "/v1/search?q=gas&as_of=50",
    "/v1/claims.ndjson?as_of=60",
)
"""Requests that need temporary files."""


@contextmanager
def serving(url: str, directory: Path, log: Path) -> Iterator[tuple[Served, httpx.Client]]:
    env = environment(url, RECORD_SECRET=SECRET, TMPDIR=str(directory))
    with served(env, log) as server, server.client() as client:
        yield server, client


def full(answer: httpx.Response) -> Json:
    """Return the problem of an answer for which there was no room."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    problem: Json = answer.json()
    assert problem["type"] == "/problems#storage-full", problem
    return problem


def test_a_full_directory_refuses_what_needs_it_and_nothing_else(
    bases: Bases, command: Command, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", "24m") as disk, bases.fresh(seeded=True) as url:
        with serving(url, disk, tmp_path / "log") as (_, client):
            filler = fill(disk)
            for path in NEEDED * 2:
                full(client.get(path, headers={"Accept-Encoding": "gzip"}))
                assert [*disk.iterdir()] == [filler], "nothing half-made stays"
            key = command(url, "key", "create", "Desk", "--role", "editor", RECORD_SECRET=SECRET).out.strip()
            client.headers["Authorization"] = f"Bearer {key}"
            full(client.post("/v1/import", content=b"x\n" * 2_000_000, headers={"Content-Type": "text/csv"}))
            ok(client.get("/v1/claims"))
            filler.unlink()
            for path in NEEDED:
                assert client.get(path, headers={"Accept-Encoding": "gzip"}).status_code == 200
        log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert "no room for temporary files: No space left on device" in log


def test_a_disk_that_fills_up_while_it_is_written_to(bases: Bases, tmp_path: Path) -> None:
    """Each size ends another step: the empty database, the copy of it, its log, the answer's file."""
    with small_disk(tmp_path / "disk", "24m") as disk, bases.fresh(seeded=True) as url:
        with serving(url, disk, tmp_path / "log") as (_, client):
            refused = 0
            for free in (8, 600, 1000, 3000):
                filler = fill(disk)
                os.truncate(filler, filler.stat().st_size - free * 1024)
                for path in NEEDED:
                    answer = client.get(path)
                    if answer.status_code != 200:
                        full(answer)
                        refused += 1
                filler.unlink()
            assert refused > 6
            for path in NEEDED:
                ok(client.get(path)) if "?" in path and "ndjson" not in path else client.get(path)
        assert "Traceback" not in (tmp_path / "log").read_text()


def test_what_a_killed_process_has_left_is_swept_by_the_next(bases: Bases, tmp_path: Path) -> None:
    with bases.fresh(seeded=True) as url:
        with serving(url, tmp_path, tmp_path / "log") as (server, client):
            ok(client.get("/v1/claims?as_of=40"))
            [left] = tmp_path.glob("on-the-record*")
            with serving(url, tmp_path, tmp_path / "other"):
                assert left.exists(), "its process lives"
            server.process.kill()
            server.process.wait()
        assert left.exists()
        with serving(url, tmp_path, tmp_path / "next"):
            assert not left.exists()
    assert "Removed temporary files that 1 ended processes have left" in (tmp_path / "next").read_text()


def test_nothing_but_scratch_directories_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "t" / "on-the-record-link").symlink_to(tmp_path / "precious", target_is_directory=True)
    (tmp_path / "t" / "on-the-record-file").write_text("a file")
    mine = ScratchDirectory()
    assert sweep() == 0
    assert mine.path.exists()
    mine.remove()
    mine.remove()
    left = {path.name for path in (tmp_path / "t").iterdir()}
    assert left == {"on-the-record-link", "on-the-record-file"}


def test_a_start_with_every_directory_full_recovers_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile.gettempdir", none)
    sweep()
    monkeypatch.undo()
    assert not [*tmp_path.iterdir()]


# --- the examination ---------------------------------------------------------------------------


def test_the_three_sizes_are_held_against_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "disk", "200m") as disk:
        monkeypatch.setattr("tempfile.tempdir", str(disk))
        fits = Settings(feed_bytes=10**6, past_bytes=10**6)
        too_much = Settings(feed_bytes=60_000_000, past_bytes=60_000_000)
        assert [*temporary.examine(fits)] == [("ok", f"210 MB in all in {disk}")]
        monkeypatch.setattr(temporary, "memory_limit", lambda: 10**9)
        [(state, said), last] = temporary.examine(too_much)
        assert state == "warning"
        assert "are 254 MB, but there are 210 MB in all" in said
        assert last[0] == "ok"
        monkeypatch.setattr(temporary, "memory_limit", lambda: 512 * 10**6)
        [(state, said), _] = temporary.examine(fits)
        assert state == "warning"
        assert "more than this container may take, 512 MB" in said


def test_no_directory_at_all_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none)
    assert [state for state, _ in temporary.examine(Settings())] == ["fault"]


@pytest.mark.parametrize(
    ("mounts", "directory", "memory"),
    [
        ("overlay / overlay rw 0 0\ntmpfs /tmp tmpfs rw,size=393216k 0 0", "/tmp", True),
        ("overlay / overlay rw 0 0\ntmpfs /tmp tmpfs rw 0 0", "/var/tmp", False),
        ("tmpfs / tmpfs rw 0 0\n/dev/vda /tmp ext4 rw 0 0", "/tmp", False),
        ("", "/tmp", False),
    ],
)
def test_a_directory_in_memory_is_known(tmp_path: Path, mounts: str, directory: str, memory: bool) -> None:
    (tmp_path / "mounts").write_text(mounts)
    assert temporary.is_memory(directory, tmp_path / "mounts") is memory
    assert temporary.is_memory(directory, tmp_path / "none") is False
