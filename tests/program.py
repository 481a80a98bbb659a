"""The application in processes of its own. What it imports takes more time than most of what is asked of it,
so they are forked from one that has imported it (`multiprocessing`'s fork server).
"""

import gc
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from subprocess import TimeoutExpired
from typing import IO

from app.base import schema
from tests.fuzz.watch import WATCH, watch

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.program", "app.cli"])


class Program:
    """`python -m app` with its arguments, in this environment; its errors are added to a file. What it has of
    `subprocess.Popen` does the same.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        errors: Path,
        user: int | None = None,
        files: int | None = None,
    ) -> None:
        read, write = os.pipe()
        with Connection(write, readable=False) as output:
            self._process = _FORKS.Process(
                target=_run, args=(list(arguments), dict(env), output, str(errors), user, files), daemon=True
            )
            self._process.start()
        self.stdout: IO[str] = open(read, encoding="utf-8")  # noqa: SIM115 (its reader closes it)
        assert self._process.pid is not None
        self.pid = self._process.pid

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            assert timeout is not None
            raise TimeoutExpired("python -m app", timeout)
        return code


def _run(
    arguments: list[str],
    env: dict[str, str],
    output: Connection,
    errors: str,
    user: int | None,
    files: int | None,
) -> None:
    """What the fork does."""
    from app.cli import main

    gc.freeze()
    with output, open(errors, "ab") as file:
        os.dup2(output.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if files is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files // 4, files))  # it raises the first itself
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    os.chdir(schema.ROOT)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["app", *arguments]
    if WATCH in env:
        watch()
    at_start = Path(env.get("PYTHONPATH", os.devnull), "sitecustomize.py")
    if at_start.is_file():  # as an interpreter of its own would
        exec(at_start.read_text(encoding="utf-8"), {})
    main()
