"""Standbys that take reads, several processes behind a proxy, and a promotion: all of them real, on loopback.

`pair` is a primary with a synchronous standby and two processes of the API behind a proxy that hands each
connection to the next. While the standby's replay is paused, it has not what was written since: whoever is
told of it anyway was not read to from there.
"""

import base64
import hashlib
import json
import select
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx
import pytest

from app.access import store as keys
from app.access.model import KeyIn, RoleName
from app.base import schema
from app.base.db import Database
from app.base.pools import engine_url
from app.base.postgres import for_reading, read_url
from app.base.prepared import Prepared
from app.changes.ledger import last_seq
from app.changes.replicas import Replica, Watch
from app.claims import bodies
from app.main import create_app
from app.settings import Settings
from tests.commands import cut, forked
from tests.newsroom import SECRET, TESTS, Json, Newsroom, match, ok, problem
from tests.nodes import PASSWORD, Node, node, wait_for
from tests.served import Served, environment, served
from tests.test_streams import entries, following, seqs

POSITION = "Record-Position"


class RoundRobin(socketserver.ThreadingTCPServer):
    """A proxy: each connection goes to the next server that takes it."""

    daemon_threads = True

    def __init__(self, urls: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), Relay)
        self.turns = cycle(urls)
        self.tries = len(urls)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def upstream(self) -> socket.socket:
        for _ in range(self.tries):
            url = httpx.URL(next(self.turns))
            try:
                return socket.create_connection((url.host, url.port or 80))
            except ConnectionRefusedError:
                continue
        raise ConnectionRefusedError("no server is there")


class Relay(socketserver.BaseRequestHandler):
    """One connection, until either end closes it."""

    server: RoundRobin

    def handle(self) -> None:
        with self.server.upstream() as there:
            ends = {self.request: there, there: self.request}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    try:
                        data = end.recv(65536)
                    except ConnectionResetError:
                        data = b""
                    if not data:
                        return
                    ends[end].sendall(data)


@contextmanager
def round_robin(urls: list[str]) -> Iterator[str]:
    with RoundRobin(urls) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield proxy.url
        proxy.shutdown()
        thread.join()


def several(*nodes: Node) -> str:
    """The URL of a base on whichever of these servers takes writes."""
    return f"postgresql://postgres:{PASSWORD}@{','.join(each.address for each in nodes)}/record"


def settings(*standbys: Node, **more: str) -> dict[str, str]:
    urls = json.dumps([each.url("record") for each in standbys])
    return {
        "RECORD_SECRET": SECRET,
        "RECORD_REPLICA_URLS": urls,
        "RECORD_REPLICA_LAG_SECONDS": "600",
        "RECORD_LOG_LEVEL": "warning",  # nobody reads the pipe that requests would be logged to
        **more,
    }


def new_key(node: Node, role: RoleName) -> str:
    db = Database(node.url("record"))
    with db.write() as session:
        _, token = keys.create(session, SECRET.encode(), KeyIn(name=role, role=role), by=TESTS)
    db.dispose()
    return token


