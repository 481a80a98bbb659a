"""Figures in the words of Data Commons: the variable that a line of them is of, the date of their days."""

import re
from calendar import monthrange
from collections.abc import Iterable
from typing import NamedTuple, get_args
from urllib.parse import unquote

from sqlalchemy import ColumnElement, and_
from sqlmodel import col

from app.base.caches import remembered
from app.base.ids import noun_of
from app.base.times import span
from app.base.units import UNITS
from app.claims.model import Figure, FigureKind

_WITHIN = {unit.kind for unit in UNITS.values()}


class Variable(NamedTuple):
    """What a line of figures measures: their kind (`reported`), what their units convert within (`volume`,
    `USD`, `{person}`), the measure, and whom they measure together with the entity, if not that alone.
    """

    kind: str
    within: str
    measure: str
    others: tuple[str, ...] = ()

    @property
    def dcid(self) -> str:
        """`reported/USD/bilateral_trade`, followed by the ids of the others."""
        measure = re.sub("[%_/]", lambda found: f"%{ord(found[0]):02X}", self.measure).replace(" ", "_")
        return "/".join([self.kind, self.within, measure, *(["+".join(self.others)] if self.others else [])])

    @property
    def alone(self) -> "Variable":
        """The same measure, of one entity."""
        return self._replace(others=())

    @property
    def clause(self) -> ColumnElement[bool]:
        """That a figure is of this kind, measure and sort of unit."""
        return and_(
            col(Figure.measure) == self.measure,
            col(Figure.kind) == self.kind,
            col(Figure.unit).in_(sorted(code for code, unit in UNITS.items() if unit.kind == self.within)),
        )


def of(kind: str, unit: str, measure: str, others: Iterable[str] = ()) -> Variable:
    """The variable of a figure."""
    return Variable(kind, UNITS[unit].kind, measure, tuple(sorted(others)))


def read(dcid: str) -> Variable | None:
    """The variable that a dcid is of; None for what is none."""
    parts = dcid.split("/")
    if len(parts) not in (3, 4):
        return None
    kind, within, measure, *others = parts
    found = Variable(kind, within, unquote(measure.replace("_", " ")), tuple("+".join(others).split("+")))
    if not others:
        found = found.alone
    known = kind in get_args(FigureKind) and within in _WITHIN
    ids = all(noun_of(other) == "entity" for other in found.others)
    return found if known and ids and found.dcid == dcid else None


def datable() -> ColumnElement[bool]:
    """That a figure is of a period of which both ends are told."""
    period = col(Figure.period)
    open_ended = period.startswith("/") | period.endswith("/") | period.contains("..")
    return period.is_not(None) & ~open_ended


# --- dates -------------------------------------------------------------------------------------


class When(NamedTuple):
    """The day, month or year in which a period begins, its length (ISO 8601), and whether that is sure."""

    date: str
    period: str
    sure: bool


@remembered
def when(period: str) -> When:
    """A period that is not open: in years if these are whole, else in months if these are."""
    first, last = span(period).earliest, span(period).latest
    sure = not re.search(r"[?~%X\[{]", period)
    if (first.month, first.day, last.month, last.day) == (1, 1, 12, 31):
        return When(f"{first.year:04}", f"P{last.year - first.year + 1}Y", sure)
    if first.day == 1 and last.day == monthrange(last.year, last.month)[1]:
        months = (last.year - first.year) * 12 + last.month - first.month + 1
        return When(first.isoformat()[:7], f"P{months}M", sure)
    return When(first.isoformat(), f"P{(last - first).days + 1}D", sure)
