"""The application as its users run it: a process of its own."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.base import schema
from tests.postgres import as_api_role
from tests.program import Program

APP = [sys.executable, "-m", "app"]


def environment(url: str, **settings: str) -> dict[str, str]:
    """The environment with no other setting than these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RECORD_")}
    return {**kept, "RECORD_DATABASE_URL": url, **settings}


@dataclass(frozen=True)
class Served:
    """A server in a process of its own."""

    process: Program | subprocess.Popen[str]
    said: str
    log: Path

    @property
    def url(self) -> str:
        [found] = re.findall(r"answers at (http://\S+)", self.said)
        return str(found)

    def client(self, token: str | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=30)

    def wait_until_good(self, path: str) -> None:
        with self.client() as client:
            for _ in range(600):
                try:
                    if client.get(path).status_code == 200:
                        return
                except httpx.TransportError:
                    assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)
        raise AssertionError(self.log.read_text())


@contextmanager
def served(
    env: dict[str, str],
    log: Path,
    *options: str,
    ready: bool = True,
    forked: bool = True,
    files: int | None = None,
) -> Iterator[Served]:
    """A server, once its base answers; not `ready`, once itself does; not `forked`, from its start on. On
    PostgreSQL it is of the role that owns nothing, unless it migrates. It may have so many `files` open.
    """
    log.write_text("")
    if "--migrate" not in options:
        env = {**env, "RECORD_DATABASE_URL": as_api_role(env["RECORD_DATABASE_URL"])}
    command = ["serve", "--port", "0", *options]
    process = Program(command, env, log, files=files) if forked else _started(command, env, log)
    assert process.stdout is not None
    in_log = env.get("RECORD_LOG_FORMAT") == "json"
    try:
        server = Served(process, _logged(process, log) if in_log else _printed(process, log), log)
        server.wait_until_good("/readyz" if ready else "/healthz")
        yield server
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _printed(process: Program | subprocess.Popen[str], log: Path) -> str:
    """Return what a server prints at its start."""
    said = ""
    while "key create" not in said:
        line = process.stdout.readline() if process.stdout else ""
        assert line, f"{said}{log.read_text()}"
        said += line
    return said


def _logged(process: Program | subprocess.Popen[str], log: Path) -> str:
    """Return the event that a server logs at its start instead, where the log is JSON."""
    while not (found := re.search(r'answers at [^"]*', log.read_text())):
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    return found[0]


def _started(command: list[str], env: dict[str, str], log: Path) -> subprocess.Popen[str]:
    with log.open("a") as file:
        return subprocess.Popen(
            [*APP, *command], cwd=schema.ROOT, env=env, stdout=subprocess.PIPE, stderr=file, text=True
        )
