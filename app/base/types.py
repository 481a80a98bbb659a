"""Column types that both databases keep alike, and the checked types of input."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

import orjson
from langcodes import Language as Tag
from langcodes import tag_is_valid
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from sqlalchemy import CheckConstraint, Date, DateTime, Dialect, Numeric, String, Text, TypeDecorator
from sqlalchemy.types import TypeEngine
from url_normalize import url_normalize

from app.base.caches import remembered
from app.base.texts import clean
from app.base.times import Span, instant, span

MAX_INT = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8259, section 6)."""

DIGITS, DECIMALS = 38, 18
"""An exact number has at most this many digits in all, and this many after the point."""


# --- columns ---------------------------------------------------------------------------------


class Id(TypeDecorator[str]):
    """Text compared byte by byte, so that keyset pages have one order on both databases."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        collation = "C" if dialect.name == "postgresql" else None
        return dialect.type_descriptor(String(collation=collation))


class Instant(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps none of the zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Exact(TypeDecorator[Decimal]):
    """An exact decimal: NUMERIC on PostgreSQL, canonical text on SQLite, which has only doubles."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        exact = Numeric(DIGITS + DECIMALS, DECIMALS) if dialect.name == "postgresql" else Text()
        return dialect.type_descriptor(exact)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return plain(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 (SQLAlchemy's signature)
        return None if value is None else Decimal(plain(Decimal(value)))


class TextList(TypeDecorator[Sequence[str]]):
    """A short list of strings that is never searched by item, as JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else orjson.dumps(list(value)).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> list[str] | None:  # noqa: ARG002
        return None if value is None else list(orjson.loads(value))


class Json(TypeDecorator[Mapping[str, Any]]):
    """A small object that is never searched by its members, as JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Any] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else orjson.dumps(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Any] | None:  # noqa: ARG002
        return None if value is None else dict(orjson.loads(value))


def one_of(column: str, values: Sequence[str]) -> CheckConstraint:
    """The CHECK that keeps a column to its list of words; named after the column."""
    words = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({words})", name=column)


def plain(number: Decimal) -> str:
    """`98000000000`, `4.5`, `0`: no exponent, no trailing zeros, no minus zero."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


# --- input -----------------------------------------------------------------------------------


class Shape(BaseModel):
    """What a body may say: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def example(body: Mapping[str, Any]) -> ConfigDict:
    """A body for the reference; to be the `model_config` of a shape, which keeps what it inherits."""
    return ConfigDict(json_schema_extra={"examples": [dict(body)]})


_BLANK = re.compile(
    "[\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc\U0001d159\u2065\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
"""Characters that show nothing, though Unicode has them as letters or symbols, or will have them so."""
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Mn", "Me"})
"""Categories of characters that show nothing by themselves."""


def _is_blank(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN or _BLANK.match(character) is not None


def _seen(text: str) -> str:
    if not text.isascii() and all(map(_is_blank, text)):
        raise ValueError("has no character that can be seen")
    return text


def _one_line(text: str) -> str:
    if "\n" in text:
        raise ValueError("has a line break")
    return text


_TAGS = 1000
"""How many language tags the library keeps what it read of, in dicts that nothing else bounds."""


@remembered
def _language(tag: str) -> str:
    if len(Tag._PARSE_CACHE) > _TAGS:
        Tag._PARSE_CACHE.clear()
        Tag._INSTANCES.clear()
    if "_" in tag or not tag_is_valid(tag):
        raise ValueError("is not a BCP 47 language tag, such as en, ru or zh-Hant")
    return tag


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s<>\"{}|\\^`]+", text, re.IGNORECASE):
        raise ValueError("is not an http or https URL")
    canonical_url(text)
    return text


def _edtf(text: str) -> str:
    span(text)
    return text


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ValueError("is not a number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError("is not a decimal number, such as 98000000000 or 4.5") from None
    return exact(number)


def exact(number: Decimal) -> Decimal:
    """The number without needless zeros. ValueError if it is beyond what is kept exactly."""
    if not number.is_finite():
        raise ValueError("is not a finite number")
    _, digits, exponent = number.as_tuple()
    if len(digits) > 2 * DIGITS or abs(int(exponent)) > 2 * DIGITS:
        raise ValueError(f"has more than {DIGITS} digits")
    text = plain(number)
    whole, _, fraction = text.lstrip("-").partition(".")
    if len(whole) + len(fraction) > DIGITS or len(fraction) > DECIMALS:
        raise ValueError(f"has more than {DIGITS} digits, or more than {DECIMALS} after the point")
    return Decimal(text)


# The standard library reads more of ISO 8601, such as `2023-W12-3`, and any letter for the T.
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    _DAY.pattern + r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})", re.IGNORECASE
)


