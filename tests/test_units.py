"""Units: their factors against an independent library and the standards, exact conversion, order."""

import time
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base import units
from app.base.types import DECIMALS, exact
from app.base.units import UNITS, alike, amount, converted, decimal, order_key, si


@pytest.fixture(scope="module")
def registry() -> Any:
    """The independent library's units. It takes longer to import than most tests take."""
    import pint

    return pint.UnitRegistry(non_int_type=Fraction)


NAMES = {
    "[in_i]": "inch", "[ft_i]": "foot", "[yd_i]": "yard", "[mi_i]": "mile", "[nmi_i]": "nautical_mile",
    "m2": "m**2", "km2": "km**2", "har": "hectare", "[sft_i]": "foot**2", "[acr_us]": "acre",
    "[mi_i]2": "mile**2", "m3": "m**3", "km3": "km**3", "[cft_i]": "foot**3", "[gal_us]": "gallon",
    "[gal_br]": "imperial_gallon", "[bbl_us]": "oil_barrel", "[oz_av]": "ounce", "[oz_tr]": "troy_ounce",
    "[lb_av]": "pound", "[ston_av]": "short_ton", "[lton_av]": "long_ton", "d": "day", "wk": "week",
    "mo": "month", "a": "year", "[mi_i]/h": "mile/hour", "[kn_i]": "knot", "[Btu_IT]": "Btu_it",
    "[HP]": "horsepower", "atm": "standard_atmosphere", "[psi]": "psi", "t": "metric_ton",
    "m3/s": "m**3/s", "m3/d": "m**3/day", "m3/a": "m**3/year", "km3/a": "km**3/year",
    "[cft_i]/d": "foot**3/day",
    "[bbl_us]/d": "oil_barrel/day", "kg/d": "kg/day", "t/d": "metric_ton/day", "t/a": "metric_ton/year",
    "1": "dimensionless", "%": "percent", "[ppth]": "permille", "[ppm]": "ppm", "[ppb]": "nm/m",
    "Cel": "degC", "[degF]": "degF", "K": "kelvin", "uSv": "microsievert", "mbar": "millibar",
    "By": "byte", "kBy": "kilobyte", "MBy": "megabyte", "GBy": "gigabyte", "TBy": "terabyte",
    "PBy": "petabyte",
    "W.h": "watt_hour", "kW.h": "kilowatt_hour", "MW.h": "megawatt_hour", "GW.h": "gigawatt_hour",
    "TW.h": "terawatt_hour",
}  # fmt: skip
"""What the library calls the units whose UCUM code it does not read."""

SI = {
    "length": "m", "area": "m**2", "volume": "m**3", "mass": "kg", "time": "s", "speed": "m/s",
    "temperature": "kelvin", "energy": "J", "power": "W", "pressure": "Pa", "voltage": "V", "current": "A",
    "frequency": "Hz", "volume_flow": "m**3/s", "mass_flow": "kg/s", "radioactivity": "Bq", "dose": "Sv",
    "data": "byte", "ratio": "dimensionless",
}  # fmt: skip

PHYSICAL = [unit.code for unit in UNITS.values() if unit.dimension in SI]
LONE = [unit.code for unit in UNITS.values() if unit.dimension not in SI]

# --- factors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", PHYSICAL)
def test_a_factor_is_the_independent_library_s(registry: Any, code: str) -> None:
    for number in (Fraction(0), Fraction(1), Fraction(-7, 3)):
        theirs = registry.Quantity(number, NAMES.get(code, code)).to(SI[UNITS[code].dimension]).magnitude
        assert number * UNITS[code].factor + UNITS[code].zero == theirs


@pytest.mark.parametrize(
    ("code", "factor"),
    [
        ("[bbl_us]", "0.158987294928"),  # NIST Handbook 44: 42 gallons of 231 cubic inches
        ("[cft_i]", "0.028316846592"),
        ("[lb_av]", "0.45359237"),
        ("[oz_tr]", "0.0311034768"),
        ("[nmi_i]", "1852"),  # SI Brochure, table 8 and its notes
        ("har", "10000"),
        ("kW.h", "3600000"),
        ("[Btu_IT]", "1055.05585262"),  # UCUM, table 36
        ("a", "31557600"),  # UCUM: the mean Julian year
        ("atm", "101325"),
    ],
)
def test_a_factor_is_the_standard_s(code: str, factor: str) -> None:
    assert UNITS[code].factor == Fraction(factor)


def test_every_unit_has_a_dimension_and_every_dimension_a_unit() -> None:
    assert {unit.dimension for unit in UNITS.values()} == set(get_args(units.Dimension))
    assert len(PHYSICAL) >= 60
    assert all(unit.factor > 0 for unit in UNITS.values())
    assert all(UNITS[code].factor == 1 for code in LONE)


def test_what_is_counted_paid_or_in_points_stands_alone() -> None:
    for code in LONE:
        assert alike(code) == (code,)
    assert alike("%") == ("%", "1", "[ppb]", "[ppm]", "[ppth]")
    for here, there in (("%", "{percentage_point}"), ("USD", "EUR"), ("{person}", "{case}"), ("m3", "J")):
        with pytest.raises(ValueError, match="cannot be converted"):
            converted(Decimal(1), here, there)


def test_every_word_stands_for_a_unit_and_none_hides_another() -> None:
    for word, (factor, code) in units.WORDS.items():
        assert code in UNITS
        assert factor > 0
        assert word not in UNITS
        assert word.split()[0] not in units.SCALES
    assert not UNITS.keys() & units.SCALES.keys()


