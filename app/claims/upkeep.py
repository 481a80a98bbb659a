"""Keeps what is derived from claims true, in the transaction of every write."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import combinations, islice
from typing import Any

import orjson
from sqlalchemy import bindparam, delete, union, update
from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.sql import Counts, among, insert_many, many, select, table
from app.base.times import UNDATED
from app.changes.store import Projection, Saved, all_new
from app.claims import documents, references
from app.claims.amounts import ends
from app.claims.derived import ClaimBody, ClaimListing, ClaimTally
from app.claims.documents import Whole
from app.claims.model import Appearance, Claim, ClaimAbout, ClaimSpeaker, ClaimTopic, Figure, FigureAbout
from app.claims.shapes import DIMENSIONS
from app.entities.model import Entity
from app.sources.model import Source
from app.words.index import batches

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Derived:
    """A claim's document without names, and the facts that it is listed and counted by."""

    document: Mapping[str, Any]
    facts: Facts

    @property
    def claim_id(self) -> str:
        """The claim's id."""
        return str(self.document["id"])

    @cached_property
    def row(self) -> tuple[str, str]:
        """Both as they are kept."""
        return references.marked(self.document), orjson.dumps(self.facts).decode()


_BATCH = 500
_ALL = batches(col(Claim.id))


Cell = tuple[str, str, str, str]
"""What one tally counts: a first and a second dimension, and a value of each that the claims have."""


# --- what a claim is listed and counted by ------------------------------------------------------


def _listings(claim_id: str, facts: Facts) -> set[tuple[str, str, str, str]]:
    return {(facet, facts["status"], facts["said"], claim_id) for facet in facts.get("listed", ())}


def _cells(facts: Facts) -> list[Cell]:
    """The tallies that a claim is in, each once; those of a hidden one are counted apart once more."""
    # What an earlier version kept may lack a dimension.
    values = {name: facts.get(name, ()) for name in DIMENSIONS} | {"status": [facts["status"]]}
    singles = [(dimension, value) for dimension, some in values.items() for value in some]
    pairs = [(first, second, a, b) for (first, a), (second, b) in combinations(singles, 2) if first != second]
    seen = [("", "", "", ""), *((first, "", a, "") for first, a in singles), *pairs]
    if not facts.get("hidden"):
        return seen
    return [*seen, *((f"~{first}", *rest) for first, *rest in seen)]


_NAMING = (ClaimSpeaker, ClaimAbout, FigureAbout)
"""The parts of a claim that name entities."""


class _Others:
    """What the rows of some claims do not tell of whom they name."""

    def __init__(self, session: ReadSession, claims: Sequence[Whole]) -> None:
        entities = {row.entity_id for _, parts in claims for kind in _NAMING for row in parts[kind]}
        sources = {row.source_id for _, parts in claims for row in parts[Appearance]}
        canonical = select(Entity.id, Entity.canonical_id).where(among(session, Entity.id, entities))
        published = select(Source.id, Source.publisher_id, Entity.canonical_id)
        published = published.join(Entity, col(Entity.id) == col(Source.publisher_id))
        published = published.where(among(session, Source.id, sources))
        self.canonical = {row.id: row.canonical_id for row in session.execute(canonical)}
        self.publishers = {row.id: (row.publisher_id, row.canonical_id) for row in session.execute(published)}


def _facts(claim: Any, parts: Mapping[Any, Sequence[Any]], others: _Others) -> Facts:
    speakers = [row.entity_id for row in parts[ClaimSpeaker]]
    sources = [row.source_id for row in parts[Appearance]]
    publishers = [others.publishers[source] for source in sources if source in others.publishers]
    topics = [row.topic for row in parts[ClaimTopic]]
    listed = {
        "all",
        *(f"speaker:{each}" for each in speakers),
        *(f"about:{row.entity_id}" for row in parts[ClaimAbout]),
        *(f"topic:{each}" for each in topics),
        *(f"source:{each}" for each in sources),
        *(f"publisher:{each}" for each, _ in publishers),
    }
    month = f"{claim.said_earliest:%Y-%m}"
    to_the_month = claim.said_latest != UNDATED and month == f"{claim.said_latest:%Y-%m}"
    return {
        "attribution": [claim.attribution],
        "listed": sorted(listed),
        "month": [month if to_the_month else ""],
        "publisher": sorted({canonical for _, canonical in publishers} or [""]),
        "said": claim.said_latest.isoformat(),
        "speaker": sorted({others.canonical.get(each, each) for each in speakers} or [""]),
        "status": claim.status,
        "topic": sorted({*topics} or [""]),
        "verdict": [claim.verdict or ""],
        **({"hidden": True} if claim.visibility else {}),
    }


# --- keeping -----------------------------------------------------------------------------------


def _after_claims(session: WriteSession, saved: Sequence[Saved]) -> None:
    news = all_new(saved)
    if news is None:
        keep(session, [each.id for each in saved])
    else:
        _write(session, _derived(session, [documents.at_hand(new) for new in news]), {})


def _after_entities(session: WriteSession, saved: Sequence[Saved]) -> None:
    """A merge moves the counts of speakers and publishers, and a claim of both records shows one."""
    moved = [each.id for each in saved if _moved(each, "canonical_id")]
    if moved:
        named = [select(kind.claim_id).where(col(kind.entity_id).in_(moved)) for kind in _NAMING]
        printed = (
            select(Appearance.claim_id)
            .join(Source, col(Source.id) == col(Appearance.source_id))
            .where(col(Source.publisher_id).in_(moved))
        )
        _keep_all(session, union(*named, printed))


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
    _write(session, _derived(session, documents.read(session, ids)), old)