def _moment(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("is not an RFC 3339 time, such as 2023-03-22T09:30:00Z")
    try:
        if not _MOMENT.fullmatch(value):
            raise ValueError
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not an RFC 3339 time with its zone, such as 2023-03-22T09:30:00Z") from None


def _day(value: object) -> date:
    try:
        if not isinstance(value, str) or not _DAY.fullmatch(value):
            raise ValueError
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("is not a day of the calendar, such as 2023-12-31") from None


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def _query_flag(value: object) -> bool:
    match value:
        case True | "true":
            return True
        case False | "false":
            return False
    raise ValueError("is neither true nor false")


def _said(**of_the_string: Any) -> Any:
    """What the reference says of a string."""
    return Field(json_schema_extra=of_the_string)


# What `clean` refuses, and what is stripped (Unicode's White_Space), as a pattern of JSON Schema has them.
_NO = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f"
_SPACE = r"\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# Of what shows nothing, the ranges that are met with; `_is_blank` knows all.
_NOTHING = (
    r"\u00ad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc"
)
_WORD = f"[^{_NO}{_SPACE}{_NOTHING}]"

Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    AfterValidator(clean),
    AfterValidator(_one_line),
    AfterValidator(_seen),
    _said(pattern=rf"^[{_SPACE}]*[^{_NO}\n\r]*{_WORD}[^{_NO}\n\r]*[{_SPACE}]*$"),
]
Prose = Annotated[
    str,
    StringConstraints(min_length=1, max_length=20_000, pattern=r"\S"),
    AfterValidator(clean),
    AfterValidator(_seen),
    _said(pattern=f"^[^{_NO}]*{_WORD}[^{_NO}]*$"),
]
Document = Annotated[
    str, StringConstraints(min_length=1), AfterValidator(clean), _said(pattern=f"^[^{_NO}]*$")
]
Language = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=35),
    AfterValidator(clean),
    AfterValidator(_language),
    _said(format="language-tag", examples=["en"]),
]
Url = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2000),
    AfterValidator(clean),
    AfterValidator(_url),
    _said(format="uri", examples=["https://example.org/a"]),
]
Edtf = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(clean),
    AfterValidator(_edtf),
    _said(format="edtf", examples=["2023-03-21"]),
]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", min_length=1, max_length=100)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[
    Decimal,
    BeforeValidator(_number),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^-?\d{1,38}(\.\d{1,18})?$"},
                {"type": "number", "exclusiveMinimum": -1e38, "exclusiveMaximum": 1e38},
            ],
            "description": "An exact decimal; write it as a string to keep every digit.",
        }
    ),
]
Moment = Annotated[
    datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})
]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Flag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"type": "boolean"})]
QueryFlag = Annotated[bool, BeforeValidator(_query_flag), WithJsonSchema({"type": "boolean"})]
EACH_ONCE: dict[str, Any] = {"uniqueItems": True}
"""What the reference says of a list in which nothing may be twice (`json_schema_extra`)."""
Count = Annotated[int, Field(strict=True, ge=0, le=MAX_INT)]

_TRACKING = re.compile(
    r"^(utm_\w+|fbclid|gclid|dclid|gbraid|wbraid|msclkid|mc_cid|mc_eid|igshid|yclid|_hs\w+|ref_src)$"
)


_PLAIN_URL = re.compile(
    r"https?://(?=[^/]{1,60}(?:/|$))((?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,})"
    r"((?=.{0,1000}$)(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?)"
)
"""Addresses that have nothing to be normalised but their scheme: nearly all, and the library takes long."""


def canonical_url(url: str) -> str:
    """One form for all spellings of an address (RFC 3986, section 6): scheme and host in lower case,
    no default port, no dot segments, no fragment, no click-tracking parameters; https for http,
    since a page is the same page on both.
    """
    if plain := _PLAIN_URL.fullmatch(url):
        return f"https://{plain[1]}{plain[2] or '/'}"
    try:
        scheme, host, path, query = _url_parts(url_normalize(url) or "")
    except (ValueError, UnicodeError):
        raise ValueError("is not a URL that can be resolved") from None
    if scheme not in ("http", "https") or not host:
        raise ValueError("is not an http or https URL")
    host = host.removesuffix(":443")  # was http, which has another default port
    kept = "&".join(part for part in query.split("&") if part and not _TRACKING.match(part.partition("=")[0]))
    canonical = f"https://{host}{path}" + (f"?{kept}" if kept else "")
    if len(canonical) > 2000:  # beyond what PostgreSQL can index
        raise ValueError("is longer than 2000 characters in its percent-encoded form")
    return canonical


def _url_parts(url: str) -> tuple[str, str, str, str]:
    match = re.fullmatch(r"(\w+)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", url)
    if match is None:
        raise ValueError
    return match[1], match[2], match[3] or "/", match[4] or ""


# --- output ----------------------------------------------------------------------------------


def wire(value: object) -> Any:
    """A column's value as JSON has it: instants with `Z`, days, exact decimals as strings."""
    if value is None or isinstance(value, str):
        return value
    match value:
        case datetime():
            return instant(value)
        case date():
            return value.isoformat()
        case Decimal():
            return plain(value)
        case _:
            return value


def dated(text: str | None) -> Span | None:
    """The days that a kept EDTF date covers."""
    return span(text) if text else None


Sort = Literal["desc", "asc"]
DATE = Date
