"""Links and suggestions over HTTP."""

from typing import Annotated

from fastapi import Query, Response

from app.access.requests import Checking, Reading
from app.base.http import v1
from app.base.openapi import IF_MATCH, answers, listed, partial
from app.base.problems import revised
from app.claims.store import must_exist
from app.links import store, suggestions
from app.links.model import (
    JudgementIn,
    LinkIn,
    LinkOut,
    LinkQuestion,
    SuggestionOut,
    SuggestionQuestion,
)

router = v1("links")
LinkPatch = partial(JudgementIn, judgement="negative", note="They speak of different pipelines.")


@router.get("/claims/{claim_id}/links", responses=listed(LinkOut), operation_id="list_links")
def list_links(claim_id: str, ask: Annotated[LinkQuestion, Query()], read: Reading) -> Response:
    """What a claim contradicts, supports or repeats, and what does so to it, as checkers have judged it."""
    with read as session:
        must_exist(session, claim_id)
        found = store.find(session, claim_id, ask, read.after(ask))
        return read.page(ask, found.rows, found.last)


@router.post(
    "/claims/{claim_id}/links", status_code=201, responses=answers(LinkOut, 201), operation_id="link_claims"
)
def link_claims(claim_id: str, body: LinkIn, write: Checking) -> Response:
    """Judges whether a claim contradicts or supports another, or does not repeat it. Each pair is judged once
    for each relation, and again by PATCH; what was judged is not suggested again.
    """
    with write as session:
        link = store.judge(session, claim_id, body, by=write.by)
        shown = store.document(session, claim_id, link.id)
        return write.answer(shown, 201, location=f"/v1/claims/{claim_id}/links/{link.id}")


@router.get("/claims/{claim_id}/links/{link_id}", responses=answers(LinkOut), operation_id="get_link")
def get_link(claim_id: str, link_id: str, read: Reading) -> Response:
    """One link, by either of its claims."""
    with read as session:
        return read.answer(store.document(session, claim_id, link_id))


@router.patch(
    "/claims/{claim_id}/links/{link_id}",
    responses=answers(LinkOut),
    operation_id="judge_link_again",
    openapi_extra=IF_MATCH,
)
def judge_link_again(claim_id: str, link_id: str, body: LinkPatch, write: Checking) -> Response:  # type: ignore[valid-type]
    """Judges a link anew; what was judged before stays in the ledger."""
    del body  # checked by its type; null and absent are told apart in what was sent
    with write as session:
        link = store.row(session, claim_id, link_id)
        write.expect(link)
        whole = revised(JudgementIn, store.as_input(link), write.patch)
        store.judge_again(session, link, whole, write.patch, by=write.by)
        return write.answer(store.document(session, claim_id, link.id))


@router.get(
    "/claims/{claim_id}/suggestions", responses=listed(SuggestionOut), operation_id="list_suggestions"
)
def list_suggestions(claim_id: str, ask: Annotated[SuggestionQuestion, Query()], read: Reading) -> Response:
    """Claims that are probably the same as this one, or contradict or support it, with why, for a checker to
    judge. What was judged before is left out.
    """
    with read as session:
        found = suggestions.find(session, claim_id, ask, read.after(ask))
        return read.page(ask, found.rows, found.last)
