"""Text as it is kept: Unicode NFC with LF line ends, and nothing in it that is not text.

Source: Unicode Standard Annex #15, section 13 (Stream-Safe Text Format).
"""

import re
import unicodedata
from functools import cache
from typing import Literal

MOST_MARKS = 30
"""Combining marks in a row, after UAX #15: no writing system needs more than a few. Normalisation puts a run
of them in order in time that grows with its square.
"""

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def clean(text: str) -> str:
    """Return the text in its kept form. Raises ValueError for what is not text."""
    if text.isascii() and text.isprintable():  # nearly all are, and nothing in them is to be changed
        return text
    if found := _UNPRINTABLE.search(text):
        raise ValueError(f"has a character that is not text: U+{ord(found[0]):04X}")
    return normal_text(text)


def normal_text(text: str) -> str:
    """Return the text in Unicode NFC with LF line ends, the form in which anchors are counted.

    Raises ValueError for more than `MOST_MARKS` combining marks in a row.
    """
    check_marks(text)
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


def check_marks(text: str) -> None:
    """Raise ValueError for more than `MOST_MARKS` combining marks in a row, in time linear in the length."""
    if _long_run(text) is not None:
        raise ValueError(f"has more than {MOST_MARKS} combining marks in a row, which is not text")


def normalised(form: Literal["NFC", "NFKC", "NFKD"], text: str) -> str:
    """Return a normal form of text that may not have been checked: what a run has too many of is left out."""
    kept, end = [], 0
    while (first := _long_run(text, end)) is not None:
        kept.append(text[end : first + MOST_MARKS])
        end = next((n for n in range(first, len(text)) if text[n] not in _marks()), len(text))
    return unicodedata.normalize(form, "".join((*kept, text[end:])))


def _long_run(text: str, start: int = 0) -> int | None:
    """Return where the first run of too many combining marks begins, from a place on that is no mark.

    Every 31st character meets each such run, so only those are looked at first.
    """
    if len(text) - start <= MOST_MARKS or text.isascii():
        return None
    marks = _marks()
    for at in range(start + MOST_MARKS, len(text), MOST_MARKS + 1):
        if text[at] in marks:
            first, last = at, at
            while first > start and text[first - 1] in marks:
                first -= 1
            while last - first < MOST_MARKS and text[last + 1 : last + 2] in marks:
                last += 1
            if last - first >= MOST_MARKS:
                return first
    return None


@cache
def _marks() -> frozenset[str]:
    """Return every character that is a combining mark, or is decomposed into some."""
    return (
        frozenset(each for each in map(chr, range(0x300, 0x20000)) if unicodedata.combining(each)) | _COMPOSED
    )


_COMPOSED = frozenset("\u0f73\u0f75\u0f81\uff9e\uff9f")
"""Vowel signs of Tibetan and voicing marks of Japanese, which are no combining marks until decomposed."""
