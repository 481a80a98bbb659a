"""The words around quotes in entries of the ledger, which are withheld with the text that they are of."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import and_, column, func, or_, table, union
from sqlmodel import col

from app.base.db import ReadSession
from app.base.sql import among, select
from app.changes.entry import Entry, effective, erased, withheld
from app.changes.model import Change, ChangeValues

# Modules to the right of this one have these tables.
_SNAPSHOTS = table("snapshots", column("source_id"), column("text_withheld"), column("text"))
_APPEARANCES = table("appearances", column("claim_id"), column("source_id"))
_EVIDENCE = table("evidence", column("id"), column("source_id"))

_AROUND = ("prefix", "suffix")
_HIDDEN = frozenset({"difference.anchors", *(f"difference.{name}" for name in _AROUND)})


def without_contexts(session: ReadSession, found: Sequence[Entry]) -> list[Entry]:
    """Return entries without the words around quotes of any source of which a text is at hand and withheld
    now. Where only its hash is, whatever stands around a quote is what its reporter sent.
    """
    hidden = _hidden(session, found)
    return [withheld(entry, _HIDDEN.__contains__) if entry["seq"] in hidden else entry for entry in found]


def cut_contexts(session: ReadSession, found: Sequence[Entry]) -> list[Entry]:
    """Return entries, read by `ledger.whole`, for the base as it stood: as if those words were erased."""
    hidden = _hidden(session, found)
    return [_cut(entry) if entry["seq"] in hidden else entry for entry in found]


def _cut(entry: Entry) -> Entry:
    left = {
        name: {side: _bare(value) if name == "anchors" else None for side, value in change.items()}
        if f"difference.{name}" in _HIDDEN
        else change
        for name, change in effective(entry).items()
    }
    return erased(entry, {f"difference.{name}" for name in left} & _HIDDEN, left)


def _bare(anchors: Sequence[Mapping[str, Any]] | None) -> Any:
    return anchors and [{**each, **dict.fromkeys(_AROUND)} for each in anchors]


def _hidden(session: ReadSession, found: Sequence[Entry]) -> set[int]:
    """Return the places of the entries that have such words."""
    having = [entry for entry in found if _has_context(entry)]
    if not having:
        return set()
    sources = _sources_of(session, having)
    every = {source for some in sources.values() for source in some}
    query = select(_SNAPSHOTS.c.source_id).where(
        among(session, _SNAPSHOTS.c.source_id, every),
        _SNAPSHOTS.c.text_withheld.is_(True),
        _SNAPSHOTS.c.text.is_not(None),
    )
    kept_back = set(session.execute(query.distinct()).scalars())
    return {entry["seq"] for entry in having if sources[entry["resource_id"]] & kept_back}


def _has_context(entry: Entry) -> bool:
    changed = effective(entry)
    match entry["resource"]:
        case "claim":
            quotes = _values(changed, "anchors")
            return any(quote.get(name) for some in quotes for quote in some for name in _AROUND)
        case "evidence":
            return any(value for name in _AROUND for value in _values(changed, name))
    return False


def _values(changed: Mapping[str, Any], name: str) -> Iterator[Any]:
    yield from filter(None, (changed.get(name) or {}).values())


def _sources_of(session: ReadSession, entries: Iterable[Entry]) -> dict[str, set[str]]:
    """Return the sources that each claim or piece of evidence quotes from, or ever did, by its id."""
    ids = {entry["resource_id"] for entry in entries}
    claims = {entry["resource_id"] for entry in entries if entry["resource"] == "claim"}
    found: dict[str, set[str]] = {each: set() for each in ids}
    now = union(
        select(_APPEARANCES.c.claim_id, _APPEARANCES.c.source_id).where(
            among(session, _APPEARANCES.c.claim_id, claims)
        ),
        select(_EVIDENCE.c.id, _EVIDENCE.c.source_id).where(among(session, _EVIDENCE.c.id, ids)),
    )
    for record_id, source_id in session.execute(now):
        found[record_id].add(source_id)
    told = func.coalesce(col(Change.difference), col(ChangeValues.difference))
    remains = col(ChangeValues.remains)
    ever = (
        select(col(Change.resource_id), told, remains)
        .outerjoin(ChangeValues, col(ChangeValues.seq) == col(Change.seq))
        .where(and_(col(Change.resource) == "claim", among(session, Change.resource_id, claims)))
        .where(or_(*(each.contains('"appearances"', autoescape=True) for each in (told, remains))))
    )
    for record_id, difference, left in session.execute(ever):
        for some in (orjson.loads(difference or "null"), orjson.loads(left or "{}").get("difference")):
            for printed in _values(some or {}, "appearances"):
                found[record_id] |= {each["source_id"] for each in printed}
    return found
