"""Claims as every route shows them: rows through Core, a constant number of queries, no ORM objects."""

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import aliased
from sqlmodel import SQLModel, col

from app.access.model import Key
from app.base.db import ReadSession
from app.base.sql import Query, select, table
from app.base.types import plain, wire
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
from app.entities.model import Entity
from app.entities.store import brief, brief_columns
from app.sources.model import Source
from app.sources.store import brief_source, brief_source_columns, join_publisher

_PLAIN = ("id", "text", "mode", "kind", "language", "original_text", "original_language", "said",
          "occasion", "place", "context", "repeats_id", "due", "status", "verdict", "attribution",
          "agreement", "assignee_id", "lease_expires_at", "reviewed_at", "public_note", "version",
          "created_at", "updated_at")  # fmt: skip
_FIGURE = ("id", "measure", "value", "lower", "upper", "value_number", "comparator", "unit", "display",
           "kind", "is_record", "period", "condition")  # fmt: skip
ANCHOR = ("exact", "prefix", "suffix", "start", "end", "state", "score")
_SYMBOLS = {"eq": "", "ge": "≥ ", "gt": "> ", "le": "≤ ", "lt": "< ", "approx": "≈ "}

Grouped = dict[str, list[dict[str, Any]]]


@cache
def query() -> Query:
    """The first query: one row for each claim, to which a list adds its filters."""
    written, relay = aliased(Entity), aliased(Entity)
    columns = [getattr(Claim, name) for name in _PLAIN]
    return (
        select(*columns, col(Key.name).label("assignee_name"), *brief_columns(relay, "relay"))
        .select_from(Claim)
        .outerjoin(written, col(written.id) == col(Claim.relayed_by_id))
        .outerjoin(relay, col(relay.id) == col(written.canonical_id))
        .outerjoin(Key, col(Key.id) == col(Claim.assignee_id))
    )


