"""What one question may cost: its length, its words, its values, and the time that it keeps the database."""

import time
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import text

from app.base.db import Database, ReadSession
from app.base.errors import Busy, QueryTimeout
from app.base.http import MOST_VALUES
from app.base.pools import _PROMPT_CONNECTIONS, POOL_SECONDS
from app.base.prepared import Prepared
from app.words.query import LONGEST, MOST
from tests.newsroom import Bases, Newsroom, SqliteBases, problem

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

SHORT = ENDLESS.replace(") SELECT", " WHERE i < 200000) SELECT")


@pytest.mark.parametrize(
    "path", ["/v1/claims", "/v1/search", "/v1/entities", "/v1/sources", "/v1/figures", "/v1/stats"]
)
def test_a_query_has_so_many_words_at_most(seeded: Newsroom, path: str) -> None:
    words = [f"word{n}" for n in range(MOST + 1)]
    assert seeded.anyone.get(path, params={"q": " ".join(words[:MOST])}).status_code == 200
    for wrong in (" ".join(words), "x" * (LONGEST + 1), '"' + " ".join(words) + '"'):
        refused = problem(seeded.anyone.get(path, params={"q": wrong}), 422, "invalid")
        assert refused["errors"][0]["pointer"] == "q"


def test_a_filter_has_so_many_values_at_most(seeded: Newsroom) -> None:
    many: dict[str, Any] = {"mode": ["paraphrase"] * MOST_VALUES}
    assert seeded.anyone.get("/v1/claims", params=many).status_code == 200
    for more in ({"speaker": "xi-jinping"}, {"no-such-parameter": "1"}):
        refused = problem(seeded.anyone.get("/v1/claims", params={**many, **more}), 422, "invalid")
        assert f"{MOST_VALUES} are read at most" in refused["detail"]


def test_a_reading_that_lasts_too_long_is_interrupted(bases: Bases) -> None:
    with bases.fresh() as url:
        db = Database(url, pool_size=1, read_seconds=1)
        # SQLite works in this thread, and is limited by its processor time, PostgreSQL by the clock.
        clock = time.thread_time if db.sqlite else time.monotonic
        for _ in range(2):
            began = clock()
            with pytest.raises(QueryTimeout, match="gave it up"), db.read() as session:
                session.execute(text(ENDLESS))
            assert 0.9 < clock() - began < 10
            with db.read() as session:
                assert session.execute(text("SELECT 1")).scalar_one() == 1
        db.dispose()


def test_a_reading_on_a_busy_machine_is_not_taken_for_a_long_one(bases: Bases) -> None:
    """By the clock it lasts longer than it may, as it does where others have the processors."""
    with bases.fresh() as url:
        db = Database(url, pool_size=1, read_seconds=1)
        with db.read() as session:
            time.sleep(1.2)
            assert session.execute(text(SHORT)).scalar_one() == 200_000
        db.dispose()


def test_a_query_that_takes_too_long_is_told_what_to_narrow(
    seeded: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(session: ReadSession, *_more: Any) -> None:
        if not seeded.db.sqlite:
            session.execute(text("SET LOCAL statement_timeout = 1000"))
        session.execute(text(ENDLESS))

    monkeypatch.setattr("app.claims.stats.count", endless)
    seeded.db.read_seconds = 1
    for query, narrow in (
        ("", "by about, "),
        ("?by=month&speaker=xi-jinping&limit=5", "narrow by, speaker."),
    ):
        answer = seeded.anyone.get(f"/v1/stats{query}")
        refused = problem(answer, 503, "query-timeout")
        assert refused["title"] == QueryTimeout.title
        assert "gave it up" in refused["detail"]
        assert narrow in refused["detail"]
        assert int(answer.headers["retry-after"]) > 0


def test_a_change_that_waits_too_long_for_its_turn_says_so(bases: Bases) -> None:
    with bases.fresh() as url:
        first, second = Database(url, pool_size=1, read_seconds=1), Database(url, pool_size=1, read_seconds=1)
        with first.write() as holding:
            holding.execute(text("SELECT 1"))
            if second.sqlite:
                with second.writer.connect() as connection:
                    connection.connection.cursor().execute("PRAGMA busy_timeout=100")
            with pytest.raises(Busy, match="Others were writing"), second.write() as waiting:
                waiting.execute(text("SELECT 1"))
        with second.write() as session:
            session.execute(text("SELECT 1"))
        first.dispose()
        second.dispose()


def test_a_base_whose_connections_are_all_taken_is_busy(
    bases: Bases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.base.pools.POOL_SECONDS", 0.2)
    with bases.fresh() as url:
        db = Database(url, pool_size=1)
        with db.read() as session:
            session.execute(text("SELECT 1"))
            with pytest.raises(Busy, match="connection is taken"), db.read() as other:
                other.execute(text("SELECT 1"))
        db.dispose()


def test_what_is_asked_at_once_waits_for_no_connection(bases: Bases) -> None:
    """On SQLite it is asked on the event loop, where all wait while one does."""
    with bases.fresh() as url:
        db = Database(url, pool_size=1)
        question = Prepared("SELECT 1")
        with db.read() as session:
            session.execute(text("SELECT 1"))
            assert [tuple(row) for row in db.ask(question, {}) or ()] == [(1,)]
        if db.sqlite:
            with ExitStack() as stack:
                for _ in range(_PROMPT_CONNECTIONS):
                    stack.callback(db.engines(public=False).prompt.raw_connection().close)
                began = time.monotonic()
                assert db.ask(question, {}) is None
                assert time.monotonic() - began < POOL_SECONDS / 2
            assert db.ask(question, {}) is not None
        db.dispose()


def test_a_locked_file_is_not_waited_for_on_the_loop(sqlite_bases: SqliteBases) -> None:
    with sqlite_bases.fresh() as url:
        db, other = Database(url), Database(url)
        with other.writer.connect() as connection:
            cursor: Any = connection.connection.cursor()
            cursor.execute("PRAGMA locking_mode=EXCLUSIVE")
            cursor.execute("PRAGMA journal_mode=DELETE")
            cursor.execute("BEGIN EXCLUSIVE")
            began = time.monotonic()
            assert db.ask(Prepared("SELECT count(*) FROM claims"), {}) is None
            assert time.monotonic() - began < POOL_SECONDS
        db.dispose()
        other.dispose()


def test_a_reading_may_wait_between_short_statements_if_it_is_patient(bases: Bases) -> None:
    with bases.fresh() as url:
        db = Database(url, pool_size=1, read_seconds=1)
        with db.read(patiently=True) as session:
            time.sleep(1.2)
            assert session.execute(text(SHORT)).scalar_one() == 200_000
        db.dispose()
