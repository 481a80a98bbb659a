"""The moves of verification: taken, released, reviewed, approved, returned, corrected, withdrawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row
from sqlmodel import col

from app.access.model import Key, Role
from app.base.db import ReadSession, WriteSession
from app.base.errors import Forbidden, Invalid, NotFound
from app.base.ids import new_id
from app.base.sql import select
from app.base.times import now
from app.changes.store import By, save
from app.claims import repeats
from app.claims.model import Claim, ClaimSpeaker
from app.claims.standing import correct, stood
from app.entities.store import everyone_merged
from app.entities.store import resolve as resolve_entities
from app.reviews import evidence as gathered
from app.reviews.model import (
    AssignmentIn,
    Decision,
    Evidence,
    Outcome,
    Review,
    ReviewEvidence,
    ReviewIn,
)
from app.reviews.rules import Move, Piece, Standing, check, check_attribution
from app.sources.model import Source


@dataclass(frozen=True)
class Checker:
    """Who makes a move, with the role that they have."""

    by: By
    role: Role


# --- moves -------------------------------------------------------------------------------------


def take(session: WriteSession, claim: Claim, wish: AssignmentIn, lease: timedelta, *, who: Checker) -> None:
    """Gives the claim to the caller, or by an editor to another checker, until the lease expires."""
    _check(session, "take", claim, who)
    assignee = wish.assignee or who.by.id
    if assignee != who.by.id:
        _check_assignee(session, assignee, who)
    if session.get(Key, assignee) is None:
        raise Invalid.at("/assignee", f"there is no key {assignee}")
    if wish.minutes is not None:
        lease = timedelta(minutes=wish.minutes)
    claim.status, claim.assignee_id, claim.lease_expires_at = "in_review", assignee, now() + lease
    _save(session, claim, who, "claim.take")


def _check_assignee(session: ReadSession, assignee: str, who: Checker) -> None:
    if who.role < Role.editor:
        raise Forbidden("Only an editor may give a claim to another.")
    key = session.get(Key, assignee)
    if key is None or key.revoked_at is not None or Role[key.role] < Role.checker:
        raise Invalid.at("/assignee", f"{assignee} is not the key of a checker")


def release(session: WriteSession, claim: Claim, *, who: Checker) -> None:
    """Puts the claim back as it was before it was taken."""
    _check(session, "release", claim, who)
    _settle(session, claim)
    _save(session, claim, who, "claim.release")


def review(session: WriteSession, claim: Claim, ruling: ReviewIn, *, four_eyes: bool, who: Checker) -> Review:
    """Rules on a claim, or corrects a ruling. Under four eyes the ruling waits for approval."""
    move = _move(claim, ruling)
    _check(session, move, claim, who)
    if ruling.verdict is not None and claim.kind in ("opinion", "position"):
        raise Invalid.at("/verdict", f"is not given to {claim.kind}s: they are recorded, not rated")
    record = _record(session, claim, ruling, who.by, needs_approval=four_eyes)
    action, was = f"claim.{move}", stood(claim)
    if record.needs_approval:
        _wait(claim, record.reviewer_id)
        action = "claim.propose"
    else:
        _settle(session, claim)
        if record.corrects_id is not None:
            correct(claim, "correction", was, record.correction_note, record.id)
    _save(session, claim, who, action, reason=ruling.correction_note or ruling.summary)
    return record


def _move(claim: Claim, ruling: ReviewIn) -> Move:
    if claim.repeats_id is not None and ruling.verdict is not None:
        return "review"  # which a repeat has not
    if ruling.corrects is not None:
        return "correct"
    return "review" if claim.repeats_id is None else "attribute"


def _wait(claim: Claim, proposer: str) -> None:
    claim.status, claim.proposer_id = "pending_approval", proposer
    claim.assignee_id = claim.lease_expires_at = None


def _record(session: WriteSession, claim: Claim, ruling: ReviewIn, by: By, *, needs_approval: bool) -> Review:
    corrected = _corrected(session, claim, ruling)
    named = {"/publisher": ruling.publisher, "/actual_speaker": ruling.actual_speaker}
    entities = resolve_entities(session, {at: ref for at, ref in named.items() if ref})
    record = Review(
        id=new_id("rev"),
        claim_id=claim.id,
        publisher_id=entities[ruling.publisher] if ruling.publisher else None,
        reviewer_id=by.id,
        reviewer_name=by.name,
        verdict=ruling.verdict,
        attribution=ruling.attribution,
        label=ruling.label,
        rating_value=ruling.rating.value if ruling.rating else None,
        rating_best=ruling.rating.best if ruling.rating else None,
        rating_worst=ruling.rating.worst if ruling.rating else None,
        summary=ruling.summary,
        explanation=ruling.explanation,
        url=ruling.url,
        reviewed_at=ruling.reviewed_at or now(),
        corrects_id=corrected.id if corrected else None,
        correction_note=ruling.correction_note,
        needs_approval=needs_approval and claim.repeats_id is None,
        actual_words=ruling.actual_words,
        actual_speaker_id=entities[ruling.actual_speaker] if ruling.actual_speaker else None,
    )
    _check_actual_speaker(session, claim, ruling)
    cited = _cited(session, claim, ruling, by)
    check_attribution(ruling, _pieces(session, cited))
    links = [
        ReviewEvidence(review_id=record.id, position=n, evidence_id=evidence_id)
        for n, evidence_id in enumerate(cited)
    ]
    save(session, record, by=by, action="review.give", parts={"evidence": links})
    return record


def _corrected(session: ReadSession, claim: Claim, ruling: ReviewIn) -> Review | None:
    if ruling.corrects is None:
        return None
    corrected = session.get(Review, ruling.corrects)
    if corrected is None or corrected.claim_id != claim.id:
        raise Invalid.at("/corrects", "is not a review of this claim")
    if corrected.id not in {review.id for review in _standing_reviews(session, claim.id)}:
        raise Invalid.at("/corrects", "does not stand: it was corrected, returned or never approved")
    for name in ("verdict", "attribution"):
        if getattr(corrected, name) is not None and getattr(ruling, name) is None:
            raise Invalid.at(f"/{name}", "is missing: the ruling that is replaced, as a whole, has one")
    return corrected


def _cited(session: WriteSession, claim: Claim, ruling: ReviewIn, by: By) -> list[str]:
    query = select(Evidence.id).where(col(Evidence.claim_id) == claim.id, col(Evidence.id).in_(ruling.cites))
    known = set(session.execute(query).scalars())
    for n, cited in enumerate(ruling.cites):
        if cited not in known:
            raise Invalid.at(f"/cites/{n}", "is not evidence of this claim")
    fresh = [
        gathered.gather(session, claim, item, by=by, at=f"/evidence/{n}").id
        for n, item in enumerate(ruling.evidence)
    ]
    return [*ruling.cites, *fresh]


def _pieces(session: ReadSession, cited: Sequence[str]) -> list[Piece]:
    query = select(Source.kind, Evidence.state).select_from(Evidence)
    query = query.outerjoin(Source, col(Source.id) == col(Evidence.source_id))
    return [Piece(*row) for row in session.execute(query.where(col(Evidence.id).in_(cited)))]


def _check_actual_speaker(session: ReadSession, claim: Claim, ruling: ReviewIn) -> None:
    if ruling.actual_speaker is None:
        return
    same = everyone_merged(session, "actual_speaker", [ruling.actual_speaker])
    speakers = select(ClaimSpeaker.entity_id).where(col(ClaimSpeaker.claim_id) == claim.id)
    if session.execute(speakers.where(col(ClaimSpeaker.entity_id).in_(same))).first():
        raise Invalid.at("/actual_speaker", "is whom the claim has as its speaker")


def decide(
    session: WriteSession,
    claim: Claim,
    outcome: Outcome,
    note: str | None,
    lease: timedelta,
    *,
    who: Checker,
) -> None:
    """Approves the ruling that waits, or returns it to its proposer with a fresh lease on the claim."""
    _check(session, "approve" if outcome == "approved" else "return", claim, who)
    proposal = _proposal(session, claim.id)
    if proposal is None:
        raise NotFound("No ruling waits for approval.")
    decision = Decision(
        id=new_id("dec"),
        review_id=proposal.id,
        outcome=outcome,
        note=note,
        decided_by=who.by.id,
        decided_by_name=who.by.name,
    )
    save(session, decision, by=who.by, action=f"review.{outcome}", reason=note)
    was = stood(claim) | {"status": "reviewed"}
    _settle(session, claim)
    if outcome == "returned":
        claim.status, claim.assignee_id = "in_review", proposal.reviewer_id
        claim.lease_expires_at = now() + lease
        _save(session, claim, who, "claim.return", note)
    elif proposal.corrects_id is not None:
        correct(claim, "correction", was, proposal.correction_note, proposal.id)
        _save(session, claim, who, "claim.correct", proposal.correction_note)
    else:
        _save(session, claim, who, "claim.approve", note)


def withdraw(session: WriteSession, claim: Claim, note: str, *, who: Checker) -> None:
    """Withdraws the claim, with a public note. It stays readable."""
    _check(session, "withdraw", claim, who)
    correct(claim, "withdrawal", stood(claim), note)
    claim.status, claim.public_note = "withdrawn", note
    claim.assignee_id = claim.lease_expires_at = claim.proposer_id = None
    _save(session, claim, who, "claim.withdraw", note)


def reinstate(session: WriteSession, claim: Claim, *, who: Checker) -> None:
    """Takes a withdrawal back: the claim stands as its reviews have it, one that waits for approval among
    them.
    """
    _check(session, "reinstate", claim, who)
    correct(claim, "reinstatement", stood(claim), None)
    _settle(session, claim)
    if proposal := _proposal(session, claim.id):
        _wait(claim, proposal.reviewer_id)
    _save(session, claim, who, "claim.reinstate")


def _check(session: ReadSession, move: Move, claim: Claim, who: Checker) -> None:
    proposal = _proposal(session, claim.id) if claim.status == "pending_approval" else None
    standing = Standing(
        claim_id=claim.id,
        status=claim.status,  # type: ignore[arg-type]
        repeats=claim.repeats_id,
        holder=claim.assignee_id,
        lease_expires_at=claim.lease_expires_at,
        proposer=proposal.reviewer_id if proposal else None,
    )
    check(move, standing, who.by.id, who.role, now())


def _save(session: WriteSession, claim: Claim, who: Checker, action: str, reason: str | None = None) -> None:
    save(session, claim, by=who.by, action=action, reason=reason)
    repeats.carry(session, claim, by=who.by)


# --- standing ----------------------------------------------------------------------------------


def _settle(session: ReadSession, claim: Claim) -> None:
    """Gives the claim the standing that its reviews make: each desk's latest word counts, the latest of all
    is the verdict, and who differs shows in the agreement.
    """
    standing = _standing_reviews(session, claim.id)
    attributed = [review for review in standing if review.attribution]
    said = {review.publisher_id: review.attribution for review in attributed}
    claim.attribution = attributed[-1].attribution if attributed else "unconfirmed"
    claim.attribution_agreement = _agreement(list(said.values()))
    if claim.repeats_id is not None:
        return
    ruled = [review for review in standing if review.verdict]
    desks = {review.publisher_id: review.verdict for review in ruled}
    claim.verdict = ruled[-1].verdict if ruled else None
    claim.agreement = _agreement(list(desks.values()))
    claim.reviewed_at = standing[-1].reviewed_at if standing else None
    notes = [review.correction_note for review in standing if review.correction_note]
    claim.public_note = notes[-1] if notes else None
    claim.status = "reviewed" if standing else "unverified"
    claim.assignee_id = claim.lease_expires_at = claim.proposer_id = None


def _agreement(words: Sequence[str]) -> str | None:
    if len(words) < 2:
        return "single" if words else None
    return "unanimous" if len(set(words)) == 1 else "split"


def _standing_reviews(session: ReadSession, claim_id: str) -> list[Row[Any]]:
    """The reviews that count, oldest first: approved where they had to be, and not corrected since."""
    query = (
        select(
            Review.id,
            Review.publisher_id,
            Review.verdict,
            Review.attribution,
            Review.reviewed_at,
            Review.corrects_id,
            Review.correction_note,
        )
        .outerjoin(Decision, col(Decision.review_id) == col(Review.id))
        .where(
            col(Review.claim_id) == claim_id,
            col(Review.needs_approval).is_(False) | (col(Decision.outcome) == "approved"),
        )
        .order_by(col(Review.id))
    )
    approved = session.execute(query).all()
    corrected = {review.corrects_id for review in approved}
    return [review for review in approved if review.id not in corrected]


def _proposal(session: ReadSession, claim_id: str) -> Row[Any] | None:
    """The ruling that waits for approval."""
    query = (
        select(Review.id, Review.reviewer_id, Review.corrects_id, Review.correction_note)
        .outerjoin(Decision, col(Decision.review_id) == col(Review.id))
        .where(
            col(Review.claim_id) == claim_id,
            col(Review.needs_approval).is_(True),
            col(Decision.id).is_(None),
        )
        .order_by(col(Review.id).desc())
    )
    return session.execute(query.limit(1)).first()