def many(session: ReadSession, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """The claims of some rows of `query`."""
    ids = [claim.id for claim in rows]
    speakers, about, topics = (
        speakers_of(session, ids),
        _people(session, ids, ClaimAbout),
        _topics(session, ids),
    )
    appearances, figures = _appearances(session, ids), figures_of(session, ids)
    return [
        {
            "id": claim.id,
            "text": claim.text,
            "mode": claim.mode,
            "kind": claim.kind,
            "language": claim.language,
            "original_text": claim.original_text,
            "original_language": claim.original_language,
            "speakers": speakers.get(claim.id, []),
            "relayed_by": brief(claim, "relay"),
            "about": about.get(claim.id, []),
            "topics": topics.get(claim.id, []),
            "said": claim.said,
            "occasion": claim.occasion,
            "place": claim.place,
            "context": claim.context,
            "repeats": claim.repeats_id,
            "due": wire(claim.due),
            "appearances": appearances.get(claim.id, []),
            "figures": figures.get(claim.id, []),
            "verification": verification(claim),
            "version": claim.version,
            "created_at": wire(claim.created_at),
            "updated_at": wire(claim.updated_at),
        }
        for claim in rows
    ]


def verification(claim: Row[Any]) -> dict[str, Any]:
    """A claim's standing."""
    taken = claim.assignee_id is not None
    return {
        "status": claim.status,
        "verdict": claim.verdict,
        "attribution": claim.attribution,
        "agreement": claim.agreement,
        "assignee": {"id": claim.assignee_id, "name": claim.assignee_name} if taken else None,
        "lease_expires_at": wire(claim.lease_expires_at),
        "reviewed_at": wire(claim.reviewed_at),
        "note": claim.public_note,
    }


def speakers_of(session: ReadSession, ids: Sequence[str]) -> Grouped:
    """The speakers of some claims, in order."""
    return _people(session, ids, ClaimSpeaker)


def _grouped(session: ReadSession, found: Query, part: Any, ids: Sequence[str]) -> Any:
    """Rows of a part with their claim's id first, in order."""
    keys = table(part).primary_key.columns
    return session.execute(found.where(part.claim_id.in_(ids)).order_by(*keys))


@cache
def _people_query(part: type[SQLModel]) -> Query:
    link: Any = part
    winner = aliased(Entity)
    titles = [link.title] if part is ClaimSpeaker else []
    return (
        select(link.claim_id, *titles, *brief_columns(winner, "entity"))
        .join(Entity, col(Entity.id) == link.entity_id)
        .join(winner, col(winner.id) == col(Entity.canonical_id))
    )


def _people(session: ReadSession, ids: Sequence[str], part: type[SQLModel]) -> Grouped:
    people: Grouped = {}
    for row in _grouped(session, _people_query(part), part, ids):
        person = brief(row, "entity") or {}
        if part is ClaimSpeaker:
            person["title"] = row.title
        people.setdefault(row.claim_id, []).append(person)
    return people


def _topics(session: ReadSession, ids: Sequence[str]) -> dict[str, list[str]]:
    topics: dict[str, list[str]] = {}
    found = select(col(ClaimTopic.claim_id), col(ClaimTopic.topic))
    for row in _grouped(session, found, ClaimTopic, ids):
        topics.setdefault(row.claim_id, []).append(row.topic)
    return topics


@cache
def _appearances_query() -> Query:
    publisher = aliased(Entity)
    columns = (col(Appearance.claim_id), col(Appearance.snapshot_id))
    found = select(*columns, *brief_source_columns(publisher)).join(
        Source, col(Source.id) == col(Appearance.source_id)
    )
    return join_publisher(found, publisher)


def _appearances(session: ReadSession, ids: Sequence[str]) -> Grouped:
    appearances: Grouped = {}
    for row in _grouped(session, _appearances_query(), Appearance, ids):
        shown = {"source": brief_source(row), "snapshot": row.snapshot_id, "anchors": []}
        appearances.setdefault(row.claim_id, []).append(shown)
    for row in _grouped(session, select(*table(Anchor).columns), Anchor, ids):
        appearances[row.claim_id][row.appearance]["anchors"].append(anchor(row))
    return appearances


def anchor(row: Row[Any]) -> dict[str, Any]:
    """One segment of a quote."""
    shown = {name: getattr(row, name) for name in ANCHOR if name != "score"}
    return {**shown, "score": None if row.score is None else float(row.score)}


@cache
def _subjects_query() -> Query:
    winner = aliased(Entity)
    return (
        select(FigureAbout.claim_id, FigureAbout.figure, *brief_columns(winner, "entity"))
        .join(Entity, col(Entity.id) == col(FigureAbout.entity_id))
        .join(winner, col(winner.id) == col(Entity.canonical_id))
    )


def figures_of(session: ReadSession, ids: Sequence[str]) -> Grouped:
    """The figures of some claims."""
    about: dict[tuple[str, int], list[Any]] = {}
    for row in _grouped(session, _subjects_query(), FigureAbout, ids):
        about.setdefault((row.claim_id, row.figure), []).append(brief(row, "entity"))
    columns = [getattr(Figure, name) for name in ("claim_id", "position", *_FIGURE)]
    figures: Grouped = {}
    for row in _grouped(session, select(*columns), Figure, ids):
        shown = figure(row, about.get((row.claim_id, row.position), []))
        figures.setdefault(row.claim_id, []).append(shown)
    return figures


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
        "display": row.display or _display(row),
        "kind": row.kind,
        "is_record": row.is_record,
        "period": row.period,
        "condition": row.condition,
    }


def _display(row: Row[Any]) -> str:
    unit = "" if row.unit == "1" else " " + row.unit.strip("{}").replace("_", " ")
    if row.comparator == "range":
        return f"{_spaced(row.lower)} to {_spaced(row.upper)}{unit}"
    return f"{_SYMBOLS[row.comparator]}{_spaced(row.value)}{unit}"


def _spaced(number: Decimal) -> str:
    whole, point, fraction = plain(number).partition(".")
    return f"{int(whole):,}".replace(",", "\u202f") + point + fraction
