"""Caches count bytes against one budget, and answers do not depend on what they have dropped."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.base.caches import BUDGET, Budget, Cache, remembered, size_of
from app.base.pools import STATEMENTS
from app.claims.shapes import ClaimQuestion
from app.words.text import forms, latin, spelling, stem
from tests.newsroom import Newsroom

KB, MB = 1024, 1024 * 1024


@pytest.fixture
def budget() -> Budget:
    return Budget(MB)


def test_keys_and_values_are_counted(budget: Budget) -> None:
    kept: Cache[str, bytes] = Cache(budget=budget)
    for n in range(100):
        kept[f"{n} {'k' * KB}"] = b"v" * KB
    assert 2 * 100 * KB < budget.used == kept.size < 3 * 100 * KB
    kept.clear()
    assert (budget.used, len(kept)) == (0, 0)


def test_all_caches_together_keep_to_the_budget(budget: Budget) -> None:
    several: list[Cache[str, str]] = [Cache(budget=budget) for _ in range(5)]
    for n in range(30_000):
        several[n % 5][f"{n} {'x' * random.Random(n).randrange(300)}"] = "y" * 50
        assert budget.used <= MB * 1.01
    assert budget.used > MB / 3  # and it is used


def test_what_is_asked_for_stays_while_others_come_and_go(budget: Budget) -> None:
    kept: Cache[str, str] = Cache(budget=budget)
    kept["wanted"] = "here"
    for n in range(20_000):
        kept[f"{n}"] = "x" * 200
        assert kept.get("wanted") == "here"
    assert kept.get("0") is None


def test_one_cache_that_is_flooded_does_not_empty_the_others(budget: Budget) -> None:
    quiet, flooded = (Cache[str, str](budget=budget) for _ in range(2))
    for n in range(1000):
        quiet[f"{n}"] = "x" * 100
    for n in range(20_000):
        flooded[f"{n}"] = "x" * 300
    assert len(quiet) == 1000


def test_what_is_larger_than_a_part_of_the_budget_is_not_kept(budget: Budget) -> None:
    kept: Cache[str, bytes] = Cache(budget=budget)
    kept["large"] = b"x" * (MB // 10)
    assert kept.get("large") is None
    assert len(kept) == 0


def test_what_is_given_once_pushes_nothing_out_where_it_has_to_be_given_again(budget: Budget) -> None:
    kept: Cache[str, str] = Cache(budget=budget, share=8, again=True)
    kept["wanted"] = "here"
    assert kept.get("wanted") is None
    kept["wanted"] = "here"
    for n in range(30_000):  # more than are noted
        kept[f"{n}"] = "x" * 200
    assert kept.get("wanted") == "here"
    assert (len(kept), kept.size < KB) == (1, True)
    for n in range(30_000, 40_000):
        for _ in range(2):
            kept[f"{n}"] = "x" * 200
    assert MB / 10 < kept.size <= MB / 4  # two generations of an eighth each
    assert kept.get("39999") == "x" * 200


def test_what_comes_back_from_the_old_generation_need_not_be_given_again(budget: Budget) -> None:
    kept: Cache[int, str] = Cache(budget=budget, share=8, again=True)
    for n in (0, 0, *range(1, 20_000)):
        kept[n] = "x"
    for n in range(20_000, 30_000):
        for _ in range(2):
            kept[n] = "x" * 100
        assert kept.get(0) == "x"


def test_a_cache_that_nobody_has_any_more_counts_nothing(budget: Budget) -> None:
    kept: Cache[str, bytes] = Cache(budget=budget)
    kept["a"] = b"x" * 10 * KB
    assert budget.used > 10 * KB
    del kept
    assert budget.used == 0


def test_threads_that_share_a_cache_lose_count_of_nothing(budget: Budget) -> None:
    kept: Cache[str, str] = Cache(budget=budget)
    start = threading.Barrier(8)

    def work(seed: int) -> None:
        start.wait()
        numbers = random.Random(seed)
        for _ in range(3000):
            key = f"{numbers.randrange(5000)}"
            assert kept.get(key) in (None, key * 20)
            kept[key] = key * 20

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    counted = kept.size
    kept.clear()
    assert 0 < counted <= MB
    assert kept.size == 0


def test_a_function_is_called_once_for_what_it_remembers_and_again_for_what_raised() -> None:
    called: list[str] = []

    @remembered
    def doubled(text: str) -> str:
        called.append(text)
        return text * 2 if text != "bad" else "".join(dict[str, str]()[text])

    assert [doubled("a"), doubled("a"), doubled("b")] == ["aa", "aa", "bb"]
    for _ in range(2):
        with pytest.raises(KeyError):
            doubled("bad")
    assert called == ["a", "b", "bad", "bad"]


@pytest.mark.parametrize(
    ("value", "least"),
    [
        ("x" * 5000, 5000),
        ({"a": ["b" * 3000, ("c" * 3000,)]}, 6000),
        (ClaimQuestion(q="x" * 400, topic=["y" * 90] * 50), 4900),
        (frozenset({"x" * 1000}), 1000),
    ],
)
def test_sizes_are_of_all_that_is_in_a_value(value: object, least: int) -> None:
    assert least < size_of(value) < 3 * least + 6000


def test_words_of_any_length_and_number_stay_within_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """50,000 words of 10 KB were kept in each of six caches."""
    monkeypatch.setattr(BUDGET, "most", 4 * MB)
    for n in range(250):
        word = f"ж{n}" + "ы" * 10_000
        for function in (stem, latin, spelling, forms):
            function(word)
    assert BUDGET.used <= BUDGET.most * 1.01


def test_ever_new_questions_stay_within_the_budget_and_are_answered_alike(
    seeded: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BUDGET, "most", 2 * MB)
    usual = "/v1/claims?topic=energy&limit=3"
    first = seeded.anyone.get(usual)
    for n in range(60):
        topics = "&".join(f"topic=t{n}-{m}" for m in range(n % 13))
        answer = seeded.anyone.get(f"/v1/claims?{topics}&limit=1&said_from=20{n % 30:02}")
        assert answer.status_code == 200
        assert n < 10 or BUDGET.used <= 2 * MB * 1.01  # what others have kept goes first
        if n % 20 == 0:
            assert seeded.anyone.get(usual).content == first.content
    assert seeded.anyone.get(usual, headers={"If-None-Match": first.headers["etag"]}).status_code == 304


def test_a_search_that_is_as_no_other_leaves_no_statement_behind(
    seeded: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they were compiled to was kept, and pushed out again as garbage of 30,000 objects each second."""

    def search(words: str) -> None:
        assert seeded.anyone.get("/v1/search", params={"q": words}).status_code == 200

    monkeypatch.setattr(STATEMENTS, "_given", set())  # see `statements_at_once`
    for _ in range(3):
        search("gas")
    before = len(STATEMENTS)
    assert STATEMENTS.size > before * 1000 > 0
    for n in range(1, 12):
        search(" ".join("-gas" if n >> place & 1 else "pipe*" for place in range(4, -1, -1)) + " oil" * n)
    assert len(STATEMENTS) < before + 4
    search("gas")
    assert len(STATEMENTS) >= before


