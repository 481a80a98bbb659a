"""One run on one database: a server in a process of its own, what is sent to it, and how it stands after."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import httpx

from tests.commands import forked
from tests.fuzz.contract import PHASES, Tally, Wish, examine
from tests.fuzz.cost import Meter
from tests.fuzz.hostile import Attempt, Corpus
from tests.fuzz.watch import WATCH
from tests.served import Served, environment, served

SECRET = "a secret for tests, of more than 32 characters"
ELASTIC = ("fuzzing", "stateful")
"""The phases that send something else with another seed."""


@dataclass
class Target:
    """A server under attack, with a key to it."""

    server: Served
    env: Mapping[str, str]
    key_id: str
    token: str
    tally: Tally = field(default_factory=Tally)

    def wish(self, seed: int, examples: int, *, key: bool = True, phases: tuple[str, ...] = PHASES) -> Wish:
        """A wish with the key, or without."""
        return Wish(
            self.token if key else None, seed, examples, phases, own=self.key_id, pid=self.server.process.pid
        )

    def stands(self) -> None:
        """Has `verify` look at the base, and looks for tracebacks in the server's log."""
        done = forked(["verify"], self.env)
        if done.code != 0:
            self.tally.failures.append(f"verify: {done.out[-2000:]}{done.err[-2000:]}")
        log = self.server.log.read_text()
        if "Traceback" in log:
            self.tally.failures.append(f"the server's log: {log[-4000:]}")


def sent_corpus(
    client: httpx.Client, tally: Tally, every: int = 1, meter: Meter | None = None, *, begin: int = 0
) -> None:
    """Sends our own corpus, or every so many of it from one on. With a meter of the server, what costs too
    much is a failure.
    """
    corpus = Corpus(client)
    for attempt in islice(corpus.attempts(), begin, None, every):
        try:
            if meter is not None:
                meter.read()
            answer = corpus.send(attempt)
            tally.answers[attempt.operation, "corpus", str(answer.status_code)] += 1
            if meter is not None and _costs_too_much(attempt, answer, meter):
                answer = corpus.send(attempt)  # something else of the process may have been counted
                if found := _costs_too_much(attempt, answer, meter):
                    tally.failures.append(f"{attempt} → {answer.status_code}: {found}")
        except httpx.HTTPError as fault:
            tally.failures.append(f"{attempt}: {fault!r}")
            continue
        if found := attempt.fault(answer):
            tally.failures.append(found)


def _costs_too_much(attempt: Attempt, answer: httpx.Response, meter: Meter) -> str | None:
    cost = meter.read()
    return cost.fault(attempt.target, refused=answer.status_code >= 400, size=len(answer.content))


@contextmanager
def target(url: str, log: Path) -> Iterator[Target]:
    """A server on a fresh base with the seed in it."""
    # Its log of accesses would fill a pipe that nobody reads.
    env = environment(
        url,
        RECORD_SECRET=SECRET,
        RECORD_LOG_LEVEL="warning",
        RECORD_WEBHOOKS="false",
        RECORD_REQUESTS_PER_ADDRESS="0",
        **{WATCH: "yes"},
    )
    with served(env, log, "--migrate", "--seed") as server:
        made = forked(["key", "create", "Fuzz", "--role", "admin"], env)
        [key_id] = re.findall(r"^key_\w+", made.err)
        yield Target(server, env, key_id, made.out.strip())


def attack(aim: Target, cases: int, seed: int, examples: int) -> Iterator[str]:
    """Everything once, with the key and without it; then what is new with every seed, up to `cases`. Tells
    how far it is.
    """
    for key, who in ((True, "with a key"), (False, "without")):
        with aim.server.client(aim.token if key else None) as client:
            sent_corpus(client, aim.tally, meter=Meter(aim.server.process.pid))
        yield f"the corpus {who}: {aim.tally}"
        for phase in examine(aim.server.url, aim.wish(seed, examples, key=key), aim.tally):
            yield f"{phase} {who}: {aim.tally}"
    while aim.tally.cases < cases:
        seed, before = seed + 1, aim.tally.cases
        for phase in examine(aim.server.url, aim.wish(seed, examples, phases=ELASTIC), aim.tally):
            yield f"{phase} with seed {seed}: {aim.tally}"
        assert aim.tally.cases > before, "nothing was sent"
    aim.stands()


def report(tally: Tally) -> Iterator[str]:
    """What was sent and answered, and every failure."""
    yield from tally.lines()
    phases, statuses = Counter[str](), Counter[str]()
    for (_, phase, status), number in tally.answers.items():
        phases[phase] += number
        statuses[status] += number
    yield "phases    " + " ".join(f"{phase}:{number}" for phase, number in phases.items())
    yield "statuses  " + " ".join(f"{status}:{number}" for status, number in sorted(statuses.items()))
    yield from (f"refused for what no schema tells: {n:>6}  {why}" for why, n in tally.waived.most_common())
    yield from (f"FAILURE {failure}" for failure in tally.failures)
    yield str(tally)
