"""Instants (UTC) and calendar dates of uncertain precision (EDTF)."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from edtf import EDTFParseException, parse_edtf

UNDATED = date.min
"""Stands in the never-null sort columns of a record without a date."""


def now() -> datetime:
    """This moment in UTC, to the microsecond."""
    return datetime.now(UTC)


def instant(at: datetime) -> str:
    """RFC 3339 in UTC with a `Z`, always with microseconds so that text order is time order."""
    # Not strftime, whose %Y has no leading zeros on some systems.
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_HALF_A_MONTH = re.compile(r"-(X[0-9]|[0-9]X)")
"""`2023-0X`, which the parser cannot read and then prints to standard output."""


@dataclass(frozen=True)
class Span:
    """The days that an EDTF date covers, both ends included."""

    earliest: date
    latest: date


@lru_cache(maxsize=4096)
def span(text: str) -> Span:
    """The days that an Extended Date/Time Format (ISO 8601-2:2019) date covers.

    `2023-03-21`, `2023-02`, `2022`, `2022?`, `2022~`, `2023-03-20/2023-03-22`, `../2023-03-19`,
    `2023-21` (spring) and `202X` are dates; years run from 0001 to 9999. Raises ValueError.
    """
    start, slash, end = text.partition("/")
    if not slash:
        return _span(text)
    earliest = date.min if start in ("", "..") else _span(start).earliest
    latest = date.max if end in ("", "..") else _span(end).latest
    if earliest > latest or (earliest, latest) == (date.min, date.max):
        raise ValueError(f"{text!r} is not a period that ends after it begins")
    return Span(earliest, latest)


_PLAIN = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)


def _plain_span(text: str) -> Span | None:
    """A year, month or day: nearly every date there is, and the parser takes milliseconds for one."""
    if (found := _PLAIN.fullmatch(text)) is None:
        return None
    year, month, day = int(found[1]), int(found[2] or 1), int(found[3] or 1)
    if not (1 <= year <= 9999 and 1 <= month <= 12):  # or a season
        return None
    last = (12, 31) if not found[2] else (month, monthrange(year, month)[1] if not found[3] else day)
    try:
        return Span(date(year, month, day), date(year, *last))
    except ValueError:
        return None


def _span(text: str) -> Span:
    if plain := _plain_span(text):
        return plain
    try:
        if len(text) > 100 or text != "".join(text.split()) or "/" in text:
            raise ValueError("an EDTF date is short, is one date and has no spaces")
        if _HALF_A_MONTH.search(text):
            raise ValueError("a month is known or it is not")
        parsed = parse_edtf(text)
        return Span(_date(parsed.lower_strict()), _date(parsed.upper_strict()))
    except (EDTFParseException, ValueError, TypeError, AttributeError, OverflowError) as fault:
        raise ValueError(
            f"{text!r} is not a date: write 2023-03-21, 2023-03, 2023, 2023? or 2022/2023 (EDTF)"
        ) from fault


def _date(when: Any) -> date:
    return date(when.tm_year, when.tm_mon, when.tm_mday)
