"""Claims shown to the public, with what they need to be read, and taken back from it."""

import logging
from datetime import datetime
from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from app.base.db import Database, ReadSession, WriteSession
from app.base.errors import Conflict, Problem, Unavailable
from app.base.sql import select
from app.base.times import now
from app.changes.erasure import begin_epoch
from app.changes.hidden import INTERNAL, hidden_among
from app.changes.model import Change
from app.changes.store import By, save
from app.claims.model import Appearance, Claim
from app.reviews import evidence
from app.reviews.model import Evidence
from app.reviews.settled import standing_reviews
from app.sources.model import Snapshot, Source
from app.visibility import hidden_with

log = logging.getLogger("on-the-record")

EMBARGO = By("embargo", "embargo")
"""Who publishes a claim whose embargo has ended."""

_EVERY_SECONDS = 1.0


def publish(session: WriteSession, claim: Claim, note: str | None, *, by: By) -> None:
    """Show a claim to the public, with the sources that it and its public evidence name, and what the rulings
    that count rest on. Its entry names the entries that this reveals. Raise Conflict if it is public, or
    repeats a claim that is not.
    """
    if claim.visibility is None:
        raise Conflict(f"The claim {claim.id} is public.")
    if claim.repeats_id and hidden_among(session, [claim.repeats_id]):
        raise Conflict(f"It repeats {claim.repeats_id}, which is internal: publish that first.")
    revealed = []
    for review in standing_reviews(session, claim.id):
        revealed += evidence.show(session, review.id, by=by, public=False)
    revealed += _show_sources(session, claim.id, by)
    revealed += hidden_with(session, claim.id)
    was_taken_back = (claim.publication or {}).get("taken_back")
    claim.visibility = claim.embargoed_until = None
    claim.publication = {"reveals": _entries_of(session, revealed)}
    save(session, claim, by=by, action="claim.publish", reason=note)
    if was_taken_back:  # earlier moments were made without it
        begin_epoch(session)


def _show_sources(session: WriteSession, claim_id: str, by: By) -> list[str]:
    named = select(Appearance.source_id).where(col(Appearance.claim_id) == claim_id)
    proofs = select(Evidence.source_id).where(col(Evidence.claim_id) == claim_id)
    query = select(Source).where(
        col(Source.visibility).is_not(None),
        col(Source.id).in_(named) | col(Source.id).in_(proofs.where(col(Evidence.visibility).is_(None))),
    )
    shown: list[str] = []
    for source in session.execute(query.order_by(col(Source.id))).scalars().all():
        texts = select(Snapshot.id).where(col(Snapshot.source_id) == source.id)
        shown += [source.id, *session.execute(texts).scalars()]
        source.visibility = None
        save(session, source, by=by, action="source.publish")
    return shown


def _entries_of(session: ReadSession, ids: list[str]) -> list[int]:
    """The entries of some records but those that have just published them."""
    published = ("source.publish", "evidence.publish")
    query = select(Change.seq).where(col(Change.resource_id).in_(ids), col(Change.action).not_in(published))
    return [*session.execute(query.order_by(col(Change.seq))).scalars()]


def embargo(session: WriteSession, claim: Claim, until: datetime, note: str | None, *, by: By) -> None:
    """Have a claim become public at a moment. Raise Conflict if it is public."""
    if claim.visibility is None:
        raise Conflict(f"The claim {claim.id} is public: take it back first.")
    claim.embargoed_until = until
    save(session, claim, by=by, action="claim.embargo", reason=note)


def take_back(session: WriteSession, claim: Claim, *, by: By) -> None:
    """Take a claim back from the public, or end its embargo without publishing it. Raise Conflict if public
    claims repeat it, or it is internal already.
    """
    if claim.visibility is not None and claim.embargoed_until is None:
        raise Conflict(f"The claim {claim.id} is internal.")
    repeats = select(Claim.id).where(col(Claim.repeats_id) == claim.id, col(Claim.visibility).is_(None))
    if claim.visibility is None and (other := session.execute(repeats.limit(1)).scalar()):
        raise Conflict(f"The public claim {other} repeats it: take that back first.", existing=other)
    was_public = claim.visibility is None
    if was_public:
        claim.publication = {"taken_back": True}
    claim.visibility, claim.embargoed_until = INTERNAL, None
    save(session, claim, by=by, action="claim.unpublish")
    if was_public:
        begin_epoch(session)


# --- embargoes that end --------------------------------------------------------------------------


def end_embargoes(db: Database) -> None:
    """Publish each claim whose embargo has ended."""
    due = select(Claim.id).where(col(Claim.embargoed_until) <= now())
    if db.missing:
        return
    with db.read() as session:
        ids = session.execute(due.order_by(col(Claim.embargoed_until), col(Claim.id))).scalars().all()
    for claim_id in ids:
        try:
            _end(db, claim_id)
        except Problem as fault:
            if isinstance(fault, Unavailable):
                raise
            _give_up(db, claim_id, fault.detail)


def _end(db: Database, claim_id: str) -> None:
    with db.write() as session:
        claim = session.get_one(Claim, claim_id)
        if (
            claim.embargoed_until is not None and claim.embargoed_until <= now()
        ):  # or another process was there
            publish(session, claim, None, by=EMBARGO)


def _give_up(db: Database, claim_id: str, why: str) -> None:
    log.error("The claim %s stays internal though its embargo has ended: %s", claim_id, why)
    with db.write() as session:
        claim = session.get_one(Claim, claim_id)
        claim.embargoed_until = None
        save(session, claim, by=EMBARGO, action="claim.embargo", reason=why)


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
