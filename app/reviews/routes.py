"""The fact-checker's moves over HTTP, and archiving a text, which checks every quote of its source."""

from datetime import timedelta
from typing import Annotated

from fastapi import Query, Response

from app.access.model import Role
from app.access.requests import Checking, Editing, Read, Reading, ReadingNow, Reporting, Surveying, Write
from app.base.db import WriteSession
from app.base.http import AS_OF, produces, respond, v1
from app.base.openapi import IF_MATCH, answers, document_answers, listed
from app.base.page import Question
from app.base.times import now
from app.claims import store as claims
from app.claims.model import Claim
from app.claims.shapes import ClaimOut
from app.reviews import corrections, documents, evidence, queues, quoted, store, verdicts
from app.reviews.archived import AnchorQuestion, ArchivedOut, QuotedOut
from app.reviews.corrections import CorrectionFound, CorrectionQuestion
from app.reviews.model import (
    AssignmentIn,
    DecisionIn,
    EvidenceIn,
    EvidenceOut,
    ReviewIn,
    ReviewOut,
    WithdrawalIn,
)
from app.reviews.queues import QueuesOut
from app.reviews.syndication import ATOM, FEED, Feed
from app.reviews.verdicts import VerdictQuestion
from app.sources import store as sources
from app.sources.model import SnapshotIn

router, of_sources = v1("verification"), v1("sources")


def _checker(write: Write) -> store.Checker:
    return store.Checker(write.by, write.role or Role.reader)


def _lease(write: Write) -> timedelta:
    return timedelta(minutes=write.settings.lease_minutes)


def _expected(session: WriteSession, write: Write, claim_id: str) -> Claim:
    claim = claims.row(session, claim_id)
    write.expect(claim)
    return claim


@router.post(
    "/claims/{claim_id}/assignment",
    responses=answers(ClaimOut),
    operation_id="take_claim",
    openapi_extra=IF_MATCH,
)
def take_claim(claim_id: str, write: Checking, body: AssignmentIn | None = None) -> Response:
    """Takes a claim to check it. It is the caller's until the lease expires; an editor may give it to another
    checker.
    """
    with write as session:
        claim = _expected(session, write, claim_id)
        wish = body or AssignmentIn()
        store.take(session, claim, wish, _lease(write), who=_checker(write))
        return write.answer(claims.document(session, claim.id))


@router.delete(
    "/claims/{claim_id}/assignment",
    responses=answers(ClaimOut),
    operation_id="release_claim",
    openapi_extra=IF_MATCH,
)
def release_claim(claim_id: str, write: Checking) -> Response:
    """Gives a claim back unchecked."""
    with write as session:
        claim = _expected(session, write, claim_id)
        store.release(session, claim, who=_checker(write))
        return write.answer(claims.document(session, claim.id))


@router.get("/claims/{claim_id}/reviews", responses=listed(ReviewOut), operation_id="list_reviews")
def list_reviews(claim_id: str, ask: Annotated[Question, Query()], read: Reading) -> Response:
    """Every ruling on a claim, newest first: who, when, what, why, on what evidence."""
    with read as session:
        claims.must_exist(session, claim_id)
        found = documents.find(session, claim_id, ask, read.after(ask))
        return read.page(ask, found.rows, found.last)


@router.get("/claims/{claim_id}/reviews/{review_id}", responses=answers(ReviewOut), operation_id="get_review")
def get_review(claim_id: str, review_id: str, read: Reading) -> Response:
    """One ruling."""
    with read as session:
        return read.answer(documents.document(session, claim_id, review_id))


@router.post(
    "/claims/{claim_id}/reviews",
    status_code=201,
    responses=answers(ReviewOut, 201),
    operation_id="review_claim",
    openapi_extra=IF_MATCH,
)
def review_claim(claim_id: str, body: ReviewIn, write: Checking) -> Response:
    """Rules on a claim that the caller has taken, or, for editors, corrects a ruling. If-Match is the claim's
    ETag: of two who rule at once, one wins and the other is told.
    """
    with write as session:
        claim = _expected(session, write, claim_id)
        four_eyes = write.settings.four_eyes
        review = store.review(session, claim, body, four_eyes=four_eyes, who=_checker(write))
        location = f"/v1/claims/{claim.id}/reviews/{review.id}"
        return write.answer(documents.document(session, claim.id, review.id), 201, location=location)


@router.post(
    "/claims/{claim_id}/approval",
    responses=answers(ClaimOut),
    operation_id="approve_review",
    openapi_extra=IF_MATCH,
)
def approve_review(claim_id: str, write: Editing, body: DecisionIn | None = None) -> Response:
    """Approves the ruling that waits. Who proposed it may not."""
    with write as session:
        claim = _expected(session, write, claim_id)
        note = body.note if body else None
        store.decide(session, claim, "approved", note, _lease(write), who=_checker(write))
        return write.answer(claims.document(session, claim.id))


@router.post(
    "/claims/{claim_id}/return",
    responses=answers(ClaimOut),
    operation_id="return_review",
    openapi_extra=IF_MATCH,
)
def return_review(claim_id: str, write: Editing, body: DecisionIn | None = None) -> Response:
    """Sends the ruling that waits back to who proposed it."""
    with write as session:
        claim = _expected(session, write, claim_id)
        note = body.note if body else None
        store.decide(session, claim, "returned", note, _lease(write), who=_checker(write))
        return write.answer(claims.document(session, claim.id))


