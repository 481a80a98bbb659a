"""Claims and sources shown to the public, with what they need to be read, and taken back from it."""

import logging
from collections.abc import Sequence
from datetime import datetime
from threading import Event, Thread
from typing import Any

from sqlalchemy import exists
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from app.base.db import Database, ReadSession, WriteSession
from app.base.errors import Conflict, Problem, Unavailable
from app.base.sql import Query, select
from app.base.times import now
from app.changes.erasure import begin_epoch
from app.changes.hidden import INTERNAL, Hidden, hidden_among
from app.changes.model import Change
from app.changes.store import By, is_erased, save
from app.claims.model import Appearance, Claim
from app.reviews import evidence
from app.reviews.model import Evidence
from app.reviews.settled import standing_reviews
from app.sources.model import Source
from app.visibility import hidden_with

log = logging.getLogger("on-the-record")

EMBARGO = By("embargo", "embargo")
"""Who publishes a record whose embargo has ended."""

Publishable = Claim | Source
"""What is published by itself; everything else is as public as what it belongs to."""

_EVERY_SECONDS = 1.0


def publish(session: WriteSession, record: Publishable, note: str | None, *, by: By) -> None:
    """Show a record to the public with all that belongs to it: with a claim, the sources that it and its
    public evidence name, and what the rulings that count rest on. Its entry names the entries that this
    reveals. Raise Conflict if it is public, or repeats a claim that is not.
    """
    if record.visibility is None:
        raise Conflict(f"The {record.noun} {record.id} is public.")
    revealed = _show_what_it_needs(session, record, by) if isinstance(record, Claim) else []
    _show(session, record, revealed, note, by=by)


def _show(
    session: WriteSession, record: Publishable, revealed: Sequence[int], note: str | None, *, by: By
) -> list[int]:
    """Make one record public. Return the entries that it reveals, with those `revealed` before it."""
    seqs = sorted({*revealed, *_entries_of(session, hidden_with(session, record))})
    was_taken_back = (record.publication or {}).get("taken_back")
    record.visibility = record.embargoed_until = None
    record.publication = {"reveals": seqs}
    save(session, record, by=by, action=f"{record.noun}.publish", reason=note)
    if was_taken_back:  # earlier moments were made without it
        begin_epoch(session)
    return seqs


def _show_what_it_needs(session: WriteSession, claim: Claim, by: By) -> list[int]:
    if claim.repeats_id and hidden_among(session, [claim.repeats_id]):
        raise Conflict(f"It repeats {claim.repeats_id}, which is internal: publish that first.")
    shown: list[str] = []
    for review in standing_reviews(session, claim.id):
        shown += evidence.show(session, review.id, by=by, public=False)
    seqs = _entries_of(session, shown)
    query = select(Source).where(col(Source.visibility).is_not(None), _named_by(claim.id))
    for source in session.execute(query.order_by(col(Source.id))).scalars().all():
        seqs += _show(session, source, [], None, by=by)
    return seqs


def _named_by(claim_id: str) -> Any:
    """That a claim, or its public evidence, names a source."""
    printed = select(Appearance.source_id).where(col(Appearance.claim_id) == claim_id)
    proofs = select(Evidence.source_id).where(
        col(Evidence.claim_id) == claim_id, col(Evidence.visibility).is_(None)
    )
    return col(Source.id).in_(printed) | col(Source.id).in_(proofs)


def _entries_of(session: ReadSession, ids: Sequence[str]) -> list[int]:
    """The entries of some records but those that have just published them."""
    published = ("source.publish", "evidence.publish")
    query = select(Change.seq).where(col(Change.resource_id).in_(ids), col(Change.action).not_in(published))
    return [*session.execute(query.order_by(col(Change.seq))).scalars()]


def embargo(session: WriteSession, record: Publishable, until: datetime, note: str | None, *, by: By) -> None:
    """Have a record become public at a moment. Raise Conflict if it is public."""
    if record.visibility is None:
        raise Conflict(f"The {record.noun} {record.id} is public: take it back first.")
    record.embargoed_until = until
    save(session, record, by=by, action=f"{record.noun}.embargo", reason=note)


def take_back(session: WriteSession, record: Publishable, *, by: By) -> None:
    """Take a record back from the public, or end its embargo without publishing it. Raise Conflict if it is
    internal already, or something public needs it: a claim that repeats it, or one that names it as a source.
    """
    was_public = record.visibility is None
    if not was_public and record.embargoed_until is None:
        raise Conflict(f"The {record.noun} {record.id} is internal.")
    if was_public:
        if other := session.execute(_public_claims_with(record).limit(1)).scalar():
            how = "repeats" if isinstance(record, Claim) else "names"
            raise Conflict(f"The public claim {other} {how} it: take that back first.", existing=other)
        record.publication = {"taken_back": True}
    record.visibility, record.embargoed_until = INTERNAL, None
    save(session, record, by=by, action=f"{record.noun}.unpublish")
    if was_public:
        begin_epoch(session)


def _public_claims_with(record: Publishable) -> Query:
    public = select(Claim.id).where(col(Claim.visibility).is_(None)).order_by(col(Claim.id))
    if isinstance(record, Claim):
        return public.where(col(Claim.repeats_id) == record.id)
    printed = select(Appearance.claim_id).where(col(Appearance.source_id) == record.id)
    hidden = exists().where(col(Hidden.record_id) == col(Evidence.id))
    proofs = select(Evidence.claim_id).where(col(Evidence.source_id) == record.id, ~hidden)
    return public.where(col(Claim.id).in_(printed) | col(Claim.id).in_(proofs))


# --- embargoes that end --------------------------------------------------------------------------


def end_embargoes(db: Database) -> None:
    """Publish each record whose embargo has ended, sources before claims."""
    if db.missing:
        return
    for kind in (Source, Claim):
        due = select(kind.id).where(col(kind.embargoed_until) <= now())
        with db.read() as session:
            ids = session.execute(due.order_by(col(kind.embargoed_until), col(kind.id))).scalars().all()
        for record_id in ids:
            _end_or_give_up(db, kind, record_id)


def _end_or_give_up(db: Database, kind: type[Publishable], record_id: str) -> None:
    try:
        with db.write() as session:
            record: Any = session.get_one(kind, record_id)
            if _is_due(record):
                publish(session, record, None, by=EMBARGO)
    except Problem as fault:
        if isinstance(fault, Unavailable):
            raise
        log.error("%s stays internal though its embargo has ended: %s", record_id, fault.detail)
        with db.write() as session:
            record = session.get_one(kind, record_id)
            if not _is_due(record):
                return
            record.embargoed_until = None
            save(session, record, by=EMBARGO, action=f"{record.noun}.embargo", reason=fault.detail)


def _is_due(record: Publishable) -> bool:
    """Return whether its embargo has ended, and no other process was there before. What was erased stays."""
    ended = record.embargoed_until is not None and record.embargoed_until <= now()
    return ended and not is_erased(record)


class Embargoes:
    """Ends embargoes in a thread of its own, until it is closed."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._closed = Event()
        self._thread = Thread(target=self._run, name="embargoes", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(_EVERY_SECONDS):
            try:
                end_embargoes(self._db)
            except (Unavailable, SQLAlchemyError):
                log.debug("Embargoes wait for the database")

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join(2 * _EVERY_SECONDS)
