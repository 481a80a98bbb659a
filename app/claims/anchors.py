"""Where a quote sits in a text (W3C Web Annotation selectors), found exactly, or with only typography
between them, or nearly. Places count code points of the text in NFC with LF line ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from typing import Literal

from rapidfuzz.distance import Levenshtein

from app.claims.passages import CONTEXT, Near, Selector, most_alike, same
from app.claims.pieces import words
from app.claims.typography import Folded, Kind, fold, has_parted_words, kinds_between, plain

AnchorState = Literal["exact", "normalised", "fuzzy", "orphaned", "unchecked"]

FOUND: tuple[AnchorState, ...] = ("exact", "normalised", "fuzzy")

FUZZY = 90
"""From this likeness on (0 to 100, rapidfuzz's ratio) a passage passes for the quote."""

_NEAREST = 50


@dataclass(frozen=True)
class Place:
    """Where a quote is: text[start:end]. `score` is 1 unless the match is fuzzy."""

    state: AnchorState
    start: int | None = None
    end: int | None = None
    score: Decimal | None = None


def locate(text: str, quote: Selector) -> Place:
    """The best place of a quote in a text, or an orphaned one."""
    return locate_all(text, [quote])[0]


def locate_all(text: str, quotes: Sequence[Selector]) -> list[Place]:
    """The best place of each quote. Those that are found in no other way are looked for together."""
    places = [_set_as_it_is(text, quote) or _set_otherwise(text, quote) for quote in quotes]
    lost = [quote for quote, place in zip(quotes, places, strict=True) if place is None]
    found = iter(_nearly(text, lost, FUZZY) if lost else [])
    return [place or _fuzzy(text, next(found)) for place in places]


def stands(text: str, words: str) -> bool:
    """Return whether words stand in a text, exactly or with only typography between."""
    quote = Selector(words)
    return (_set_as_it_is(text, quote) or _set_otherwise(text, quote)) is not None


def _set_as_it_is(text: str, quote: Selector) -> Place | None:
    span = same(text, quote)
    return span and Place("exact", *span, Decimal(1))


def _set_otherwise(text: str, quote: Selector) -> Place | None:
    for folded, joining in ((_folded(text), False), (_joined(text), True)):
        if folded and (span := same(folded.text, _as_folded(quote, folded, joining=joining))):
            return Place("normalised", *folded.span(*span), Decimal(1))
    return None


def _nearly(text: str, quotes: Sequence[Selector], least: float) -> list[Near | None]:
    folded = _folded(text)
    return most_alike(folded.text, [_as_folded(quote, folded) for quote in quotes], least)


def _fuzzy(text: str, near: Near | None) -> Place:
    if near is None:
        return Place("orphaned")
    likeness = min(
        Decimal(f"{near.likeness:.1f}"), Decimal("99.9")
    )  # a long quote with a slip is not the same
    return Place("fuzzy", *_folded(text).span(*near.span), (likeness / 100).normalize())


def _as_folded(quote: Selector, folded: Folded, *, joining: bool = False) -> Selector:
    return Selector(
        plain(quote.exact, joining=joining),
        quote.prefix and fold(quote.prefix).text,
        quote.suffix and fold(quote.suffix).text,
        None if quote.start is None else folded.at(quote.start),
    )


@lru_cache(maxsize=1)
def _folded(text: str) -> Folded:
    return fold(text)


@lru_cache(maxsize=1)
def _joined(text: str) -> Folded | None:
    return fold(text, joining=True) if has_parted_words(text) else None


def nearest_passage(text: str, quote: str) -> str | None:
    """What in the text is most like a quote that is not in it, cut at word ends."""
    [near] = _nearly(text, [Selector(quote)], _NEAREST)
    if near is None:
        return None
    start, end = _folded(text).span(*near.span)
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
    return words(one) == words(other)


# --- what differs ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Differences:
    """Between a quote and the passage where it was found: kinds of typography if the words are the same, else
    the words, each run of them as (the quote's, the passage's).
    """

    typography: Sequence[Kind]
    words: Sequence[tuple[str, str]]


def differences(quote: str, passage: str) -> Differences:
    """What differs between a quote and a passage."""
    if quote == passage:
        return Differences([], [])
    if any(plain(quote, joining=both) == plain(passage, joining=both) for both in (False, True)):
        return Differences(kinds_between(quote, passage), [])
    ours, theirs = plain(quote).split(" "), plain(passage).split(" ")
    steps = groupby(Levenshtein.opcodes(ours, theirs), key=lambda step: step.tag != "equal")
    runs = [list(run) for differ, run in steps if differ]
    return Differences(
        [],
        [
            (
                " ".join(ours[run[0].src_start : run[-1].src_end]),
                " ".join(theirs[run[0].dest_start : run[-1].dest_end]),
            )
            for run in runs
        ],
    )
