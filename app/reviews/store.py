"""The moves of verification: taken, released, reviewed, approved, returned, corrected, withdrawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, column, or_, table
from sqlmodel import col

from app.access import people
from app.access.model import Person, Role
from app.base.db import ReadSession, WriteSession
from app.base.errors import Forbidden, Invalid, NotFound
from app.base.ids import new_id
from app.base.sql import select
from app.base.times import now
from app.changes import earlier
from app.changes.model import Change
from app.changes.store import By, save
from app.changes.workers import is_person
from app.claims import repeats
from app.claims.model import Claim, ClaimSpeaker
from app.claims.standing import correct, stood
from app.entities.store import everyone_merged
from app.entities.store import resolve as resolve_entities
from app.reviews import desks
from app.reviews import evidence as gathered
from app.reviews.confirmation import confirm
from app.reviews.model import (
    AssignmentIn,
    Decision,
    Evidence,
    EvidenceIn,
    Outcome,
    PublishedIn,
    Review,
    ReviewEvidence,
    ReviewIn,
)
from app.reviews.rules import Move, Standing, check, check_evidence
from app.reviews.settled import proposal, settle, standing_reviews

CHANGED = "The desk has changed its review."
"""The public note of a change for which the desk gives no reason."""


@dataclass(frozen=True)
class Checker:
    """Who makes a move, with the role that they have."""

    by: By
    role: Role


# --- moves -------------------------------------------------------------------------------------


def take(session: WriteSession, claim: Claim, wish: AssignmentIn, lease: timedelta, *, who: Checker) -> None:
    """Gives the claim to the caller, or by an editor to another checker, until the lease expires."""
    _check(session, "take", claim, who)
    assignee = who.by.id
    if wish.assignee not in (None, who.by.id, who.by.name):
        assignee = _other_assignee(session, str(wish.assignee), who)
    if wish.minutes is not None:
        lease = timedelta(minutes=wish.minutes)
    claim.status, claim.assignee_id, claim.lease_expires_at = "in_review", assignee, now() + lease
    _save(session, claim, who, "claim.take")


def _other_assignee(session: ReadSession, named: str, who: Checker) -> str:
    if who.role < Role.editor:
        raise Forbidden("Only an editor may give a claim to another.")
    assignee = people.resolve(session, named, "/assignee")
    if Role[session.get_one(Person, assignee).role] < Role.checker:
        raise Invalid.at("/assignee", f"{named} is not a checker")
    return assignee


def release(session: WriteSession, claim: Claim, *, who: Checker) -> None:
    """Puts the claim back as it was before it was taken."""
    _check(session, "release", claim, who)
    free(session, claim, by=who.by)


def free(session: WriteSession, claim: Claim, *, by: By) -> None:
    """Ends the lease on a claim, which then stands as it did before."""
    settle(session, claim)
    save(session, claim, by=by, action="claim.release")
    repeats.carry(session, claim, by=by)


def review(session: WriteSession, claim: Claim, ruling: ReviewIn, *, four_eyes: bool, who: Checker) -> Review:
    """Rules on a claim, or corrects a ruling. Under four eyes the ruling waits for approval."""
    move = _move(claim, ruling, ruling.corrects is not None)
    _check(session, move, claim, who)
    must_be_rated(claim.kind, ruling)
    record = _record(session, claim, ruling, who.by, needs_approval=four_eyes)
    _rule(session, claim, record, move, who, ruling.correction_note or ruling.summary)
    return record


def publish(
    session: WriteSession,
    claim: Claim,
    ruling: PublishedIn,
    desk: str,
    corrected: Review | None = None,
    *,
    four_eyes: bool,
    who: Checker,
) -> Review:
    """Enters what another desk has published, in place of what it had published before (`corrected`). It
    rests on what that desk says at its address, so that it needs no evidence here.
    """
    move = must_be_open(session, claim, ruling, who, corrected)
    must_be_rated(claim.kind, ruling)
    record = _row(claim, ruling, who.by, desk, needs_approval=four_eyes)
    record.entered = desks.is_entered(session, who.by.id, desk, corrected) or None
    if corrected is not None:
        record.corrects_id = corrected.id
        record.correction_note = ruling.correction_note or CHANGED
    pages = (EvidenceIn(url=url, stance="context") for url in dict.fromkeys(ruling.citations))
    cited = [
        gathered.gather(session, claim, page, by=who.by, internal=record.needs_approval).id for page in pages
    ]
    _keep(session, record, cited, who.by)
    _rule(session, claim, record, move, who, record.correction_note or ruling.summary)
    return record


def must_be_open(
    session: ReadSession,
    claim: Claim,
    ruling: PublishedIn,
    who: Checker,
    corrected: Review | None = None,
) -> Move:
    """The move that entering it is. Raises IllegalMove and Forbidden."""
    move = _move(claim, ruling, corrected is not None)
    _check(session, "enter" if move == "review" else move, claim, who)
    return move


def take_back(
    session: WriteSession, claim: Claim, review: Review, note: str, *, four_eyes: bool, who: Checker
) -> Review:
    """Notes that a desk has withdrawn a review: a later one takes its place that rules on nothing."""
    _check(session, "correct", claim, who)
    nothing = PublishedIn(publisher="-", url=review.url, summary=note, correction_note=note)
    record = _row(claim, nothing, who.by, review.publisher_id, needs_approval=four_eyes)
    record.entered = desks.is_entered(session, who.by.id, review.publisher_id, review) or None
    record.corrects_id = review.id
    _keep(session, record, [], who.by)
    _rule(session, claim, record, "correct", who, note)
    return record


def _rule(session: WriteSession, claim: Claim, record: Review, move: Move, who: Checker, reason: str) -> None:
    """Gives the claim the standing that it has with a new review."""
    action, was = f"claim.{move}", stood(claim)
    if record.needs_approval:
        _wait(claim, record.reviewer_id)
        action = "claim.propose"
    else:
        publication = _reveal(session, claim, record.id, who, waited=False)
        settle(session, claim)
        claim.publication = publication or claim.publication
        if record.corrects_id is not None:
            correct(claim, "correction", was, record.correction_note, record.id)
    _save(session, claim, who, action, reason=reason)


def must_be_rated(kind: str, ruling: ReviewIn | PublishedIn) -> None:
    """Raises Invalid for a verdict on a kind of claim that has none."""
    if ruling.verdict is not None and kind in ("opinion", "position"):
        raise Invalid.at("/verdict", f"is not given to {kind}s: they are recorded, not rated")


def _move(claim: Claim, ruling: ReviewIn | PublishedIn, corrects: bool) -> Move:
    if claim.repeats_id is not None and (ruling.verdict is not None or ruling.attribution is None):
        return "review"  # which a repeat has not
    if corrects:
        return "correct"
    return "review" if claim.repeats_id is None else "attribute"


def _wait(claim: Claim, proposer: str) -> None:
    if claim.repeats_id is None:  # else its standing is another's
        claim.status, claim.proposer_id = "pending_approval", proposer if is_person(proposer) else None
        claim.assignee_id = claim.lease_expires_at = None


def _record(session: WriteSession, claim: Claim, ruling: ReviewIn, by: By, *, needs_approval: bool) -> Review:
    corrected = _corrected(session, claim, ruling)
    named = {"/publisher": ruling.publisher, "/actual_speaker": ruling.actual_speaker}
    entities = resolve_entities(session, {at: ref for at, ref in named.items() if ref})
    desk = entities[ruling.publisher] if ruling.publisher else next(iter(desks.own(session, by.id)), None)
    record = _row(claim, ruling, by, desk, needs_approval=needs_approval)
    record.entered = desks.is_entered(session, by.id, record.publisher_id, corrected) or None
    record.corrects_id = corrected.id if corrected else None
    record.actual_words = ruling.actual_words
    record.actual_speaker_id = entities[ruling.actual_speaker] if ruling.actual_speaker else None
    _check_actual_speaker(session, claim, ruling)
    cited = _cited(session, claim, ruling, by, internal=record.needs_approval)
    check_evidence(ruling, cited)
    if ruling.attribution == "confirmed":
        record.confirmed_by = confirm(session, claim, cited)
    _keep(session, record, cited, by)
    return record


def _row(
    claim: Claim, ruling: ReviewIn | PublishedIn, by: By, desk: str | None, *, needs_approval: bool
) -> Review:
    rating = ruling.rating
    return Review(
        id=new_id("rev"),
        claim_id=claim.id,
        publisher_id=desk,
        reviewer_id=by.id,
        reviewer_name=by.name,
        verdict=ruling.verdict,
        attribution=ruling.attribution,
        label=ruling.label,
        rating_value=rating.value if rating else None,
        rating_best=rating.best if rating else None,
        rating_worst=rating.worst if rating else None,
        summary=ruling.summary,
        explanation=ruling.explanation,
        url=ruling.url,
        reviewed_at=ruling.reviewed_at or now(),
        correction_note=ruling.correction_note,
        needs_approval=needs_approval,
    )


def _keep(session: WriteSession, record: Review, cited: Sequence[str], by: By) -> None:
    links = [
        ReviewEvidence(review_id=record.id, position=n, evidence_id=evidence_id)
        for n, evidence_id in enumerate(cited)
    ]
    save(session, record, by=by, action="review.give", parts={"evidence": links})


def _corrected(session: ReadSession, claim: Claim, ruling: ReviewIn) -> Review | None:
    if ruling.corrects is None:
        return None
    corrected = session.get(Review, ruling.corrects)
    if corrected is None or corrected.claim_id != claim.id:
        raise Invalid.at("/corrects", "is not a review of this claim")
    if corrected.id not in {review.id for review in standing_reviews(session, claim.id)}:
        raise Invalid.at("/corrects", "does not stand: it was corrected, returned or never approved")
    for name in ("verdict", "attribution"):
        if getattr(corrected, name) is not None and getattr(ruling, name) is None:
            raise Invalid.at(f"/{name}", "is missing: the ruling that is replaced, as a whole, has one")
    return corrected


def _cited(session: WriteSession, claim: Claim, ruling: ReviewIn, by: By, *, internal: bool) -> list[str]:
    query = select(Evidence.id).where(col(Evidence.claim_id) == claim.id, col(Evidence.id).in_(ruling.cites))
    known = set(session.execute(query).scalars())
    for n, cited in enumerate(ruling.cites):
        if cited not in known:
            raise Invalid.at(f"/cites/{n}", "is not evidence of this claim")
    fresh = [
        gathered.gather(session, claim, item, by=by, at=f"/evidence/{n}", internal=internal).id
        for n, item in enumerate(ruling.evidence)
    ]
    return [*ruling.cites, *fresh] or (gathered.cited_by(session, ruling.corrects) if ruling.corrects else [])


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
    """Approves the ruling that waits, or returns it to its proposer with a fresh lease on the claim. Nobody
    has the claim then if a command proposed it, or somebody who has ended.
    """
    _check(session, "approve" if outcome == "approved" else "return", claim, who)
    waiting = proposal(session, claim.id)
    if waiting is None:
        raise NotFound("No ruling waits for approval.")
    decision = Decision(
        id=new_id("dec"),
        review_id=waiting.id,
        outcome=outcome,
        note=note,
        decided_by=who.by.id,
        decided_by_name=who.by.name,
    )
    save(session, decision, by=who.by, action=f"review.{outcome}", reason=note)
    was = stood(claim) | ({"status": "reviewed"} if claim.repeats_id is None else {})
    publication = _reveal(session, claim, waiting.id, who, waited=True) if outcome == "approved" else None
    settle(session, claim)
    claim.publication = publication or claim.publication
    if outcome == "returned":
        if claim.repeats_id is None and people.works_here(session, waiting.reviewer_id):
            claim.status, claim.assignee_id = "in_review", waiting.reviewer_id
            claim.lease_expires_at = now() + lease
        _save(session, claim, who, "claim.return", note)
    elif waiting.corrects_id is not None:
        correct(claim, "correction", was, waiting.correction_note, waiting.id)
        _save(session, claim, who, "claim.correct", waiting.correction_note)
    else:
        _save(session, claim, who, "claim.approve", note)


def _reveal(
    session: WriteSession, claim: Claim, review_id: str, who: Checker, *, waited: bool
) -> dict[str, Any] | None:
    """Show the public what a ruling rests on that has come to count. Return which earlier entries that
    reveals: its own too if it has `waited` for approval. Of an internal claim nothing is revealed yet.
    """
    public = claim.visibility is None
    shown = gathered.show(session, review_id, by=who.by, public=public) + ([review_id] if waited else [])
    if not shown or not public:
        return None
    of_these = col(Change.resource_id).in_(shown), col(Change.action) != "evidence.publish"
    seqs = session.execute(select(Change.seq).where(*of_these).order_by(col(Change.seq))).scalars()
    return {"reveals": [*seqs]}


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
    settle(session, claim)
    if waiting := proposal(session, claim.id):
        _wait(claim, waiting.reviewer_id)
    _save(session, claim, who, "claim.reinstate")


def _check(session: ReadSession, move: Move, claim: Claim, who: Checker) -> None:
    may_wait = claim.status == "pending_approval" or claim.repeats_id is not None
    waiting = proposal(session, claim.id) if may_wait else None
    standing = Standing(
        claim_id=claim.id,
        status=claim.status,  # type: ignore[arg-type]
        repeats=claim.repeats_id,
        holder=claim.assignee_id,
        lease_expires_at=claim.lease_expires_at,
        proposer=waiting.reviewer_id if waiting else None,
        author=_only_author(session, claim) if who.role < Role.editor else None,
    )
    check(move, standing, who.by.id, who.role, now())


def _only_author(session: ReadSession, claim: Claim) -> str | None:
    """Return who has stated an unverified claim, if nobody else has done anything about it: revised or taken
    it, gathered evidence or judged a link, or stated a claim that repeats it. Who has read it is not kept.
    """
    if claim.status != "unverified":
        return None
    evidence = select(Evidence.id).where(col(Evidence.claim_id) == claim.id)
    work = or_(
        and_(col(Change.resource) == "claim", col(Change.resource_id) == claim.id),
        and_(col(Change.resource) == "evidence", col(Change.resource_id).in_(evidence)),
    )
    at_work = select(Change.actor).where(work, col(Change.action).not_in(_OF_THE_TEXT)).distinct().limit(3)
    actors = {earlier.person_of(each) for each in session.execute(at_work).scalars()}
    links = table("links", column("claim_id"), column("other_id"))  # which are a module to the right
    ends = (links.c.claim_id == claim.id) | (links.c.other_id == claim.id)
    others = [select(Claim.id).where(col(Claim.repeats_id) == claim.id), select(links.c.claim_id).where(ends)]
    untouched = not any(session.execute(other.limit(1)).first() for other in others)
    return actors.pop() if len(actors) == 1 and untouched else None


_OF_THE_TEXT = ("claim.anchor", "evidence.anchor")
"""What is done to a claim by whoever archives a text of its source."""


def _save(session: WriteSession, claim: Claim, who: Checker, action: str, reason: str | None = None) -> None:
    save(session, claim, by=who.by, action=action, reason=reason)
    repeats.carry(session, claim, by=who.by)
