"""The commands of the README and the tutorial, run as they stand there, give the answers that stand there."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.base import schema
from tests.newsroom import SECRET, Bases
from tests.served import environment, served

MADE = re.compile(r"\bmake \w")
"""What is run by hand, since it serves for ever or runs these tests: `test_paste.py` reads it."""

ID = re.compile(r"\b(clm|ent|src|snp|fig|evd|rev|key|req)_[0-9a-z]{26}\b")
MOMENT = re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z")


def examples(page: Path) -> list[tuple[str, str]]:
    """Each block of commands of a page with the answer that is shown below it, if one is."""
    blocks = re.findall(r"```(sh|json)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    after = [*blocks[1:], ("sh", "")]
    return [
        (commands.strip(), text if kind == "json" else "")
        for (shell, commands), (kind, text) in zip(blocks, after, strict=True)
        if shell == "sh" and not MADE.search(commands)
    ]


def fits(shown: Any, real: Any) -> bool:
    """Whether an answer is what is shown of it; `…` stands for anything."""
    match shown:
        case "…":
            return real is not None
        case str() if isinstance(real, str):
            return loose(shown) == loose(real)
        case dict() if isinstance(real, dict):
            named = {name: value for name, value in shown.items() if name != "…"}
            whole = "…" in shown or shown.keys() == real.keys()
            return whole and all(name in real and fits(value, real[name]) for name, value in named.items())
        case list() if isinstance(real, list):
            return len(shown) == len(real) and all(map(fits, shown, real))
        case _:
            return bool(shown == real)


def loose(text: str) -> str:
    return MOMENT.sub("…Z", ID.sub(r"\1_…", text))


@pytest.mark.skipif(
    not shutil.which("openssl") or not shutil.which("awk"), reason="openssl, awk are not here"
)
def test_secrets_are_made_once_and_kept(root: Path, tmp_path: Path) -> None:
    """By the lines of docs/deploy.md that make the files of settings."""
    page = (root / "docs" / "deploy.md").read_text().replace("/etc/record.env", "record.env")
    lines = re.findall(r"^    (test -e (\S+) \|\| .+?)\n(?!    (?:REC|END))", page, re.MULTILINE | re.DOTALL)
    assert [name for _, name in lines] == [".env", "record.env"]
    shutil.copy(root / ".env.example", tmp_path)
    for line, name in lines:
        script = line.replace("\n    ", "\n")
        subprocess.run(["sh", "-c", f"umask 0; {script}"], cwd=tmp_path, check=True)
        made = tmp_path / name
        assert made.stat().st_mode & 0o777 == 0o600
        before = made.read_bytes()
        subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True)
        assert made.read_bytes() == before, "another shell makes no other secret"
    assert re.search(r"^RECORD_SECRET=[0-9a-f]{64}$", (tmp_path / "record.env").read_text(), re.MULTILINE)
    asked = re.findall(r"^([A-Z_]+)=$", (root / ".env.example").read_text(), re.MULTILINE)
    given = dict(re.findall(r"^([A-Z_]+)=([0-9a-f]{64})$", (tmp_path / ".env").read_text(), re.MULTILINE))
    assert list(given) == asked
    assert len(set(given.values())) == len(asked) >= 2


@pytest.fixture
def server(bases: Bases, tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a seeded server, and the environment of whoever uses it on its machine."""
    with bases.fresh(seeded=True) as url:
        env = environment(url, RECORD_SECRET=SECRET)
        with served(env, tmp_path / "log") as running:
            yield running.url, env
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(timeout=20) == 0, running.log.read_text()


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="curl and bash are not here")
def test_the_examples_are_true(server: tuple[str, dict[str, str]], root: Path, tmp_path: Path) -> None:
    """Those of the README and of the tutorial, each from top to bottom in a shell of its own."""
    (tmp_path / "here").mkdir()
    for page, compared in ((root / "README.md", 5), (root / "docs" / "tutorial.md", 6)):
        shown = examples(page)
        assert len([answer for _, answer in shown if answer]) == compared
        for (command, answer), real in zip(shown, run(page, *server, tmp_path / "here"), strict=True):
            if answer:
                assert fits(json.loads(answer), json.loads(real)), f"{command}\n\n{answer}\n\n{real}"
    assert list((tmp_path / "here").iterdir()) == [], "it is left as it was"


def run(page: Path, address: str, env: dict[str, str], place: Path) -> list[str]:
    """Return what each block of commands prints."""
    script = "".join(f"{commands}\nprintf '\\0'\n" for commands, _ in examples(page))
    script = script.replace("http://127.0.0.1:8000", address).replace(".venv/bin/python", sys.executable)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=place, env={**env, "PYTHONPATH": str(schema.ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\0")[:-1]
