"""What a figure states: the set of numbers that it allows, as an interval.

`at least 98` states all from 98 on, `10 to 20` all between, `15` just that; bounds count where they are
given, so `about 15 (10 to 20)` states 10 to 20. The ends are kept as keys (`units.order_key`) that stand in
one order for all units of a dimension.
"""

from decimal import Decimal

from app.base.units import LEAST, MOST, order_key, si


def ends(
    comparator: str, unit: str, value: Decimal | None, lower: Decimal | None, upper: Decimal | None
) -> tuple[str, str]:
    """The keys of the lowest and the highest number that a figure allows. A set is in reach of another if
    neither begins after the other ends.
    """

    def key(number: Decimal | None, without: str) -> str:
        return without if number is None else order_key(si(number, unit))

    if value is None:
        return key(lower, LEAST), key(upper, MOST)
    match comparator:
        case "ge":
            return key(value, LEAST), key(upper, MOST)
        case "gt":
            return order_key(si(value, unit), 1), key(upper, MOST)
        case "le":
            return key(lower, LEAST), key(value, MOST)
        case "lt":
            return key(lower, LEAST), order_key(si(value, unit), -1)
    low = value if lower is None else lower
    return key(low, LEAST), key(value if upper is None else upper, MOST)
