"""A made-up newsroom's records, the same for the same seed: nothing in them was ever said by anyone.

Speakers and words are spread as they are in life (Zipf's law): a few speak often, most hardly ever; a
handful of English function words make up nearly half of every text, and fifty thousand made-up words the
rest. The records are those that `app/exchange/records.py` reads.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

import orjson

Json = dict[str, Any]

SPEAKERS, PUBLISHERS, SOURCES, TOPICS, WORDS = 5_000, 300, 20_000, 200, 50_000
FIRST_DAY, DAYS = date(2015, 1, 1), 3652

FUNCTION_WORDS = (
    "the of and to in a is that for it was on are as with be by this at from or an but not have which his "
    "had they we you were their has been her if would there all its more will can who what one our about "
    "up than no into so only my when some could them out these two may then do first any over she he also "
    "after should such most now even because between those where under while during before against "
    "through without within however both each per since until across among"
).split()
"""The commonest words of English, most common first: facts of the language, not anyone's text."""

FUNCTION_SHARE = 0.45
_ONSETS = "b br d dr f fl g gr h j k kl l m n p pl pr r s sk st t tr v w z".split()
_NUCLEI = "a e i o u ai ea ou".split()
_CODAS = ("", "", "", "l", "n", "r", "s", "t", "m", "nd", "st")

MEASURES = (
    ("bilateral trade", "USD", "billion", 400),
    ("natural gas supply", "bcm", None, 120),
    ("unemployment", "percent", None, 25),
    ("budget deficit", "EUR", "million", 9000),
    ("people displaced", "people", None, 900_000),
    ("oil exports", "bbl/d", "thousand", 5000),
    ("rail freight", "mt", None, 1400),
    ("power capacity", "MW", None, 8000),
    ("inflation", "percent", None, 30),
    ("length of road", "km", None, 12_000),
)
_MODES = (("paraphrase", 50), ("direct_quote", 40), ("partial_quote", 10))
_KINDS = (("fact", 60), ("prediction", 10), ("promise", 10), ("opinion", 15), ("position", 5))
_COMPARATORS = (("eq", 60), ("approx", 15), ("ge", 15), ("le", 10))


def zipf(count: int, offset: float = 0.0) -> list[float]:
    """Cumulative weights of ranks 1 to `count` by the law of Zipf and Mandelbrot."""
    return list(accumulate(1 / (rank + offset) for rank in range(1, count + 1)))


def _pick(rng: Random, weighted: Sequence[tuple[str, int]]) -> str:
    return rng.choices([word for word, _ in weighted], [weight for _, weight in weighted])[0]


