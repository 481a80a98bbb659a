"""What one question may cost: its length, its words, its values, and the time that it keeps the database."""

import time
from typing import Any

import pytest
from sqlalchemy import text

from app.base.db import Database
from app.base.errors import Unavailable
from app.base.http import MOST_VALUES
from app.words.query import LONGEST, MOST
from tests.newsroom import Bases, Newsroom, problem

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


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
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(Unavailable, match="busy for longer"), db.read() as session:
                session.execute(text(ENDLESS))
            assert 0.9 < time.monotonic() - began < 10
            with db.read() as session:
                assert session.execute(text("SELECT 1")).scalar_one() == 1
        db.dispose()


def test_a_reading_may_wait_between_short_statements_if_it_is_patient(bases: Bases) -> None:
    short = ENDLESS.replace(") SELECT", " WHERE i < 200000) SELECT")
    with bases.fresh() as url:
        db = Database(url, pool_size=1, read_seconds=1)
        with db.read(patiently=True) as session:
            time.sleep(1.2)
            assert session.execute(text(short)).scalar_one() == 200_000
        db.dispose()
