"""The values that records are made of: dates, numbers, units, texts, addresses, bodies, ids."""

import re
import sys
import unicodedata
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from time import process_time
from typing import Any

import pytest
from edtf import EDTFParseException, parse_edtf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from url_normalize import url_normalize

from app.base import texts, types, units
from app.base.body import merge_patch, strict_json
from app.base.errors import Malformed
from app.base.ids import new_id, noun_of
from app.base.page import Cursors, Question
from app.base.times import instant, span
from app.base.types import canonical_url, exact, plain

Json = dict[str, Any]
some_dates = st.dates(max_value=date(9998, 1, 1)).flatmap(
    lambda day: st.sampled_from((day.isoformat(), day.isoformat()[:7], day.isoformat()[:4]))
)

# --- dates -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "earliest", "latest"),
    [
        ("2023-03-21", (2023, 3, 21), (2023, 3, 21)),
        ("2023-02", (2023, 2, 1), (2023, 2, 28)),
        ("2024-02", (2024, 2, 1), (2024, 2, 29)),
        ("2022", (2022, 1, 1), (2022, 12, 31)),
        ("2022?", (2022, 1, 1), (2022, 12, 31)),
        ("2022~", (2022, 1, 1), (2022, 12, 31)),
        ("2023-03-20/2023-03-22", (2023, 3, 20), (2023, 3, 22)),
        ("../2023-03-19", (1, 1, 1), (2023, 3, 19)),
        ("2018/..", (2018, 1, 1), (9999, 12, 31)),
        ("2022/2023", (2022, 1, 1), (2023, 12, 31)),
        ("202X", (2020, 1, 1), (2029, 12, 31)),
        ("XXXX-12-25", (1, 12, 25), (9999, 12, 25)),
        ("2023-0X", (2023, 1, 1), (2023, 9, 30)),
        ("2023-02-2X", (2023, 2, 20), (2023, 2, 28)),
        ("2023-21~", (2023, 3, 1), (2023, 5, 31)),
        ("[..2021]", (1, 1, 1), (2021, 12, 31)),
        ("{2021,2023-05..}", (2021, 1, 1), (9999, 12, 31)),
    ],
)
def test_an_edtf_date_covers_its_days(text: str, earliest: Any, latest: Any) -> None:
    assert (span(text).earliest, span(text).latest) == (date(*earliest), date(*latest))


@pytest.mark.parametrize(
    "text",
    ["", " ", "2023-02-29", "2023-13", "2023-00", "2023-04-31", "23-04-01", "yesterday", "2023-3-1", "../..",
     "2023/2022", "2023-03-21T10:00", "2023-03-21/", "x" * 500, "2023--01", "0000-00-00", "XXXX", "[..]",
     "[]", "[2021", "[2021}", "{2021,..2022}", "[2022..2021]", "2023-21-01", "?2023?", "2023-02-3X",
     "２０２３", "2023\n"],
)  # fmt: skip
def test_a_date_that_does_not_exist_is_refused(text: str) -> None:
    if text == "2023-03-21/":  # an interval whose end is unknown
        assert span(text).latest == date.max
    else:
        with pytest.raises(ValueError, match=r"date|period"):
            span(text)


NOT_KEPT = [
    "Y1E5000000",
    "Y1E3",
    "Y-17E7",
    "Y17E7S3",
    "Y12345",
    "-0044",
    "-0044-03-15",
    "1950S2",
    "2023-21^x",
]


@pytest.mark.parametrize("text", [*NOT_KEPT, "2023/Y1E5000000", "[2023,Y1E5000000]"])
def test_edtf_of_a_kind_that_is_not_kept_is_named_so(text: str) -> None:
    with pytest.raises(ValueError, match="EDTF of a kind that is not kept: levels 0 to 2"):
        span(text)


@pytest.mark.parametrize("text", ["9" * 50_000, "[" + "2022," * 20_000, "Y1E" + "9" * 50_000, "?" * 50_000])
def test_a_date_takes_time_in_proportion_to_its_length(text: str) -> None:
    began = process_time()
    with suppress(ValueError):
        span(text)
    assert process_time() - began < 1