@dataclass
class Pair:
    """What the tests ask: `anyone` has no key. Each request is a connection: it goes to the next process."""

    primary: Node
    standby: Node
    url: str
    processes: list[Served]
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    def by(self, role: RoleName | None = None, token: str | None = None) -> httpx.Client:
        name = token or role or "anyone"
        if name not in self.clients:
            token = token or (new_key(self.primary, role) if role else None)
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            self.clients[name] = httpx.Client(
                base_url=self.url, headers=headers, trust_env=False, verify=False, timeout=30,
                limits=httpx.Limits(max_keepalive_connections=0),
            )  # fmt: skip
        return self.clients[name]

    @property
    def anyone(self) -> httpx.Client:
        return self.by()

    def entity(self, name: str = "") -> tuple[Json, dict[str, str]]:
        """A new one, and the header of who must see it."""
        name = name or f"Someone {uuid4().hex}"
        answer = self.by("reporter").post("/v1/entities", json={"name": name, "kind": "person"})
        return ok(answer), {POSITION: answer.headers[POSITION]}

    def claim(self) -> Json:
        speaker, _ = self.entity()
        body = {"text": "It is agreed.", "mode": "paraphrase", "speakers": [speaker["slug"]]}
        return ok(self.by("reporter").post("/v1/claims", json=body))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The standby stands still, at what is written now."""
        self.caught_up()
        self.standby.ask("SELECT pg_wal_replay_pause()")
        wait_for(lambda: self.standby.ask("SELECT pg_get_wal_replay_pause_state()") == "paused", 10)
        yield
        self.standby.ask("SELECT pg_wal_replay_resume()")

    def caught_up(self) -> None:
        following = "SELECT sync_state FROM pg_stat_replication"  # paused before that, it would never begin
        wait_for(lambda: self.primary.ask(following) == "sync", 20)
        end = self.primary.ask("SELECT pg_current_wal_insert_lsn()")
        behind = f"SELECT pg_last_wal_replay_lsn() < '{end}'::pg_lsn"
        self.primary.ask("SELECT pg_switch_wal()")  # or a page's header might be all that is missing
        wait_for(lambda: self.standby.ask(behind) is False, 20)

    def reads_from_standby(self) -> bool:
        """Whether both processes do."""
        with self.paused():
            made, _ = self.entity()
            path = f"/v1/entities/{made['id']}"
            return [self.anyone.get(path).status_code for _ in self.processes] == [404, 404]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    place = tmp_path_factory.mktemp("pair")
    with node() as primary, ExitStack() as stack:
        primary.ask("CREATE DATABASE record")
        schema.upgrade(primary.url("record"))
        standby = primary.standby("second")
        env = environment(primary.url("record"), **settings(standby))
        processes = [stack.enter_context(served(env, place / f"{n}.log")) for n in range(2)]
        url = stack.enter_context(round_robin([each.url for each in processes]))
        made = Pair(primary, standby, url, processes)
        wait_for(made.reads_from_standby, 20)
        yield made
        for client in made.clients.values():
            client.close()


# --- who has written sees it -------------------------------------------------------------------


def test_who_has_written_reads_it_and_who_has_not_reads_from_the_standby(pair: Pair) -> None:
    with pair.paused():
        made, seen = pair.entity()
        path = f"/v1/entities/{made['id']}"
        for _ in range(4):
            problem(pair.anyone.get(path), 404)
            assert ok(pair.anyone.get(path, headers=seen)) == made
            assert ok(pair.by("reporter").get(path)) == made
            assert ok(pair.by("reader").get(path)) == made  # any key is looked up in what is current
    wait_for(lambda: pair.anyone.get(path).status_code == 200, 10)


def test_a_stream_tells_each_change_once_and_in_order_however_far_the_standby_is(pair: Pair) -> None:
    _, position = pair.entity()
    here = int(position[POSITION])
    with following(pair.anyone, after=here) as events:
        with pair.paused():
            written = [int(pair.entity()[1][POSITION]) for _ in range(3)]
            assert seqs(events, 3) == written == [*range(here + 1, here + 4)]
        pair.caught_up()
        assert [int(pair.entity()[1][POSITION])] == seqs(events, 1) == [here + 4]


def test_a_place_in_the_ledger_is_a_position_and_only_the_primary_says_that_it_is_none(pair: Pair) -> None:
    first, second = "/v1/changes", "/v1/changes/stream"
    with pair.paused():
        places = [int(pair.entity()[1][POSITION]) for _ in range(3)]
        page = ok(
            pair.anyone.get(first, params={"order": "desc", "limit": 2}, headers={POSITION: f"{places[2]}"})
        )
        newest = page["data"][0]
        assert newest["seq"] == places[2]
        for _ in pair.processes:
            told = ok(pair.anyone.get(first, params={"after": places[0]}))["data"]
            assert [entry["seq"] for entry in told] == places[1:]
            here: Json = {"after": newest["seq"], "after_hash": newest["hash"]}
            assert ok(pair.anyone.get(first, params=here))["data"] == []
            query = {"order": "desc", "limit": 2, "cursor": page["next_cursor"]}
            assert ok(pair.anyone.get(first, params=query))["data"][0]["seq"] == places[0]
            for wrong in ({"after": newest["seq"] + 1}, {**here, "after_hash": "0" * 64}):
                refused = problem(pair.anyone.get(first, params=wrong), 409, "ledger-reset")
                assert refused["head"] == {"seq": newest["seq"], "hash": newest["hash"]}
                assert "event: reset\n" in pair.anyone.get(second, params=wrong).text
            ahead = {POSITION: str(newest["seq"] + 1000)}
            assert pair.anyone.get("/v1/claims", headers=ahead).status_code == 200, "nobody waits for it"
        with following(pair.anyone, **here) as events:
            assert seqs(events, 0) == []
            written = int(pair.entity()[1][POSITION])
            assert seqs(events, 1) == [written]


def test_a_moment_is_what_the_primary_says_however_far_the_standby_is(pair: Pair) -> None:
    with pair.paused():
        made, position = pair.entity()
        for moment in (position[POSITION], datetime.now(UTC).isoformat()):
            for _ in pair.processes:
                path = f"/v1/entities/{made['id']}"
                assert ok(pair.anyone.get(path, params={"as_of": moment}))["name"] == made["name"]
        for _ in pair.processes:
            proof = ok(pair.anyone.get("/v1/log/inclusion", params={"seq": position[POSITION]}))
            assert proof["seq"] == int(position[POSITION])


def test_a_standby_tells_the_public_nothing_that_is_not_public(pair: Pair) -> None:
    speaker, _ = pair.entity()
    body = {
        "text": "Zanzibar fell.",
        "mode": "paraphrase",
        "speakers": [speaker["slug"]],
        "visibility": "internal",
    }
    hidden = ok(pair.by("reporter").post("/v1/claims", json=body))
    shown = pair.claim()
    path, anyhow = f"/v1/claims/{shown['id']}", {"If-Match": "*"}
    note = {"url": "https://example.org/a", "stance": "context", "note": "From Zanzibar."}
    ok(pair.by("checker").post(f"{path}/evidence", json=note))
    last = int(ok(pair.anyone.get("/v1/changes?order=desc&limit=1"))["data"][0]["seq"])
    with pair.paused():
        unseen, _ = pair.entity()
        for at in (
            "claims?limit=200", "claims?q=zanzibar", "search?q=zanzibar", "claims.ndjson", "stats?by=speaker",
            f"claims/{hidden['id']}", f"claims/{shown['id']}/evidence", f"claims/{hidden['id']}/history",
            f"changes?after={last - 5}", f"changes/stream?after={last - 5}&until={last}",
            f"claims?as_of={last}",
        ):  # fmt: skip
            answer = pair.anyone.get(f"/v1/{at}")
            assert "zanzibar" not in answer.text.lower().replace("q=zanzibar", ""), at
            assert hidden["id"] not in answer.text.replace(f"There is no claim {hidden['id']}", ""), at
        assert pair.anyone.get(f"/v1/entities/{unseen['id']}").status_code == 404, "the standby is asked"
        assert "Zanzibar" in pair.by("reader").get(f"/v1/claims/{hidden['id']}").text
    ok(pair.by("checker").post(f"/v1/claims/{hidden['id']}/publication", headers=anyhow))
    wait_for(lambda: pair.anyone.get(f"/v1/claims/{hidden['id']}").status_code == 200, 10)


def test_a_standby_is_asked_anew_what_it_holds_once_a_backup_was_restored(pair: Pair) -> None:
    for _ in range(3):
        _, position = pair.entity()
    pair.caught_up()
    end, question = int(position[POSITION]), Prepared(last_seq())
    base, replica = Database(pair.primary.url("record")), Replica(pair.standby.url("record"), 2)
    watch = Watch(base, replica, 60)

    def holds(seq: int) -> list[bool]:
        answer = replica.ask_at(seq, question, {}, public=False)
        with replica.read() as session:
            return [answer is not None and answer[0], replica.holds(session, seq)]

    assert (watch.look(), holds(end)) == (None, [True, True])
    cut(pair.primary.url("record"), end - 2)
    pair.caught_up()
    assert (watch.look(), holds(end - 2), holds(end)) == (None, [True, True], [False, False])
    base.dispose()
    replica.dispose()


def test_a_tag_is_confirmed_of_the_state_that_is_read_alone(pair: Pair) -> None:
    claim = pair.claim()
    paths = [
        f"/v1/claims/{claim['id']}",
        f"/v1/claims?speaker={claim['speakers'][0]['slug']}",
        "/v1/claims.csv",
    ]
    pair.caught_up()
    old = {path: pair.anyone.get(path) for path in paths}
    with pair.paused():
        revised = pair.by("reporter").patch(
            paths[0], headers=match(claim), json={"text": "It is not agreed."}
        )
        seen = {POSITION: revised.headers[POSITION]}
        new = {path: pair.anyone.get(path, headers=seen) for path in paths}
        for path in paths * 3:
            assert old[path].headers["etag"] != new[path].headers["etag"]
            for state, kept, headers in ((old, new, {}), (new, old, seen)):
                answer = pair.anyone.get(
                    path, headers={**headers, "If-None-Match": kept[path].headers["etag"]}
                )
                assert (answer.status_code, answer.content) == (200, state[path].content)
                same = pair.anyone.get(
                    path, headers={**headers, "If-None-Match": state[path].headers["etag"]}
                )
                assert same.status_code == 304


def test_a_tag_is_not_kept_for_a_state_that_the_answer_is_later_than(room: Newsroom) -> None:
    claim, tags = room.claim(), room.app.state.house.tags
    path, real = f"/v1/claims/{claim['id']}", bodies.one_at_once

    def written_meanwhile(*rest: Any) -> Any:
        room.key("reader")
        return real(*rest)

    known = {"If-None-Match": room.anyone.get(path).headers["etag"]}
    with patch.object(bodies, "one_at_once", written_meanwhile):
        assert room.anyone.get(path, headers=known).status_code == 304
    assert len(tags) == 0
    assert room.anyone.get(path, headers=known).status_code == 304
    assert len(tags) == 1


def test_a_key_counts_at_once_and_is_refused_at_once(pair: Pair) -> None:
    admin = pair.by("admin")
    with pair.paused():
        key = ok(admin.post("/v1/keys", json={"name": "A desk", "role": "reader"}))
        client = pair.by(token=key["secret"])
        assert [client.get("/v1/claims").status_code for _ in range(4)] == [200] * 4
        ok(admin.delete(f"/v1/keys/{key['id']}"))
        assert [client.get("/v1/claims").status_code for _ in range(4)] == [401] * 4
        assert [ok(admin.get(f"/v1/keys/{key['id']}"))["revoked_at"] is None for _ in range(4)] == [False] * 4


def test_a_refusal_says_what_has_to_be_read(pair: Pair) -> None:
    claim = pair.claim()
    path = f"/v1/claims/{claim['id']}"
    with pair.paused():
        ok(pair.by("reporter").patch(path, headers=match(claim), json={"text": "It is not agreed."}))
        refused = pair.by("editor").patch(path, headers=match(claim), json={"text": "It is."})
        problem(refused, 412, "stale")
        assert ok(pair.anyone.get(path))["version"] == 1
        assert ok(pair.anyone.get(path, headers={POSITION: refused.headers[POSITION]}))["version"] == 2


def test_a_position_is_told_by_writes_on_any_database_and_one_that_is_none_is_refused(room: Newsroom) -> None:
    body = {"name": "Li Hui", "kind": "person"}
    headers = {"Idempotency-Key": "once"}
    made = room.reporter.post("/v1/entities", json=body, headers=headers)
    newest = ok(room.admin.get("/v1/changes", params={"order": "desc", "limit": 1}))["data"][0]["seq"]
    again = room.reporter.post("/v1/entities", json=body, headers=headers)
    assert (again.headers["Idempotency-Replayed"], int(again.headers[POSITION])) == ("true", newest)
    # An admin and their key came after it.
    assert newest - 2 <= int(made.headers[POSITION]) <= newest
    dry = room.reporter.post(
        "/v1/import?dry_run=true", headers={"Content-Type": "application/x-ndjson"},
        content=b'{"entity": {"name": "Wang Yi", "kind": "person"}}\n',
    )  # fmt: skip
    assert (ok(dry)["counts"] if "counts" in dry.json() else dry.json()["created"]) == 1
    assert int(dry.headers[POSITION]) == newest
    for path in (f"/v1/entities/{made.json()['id']}", "/v1/claims", "/v1/claims.csv"):
        assert room.anyone.get(path, headers={POSITION: made.headers[POSITION]}).status_code == 200
        for wrong in ("", "-1", "1.0", "x", "٣", str(2**53), "9" * 17):
            problem(room.anyone.get(path, headers={b"record-position": wrong.encode()}), 400, "malformed")


# --- standbys that come and go -----------------------------------------------------------------


class Hammer:
    """Reads without a key, one after the other, until told to stop; `statuses` is what came back."""

    def __init__(self, url: str, path: str) -> None:
        self.url = url + path
        self.statuses: list[int] = []
        self.ended = threading.Event()

    def __enter__(self) -> "Hammer":
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_fault: object) -> None:
        self.ended.set()
        self.thread.join()

    def run(self) -> None:
        with httpx.Client(trust_env=False, verify=False, timeout=30) as client:
            while not self.ended.is_set():
                self.statuses.append(client.get(self.url).status_code)

    def more(self, count: int) -> None:
        """Returns once so many more have come back."""
        wanted = len(self.statuses) + count
        wait_for(lambda: len(self.statuses) >= wanted or not self.thread.is_alive(), 60)


def test_no_read_fails_when_a_standby_goes_and_it_is_read_from_again_once_it_is_back(pair: Pair) -> None:
    ours = "FROM pg_stat_activity WHERE application_name = 'on-the-record'"
    cut = f"SELECT count(pg_terminate_backend(pid)) {ours}"
    pair.claim()
    long_way = "/v1/claims?q=agreed&sort=created"
    with ExitStack() as stack:
        hammers = [
            stack.enter_context(Hammer(each.url, path))
            for each in pair.processes
            for path in (long_way, "/v1/claims")
        ]
        for _ in range(10):
            hammers[0].more(2)
            pair.standby.ask(cut)
        pair.standby.stop()
        for hammer in hammers:
            hammer.more(20)
        pair.standby.start()
        for hammer in hammers:
            hammer.more(20)
    assert {status for hammer in hammers for status in hammer.statuses} == {200}
    wait_for(pair.reads_from_standby, 30)


@contextmanager
def watch(primary: str, standby: str, most_behind: float) -> Iterator[Callable[[], str | None]]:
    base, replica = Database(primary), Replica(standby, 2)
    yield Watch(base, replica, most_behind).look
    base.dispose()
    replica.dispose()


def test_a_standby_that_is_behind_is_left_out_until_it_has_caught_up(pair: Pair) -> None:
    url = pair.standby.url("record")
    with (
        watch(pair.primary.url("record"), url, 0.3) as look,
        watch(pair.primary.url("record"), url, 60) as lax,
    ):
        pair.caught_up()
        assert (look(), lax()) == (None, None)
        with pair.paused():
            pair.entity()
            wait_for(lambda: look() == "is more than 0.3 s behind", 5)
            assert lax() is None
        wait_for(lambda: look() is None, 10)


def test_what_is_no_standby_of_this_base_is_not_read_from(pair: Pair) -> None:
    for name, revision in (("other", "head"), ("old", "0003")):
        pair.primary.ask(f"CREATE DATABASE {name}")
        schema.upgrade(pair.primary.url(name), revision)
    new_key_in = Database(pair.primary.url("other"))
    with new_key_in.write() as session:
        keys.create(session, SECRET.encode(), KeyIn(name="x", role="admin"), by=TESTS)
    new_key_in.dispose()
    pair.entity()
    pair.caught_up()
    found = {}
    for url in (pair.primary.url("record"), pair.standby.url("other"), pair.standby.url("old"),
                pair.standby.url("none")):  # fmt: skip
        with watch(pair.primary.url("record"), url, 60) as look:
            found[look()] = url
    assert list(found) == ["is no standby", "has another ledger", "has another schema", "does not answer"]


def test_a_standby_may_be_ahead_for_a_moment_only(pair: Pair) -> None:
    """It may acknowledge a commit before the primary knows; entries that never come are another's."""
    base, replica = Database(pair.primary.url("record")), Replica(pair.standby.url("record"), 2)
    begins = Watch(base, replica, 60)._same
    assert [begins(8, "h", 7, None), begins(9, "i", 8, None), begins(9, "i", 9, "i")] == [True] * 3
    assert [begins(10, "j", 9, None), begins(11, "k", 9, None), begins(9, "x", 9, "i")] == [
        True,
        False,
        False,
    ]
    base.dispose()
    replica.dispose()


