"""Clients that keep the server waiting, by raw sockets at a real server: they lose their connections, and
nobody else notices.
"""

import asyncio
import json
import re
import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Queue
from threading import Event, Semaphore, Thread

import psutil
import pytest
import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access import store as keys
from app.access.model import KeyIn
from app.base.boundary import Boundary
from app.base.db import Database
from app.base.http import while_connected
from app.base.jobs import Jobs
from app.base.limits import Limits
from app.base.protocol import PER_PEER, Connections, protocol_of
from tests.newsroom import SECRET, TESTS, Bases, SqliteBases
from tests.served import Served, environment, served

PATIENCE = 2
"""Seconds that the server waits in most of these tests; it looks once a second."""
SOON = PATIENCE + 5
"""Seconds after which a busy machine has closed a connection too."""

HEAD = b"GET /v1/claims HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v1/claims HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE_LIST = b"GET /v1/claims?limit=200 HTTP/1.1\r\nHost: localhost\r\n\r\n"


UNTAKEN = WHOLE_LIST * 200
"""Whose answers are more than the system's buffers hold."""


@contextmanager
def serving(bases: SqliteBases, log: Path, **settings: str) -> Iterator[tuple[Served, bytes]]:
    """A server, and the header with an editor's key."""
    with bases.fresh(seeded=True) as url:
        db = Database(url)
        with db.write() as session:
            _, token = keys.create(session, SECRET.encode(), KeyIn(name="Desk", role="editor"), by=TESTS)
        db.dispose()
        env = environment(url, RECORD_SECRET=SECRET, RECORD_LOG_LEVEL="warning", **settings)
        with served(env, log) as server:
            yield server, f"Authorization: Bearer {token}\r\n".encode()
        lines = log.read_text().splitlines()
        assert [line for line in lines if "Invalid HTTP request" not in line] == [], "it is nothing to log"


@pytest.fixture(scope="module")
def serves(
    sqlite_bases: SqliteBases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Served, bytes]]:
    log = tmp_path_factory.mktemp("slow") / "log"
    with serving(sqlite_bases, log, RECORD_CLIENT_SECONDS=str(PATIENCE)) as found:
        yield found


@pytest.fixture
def server(serves: tuple[Served, bytes]) -> Served:
    return serves[0]


@pytest.fixture
def key(serves: tuple[Served, bytes]) -> bytes:
    return serves[1]


@contextmanager
def connected(server: Served) -> Iterator[socket.socket]:
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        connection.settimeout(20)
        connection.connect((host, int(port)))
        yield connection


def to_the_end(connection: socket.socket) -> tuple[bytes, float]:
    """All that is sent until the connection is closed, and after how many seconds it is."""
    began, read = time.monotonic(), b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            read += piece
    return read, time.monotonic() - began


def open_connections(server: Served) -> int:
    found = psutil.Process(server.process.pid).net_connections("tcp")
    return sum(each.status != psutil.CONN_LISTEN for each in found)


def wait_until_alone(server: Served, seconds: float) -> float:
    """Waits until the server has no connection. How long that took."""
    began = time.monotonic()
    while open_connections(server):
        assert time.monotonic() - began < seconds, f"{open_connections(server)} are open still"
        time.sleep(0.1)
    return time.monotonic() - began


def refused(read: bytes, status: int) -> None:
    """That an answer is a refusal in the one form, with the headers of every answer."""
    head, _, body = read.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), read[:200]
    for line in (b"content-type: application/problem+json", b"connection: close",
                 b"x-content-type-options: nosniff"):  # fmt: skip
        assert line in head.lower().split(b"\r\n")
    assert b"server:" not in head.lower()
    assert json.loads(body)["status"] == status
    assert json.loads(body)["request_id"].encode() in head


# --- requests that do not arrive ---------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"G", HEAD[:9], HEAD], ids=["letter", "line", "headers"])
def test_the_beginning_of_a_request_is_waited_for_in_vain_for_some_seconds(
    server: Served, sent: bytes
) -> None:
    with connected(server) as connection:
        connection.sendall(sent)
        read, took = to_the_end(connection)
    assert PATIENCE - 0.5 < took < SOON
    refused(read, 408)