def _write(session: WriteSession, derived: Sequence[Derived], old: Mapping[str, tuple[str, str]]) -> None:
    session.info[_LATEST] = {each.claim_id: each for each in derived}
    changed = [each for each in derived if each.row != old.get(each.claim_id)]
    gone = old.keys() & {each.claim_id for each in changed}
    if gone:
        session.execute(delete(table(ClaimBody)).where(col(ClaimBody.claim_id).in_(gone)))
    insert_many(session, ClaimBody, [(each.claim_id, *each.row) for each in changed])
    before = {claim_id: orjson.loads(old[claim_id][1]) for claim_id in gone}
    after = {each.claim_id: each.facts for each in changed}
    _relist(session, before, after)
    _recount(session, before, after)


def _derived(session: ReadSession, claims: Sequence[Whole]) -> list[Derived]:
    others = _Others(session, claims)
    return [Derived(documents.document(*claim, others.canonical), _facts(*claim, others)) for claim in claims]


_LATEST = "app.claims.upkeep"


def latest(session: ReadSession, ids: Iterable[str]) -> list[Derived]:
    """What is derived from some claims: as it was just written in this transaction, or read."""
    known: Mapping[str, Derived] = session.info.get(_LATEST, {})
    wanted = list(ids)
    if all(claim_id in known for claim_id in wanted):
        return [known[claim_id] for claim_id in wanted]
    query = select(ClaimBody.body, ClaimBody.facts).where(col(ClaimBody.claim_id).in_(wanted))
    return [Derived(references.unmarked(body), orjson.loads(facts)) for body, facts in session.execute(query)]


def _relist(session: WriteSession, before: Mapping[str, Facts], after: Mapping[str, Facts]) -> None:
    old, new = (
        {listing for claim_id, facts in known.items() for listing in _listings(claim_id, facts)}
        for known in (before, after)
    )
    many(session, _UNLIST, sorted(old - new))
    insert_many(session, ClaimListing, sorted(new - old))


_UNLIST = "DELETE FROM claim_listing WHERE facet = ? AND status = ? AND said = ? AND claim_id = ?"
_INTO, _ADD = (
    "INSERT INTO claim_tallies (first, second, a, b, claims)",
    "ON CONFLICT (first, second, a, b) DO UPDATE SET claims = claim_tallies.claims + excluded.claims",
)
_COUNTS = Counts(
    f"{_INTO} VALUES (?, ?, ?, ?, ?) {_ADD}",
    f"{_INTO} SELECT * FROM unnest(?::text[], ?::text[], ?::text[], ?::text[], ?::bigint[]) {_ADD}",
)


def _recount(session: WriteSession, before: Mapping[str, Facts], after: Mapping[str, Facts]) -> None:
    difference: Counter[Cell] = Counter()
    for facts in after.values():
        difference.update(_cells(facts))
    for facts in before.values():
        difference.subtract(_cells(facts))
    _COUNTS.add(session, difference)


def forget_counts(session: WriteSession, texts: Sequence[str]) -> None:
    """Take away the counts of erased texts, such as a topic, that no claim has any more."""
    counts = table(ClaimTally)
    for value in {*texts}:
        gone = (counts.c.a == value) | (counts.c.b == value)
        session.execute(delete(counts).where(counts.c.claims == 0, gone))


# --- making anew and checking ------------------------------------------------------------------


def _clear(session: WriteSession) -> None:
    for kind in (ClaimBody, ClaimListing, ClaimTally):
        session.execute(delete(table(kind)))


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


def _verify(session: ReadSession) -> Iterator[str]:
    for ids in _ALL(session, ""):
        kept = select(*table(ClaimBody).columns).where(col(ClaimBody.claim_id).in_(ids))
        rows = {row.claim_id: (row.body, row.facts) for row in session.execute(kept)}
        for derived in _derived(session, documents.read(session, ids)):
            if rows.get(derived.claim_id) != derived.row:
                yield f"claim {derived.claim_id}: what is derived from it is out of date"
    yield from _totals(session)


def _totals(session: ReadSession) -> Iterator[str]:
    """Yields whether the listing and the counts are not those of the facts that are kept."""
    listings = 0
    cells: Counter[Cell] = Counter()
    for claim_id, kept in _all(session, (ClaimBody.claim_id, ClaimBody.facts)):
        facts = orjson.loads(kept)
        listings += _checksum(_listings(claim_id, facts))
        cells.update(_cells(facts))
    if listings != _checksum(_all(session, table(ClaimListing).columns)):
        yield "the listing of claims is out of date"
    wrong = sum(
        cells.pop(tuple(cell), 0) != number for *cell, number in _all(session, table(ClaimTally).columns)
    )
    if wrong or cells:
        yield "the counts of claims are out of date"


def _checksum(rows: Iterable[Sequence[str]]) -> int:
    """What rows add up to, in any order and in any parts: all of them at once may not fit into memory."""
    digests = (blake2b("\0".join(row).encode(), digest_size=16).digest() for row in rows)
    return sum(int.from_bytes(digest) for digest in digests)


def _all(session: ReadSession, columns: Iterable[Any]) -> Iterable[Any]:
    return session.execute(select(*columns), execution_options={"yield_per": 5_000})


def _verify_order(session: ReadSession) -> Iterator[str]:
    for ids in _ALL(session, ""):
        for figure in _astray(session, ids):
            yield f"figure {figure['figure']}: does not stand where its value belongs"


ORDER = Projection("order of figures", {}, _ALL, _put_in_order, verify=_verify_order)
"""The ends of figures, which are written with them."""

PROJECTION = Projection(
    "documents",
    {Claim: _after_claims, Entity: _after_entities, Source: _after_sources},
    _ALL,
    keep,
    _clear,
    _verify,
    _totals,
)
