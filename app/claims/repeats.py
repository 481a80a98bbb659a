"""Claims that repeat others. A claim that is repeated repeats none itself, so every chain has one step."""

from collections.abc import Iterable

from sqlalchemy import Boolean, column, exists, table
from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.errors import Conflict, Invalid
from app.base.sql import among, select
from app.changes.hidden import must_be_seen
from app.changes.store import By, save
from app.claims.model import STANDING, Claim
from app.claims.standing import carry_correction


def firsts(session: ReadSession, claims: Iterable[str]) -> dict[str, str]:
    """Which claim each of some claims repeats, or itself, by id; of what is no claim nothing."""
    rows = session.execute(select(Claim.id, Claim.repeats_id).where(among(session, Claim.id, claims)))
    return {row.id: row.repeats_id or row.id for row in rows}


def point(session: ReadSession, record: Claim, repeats: str | None) -> None:
    """Points a claim at the first of its kind, whose verification it then carries; or frees it. Raises
    Invalid and Conflict.
    """
    if repeats is None:
        if record.repeats_id is not None:
            record.repeats_id = record.correction = None
            for name in STANDING:
                setattr(record, name, "unverified" if name == "status" else None)
        return
    original = _original(session, record, repeats)
    if record.repeats_id == original.id:
        return
    if record.visibility is None:
        must_be_seen(session, {"/repeats": original.id})
    if original.status == "withdrawn":
        raise Invalid.at("/repeats", f"leads to {original.id}, which is withdrawn")
    if record.repeats_id is None and record.status != "unverified":
        raise Conflict("A claim that has been taken or reviewed cannot become a repeat of another.")
    record.repeats_id, record.correction = original.id, None
    _copy_standing(original, record)


def must_be_decided(session: ReadSession, claim_id: str) -> None:
    """Raise Conflict if a ruling on a claim that repeats another waits for approval: set free, the claim
    would stand without it.
    """
    decided = exists().where(_DECISIONS.c.review_id == _REVIEWS.c.id)
    waits = select(_REVIEWS.c.id).where(_REVIEWS.c.claim_id == claim_id, _REVIEWS.c.needs_approval, ~decided)
    if session.execute(waits.limit(1)).first() is not None:
        raise Conflict("A ruling on it waits for approval: have it approved or returned before.")


# Modules to the right of this one have these tables.
_REVIEWS = table("reviews", column("id"), column("claim_id"), column("needs_approval", Boolean))
_DECISIONS = table("decisions", column("review_id"))


def _original(session: ReadSession, record: Claim, repeats: str) -> Claim:
    first = firsts(session, [repeats]).get(repeats)
    if first is None:
        raise Invalid.at("/repeats", f"there is no claim {repeats}")
    if first == record.id:
        through = "" if repeats == record.id else f": {repeats} repeats it"
        raise Invalid.at("/repeats", f"would have a claim repeat itself{through}")
    return session.get_one(Claim, first)


def _copy_standing(original: Claim, repeater: Claim) -> None:
    for name in STANDING:
        setattr(repeater, name, getattr(original, name))
    carry_correction(original, repeater)


def carry(session: WriteSession, original: Claim, *, by: By) -> None:
    """Gives the claims that repeat this one its standing; if it has become a repeat itself, they repeat what
    it repeats.
    """
    query = select(Claim).where(col(Claim.repeats_id) == original.id).order_by(col(Claim.id))
    for repeater in session.execute(query).scalars().all():
        repeater.repeats_id = original.repeats_id or original.id
        _copy_standing(original, repeater)
        save(session, repeater, by=by, action="claim.carry")
