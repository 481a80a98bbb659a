"""Instants (UTC) and calendar dates of uncertain precision (EDTF)."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

UNDATED = date.min
"""Stands in the never-null sort columns of a record without a date."""


def now() -> datetime:
    """This moment in UTC, to the microsecond."""
    return datetime.now(UTC)


CLOCKS_DIFFER = timedelta(minutes=5)
"""Allowed lead of another machine's clock over this one's."""
_EARLIEST_ZONE = timedelta(hours=14)
"""Lead of the easternmost time zone over UTC (UTC+14:00, Kiribati)."""


def is_ahead(at: datetime, *, day_alone: bool = False) -> bool:
    """Return whether a moment is in the future. With `day_alone`, midnight UTC stands for a day whose zone is
    not known, and is in the future only before that day has begun anywhere.
    """
    is_day = day_alone and at.timetz() == time(tzinfo=UTC)
    return at > now() + (_EARLIEST_ZONE if is_day else CLOCKS_DIFFER)


def instant(at: datetime) -> str:
    """RFC 3339 in UTC with a `Z`, always with microseconds so that text order is time order."""
    # Not strftime, whose %Y has no leading zeros on some systems.
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Span:
    """The days that an EDTF date covers, both ends included."""

    earliest: date
    latest: date


_ALL_TIME = Span(date.min, date.max)
_DATE = re.compile(
    r"(?P<a>[?~%])?(?P<year>[0-9X]{4})(?(a)|[?~%]?)"
    r"(?:-(?P<b>[?~%])?(?P<month>[0-9X]{2})(?(b)|[?~%]?)"
    r"(?:-(?P<c>[?~%])?(?P<day>[0-9X]{2})(?(c)|[?~%]?))?)?"
)
"""One date or season. Each part has at most one qualifier, to its left or to its right."""
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})T(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]|24:00:00)"
    r"(?:Z|[+-](?:0[0-9]|1[0-4])(?::[0-5][0-9])?)?"
)
_CALENDAR = re.compile(r"[0-9]{4}(?:-(?:0[1-9]|1[0-2])(?:-[0-9]{2})?)?")
_NOT_KEPT = re.compile(r"Y-?[0-9]+(E[0-9]+)?(S[0-9]+)?|-[0-9X]{4}(-.*)?|[0-9]{4}S[0-9]+|.*\^.*")

_QUARTERS = {n: (3 * n + 1, 3 * n + 3) for n in range(4)}
_NORTH = {1: (3, 5), 2: (6, 8), 3: (9, 11), 4: (12, 12)}
_SEASONS = {
    **{20 + n: months for n, months in _NORTH.items()},  # spring to winter, wherever
    **{24 + n: months for n, months in _NORTH.items()},  # in the north
    **{28 + n: _NORTH[(n + 1) % 4 + 1] for n in range(1, 5)},  # in the south
    **{33 + n: months for n, months in _QUARTERS.items()},
    **{37 + n: (4 * n + 1, 4 * n + 4) for n in range(3)},
    **{40 + n: (6 * n + 1, 6 * n + 6) for n in range(2)},
}
"""The first and the last month of each season, quarter, third and half of a year. Winter is cut at the year's
end, since a season is of one year.
"""


def calendar_date(edtf: str | None) -> str | None:
    """Return an EDTF date that is a year, month or day of ISO 8601 too: no season, interval or guess."""
    return edtf if edtf and _CALENDAR.fullmatch(edtf) else None


def span(text: str) -> Span:
    """Return the days that an Extended Date/Time Format (EDTF, ISO 8601-2:2019) date covers.

    Levels 0 to 2 are kept for the years 0001 to 9999: `2023-03-21`, `2023-02`, `2022`, `2022?`,
    `2004-06~-11`, `202X`, `2023-XX`, `2023-21` (spring), `2023-33` (first quarter), `2023-03-20/2023-03-22`,
    `../2023-03-19`, `[2021,2023]`. Not kept: years of more than four digits or before 0001, exponents,
    significant digits. Takes time in proportion to the length of the text. Raises ValueError.
    """
    start, slash, end = text.partition("/")
    if not slash:
        return _set(text) if text[:1] in ("[", "{") else _one(text)
    begins, ends = start not in ("", ".."), end not in ("", "..")
    earliest = _one(start).earliest if begins else date.min
    latest = _one(end).latest if ends else date.max
    if earliest > latest or not (begins or ends):
        raise ValueError(f"{text!r} is not a period that ends after it begins")
    return Span(earliest, latest)


def _set(text: str) -> Span:
    """One of a set (`[…]`) or all of it (`{…}`), of dates and of ranges such as `2021..2023`."""
    closing = "]" if text[0] == "[" else "}"
    ends = [part.partition("..") for part in text[1:-1].split(",")]
    open_inside = any(dots and not low for low, dots, _ in ends[1:]) or any(
        dots and not high for _, dots, high in ends[:-1]
    )
    if not text.endswith(closing) or open_inside:
        raise _no_date(text)
    spans = [
        Span(
            _one(low).earliest if low or not dots else date.min,
            _one(high if dots else low).latest if high or not dots else date.max,
        )
        for low, dots, high in ends
    ]
    found = Span(min(each.earliest for each in spans), max(each.latest for each in spans))
    if any(each.earliest > each.latest for each in spans) or found == _ALL_TIME:
        raise _no_date(text)
    return found


def _one(text: str) -> Span:
    """One date, time of day or season."""
    time = _TIME.fullmatch(text)
    found = _DATE.fullmatch(time[1] if time else text)
    if found is None:
        raise _no_date(text)
    month, day = found["month"], found["day"]
    if month is None and found["year"] == "XXXX":  # all time
        raise _no_date(text)
    try:
        years = _range(found["year"])
        if month is None:
            return Span(date(years[0], 1, 1), date(years[1], 12, 31))
        if month.isdigit() and (season := _SEASONS.get(int(month))):
            if day is not None:
                raise ValueError
            return Span(date(years[0], season[0], 1), _end_of(years[1], season[1]))
        months = _range(month, 1, 12)
        if day is None:
            return Span(date(years[0], months[0], 1), _end_of(years[1], months[1]))
        first = _range(day, 1, _end_of(years[0], months[0]).day)
        last = _range(day, 1, _end_of(years[1], months[1]).day)
        return Span(date(years[0], months[0], first[0]), date(years[1], months[1], last[1]))
    except ValueError:
        raise _no_date(text) from None


def _range(digits: str, low: int = 1, high: int = 9999) -> tuple[int, int]:
    """Return the least and the greatest number that digits may be with an `X` for each unknown one, within
    the bounds. Raises ValueError if a number without an `X` is outside them.
    """
    least, most = int(digits.replace("X", "0")), int(digits.replace("X", "9"))
    if "X" in digits:
        least, most = max(least, low), min(most, high)
    if not low <= least <= most <= high:
        raise ValueError
    return least, most


def _end_of(year: int, month: int) -> date:
    return date(year, month, monthrange(year, month)[1])


def _no_date(text: str) -> ValueError:
    shown = text if len(text) <= 100 else text[:100] + "…"
    if _NOT_KEPT.fullmatch(text[:100]):
        return ValueError(
            f"{shown!r} is EDTF of a kind that is not kept: levels 0 to 2 are, for years from 0001 to 9999, "
            "without exponents and significant digits"
        )
    return ValueError(f"{shown!r} is not a date: write 2023-03-21, 2023-03, 2023, 2023? or 2022/2023 (EDTF)")