_qualifiers = st.sampled_from(["", "", "?", "~", "%"])
_part = st.sampled_from(
    [f"{n:02}" for n in range(14)] + ["XX", "21", "24", "28", "31", "32", "33", "39", "40", "41"]
)
_kept_dates = st.tuples(
    st.one_of(st.integers(1, 9999).map("{:04}".format), st.sampled_from(["202X", "20XX", "2XXX", "156X"])),
    st.one_of(st.just(""), _part.map("-{}".format)),
    st.one_of(st.just(""), _part.map("-{}".format)),
    _qualifiers,
).map("".join)  # fmt: skip


@settings(deadline=None, max_examples=50)
@given(_kept_dates)
def test_dates_are_read_as_the_reference_library_reads_them(text: str) -> None:
    """`edtf` reads more, and takes milliseconds to hours; where it finds days they are the same."""
    try:
        read = parse_edtf(text)
        expected = [
            date(each.tm_year, each.tm_mon, each.tm_mday)
            for each in (read.lower_strict(), read.upper_strict())
        ]
    except (EDTFParseException, ValueError, TypeError, AttributeError):
        return
    found = span(text)
    assert [found.earliest, found.latest] == expected


@settings(deadline=None, max_examples=300)
@given(st.text(st.sampled_from("0123456789-/.?~XYESTZ,[]{}: "), max_size=25))
def test_whatever_is_written_is_a_span_or_a_value_error(text: str) -> None:
    try:
        found = span(text)
    except ValueError:
        return
    assert found.earliest <= found.latest


def test_an_instant_is_written_with_four_digits_of_its_year() -> None:
    assert instant(datetime(242, 3, 21, 17, 42, tzinfo=UTC)) == "0242-03-21T17:42:00.000000Z"


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_instants_as_text_are_in_order_of_time(one: datetime, other: datetime) -> None:
    assert (instant(one) < instant(other)) == (one < other)
    assert datetime.fromisoformat(instant(one)) == one


# --- combining marks ---------------------------------------------------------------------------

_MARKED = ["\u0301", "\u0316\u0301", "\u0f73", "\uff9e", "\U0001e94a", "\u05b0\u05bc"]


@pytest.mark.parametrize("mark", _MARKED)
def test_more_than_thirty_combining_marks_in_a_row_are_refused_wherever_they_are(mark: str) -> None:
    marks = mark * 100_000
    for text in ("a" + marks, marks, "ж" * 7 + marks[:31] + "a", "a" + marks[:30] + "b" + marks[:31]):
        began = process_time()
        with pytest.raises(ValueError, match="more than 30 combining marks in a row"):
            texts.clean(text)
        texts.normalised("NFKD", text)
        assert process_time() - began < 5  # of 100,000 to put them in order takes many seconds


@pytest.mark.parametrize("mark", _MARKED)
def test_up_to_thirty_are_kept(mark: str) -> None:
    text = ("a" + (mark * 30)[:30]) * 50
    assert texts.clean(text) == unicodedata.normalize("NFC", text)
    assert texts.normalised("NFKD", text) == unicodedata.normalize("NFKD", text)


def test_every_character_that_normalising_puts_in_order_is_known() -> None:
    every = (chr(n) for n in range(sys.maxunicode + 1) if not 0xD800 <= n < 0xE000)
    assert {c for c in every if unicodedata.combining(unicodedata.normalize("NFKD", c)[0])} == texts._marks()


@given(st.text(st.sampled_from("aж\u0301\u0f73 "), max_size=100))
def test_a_run_is_found_exactly_where_there_is_one(text: str) -> None:
    longest = max((len(run) for run in re.findall("[\u0301\u0f73]+", text)), default=0)
    with pytest.raises(ValueError, match="combining") if longest > 30 else nullcontext():
        texts.check_marks(text)
    assert texts.normalised("NFC", text) == unicodedata.normalize(
        "NFC", re.sub("([\u0301\u0f73]{30})[\u0301\u0f73]*", r"\1", text)
    )


# --- numbers and units -------------------------------------------------------------------------


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20))
def test_a_number_is_kept_to_the_last_digit(number: Decimal) -> None:
    assert exact(number) == number
    assert Decimal(plain(exact(number))) == number
    assert "e" not in plain(number).lower()


@pytest.mark.parametrize(
    ("number", "shown"),
    [("98e9", "98000000000"), ("4.500", "4.5"), ("-0", "0"), ("0.000", "0"), ("-0.10", "-0.1")],
)
def test_a_number_is_written_plainly(number: str, shown: str) -> None:
    assert plain(exact(Decimal(number))) == shown


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1" * 39, "1e38", "0." + "1" * 19, "1e-19", "1e9999"])
def test_a_number_beyond_exactness_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match=r"digits|finite"):
        exact(Decimal(number))


