"""Receivers of webhooks: real servers on loopback, which answer as they are told to."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass(frozen=True)
class Got:
    """A message as it came in."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def told(self) -> Any:
        return orjson.loads(self.body)

    @property
    def seq(self) -> int:
        return int(self.told["data"]["seq"])


@dataclass(frozen=True)
class Says:
    """What is answered: a status, headers, and a body that may have no end."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    endless: bool = False


Answer = Callable[[Got], Says]


@dataclass
class Receiver:
    """Keeps what it gets. `answer` may be put in another's place at any time."""

    got: list[Got] = field(default_factory=list)
    answer: Answer = lambda _got: Says()
    url: str = ""
    poured: int = 0
    connections: set[Any] = field(default_factory=set)
    """Where connections came from."""
    names: list[str] = field(default_factory=list)
    """The names that TLS connections were made for."""

    @property
    def seqs(self) -> list[int]:
        return [each.seq for each in self.got]

    def wait(self, count: int) -> None:
        """Until so many messages have come."""
        self._until(lambda: len(self.got) >= count)

    def wait_for(self, seq: int) -> None:
        """Until the message of an entry has come."""
        self._until(lambda: seq in self.seqs)

    def _until(self, so: Callable[[], bool]) -> None:
        for _ in range(1000):
            if so():
                return
            time.sleep(0.02)
        raise AssertionError(f"there came {self.seqs}")


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            size = int(self.headers["content-length"])
            body = self.rfile.read(size)
            if len(body) < size:  # its sender was killed meanwhile
                self.close_connection = True
                return
            got = Got({name.lower(): value for name, value in self.headers.items()}, body)
            receiver.connections.add(self.client_address)
            says = receiver.answer(got)
            receiver.got.append(got)
            with suppress(OSError):
                self._say(says)

        def _say(self, says: Says) -> None:
            self.send_response(says.status)
            for name, value in says.headers.items():
                self.send_header(name, value)
            if not says.endless:
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.end_headers()
            self.close_connection = True
            while True:
                receiver.poured += self.wfile.write(b"x" * 4096)

        def log_message(self, *_given: object) -> None:
            """Says nothing."""

    return Handler


@contextmanager
def receiving(answer: Answer | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver()
    receiver.answer = answer or receiver.answer
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(receiver)) as server:
        server.daemon_threads, server.block_on_close = True, False
        scheme = "http"
        if tls is not None:
            tls.sni_callback = lambda _socket, name, _context: receiver.names.append(str(name))
            server.socket = tls.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        server.handle_error = lambda *_given: None  # type: ignore[method-assign]
        receiver.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/hook"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
