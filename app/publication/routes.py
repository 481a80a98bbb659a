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
from app.claims.shapes import ClaimOut
from app.publication import store
from app.publication.model import PublicationIn, PublicationsIn
from app.publication.store import Publishable
from app.reviews.rules import check_publication
from app.sources import store as sources
from app.sources.model import SourceOut

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
        _take_back(session, claim, write)
        return write.answer(claims.document(session, claim.id))


@router.post(
    "/sources/{source_id}/publication",
    responses=answers(SourceOut),
    operation_id="publish_source",
    openapi_extra=IF_MATCH,
)
def publish_source(source_id: str, write: Checking, body: PublicationIn | None = None) -> Response:
    """Shows an internal source to the public with its snapshots, named by a claim or not: now, or at a
    moment (`at`). A claim that names it and is published before takes it along.
    """
    wish = body or PublicationIn()
    with write as session:
        source = sources.row(session, source_id)
        write.expect(source)
        _publish(session, source, wish, write)
        return write.answer(sources.document(session, source.id))


@router.delete(
    "/sources/{source_id}/publication",
    responses=answers(SourceOut),
    operation_id="unpublish_source",
    openapi_extra=IF_MATCH,
)
def unpublish_source(source_id: str, write: Editing) -> Response:
    """Takes a source back from the public, or its embargo away. While a public claim or its public evidence
    names it, that is 409 with the claim as `existing`.
    """
    with write as session:
        source = sources.row(session, source_id)
        write.expect(source)
        _take_back(session, source, write)
        return write.answer(sources.document(session, source.id))


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


def _publish(session: WriteSession, record: Publishable, wish: PublicationIn, write: Write) -> None:
    check_publication("publish", write.role or Role.reader)
    if wish.at is None:
        store.publish(session, record, wish.note, by=write.by)
    else:
        must_be_ahead(wish.at, "/at")
        store.embargo(session, record, wish.at, wish.note, by=write.by)


def _take_back(session: WriteSession, record: Publishable, write: Write) -> None:
    check_publication("unpublish", write.role or Role.reader)
    store.take_back(session, record, by=write.by)
