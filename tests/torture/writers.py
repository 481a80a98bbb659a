"""Clients that write without pause, and the book of what they asked for and what was acknowledged.

The book is kept outside of the server and its database. A client sends a request again, with the same
Idempotency-Key, until it has an answer that is final; only then is the write acknowledged.
"""

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from tests.newsroom import Json, match, ok, ruling

Kind = Literal["claim", "revision", "take", "review", "import"]

ROWS = 12
"""Claims in an imported file."""

PATIENCE = 120.0
"""Seconds until a client gives up: then the server did not come back."""

HASTE = 0.2
"""How often a client goes away before it has its answer, and then asks again."""

SOURCE, SPEAKER = "https://example.org/torture", "the-speaker"
FIGURES = [{"measure": "price", "value": str(n), "unit": "USD", "kind": "reported"} for n in (1, 2)]
EVIDENCE = [{"url": f"https://example.org/proof/{n}", "stance": "refutes"} for n in (1, 2)]


@dataclass
class Wish:
    """One write that a client means to have done once. `marker` is in what it writes and is its key, and the
    id of its requests, which the ledger has.
    """

    marker: str
    kind: Kind
    record: str | None = None
    """The claim that it changes, or once it is acknowledged the record that it made."""
    acknowledged: bool = False


def named(wish: Wish) -> dict[str, str]:
    """The headers that tell a request from all others, and are the same when it is sent again."""
    return {"Idempotency-Key": wish.marker, "X-Request-Id": wish.marker}


@dataclass
class Book:
    """What was asked for, in one run."""

    wishes: dict[str, Wish] = field(default_factory=dict)
    tallies: Counter[str] = field(default_factory=Counter)
    longest_wait: float = 0.0
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def wish(self, kind: Kind, record: str | None = None) -> Wish:
        made = Wish(f"{kind}-{next(self.numbers)}", kind, record)
        self.wishes[made.marker] = made
        return made

    def acknowledge(self, wish: Wish, record: str) -> None:
        wish.record, wish.acknowledged = record, True

    @property
    def acknowledged(self) -> int:
        return sum(wish.acknowledged for wish in [*self.wishes.values()])  # which others add to


class Writer(threading.Thread):
    """A client that states, revises, takes and reviews claims and imports files, one after the other."""

    def __init__(self, book: Book, url: str, token: str, stop: threading.Event) -> None:
        super().__init__()
        self.book, self.stop = book, stop
        self.fault: BaseException | None = None
        headers = {"Authorization": f"Bearer {token}"}
        self.client = httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30)

    def run(self) -> None:
        try:
            with self.client:
                while not self.stop.is_set():
                    self.bring_in() if random.random() < 0.3 else self.state_and_rule()
        except BaseException as fault:
            self.fault = fault

    def state_and_rule(self) -> None:
        wish = self.book.wish("claim")
        appearance = {"source": SOURCE}
        body = {"text": f"{wish.marker} was said.", "mode": "paraphrase", "speakers": [SPEAKER],
                "appearances": [appearance], "figures": FIGURES}  # fmt: skip
        claim = self._post(wish, "/v1/claims", body)
        for step in (self._revise, self._take, self._review):
            claim = step(claim)

    def _revise(self, claim: Json) -> Json:
        """A PATCH has no Idempotency-Key: after a fault a client looks whether it was done."""
        wish = self.book.wish("revision", claim["id"])
        at, body = f"/v1/claims/{claim['id']}", {"context": wish.marker}

        def once() -> httpx.Response:
            now = self.client.get(at)
            if not now.is_success or now.json()["context"] == wish.marker:
                return now
            return self.client.patch(at, json=body, headers={**match(claim), **named(wish)})

        revised = ok(self._insist(once))
        assert revised["context"] == wish.marker
        self.book.acknowledge(wish, claim["id"])
        return revised

    def _take(self, claim: Json) -> Json:
        wish = self.book.wish("take", claim["id"])
        return self._post(wish, f"/v1/claims/{claim['id']}/assignment", None, **match(claim))

    def _review(self, claim: Json) -> Json:
        wish = self.book.wish("review", claim["id"])
        body = ruling(summary=wish.marker, evidence=EVIDENCE)
        return self._post(wish, f"/v1/claims/{claim['id']}/reviews", body, **match(claim))

    def bring_in(self) -> None:
        wish = self.book.wish("import")
        rows: list[Json] = [{"entity": {"name": wish.marker, "kind": "organization"}}]
        for number in range(ROWS):
            claim = {"text": f"{wish.marker} has row {number}.", "mode": "paraphrase",
                     "speakers": [wish.marker], "appearances": [{"source": SOURCE}],
                     "figures": FIGURES}  # fmt: skip
            rows.append({"claim": claim})
        headers = {**named(wish), "Content-Type": "application/x-ndjson"}
        body = "\n".join(map(json.dumps, rows))
        answer = ok(self._insist(lambda: self.client.post("/v1/import", content=body, headers=headers)))
        assert answer["created"] == ROWS + 1, answer
        self.book.acknowledge(wish, answer["results"][0]["id"])

    def _post(self, wish: Wish, path: str, body: Any, **headers: str) -> Json:
        headers |= named(wish)

        def once() -> httpx.Response:
            hasty = random.random() < HASTE
            return self.client.post(path, json=body, headers=headers, timeout=0.005 if hasty else 30)

        answer = ok(self._insist(once))
        self.book.acknowledge(wish, answer["id"])
        return answer

    def _insist(self, once: Any) -> httpx.Response:
        """Sends a request until it is answered by another thing than 503."""
        began = time.monotonic()
        while True:
            self.book.tallies["sent"] += 1
            answer = self._attempt(once)
            waited = time.monotonic() - began
            if answer is not None:
                self.book.longest_wait = max(self.book.longest_wait, waited)
                self.book.tallies["replayed"] += "idempotency-replayed" in answer.headers
                return answer
            assert waited < PATIENCE, "the server did not come back"
            self.book.tallies["retried"] += 1
            time.sleep(random.uniform(0.05, 0.3))

    def _attempt(self, once: Any) -> httpx.Response | None:
        try:
            answer: httpx.Response = once()
        except httpx.TransportError:
            return None
        if answer.status_code != 503:
            return answer
        assert "retry-after" in answer.headers
        self.book.tallies["503"] += 1
        return None


@contextmanager
def writing(book: Book, url: str, token: str, clients: int) -> Iterator[None]:
    """Clients write meanwhile. In the end each finishes what it has begun, so that nothing is in doubt."""
    stop = threading.Event()
    writers = [Writer(book, url, token, stop) for _ in range(clients)]
    for writer in writers:
        writer.start()
    try:
        yield
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    for fault in (writer.fault for writer in writers):
        if fault is not None:
            raise fault
