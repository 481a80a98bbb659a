"""One client that asks for all that it can get, and how long another one waits meanwhile.

Both come from addresses of their own: the server trusts this machine as a proxy.
"""

import itertools
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from app.base import schema
from app.base.db import Database
from app.exchange.records import bring_in
from tests.newsroom import SECRET, SEED, TESTS
from tests.served import Served, environment, served
from tests.torture.trials import DATABASE, primary

HONEST = "198.51.100.23"
ELSEWHERE = "127.0.0.9"
"""An address of this machine that the server takes for another's."""
FILES = 512
"""How many files the server may have open."""
MOST_SECONDS = 1.0
"""Within which 99 of 100 requests of the honest client are answered, whatever the other one does."""
WHOLE_LIST = "/v1/claims?limit=200"
EVERY_DAY = ("/v1/claims", "/v1/claims?q=gas", "/v1/entities/vladimir-putin", "/v1/stats")
"""What the honest client asks."""

Attack = Callable[["Siege"], None]


@dataclass
class Siege:
    """A server under one attack, by a client at an address. `waits` are the seconds that each request of the
    honest client took, `refused` the statuses of those that were not answered with 200.
    """

    name: str
    server: Served
    greedy: str
    stop: threading.Event = field(default_factory=threading.Event)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    waits: list[float] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    def connection(self) -> HTTPConnection:
        return HTTPConnection(self.server.url.removeprefix("http://"), timeout=30)

    @contextmanager
    def connected(self) -> Iterator[socket.socket]:
        """A connection of the greedy client, whose system takes little."""
        host, _, port = self.server.url.removeprefix("http://").partition(":")
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            connection.settimeout(10)
            connection.connect((host, int(port)))
            yield connection

    def requests(self, path: str, times: int = 1) -> bytes:
        """Requests of the greedy client, one behind the other."""
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {self.greedy}\r\n\r\n"
        return head.encode() * times

    def flood(self, path: Callable[[], str], headers: Callable[[], Mapping[str, str]] = dict) -> None:
        """The greedy client asks without pause and reads the answers. Cut off, it connects anew."""
        while not self.stop.is_set():
            with suppress(ConnectionError), closing(self.connection()) as connection:
                while not self.stop.is_set():
                    connection.request("GET", path(), headers={"X-Forwarded-For": self.greedy, **headers()})
                    connection.getresponse().read()

    def ask(self, seconds: float) -> None:
        """The honest client asks ten times a second, each time on a connection of its own."""
        end = time.monotonic() + seconds
        for path in itertools.cycle(EVERY_DAY):
            began = time.monotonic()
            if began > end:
                return
            with closing(self.connection()) as connection:
                connection.request("GET", path, headers={"X-Forwarded-For": HONEST})
                answer = connection.getresponse()
                answer.read()
            self.waits.append(time.monotonic() - began)
            if answer.status != 200:
                self.refused.append(answer.status)
            self.stop.wait(max(0.1 - self.waits[-1], 0))

    @property
    def held(self) -> bool:
        """Whether the honest client was answered, and in time."""
        return not self.refused and self.p99 < MOST_SECONDS

    @property
    def p99(self) -> float:
        """The seconds within which 99 of 100 requests of the honest client were answered."""
        return statistics.quantiles(self.waits, n=100, method="inclusive")[98]


def unread(siege: Siege) -> None:
    """Thirty connections with twenty requests each, of which no answer is read."""
    while not siege.stop.is_set():
        with ExitStack() as stack:
            for _ in range(30):
                connection = stack.enter_context(siege.connected())
                connection.sendall(siege.requests(WHOLE_LIST, 20))
            siege.stop.wait(10)


def slowly(siege: Siege) -> None:
    """Two hundred connections whose answers are read at some kilobytes a second."""
    with ExitStack() as stack:
        readers = [stack.enter_context(siege.connected()) for _ in range(200)]
        for reader in readers:
            reader.sendall(siege.requests(WHOLE_LIST, 5))
            reader.setblocking(False)
        while not siege.stop.wait(1):
            for reader in readers:
                with suppress(OSError):
                    reader.recv(8192)