@pytest.mark.parametrize(
    "sent", [b"Content-Length: 100\r\n\r\n{", CHUNKED + b"5\r\n{"], ids=["long", "chunked"]
)
def test_the_rest_of_a_body_is_waited_for_in_vain_for_some_seconds(
    server: Served, key: bytes, sent: bytes
) -> None:
    with connected(server) as connection:
        connection.sendall(POST + key + sent)
        read, took = to_the_end(connection)
    assert PATIENCE - 0.5 < took < SOON
    refused(read, 408)


def test_a_connection_that_asks_nothing_is_closed_without_a_word(server: Served) -> None:
    with connected(server) as connection:
        read, took = to_the_end(connection)
    assert (read, took < SOON) == (b"", True)
    with connected(server) as connection:
        connection.sendall(HEAD + b"\r\n")
        read, took = to_the_end(connection)
    assert (read.count(b"HTTP/1.1"), took < SOON) == (1, True)


def test_a_sender_of_single_bytes_gains_nothing(server: Served) -> None:
    with connected(server) as connection:
        connection.settimeout(0.1)
        began, read = time.monotonic(), b""
        while not read and time.monotonic() - began < 2 * SOON:
            connection.send(b"X")
            with suppress(TimeoutError):
                read = connection.recv(1000)
    assert time.monotonic() - began < SOON
    refused(read, 408)


def test_a_slow_sender_who_keeps_sending_is_heard(server: Served, key: bytes) -> None:
    body = b'{"text": "%s", "mode": "paraphrase", "speakers": ["vladimir-putin"]}' % (b"x" * 19_900)
    with connected(server) as connection:
        connection.sendall(POST + key + b"Content-Length: %d\r\n\r\n" % len(body))
        began = time.monotonic()
        for start in range(0, len(body), 2000):
            connection.sendall(body[start : start + 2000])
            time.sleep(0.4)
        assert time.monotonic() - began > 1.5 * PATIENCE
        assert connection.recv(1000).startswith(b"HTTP/1.1 201 ")


# --- bodies without end ------------------------------------------------------------------------


def flood(connection: socket.socket, megabytes: int) -> int:
    """Sends chunks until it is told to stop. How many megabytes that were."""
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    for sent in range(megabytes):
        try:
            connection.sendall(chunk)
        except ConnectionError:
            return sent
    return megabytes


def test_a_body_without_end_is_read_up_to_the_limit(server: Served, key: bytes) -> None:
    before = psutil.Process(server.process.pid).memory_info().rss
    with connected(server) as connection:
        connection.sendall(POST + key + CHUNKED)
        assert flood(connection, 500) < 100
    assert psutil.Process(server.process.pid).memory_info().rss - before < 60e6
    with connected(server) as connection:
        connection.sendall(POST + key + b"Content-Length: 99999999999\r\n\r\n")
        read, took = to_the_end(connection)
        assert took < PATIENCE
    refused(read, 413)


def test_a_body_that_nobody_wants_is_not_read_for_ever(server: Served) -> None:
    with connected(server) as connection:
        connection.sendall(POST + CHUNKED)
        assert connection.recv(1000).startswith(b"HTTP/1.1 401 ")
        began = time.monotonic()
        while flood(connection, 1) and time.monotonic() - began < 2 * SOON:
            time.sleep(0.05)
        assert time.monotonic() - began < SOON
    with server.client() as client:
        assert client.get("/v1/claims").status_code == 200


# --- what is no request ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000, 431),
        (b"GET /" + b"x" * 70_000, 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Y: z\r\n" * 20_000, 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
    ],
    ids=["header", "line", "headers", "TLS", "lengths", "coding", "no host"],
)
def test_what_is_not_http_is_refused_in_the_one_form(
    serves: tuple[Served, bytes], sent: bytes, status: int
) -> None:
    with connected(serves[0]) as connection:
        with suppress(ConnectionError):
            connection.sendall(sent)
        read, took = to_the_end(connection)
    assert took < PATIENCE
    if read or status != 431:  # what is still under way may have reset the connection
        refused(read, status)


# --- where a request ends ----------------------------------------------------------------------

