"""Claims and reviews as linked data over HTTP: one claim, and a feed of all reviews that stand."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlmodel import col

from app.access.requests import Read, Reading
from app.base.body import LINKED
from app.base.db import ReadSession
from app.base.http import Negotiated, produces, respond, v1
from app.base.openapi import document_answers, file_answers
from app.claims import bodies
from app.claims import store as claims
from app.claims.routes import noted
from app.entities import documents as entities
from app.exchange.claimreview import Beside, data_feed, embeddable, feed_item, graph
from app.exchange.feeds import answer_file
from app.exchange.flat import Feed, streamed
from app.exchange.formats import Batches, Format
from app.reviews import documents
from app.reviews.model import Review, ReviewQuestion
from app.sources import store as sources

router = v1("linked data")
preferred = APIRouter(prefix="/v1", route_class=Negotiated, include_in_schema=False)

Json = dict[str, Any]


def beside(session: ReadSession, found: Sequence[Json], base: str) -> Beside:
    """What some claims refer to, in a constant number of queries."""
    named = {each["id"] for claim in found for each in (*claim["speakers"], *claim["about"])}
    printed = {each["source"]["id"] for claim in found for each in claim["appearances"]}
    return Beside(
        entities=entities.by_id(session, sorted(named)),
        sources=sources.by_id(session, sorted(printed)),
        base=base,
    )


def standing(session: ReadSession, claims: Sequence[str]) -> list[Json]:
    """The reviews of some claims that stand, oldest first."""
    query = documents.query().where(col(Review.claim_id).in_(claims), *documents.standing())
    return documents.of(session, session.execute(query.order_by(col(Review.id))).all())


@router.get(
    "/claims/{claim_id}.jsonld",
    response_class=Response,
    responses=document_answers(LINKED, "object", "A JSON-LINKED document."),
    operation_id="get_claim_as_linked_data",
)
@produces(LINKED)
def get_claim_as_linked_data(claim_id: str, read: Reading) -> Response:
    """One claim in the words of schema.org: a ClaimReview for each review that stands, or without one the
    Claim alone. It can be put into an HTML page as it is.
    """
    return _linked(read, claim_id)


@preferred.get("/claims/{claim_id}", response_class=Response)
@produces(LINKED)
def get_claim_preferably_linked(claim_id: str, read: Reading) -> Response:
    """The same, for those who would rather have it than JSON: a reading of the claim like any other."""
    answer = _linked(read, claim_id)
    answer.headers["Vary"] = "Accept"
    return noted(read, claim_id, answer)


def _linked(read: Read, claim_id: str) -> Response:
    with read as session:
        claim = claims.document(session, claim_id)
        found = beside(session, [claim], str(read.request.base_url))
        body = embeddable(graph(claim, standing(session, [claim_id]), found))
    return respond(read.request, body, headers=read.cache, media=LINKED)


# --- the feed ----------------------------------------------------------------------------------

DATA_FEED = Format("jsonld", LINKED, LINKED, data_feed)


def _items(base: str, session: ReadSession, ask: ReviewQuestion) -> Batches:
    query = documents.query().where(*documents.clauses(session, ask), *documents.standing())
    for rows in streamed(session, query, col(Review.id), ask):
        yield _batch(session, documents.of(session, rows), base)


def _batch(session: ReadSession, reviews: Sequence[Json], base: str) -> Iterator[str]:
    found = bodies.of(session, sorted({review["claim"] for review in reviews}))
    around = beside(session, list(found.values()), base)
    for review in reviews:
        yield embeddable(feed_item(review, found[review["claim"]], around)).decode()


FEED = Feed("claimreviews", "Filters of the feed of ClaimReviews.", ReviewQuestion, (), partial(_items, "/"))
_question: Any = FEED.question


@router.get(
    "/claimreviews.jsonld",
    response_class=Response,
    responses=file_answers(LINKED, {"type": "object"}, "Every review that stands, as a DataFeed."),
    operation_id="feed_claimreviews",
)
@produces(LINKED)
async def feed_claimreviews(ask: Annotated[_question, Query()], read: Reading) -> Response:
    """All reviews that stand as a schema.org DataFeed of ClaimReviews. Those of a claim that was withdrawn
    are in it without a rating, and marked as deleted.
    """
    base = str(read.request.base_url)
    # The address of this server is in the file, which is kept by its feed's name.
    feed = replace(FEED, name=f"{FEED.name} at {base}", read=partial(_items, base))
    return await answer_file(read, feed, DATA_FEED, ask)


PATHS = frozenset({"/v1/claimreviews.jsonld"})
"""The addresses that compress for themselves."""
