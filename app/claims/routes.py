"""Claims over HTTP."""

from typing import Annotated

from fastapi import Query, Response

from app.access.model import Role
from app.access.requests import Read, Reading, Reporting, Write
from app.access.visibility import is_internal
from app.base.body import LINKED
from app.base.errors import Forbidden
from app.base.http import at_once, v1
from app.base.openapi import IF_MATCH, answered_as_well, answers, listed, partial
from app.base.page import Question
from app.base.problems import revised
from app.changes.ledger import history
from app.changes.model import ChangeOut
from app.claims import bodies, stats, store
from app.claims.held import HeldBack, NewClaimIn, must_be_ahead
from app.claims.shapes import (
    ClaimFound,
    ClaimIn,
    ClaimOut,
    ClaimQuestion,
    CountOut,
    FacetOut,
    StatsQuestion,
)

router, of_stats = v1("claims"), v1("stats")
ClaimPatch = partial(ClaimIn, occasion="Talks in the Kremlin", place=None)


def _claims_at_once(read: Read) -> Response:
    return read.page_at_once(ClaimQuestion, store.find_at_once)


def _claim_at_once(read: Read) -> Response:
    claim_id = read.request.path_params["claim_id"]
    return noted(read, claim_id, read.record(*bodies.one_at_once(read.base, claim_id)))


def noted(read: Read, claim_id: str, answer: Response) -> Response:
    """Counts a whole answer, not one that says what the client has still holds, as a reading of the claim."""
    if answer.status_code == 200 and not read.request.scope.get("head"):
        read.house.reads.add(claim_id)
    return answer


@router.get(
    "/claims",
    responses=listed(ClaimFound, facets=dict[str, list[FacetOut]] | None),
    operation_id="list_claims",
)
@at_once(_claims_at_once)
def list_claims(ask: Annotated[ClaimQuestion, Query()], read: Reading) -> Response:
    """Who said what: by speaker, subject, source, date and standing, newest first."""
    with read as session:
        found = store.find(session, ask, read.after(ask))
        counts = {"facets": stats.facets(session, ask, ask.facets)} if ask.facets else {}
        return read.page(ask, found.rows, found.last, **counts)


@router.post("/claims", status_code=201, responses=answers(ClaimOut, 201), operation_id="state_claim")
def state_claim(body: NewClaimIn, write: Reporting) -> Response:
    """States a claim, public or internal. Its quotes are looked up in the texts at hand: a direct quote that
    is not there is refused (422) with the nearest passage.
    """
    with write as session:
        claim = store.state(session, body, by=write.by, held=_held(body, write))
        shown = store.document(session, claim.id)
        return write.answer(shown, 201, location=f"/v1/claims/{claim.id}")


def _held(body: NewClaimIn, write: Write) -> HeldBack:
    """How a new claim is held back. Raises Forbidden and Invalid."""
    if (until := body.embargoed_until) is not None:
        must_be_ahead(until, "/embargoed_until")
    return HeldBack(until is not None or is_internal(write, body.visibility), until)


@router.get(
    "/claims/{claim_id}",
    responses=answered_as_well(ClaimOut, LINKED, "The same as `/v1/claims/{claim_id}.jsonld` has it."),
    operation_id="get_claim",
)
@at_once(_claim_at_once)
def get_claim(claim_id: str, read: Reading) -> Response:
    """One claim with its speakers, sources, quotes, figures and standing. Who prefers JSON-LD (`Accept`) gets
    the words of schema.org.
    """
    with read as session:
        return noted(read, claim_id, read.record(*store.body(session, claim_id)))


@router.patch(
    "/claims/{claim_id}", responses=answers(ClaimOut), operation_id="revise_claim", openapi_extra=IF_MATCH
)
def revise_claim(claim_id: str, body: ClaimPatch, write: Reporting) -> Response:  # type: ignore[valid-type]
    """Changes some fields of a claim (JSON Merge Patch; a list is replaced as a whole). Once a checker has
    taken it, only an editor may: what was ruled on must not change underneath the ruling unseen.
    """
    del body  # checked by its type; null and absent are told apart in what was sent
    with write as session:
        claim = store.row(session, claim_id)
        if claim.status != "unverified" and (write.role or Role.reader) < Role.editor:
            raise Forbidden(f"This claim is {claim.status}: only an editor may change it now.")
        write.expect(claim)
        whole = revised(ClaimIn, store.as_input(session, claim), write.patch)
        store.revise(session, claim, whole, write.patch, by=write.by)
        return write.answer(store.document(session, claim.id))


@router.get("/claims/{claim_id}/history", responses=listed(ChangeOut), operation_id="get_claim_history")
def get_claim_history(claim_id: str, ask: Annotated[Question, Query()], read: Reading) -> Response:
    """Who changed what of a claim, when and why."""
    with read as session:
        store.must_exist(session, claim_id)
        found = history(session, "claim", claim_id, ask, read.after(ask))
        return read.page(ask, found.rows, found.last)


@of_stats.get("/stats", responses=listed(CountOut, total=int), operation_id="count_claims")
def count_claims(ask: Annotated[StatsQuestion, Query()], read: Reading) -> Response:
    """How many claims there are of each status, verdict, attribution, speaker, publisher, topic or month, or
    of each pair of these, the most frequent first, and by month the latest. The filters are those of claims;
    `total` is how many claims are under them.
    """
    with read as session:
        found = stats.count(session, ask, read.after(ask))
        return read.page(ask, found.rows, found.last, total=stats.total(session, ask))