@dataclass(frozen=True)
class World:
    """What a seed gives: `claims` of them, and as many speakers and sources as fit that number."""

    claims: int
    seed: int = 1

    def _rng(self, part: str) -> Random:
        return Random(f"{self.seed} {part}")

    @cached_property
    def speakers(self) -> list[str]:
        """Slugs, whoever speaks most first."""
        return [f"speaker-{n}" for n in range(1, min(SPEAKERS, max(20, self.claims // 2)) + 1)]

    @cached_property
    def publishers(self) -> list[str]:
        """Slugs."""
        return [f"publisher-{n}" for n in range(1, min(PUBLISHERS, max(5, self.claims // 30)) + 1)]

    @cached_property
    def urls(self) -> list[str]:
        """The addresses of the sources."""
        count = min(SOURCES, max(20, self.claims // 2))
        return [f"https://p{n % len(self.publishers) + 1}.example.org/articles/{n}" for n in range(count)]

    @cached_property
    def words(self) -> list[str]:
        """Made-up words, the commonest first."""
        rng, made = self._rng("words"), dict.fromkeys(FUNCTION_WORDS)
        while len(made) < WORDS + len(FUNCTION_WORDS):
            # Common words are short, as in life.
            syllables = 2 + (len(made) > 400) + (len(made) > 20_000 and rng.random() < 0.5)
            made["".join(_syllable(rng) for _ in range(syllables))] = None
        return list(made)[len(FUNCTION_WORDS) :]

    def entities(self) -> Iterator[Json]:
        """The speakers, then the publishers."""
        rng = self._rng("entities")
        for slug in self.speakers:
            name = f"{_name(rng)} {_name(rng)}"
            aliases = [{"name": f"{name[0]}. {name.split()[1]}", "kind": "abbreviation"}]
            yield {"slug": slug, "kind": "person", "name": name, "aliases": aliases}
        for slug in self.publishers:
            yield {"slug": slug, "kind": "organization", "name": f"The {_name(rng)} {_name(rng)}"}

    def sources(self) -> Iterator[Json]:
        """Articles, one publisher each."""
        rng = self._rng("sources")
        for n, url in enumerate(self.urls):
            yield {
                "url": url,
                "title": " ".join(rng.choices(self.words[:5000], k=7)).capitalize(),
                "publisher": self.publishers[n % len(self.publishers)],
                "authors": [f"{_name(rng)} {_name(rng)}"],
                "published": _day(rng),
                "language": "en",
                "kind": "article",
            }

    def records(self) -> Iterator[Json]:
        """The claims."""
        rng, told = self._rng("claims"), _Telling(self)
        for number in range(self.claims):
            yield told.claim(rng, number)

    def write(self, directory: Path) -> None:
        """Writes the files that can be brought in: `entities`, `sources` and `claims.ndjson`, and all of it
        in `records.ndjson`, whose lines say what they are.
        """
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / "records.ndjson").open("wb") as whole:
            for name, noun, lines in (
                ("entities", "entity", self.entities()),
                ("sources", "source", self.sources()),
                ("claims", "claim", self.records()),
            ):
                with (directory / f"{name}.ndjson").open("wb") as file:
                    for line in lines:
                        file.write(orjson.dumps(line) + b"\n")
                        whole.write(orjson.dumps({noun: line}) + b"\n")


class _Telling:
    """The weights by which claims are drawn, summed once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.speakers = zipf(len(world.speakers))
        self.topics = zipf(TOPICS, 5)
        function, made = zipf(len(FUNCTION_WORDS), 1), zipf(len(world.words), 10)
        share = FUNCTION_SHARE / function[-1], (1 - FUNCTION_SHARE) / made[-1]
        self.words = [*FUNCTION_WORDS, *world.words]
        self.weights = [w * share[0] for w in function] + [FUNCTION_SHARE + w * share[1] for w in made]

    def claim(self, rng: Random, number: int) -> Json:
        text = " ".join(rng.choices(self.words, cum_weights=self.weights, k=rng.randint(12, 40)))
        speakers = self._some(rng, 2 if rng.random() < 0.08 else 1)
        claim = {
            "ref": f"c{number}",
            "text": f"{text[0].upper()}{text[1:]}.",
            "mode": _pick(rng, _MODES),
            "kind": _pick(rng, _KINDS),
            "language": "en",
            "speakers": [{"entity": slug, "title": "Minister"} for slug in speakers],
            "about": self._some(rng, rng.randint(0, 2)),
            "topics": self._topics(rng),
            "said": _day(rng),
            "appearances": [{"source": rng.choice(self.world.urls)}],
        }
        if rng.random() < 0.3:
            claim["figures"] = [_figure(rng)]
        return claim

    def _some(self, rng: Random, count: int) -> list[str]:
        return list(dict.fromkeys(rng.choices(self.world.speakers, cum_weights=self.speakers, k=count)))

    def _topics(self, rng: Random) -> list[str]:
        ranks = rng.choices(range(1, TOPICS + 1), cum_weights=self.topics, k=rng.randint(0, 3))
        return [f"topic-{rank}" for rank in dict.fromkeys(ranks)]


def _syllable(rng: Random) -> str:
    return rng.choice(_ONSETS) + rng.choice(_NUCLEI) + rng.choice(_CODAS)


def _name(rng: Random) -> str:
    return (_syllable(rng) + _syllable(rng)).capitalize()


def _day(rng: Random) -> str:
    return (FIRST_DAY + timedelta(days=rng.randrange(DAYS))).isoformat()


def _figure(rng: Random) -> Json:
    measure, unit, scale, most = rng.choice(MEASURES)
    figure = {
        "measure": measure,
        "value": str(rng.randint(1, most)) if most > 100 else f"{rng.randint(1, most * 10) / 10:.1f}",
        "unit": unit,
        "comparator": _pick(rng, _COMPARATORS),
        "period": str(rng.randint(2015, 2025)),
    }
    return figure | ({"scale": scale} if scale else {})


def main() -> None:
    """Writes the files of a world."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--claims", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    World(given.claims, given.seed).write(given.directory)


if __name__ == "__main__":
    main()