ABOUT = b"POST /v1/claims HTTP/1.1\r\nHost: localhost\r\n"
UNCLEAR = {
    "length, coding": ABOUT + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding, length": ABOUT + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "both in a GET": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "folded coding": ABOUT + b"Content-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "two lengths": ABOUT + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "a list of lengths": ABOUT + b"Content-Length: 3, 4\r\n\r\nabc",
    "signed": ABOUT + b"Content-Length: +3\r\n\r\nabc",
    "negative": ABOUT + b"Content-Length: -3\r\n\r\nabc",
    "hexadecimal": ABOUT + b"Content-Length: 0x3\r\n\r\nabc",
    "underscored": ABOUT + b"Content-Length: 1_0\r\n\r\nabc",
    "empty length": ABOUT + b"Content-Length:\r\n\r\nabc",
    "two numbers": ABOUT + b"Content-Length: 3 4\r\n\r\nabc",
    "endless length": ABOUT + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nabc",
    "two codings": ABOUT + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding twice": ABOUT + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": ABOUT + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "identity": ABOUT + b"Transfer-Encoding: identity\r\n\r\n",
    "almost chunked": ABOUT + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a control character": ABOUT + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "no coding": ABOUT + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "coding in 1.0": b"POST /v1/claims HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "version 2": b"GET /v1/claims HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "a space before the colon": ABOUT + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a tab before the colon": ABOUT + b"Content-Length\t: 3\r\n\r\nabc",
    "a fold at the beginning": b"GET /v1/claims HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "a bare CR in a value": ABOUT + b"X: a\rContent-Length: 3\r\n\r\nabc",
    "two CRs": ABOUT + b"Content-Length: 3\r\r\n\r\nabc",
    "a bare CR in the line": b"GET /v1/claims\r HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "NUL": ABOUT + b"X: \x00\r\n\r\n",
    "no colon": ABOUT + b"Content-Length 3\r\n\r\nabc",
    "no name": ABOUT + b": 3\r\n\r\nabc",
    "two hosts": HEAD + b"Host: other\r\n\r\n",
}
"""Requests whose end is not the same to all who read them, or that are none."""
WRONG_CHUNKS = {
    "prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
    "sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "bare LF": b"3\nabc\r\n0\r\n\r\n",
    "LF in an extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "end": b"3\r\nabcXX0\r\n\r\n",
    "size": b"F" * 30 + b"\r\nabc",
}
ONE_MORE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("sent", UNCLEAR.values(), ids=UNCLEAR)
def test_a_request_whose_end_is_unclear_is_refused_and_nothing_after_it_is_read(
    server: Served, sent: bytes
) -> None:
    with connected(server) as connection:
        connection.sendall(sent + ONE_MORE)
        read, took = to_the_end(connection)
    assert took < PATIENCE
    refused(read, 400)
    assert read.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("sent", WRONG_CHUNKS.values(), ids=WRONG_CHUNKS)
