"""The standing that its reviews give a claim, and the ruling that waits for approval."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row
from sqlmodel import col

from app.base.db import ReadSession
from app.base.sql import select
from app.claims.model import Claim
from app.reviews.model import Decision, Review


def settle(session: ReadSession, claim: Claim) -> None:
    """Gives the claim the standing that its reviews make: each desk's latest word counts, the latest of all
    is the verdict, and who differs shows in the agreement. Latest is what was reviewed last: what a desk
    published years ago may be entered today.
    """
    standing = sorted(standing_reviews(session, claim.id), key=lambda each: (each.reviewed_at, each.id))
    # Only what was looked up here confirms: that another has confirmed it is the other's word.
    attributed = [
        review
        for review in standing
        if review.attribution and not (review.entered and review.attribution == "confirmed")
    ]
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


def standing_reviews(session: ReadSession, claim_id: str) -> list[Row[Any]]:
    """The reviews that count, oldest first: approved where they had to be, not corrected since, and ruling on
    something.
    """
    query = (
        select(
            Review.id,
            Review.publisher_id,
            Review.verdict,
            Review.attribution,
            Review.label,
            Review.reviewed_at,
            Review.corrects_id,
            Review.correction_note,
            Review.entered,
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
    return [
        review
        for review in approved
        if review.id not in corrected and (review.verdict or review.attribution or review.label)
    ]


def proposal(session: ReadSession, claim_id: str) -> Row[Any] | None:
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
