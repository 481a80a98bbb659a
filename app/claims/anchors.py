"""Where a quote sits in a text (W3C Web Annotation selectors), found exactly, or with only typography
between them, or nearly. Places count code points of the text in NFC with LF line ends.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from rapidfuzz import fuzz

AnchorState = Literal["exact", "normalised", "fuzzy", "orphaned", "unchecked"]

FUZZY = 90
"""From this likeness on (0 to 100, rapidfuzz's partial ratio) a passage passes for the quote."""

CONTEXT = 32
"""How many code points before and after a quote tell it from the same words elsewhere."""


@dataclass(frozen=True)
class Selector:
    """A quote, and what is known of its place."""

    exact: str
    prefix: str | None = None
    suffix: str | None = None
    start: int | None = None


@dataclass(frozen=True)
class Place:
    """Where a quote is: text[start:end]. `score` is 1 unless the match is fuzzy."""

    state: AnchorState
    start: int | None = None
    end: int | None = None
    score: Decimal | None = None


def locate(text: str, quote: Selector) -> Place:
    """The best place of a quote in a text, or an orphaned one."""
    if spans := list(_spans(text, quote.exact)):
        start, end = _choose(text, quote, spans)
        return Place("exact", start, end, Decimal(1))
    folded = fold(text)
    if spans := [folded.span(a, b) for a, b in _spans(folded.text, fold(quote.exact).text.strip())]:
        start, end = _choose(text, quote, spans)
        return Place("normalised", start, end, Decimal(1))
    near = _nearest(text, quote.exact)
    if near is not None and near[2] >= FUZZY:
        return Place("fuzzy", near[0], near[1], (Decimal(f"{near[2]:.1f}") / 100).normalize())
    return Place("orphaned")


def nearest_passage(text: str, quote: str) -> str | None:
    """What in the text is most like a quote that is not in it, cut at word ends."""
    near = _nearest(text, quote)
    if near is None or near[2] < 50:
        return None
    start, end, _ = near
    while start > 0 and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end].isalnum():
        end += 1
    return text[start:end]


def surroundings(text: str, place: Place) -> tuple[str, str]:
    """The prefix and suffix of a place."""
    if place.start is None or place.end is None:
        return "", ""
    return text[max(0, place.start - CONTEXT) : place.start], text[place.end : place.end + CONTEXT]


def same_words(one: str, other: str) -> bool:
    """Whether two texts have the same words in the same order, whatever stands between them."""
    return re.findall(r"\w+", one.casefold()) == re.findall(r"\w+", other.casefold())


def _spans(text: str, quote: str) -> Iterator[tuple[int, int]]:
    at = text.find(quote) if quote else -1
    while at >= 0:
        yield at, at + len(quote)
        at = text.find(quote, at + 1)


def _choose(text: str, quote: Selector, spans: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The place with the most of the expected context around it, then the one nearest to `start`."""

    def fit(span: tuple[int, int]) -> tuple[int, int]:
        start, end = span
        before = _common(text[max(0, start - 500) : start][::-1], (quote.prefix or "")[::-1])
        after = _common(text[end : end + 500], quote.suffix or "")
        distance = abs(start - quote.start) if quote.start is not None else start
        return before + after, -distance

    return max(spans, key=fit)


def _common(one: str, other: str) -> int:
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length


def _nearest(text: str, quote: str) -> tuple[int, int, float] | None:
    folded, wanted = fold(text), fold(quote).text.strip()
    if not wanted or not folded.text:
        return None
    if len(wanted) > len(folded.text):  # rapidfuzz would then look for the text in the quote
        return 0, len(text), fuzz.ratio(wanted, folded.text)
    found = fuzz.partial_ratio_alignment(wanted, folded.text)
    if found is None or found.dest_end <= found.dest_start:
        return None
    start, end = folded.span(found.dest_start, found.dest_end)
    return start, end, found.score


# --- typography --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Folded:
    """A text without its typography; `places[n]` is where its nth code point was."""

    text: str
    places: Sequence[int]
    length: int

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place in the original of text[start:end]."""
        return self.places[start], self.places[end - 1] + 1


_SAME = {
    **dict.fromkeys("‘’‚‛′‹›`´", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    "…": "...",
    **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", ""),
}


@lru_cache(maxsize=16)
def fold(text: str) -> Folded:
    """Plain quotes, hyphens and dots; one space for any run of white space; no soft hyphens."""
    out: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        plain = " " if char.isspace() else _SAME.get(char, char)
        if plain == " " and out and out[-1] == " ":
            continue
        out.extend(plain)
        places.extend([place] * len(plain))
    return Folded("".join(out), places, len(text))
