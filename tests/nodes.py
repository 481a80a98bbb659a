"""PostgreSQL servers whose end, freezing, return and promotion a test decides.

Unlike the one that other tests share, they keep to what they have acknowledged: `fsync` is on.
"""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg

from tests import postgres
from tests.postgres import Account

SETTINGS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "100"}
PASSWORD = "of-the-servers-on-loopback"


@dataclass(frozen=True)
class Place:
    """Where the servers of one test live."""

    bin: Path
    directory: Path
    account: Account | None
    ending: ExitStack

    def run(self, program: str, *arguments: str) -> None:
        postgres.run([str(self.bin / program), *arguments], self.account, self.directory, seconds=60)


class Node:
    """A server, always on the same port."""

    def __init__(self, place: Place, data: Path) -> None:
        self.place = place
        self.data = data
        self.port = postgres.free_port()
        self._started = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        place.ending.callback(self.stop)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres:{PASSWORD}@{self.address}/{database}"

    def start(self) -> Self:
        """Returns once it answers."""
        command = [str(self.place.bin / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        for name, value in SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        log = self.data.with_suffix(".log")
        with log.open("ab") as output:
            self._process = postgres.spawn(command, self.place.account, self.place.directory, output)
        watcher = postgres.watcher_of(self._process.pid, self.place.directory)
        self._started.callback(watcher.communicate)
        self._started.callback(watcher.kill)
        postgres.wait_until_ready(self._process, self.url(), log)
        return self

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Ends it: SIGQUIT is an immediate stop, without a checkpoint, from which it must recover."""
        if self._process is not None:
            self._process.send_signal(how)
            self.thaw()
            self._process.wait(30)
            self._process = None
            self._started.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stops every process of it where it is: the kernel goes on taking what is sent to it."""
        for process in self._processes():  # the first of them makes no more while the others are looked for
            process.suspend()

    def thaw(self) -> None:
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _processes(self) -> Iterator[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            if self._process is not None:
                postmaster = psutil.Process(self._process.pid)
                yield postmaster
                yield from postmaster.children(recursive=True)

    def ask(self, query: str) -> Any:
        """The first value that a superuser gets."""
        with psycopg.connect(self.url(), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(query.encode())
            row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def standby(self, name: str) -> "Node":
        """A copy of it that follows, and without which it acknowledges no commit from now on."""
        made = Node(self.place, self.place.directory / name)
        made.follow(self)
        return made

    def follow(self, primary: "Node") -> None:
        """Becomes the synchronous standby of another, from a fresh copy of it."""
        shutil.rmtree(self.data, ignore_errors=True)
        at = f"{primary.url()}?application_name={self.data.name}"
        self.place.run("pg_basebackup", "-D", str(self.data), "-d", at, "-R", "-X", "stream", "-c", "fast")
        with (self.data / "postgresql.auto.conf").open("a") as settings:
            settings.write("synchronous_standby_names = ''\n")  # once promoted, it has none yet
        self.start()
        primary.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.ask("SELECT pg_reload_conf()")
        wanted = f"SELECT sync_state FROM pg_stat_replication WHERE application_name = '{self.data.name}'"
        wait_for(lambda: primary.ask(wanted) == "sync", 30)

    def promote(self) -> None:
        assert self.ask("SELECT pg_promote()") is True


def wait_for(true: Any, seconds: float) -> None:
    """Returns once it is true. Raises AssertionError if that takes longer."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not in {seconds} s"
        time.sleep(0.02)


@contextmanager
def node() -> Iterator[Node]:
    """A started server of its own; it and the standbys that are made of it are gone afterwards."""
    installation = postgres.installations()[0]
    account = postgres.account_of_the_server()
    directory = postgres.directory_for(account)
    try:
        bin_ = postgres.readable_binaries(installation, directory, account)
        data = postgres.initdb(bin_, installation.major, directory, PASSWORD, account)
        with ExitStack() as ending:
            made = Node(Place(bin_, directory, account, ending), data).start()
            postgres.allow_api_role(made.url("template1"))  # and so in each database that is made of it
            yield made
    finally:
        shutil.rmtree(directory, ignore_errors=True)