def test_wrong_chunks_end_the_connection(server: Served, key: bytes, sent: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(POST + key + CHUNKED + sent + ONE_MORE)
        read, took = to_the_end(connection)
    assert took < PATIENCE
    refused(read, 400)
    assert read.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Length: 2\r\n\r\n{}",
        b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",  # RFC 9110, section 8.6
        b"Content-Length: 2, 2\r\n\r\n{}",
        b"Transfer-Encoding: CHUNKED\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: 7\r\n\r\n",
    ],
)
def test_a_request_whose_end_is_clear_is_read(server: Served, key: bytes, sent: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(POST + key + sent)
        connection.sendall(ONE_MORE[:-2] + b"Connection: close\r\n\r\n")
        read, _ = to_the_end(connection)
    first, second = re.findall(rb"HTTP/1\.1 (\d+) ", read)
    assert (first, second) == (b"422", b"200")


# --- answers that are not taken ----------------------------------------------------------------


def test_an_answer_that_nobody_takes_is_dropped(server: Served) -> None:
    wait_until_alone(server, 2 * SOON)
    with connected(server) as one, connected(server) as many:
        one.sendall(WHOLE_LIST)
        many.sendall(UNTAKEN)
        time.sleep(0.5)
        assert open_connections(server) == 2
        assert wait_until_alone(server, 2 * SOON) < SOON + 5  # kept for 5 seconds for the next request
        del one, many


_LONG = b"--b\r\n\r\nGET /v1alpha1/" + b"x" * 8000 + b" HTTP/1.1\r\n\r\n\r\n"
IN_ONE = b"POST /batch/factchecktools/v1alpha1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n" % (
    100 * len(_LONG) + 5
)
IN_ONE += b"Content-Type: multipart/mixed; boundary=b\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"
IN_ONE += 100 * _LONG + b"--b--"
"""Requests in one, whose answers are as long as they are."""


@pytest.mark.parametrize(
    "asked",
    [(WHOLE_LIST[:-2] + b"X-Forwarded-For: 203.0.113.7\r\n\r\n") * 200, IN_ONE * 8],
    ids=["list", "batch"],
)
def test_an_answer_holds_its_turn_until_it_is_taken(
    sqlite_bases: SqliteBases, tmp_path: Path, asked: bytes
) -> None:
    """A client with answers that it does not take waits for itself, and nobody else does."""
    settings = {"RECORD_REQUESTS_AT_ONCE": "1", "RECORD_CLIENT_SECONDS": str(2 * PATIENCE)}
    with serving(sqlite_bases, tmp_path / "log", **settings) as (server, _), connected(server) as greedy:
        Thread(target=_pressed, args=(greedy, asked), daemon=True).start()
        time.sleep(1)
        with server.client() as client:
            waited = {}
            for address in ("198.51.100.23", "203.0.113.7"):
                began = time.monotonic()
                answer = client.get("/v1/claims", headers={"X-Forwarded-For": address})
                assert answer.status_code == 200
                waited[address] = time.monotonic() - began
        assert waited["198.51.100.23"] < waited["203.0.113.7"] - PATIENCE / 2
        assert waited["203.0.113.7"] > PATIENCE, "its own answers are dropped after some seconds"


def _pressed(connection: socket.socket, asked: bytes) -> None:
    with suppress(OSError):
        connection.sendall(asked)


def test_a_slow_reader_who_keeps_reading_gets_it_all(server: Served) -> None:
    times, read = 20, b""
    with connected(server) as connection:
        connection.sendall(WHOLE_LIST * (times - 1) + WHOLE_LIST[:-2] + b"Connection: close\r\n\r\n")
        began = time.monotonic()
        while piece := connection.recv(40_000):
            read += piece
            time.sleep(0.1)
    assert time.monotonic() - began > 1.5 * PATIENCE
    bodies = re.split(rb"HTTP/1\.1 200 OK\r\n", read)[1:]
    assert len(bodies) == times
    assert len({body.partition(b"\r\n\r\n")[2] for body in bodies}) == 1
    assert json.loads(bodies[-1].partition(b"\r\n\r\n")[2])["data"]


def test_a_stream_that_nobody_takes_is_given_up(server: Served, key: bytes) -> None:
    with server.client(key.decode().split()[-1]) as client:
        lines = (
            json.dumps({"name": f"Long {n}", "kind": "person", "description": "." * 20_000})
            for n in range(350)
        )
        headers = {"Content-Type": "application/x-ndjson"}
        asked = {"type": "entity"}
        answer = client.post("/v1/import", params=asked, headers=headers, content="\n".join(lines))
        assert answer.status_code == 200, answer.text
    wait_until_alone(server, SOON)
    with connected(server) as connection:
        connection.sendall(b"GET /v1/changes/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        assert wait_until_alone(server, 2 * SOON) >= 1


# --- clients that go away ----------------------------------------------------------------------


@pytest.mark.parametrize(("method", "given_up"), [("GET", True), ("HEAD", True), ("POST", False)])
def test_nothing_is_read_on_for_a_client_that_is_gone(method: str, given_up: bool) -> None:
    """What writes is brought to its end: whoever sent it may believe that it was heard."""
    outcome, begun = Queue[str](), Event()

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        begun.set()
        try:
            await asyncio.sleep(2)
        except asyncio.CancelledError:
            outcome.put("given up")
            raise
        outcome.put("ended")

    with running(app) as at:
        with socket.create_connection(at) as connection:
            connection.sendall(f"{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert begun.wait(20)
        assert outcome.get(timeout=20) == ("given up" if given_up else "ended")


@contextmanager
def running(app: ASGIApp, connections: Connections | None = None) -> Iterator[tuple[str, int]]:
    """An application behind the protocol, in a thread of its own, and where it listens."""
    config = uvicorn.Config(
        app, port=0, log_level="critical", lifespan="off", http=protocol_of(8, connections)
    )
    server = uvicorn.Server(config)
    listening = config.bind_socket()
    thread = Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield "127.0.0.1", listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.mark.parametrize("long", [False, True], ids=["a thread", "a job"])
def test_a_turn_is_held_until_the_thread_of_a_client_that_is_gone_has_ended(long: bool) -> None:
    """Otherwise a client that leaves at once has any number of threads and database connections."""
    working, may_end, begun = Semaphore(0), Event(), list[bool]()
    most, jobs = 3, Jobs(10)

    def work(*_: object) -> None:
        working.release()
        may_end.wait(20)

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await (jobs.run(work, None) if long else run_in_threadpool(work))

    limits = Limits(per_address=0, per_key=0, wrong_keys=0, at_once=most)
    with running(Boundary(app, limits=limits, max_body_bytes=1, bodies={})) as at:
        for n in range(10):
            with socket.create_connection(at) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
                begun.append(working.acquire(timeout=20 if n < most else 0.1))
        may_end.set()
        assert begun == [True] * most + [False] * (10 - most)
        with socket.create_connection(at) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
            assert working.acquire(timeout=20), "a turn was lost"


def test_a_reading_with_too_long_a_body_is_answered() -> None:
    """While it is made, the rest of the request is looked at, which need not mean that the client is gone."""

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        await while_connected(receive, asyncio.sleep(20))

    limits = Limits(per_address=0, per_key=0, wrong_keys=0, at_once=1)
    with (
        running(Boundary(app, limits=limits, max_body_bytes=1000, bodies={})) as at,
        socket.create_connection(at, timeout=10) as connection,
    ):
        connection.sendall(HEAD + CHUNKED + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n")
        read, _ = to_the_end(connection)
    assert read.startswith(b"HTTP/1.1 413 "), read[:200]
    assert json.loads(read.partition(b"\r\n\r\n")[2])["status"] == 413


# --- connections -------------------------------------------------------------------------------


def test_an_address_has_so_many_connections_and_a_process_too(caplog: pytest.LogCaptureFixture) -> None:
    room = Connections(3 * PER_PEER, ["192.0.2.0/24"])
    assert all(room.enter("203.0.113.1") for _ in range(PER_PEER))
    assert room.enter("203.0.113.1") is None
    assert room.enter("::ffff:203.0.113.1") is None
    peers = [room.enter(f"2001:db8::{n:x}") for n in range(PER_PEER + 1)]
    assert peers == ["2001:db8::/64"] * PER_PEER + [None], "a subscriber has as many addresses as it likes"
    for host in ("192.0.2.7", "127.0.0.1", "::1", ""):
        assert None not in [room.enter(host) for _ in range(PER_PEER // 4)]
    assert [room.enter(host) for host in ("192.0.2.7", "127.0.0.1", "198.51.100.1")] == [None] * 3
    room.leave("203.0.113.1")
    assert room.enter("203.0.113.1") == "203.0.113.1"
    assert caplog.text.count("Connections are refused") == 1


def holds(server: Served, number: int) -> None:
    """That the server keeps so many connections to clients, once it had time to close others."""
    port, last = int(server.url.rpartition(":")[2]), -1
    for _ in range(100):
        found = psutil.Process(server.process.pid).net_connections("tcp")
        last = sum(each.laddr.port == port and bool(each.raddr) for each in found)
        if last == number:
            return
        time.sleep(0.1)
    raise AssertionError(f"{last} are open, not {number}")


def left_open(connections: Sequence[socket.socket], seconds: float = 1) -> int:
    """How many are open still once the server had time to close others."""
    time.sleep(seconds)
    count = 0
    for connection in connections:
        connection.setblocking(False)
        try:
            count += connection.recv(1) != b""
        except BlockingIOError:
            count += 1
        except OSError:
            pass
    return count


def test_unfinished_headers_are_held_up_to_so_many_bytes_in_all() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with ExitStack() as stack:
        at = stack.enter_context(running(app, Connections(most_unfinished=100_000)))
        greedy = [stack.enter_context(socket.create_connection(at)) for _ in range(20)]
        for connection in greedy:
            connection.sendall(HEAD + b"X-Long: " + b"x" * 20_000)
        assert 4 <= left_open(greedy) <= 5
        honest = stack.enter_context(socket.create_connection(at))
        for piece in (HEAD, b"\r\n"):
            honest.sendall(piece)
            time.sleep(0.1)
        assert honest.recv(100).startswith(b"HTTP/1.1 204 ")
        for connection in greedy:
            connection.close()
        time.sleep(0.5)
        later = stack.enter_context(socket.create_connection(at))
        later.sendall(HEAD + b"X-Long: " + b"x" * 20_000)
        time.sleep(0.1)
        later.sendall(b"\r\n\r\n")
        assert later.recv(100).startswith((b"HTTP/1.1 204 ", b"HTTP/1.1 431 "))


def test_half_open_connections_take_no_file_of_the_server(bases: Bases, tmp_path: Path) -> None:
    """Of 256 files. They come from an address that is not that of a proxy, though it is this machine's."""
    log = tmp_path / "log"
    with bases.fresh(seeded=True) as url, ExitStack() as stack:
        env = environment(url, RECORD_SECRET=SECRET, RECORD_LOG_LEVEL="warning", RECORD_CLIENT_SECONDS="60")
        server = stack.enter_context(served(env, log, files=256))
        host, _, port = server.url.removeprefix("http://").partition(":")
        for _ in range(400):
            connection = socket.create_connection((host, int(port)), source_address=("127.0.0.9", 0))
            stack.enter_context(connection)
            with suppress(OSError):
                connection.sendall(HEAD)
        with server.client() as client:
            assert client.get("/v1/claims").status_code == 200
            holds(server, PER_PEER + 1)
            for _ in range(300):
                stack.enter_context(connected(server))
            holds(server, 128)
            assert client.get("/v1/claims").status_code == 200, "who was there stays"
    said = log.read_text()
    assert "Too many open files" not in said
    assert "Traceback" not in said
    assert said.count("Connections are refused") == 1


# --- many of them ------------------------------------------------------------------------------


def test_nine_hundred_of_them_are_gone_in_ten_seconds_and_nobody_else_notices(
    sqlite_bases: SqliteBases, tmp_path: Path
) -> None:
    with serving(sqlite_bases, tmp_path / "log") as (server, _), ExitStack() as stack:
        process = psutil.Process(server.process.pid)
        took: list[float] = []
        stop = Event()
        honest = Thread(target=ask_until, args=(server, stop, took))
        honest.start()
        stack.callback(honest.join)
        stack.callback(stop.set)
        before = process.memory_info().rss
        waiting = [stack.enter_context(connected(server)) for _ in range(900)]
        for n, connection in enumerate(waiting):
            connection.sendall(HEAD if n % 300 else UNTAKEN)
        began, peak, halves_gone = time.monotonic(), 0, 0.0
        while (left := open_connections(server)) > 1:
            lasted = time.monotonic() - began
            halves_gone = halves_gone or (lasted if left <= 4 else 0)
            peak = max(peak, process.memory_info().rss)
            assert lasted < 40, f"{left} are open still"
            time.sleep(0.25)
        stop.set()
        honest.join()
        assert halves_gone < 12, "10, and 2 for a busy machine"
        assert peak - before < 60e6
        assert len(took) > 10
        assert statistics.median(took) < 1


def ask_until(server: Served, stop: Event, took: list[float]) -> None:
    with server.client() as client:
        while not stop.is_set():
            began = time.monotonic()
            assert client.get("/v1/claims").status_code == 200
            took.append(time.monotonic() - began)
            time.sleep(0.02)