@router.post(
    "/claims/{claim_id}/withdrawal",
    responses=answers(ClaimOut),
    operation_id="withdraw_claim",
    openapi_extra=IF_MATCH,
)
def withdraw_claim(claim_id: str, body: WithdrawalIn, write: Reporting) -> Response:
    """Withdraws a claim, with a note that everyone can read. It stays, marked. Below the role editor, only
    who has stated it may, while it is unverified and nobody else has done anything about it.
    """
    with write as session:
        claim = _expected(session, write, claim_id)
        store.withdraw(session, claim, body.note, who=_checker(write))
        return write.answer(claims.document(session, claim.id))


@router.delete(
    "/claims/{claim_id}/withdrawal",
    responses=answers(ClaimOut),
    operation_id="reinstate_claim",
    openapi_extra=IF_MATCH,
)
def reinstate_claim(claim_id: str, write: Editing) -> Response:
    """Takes a withdrawal back."""
    with write as session:
        claim = _expected(session, write, claim_id)
        store.reinstate(session, claim, who=_checker(write))
        return write.answer(claims.document(session, claim.id))


@router.get("/corrections", responses=listed(CorrectionFound), operation_id="list_corrections")
def list_corrections(ask: Annotated[CorrectionQuestion, Query()], read: Reading) -> Response:
    """What was corrected, withdrawn or reinstated, newest first: what changed, why, when and by whom."""
    with read as session:
        found = corrections.find(session, ask, read.after(ask))
        return read.page(ask, found.rows, found.last)


@router.get(
    "/verdicts.atom",
    response_class=Response,
    responses=document_answers(ATOM, "string", "An Atom feed (RFC 4287)."),
    operation_id="verdicts_atom",
)
@produces(ATOM)
def verdicts_atom(ask: Annotated[VerdictQuestion, Query()], read: Reading) -> Response:
    """New and changed verdicts, corrections and withdrawals, newest first, for feed readers: Atom."""
    return respond(read.request, _feed(ask, read).atom(), headers=read.cache, media=ATOM)


@router.get(
    "/verdicts.json",
    response_class=Response,
    responses=document_answers(FEED, "object", "A JSON Feed 1.1 (jsonfeed.org)."),
    operation_id="verdicts_json",
)
@produces(FEED)
def verdicts_json(ask: Annotated[VerdictQuestion, Query()], read: Reading) -> Response:
    """New and changed verdicts, corrections and withdrawals, newest first, for feed readers: JSON Feed."""
    return respond(read.request, _feed(ask, read).json(), headers=read.cache, media=FEED)


def _feed(ask: VerdictQuestion, read: Read) -> Feed:
    with read as session:
        found = verdicts.find(session, ask)
    address = read.request.url.remove_query_params(AS_OF)  # it is the same feed as it was then
    return Feed(str(read.request.base_url), str(address), found)


@router.get("/queues", responses=answers(QueuesOut), operation_id="list_queues")
def list_queues(read: Surveying) -> Response:
    """What waits for fact-checkers, and for the caller: how many claims, and where they are listed."""
    with read as session:
        return read.answer({"data": queues.of(session, read.by.id, now())})


@router.get("/claims/{claim_id}/evidence", responses=listed(EvidenceOut), operation_id="list_evidence")
def list_evidence(claim_id: str, ask: Annotated[Question, Query()], read: Reading) -> Response:
    """What was gathered for and against a claim, newest first."""
    with read as session:
        claims.must_exist(session, claim_id)
        found = evidence.find(session, claim_id, ask, read.after(ask))
        return read.page(ask, found.rows, found.last)


@router.post(
    "/claims/{claim_id}/evidence",
    status_code=201,
    responses=answers(EvidenceOut, 201),
    operation_id="gather_evidence",
)
def gather_evidence(claim_id: str, body: EvidenceIn, write: Checking) -> Response:
    """Adds a piece of evidence to a claim, for whoever rules on it to cite."""
    with write as session:
        claim = claims.row(session, claim_id)
        found = evidence.gather(session, claim, body, by=write.by)
        location = f"/v1/claims/{claim.id}/evidence"
        return write.answer(evidence.one(session, found.id), 201, location=location)


@of_sources.post(
    "/sources/{source_id}/snapshots",
    status_code=201,
    responses=answers(ArchivedOut, 201),
    operation_id="archive_snapshot",
)
def archive_snapshot(source_id: str, body: SnapshotIn, write: Reporting) -> Response:
    """Archives a text of a source, or supplies one that is here by its hash alone, and looks up every quote
    of the source in it, also those that were found in an older one. `quotes` counts what became of them,
    `orphans` names those that are not there.
    """
    with write as session:
        source = sources.row(session, source_id)
        snapshot, checked = quoted.archive_text(
            session, source, body, by=write.by, role=write.role or Role.reader
        )
        location = f"/v1/sources/{source.id}/snapshots/{snapshot.id}"
        return write.answer(quoted.archived(snapshot, checked), 201, location=location)


@of_sources.get(
    "/sources/{source_id}/anchors", responses=listed(QuotedOut), operation_id="list_source_anchors"
)
def list_source_anchors(
    source_id: str, ask: Annotated[AnchorQuestion, Query()], read: ReadingNow
) -> Response:
    """Every quote of a source, of claims and of evidence, and how it sits in the text: exact, normalised,
    fuzzy, orphaned, unchecked; the passage that it was found as, and what differs, which of a withheld text
    checkers and roles above are shown.
    """
    may_read = read.role is not None and read.role >= Role.checker
    with read as session:
        source = sources.identity(session, source_id)
        found = quoted.find(session, source.id, ask, read.after(ask), withheld_too=may_read)
        return read.page(ask, found.rows, found.last)
