"""What two printings of the same words may differ in: marks, spaces, line breaks. Letters, their case and
digits are the words themselves.
"""

import re
from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "invisible", "spaces", "hyphenation", "line_breaks", "ligatures", "quotes", "ellipsis", "dashes"
]
KINDS: Sequence[Kind] = get_args(Kind)

_UNSEEN = "\u00ad\u200b-\u200f\u2060-\u2064\u202a-\u202e\u2066-\u2069\ufeff"
_DASHES = "-‐‑‒–—―−"

_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "ft", "ﬆ": "st"}

_PARTED = re.compile(rf"(?<=[^\W\d_])[-‐][{_UNSEEN}]* ?\n[ \n]*(?=[^\W\d_])")
"""A hyphen at the end of a line. Whether the word has one elsewhere cannot be told."""

_SPELLED: Sequence[tuple[Kind, str, str]] = [
    ("hyphenation", r"(?<=\w)\u00ad[^\S\n]*\n\s*(?=\w)", ""),
    ("invisible", f"[{_UNSEEN}]+", ""),
    ("spaces", r"[^\S\n ][^\S\n]*| [^\S\n]+", " "),
    *(("ligatures", mark, letters) for mark, letters in _LIGATURES.items()),
    ("quotes", "[‘’‚‛′‹›`´]", "'"),
    ("quotes", "[“”„‟″«»]", '"'),
    ("ellipsis", r"\.[ \n]?\.[ \n]?\.", "…"),
    ("dashes", f"[{_DASHES}]{{2,}}|[{_DASHES[1:]}]", "-"),
    ("line_breaks", r" ?\n[ \n]*", "\n"),
    ("line_breaks", r"\n(?=[-…])|(?<=[-…])\n", ""),
    ("line_breaks", r"\n", " "),
    ("dashes", " (?=-)|(?<=-) ", ""),
    ("ellipsis", " (?=…)|(?<=…) ", ""),
]
"""In the order in which they apply. Each takes a time that grows with the text, whatever is in it."""

Rule = tuple[Kind, re.Pattern[str], str]
_RULES: Sequence[Rule] = [(kind, re.compile(pattern), plain) for kind, pattern, plain in _SPELLED]
_JOINING: Sequence[Rule] = [("hyphenation", _PARTED, ""), *_RULES]


@dataclass(frozen=True)
class Folded:
    """A text without its typography; `places[n]` is where its nth code point was, and that of one more, its
    end.
    """

    text: str
    places: Sequence[int]
    original: str

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place in the original of text[start:end], without what is unseen at its edges."""
        first, last = self.places[start], self.places[end]
        passage = self.original[first:last]
        return first + _unseen(passage), last - _unseen(passage[::-1])

    def at(self, place: int) -> int:
        """Where a place in the original is in this text."""
        low, high = 0, len(self.text)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.places[middle] >= place else (middle + 1, high)
        return low


_EDGE = re.compile(rf"[\s{_UNSEEN}]*")


def _unseen(text: str) -> int:
    found = _EDGE.match(text)
    return found.end() if found else 0


def fold(text: str, *, joining: bool = False, but_for: Collection[Kind] = ()) -> Folded:
    """Plain quotes and hyphens, one sign for an ellipsis, one space for any run of white space but none about
    a dash, nothing that is not seen. With `joining`, words parted at the end of a line are whole.
    """
    folded, places = text, array("I", range(len(text) + 1))
    for kind, pattern, plain in _JOINING if joining else _RULES:
        if kind not in but_for and pattern.search(folded):
            folded, places = _replaced(folded, places, pattern, plain)
    return Folded(folded, places, text)


def _replaced(
    text: str, places: "array[int]", pattern: re.Pattern[str], plain: str
) -> tuple[str, "array[int]"]:
    again = pattern.sub(plain, text)
    if plain and len(again) == len(text):  # one sign for one, each time
        return again, places
    out: list[str] = []
    kept, done = array("I"), 0
    for match in pattern.finditer(text):
        start, end = match.span()
        out += text[done:start], plain
        kept += places[done:start]
        kept.extend([places[start]] * len(plain))
        done = end
    out.append(text[done:])
    return "".join(out), kept + places[done:]


def plain(text: str, *, joining: bool = False, but_for: Collection[Kind] = ()) -> str:
    """A quote as it is looked for in a folded text."""
    return fold(text, joining=joining, but_for=but_for).text.strip(" ")


def has_parted_words(text: str) -> bool:
    """Whether a line ends in a hyphen between letters."""
    return _PARTED.search(text) is not None


def kinds_between(one: str, other: str) -> list[Kind]:
    """In what the typography of two texts differs: what cannot be left as it is without them differing."""
    joining = plain(one) != plain(other)
    return [
        kind
        for kind in KINDS
        if plain(one, joining=joining, but_for=[kind]) != plain(other, joining=joining, but_for=[kind])
    ]
