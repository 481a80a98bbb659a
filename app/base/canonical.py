"""JSON in its one canonical form (RFC 8785), which hashes are taken of."""

import re
from math import isfinite
from typing import Any

import orjson
import rfc8785

# Each begins where nothing else of its own can be, so that no text makes a search go over it again and again.
_MAY_BE_A_FLOAT = re.compile(rb"[:\[,]-?[0-9]+[.e]")
_BEYOND_THE_BMP = re.compile(rb"[\xf0-\xf4]")
_STRING = re.compile(rb'"((?:[^"\\]|\\.)*+)"(:?)')
_OPTIONS = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
)


class NoCanonicalForm(ValueError):
    """Raised for what JSON cannot say the same to every reader: NaN and the infinities, integers beyond 2^53,
    lone surrogates, keys that are no strings, what is nested too deeply, and whatever is no JSON at all.
    """


def canonical(value: Any) -> bytes:
    """Return the value in the JSON Canonicalization Scheme (RFC 8785). Raise NoCanonicalForm."""
    try:
        return _written(value)
    except (ValueError, TypeError, RecursionError) as fault:
        raise NoCanonicalForm("This has no canonical form in JSON.") from fault


def _written(value: Any) -> bytes:
    # orjson is many times as quick and differs in two points: how it writes floats, and how it sorts keys
    # that have characters beyond the Basic Multilingual Plane.
    try:
        written = orjson.dumps(value, option=_OPTIONS)
        if not written.isascii() and _has_a_key_beyond_the_bmp(written):
            return rfc8785.dumps(value)
        if b"null" in written and _has_no_number(value):  # which orjson writes as null
            raise NoCanonicalForm
        if isinstance(value, float) or _MAY_BE_A_FLOAT.search(written):
            return orjson.dumps(_with_plain_numbers(value), option=_OPTIONS)
    except (TypeError, _Unusual):
        return rfc8785.dumps(value)
    return written


def _has_a_key_beyond_the_bmp(written: bytes) -> bool:
    if not _BEYOND_THE_BMP.search(written):
        return False
    return any(found[2] and _BEYOND_THE_BMP.search(found[1]) for found in _STRING.finditer(written))


def _has_no_number(value: Any) -> bool:
    match value:
        case float():
            return not isfinite(value)
        case dict():
            return any(map(_has_no_number, value.values()))
        case list() | tuple():
            return any(map(_has_no_number, value))
    return False


class _Unusual(Exception):
    """A number that ECMAScript and orjson write differently."""


def _with_plain_numbers(value: Any) -> Any:
    match value:
        case None | str():
            return value
        case float():
            return _plain(value)
        case dict():
            return {key: _with_plain_numbers(item) for key, item in value.items()}
        case list() | tuple():
            return [_with_plain_numbers(item) for item in value]
        case _:
            return value


def _plain(number: float) -> float | int:
    size = abs(number)
    if number.is_integer() and size <= 2**53 - 1:
        return int(number)
    if 1e-4 <= size < 1e15:  # NaN and infinity are not; in this range all write the same digits
        return number
    raise _Unusual
