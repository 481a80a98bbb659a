"""Units of figures: UCUM and ISO 4217 codes, and the words that newsrooms put before and in place of them.

A figure is kept in its plain unit with the scale words resolved, so `98 bcm` is 98000000000 m3. Figures of
one dimension are compared and converted exactly, as fractions of its coherent SI unit; currencies are never
converted into one another.

Sources of the factors: The Unified Code for Units of Measure 2.2; BIPM, SI Brochure, 9th edition; NIST
Handbook 44, appendix C; ISO 4217:2015 with its list of 2024. Scale words are the short scale, and the lakh
and crore of South Asia.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from fractions import Fraction
from functools import cache
from typing import Literal, NamedTuple

from app.base.errors import closest

Dimension = Literal[
    "length", "area", "volume", "mass", "time", "speed", "temperature", "energy", "power", "pressure",
    "voltage", "current", "frequency", "volume_flow", "mass_flow", "radioactivity", "dose", "data",
    "ratio", "percentage_points", "count", "money",
]  # fmt: skip
"""What is measured. Within `money` each currency stands alone, and within `count` each thing counted."""


@dataclass(frozen=True)
class Unit:
    """A unit: a number of it, times `factor`, plus `zero`, is that number of the dimension's SI unit."""

    code: str
    dimension: Dimension
    factor: Fraction = Fraction(1)
    zero: Fraction = Fraction(0)

    @property
    def kind(self) -> str:
        """What it can be converted within."""
        return self.code if self.dimension in ("money", "count") else self.dimension


SCALES = {
    "hundred": Decimal(10) ** 2,
    "thousand": Decimal(10) ** 3,
    "k": Decimal(10) ** 3,
    "lakh": Decimal(10) ** 5,
    "million": Decimal(10) ** 6,
    "mn": Decimal(10) ** 6,
    "mln": Decimal(10) ** 6,
    "crore": Decimal(10) ** 7,
    "billion": Decimal(10) ** 9,
    "bn": Decimal(10) ** 9,
    "bln": Decimal(10) ** 9,
    "trillion": Decimal(10) ** 12,
    "tn": Decimal(10) ** 12,
    "trn": Decimal(10) ** 12,
}

_FACTORS: dict[Dimension, str] = {
    "length": "m=1 km=1e3 cm=1e-2 mm=1e-3 [in_i]=0.0254 [ft_i]=0.3048 [yd_i]=0.9144 [mi_i]=1609.344 "
    "[nmi_i]=1852",
    "area": "m2=1 km2=1e6 har=1e4 [sft_i]=0.09290304 [acr_us]=62726400000/15499969 [mi_i]2=2589988.110336",
    "volume": "m3=1 km3=1e9 L=1e-3 [cft_i]=0.028316846592 [gal_us]=0.003785411784 [gal_br]=0.00454609 "
    "[bbl_us]=0.158987294928",
    "mass": "kg=1 g=1e-3 mg=1e-6 t=1e3 [oz_av]=0.028349523125 [oz_tr]=0.0311034768 [lb_av]=0.45359237 "
    "[ston_av]=907.18474 [lton_av]=1016.0469088",
    "time": "s=1 min=60 h=3600 d=86400 wk=604800 mo=2629800 a=31557600",
    "speed": "m/s=1 km/h=1/3.6 [mi_i]/h=0.44704 [kn_i]=1852/3600",
    "temperature": "K=1 Cel=1+273.15 [degF]=5/9+2298.35/9",
    "energy": "J=1 kJ=1e3 MJ=1e6 GJ=1e9 TJ=1e12 PJ=1e15 W.h=3600 kW.h=3600e3 MW.h=3600e6 GW.h=3600e9 "
    "TW.h=3600e12 [Btu_IT]=1055.05585262",
    "power": "W=1 kW=1e3 MW=1e6 GW=1e9 TW=1e12 [HP]=745.69987158227022",
    "pressure": "Pa=1 hPa=1e2 kPa=1e3 MPa=1e6 bar=1e5 mbar=1e2 atm=101325 [psi]=4.4482216152605/0.00064516",
    "voltage": "V=1 kV=1e3",
    "current": "A=1",
    "frequency": "Hz=1 kHz=1e3 MHz=1e6 GHz=1e9",
    "volume_flow": "m3/s=1 m3/d=1/86400 m3/a=1/31557600 km3/a=1e9/31557600 L/s=1e-3 "
    "[cft_i]/d=0.028316846592/86400 [bbl_us]/d=0.158987294928/86400",
    "mass_flow": "kg/s=1 kg/d=1/86400 t/d=1e3/86400 t/a=1e3/31557600",
    "radioactivity": "Bq=1",
    "dose": "Sv=1 mSv=1e-3 uSv=1e-6",
    "data": "By=1 kBy=1e3 MBy=1e6 GBy=1e9 TBy=1e12 PBy=1e15",
    "ratio": "1=1 %=1e-2 [ppth]=1e-3 [ppm]=1e-6 [ppb]=1e-9",
    "percentage_points": "{percentage_point}=1",
    "count": "{person}=1 {household}=1 {point}=1 {seat}=1 {vote}=1 {case}=1 {event}=1 {item}=1 {vehicle}=1 "
    "{aircraft}=1 {ship}=1",
}
"""Each unit with its factor, and after a plus where its zero lies, in the dimension's SI unit."""