# --- several processes -------------------------------------------------------------------------


def test_a_request_that_is_sent_to_every_process_acts_once(pair: Pair) -> None:
    reporter, body = pair.by("reporter"), {"name": "Sent eight times", "kind": "person"}
    with ThreadPoolExecutor(8) as senders:
        answers = list(
            senders.map(
                lambda _: reporter.post("/v1/entities", json=body, headers={"Idempotency-Key": "once"}),
                range(8),
            )
        )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    claim = pair.claim()
    checkers = [pair.by("checker"), pair.by("editor")] * 4
    with ThreadPoolExecutor(8) as senders:
        path, headers = f"/v1/claims/{claim['id']}/assignment", match(claim)
        taken = list(senders.map(lambda by: by.post(path, headers=headers).status_code, checkers))
    assert sorted(taken) == [200, *[412] * 7]


def test_a_list_is_walked_and_a_file_fetched_by_pieces_from_one_process_after_the_other(pair: Pair) -> None:
    made = [pair.entity()[0]["id"] for _ in range(7)]
    pair.caught_up()
    walked, path = [], "/v1/entities?limit=2"
    while path:
        page = ok(pair.anyone.get(path))
        walked += [row["id"] for row in page["data"]]
        path = page["next_cursor"] and f"/v1/entities?limit=2&cursor={page['next_cursor']}"
    assert len(walked) == len(set(walked))
    assert set(made) <= set(walked)
    for suffix in ("csv", "parquet"):
        whole = pair.anyone.get(f"/v1/entities.{suffix}", headers={"Accept-Encoding": "identity"})
        pieces, step = [], len(whole.content) // 4
        for start in range(0, len(whole.content), step):
            span = {"Range": f"bytes={start}-{start + step - 1}", "If-Range": whole.headers["etag"]}
            answer = pair.anyone.get(f"/v1/entities.{suffix}", headers=span)
            assert answer.status_code == 206
            pieces.append(answer.content)
        digest = base64.b64encode(hashlib.sha256(b"".join(pieces)).digest()).decode()
        assert whole.headers["repr-digest"] == f"sha-256=:{digest}:"


