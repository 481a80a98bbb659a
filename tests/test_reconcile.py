"""The Reconciliation Service API 0.2, asked as OpenRefine and the client `reconciler` ask it."""

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pandas
import pytest
from text_unidecode import unidecode

from app.compat.reconcile import BATCH
from tests.newsroom import Json, Newsroom, match, ok, problem

AT = "/reconcile"


def ask(room: Newsroom, **queries: Any) -> dict[str, list[Json]]:
    """The candidates of each query, sent as a form."""
    answer = ok(room.anyone.post(AT, data={"queries": json.dumps(queries)}))
    jsonschema.validate(answer, RESULTS)
    return {key: found["result"] for key, found in answer.items()}


def one(room: Newsroom, query: str, **more: Any) -> list[Json]:
    return ask(room, q0={"query": query, **more})["q0"]


def slug(room: Newsroom, candidate: Json) -> str:
    return str(room.get(f"/v1/entities/{candidate['id']}")["slug"])


def features(candidate: Json) -> Json:
    return {each["id"]: each["value"] for each in candidate["features"]}


# --- 500 dirty names ---------------------------------------------------------------------------

TITLES = ("President", "Mr.", "Dr", "Prof.", "Foreign Minister", "Former President")
NOBODY = (
    "Vladimir Petrov", "Power of Siberia 3", "South Stream", "Xi Zhongxun", "Alexander Nowicki", "Yu Hua",
    "Jie Zhang", "Volodymyr Groysman", "M. Putina", "Lyudmila Putina", "Yang Jiechi", "New York Post",
    "Royal Institute of Technology", "East Asia Institute", "Western Europe", "Kyivstar", "Moscow Times",
    "Australian Open", "Inner Mongolia", "European Unity", "Foreign Affairs", "The Pacific", "NAFTA",
    "Annexation of Crimea, 1783", "China's 14-point position paper on Ukraine",
)  # fmt: skip


def dirty(name: str, kind: str) -> Iterator[str]:
    """A name as lists have it: in capitals, with spaces and titles, the other way round, shortened, mistyped."""
    words = name.split()
    yield from (name.upper(), f"  {name.lower()} ", f"“{name}”", name.replace(" ", "  ") + ".")
    if kind == "person" and len(words) > 1 and name.isascii():
        first, *_, last = words
        yield from (f"{title} {name}" for title in TITLES)
        yield from (f"{last}, {first}", f"{last.upper()} {first}", f"{first[0]}. {last}", f"{last} {first[0]}.")
    for place, word in enumerate(words):
        if len(word) > 6 and word.isascii() and word.isalpha():
            middle = len(word) // 2
            head, letter, tail = word[:middle], word[middle], word[middle + 1 :]
            for typo in (head + tail, head + letter + "k" + tail, head + tail[:1] + letter + tail[1:]):
                yield " ".join([*words[:place], typo, *words[place + 1 :]])


def meant() -> Iterator[tuple[str, str]]:
    """Dirty names over the seed's entities, and the slug of whom each was made of."""
    seed = Path(__file__).parents[1] / "seed" / "entities.ndjson"
    rows = [json.loads(line) for line in seed.read_text(encoding="utf-8").splitlines()]
    made = []
    for row in rows:
        entity = row.get("entity", row)
        aliases = [alias["name"] for alias in entity.get("aliases", [])]
        names = [*dirty(entity["name"], entity["kind"]), *aliases]
        names += [unidecode(alias) for alias in aliases if not alias.isascii() and len(alias) > 3]
        made.append([(text, entity["slug"]) for text in names])
    every = (pair for some in itertools.zip_longest(*made) for pair in some if pair is not None)
    yield from dict.fromkeys(every)


LIST = list(meant())


def test_a_list_of_500_dirty_names_is_matched_in_one_batch(seeded: Newsroom) -> None:
    names = LIST[: 500 - len(NOBODY)]
    queries = {f"q{n}": {"query": text} for n, (text, _) in enumerate(names)}
    queries |= {f"nobody{n}": {"query": text} for n, text in enumerate(NOBODY)}
    assert len(queries) == 500
    began = time.monotonic()
    answer = ask(seeded, **queries)
    assert time.monotonic() - began < 10
    slugs = {each["id"]: each["slug"] for each in seeded.get("/v1/entities", limit=200)["data"]}
    first = matched = 0
    wrong = []
    for n, (text, whose) in enumerate(names):
        best = answer[f"q{n}"][0] if answer[f"q{n}"] else {"id": None, "match": False}
        right = slugs.get(best["id"]) == whose
        first, matched = first + right, matched + (right and best["match"])
        if best["match"] and not right:
            wrong.append((text, whose, best["name"]))
    wrong += [(text, None, each["name"]) for n, text in enumerate(NOBODY) for each in answer[f"nobody{n}"]
              if each["match"]]  # fmt: skip
    print(len(names), first, matched, wrong)
    assert wrong == []
    assert first / len(names) >= 0.9
    assert matched / len(names) >= 0.8


RESULTS: Json = {}
