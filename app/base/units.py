"""Units of figures: UCUM and ISO 4217 codes, and the words that newsrooms put before and in place of them.

A figure is kept in its plain unit with the scale words resolved, so `98 bcm` is 98000000000 m3.
Sources: The Unified Code for Units of Measure 2.2; ISO 4217:2015 with its list of 2024; scale words
are the short scale.
"""

import difflib
from collections.abc import Iterable
from decimal import Decimal, localcontext

SCALES = {
    "hundred": Decimal(10) ** 2,
    "thousand": Decimal(10) ** 3,
    "million": Decimal(10) ** 6,
    "billion": Decimal(10) ** 9,
    "trillion": Decimal(10) ** 12,
}

UCUM = frozenset(
    "1 % [ppth] [ppm] "
    "s min h d wk mo a "
    "m km cm mm [mi_i] [ft_i] [nmi_i] "
    "m2 km2 har [acr_us] "
    "m3 km3 L [bbl_us] [gal_us] [cft_i] "
    "g kg t [lb_av] [oz_av] "
    "m/s km/h [kn_i] Cel K [degF] "
    "J kJ MJ GJ TJ W.h kW.h MW.h GW.h TW.h [Btu_IT] "
    "W kW MW GW TW bar Pa V A Hz "
    "m3/d m3/a [bbl_us]/d t/a kg/d "
    "{person} {point} {seat} {vote} {case} {event} {item} {percentage_point}".split()
)

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
    "bcm": (Decimal(10) ** 9, "m3"),
    "mcm": (Decimal(10) ** 6, "m3"),
    "tcm": (Decimal(10) ** 12, "m3"),
    "bbl": (Decimal(1), "[bbl_us]"),
    "bbl/d": (Decimal(1), "[bbl_us]/d"),
    "mt": (Decimal(10) ** 6, "t"),
    "kt": (Decimal(10) ** 3, "t"),
    "kWh": (Decimal(1), "kW.h"),
    "MWh": (Decimal(1), "MW.h"),
    "GWh": (Decimal(1), "GW.h"),
    "TWh": (Decimal(1), "TW.h"),
    "percent": (Decimal(1), "%"),
    "pp": (Decimal(1), "{percentage_point}"),
    "people": (Decimal(1), "{person}"),
    "points": (Decimal(1), "{point}"),
    "days": (Decimal(1), "d"),
    "years": (Decimal(1), "a"),
    "dollars": (Decimal(1), "USD"),
    "euros": (Decimal(1), "EUR"),
    "rubles": (Decimal(1), "RUB"),
    "yuan": (Decimal(1), "CNY"),
}


def resolve(unit: str, scale: str | None = None) -> tuple[Decimal, str]:
    """What to multiply by, and the code of the unit that the product is in: `("bcm", None)` is
    `(10**9, "m3")`. Raises ValueError, naming the nearest known.
    """
    if scale is not None and scale not in SCALES:
        raise ValueError(f"{scale!r} is not a scale word here{_near(scale, SCALES)}")
    factor, code = WORDS.get(unit, (Decimal(1), unit))
    if code not in UCUM and code not in CURRENCIES:
        known = UCUM | CURRENCIES | WORDS.keys()
        raise ValueError(f"{unit!r} is not a unit here{_near(unit, known)}")
    return factor * SCALES.get(scale or "", Decimal(1)), code


def scaled(number: Decimal, factor: Decimal) -> Decimal:
    """The exact product."""
    with localcontext(prec=120):
        return number * factor


def _near(word: str, known: Iterable[str]) -> str:
    folded = {name.casefold(): name for name in sorted(known)}
    close = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.4)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""
