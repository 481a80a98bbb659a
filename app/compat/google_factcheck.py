"""Google's Fact Check Tools API, v1alpha1: claims that have a ruling on their truth, searched by Google's
own clients. What is answered is in docs/clients.md; the interface itself is in `factchecktools.json`, its
discovery document.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import Field
from sqlalchemy import ColumnElement, func
from sqlmodel import col

from app.access.requests import Read, ReadingNow, Write
from app.base.db import ReadSession, within
from app.base.errors import Invalid, NotFound, Problem
from app.base.page import MAX_PAGE, Cursors, Page, Question, page
from app.base.sql import Query as Select
from app.base.sql import select
from app.base.times import now
from app.claims import bodies
from app.claims.model import Claim
from app.compat.google_wire import ANY, Asked, GoogleRoute, Int32, Json, Paged, answer, refusal
from app.entities.words import prepare
from app.exchange import claimreview
from app.exchange.claimreview import Beside, site
from app.exchange.linked import standing
from app.reviews import documents
from app.reviews.model import Review
from app.words.rank import paged, rank

router = APIRouter(route_class=GoogleRoute, include_in_schema=False)

DISCOVERY: Mapping[str, Any] = orjson.loads(Path(__file__).with_name("factchecktools.json").read_bytes())
_SCHEMAS = DISCOVERY["schemas"]
_PAGE = 10

BATCH = "/batch/factchecktools/v1alpha1"
"""The address that answers many requests in one."""


class Of(Question):
    """A question in our words, to which a page token is bound."""

    q: str = ""
    language: str = ""
    days: int = 0
    site: str = ""


def reply(call: Read | Write, ask: Asked, body: Json, schema: str) -> Response:
    """An answer that has a schema of Google's. Raises Invalid."""
    return answer(call, ask, body, {"$ref": f"GoogleFactcheckingFactchecktoolsV1alpha1{schema}"}, _SCHEMAS)


def question(ask: Paged, **more: Any) -> Of:
    """What is asked, in our words."""
    limit = min(ask.page_size or _PAGE, MAX_PAGE)
    return Of(limit=limit, cursor=ask.page_token or None, **more)


def site_of(name: str, given: str) -> str:
    """A site, of which an address is given too. Raises Invalid."""
    found = site(f"//{given.rpartition('://')[2]}/")
    if given and not found:
        raise Invalid.at(name, "is no site, such as example.org")
    return found


def listed(read: Read, of: Of, name: str, shown: list[Any], last: Any) -> Json:
    """A page of a list."""
    cursors = Cursors(read.house.secret, read.request.url.path)
    token = {"nextPageToken": cursors.make(of, last)} if last is not None else {}
    return {**({name: shown} if shown else {}), **token}


# --- claims ------------------------------------------------------------------------------------


class SearchAsked(Paged):
    """What `claims:search` takes."""

    query: str = ""
    language_code: Annotated[str, Field(pattern=r"^([A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*)?$")] = ""
    max_age_days: Int32 = 0
    review_publisher_site_filter: Annotated[str, Field(max_length=300)] = ""


@router.get("/v1alpha1/claims:search")
@router.post("/v1alpha1/claims:search")  # by Google's client, of what is too long for an address
def search_claims(ask: Annotated[SearchAsked, Query()], read: ReadingNow) -> Response:
    """Claims that have a ruling, by words, site, language and age, each with the reviews of all desks."""
    if read.request.method == "POST" and "x-http-method-override" not in read.request.headers:
        raise NotFound("Ask with GET.")
    if not (ask.query or ask.review_publisher_site_filter):
        raise Invalid.at("query", "is needed, or else reviewPublisherSiteFilter")
    base = str(read.request.base_url)
    of = question(
        ask,
        q=ask.query,
        language=re.split("[-_]", ask.language_code)[0].lower(),
        days=ask.max_age_days,
        site=site_of("reviewPublisherSiteFilter", ask.review_publisher_site_filter),
    )
    with read as session:
        after = read.after(of)
        found = _found(session, of, _fitting(of, base), after, 0 if after else ask.offset)
        shown = _claims(session, found.rows, base)
    body = listed(read, of, "claims", shown, found.last)
    return reply(read, ask, body, "FactCheckedClaimSearchResponse")


