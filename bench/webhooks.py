"""How fast webhooks are told of what was imported: a real server, a receiver that only counts.

python -m bench.webhooks --entries 100000
"""

import argparse
import asyncio
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from app.access import people
from app.access import store as keys
from app.access.model import Key, KeyIn
from app.base.db import Database
from app.base.ids import new_id
from app.changes.model import fresh
from app.changes.store import By, New, save_all
from tests.newsroom import SECRET, Bases, PostgresBases, SqliteBases
from tests.postgres import running_postgres
from tests.served import environment, served

BENCH = By("bench", "bench")
AT_ONCE = 1000


@dataclass
class Counter:
    """What came in: messages, the `seq` of each entry in its order, and when the last one came."""

    messages: int = 0
    seqs: list[int] = field(default_factory=list)
    at: float = 0.0
    url: str = ""

    def take(self, body: bytes) -> None:
        """Notes a message."""
        data = json.loads(body)["data"]
        self.seqs += [each["seq"] for each in data.get("changes", [data])]
        self.messages += 1
        self.at = time.monotonic()


@contextmanager
def counting() -> Iterator[Counter]:
    """A receiver that answers at once, in a thread of its own."""
    counter, loop, ready = Counter(), asyncio.new_event_loop(), threading.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            counter.take(await reader.readexactly(_length(head)))
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()
        writer.close()

    async def listen() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        counter.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        ready.set()

    def run() -> None:
        loop.create_task(listen())
        loop.run_forever()

    threading.Thread(target=run, daemon=True).start()
    ready.wait()
    yield counter
    loop.call_soon_threadsafe(loop.stop)


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


def _length(head: bytes) -> int:
    [line] = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(line.partition(b":")[2])


def written(db: Database, count: int) -> None:
    """So many entries of some kilobyte each, as an import writes them: many in a transaction."""
    for start in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - start)
        with db.write() as session:
            whose = people.create(session, "Bench", "reader", by=BENCH).id
            names = (f"{'Desk ' * 60}{start + n}" for n in range(size))
            news = [
                New(
                    fresh(
                        Key,
                        id=new_id("key"),
                        person_id=whose,
                        token_hash=new_id("key"),
                        name=name,
                        role="reader",
                    ),
                    {},
                )
                for name in names
            ]
            save_all(session, news, by=BENCH, action="key.create")


def measured(url: str, count: int, batch: int | None) -> str:
    """A line of the report: the time from the first look at the entries to the last that arrived."""
    db = Database(url)
    with db.write() as session:
        _, token = keys.create(session, SECRET.encode(), KeyIn(name="Bench", role="admin"), by=BENCH)
    env = environment(
        url, RECORD_SECRET=SECRET, RECORD_WEBHOOK_NETWORKS='["127.0.0.0/8"]', RECORD_LOG_LEVEL="warning"
    )
    with (
        tempfile.TemporaryDirectory() as place,
        counting() as counter,
        served(env, Path(place) / "log") as server,
        server.client(token) as admin,
    ):
        hook = _made(admin, {"url": counter.url, "batch": batch, "enabled": False})
        written(db, count)
        process = psutil.Process(server.process.pid)
        cpu, began = process.cpu_times(), time.monotonic()
        answer = admin.patch(f"/v1/webhooks/{hook['id']}", headers={"If-Match": "*"}, json={"enabled": True})
        answer.raise_for_status()
        last = hook["deliveries"]["delivered"] + count + 1  # that it was enabled is told too
        while not counter.seqs or counter.seqs[-1] < last:
            time.sleep(0.05)
        after = process.cpu_times()
    db.dispose()
    took, busy = counter.at - began, after.user + after.system - cpu.user - cpu.system
    assert [*dict.fromkeys(counter.seqs)] == sorted(set(counter.seqs)), "they are in order"
    assert len(set(counter.seqs)) >= count
    sent = f"{db.url.get_backend_name()} | {batch or 'none'} | {count:,} | {counter.messages:,}"
    return f"| {sent} | {took:.1f} s | {count / took:,.0f} | {busy:.1f} s |"


def _made(admin: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = admin.post("/v1/webhooks", json=body)
    answer.raise_for_status()
    return dict(answer.json())


def main() -> None:
    """Measures what the options ask for."""
    parser = argparse.ArgumentParser(prog="python -m bench.webhooks", description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--batches", nargs="+", type=int, default=[500, 0], help="0 is one by one")
    given = parser.parse_args()
    print("| database | batch | entries | messages | time | a second | processor time of the server |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for database in given.databases:
        for batch in given.batches:
            with bases(database) as fresh, fresh.fresh() as url:
                print(measured(url, given.entries, batch or None), flush=True)


@contextmanager
def bases(database: str) -> Iterator[Bases]:
    """Where an empty base on a database comes from."""
    if database == "sqlite":
        with tempfile.TemporaryDirectory() as place:
            yield SqliteBases(Path(place))
    else:
        with running_postgres() as server:
            yield PostgresBases(server)


if __name__ == "__main__":
    main()