@pytest.mark.parametrize(
    ("unit", "scale", "factor", "code"),
    [
        ("bcm", None, "1e9", "m3"), ("m3", "billion", "1e9", "m3"), ("USD", "trillion", "1e12", "USD"),
        ("percent", None, "1", "%"), ("mt", None, "1e6", "t"), ("people", "thousand", "1e3", "{person}"),
    ],
)  # fmt: skip
def test_scale_words_are_resolved(unit: str, scale: str | None, factor: str, code: str) -> None:
    assert units.resolve(unit, scale) == (Decimal(factor), code)


@pytest.mark.parametrize(
    ("unit", "scale", "near"), [("bcmm", None, "bcm"), ("usd", None, "USD"), ("m3", "bilion", "billion")]
)
def test_an_unknown_unit_meets_the_nearest(unit: str, scale: str | None, near: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean '{near}'"):
        units.resolve(unit, scale)


# --- texts and addresses -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelling",
    ["https://example.org/a?b=1", "HTTPS://EXAMPLE.ORG:443/a?b=1", "http://example.org/./a?b=1#c",
     "https://example.org/x/../a?utm_source=z&b=1", "http://example.org:80/a?b=1&fbclid=q"],
)  # fmt: skip
def test_an_address_has_one_spelling(spelling: str) -> None:
    assert canonical_url(spelling) == "https://example.org/a?b=1"


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.from_regex(r"[a-z0-9]{1,5}(-[a-z0-9]{1,5})?", fullmatch=True), min_size=1, max_size=4),
    st.text("abz019-._~/", max_size=30),
)
def test_an_address_that_looks_plain_is_what_the_library_makes_of_it(labels: list[str], path: str) -> None:
    url = f"http://{'.'.join(labels)}.org/{path}"
    if found := types._PLAIN_URL.fullmatch(url):
        quick = f"https://{found[1]}{found[2] or '/'}"
        assert quick == str(url_normalize(url)).replace("http:", "https:", 1) == canonical_url(url)


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=60) | st.text(max_size=60).map("https://example.org/".__add__))
def test_an_address_is_canonical_once_and_for_all(text: str) -> None:
    try:
        once = canonical_url(text)
    except ValueError:
        return
    assert canonical_url(once) == once
    assert len(once) <= 2000


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (types.Language, ["en", "zh-Hant", "pt-BR"], ["english language", "e", "en_US", "", "x" * 40]),
        (types.Slug, ["a", "power-of-siberia-2"], ["A", "a--b", "-a", "a-", "a b", "é", "", "x" * 101]),
        (types.Url, ["https://example.org/ü"], ["ftp://x", "javascript:alert(1)", "//x", "https://", "x"]),
        (types.Line, ["a b"], ["a\nb", "\x00", "", "   ", "x" * 501]),
        (types.Moment, ["2023-03-22T09:30:00Z", "2023-03-22T09:30:00.5+03:00"], ["2023-03-22", "now", 1]),
        (types.Day, ["2024-02-29"], ["2023-02-29", "2023-W12-3", "20230321", 20230321]),
        (types.Flag, [True, False], [1, 0, "true", None]),
        (types.Count, [0, 2**53 - 1], [-1, 2**53, "5", True, 1.5]),
    ],
)  # fmt: skip
def test_a_value_is_what_it_says(kind: Any, good: list[Any], bad: list[Any]) -> None:
    adapter = TypeAdapter(kind)
    for value in good:
        adapter.validate_python(value)
    for value in bad:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


# --- bodies ------------------------------------------------------------------------------------

RFC_7396 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}), ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}), ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}), ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}), ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]  # fmt: skip


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396)
def test_a_merge_patch_is_applied_as_the_rfc_has_it(target: Any, patch: Any, result: Any) -> None:
    before = repr(target)
    assert merge_patch(target, patch) == result
    assert repr(target) == before


@pytest.mark.parametrize(
    "body", [b"NaN", b"-Infinity", b'{"a":1,"a":2}', b"\xff", b"[1,]", b"1e999", b"1" * 61, b"", b"[" * 9999]
)  # fmt: skip
def test_json_is_read_strictly(body: bytes) -> None:
    with pytest.raises(Malformed):
        strict_json(body)


