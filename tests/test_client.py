"""The client: its page of documentation as it stands, and what it does when things go wrong."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import client
from app.client import TRIES, AsyncClient, Client, Record, Refused
from tests.newsroom import Newsroom


def test_its_page_is_true(seeded: Newsroom, root: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (root / "docs/client.md").read_text(), re.DOTALL)
    assert len(blocks) > 8
    _, token = seeded.key("editor")
    exec(compile("\n".join(blocks), "docs/client.md", "exec"), {"URL": seeded.server.url, "KEY": token})


Answer = tuple[int, dict[str, str], bytes]
DONE: Answer = (200, {"ETag": '"v1"'}, b'{"id": "clm_x"}')
AWAY: Answer = (503, {"Retry-After": "0"}, b'{"title": "The database is away"}')
BUSY: Answer = (429, {}, b"{}")
LOST: Answer = (0, {}, b"")
BROKEN: Answer = (502, {}, b"<html>no gateway</html>")


class Script:
    """A server that answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                script.asked.append((self.command, self.path, dict(self.headers.items())))
                status, headers, body = script.answers.pop(0)
                self.close_connection = True
                if not status:
                    return
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        for method in ("GET", "POST", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.answer)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    monkeypatch.setattr(client, "_MOST_SECONDS", 0.01)
    made = Script()
    thread = threading.Thread(target=made.server.serve_forever, args=[0.02])
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


Do = Callable[[Script, str, str, Any], Any]


def at_once(script: Script, method: str, path: str, body: Any = None) -> Any:
    with Client(script.url, "otr_x") as record:
        return getattr(record, method)(path, *([body] if body is not None else []))


def awaited(script: Script, method: str, path: str, body: Any = None) -> Any:
    async def ask() -> Any:
        async with AsyncClient(script.url, "otr_x") as record:
            return await getattr(record, method)(path, *([body] if body is not None else []))

    return asyncio.run(ask())


@pytest.fixture(params=[at_once, awaited])
def do(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("fault", [AWAY, BUSY, LOST, BROKEN])
def test_a_post_is_sent_again_with_the_same_key(script: Script, do: Any, fault: Answer) -> None:
    script.answers = [fault, fault, DONE]
    found = do(script, "post", "claims", {"text": "x"})
    assert (found, found.etag) == ({"id": "clm_x"}, '"v1"')
    keys = {headers["Idempotency-Key"] for _, _, headers in script.asked}
    assert (len(script.asked), len(keys)) == (3, 1)
    assert {headers["Authorization"] for _, _, headers in script.asked} == {"Bearer otr_x"}


def test_two_posts_have_two_keys(script: Script, do: Any) -> None:
    script.answers = [DONE, DONE]
    for _ in range(2):
        do(script, "post", "claims", {"text": "x"})
    assert len({headers["Idempotency-Key"] for _, _, headers in script.asked}) == 2


@pytest.mark.parametrize(("fault", "raised"), [(AWAY, Refused), (LOST, httpx.TransportError)])
def test_it_gives_up_in_the_end(script: Script, do: Any, fault: Answer, raised: type[Exception]) -> None:
    script.answers = [fault] * TRIES
    with pytest.raises(raised):
        do(script, "get", "claims/clm_x")
    assert not script.answers


def test_a_change_that_may_have_been_made_is_not_sent_again(script: Script, do: Any) -> None:
    script.answers = [LOST]
    with pytest.raises(httpx.TransportError):
        do(script, "delete", "claims/clm_x/withdrawal")
    assert len(script.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 409, 412, 422, 500])
def test_a_refusal_is_final(script: Script, do: Any, status: int) -> None:
    script.answers = [(status, {}, b'{"title": "No", "detail": "Not so.", "errors": []}')]
    with pytest.raises(Refused, match=f"{status} No: Not so.") as refused:
        do(script, "post", "claims", {})
    assert (refused.value.status, refused.value.problem["errors"]) == (status, [])


def test_what_is_no_problem_is_refused_with_its_words(script: Script, do: Any) -> None:
    script.answers = [(404, {}, b"nothing here")]
    with pytest.raises(Refused, match="nothing here"):
        do(script, "get", "claims/clm_x")


def test_a_change_names_the_version_that_it_is_based_on(script: Script) -> None:
    script.answers = [DONE]
    known = Record(id="clm_x")
    known.etag = '"v7-x"'
    with Client(script.url) as record:
        record.revise(known, place=None)
    [(method, path, headers)] = script.asked
    assert (method, path, headers["If-Match"]) == ("PATCH", "/v1/claims/clm_x", '"v7-x"')
    assert headers["Content-Type"] == "application/merge-patch+json"


def event(seq: int) -> bytes:
    return f'id: {seq}\nevent: change\ndata: {{"seq": {seq}}}\n\n'.encode()


BEGUN = b'retry: 10\n\n: hello\n\nid: 4\nevent: position\ndata: {"seq": 4}\n\n'


def test_a_stream_goes_on_where_it_was(script: Script) -> None:
    stream = {"Content-Type": "text/event-stream"}
    script.answers = [
        (
            200,
            stream,
            BEGUN + event(5) + event(6) + b'id: 7\ndata: {"se',
        ),
        LOST,
        AWAY,
        (200, stream, event(7) + event(8)),
    ]
    with Client(script.url) as record:
        changes = record.follow(after=4)
        assert [next(changes)["seq"] for _ in range(4)] == [5, 6, 7, 8]
    assert [headers["Last-Event-ID"] for _, _, headers in script.asked] == ["4", "6", "6", "6"]


def test_a_stream_from_now_begins_after_the_last_change(script: Script) -> None:
    script.answers = [(200, {}, b'{"data": [{"seq": 41}], "next_cursor": null}'), (200, {}, event(42))]

    async def first() -> Any:
        async with AsyncClient(script.url) as record:
            return await anext(aiter(record.follow()))

    assert asyncio.run(first()) == {"seq": 42}
    assert script.asked[1][2]["Last-Event-ID"] == "41"


def test_a_stream_that_is_refused_ends(script: Script) -> None:
    script.answers = [(401, {}, b'{"title": "No key"}')]
    with Client(script.url) as record, pytest.raises(Refused, match="401"):
        next(record.follow(after=1))