def moments(siege: Siege) -> None:
    """As many moments of the past as there are entries, and nobody waits for one of them."""
    while not siege.stop.is_set():
        with siege.connected() as connection:
            connection.sendall(siege.requests(f"/v1/claims?as_of={1 + next(siege.numbers) % 60}"))
            siege.stop.wait(0.02)


def probes(siege: Siege) -> None:
    """What a supervisor asks, without pause."""
    siege.flood(lambda: ("/readyz", "/healthz")[next(siege.numbers) % 2])


def guesses(siege: Siege) -> None:
    """A wrong key after the other, where measures are read."""
    siege.flood(lambda: "/metrics", lambda: {"Authorization": f"Bearer otr_{next(siege.numbers)}"})


def leaving(siege: Siege) -> None:
    """Ever new searches, each of which is left while it is read."""
    while not siege.stop.is_set():
        with siege.connected() as connection:
            connection.sendall(siege.requests(f"{WHOLE_LIST}&q=gas+-a{next(siege.numbers)}"))
            siege.stop.wait(0.03)


def half_open(siege: Siege) -> None:
    """Six hundred connections at a time, each with nearly all the headers that a request may have and no end
    to them. They come from no proxy.
    """
    host, _, port = siege.server.url.removeprefix("http://").partition(":")
    head = f"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {'x' * 57_000}".encode()
    while not siege.stop.is_set():
        with ExitStack() as stack:
            for _ in range(600):
                connection = stack.enter_context(socket.socket())
                connection.bind((ELSEWHERE, 0))
                connection.connect((host, int(port)))
                connection.settimeout(1)
                with suppress(OSError):  # it is closed already
                    connection.sendall(head)
            siege.stop.wait(5)


def peace(siege: Siege) -> None:
    """Nothing, to compare with."""
    siege.stop.wait()


ATTACKS: Mapping[str, tuple[Attack, int]] = {
    "none": (peace, 1),
    "answers unread": (unread, 1),
    "answers read slowly": (slowly, 1),
    "moments of the past": (moments, 4),
    "probes": (probes, 8),
    "wrong keys": (guesses, 8),
    "left at once": (leaving, 8),
    "half-open": (half_open, 1),
}
"""Each attack, and in how many threads it is made."""


def besieged(url: str, log: Path, seconds: float) -> Iterator[Siege]:
    """What the honest client met with during each attack, so many seconds long, on a base with the seed."""
    env = environment(url, RECORD_SECRET=SECRET, RECORD_LOG_LEVEL="warning")
    with served(env, log, files=FILES) as server:
        for number, (name, (attack, times)) in enumerate(ATTACKS.items()):
            siege = Siege(name, server, f"203.0.113.{number}")
            with ThreadPoolExecutor(times) as attackers:
                attacking = [attackers.submit(attack, siege) for _ in range(times)]
                try:
                    siege.ask(seconds)
                finally:
                    siege.stop.set()
                for each in attacking:
                    each.result()
            yield siege


def seeded(url: str) -> str:
    """A base with the seed in it."""
    schema.upgrade(url)
    db = Database(url)
    with db.write() as session:
        bring_in(session, SEED, by=TESTS)
    db.dispose()
    return url


def besiege_on_sqlite(directory: Path, seconds: float) -> list[Siege]:
    """Every attack on a server whose base is a file."""
    return [*besieged(seeded(f"sqlite:///{directory}/record.db"), directory / "log", seconds)]


def besiege_on_postgresql(directory: Path, seconds: float) -> list[Siege]:
    """Every attack on a server whose base is on PostgreSQL."""
    with primary() as database:
        return [*besieged(seeded(database.url(DATABASE)), directory / "log", seconds)]
