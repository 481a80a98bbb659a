"""All quotes of a source, of claims and of evidence: looked up when a text of it comes to hand, and listed
with what differs.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, literal, union_all
from sqlmodel import col

from app.access.model import Role
from app.base.db import ReadSession, WriteSession
from app.base.page import Page, page
from app.base.sql import Query, among, select
from app.changes.store import By, save
from app.claims import quotes, reanchoring
from app.claims.anchors import FOUND, differences, locate
from app.claims.documents import ANCHOR, anchor
from app.claims.passages import Selector
from app.claims.reanchoring import Checked, Supplied
from app.reviews.archived import AnchorQuestion
from app.reviews.model import Evidence
from app.sources.model import Snapshot, SnapshotIn, Source
from app.sources.store import archive, is_newest, snapshot_document

# --- looked up ---------------------------------------------------------------------------------


def archive_text(
    session: WriteSession, source: Source, snapshot: SnapshotIn, *, by: By, role: Role
) -> tuple[Snapshot, list[Checked]]:
    """Archives a snapshot and, if its text has come to hand, looks up every quote of the source in it. If it
    is withheld from now on, the words around quotes that were found in it are taken off.
    """
    kept, has_come = archive(session, source, snapshot, by=by, role=role)
    if not has_come:
        if kept.text_withheld:
            reanchoring.take_off_contexts(session, kept, by=by)
            _take_off_contexts(session, kept, by=by)
        return kept, []
    supplied = Supplied(kept, newest=is_newest(session, kept))
    checked = reanchoring.check_again(session, supplied, by=by)
    return kept, checked + _check_evidence_again(session, supplied, by=by)


def _check_evidence_again(session: WriteSession, supplied: Supplied, *, by: By) -> list[Checked]:
    gathered = select(Evidence).where(
        col(Evidence.source_id) == supplied.snapshot.source_id, col(Evidence.exact).is_not(None)
    )
    records = session.execute(gathered.order_by(col(Evidence.id))).scalars().all()
    waiting = [record for record in records if supplied.concerns(record, record.snapshot_id)]
    checked = []
    for record in supplied.look_up([(record, record.snapshot_id) for record in waiting]):
        if supplied.takes(record.snapshot_id):
            record.snapshot_id = supplied.snapshot.id
            _name_again(record, supplied.snapshot.text or "")
        save(session, record, by=by, action="evidence.anchor")
        checked.append(Checked(record.claim_id, record.id, record.exact, record.state))
    return checked


def _name_again(record: Evidence, text: str) -> None:
    """Looks up in a new text where it says who speaks."""
    if record.named_exact is not None:
        place = locate(text, Selector(record.named_exact, start=record.named_start))
        is_there = place.state in ("exact", "normalised")
        record.named_start, record.named_end = (place.start, place.end) if is_there else (None, None)


def _take_off_contexts(session: WriteSession, kept: Snapshot, *, by: By) -> None:
    found = select(Evidence).where(*reanchoring.has_context_of(kept, Evidence, Evidence.snapshot_id))
    for record in session.execute(found.order_by(col(Evidence.id))).scalars().all():
        quotes.without_context(record)
        save(session, record, by=by, action="evidence.anchor")


SHOWN = 200
"""So many orphans are named in the answer that archives a text; the list of anchors has all."""


def archived(snapshot: Snapshot, checked: Sequence[Checked]) -> dict[str, Any]:
    """A snapshot as it is answered to who archived it, with what became of the quotes."""
    orphans = [each for each in checked if each.state == "orphaned"]
    return {
        **snapshot_document(snapshot),
        "quotes": dict(Counter(each.state for each in checked)),
        "orphans": [
            {"claim": each.claim, "evidence": each.evidence, "exact": each.exact} for each in orphans[:SHOWN]
        ],
    }


# --- listed ------------------------------------------------------------------------------------


def find(
    session: ReadSession,
    source_id: str,
    ask: AnchorQuestion,
    after: Sequence[Any] | None,
    *,
    withheld_too: bool,
) -> Page[dict[str, Any]]:
    """A page of the quotes of a source, by claim: its segments, then those of evidence on it. What a withheld
    text has is shown only `withheld_too`.
    """
    both = union_all(quotes.of_source(source_id), _of_evidence(source_id)).subquery()
    query = select(*both.columns)
    if ask.state:
        query = query.where(both.c.state.in_(ask.state))
    found = page(session, query, [both.c.claim_id, both.c.record_id, both.c.position], ask, after)
    texts = _texts(session, found.rows, withheld_too=withheld_too)
    return Page([_document(row, texts) for row in found.rows], found.last)


def _of_evidence(source_id: str) -> Query:
    columns = [getattr(Evidence, name) for name in ANCHOR]
    position: Any = literal(0).label("position")
    record: Any = col(Evidence.id).label("record_id")
    return select(Evidence.claim_id, position, *columns, record, Evidence.snapshot_id).where(
        col(Evidence.source_id) == source_id, col(Evidence.exact).is_not(None)
    )


def _texts(session: ReadSession, rows: Sequence[Row[Any]], *, withheld_too: bool) -> Mapping[str, str]:
    """The texts of the snapshots that quotes were found in, each read once."""
    ids = {row.snapshot_id for row in rows if row.state in FOUND}
    query = select(Snapshot.id, Snapshot.text).where(among(session, Snapshot.id, ids))
    kept = query.where(col(Snapshot.text_at_hand).is_(True))
    if not withheld_too:
        kept = kept.where(col(Snapshot.text_withheld).is_(False))
    return {row.id: row.text for row in session.execute(kept)} if ids else {}


def _document(row: Row[Any], texts: Mapping[str, str]) -> dict[str, Any]:
    found = differs = None
    if row.state in FOUND and row.snapshot_id in texts:
        found = texts[row.snapshot_id][row.start : row.end]
        between = differences(row.exact, found)
        words = [{"quote": quote, "text": text} for quote, text in between.words]
        differs = {"typography": between.typography, "words": words}
    return {
        "claim": row.claim_id,
        "evidence": None if row.record_id == row.claim_id else row.record_id,
        "snapshot": row.snapshot_id,
        **anchor(row),
        "found": found,
        "differs": differs,
    }
