"""One measure over time: lines of comparable figures, and where those of one period disagree."""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import combinations, groupby
from typing import Any

from sqlalchemy import Row
from sqlmodel import col

from app.base.db import ReadSession
from app.base.errors import Invalid
from app.base.sql import select
from app.base.units import UNITS
from app.claims.filters import Clauses, overlapping
from app.claims.model import Claim, Figure
from app.figures import store
from app.figures.model import SeriesQuestion
from app.figures.ranges import Into, Wanted, wanted

MOST_POINTS = 500
_MEASURES = 5000
"""As many measures as are looked through for one that may be meant."""

_CUT = f"These are the first {MOST_POINTS} points: ask for the rest by period_from, or narrow it."

_ORDER: tuple[Any, ...] = (
    Figure.period_earliest,
    Figure.period_latest,
    Claim.said_earliest,
    Claim.said_latest,
    Figure.id,
)
_Rows = Mapping[str, Row[Any]]


def series(session: ReadSession, ask: SeriesQuestion) -> dict[str, Any]:
    """The lines of a measure. Raises Invalid for a measure that no figure has."""
    units = wanted(ask.unit)
    rows = _rows(session, ask, units)
    if not rows:
        _known(session, ask)
    points = rows[:MOST_POINTS]
    documents = store.documents(session, [(row.id, row.claim_id) for row in points])
    by_id = {row.id: row for row in points}
    lines: dict[Any, list[dict[str, Any]]] = {}
    for figure in documents:
        lines.setdefault(line_of(figure), []).append(figure)
    return {
        "measure": ask.measure,
        "lines": [_line(figures, by_id, units.into) for _, figures in sorted(lines.items())],
        "complete": len(rows) <= MOST_POINTS,
        "note": _CUT if len(rows) > MOST_POINTS else None,
    }


def _rows(session: ReadSession, ask: SeriesQuestion, units: Wanted) -> Sequence[Row[Any]]:
    names = ("id", "claim_id", "kind", "lowest", "highest", "period", "period_earliest", "period_latest")
    query = (
        select(*(getattr(Figure, name) for name in names), Claim.repeats_id, Claim.status)
        .join(Claim, col(Claim.id) == col(Figure.claim_id))
        .where(
            col(Figure.measure) == ask.measure,
            *overlapping(
                Figure.period, Figure.period_earliest, Figure.period_latest, ask.period_from, ask.period_to
            ),
            *(clause for ref in ask.about for clause in store.about(session, [ref])),
            *_counting(ask),
        )
        .order_by(*map(col, _ORDER))
        .limit(MOST_POINTS + 1)
    )
    if units.codes is not None:
        query = query.where(col(Figure.unit).in_(units.codes))
    return session.execute(query).all()


def _counting(ask: SeriesQuestion) -> Clauses:
    return [] if ask.withdrawn else [col(Claim.status) != "withdrawn"]


def _known(session: ReadSession, ask: SeriesQuestion) -> None:
    measure = ask.measure
    measures = select(Figure.measure).join(Claim, col(Claim.id) == col(Figure.claim_id))
    measures = measures.where(*_counting(ask))
    if session.execute(measures.where(col(Figure.measure) == measure).limit(1)).first():
        return
    known = session.execute(measures.distinct().limit(_MEASURES)).scalars()
    folded = {name.casefold(): name for name in sorted(known)}
    near = difflib.get_close_matches(measure.casefold(), folded, n=3, cutoff=0.6)
    meant = " or ".join(repr(folded[name]) for name in near)
    raise Invalid.at("measure", "is what no figure measures" + (f"; did you mean {meant}?" if near else ""))


# --- lines -------------------------------------------------------------------------------------


def line_of(figure: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Figures of other subjects, or of what they cannot be converted into, are another line."""
    return tuple(sorted({subject["id"] for subject in figure["about"]})), UNITS[figure["unit"]].kind


def _line(figures: Sequence[dict[str, Any]], rows: _Rows, into: Into | None) -> dict[str, Any]:
    found = list(_disagreements([rows[figure["id"]] for figure in figures]))
    others: dict[str, set[str]] = {}
    for pair in (pair for _, pairs in found for pair in pairs):
        for one, other in (pair, pair[::-1]):
            others.setdefault(one.id, set()).add(other.id)
    into = into or _commonest(figure["unit"] for figure in figures)
    return {
        "about": list({subject["id"]: subject for subject in figures[0]["about"]}.values()),
        "dimension": UNITS[into.code].dimension,
        "unit": into.name,
        "points": [
            {
                **figure,
                "converted": into.shown(figure),
                "disagrees_with": sorted(others.get(figure["id"], ())),
            }
            for figure in figures
        ],
        "disagreements": [
            {
                "period": first.period,
                "question": question_of(first),
                "figures": sorted({row.id for pair in pairs for row in pair}),
            }
            for first, pairs in found
        ],
    }


def _commonest(codes: Iterable[str]) -> Into:
    code = min(Counter(codes).items(), key=lambda each: (-each[1], each[0]))[0]
    return Into(code, code, Decimal(1))


# --- disagreements -----------------------------------------------------------------------------


def question_of(figure: Row[Any]) -> str:
    """What a figure answers: how much it was, or how much it will be by a promise, a forecast and so on."""
    return "actual" if figure.kind in ("reported", "estimated") else str(figure.kind)


def disagree(one: Row[Any], other: Row[Any]) -> bool:
    """Whether what two figures of one line state has no number in common."""
    return bool(one.lowest > other.highest or other.lowest > one.highest)


def _disagreements(
    rows: Sequence[Row[Any]],
) -> Iterator[tuple[Row[Any], list[tuple[Row[Any], Row[Any]]]]]:
    """The pairs that disagree, by period and question, each time with the first figure of them all."""

    def what(row: Row[Any]) -> Any:
        return row.period_earliest, row.period_latest, question_of(row)

    compared = [row for row in rows if row.period and not row.repeats_id and row.status != "withdrawn"]
    for _, together in groupby(sorted(compared, key=what), key=what):
        same = list(together)
        pairs = [(one, other) for one, other in combinations(same, 2) if disagree(one, other)]
        if pairs:
            yield same[0], pairs