@settings(deadline=None)
@given(st.binary(max_size=50) | st.text('[]{}:,"0123456789.eE-ntf', max_size=50).map(str.encode))
def test_whatever_is_sent_is_json_or_malformed(body: bytes) -> None:
    with suppress(Malformed):
        strict_json(body)


def test_numbers_in_json_are_exact() -> None:
    assert strict_json(b"190000000000.123456789012") == Decimal("190000000000.123456789012")


def test_a_number_without_a_fraction_is_an_integer_however_it_is_written() -> None:
    found = strict_json(b"[60.0, 1e3, -0.0, 1.5, 10E-1]")
    assert found == [60, 1000, 0, Decimal("1.5"), 1]
    assert [type(each) for each in found] == [int, int, int, Decimal, int]


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
OBJECTS = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner)
    ),
)


def without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: without_nulls(item) for key, item in value.items() if item is not None}


@settings(deadline=None)
@given(OBJECTS, OBJECTS)
def test_a_merge_patch_once_is_a_merge_patch_twice(target: Json, patch: Json) -> None:
    merged = merge_patch(target, patch)
    assert merge_patch(merged, patch) == merged
    assert merge_patch({}, patch) == without_nulls(patch)
    assert merge_patch(target, {}) == target
    for key in target.keys() - patch.keys():
        assert merged[key] == target[key]
    for key, item in patch.items():
        assert (key in merged) == (item is not None)


@settings(deadline=None)
@given(some_dates, some_dates)
def test_a_period_covers_both_its_ends(one: str, other: str) -> None:
    first, last = sorted((one, other), key=lambda text: (span(text).earliest, span(text).latest))
    with suppress(ValueError):  # a year ends after a day in it
        found = span(f"{first}/{last}")
        assert (found.earliest, found.latest) == (span(first).earliest, span(last).latest)
    assert span(f"{one}~") == span(one)
    assert span(f"{one}/..").earliest == span(one).earliest


# --- ids and cursors ---------------------------------------------------------------------------


def test_ids_tell_their_noun_and_their_order() -> None:
    ids = [new_id("clm") for _ in range(500)]
    assert ids == sorted(ids)
    assert {noun_of(each) for each in ids} == {"claim"}
    for other in (
        "clm_",
        "clm_01m87gne0veherp8apm1m6sqmu",
        "vladimir-putin",
        "xxx_01m87gne0veherp8apm1m6sqm3",
    ):
        assert noun_of(other) is None


def altered(cursor: str, place: int) -> str:
    other = "A" if cursor[place] != "A" else "B"
    return cursor[:place] + other + cursor[place + 1 :]


@given(
    st.lists(st.integers(-(2**53), 2**53) | st.text(max_size=9) | st.dates(), min_size=1),
    st.text(max_size=99),
)
def test_a_cursor_reads_as_what_it_was_made_of_and_nothing_else_is_one(keys: list[Any], other: str) -> None:
    here = Cursors(b"secret", "/v1/claims")
    cursor = here.make(Question(), tuple(keys))
    told = [each.isoformat() if isinstance(each, date) else each for each in keys]
    assert (
        here.read(Question(cursor=cursor) if len(cursor) <= 1000 else Question.model_construct(cursor=cursor))
        == told
    )
    with pytest.raises(Malformed):
        here.read(Question(cursor=other))


def test_a_cursor_goes_on_where_it_was_made_and_nowhere_else() -> None:
    here = Cursors(b"secret", "/v1/claims")
    cursor = here.make(Question(), (date(2023, 3, 21), "clm_x"))
    assert here.read(Question(cursor=cursor)) == ["2023-03-21", "clm_x"]
    assert here.read(Question(cursor=cursor, limit=7)) == ["2023-03-21", "clm_x"]
    refused: list[Callable[[], Any]] = [
        lambda: Cursors(b"other", "/v1/claims").read(Question(cursor=cursor)),
        lambda: Cursors(b"secret", "/v1/sources").read(Question(cursor=cursor)),
        lambda: here.read(Question(cursor=cursor, order="asc")),
        *(lambda n=n: here.read(Question(cursor=altered(cursor, n))) for n in range(len(cursor) - 1)),
        *(lambda c=c: here.read(Question(cursor=c)) for c in ("", "x", "é", cursor[:-3], cursor + "AAAA")),
    ]
    for each in refused:
        with pytest.raises(Malformed):
            each()