# --- conversion --------------------------------------------------------------------------------

NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**20), max_value=10**20)
PAIRS = st.sampled_from(PHYSICAL).flatmap(lambda code: st.tuples(st.just(code), st.sampled_from(alike(code))))


@settings(deadline=None)
@given(NUMBERS, PAIRS)
def test_there_and_back_is_where_it_began(number: Decimal, pair: tuple[str, str]) -> None:
    here, there = pair
    away = converted(number, here, there)
    back = (away * UNITS[there].factor + UNITS[there].zero - UNITS[here].zero) / UNITS[here].factor
    assert back == Fraction(number)
    digits, whole = decimal(away)
    assert (Fraction(digits) == away) == whole
    if not whole:
        assert abs(Fraction(digits) - away) * 2 <= Fraction(10) ** (digits.adjusted() - units.SIGNIFICANT + 1)
        assert len(digits.as_tuple().digits) <= units.SIGNIFICANT


@pytest.mark.parametrize(
    ("number", "here", "there", "shown", "whole"),
    [
        ("98000000000", "m3", "km3", "98", True),
        ("0.1", "%", "[ppth]", "1", True),
        ("0.3", "km", "mm", "300000", True),
        ("1", "m3", "[cft_i]", "35.314666721488590250438010354002626932", False),
        ("100", "[degF]", "Cel", "37.777777777777777777777777777777777778", False),
        ("-40", "[degF]", "Cel", "-40", True),
        ("1", "[cft_i]", "m3", "0.028316846592", True),
        ("1", "TW.h", "PJ", "3.6", True),
        ("1", "[bbl_us]/d", "m3/a", "58.070109472452", True),
    ],
)
def test_is_exact_or_says_that_it_is_not(number: str, here: str, there: str, shown: str, whole: bool) -> None:
    assert decimal(converted(Decimal(number), here, there)) == (Decimal(shown), whole)


# --- order -------------------------------------------------------------------------------------


def test_the_places_of_the_keys_are_enough_for_every_dimension() -> None:
    for code in UNITS:
        together = [UNITS[each] for each in alike(code)]
        grain = lcm(*(number.denominator for unit in together for number in (unit.factor, unit.zero)))
        assert grain * 10**DECIMALS < 10**units.PLACES, code
        assert max(unit.factor for unit in together) * 10**38 < 10 ** (999 - units.PLACES)


@settings(deadline=None, max_examples=500)
@given(PAIRS, st.tuples(NUMBERS, NUMBERS), st.integers(-3, 3))
def test_keys_stand_as_the_numbers_do(pair: tuple[str, str], numbers: Any, near: int) -> None:
    one = si(numbers[0], pair[0])
    twin = Decimal(numbers[0]) + near * Decimal(10) ** -DECIMALS
    for other in (si(numbers[1], pair[1]), si(exact(twin), pair[0]), -one):
        assert (order_key(one) < order_key(other)) == (one < other)
        assert (order_key(one) == order_key(other)) == (one == other)
        if one < other:
            assert order_key(one, 1) < order_key(other, -1)
    assert units.LEAST < order_key(one, -1) < order_key(one) < order_key(one, 1) < units.MOST


def test_the_same_amount_in_two_units_has_one_key() -> None:
    for (number, code), (other, into) in (
        (("1", "[mi_i]"), ("1609.344", "m")),
        (("32", "[degF]"), ("0", "Cel")),
        (("18", "km/h"), ("5", "m/s")),
        (("365.25", "m3/d"), ("133407.5625", "m3/a")),
    ):
        assert order_key(si(Decimal(number), code)) == order_key(si(Decimal(other), into))


# --- amounts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number", "factor", "code"),
    [
        ("90 bcm", "90", "1e9", "m3"),
        ("90bcm", "90", "1e9", "m3"),
        ("  90   billion  m3 ", "90", "1e9", "m3"),
        ("90 bn", "90", "1e9", None),
        ("1.5 trillion USD", "1.5", "1e12", "USD"),
        ("1.5e3USD", "1500", "1", "USD"),
        ("5EUR", "5", "1", "EUR"),
        ("20 %", "20", "1", "%"),
        ("20%", "20", "1", "%"),
        ("-3 percentage points", "-3", "1", "{percentage_point}"),
        ("2 k{person}", None, None, None),
        ("90", "90", "1", None),
        ("billion USD", None, "1e9", "USD"),
        ("[cft_i]", None, "1", "[cft_i]"),
        ("2 lakh crore INR", None, None, None),
        ("1,000 m3", None, None, None),
        ("1 000 m3", None, None, None),
        ("1.5.2 m3", None, None, None),
        ("90 bcmm", None, None, None),
        ("1" * 101, None, None, None),
    ],
)
def test_an_amount_is_read_as_it_is_written(text: str, number: Any, factor: Any, code: Any) -> None:
    if factor is None:
        with pytest.raises(ValueError, match=r"is not a unit|is not plain|longer than"):
            amount(text)
    else:
        assert amount(text) == (number and Decimal(number), Decimal(factor), code)


def test_no_amount_takes_long_to_refuse() -> None:
    """A pattern that tried its digits in every grouping took 20 seconds for 28 of them."""
    started = time.perf_counter()
    for text in ("9" * 99 + "!", "1," * 50, "1." * 50, "1e" * 50, "+-" * 50, "9" * 28 + " billio"):
        with pytest.raises(ValueError, match=r"unit|plain"):
            amount(text)
    assert time.perf_counter() - started < 2
