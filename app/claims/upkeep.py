"""Keeps what is derived from claims true, in the transaction of every write."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, delete, insert, union, update
from sqlmodel import SQLModel, col

from app.base.db import ReadSession, WriteSession
from app.base.sql import Query, many, select, table
from app.base.times import UNDATED
from app.changes.store import Saved, follows
from app.claims import documents, references
from app.claims.amounts import ends
from app.claims.derived import ClaimBody, ClaimListing, ClaimTally
from app.claims.model import Appearance, Claim, ClaimAbout, ClaimSpeaker, ClaimTopic, Figure
from app.claims.shapes import DIMENSIONS
from app.entities.model import Entity
from app.sources.model import Source
from app.words.index import batches

Facts = Mapping[str, Any]
_BATCH = 500
_ALL = batches(col(Claim.id))


class Cell(NamedTuple):
    """What one tally counts: the claims with the value `a` of the first dimension and `b` of the second."""

    first: str
    second: str
    a: str
    b: str


# --- what a claim is listed and counted by ------------------------------------------------------


def _listings(claim_id: str, facts: Facts) -> set[tuple[str, str, str, str]]:
    return {(facet, facts["status"], facts["said"], claim_id) for facet in facts.get("listed", ())}


def _cells(facts: Facts) -> Counter[Cell]:
    """The tallies that a claim is in, each once."""
    if not facts:
        return Counter()
    values = {dimension: facts[dimension] for dimension in DIMENSIONS} | {"status": [facts["status"]]}
    cells = {Cell("", "", "", "")}
    for n, first in enumerate(DIMENSIONS):
        cells |= {Cell(first, "", a, "") for a in values[first]}
        for second in DIMENSIONS[n + 1 :]:
            cells |= {Cell(first, second, a, b) for a in values[first] for b in values[second]}
    return Counter(cells)


@cache
def _grouped_query(kind: str) -> Query:
    """claim_id and value: what a claim is under, of one kind."""
    if kind == "publisher":
        query = select(Appearance.claim_id, Source.publisher_id, Entity.canonical_id)
        query = query.join(Source, col(Source.id) == col(Appearance.source_id))
        query = query.join(Entity, col(Entity.id) == col(Source.publisher_id))
        owner: Any = Appearance.claim_id
    elif kind == "speaker":
        query = select(ClaimSpeaker.claim_id, ClaimSpeaker.entity_id, Entity.canonical_id)
        query = query.join(Entity, col(Entity.id) == col(ClaimSpeaker.entity_id))
        owner = ClaimSpeaker.claim_id
    else:
        owner, column = {
            "about": (ClaimAbout.claim_id, ClaimAbout.entity_id),
            "topic": (ClaimTopic.claim_id, ClaimTopic.topic),
            "source": (Appearance.claim_id, Appearance.source_id),
        }[kind]
        query = select(owner, column, column)
    return query.where(owner.in_(bindparam("ids", expanding=True)))


def _facts(session: ReadSession, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    names = ("id", "status", "verdict", "attribution", "said_earliest", "said_latest")
    claims = select(*(getattr(Claim, name) for name in names)).where(col(Claim.id).in_(ids))
    facts = {row.id: _own_facts(row) for row in session.execute(claims)}
    for kind in ("speaker", "about", "topic", "source", "publisher"):
        for claim_id, value, canonical in session.execute(_grouped_query(kind), {"ids": ids}):
            own = facts[claim_id]
            own["listed"].add(f"{kind}:{value}")
            if kind in DIMENSIONS:
                own[kind].add(canonical)
    return {
        claim_id: {
            name: sorted(value or [""]) if isinstance(value, set) else value for name, value in own.items()
        }
        for claim_id, own in facts.items()
    }


def _own_facts(row: Any) -> dict[str, Any]:
    month = f"{row.said_earliest:%Y-%m}"
    to_the_month = row.said_latest != UNDATED and month == f"{row.said_latest:%Y-%m}"
    return {
        "said": row.said_latest.isoformat(),
        "status": row.status,
        "verdict": [row.verdict or ""],
        "attribution": [row.attribution],
        "month": [month if to_the_month else ""],
        "listed": {"all"},
        "speaker": set(),
        "publisher": set(),
        "topic": set(),
    }


# --- keeping -----------------------------------------------------------------------------------


@follows(Claim)
def _after_claims(session: WriteSession, saved: Sequence[Saved]) -> None:
    keep(session, [each.id for each in saved])


@follows(Entity)
def _after_entities(session: WriteSession, saved: Sequence[Saved]) -> None:
    """A merge moves the counts of speakers and publishers."""
    moved = [each.id for each in saved if _moved(each, "canonical_id")]
    if moved:
        spoken = select(ClaimSpeaker.claim_id).where(col(ClaimSpeaker.entity_id).in_(moved))
        printed = (
            select(Appearance.claim_id)
            .join(Source, col(Source.id) == col(Appearance.source_id))
            .where(col(Source.publisher_id).in_(moved))
        )
        _keep_all(session, union(spoken, printed))


@follows(Source)
def _after_sources(session: WriteSession, saved: Sequence[Saved]) -> None:
    """Another publisher moves the counts of the claims that the source prints."""
    moved = [each.id for each in saved if _moved(each, "publisher_id", always="title")]
    if moved:
        _keep_all(session, select(Appearance.claim_id).where(col(Appearance.source_id).in_(moved)))


def _moved(saved: Saved, field: str, always: str | None = None) -> bool:
    old = saved.difference.get(always or field, {}).get("old", "")
    return field in saved.difference and old is not None


def _keep_all(session: WriteSession, claims: Any) -> None:
    ids = iter(sorted(set(session.execute(claims).scalars())))
    while some := list(islice(ids, _BATCH)):
        keep(session, some)


def keep(session: WriteSession, ids: Sequence[str]) -> None:
    """Makes what is derived from some claims what it must be."""
    kept = select(*table(ClaimBody).columns).where(col(ClaimBody.claim_id).in_(ids))
    old = {row.claim_id: (row.body, row.facts) for row in session.execute(kept)}
    new = _derived(session, ids)
    changed = {claim_id: new[claim_id] for claim_id in new if new[claim_id] != old.get(claim_id)}
    gone = old.keys() & changed.keys()
    if gone:
        session.execute(delete(table(ClaimBody)).where(col(ClaimBody.claim_id).in_(gone)))
    if changed:
        rows = [{"claim_id": key, "body": body, "facts": facts} for key, (body, facts) in changed.items()]
        session.execute(insert(table(ClaimBody)), rows)
    before = {claim_id: orjson.loads(old[claim_id][1]) for claim_id in gone}
    after = {claim_id: orjson.loads(changed[claim_id][1]) for claim_id in changed}
    _relist(session, before, after)
    _recount(session, before, after)


def _derived(session: ReadSession, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    facts = _facts(session, ids)
    return {
        document["id"]: (
            references.marked(document),
            orjson.dumps(facts[document["id"]], option=orjson.OPT_SORT_KEYS).decode(),
        )
        for document in documents.of(session, ids)
    }


def _relist(session: WriteSession, before: Mapping[str, Facts], after: Mapping[str, Facts]) -> None:
    old, new = (
        {listing for claim_id, facts in known.items() for listing in _listings(claim_id, facts)}
        for known in (before, after)
    )
    many(session, _UNLIST, sorted(old - new))
    many(session, _LIST, sorted(new - old))


_LIST = "INSERT INTO claim_listing (facet, status, said, claim_id) VALUES (?, ?, ?, ?)"
_UNLIST = "DELETE FROM claim_listing WHERE facet = ? AND status = ? AND said = ? AND claim_id = ?"
_COUNT = (
    "INSERT INTO claim_tallies (first, second, a, b, claims) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (first, second, a, b) DO UPDATE SET claims = claim_tallies.claims + excluded.claims"
)


def _recount(session: WriteSession, before: Mapping[str, Facts], after: Mapping[str, Facts]) -> None:
    difference: Counter[Cell] = Counter()
    for facts in after.values():
        difference.update(_cells(facts))
    for facts in before.values():
        difference.subtract(_cells(facts))
    many(session, _COUNT, [(*cell, by) for cell, by in sorted(difference.items()) if by])


# --- making anew and checking ------------------------------------------------------------------


def is_missing(session: ReadSession) -> bool:
    """Whether there are claims of which nothing is derived yet."""
    claim, body = select(Claim.id).limit(1), select(ClaimBody.claim_id).limit(1)
    return session.execute(claim).first() is not None and session.execute(body).first() is None


def rebuild(session: WriteSession) -> Iterator[int]:
    """Makes all that is derived from claims anew. Yields how many claims are done so far."""
    for kind in (ClaimBody, ClaimListing, ClaimTally):
        session.execute(delete(table(kind)))
    done = 0
    for ids in _ALL(session):
        _put_in_order(session, ids)
        keep(session, ids)
        done += len(ids)
        yield done


def _put_in_order(session: WriteSession, ids: Sequence[str]) -> None:
    if astray := _astray(session, ids):
        this = col(Figure.id) == bindparam("figure")
        session.connection().execute(update(table(Figure)).where(this), astray)


def _astray(session: ReadSession, ids: Sequence[str]) -> list[dict[str, str]]:
    """The figures whose ends are not kept as they are, which the ledger does not hold, with those ends."""
    names = ("comparator", "unit", "value", "lower", "upper", "id", "lowest", "highest")
    query = select(*(getattr(Figure, name) for name in names)).where(col(Figure.claim_id).in_(ids))
    true = [(row, *ends(*row[:5])) for row in session.execute(query)]
    return [
        {"figure": row.id, "lowest": low, "highest": high}
        for row, low, high in true
        if (low, high) != (row.lowest, row.highest)
    ]


def verify(session: ReadSession) -> Iterator[str]:
    """Yields each claim whose derived rows are not what they would be if they were made anew, and each count
    that is not the number of its claims.
    """
    listings: set[tuple[str, ...]] = set()
    cells: Counter[Cell] = Counter()
    for ids in _ALL(session):
        kept = select(*table(ClaimBody).columns).where(col(ClaimBody.claim_id).in_(ids))
        rows = {row.claim_id: (row.body, row.facts) for row in session.execute(kept)}
        for claim_id, derived in _derived(session, ids).items():
            if rows.get(claim_id) != derived:
                yield f"claim {claim_id}: what is derived from it is out of date"
            facts = orjson.loads(derived[1])
            listings |= _listings(claim_id, facts)
            cells.update(_cells(facts))
    if listings != set(map(tuple, _all(session, ClaimListing))):
        yield "the listing of claims is out of date"
    kept_cells = {Cell(*row[:4]): row[4] for row in _all(session, ClaimTally) if row[4]}
    if kept_cells != dict(cells):
        yield "the counts of claims are out of date"


def _all(session: ReadSession, kind: type[SQLModel]) -> Any:
    return session.execute(select(*table(kind).columns)).all()