def test_many_things_at_once_are_one_question(seeded: Newsroom) -> None:
    """100 topics in ten statuses were 1,000 terms of one SELECT: SQLite refuses 501, and it was a 500."""
    topics = "&".join(f"topic=t{n}" for n in range(85))
    for statuses in ("", "&status=unverified" * 10):
        answer = seeded.anyone.get(f"/v1/claims?topic=energy&{topics}{statuses}&limit=200")
        assert answer.status_code == 200, answer.text
        few = seeded.anyone.get(f"/v1/claims?topic=energy{statuses}&limit=200")
        assert answer.json()["data"] == few.json()["data"]


def test_a_status_that_is_named_twice_shows_no_claim_twice(seeded: Newsroom) -> None:
    for sort in ("said", "repeats"):
        once, twice = (seeded.get("/v1/claims", status=["unverified"] * times, sort=sort) for times in (1, 2))
        assert once["data"] == twice["data"]


def test_settings_have_the_budget(seeded: Newsroom) -> None:
    before = BUDGET.most
    try:
        with seeded.with_settings(cache_bytes=5 * MB):
            assert BUDGET.most == 5 * MB
    finally:
        BUDGET.most = before
    with pytest.raises(ValueError, match="cache_bytes"), seeded.with_settings(cache_bytes=5):
        pass