CURRENCIES = frozenset(
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD "
    "CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP "
    "GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD "
    "KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN "
    "NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP "
    "SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND "
    "VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG".split()
)

WORDS: dict[str, tuple[Decimal, str]] = {
    word: (Decimal(factor), code)
    for words, factor, code in (
        ("cubic metres|cubic meters|cubic metre|cubic meter|m³", "1", "m3"),
        ("mcm", "1e6", "m3"),
        ("bcm", "1e9", "m3"),
        ("tcm", "1e12", "m3"),
        ("cubic feet|cubic foot", "1", "[cft_i]"),
        ("bcf", "1e9", "[cft_i]"),
        ("tcf", "1e12", "[cft_i]"),
        ("bcm/a", "1e9", "m3/a"),
        ("litres|liters|litre|liter", "1", "L"),
        ("bbl|barrels|barrel", "1", "[bbl_us]"),
        ("bbl/d|b/d|bpd", "1", "[bbl_us]/d"),
        ("mb/d", "1e6", "[bbl_us]/d"),
        ("tonnes|tonne", "1", "t"),
        ("kt", "1e3", "t"),
        ("mt|Mt", "1e6", "t"),
        ("Gt", "1e9", "t"),
        ("mtpa", "1e6", "t/a"),
        ("kilograms|kilogram", "1", "kg"),
        ("troy ounces", "1", "[oz_tr]"),
        ("kilometres|kilometers|kilometre|kilometer", "1", "km"),
        ("metres|meters|metre|meter", "1", "m"),
        ("miles|mile", "1", "[mi_i]"),
        ("feet|foot", "1", "[ft_i]"),
        ("nautical miles", "1", "[nmi_i]"),
        ("knots", "1", "[kn_i]"),
        ("m²|square metres|square meters", "1", "m2"),
        ("km²|square kilometres|square kilometers", "1", "km2"),
        ("square miles", "1", "[mi_i]2"),
        ("ha|hectares|hectare", "1", "har"),
        ("acres|acre", "1", "[acr_us]"),
        ("kWh", "1", "kW.h"),
        ("MWh", "1", "MW.h"),
        ("GWh", "1", "GW.h"),
        ("TWh", "1", "TW.h"),
        ("mmbtu|MMBtu", "1e6", "[Btu_IT]"),
        ("°C", "1", "Cel"),
        ("°F", "1", "[degF]"),
        ("percent|per cent", "1", "%"),
        ("pp|percentage points|percentage point", "1", "{percentage_point}"),
        ("people|persons|person", "1", "{person}"),
        ("households", "1", "{household}"),
        ("points", "1", "{point}"),
        ("seats", "1", "{seat}"),
        ("votes", "1", "{vote}"),
        ("cases", "1", "{case}"),
        ("days|day", "1", "d"),
        ("weeks|week", "1", "wk"),
        ("months|month", "1", "mo"),
        ("years|year", "1", "a"),
        ("hours|hour", "1", "h"),
        ("minutes|minute", "1", "min"),
        ("seconds|second", "1", "s"),
        ("dollars", "1", "USD"),
        ("euros", "1", "EUR"),
        ("rubles|roubles", "1", "RUB"),
        ("yuan|renminbi", "1", "CNY"),
        ("yen", "1", "JPY"),
    )
    for word in words.split("|")
}
"""What a word stands for: so many of a unit."""


def _fraction(text: str) -> Fraction:
    above, _, below = text.partition("/")
    return Fraction(above) / Fraction(below or 1)


def _units() -> Iterable[Unit]:
    for dimension, listed in _FACTORS.items():
        for code, _, given in (word.rpartition("=") for word in listed.split()):
            factor, _, zero = given.partition("+")
            yield Unit(code, dimension, _fraction(factor), _fraction(zero or "0"))
    for code in CURRENCIES:
        yield Unit(code, "money")


UNITS = {unit.code: unit for unit in _units()}
"""Every unit by its code."""