def _found(
    session: ReadSession,
    of: Of,
    fitting: Sequence[ColumnElement[bool]],
    after: Sequence[Any] | None,
    offset: int,
) -> Page[str]:
    """The ids of claims: the best match first, or those reviewed last."""
    query = select(Claim.id).where(*fitting)
    if not of.q:
        keys = [func.coalesce(col(Claim.reviewed_at), col(Claim.created_at)), col(Claim.id)]
        listed = page(session, query.offset(offset), keys, of, after)
        return Page([row.id for row in listed.rows], listed.last)
    try:
        finding = prepare(within(session), of.q)
    except Invalid as fault:
        raise Invalid.at("query", fault.errors[0]["detail"]) from None
    hits = rank(session, finding.plan, ["claim"], offset + of.limit + 1, after, among=query)
    ranked = paged(of, hits[offset:])
    return Page([hit.record_id for hit in ranked.rows], ranked.last)


def _fitting(of: Of, base: str) -> list[ColumnElement[bool]]:
    """Claims with a ruling of their own, be it in a desk's wording only. What repeats one is not what a desk
    has reviewed.
    """
    worded = _ruled().where(col(Review.verdict).is_(None))
    fitting = [
        col(Claim.verdict).is_not(None) | col(Claim.id).in_(worded),
        col(Claim.repeats_id).is_(None),
        col(Claim.status) != "withdrawn",
    ]
    if of.language:
        language = func.lower(col(Claim.language))
        fitting.append((language == of.language) | language.startswith(f"{of.language}-"))
    if of.days:
        since = now() - timedelta(days=min(of.days, 365 * 1000))
        recent = _ruled().where(col(Review.reviewed_at) >= since)
        fitting.append((col(Claim.said_earliest) >= since.date()) | col(Claim.id).in_(recent))
    if of.site:
        fitting.append(col(Claim.id).in_(_ruled().where(on_site(of.site, base))))
    return fitting


def _ruled() -> Select:
    """The claims of reviews that stand, of their truth."""
    query = documents.query().with_only_columns(col(Review.claim_id))
    return query.where(*documents.standing(), of_truth())


def of_truth() -> ColumnElement[bool]:
    """That a review rules on whether a claim is true, rather than only on who said it."""
    return col(Review.verdict).is_not(None) | col(Review.attribution).is_(None)


def on_site(host: str, base: str) -> ColumnElement[bool]:
    """That a review is published on a site."""
    url = func.replace(func.lower(col(Review.url)), "http://", "https://")
    bare = func.replace(url, "https://www.", "https://")
    found = bare == f"https://{host}"
    for after in "/?#:":
        found |= bare.startswith(f"https://{host}{after}", autoescape=True)
    return found | col(Review.url).is_(None) if host == site(base) else found


def _claims(session: ReadSession, ids: Sequence[str], base: str) -> list[Json]:
    found = bodies.of(session, ids)
    nothing = Beside({}, {}, base)
    reviews: dict[str, list[Json]] = {}
    for review in standing(session, ids):
        if review["verdict"] or not review["attribution"]:
            shown = _review(review, found[review["claim"]], nothing)
            reviews.setdefault(review["claim"], []).insert(0, shown)
    return [_claim(found[each], reviews[each]) for each in ids]


def _claim(claim: Json, reviews: list[Json]) -> Json:
    day = re.fullmatch(r"\d{4}-\d\d-\d\d", claim["said"] or "")
    return {
        "text": claim["text"],
        "claimant": ", ".join(each["name"] for each in claim["speakers"]),
        **({"claimDate": f"{day[0]}T00:00:00Z"} if day else {}),
        "claimReview": reviews,
    }


def _review(review: Json, claim: Json, at: Beside) -> Json:
    url = claimreview.address(review, at)
    return {
        "publisher": {"name": documents.author(review), "site": site(url)},
        "url": url,
        "title": review["summary"],
        "reviewDate": review["reviewed_at"],
        "textualRating": claimreview.textual_rating(review),
        **({"languageCode": claim["language"]} if claim["language"] else {}),
    }


class ImageAsked(Paged):
    """What `claims:imageSearch` takes."""

    image_uri: str = ""
    language_code: str = ""


@router.get("/v1alpha1/claims:imageSearch")
def search_by_image(ask: Annotated[ImageAsked, Query()], read: ReadingNow) -> Response:
    """Not answered: no list of claims would be one of those that the image is about."""
    del ask, read
    return refusal(Problem("Claims have no images here."), 501)


# --- discovery ---------------------------------------------------------------------------------


class DiscoveryAsked(Asked):
    """Which version's document is asked for."""

    version: Literal["", "v1alpha1"] = ""


@router.get("/$discovery/rest")
def get_discovery(ask: Annotated[DiscoveryAsked, Query()], read: ReadingNow) -> Response:
    """The discovery document of the interface as it is here."""
    base = str(read.request.base_url)
    return answer(
        read, ask, {**DISCOVERY, "rootUrl": base, "baseUrl": base, "batchPath": BATCH[1:]}, ANY, _SCHEMAS
    )
