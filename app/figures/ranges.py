"""What a question says of units: the range that it asks for, and the unit that it wants the answer in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.base.errors import Invalid
from app.base.types import exact, plain
from app.base.units import UNITS, Amount, Dimension, alike, amount, converted, decimal, order_key, scaled, si


@dataclass(frozen=True)
class Into:
    """A unit to convert into, as it was named: `bcm` is 10**9 `m3`."""

    name: str
    code: str
    factor: Decimal

    def shown(self, figure: Mapping[str, Any]) -> dict[str, Any]:
        """The numbers of a figure's document in this unit. Raises ValueError for another dimension."""
        numbers = {name: figure[name] for name in ("value", "lower", "upper")}
        here = {
            name: converted(Decimal(text), figure["unit"], self.code, self.factor)
            for name, text in numbers.items()
            if text is not None
        }
        digits = {name: decimal(number) for name, number in here.items()}
        return {
            "unit": self.name,
            **{name: plain(digits[name][0]) if name in digits else None for name in numbers},
            "value_number": float(here["value"]) if "value" in here else None,
            "exact": all(whole for _, whole in digits.values()),
        }


@dataclass(frozen=True)
class Wanted:
    """Which units are asked for (None for all), the keys of the range's ends, and the unit of the answer."""

    codes: Sequence[str] | None = None
    low: str | None = None
    high: str | None = None
    into: Into | None = None


def wanted(
    unit: str | None,
    dimension: Dimension | None = None,
    least: str | None = None,
    most: str | None = None,
) -> Wanted:
    """What `unit`, `dimension`, `min` and `max` ask for together. Raises Invalid, naming the parameter."""
    into = _into(unit) if unit is not None else None
    low, high = (_bound(name, text, into) for name, text in (("min", least), ("max", most)))
    named = {"unit": into and into.code, "min": low and low[1], "max": high and high[1]}
    codes = {name: code for name, code in named.items() if code}
    _agree(codes, dimension)
    if low and high and si(*low) > si(*high):
        raise Invalid.at("max", "is less than min")
    together: Sequence[str] | None = None
    if codes:
        together = alike(next(iter(codes.values())))
    elif dimension:
        together = sorted(code for code, each in UNITS.items() if each.dimension == dimension)
    return Wanted(together, low and order_key(si(*low)), high and order_key(si(*high)), into)


def _into(text: str) -> Into:
    asked = _read("unit", text)
    if asked.number is not None or asked.code is None:
        raise Invalid.at("unit", "is a unit alone, such as m3, bcm, [cft_i], billion USD or %")
    return Into(" ".join(text.split()), asked.code, asked.factor)


def _bound(name: str, text: str | None, into: Into | None) -> tuple[Decimal, str] | None:
    if text is None:
        return None
    asked = _read(name, text)
    if asked.number is None:
        raise Invalid.at(name, "begins with a number, as in 90 bcm or 1.5 trillion USD")
    if asked.code is None and into is None:
        raise Invalid.at(name, "needs a unit, as in 90 bcm, or unit= beside it")
    code, factor = asked.code, asked.factor
    if code is None and into is not None:
        code, factor = into.code, scaled(factor, into.factor)
    try:
        return exact(scaled(asked.number, factor)), str(code)
    except ValueError as fault:
        raise Invalid.at(name, str(fault)) from fault


def _read(name: str, text: str) -> Amount:
    try:
        return amount(text)
    except ValueError as fault:
        raise Invalid.at(name, str(fault)) from fault


def _agree(codes: Mapping[str, str], dimension: Dimension | None) -> None:
    for name, code in codes.items():
        if dimension and UNITS[code].dimension != dimension:
            raise Invalid.at(name, f"{code} is a unit of {UNITS[code].dimension}, not of {dimension}")
        first, other = next(iter(codes.items()))
        if UNITS[code].kind != UNITS[other].kind:
            raise Invalid.at(name, f"{code} does not compare with {other} of {first}")
