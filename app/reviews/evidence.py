"""Evidence: gathered, looked up in its source's text, shown."""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.errors import Invalid
from app.base.ids import new_id
from app.base.page import Page, Question, page
from app.base.sql import Query, select, table
from app.base.types import wire
from app.changes.hidden import INTERNAL, must_be_seen
from app.changes.model import fresh
from app.changes.store import By, save
from app.claims.anchors import locate
from app.claims.documents import anchor
from app.claims.model import Claim
from app.claims.passages import Selector
from app.claims.quotes import Texts, look_up, must_be_inside
from app.claims.shapes import AnchorIn
from app.entities.model import Entity
from app.reviews.model import Evidence, EvidenceIn, ReviewEvidence
from app.sources.model import Source
from app.sources.store import brief_source, brief_source_columns, join_publisher, resolve, text_of


def gather(
    session: WriteSession,
    claim: Claim,
    evidence: EvidenceIn,
    *,
    by: By,
    at: str = "",
    internal: bool = False,
) -> Evidence:
    """Adds a piece of evidence to a claim; `at` is the JSON pointer to it. Raises Invalid if the passage
    is not in the text at hand.
    """
    sources = resolve(session, {f"{at}/source": evidence.source} if evidence.source else {})
    record = compose(claim.id, evidence, sources, partial(text_of, session), at=at)
    if internal:
        record.visibility = INTERNAL
    if record.source_id and not (record.visibility or claim.visibility):
        must_be_seen(session, {f"{at}/source": record.source_id})
    save(session, record, by=by, action="evidence.gather")
    return record


def cited_by(session: ReadSession, review_id: str) -> list[str]:
    """Return the ids of the evidence that a ruling rests on, in its order, but for what was erased."""
    link = select(ReviewEvidence.evidence_id).join(Evidence, col(Evidence.id) == ReviewEvidence.evidence_id)
    of_it = link.where(col(ReviewEvidence.review_id) == review_id, col(Evidence.erased).is_(None))
    return [*session.execute(of_it.order_by(col(ReviewEvidence.position))).scalars()]


def show(session: WriteSession, review_id: str, *, by: By, public: bool) -> list[str]:
    """Make public what a ruling rests on that has come to count. Return the ids of what was internal. Raise
    Invalid if the claim is `public` and the evidence is of a source that is not.
    """
    cited = select(ReviewEvidence.evidence_id).where(col(ReviewEvidence.review_id) == review_id)
    query = select(Evidence).where(col(Evidence.id).in_(cited), col(Evidence.visibility).is_not(None))
    found = session.execute(query.order_by(col(Evidence.id))).scalars().all()
    for record in found:
        if public and record.source_id:
            must_be_seen(session, {"/evidence": record.source_id})
        record.visibility = None
        save(session, record, by=by, action="evidence.publish")
    return [record.id for record in found]


def sources_of(items: Sequence[EvidenceIn], sources: Mapping[str, str]) -> dict[str, str]:
    """Return the sources of what is public of some evidence: ids, by the JSON pointers to them."""
    return {
        f"/evidence/{n}/source": sources[item.source]
        for n, item in enumerate(items)
        if item.source is not None and item.visibility != INTERNAL
    }


def compose(
    claim_id: str, evidence: EvidenceIn, sources: Mapping[str, str], texts: Texts, *, at: str
) -> Evidence:
    """The row of a new piece of evidence, with the id that its source leads to. Raises as `gather` does."""
    record = fresh(
        Evidence,
        id=new_id("evd"),
        claim_id=claim_id,
        url=evidence.url,
        stance=evidence.stance,
        note=evidence.note,
        note_visibility=INTERNAL if evidence.note and evidence.note_visibility == INTERNAL else None,
        locator=evidence.locator,
        visibility=INTERNAL if evidence.visibility == INTERNAL else None,
    )
    if evidence.source is not None:
        record.source_id = sources[evidence.source]
        kept = texts(record.source_id, evidence.snapshot)
        record.snapshot_id = kept.id if kept else None
        if evidence.named is not None:
            _name(record, evidence.named, kept.text if kept else None, f"{at}/named")
        if evidence.anchor is not None:
            for name, value in evidence.anchor.model_dump().items():
                setattr(record, name, value)
            record.state = "unchecked"
            if kept is not None:
                look_up(record, kept, evidence.anchor, f"{at}/anchor")
            if record.state == "orphaned":
                raise Invalid.at(f"{at}/anchor", "is not in the source's text")
    return record


def _name(record: Evidence, named: AnchorIn, text: str | None, pointer: str) -> None:
    """Notes where the source says who speaks. Raises Invalid if it does not."""
    record.named_exact = named.exact
    if text is not None:
        must_be_inside(named, text, pointer)
        place = locate(text, Selector(named.exact, named.prefix, named.suffix, named.start))
        if place.state not in ("exact", "normalised"):
            raise Invalid.at(pointer, "is not in the source's text")
        record.named_start, record.named_end = place.start, place.end


@cache
def query() -> Query:
    """Evidence with its source."""
    publisher = aliased(Entity)
    found = (
        select(*table(Evidence).columns, *brief_source_columns(publisher)[1:])
        .select_from(Evidence)
        .outerjoin(Source, col(Source.id) == col(Evidence.source_id))
    )
    return join_publisher(found, publisher)


def find(
    session: ReadSession, claim_id: str, ask: Question, after: Sequence[Any] | None
) -> Page[dict[str, Any]]:
    """A page of a claim's evidence."""
    mine = query().where(col(Evidence.claim_id) == claim_id)
    found = page(session, mine, [col(Evidence.id)], ask, after)
    return Page([document(row) for row in found.rows], found.last)


def one(session: ReadSession, evidence_id: str) -> dict[str, Any]:
    """One piece of evidence."""
    return document(session.execute(query().where(col(Evidence.id) == evidence_id)).one())


def document(row: Row[Any]) -> dict[str, Any]:
    """A piece of evidence as every route shows it."""
    return {
        "id": row.id,
        "claim": row.claim_id,
        "source": brief_source(row) if row.source_id else None,
        "snapshot": row.snapshot_id,
        "anchor": anchor(row) if row.exact is not None else None,
        **({"named": _named(row)} if row.named_exact is not None else {}),
        **({"locator": row.locator} if row.locator is not None else {}),
        "url": row.url,
        "stance": row.stance,
        "note": row.note,
        **({"note_visibility": INTERNAL} if row.note and row.note_visibility else {}),
        **({"visibility": INTERNAL} if row.visibility else {}),
        "version": row.version,
        "created_at": wire(row.created_at),
    }


def _named(row: Row[Any]) -> dict[str, Any]:
    return {"exact": row.named_exact, "start": row.named_start, "end": row.named_end}
