"""Servers under load and what it costs them: processor time, which a busy machine hardly changes, beside
waiting time, which it does.
"""

import http.client
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Self
from urllib.parse import urlsplit

import psutil

from app.base import schema

START_SECONDS = 120
Cpu = Callable[[], float]


TICK = 0.01
"""What processor time is counted in, in seconds: what took less has taken one."""


def no_cpu() -> float:
    """What a database costs that is part of its server."""
    return 0.0


# --- processes ---------------------------------------------------------------------------------


def cpu_of(process: psutil.Process) -> float:
    """Seconds of processor time, its own and the system's for it."""
    times = process.cpu_times()
    return float(times.user + times.system)


def peak_memory(pid: int) -> int:
    """The most bytes that a process has had in memory since `forget_peak`, or since its start."""
    try:
        with open(f"/proc/{pid}/status") as file:
            found = re.search(r"VmHWM:\s+(\d+) kB", file.read())
        return int(found[1]) * 1024 if found else 0
    except OSError:  # not Linux, or gone
        return int(psutil.Process(pid).memory_info().rss) if psutil.pid_exists(pid) else 0


def forget_peak(pid: int) -> None:
    """Begins anew with `peak_memory`."""
    try:
        with open(f"/proc/{pid}/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


@dataclass(frozen=True)
class Ran:
    """A command that has ended well."""

    seconds: float
    cpu: float
    peak: int


def run(arguments: Sequence[str], env: Mapping[str, str]) -> Ran:
    """Runs a command to its end. Raises RuntimeError, with what it said, if it fails."""
    began, peak = time.perf_counter(), 0
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=schema.ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        pid = 0
        while pid == 0:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            peak = max(peak, peak_memory(process.pid))
            time.sleep(0.01)
        took = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said = process.stderr.read().decode() if process.stderr else ""
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {said[-2000:]}")
    return Ran(took, used.ru_utime + used.ru_stime, peak)


@dataclass(frozen=True)
class Served:
    """A server that answers at an address."""

    url: str
    process: psutil.Process

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far."""
        return cpu_of(self.process)

    @property
    def cpu_in_all(self) -> float:
        """The same with the processes that it started and that have ended."""
        spent = self.process.cpu_times()
        return float(self.cpu + spent.children_user + spent.children_system)


class NotThereError(Exception):
    """What was to be measured does not exist, or not yet."""


@contextmanager
def serving(arguments: Sequence[str], env: Mapping[str, str]) -> Iterator[Served]:
    """A server of its own, which says its address on standard output. Raises NotThereError if it ends."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=schema.ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stderr
    try:
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                _wait_for(found[0])
                yield Served(found[0], psutil.Process(process.pid))
                return
        raise NotThereError(process.stderr.read().strip().splitlines()[-1])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def _wait_for(url: str) -> None:
    address, until = urlsplit(url), time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection((str(address.hostname), int(address.port or 0))).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


# --- the client --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ask:
    """A request, and what its answer must be."""

    path: str
    status: int = 200
    holds: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def on_wire(self, host: str) -> bytes:
        """The request as it is sent."""
        lines = [f"GET {self.path} HTTP/1.1", f"Host: {host}", "Accept: application/json"]
        return "\r\n".join([*lines, *(f"{n}: {v}" for n, v in self.headers), "", ""]).encode()


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        """A header's value; empty without it."""
        found = re.search(rb"(?i)^" + name.encode() + rb": *(.*?)\r?$", self.head, re.MULTILINE)
        return found[1].decode() if found else ""


class Client:
    """One connection kept alive, and as little work for each answer as can be."""

    def __init__(self, url: str) -> None:
        self.address = urlsplit(url)
        self.host = self.address.netloc
        self.socket = self._connected()

    def _connected(self) -> socket.socket:
        where = (str(self.address.hostname), int(self.address.port or 0))
        found = socket.create_connection(where, timeout=120)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def get(self, ask: Ask) -> Answer:
        """The answer. Raises AssertionError if it is not the one that must come."""
        answer = self.send(ask.on_wire(self.host))
        if answer.status != ask.status or ask.holds not in answer.body:
            raise AssertionError(f"{ask.path}: {answer.status} {answer.body[:300]!r}")
        return answer

    def send(self, wire: bytes) -> Answer:
        """Sends a request and reads the whole answer."""
        try:
            return self._sent(wire)
        except ConnectionError:  # kept alive for less long than the rivals took their turns
            self.socket.close()
            self.socket = self._connected()
            return self._sent(wire)

    def _sent(self, wire: bytes) -> Answer:
        self.socket.sendall(wire)
        data = self._more()
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        head, body = data[:end], data[end + 4 :]
        status = int(head[9:12])
        lower = head.lower()
        at = lower.find(b"content-length:")
        if at >= 0:
            length = int(lower[at + 15 :].split(b"\r\n", 1)[0])
            while len(body) < length:
                body += self._more()
        elif b"transfer-encoding: chunked" in lower:
            while not body.endswith(b"0\r\n\r\n"):
                body += self._more()
        return Answer(status, head, body)

    def _more(self) -> bytes:
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


def download(url: str, path: str) -> Iterator[bytes]:
    """The body of an answer that is too long to be kept. Raises NotThereError unless it is 200."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=3600)
    try:
        connection.request("GET", path, headers={"Accept": "*/*"})
        response = connection.getresponse()
        if response.status != 200:
            raise NotThereError(f"{path}: {response.status}")
        while chunk := response.read(1 << 16):
            yield chunk
    finally:
        connection.close()


# --- what it costs -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """Of one request, in milliseconds: processor time of the server, that of its database where it is a
    process of its own, and the time waited. `rate` is requests a second of one connection.
    """

    cpu: float
    database: float
    p50: float
    p99: float
    rate: float

    @property
    def total(self) -> float:
        """Processor time in all."""
        return self.cpu + self.database


@dataclass(frozen=True)
class Contender:
    """A server with the requests that it is to answer, and the processor time of its database."""

    server: Served
    asks: Sequence[Ask]
    database: Cpu = no_cpu


@dataclass(frozen=True)
class Pace:
    """How long is measured: so many rounds of so many seconds for each contender, taking turns."""

    rounds: int = 5
    seconds: float = 0.5


FEW = 30
"""With fewer requests than this in a round, rounds differ by what was asked, not by what the machine did."""


@dataclass(frozen=True)
class Round:
    """The waits of some requests, and what they cost together, all in seconds."""

    waits: Sequence[float]
    cpu: float
    database: float

    @property
    def cost(self) -> Cost:
        """Of one of them."""
        count = len(self.waits)
        return Cost(
            cpu=max(self.cpu, TICK) / count * 1e3,
            database=self.database / count * 1e3,
            p50=statistics.median(self.waits) * 1e3,
            p99=sorted(self.waits)[int(0.99 * count)] * 1e3,
            rate=count / sum(self.waits),
        )


def compare(contenders: Mapping[str, Contender], pace: Pace) -> dict[str, Cost]:
    """Each contender's cost in its quietest round."""
    clients = {name: Client(contender.server.url) for name, contender in contenders.items()}
    asks = {name: cycle(contender.asks) for name, contender in contenders.items()}
    rounds: dict[str, list[Round]] = {name: [] for name in contenders}
    for number in range(pace.rounds + 1):
        for name, contender in contenders.items():
            seconds = pace.seconds if number else min(pace.seconds, 0.2)  # the first one warms up
            done = _round(contender, clients[name], asks[name], seconds)
            rounds[name] += [done] if number else []
    for client in clients.values():
        client.socket.close()
    return {name: quietest(found) for name, found in rounds.items()}


def _round(contender: Contender, client: Client, asks: Iterator[Ask], seconds: float) -> Round:
    waits: list[float] = []
    server, database = contender.server.cpu, contender.database()
    began = now = time.perf_counter()
    while now - began < seconds or len(waits) < 3:
        ask = next(asks)
        now = time.perf_counter()
        client.get(ask)
        waits.append(time.perf_counter() - now)
    return Round(waits, contender.server.cpu - server, contender.database() - database)


def quietest(rounds: Sequence[Round]) -> Cost:
    """The least that was measured of each figure, since whatever else the machine did only added to it; of
    few requests, all rounds as one.
    """
    if min(len(each.waits) for each in rounds) < FEW:
        waits = [wait for each in rounds for wait in each.waits]
        return Round(waits, sum(each.cpu for each in rounds), sum(each.database for each in rounds)).cost
    costs = [each.cost for each in rounds]
    return Cost(
        cpu=min(cost.cpu for cost in costs),
        database=min(cost.database for cost in costs),
        p50=min(cost.p50 for cost in costs),
        p99=min(cost.p99 for cost in costs),
        rate=max(cost.rate for cost in costs),
    )