def resolve(unit: str, scale: str | None = None) -> tuple[Decimal, str]:
    """What to multiply by, and the code of the unit that the product is in: `("bcm", None)` is
    `(10**9, "m3")`. Raises ValueError, naming the nearest known.
    """
    if scale is not None and scale not in SCALES:
        raise ValueError(f"{scale!r} is not a scale word here{_near(scale, SCALES)}")
    factor, code = WORDS.get(unit, (Decimal(1), unit))
    if code not in UNITS:
        raise ValueError(f"{unit!r} is not a unit here{_near(unit, UNITS.keys() | WORDS.keys())}")
    return factor * SCALES.get(scale or "", Decimal(1)), code


def scaled(number: Decimal, factor: Decimal) -> Decimal:
    """The exact product."""
    with localcontext(prec=120):
        return number * factor


def _near(word: str, known: Iterable[str]) -> str:
    close = closest(word, sorted(known))
    return f"; did you mean {close!r}?" if close else ""


# --- amounts as they are asked for -------------------------------------------------------------

LONGEST_AMOUNT = 100

# Each part begins where the one before cannot go on, so that no text is tried in two ways.
_AMOUNT = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?)?(.*)", re.DOTALL)


class Amount(NamedTuple):
    """`90 billion m3`: the number, if any, what to multiply it by, and the unit's code, if any."""

    number: Decimal | None
    factor: Decimal
    code: str | None


def amount(text: str) -> Amount:
    """Reads `90 bcm`, `90bcm`, `1.5 trillion USD`, `20 %`, `90` or `billion USD`. Raises ValueError."""
    if len(text) > LONGEST_AMOUNT:
        raise ValueError(f"is longer than {LONGEST_AMOUNT} characters")
    found = _AMOUNT.fullmatch(text.strip())
    given, rest = (found[1], found[2]) if found else (None, "")
    if given and re.match(r"[.,'’ ]?[0-9]", rest):
        raise ValueError("has a number that is not plain: write 90000000000, 1.5 or 1.5e9")
    words = rest.split()
    scale = words.pop(0) if words and words[0] in SCALES else None
    number = Decimal(given) if given else None
    if not words:
        return Amount(number, SCALES.get(scale or "", Decimal(1)), None)
    return Amount(number, *resolve(" ".join(words), scale))


# --- conversion --------------------------------------------------------------------------------


@cache
def alike(code: str) -> tuple[str, ...]:
    """The units that a unit can be converted into, itself among them."""
    return tuple(sorted(unit.code for unit in UNITS.values() if unit.kind == UNITS[code].kind))


def si(number: Decimal, code: str) -> Fraction:
    """A number of a unit, in the SI unit of its dimension."""
    unit = UNITS[code]
    return Fraction(number) * unit.factor + unit.zero


def converted(number: Decimal, code: str, into: str, factor: Decimal = Decimal(1)) -> Fraction:
    """A number of one unit in so many (`factor`) of another, such as in billions of m3. Raises ValueError for
    another dimension.
    """
    target = UNITS[into]
    if target.kind != UNITS[code].kind:
        raise ValueError(f"{code} cannot be converted into {into}")
    return (si(number, code) - target.zero) / target.factor / Fraction(factor)


SIGNIFICANT = 38


def decimal(number: Fraction) -> tuple[Decimal, bool]:
    """The number in decimal digits, and whether they are all of them: if they have no end, the first 38 that
    count are given, correctly rounded.
    """
    above, below = Decimal(number.numerator), Decimal(number.denominator)
    rest = number.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    digits = SIGNIFICANT if rest > 1 else len(str(number.numerator)) + number.denominator.bit_length()
    return Context(prec=digits, rounding=ROUND_HALF_EVEN).divide(above, below), rest == 1


# --- order -------------------------------------------------------------------------------------

PLACES = 48
"""Two different amounts of one dimension differ within so many places of its SI unit: they are kept to 18,
and a test sees to it that 48 are enough for the factors above.
"""

_COMPLEMENT = str.maketrans("0123456789", "9876543210")
LEAST, MOST = "0", "4"
"""Come before and after every key."""


def order_key(number: Fraction, beside: Literal[-1, 0, 1] = 0) -> str:
    """A text that stands among its like, byte by byte, as the number among numbers; or the place just below
    or just above the number, where an open interval ends.
    """
    whole = number.numerator * 10**PLACES // number.denominator
    size = len(str(abs(whole)))
    digits = str(abs(whole)).rstrip("0")
    if whole < 0:
        body = f"1{999 - size:03}{digits.translate(_COMPLEMENT)}~"
    else:
        body = f"3{size:03}{digits}-" if whole else "2-"
    return f"{body}{beside + 1}"
