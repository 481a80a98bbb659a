"""Claims as every route shows them, but for the names of what they refer to: those stand in `references.py`,
so that a claim's document changes with the claim alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Row, bindparam
from sqlmodel import SQLModel

from app.base.db import ReadSession
from app.base.sql import Query, select, table
from app.base.types import wire
from app.changes.store import New
from app.claims.amount_text import amount_text
from app.claims.model import (
    Anchor,
    Appearance,
    Claim,
    ClaimAbout,
    ClaimSpeaker,
    ClaimTopic,
    Figure,
    FigureAbout,
)

REFERENCE = "\x1f"
"""The key of a member that stands for all members of what its value, an id, refers to. No text has it."""

_FIGURE = ("id", "measure", "value", "lower", "upper", "value_number", "comparator", "unit", "display",
           "kind", "is_record", "period", "condition")  # fmt: skip
ANCHOR = ("exact", "prefix", "suffix", "start", "end", "state", "score", "last_found_in")

_HELD_BACK = ("visibility", "embargoed_until")

Rows = dict[str, list[Row[Any]]]
Whole = tuple[Any, Mapping[type[SQLModel], Sequence[Any]]]
"""A claim's row, with those of its parts in order."""


@cache
def _query(kind: type[SQLModel]) -> Query:
    whole = table(kind)
    owner = whole.c["id" if kind is Claim else "claim_id"]
    keys = whole.primary_key.columns
    return select(*whole.columns).where(owner.in_(bindparam("ids", expanding=True))).order_by(*keys)


def _rows(session: ReadSession, part: type[SQLModel], ids: Sequence[str]) -> Rows:
    found: Rows = {}
    for row in session.execute(_query(part), {"ids": ids}):
        found.setdefault(row.claim_id, []).append(row)
    return found


def read(session: ReadSession, ids: Sequence[str]) -> list[Whole]:
    """All rows of some claims, in a constant number of queries; an unknown id has none."""
    claims = session.execute(_query(Claim), {"ids": ids}).all()
    parts = {part: _rows(session, part, ids) for part in Claim.parts.values()}
    return [(claim, {part: rows.get(claim.id, []) for part, rows in parts.items()}) for claim in claims]


def at_hand(new: New[Any]) -> Whole:
    """All rows of a claim that was just written."""
    parts: dict[type[SQLModel], Sequence[Any]] = {
        part: [*map(_plain, new.parts.get(name, ()))] for name, part in Claim.parts.items()
    }
    return _plain(new.record), parts


def _plain(row: SQLModel) -> SimpleNamespace:
    # SQLAlchemy minds every look at an attribute of its own.
    return SimpleNamespace(**vars(row))


def document(
    claim: Any, parts: Mapping[type[SQLModel], Sequence[Any]], canonical: Mapping[str, str]
) -> dict[str, Any]:
    """A claim, with `REFERENCE` members in place of what it refers to. `canonical` is where the entities lead
    that were merged: of two records of one thing the first is shown.
    """
    return {
        "id": claim.id,
        "text": claim.text,
        "mode": claim.mode,
        "kind": claim.kind,
        "language": claim.language,
        "original_text": claim.original_text,
        "original_language": claim.original_language,
        "speakers": [
            _reference(row.entity_id) | {"title": row.title} for row in _once(parts[ClaimSpeaker], canonical)
        ],
        "relayed_by": claim.relayed_by_id and _reference(claim.relayed_by_id),
        "about": [_reference(row.entity_id) for row in _once(parts[ClaimAbout], canonical)],
        "topics": [row.topic for row in parts[ClaimTopic]],
        "said": claim.said,
        "occasion": claim.occasion,
        "place": claim.place,
        "context": claim.context,
        "repeats": claim.repeats_id,
        "due": wire(claim.due),
        "appearances": [_appearance(row, parts[Anchor]) for row in parts[Appearance]],
        "figures": [figure(row, _subjects(row, parts[FigureAbout], canonical)) for row in parts[Figure]],
        "verification": _verification(claim),
        **{name: wire(value) for name in _HELD_BACK if (value := getattr(claim, name)) is not None},
        "version": claim.version,
        "created_at": wire(claim.created_at),
        "updated_at": wire(claim.updated_at),
    }


def _once(rows: Iterable[Any], canonical: Mapping[str, str]) -> list[Any]:
    first: dict[str, Any] = {}
    for row in rows:
        first.setdefault(canonical.get(row.entity_id, row.entity_id), row)
    return list(first.values())


def _reference(record_id: str) -> dict[str, Any]:
    return {REFERENCE: record_id}


def _verification(claim: Row[Any]) -> dict[str, Any]:
    return {
        "status": claim.status,
        "verdict": claim.verdict,
        "attribution": claim.attribution,
        "agreement": claim.agreement,
        "attribution_agreement": claim.attribution_agreement,
        "assignee": claim.assignee_id and _reference(claim.assignee_id),
        "lease_expires_at": wire(claim.lease_expires_at),
        "reviewed_at": wire(claim.reviewed_at),
        "note": claim.public_note,
        "correction": claim.correction,
    }


def _appearance(appearance: Row[Any], anchors: Iterable[Row[Any]]) -> dict[str, Any]:
    here = [anchor(row) for row in anchors if row.appearance == appearance.position]
    return {
        "source": _reference(appearance.source_id),
        "snapshot": appearance.snapshot_id,
        "anchors": here,
    }


def _subjects(figure: Row[Any], about: Iterable[Row[Any]], canonical: Mapping[str, str]) -> list[Any]:
    here = [row for row in about if row.figure == figure.position]
    return [_reference(row.entity_id) for row in _once(here, canonical)]


def anchor(row: Row[Any]) -> dict[str, Any]:
    """One segment of a quote."""
    shown = {name: getattr(row, name) for name in ANCHOR}
    return shown | {"score": None if row.score is None else float(row.score)}


def figure(row: Row[Any], about: list[Any]) -> dict[str, Any]:
    """One figure."""
    return {
        "id": row.id,
        "measure": row.measure,
        "about": about,
        "value": wire(row.value),
        "lower": wire(row.lower),
        "upper": wire(row.upper),
        "value_number": row.value_number,
        "comparator": row.comparator,
        "unit": row.unit,
        "display": row.display or amount_text(row.comparator, row.unit, row.value, row.lower, row.upper),
        "kind": row.kind,
        "is_record": row.is_record,
        "period": row.period,
        "condition": row.condition,
    }