# --- promotion ---------------------------------------------------------------------------------


class Writer(Hammer):
    """Adds entities, one after the other; `kept` is what was acknowledged, with when."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, "/v1/entities")
        self.token = token
        self.kept: list[tuple[str, float]] = []

    def run(self) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        with httpx.Client(trust_env=False, verify=False, timeout=60, headers=headers) as client:
            while not self.ended.is_set():
                answer = client.post(self.url, json={"name": uuid4().hex, "kind": "person"})
                self.statuses.append(answer.status_code)
                if answer.status_code == 201:
                    self.kept.append((answer.json()["id"], time.monotonic()))


def test_a_promotion_is_followed_without_a_restart_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with node() as primary:
        primary.ask("CREATE DATABASE record")
        schema.upgrade(primary.url("record"))
        standby = primary.standby("second")
        base = Database(several(primary, standby))
        assert base.ask(Prepared(last_seq()), {}) == []  # connections that refuse to write find it too
        base.dispose()
        env = environment(several(primary, standby), **settings(primary, standby))
        with served(env, tmp_path / "log") as api:
            writer, reader = (
                Writer(api.url, new_key(primary, "reporter")),
                Hammer(api.url, "/v1/entities?limit=1"),
            )
            with writer, reader, api.client() as anyone, following(anyone, after=0) as events:
                writer.more(20)
                primary.stop()
                reader.more(20)
                standby.promote()
                promoted = time.monotonic()
                wait_for(lambda: writer.kept[-1][1] > promoted or not writer.thread.is_alive(), 30)
                writer.more(5)
                told = entries(events, len(writer.kept))
            first = told[0]["seq"]
            assert [each["seq"] for each in told] == [*range(first, first + len(told))]
            before = {made for made, at in writer.kept if at < promoted}
            assert before <= {each["resource_id"] for each in told}
            assert set(writer.statuses) <= {201, 503}
            assert set(reader.statuses) == {200}  # who has no key is read to from the standby meanwhile
            back = next(at for _, at in writer.kept if at > promoted) - promoted
            assert back < 10
            with api.client() as anyone:
                for made, _ in writer.kept:
                    assert anyone.get(f"/v1/entities/{made}").status_code == 200
            again = Pair(standby, primary, api.url, [api, api])
            primary.follow(standby)
            wait_for(again.reads_from_standby, 30)
            for client in again.clients.values():
                client.close()
            assert api.process.poll() is None
        wrong = forked(["verify"], env)
        assert wrong.code == 0, wrong


# --- settings ----------------------------------------------------------------------------------


def test_a_url_may_name_several_servers() -> None:
    url = engine_url("postgresql://ann:p%40w@a:5432,[::1]:5433,c/record?sslmode=require")
    assert url.query == {
        "host": "a,::1,c",
        "port": "5432,5433,",
        "sslmode": "require",
        "target_session_attrs": "read-write",
    }
    assert (url.username, url.password, url.database) == ("ann", "p@w", "record")
    assert for_reading(url).query["target_session_attrs"] == "primary"
    chosen = read_url("postgres://a,b/record?target_session_attrs=any")
    assert chosen.query["target_session_attrs"] == "any"
    assert for_reading(chosen) == chosen
    assert read_url("postgresql://u:p,w@a/record").host == "a"
    with pytest.raises(ValueError, match="RECORD_DATABASE_URL is not a URL"):
        engine_url("postgresql://a:x,b/record")


PG = "postgresql://u@a/b"


@pytest.mark.parametrize(
    ("base", "urls", "said"),
    [
        ("sqlite:///record.db", [PG], "only PostgreSQL has standbys"),
        (PG, ["sqlite:///record.db"], "each is of one server"),
        (PG, ["postgresql://a,b/c"], "each is of one server"),
        (PG, ["what"], "each is of one server"),
    ],
)
def test_standbys_that_cannot_be_are_refused_in_a_line(base: str, urls: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=f"RECORD_REPLICA_URLS: {said}"):
        create_app(Settings(database_url=base, secret=SECRET, replica_urls=urls))
