"""Figures as a person writes them."""

from decimal import Decimal

import pytest

from app.base.units import CURRENCIES, UNITS
from app.claims.amount_text import NAMES, amount_text
from tests.newsroom import Newsroom

WRITTEN = [
    ("45000", "{person}", "45,000 people"),
    ("1", "{person}", "1 person"),
    ("12", "%", "12%"),
    ("0.5", "%", "0.5%"),
    ("340000000", "EUR", "€340 million"),
    ("1500000", "USD", "$1.5 million"),
    ("-2500000000", "USD", "-$2.5 billion"),
    ("20000000", "CHF", "CHF 20 million"),
    ("98000000000", "m3", "98 billion cubic metres"),
    ("1234567", "{vote}", "1,234,567 votes"),
    ("1234000", "{vote}", "1.234 million votes"),
    ("1000000.5", "1", "1,000,000.5"),
    ("7200000000000000", "RUB", "RUB 7,200 trillion"),
    ("-0.25", "{percentage_point}", "-0.25 percentage points"),
    ("21.5", "Cel", "21.5 °C"),
    ("3", "d", "3 days"),
    ("0", "1", "0"),
    ("123456789012345678901234567890123456789.000000000000000001", "1",
     "123,456,789,012,345,678,901,234,567,890,123,456,789.000000000000000001"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "unit", "written"), WRITTEN)
def test_an_amount_is_written_as_a_person_writes_it(value: str, unit: str, written: str) -> None:
    assert amount_text("eq", unit, Decimal(value), None, None) == written


COMPARED = {
    "approx": "about $5 million", "ge": "at least $5 million", "gt": "more than $5 million",
    "le": "at most $5 million", "lt": "less than $5 million", "range": "$5 million to $10 million",
}  # fmt: skip


@pytest.mark.parametrize("comparator", COMPARED)
def test_how_a_number_is_meant_is_said_in_words(comparator: str) -> None:
    low, high = Decimal(5_000_000), Decimal(10_000_000)
    value = None if comparator == "range" else low
    assert amount_text(comparator, "USD", value, low, high) == COMPARED[comparator]
    assert amount_text("range", "%", None, Decimal(5), Decimal(10)) == "5% to 10%"
    assert amount_text("range", "t", None, Decimal(1), Decimal(10)) == "1 to 10 tonnes"


def test_each_unit_has_a_name() -> None:
    assert UNITS.keys() - CURRENCIES - {"1", "%", "Cel", "[degF]"} == NAMES.keys()


def test_what_was_sent_stays_and_what_was_not_is_written_when_shown(room: Newsroom) -> None:
    figures = [
        {"measure": "crowd", "value": "45", "unit": "people", "scale": "thousand"},
        {
            "measure": "trade",
            "value": "190",
            "unit": "USD",
            "scale": "billion",
            "display": "a record $190 billion",
        },
    ]
    claim = room.claim("Many came.", figures=figures)
    assert [each["display"] for each in claim["figures"]] == ["45,000 people", "a record $190 billion"]
    changes = room.get(f"/v1/claims/{claim['id']}/history")["data"]
    assert changes[0]["difference"]["figures"]["new"][0]["display"] is None
    [found] = room.get("/v1/figures", measure="crowd")["data"]
    assert found["display"] == "45,000 people"
