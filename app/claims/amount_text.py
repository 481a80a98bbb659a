"""Amounts as a person writes them in English: `45,000 people`, `12%`, `€340 million`."""

from collections.abc import Mapping
from decimal import Decimal

from app.base.types import plain

_SCALES = (("trillion", 12), ("billion", 9), ("million", 6))
"""The scale words, which are used where three decimal places before them are enough."""

_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}

_WORDS: Mapping[str, str] = {"eq": "", "approx": "about ", "ge": "at least ", "gt": "more than ",
                             "le": "at most ", "lt": "less than "}  # fmt: skip

_CLOSE = {"%": "%", "Cel": " °C", "[degF]": " °F"}
"""Units that are written as a sign."""

_ONE_AND_MANY = """
    m metre metres, km kilometre kilometres, cm centimetre centimetres, mm millimetre millimetres,
    [in_i] inch inches, [ft_i] foot feet, [yd_i] yard yards, [mi_i] mile miles,
    m2 square_metre square_metres, km2 square_kilometre square_kilometres, har hectare hectares,
    [sft_i] square_foot square_feet, [acr_us] acre acres, [mi_i]2 square_mile square_miles,
    [nmi_i] nautical_mile nautical_miles,
    m3 cubic_metre cubic_metres, km3 cubic_kilometre cubic_kilometres, L litre litres,
    [cft_i] cubic_foot cubic_feet, [gal_us] US_gallon US_gallons, [gal_br] imperial_gallon imperial_gallons,
    [bbl_us] barrel barrels,
    kg kilogram kilograms, g gram grams, mg milligram milligrams, t tonne tonnes, [oz_av] ounce ounces,
    [oz_tr] troy_ounce troy_ounces, [lb_av] pound pounds, [ston_av] short_ton short_tons,
    [lton_av] long_ton long_tons,
    s second seconds, min minute minutes, h hour hours, d day days, wk week weeks, mo month months,
    a year years,
    m/s metre_a_second metres_a_second, km/h km/h km/h, [mi_i]/h mph mph, [kn_i] knot knots,
    K kelvin kelvins,
    J joule joules, kJ kJ kJ, MJ MJ MJ, GJ GJ GJ, TJ TJ TJ, PJ PJ PJ, W.h Wh Wh, kW.h kWh kWh, MW.h MWh MWh,
    GW.h GWh GWh, TW.h TWh TWh, [Btu_IT] Btu Btu,
    W watt watts, kW kW kW, MW MW MW, GW GW GW, TW TW TW, [HP] horsepower horsepower,
    Pa Pa Pa, hPa hPa hPa, kPa kPa kPa, MPa MPa MPa, bar bar bar, mbar mbar mbar, atm atm atm, [psi] psi psi,
    V volt volts, kV kV kV, A ampere amperes, Hz Hz Hz, kHz kHz kHz, MHz MHz MHz, GHz GHz GHz,
    m3/s cubic_metre_a_second cubic_metres_a_second, m3/d cubic_metre_a_day cubic_metres_a_day,
    m3/a cubic_metre_a_year cubic_metres_a_year, km3/a cubic_kilometre_a_year cubic_kilometres_a_year,
    L/s litre_a_second litres_a_second, [cft_i]/d cubic_foot_a_day cubic_feet_a_day,
    [bbl_us]/d barrel_a_day barrels_a_day,
    kg/s kilogram_a_second kilograms_a_second, kg/d kilogram_a_day kilograms_a_day,
    t/d tonne_a_day tonnes_a_day, t/a tonne_a_year tonnes_a_year,
    Bq Bq Bq, Sv Sv Sv, mSv mSv mSv, uSv µSv µSv,
    By byte bytes, kBy kB kB, MBy MB MB, GBy GB GB, TBy TB TB, PBy PB PB,
    [ppth] per_thousand per_thousand, [ppm] part_per_million parts_per_million,
    [ppb] part_per_billion parts_per_billion,
    {percentage_point} percentage_point percentage_points,
    {person} person people, {household} household households, {point} point points, {seat} seat seats,
    {vote} vote votes, {case} case cases, {event} event events, {item} item items, {vehicle} vehicle vehicles,
    {aircraft} aircraft aircraft, {ship} ship ships
    """

NAMES: Mapping[str, tuple[str, str]] = {
    code: (one.replace("_", " "), many.replace("_", " "))
    for code, one, many in (each.split() for each in _ONE_AND_MANY.split(","))
}
"""What one of a unit is called, and many."""


def amount_text(
    comparator: str, unit: str, value: Decimal | None, lower: Decimal | None, upper: Decimal | None
) -> str:
    """Return a figure as a person writes it."""
    if comparator == "range" and lower is not None and upper is not None:
        shared = unit in NAMES or unit == "1"
        return f"{_number(lower) if shared else _amount(lower, unit)} to {_amount(upper, unit)}"
    return f"{_WORDS[comparator]}{_amount(value or Decimal(0), unit)}"


def _amount(number: Decimal, unit: str) -> str:
    if unit == "1":
        return _number(number)
    if unit in _CLOSE:
        return f"{_number(number)}{_CLOSE[unit]}"
    if unit in NAMES:
        return f"{_number(number)} {NAMES[unit][number.copy_abs() != 1]}"
    sign, size = "-" if number < 0 else "", _number(number.copy_abs())
    return f"{sign}{_SYMBOLS[unit]}{size}" if unit in _SYMBOLS else f"{sign}{unit} {size}"


def _number(number: Decimal) -> str:
    whole, sign = abs(int(number)), "-" if number < 0 else ""
    for word, places in _SCALES:
        if whole >= 10**places and whole == number.copy_abs() and whole % 10 ** (places - 3) == 0:
            units, thousandths = divmod(whole // 10 ** (places - 3), 1000)
            fraction = f".{thousandths:03}".rstrip("0").rstrip(".")
            return f"{sign}{units:,}{fraction} {word}"
    _, point, fraction = plain(number).partition(".")
    return f"{sign}{whole:,}{point}{fraction}"
