"""Where words stand in a text: the very words, told from the same ones elsewhere, or those most like them."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

CONTEXT = 32
"""How many code points before and after a quote tell it from the same words elsewhere."""

SHORTEST = 12
"""Of fewer code points than this, too many other words differ by a letter or two."""


@dataclass(frozen=True)
class Selector:
    """A quote, and what is known of its place."""

    exact: str
    prefix: str | None = None
    suffix: str | None = None
    start: int | None = None


Span = tuple[int, int]


# --- the very words ----------------------------------------------------------------------------

_MANY, _REACH = 2000, 10_000
"""Of words that stand in a text more often than this, those are looked at that are nearest to its beginning
and to where they are expected.
"""


def same(text: str, quote: Selector) -> Span | None:
    """The place of a quote's words: that with the most of the expected context around it, then the one where
    they are expected, then one where they are whole words, then the nearest.
    """
    if not quote.exact:
        return None
    before, after = quote.prefix or "", quote.suffix or ""
    for lead, words in ((len(before), before + quote.exact + after), (0, quote.exact)):
        near = None if quote.start is None else max(0, quote.start - lead)
        spans = {(at + lead, at + lead + len(quote.exact)) for at in _about(text, words, near)}
        if spans:
            return max(spans, key=lambda span: _fit(text, quote, span))
    return None


def _about(text: str, words: str, near: int | None) -> Iterator[int]:
    yield from islice(_occurrences(text, words, 0), _MANY)
    if near is not None and near > _REACH:
        yield from islice(_occurrences(text, words, near - _REACH), _MANY)
        if text.startswith(words, near):
            yield near


def _occurrences(text: str, words: str, since: int) -> Iterator[int]:
    at = text.find(words, since)
    while at >= 0:
        yield at
        at = text.find(words, at + 1)


def _fit(text: str, quote: Selector, span: Span) -> tuple[int, bool, bool, int]:
    start, end = span
    distance = start if quote.start is None else abs(start - quote.start)
    whole = is_whole(text, start, end)
    return _context(text, quote, span), start == quote.start, whole, -distance


def _context(text: str, quote: Selector, span: Span) -> int:
    """How much of the expected context is around a place."""
    (start, end), before, after = span, quote.prefix or "", quote.suffix or ""
    behind, ahead = range(1, min(len(before), start) + 1), range(1, len(after) + 1)
    return bisect_left(behind, True, key=lambda n: not text.startswith(before[-n:], start - n)) + bisect_left(
        ahead, True, key=lambda n: not text.startswith(after[:n], end)
    )


def is_whole(text: str, start: int, end: int) -> bool:
    """Return whether a passage begins and ends where words do."""
    return not (_cuts_a_word(text, start) or _cuts_a_word(text, end))


def _cuts_a_word(text: str, at: int) -> bool:
    return 0 < at < len(text) and _in_a_word(text[at - 1]) and _in_a_word(text[at])


def _in_a_word(sign: str) -> bool:
    return sign.isalnum() and sign < "\u2e80"  # from there on, words have no spaces between them


# --- the words most like them ------------------------------------------------------------------

_GRAM, _STEP = 5, 2
"""Six signs in a row that are in both lead to a place."""

_SEEDS, _TRIED = 2_000, 16
"""How many places of shared signs are looked at for a quote, and at how many the words are compared."""

_EDGE, _SLIP = 64, 6
"""An edge is found by that many signs, and then corrected by at most so many."""

_CUT = 2
"""An edge inside a word counts as much as this many wrong signs."""

Seeds = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Near:
    """A passage, and how like a quote it is: 100 for the same."""

    span: Span
    likeness: float


def most_alike(text: str, quotes: Sequence[Selector], least: float) -> list[Near | None]:
    """For each quote the passage most like it, if it is so like. The text is gone through once for all of
    them, and each is compared with it only where rare signs of it stand.
    """
    wanted = {gram for quote in quotes for _, gram in _grams(quote)}
    seeds: dict[str, list[int]] = {}
    for at in range(0, len(text) - _GRAM + 1, _STEP):
        gram = text[at : at + _GRAM]
        if gram in wanted:
            seeds.setdefault(gram, []).append(at)
    return [_most_alike(text, quote, seeds, least) for quote in quotes]


def _grams(quote: Selector) -> Iterator[tuple[int, str]]:
    """The signs of a quote and its context, five by five, with where they are from its beginning on."""
    if len(quote.exact) < SHORTEST:
        return
    before, after = (quote.prefix or "")[-CONTEXT:], (quote.suffix or "")[:CONTEXT]
    whole = before + quote.exact + after
    for n in range(len(whole) - _GRAM + 1):
        yield n - len(before), whole[n : n + _GRAM]


def _most_alike(text: str, quote: Selector, seeds: Seeds, least: float) -> Near | None:
    found = {
        span: fuzz.ratio(quote.exact, text[slice(*span)], score_cutoff=least)
        for span in {_edges(text, quote.exact, low, high) for low, high in _windows(quote, seeds)}
    }
    if not found:
        return None
    best = max(found, key=lambda span: (found[span], *_fit(text, quote, span)))
    return Near(best, found[best]) if found[best] >= least else None


def _windows(quote: Selector, seeds: Seeds) -> list[Span]:
    """Between which places the quote may begin: those to which most of its rarest signs point, best first."""
    width = max(16, len(quote.exact) // 5)
    rarest = sorted((len(seeds[gram]), n, gram) for n, gram in _grams(quote) if gram in seeds)
    votes: Counter[int] = Counter()
    left = _SEEDS
    for count, n, gram in rarest:
        votes.update((at - n) // width for at in islice(seeds[gram], left))
        left -= count
        if left <= 0:
            break
    both = {n: count + votes.get(n + 1, 0) for n, count in votes.items()}
    most, near = max(both.values(), default=0), (quote.start or 0) // width
    likely = [n for n, count in both.items() if count * 4 >= most]
    best = sorted(likely, key=lambda n: (-both[n], abs(n - near)))[:_TRIED]
    return [(n * width, (n + 2) * width) for n in best]


def _edges(text: str, words: str, low: int, high: int) -> Span:
    """Where words begin and end in a text, if they begin between two places."""
    start, end = _aligned(text, words[:_EDGE], low, high)
    if len(words) > _EDGE:
        rest = len(words) - _EDGE
        _, end = _aligned(text, words[-_EDGE:], max(low + rest, start + 1), high + rest)
    return start, max(start, end)


def _aligned(text: str, words: str, low: int, high: int) -> Span:
    low = min(max(0, low - _SLIP), len(text))
    window = text[low : max(low, high + len(words) + _SLIP)]
    found = fuzz.partial_ratio_alignment(words, window)
    if found is None:
        return low, low
    start, end = low + found.dest_start, low + found.dest_end

    def wrong(start: int, end: int, edge: int, sign: str) -> tuple[int, int]:
        cut = sign.isspace() or _cuts_a_word(text, edge)
        distance = Levenshtein.distance(words, text[start:end])
        return distance + _CUT * cut, abs(end - start - len(words))

    starts = range(max(0, start - _SLIP), min(start + _SLIP, end) + 1)
    start = min(starts, key=lambda at: wrong(at, end, at, text[at : at + 1]))
    ends = range(max(start, end - _SLIP), min(end + _SLIP, len(text)) + 1)
    end = min(ends, key=lambda at: wrong(start, at, at, text[max(0, at - 1) : at]))
    return start, end
