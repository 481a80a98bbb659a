"""Where the work is done: a base on one database, its copies for the rivals, and all the servers."""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

import psutil
import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from app.base import schema
from app.base.pools import sqlite  # type: ignore[attr-defined]  # the driver that the base chose
from bench.generate import FUNCTION_WORDS
from bench.load import (
    Base,
    copy_for_afternoon,
    copy_for_datasette,
    copy_in_postgres,
    environment,
    load_postgres,
    plain,
)
from bench.measure import Ask, Client, Cpu, NotThereError, Served, cpu_of, no_cpu, serving

DRAWS = 400
Fresh = Callable[[], AbstractContextManager[str]]


@dataclass(frozen=True)
class Place:
    """A base on one database, and the URL of the afternoon's tables. `backends` is the processor time of a
    database that is a process of its own, and `fresh` gives an empty base with the schema.
    """

    database: str
    base: Base
    url: str
    afternoon: str
    backends: Cpu
    fresh: Fresh

    @property
    def claims(self) -> int:
        """How many there are."""
        return self.base.world.claims

    def connect(self) -> Any:
        """A plain connection of the driver."""
        if self.database == "sqlite":
            return sqlite.connect(str(self.base.file), isolation_level=None)
        return psycopg.connect(plain(self.url), autocommit=True)


@contextmanager
def on_sqlite(base: Base) -> Iterator[Place]:
    """A base as it was made."""
    with tempfile.TemporaryDirectory(dir=base.place, prefix="fresh-") as directory:
        numbers = count()

        @contextmanager
        def fresh() -> Iterator[str]:
            url = f"sqlite:///{directory}/{next(numbers)}.db"
            schema.upgrade(url)
            yield url

        yield Place("sqlite", base, base.url, copy_for_afternoon(base), no_cpu, fresh)


@contextmanager
def on_postgres(base: Base, server: str) -> Iterator[Place]:
    """A copy of a base, in a database that is dropped afterwards; `server` is its superuser's URL."""

    @contextmanager
    def fresh() -> Iterator[str]:
        with _database(server) as url:
            schema.upgrade(url)
            yield url

    with _database(server) as url:
        load_postgres(base, url)
        copy_in_postgres(url)
        yield Place("postgresql", base, url, url, _backends(server), fresh)


_names = (f"bench_{os.getpid()}_{number}" for number in count())


@contextmanager
def _database(server: str) -> Iterator[str]:
    name = next(_names)
    _command(server, "CREATE DATABASE {} TEMPLATE template0", name)
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        _command(server, "DROP DATABASE {} WITH (FORCE)", name)


def _command(server: str, command: Any, name: str) -> None:
    with psycopg.connect(plain(server), autocommit=True) as session:
        session.execute(sql.SQL(command).format(sql.Identifier(name)))


def _backends(server: str) -> Cpu:
    """The processor time of PostgreSQL's processes, those that have ended too, if it runs on this machine."""
    with psycopg.connect(plain(server)) as session:
        pid = session.info.backend_pid
        parent = psutil.Process(pid).parent() if psutil.pid_exists(pid) else None
        if parent is None or not parent.name().startswith("postgres"):
            return no_cpu
    postmaster = parent

    def spent() -> float:
        ended = postmaster.cpu_times()
        seconds = ended.user + ended.system + ended.children_user + ended.children_system
        for process in postmaster.children():
            try:
                seconds += cpu_of(process)
            except psutil.NoSuchProcess:
                continue
        return float(seconds)

    return spent


# --- what is asked -----------------------------------------------------------------------------


class Draws:
    """Requests drawn at random from what is in a base, the same each time."""

    def __init__(self, base: Base) -> None:
        self.base = base
        self.rng = Random(7)
        with closing(sqlite.connect(str(base.file))) as connection:
            ids = [key for (key,) in connection.execute("SELECT id FROM claims ORDER BY id")]
            self.ids = self.rng.sample(ids, min(DRAWS, len(ids)))
            drawn = ", ".join(f"'{key}'" for key in self.ids)
            rows = connection.execute(
                f"""SELECT claims.id, text, status, slug FROM claims
                    JOIN claim_speakers ON claim_id = claims.id AND position = 0
                    JOIN entities ON entities.id = entity_id WHERE claims.id IN ({drawn})"""
            )
            self.rows = sorted(rows)
        self.rng.shuffle(self.rows)

    @property
    def claims(self) -> list[Ask]:
        """One claim each."""
        return [Ask(f"/v1/claims/{key}", holds=key.encode()) for key in self.ids]

    @property
    def pages(self) -> list[Ask]:
        """The newest 20 of a speaker and status; whoever speaks more is asked for more often."""
        return [_page(speaker, status) for _, _, status, speaker in self.rows]

    @property
    def full_pages(self) -> list[Ask]:
        """The same of those who speak most: they have 20 in all but the smallest bases."""
        unverified = Counter(speaker for _, _, status, speaker in self.rows if status == "unverified")
        return [_page(speaker, "unverified") for speaker, _ in unverified.most_common(20)]

    @cached_property
    def rare(self) -> list[tuple[str, str, str]]:
        """The two rarest words of a claim, with its id."""
        return [(*self._ranked(text)[-2:], key) for key, text, _, _ in self.rows]

    @cached_property
    def common(self) -> list[tuple[str, str, str]]:
        """A common made-up word with another one, or with the commonest word there is."""
        found = []
        for _, text, _, _ in self.rows:
            known = [word for word in self._ranked(text) if self._rank[word] < 40]
            if known and "the" in text.split():
                found.append((known[0], "the", ""))
            if len(known) > 1:
                found.append((known[0], known[1], ""))
        return found

    @cached_property
    def _rank(self) -> dict[str, int]:
        return {word: rank for rank, word in enumerate(self.base.world.words)}

    def _ranked(self, text: str) -> list[str]:
        words = set(text.lower().rstrip(".").split()) - set(FUNCTION_WORDS)
        return sorted(words, key=self._rank.__getitem__)


def _page(speaker: str, status: str) -> Ask:
    query = urlencode({"speaker": speaker, "status": status, "limit": 20})
    return Ask(f"/v1/claims?{query}", holds=b'"id":"clm_')


# --- who is asked ------------------------------------------------------------------------------


@dataclass(frozen=True)
class House:
    """The servers of one place. Whatever is not installed is None."""

    place: Place
    draws: Draws
    ours: Served
    fastapi: Served
    starlette: Served
    afternoon: Served
    datasette: Served | None


@contextmanager
def opened(place: Place) -> Iterator[House]:
    """Starts all servers. The bare ones answer with a claim and a page of middling length."""
    draws, env = Draws(place.base), environment(place.url)
    with ExitStack() as stack:
        ours = stack.enter_context(serving(["-m", "app", "serve", "--port", "0"], env))
        bytes_of = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with Client(ours.url) as client:
            for name, asks in (("claim", draws.claims), ("page", draws.pages)):
                bodies = sorted((client.get(ask).body for ask in asks[:51]), key=len)
                (bytes_of / name).write_bytes(bodies[len(bodies) // 2])

        def rival(*arguments: str) -> Served:
            return stack.enter_context(serving(["-m", *arguments], env))

        try:
            datasette = rival("bench.searched", str(copy_for_datasette(place.base)))
        except NotThereError:
            datasette = None
        yield House(
            place,
            draws,
            ours,
            rival("bench.rivals", "fastapi", str(bytes_of)),
            rival("bench.rivals", "starlette", str(bytes_of)),
            rival("bench.rivals", "afternoon", place.afternoon),
            datasette,
        )
