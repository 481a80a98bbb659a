"""What the server and its database go through while clients write."""

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.access import store as keys
from app.access.model import KeyIn
from app.base import schema
from app.base.db import Database
from tests.newsroom import SECRET, TESTS, ok
from tests.nodes import Node, node, wait_for
from tests.postgres import free_port
from tests.served import Served, environment, served
from tests.torture.audit import Findings, audit
from tests.torture.writers import PATIENCE, SOURCE, Book, writing

CLIENTS = 6
DATABASE = "record"


def token_on(url: str) -> str:
    """A new editor's key."""
    db = Database(url)
    with db.write() as session:
        _, token = keys.create(session, SECRET.encode(), KeyIn(name="Torture", role="editor"), by=TESTS)
    db.dispose()
    return token


@dataclass
class Trial:
    """One way to suffer, and what came of it so far."""

    name: str
    directory: Path
    url: str
    book: Book = field(default_factory=Book)
    blows: int = 0
    findings: Findings = field(default_factory=Findings)
    between: tuple[int, int] = (4, 24)
    """How many writes are acknowledged before a blow, and after it."""
    forked: bool = False
    """Start the server without its imports, for which clients otherwise wait too."""

    def __post_init__(self) -> None:
        schema.upgrade(self.url)
        self.token = token_on(self.url)
        self.port = free_port()
        self.env = environment(self.url, RECORD_SECRET=SECRET, RECORD_LOG_LEVEL="warning")

    def served(self) -> AbstractContextManager[Served]:
        """The server, always on the same port."""
        log = self.directory / f"log-{self.blows}"
        return served(self.env, log, "--port", str(self.port), forked=self.forked)

    @contextmanager
    def running(self) -> Iterator[Served]:
        """The server, with what the clients' claims refer to."""
        with self.served() as server:
            with server.client(self.token) as client:
                ok(client.post("/v1/sources", json={"url": SOURCE, "title": "A report"}))
                speaker = {"name": "The speaker", "kind": "person", "slug": "the-speaker"}
                ok(client.post("/v1/entities", json=speaker))
            yield server

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Clients write meanwhile, and some time before and after."""
        with writing(self.book, f"http://127.0.0.1:{self.port}", self.token, CLIENTS):
            self._wait_for_more()
            yield
            self._wait_for_more()

    def _wait_for_more(self) -> None:
        enough = self.book.acknowledged + random.randint(*self.between)
        wait_for(lambda: self.book.acknowledged >= enough, PATIENCE)

    def check(self) -> None:
        """Compares the base with the book, once every write is final."""
        self.blows += 1
        for name, faults in vars(audit(self.url, self.book)).items():
            getattr(self.findings, name).extend(f"after {self.blows}: {fault}" for fault in faults)

    def strike(self, times: int, blow: Callable[[], None]) -> None:
        """Something happens while clients write."""
        for _ in range(times):
            with self.writing():
                blow()
            self.check()

    def kill(self, server: Served, times: int) -> None:
        """The server is killed, and started anew, while clients write."""
        with ExitStack() as running:
            victims = [server]

            def blow() -> None:
                victims[-1].process.send_signal(signal.SIGKILL)
                victims[-1].process.wait()
                victims.append(running.enter_context(self.served()))

            self.strike(times, blow)


class Failover:
    """Each blow takes the primary away for good, and promotes its synchronous standby."""

    def __init__(self, primary: Node) -> None:
        self.primary = primary
        self.standby = primary.standby("standby")
        first, second = primary.address, self.standby.address
        self.url = (
            primary.url(DATABASE).replace(first, f"{first},{second}") + "?target_session_attrs=read-write"
        )

    def __call__(self) -> None:
        self.primary.stop(signal.SIGKILL)
        self.standby.promote()

    def mend(self) -> None:
        """What was lost comes back as the standby of what was promoted."""
        self.primary, self.standby = self.standby, self.primary
        self.standby.follow(self.primary)


@contextmanager
def primary() -> Iterator[Node]:
    """A PostgreSQL with an empty database."""
    with node() as made:
        made.ask(f"CREATE DATABASE {DATABASE}")
        yield made


def kill_on_sqlite(directory: Path, times: int, **how: Any) -> Trial:
    """The server is killed."""
    trial = Trial("server killed, SQLite", directory, f"sqlite:///{directory}/record.db", **how)
    with trial.running() as server:
        trial.kill(server, times)
    return trial


def kill_on_postgresql(directory: Path, times: int) -> Trial:
    """The server is killed."""
    with primary() as database:
        trial = Trial("server killed, PostgreSQL", directory, database.url(DATABASE))
        with trial.running() as server:
            trial.kill(server, times)
    return trial


def restart(directory: Path, times: int) -> Trial:
    """PostgreSQL is stopped at once and started anew, the server stays."""
    with primary() as database:
        trial = Trial("PostgreSQL restarted", directory, database.url(DATABASE))
        with trial.running():
            trial.strike(times, database.restart)
    return trial


def failover(directory: Path, times: int) -> Trial:
    """The primary is lost and its synchronous standby promoted, the server stays."""
    with primary() as database:
        blow = Failover(database)
        trial = Trial("primary lost", directory, blow.url)
        with trial.running():
            trial.strike(1, blow)
            for _ in range(times - 1):
                blow.mend()
                trial.strike(1, blow)
    return trial
