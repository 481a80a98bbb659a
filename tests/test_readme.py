"""The README's requests, sent as they stand there to a served base, give the answers that stand there."""

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

from tests.newsroom import SECRET, Bases
from tests.served import environment, served

ID = re.compile(r"\b(clm|ent|src|snp|fig|evd|rev|key|req)_[0-9a-z]{26}\b")
MOMENT = re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z")


def console(root: Path) -> list[tuple[str, str]]:
    """Each command of the README's console blocks with the answer shown for it."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", (root / "README.md").read_text(), re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, brace, answer = re.split(r"^(?=\{)|(\Z)", part, maxsplit=1, flags=re.MULTILINE)
            found.append((command.strip(), (brace or "") + answer.strip()))
    return found


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
    lines = re.findall(r"^    (test -. (\S+) \|\| .+)$", (root / "README.md").read_text(), re.MULTILINE)
    assert [name for _, name in lines] == [".env", "record.secret"]
    shutil.copy(root / ".env.example", tmp_path)
    for line, name in lines:
        subprocess.run(["sh", "-c", f"umask 0; {line}"], cwd=tmp_path, check=True)
        made = tmp_path / name
        assert made.stat().st_mode & 0o777 == 0o600
        before = made.read_bytes()
        subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True)
        assert made.read_bytes() == before, "another shell makes no other secret"
    assert re.fullmatch(r"[0-9a-f]{64}\n", (tmp_path / "record.secret").read_text())
    asked = re.findall(r"^([A-Z_]+)=$", (root / ".env.example").read_text(), re.MULTILINE)
    given = dict(re.findall(r"^([A-Z_]+)=([0-9a-f]{64})$", (tmp_path / ".env").read_text(), re.MULTILINE))
    assert list(given) == asked
    assert len(set(given.values())) == len(asked) >= 2


@pytest.fixture
def answers(bases: Bases, root: Path, tmp_path: Path) -> Iterator[list[tuple[str, str, str]]]:
    """Command, answer shown, and real answer, for each."""
    with bases.fresh(seeded=True) as url:
        env = environment(url, RECORD_SECRET=SECRET)
        with served(env, tmp_path / "log") as server:
            script = "\n".join(f"{command}\nprintf '\\0'" for command, _ in console(root))
            script = script.replace("http://127.0.0.1:8000", server.url)
            script = script.replace(".venv/bin/python", sys.executable)
            bash = ["bash", "-euo", "pipefail", "-c", script]
            run = subprocess.run(bash, capture_output=True, text=True, cwd=root, env=env, check=False)
            assert run.returncode == 0, run.stderr
            yield [(c, s, r) for (c, s), r in zip(console(root), run.stdout.split("\0"), strict=False)]
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(timeout=20) == 0, server.log.read_text()


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="curl and bash are not here")
def test_the_examples_are_true(answers: list[tuple[str, str, str]]) -> None:
    compared = 0
    for command, shown, real in answers:
        if shown:
            compared += 1
            assert fits(json.loads(shown), json.loads(real)), f"{command}\n\n{shown}\n\n{real}"
    assert compared == 5
