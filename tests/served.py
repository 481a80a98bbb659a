"""The application as its users run it: a process of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.newsroom import SECRET

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Served:
    """A server that answers at `url`, and the environment that it and its commands share."""

    url: str
    process: "subprocess.Popen[str]"
    environment: Mapping[str, str]
    said: str


@contextmanager
def served(database_url: str, *options: str, **settings: str) -> Iterator[Served]:
    """`python -m app serve` on a free port; ended by SIGTERM, and it must end well."""
    environment = {
        "RECORD_DATABASE_URL": database_url,
        "RECORD_SECRET": SECRET,
        **{f"RECORD_{name.upper()}": value for name, value in settings.items()},
    }
    with subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    ) as process:
        said = _until_it_answers(process)
        url = re.search(r"answers at (http://\S+)", said)
        assert url is not None, said
        try:
            yield Served(url[1], process, environment, said)
        finally:
            process.send_signal(signal.SIGTERM)
            rest, _ = process.communicate(timeout=20)
        assert process.returncode == 0, rest


def _until_it_answers(process: "subprocess.Popen[str]") -> str:
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if "startup complete" in line:
            break
    return "".join(lines)
