"""Publication over HTTP."""

from fastapi import Response

from app.access.model import Role
from app.access.requests import Checking, Editing, Write
from app.base.db import WriteSession
from app.base.errors import Invalid, NotFound
from app.base.http import v1
from app.base.openapi import IF_MATCH, answers, listed
from app.claims import store as claims
from app.claims.held import must_be_ahead
from app.claims.model import Claim
from app.claims.shapes import ClaimOut
from app.publication import store
from app.publication.model import PublicationIn, PublicationsIn
from app.reviews.rules import check_publication

router = v1("publication")


@router.post(
    "/claims/{claim_id}/publication",
    responses=answers(ClaimOut),
    operation_id="publish_claim",
    openapi_extra=IF_MATCH,
)
def publish_claim(claim_id: str, write: Checking, body: PublicationIn | None = None) -> Response:
    """Shows an internal claim to the public, with the sources that it names and the rulings that count: now,
    or at a moment (`at`).
    """
    wish = body or PublicationIn()
    with write as session:
        claim = claims.row(session, claim_id)
        write.expect(claim)
        _publish(session, claim, wish, write)
        return write.answer(claims.document(session, claim.id))


@router.delete(
    "/claims/{claim_id}/publication",
    responses=answers(ClaimOut),
    operation_id="unpublish_claim",
    openapi_extra=IF_MATCH,
)
def unpublish_claim(claim_id: str, write: Editing) -> Response:
    """Takes a claim back from the public, or its embargo away: it is internal from then on. Who has read it,
    has read it.
    """
    with write as session:
        claim = claims.row(session, claim_id)
        write.expect(claim)
        check_publication("unpublish", write.role or Role.reader)
        store.take_back(session, claim, by=write.by)
        return write.answer(claims.document(session, claim.id))


@router.post("/publications", responses=listed(ClaimOut), operation_id="publish_claims")
def publish_claims(body: PublicationsIn, write: Checking) -> Response:
    """Publishes some claims together, now or at a moment: all of them, or none. A claim that repeats another
    one of them comes after it in any case.
    """
    with write as session:
        rows = []
        for n, claim_id in enumerate(body.claims):
            try:
                rows.append(claims.row(session, claim_id))
            except NotFound as fault:
                raise Invalid.at(f"/claims/{n}", fault.detail) from None
        for claim in sorted(rows, key=lambda each: each.repeats_id is not None):
            _publish(session, claim, body, write)
        shown = [claims.document(session, claim_id) for claim_id in body.claims]
        return write.answer({"data": shown, "next_cursor": None})


def _publish(session: WriteSession, claim: Claim, wish: PublicationIn, write: Write) -> None:
    check_publication("publish", write.role or Role.reader)
    if wish.at is None:
        store.publish(session, claim, wish.note, by=write.by)
    else:
        must_be_ahead(wish.at, "/at")
        store.embargo(session, claim, wish.at, wish.note, by=write.by)
