"""Google's Fact Check Tools API, v1alpha1: claims that have a verdict, searched by Google's own clients. What
is answered is in docs/clients.md; the interface itself is in `factchecktools.json`, its discovery document.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NoBase64
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import Field
from sqlalchemy import ColumnElement, func
from sqlmodel import col

from app.access.requests import Read, ReadingNow
from app.base.db import ReadSession, within
from app.base.errors import Invalid, NotFound, Problem
from app.base.page import MAX_PAGE, Cursors, Page, Question, page
from app.base.sql import Query as Select
from app.base.sql import select
from app.base.times import now
from app.base.types import canonical_url
from app.claims import bodies
from app.claims.model import Claim
from app.compat.google_wire import ANY, Asked, GoogleRoute, Int32, Json, Paged, answer, refusal
from app.entities.words import prepare
from app.exchange import claimreview
from app.exchange.claimreview import Beside, first_print, site
from app.exchange.linked import beside, standing
from app.reviews import documents
from app.reviews.model import Review
from app.words.rank import paged, rank

router = APIRouter(route_class=GoogleRoute, include_in_schema=False)

DISCOVERY: Mapping[str, Any] = orjson.loads(Path(__file__).with_name("factchecktools.json").read_bytes())
_SCHEMAS = DISCOVERY["schemas"]
_PAGE = 10


class _Of(Question):
    """A question in our words, to which a page token is bound."""

    q: str = ""
    language: str = ""
    days: int = 0
    site: str = ""


def _answer(read: Read, ask: Asked, body: Json, schema: str) -> Response:
    return answer(read, ask, body, {"$ref": f"GoogleFactcheckingFactchecktoolsV1alpha1{schema}"}, _SCHEMAS)


def _of(ask: Paged, **more: Any) -> _Of:
    limit = min(ask.page_size or _PAGE, MAX_PAGE)
    return _Of(limit=limit, cursor=ask.page_token or None, **more)


def _site(name: str, given: str) -> str:
    """A site, of which an address is given too. Raises Invalid."""
    found = site(f"//{given.rpartition('://')[2]}/")
    if given and not found:
        raise Invalid.at(name, "is no site, such as example.org")
    return found


def _listed(read: Read, of: _Of, name: str, shown: list[Any], last: Any) -> Json:
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
    """Claims that have a verdict, by words, site, language and age, each with the reviews of all desks."""
    if read.request.method == "POST" and "x-http-method-override" not in read.request.headers:
        raise NotFound("Ask with GET.")
    if not (ask.query or ask.review_publisher_site_filter):
        raise Invalid.at("query", "is needed, or else reviewPublisherSiteFilter")
    base = str(read.request.base_url)
    of = _of(
        ask,
        q=ask.query,
        language=re.split("[-_]", ask.language_code)[0].lower(),
        days=ask.max_age_days,
        site=_site("reviewPublisherSiteFilter", ask.review_publisher_site_filter),
    )
    with read as session:
        after = read.after(of)
        found = _found(session, of, _fitting(of, base), after, 0 if after else ask.offset)
        shown = _claims(session, found.rows, base)
    body = _listed(read, of, "claims", shown, found.last)
    return _answer(read, ask, body, "FactCheckedClaimSearchResponse")


def _found(
    session: ReadSession,
    of: _Of,
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


def _fitting(of: _Of, base: str) -> list[ColumnElement[bool]]:
    """Claims with a verdict of their own. What repeats one is not what a desk has reviewed."""
    fitting = [
        col(Claim.verdict).is_not(None),
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
        fitting.append(col(Claim.id).in_(_ruled().where(_on_site(of.site, base))))
    return fitting


def _ruled() -> Select:
    """The claims of reviews that stand and have a verdict."""
    query = documents.query().with_only_columns(col(Review.claim_id))
    return query.where(*documents.standing(), col(Review.verdict).is_not(None))


def _on_site(host: str, base: str) -> ColumnElement[bool]:
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
        if review["verdict"]:
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
    return _not_here("Claims have no images here.")


def _not_here(why: str) -> Response:
    return refusal(Problem(why), 501)


# --- pages -------------------------------------------------------------------------------------


class PagesAsked(Paged):
    """What `pages.list` takes."""

    url: Annotated[str, Field(max_length=2000)] = ""
    organization: Annotated[str, Field(max_length=300)] = ""


@router.get("/v1alpha1/pages")
def list_pages(ask: Annotated[PagesAsked, Query()], read: ReadingNow) -> Response:
    """The pages on which reviews are published, of a site or at one address, with their mark-up."""
    if bool(ask.url) == bool(ask.organization):
        raise Invalid.at("url", "or organization is needed, and not both")
    of = _of(ask, site=_site("organization", ask.organization))
    with read as session:
        urls = Page(_spellings(ask.url)) if ask.url else _urls(session, of, read, ask.offset)
        shown = _pages(session, urls.rows, str(read.request.base_url))
    body = _listed(read, of, "claimReviewMarkupPages", shown, urls.last)
    return _answer(read, ask, body, "ListClaimReviewMarkupPagesResponse")


@router.get("/v1alpha1/pages/{page_id}")
def get_page(page_id: str, ask: Annotated[Asked, Query()], read: ReadingNow) -> Response:
    """One page on which reviews are published, with their mark-up."""
    try:
        url = urlsafe_b64decode(page_id + "=" * (-len(page_id) % 4)).decode()
    except (NoBase64, ValueError):
        url = ""
    with read as session:
        found = _pages(session, [url], str(read.request.base_url)) if "\0" not in url else []
    if not found:
        raise NotFound(f"There is no pages/{page_id}.")
    return _answer(read, ask, found[0], "ClaimReviewMarkupPage")


@router.post("/v1alpha1/pages")
@router.put("/v1alpha1/pages/{page_id}")
@router.delete("/v1alpha1/pages/{page_id}")
def change_page(ask: Annotated[Asked, Query()], read: ReadingNow) -> Response:
    """Not answered: a review is given here by who has taken the claim, on evidence, and never rewritten."""
    del ask, read
    return _not_here("Reviews are given at POST /v1/claims/{id}/reviews; pages are made of them.")


def _spellings(url: str) -> list[str]:
    try:
        return [url, canonical_url(url)]
    except ValueError:
        return [url]


def _published() -> Select:
    """Reviews that stand, with a verdict, and are published somewhere else than here."""
    claim = col(Claim.id) == col(Review.claim_id)
    of_claims = documents.query().join(Claim, claim).where(col(Claim.status) != "withdrawn")
    told = col(Review.verdict).is_not(None), col(Review.url).is_not(None)
    return of_claims.where(*documents.standing(), *told)


def _urls(session: ReadSession, of: _Of, read: Read, offset: int) -> Page[str]:
    after = read.after(of)
    ids = func.min(col(Review.id)).label("id")
    grouped = _published().with_only_columns(col(Review.url), ids).group_by(col(Review.url))
    each = grouped.where(_on_site(of.site, "//")).subquery()
    query = select(each.c.url, each.c.id).offset(0 if after else offset)
    listed = page(session, query, [each.c.id], of, after)
    return Page([row.url for row in listed.rows], listed.last)


def _pages(session: ReadSession, urls: Sequence[str], base: str) -> list[Json]:
    """Those of some addresses at which there is something, in their order."""
    query = _published().where(col(Review.url).in_(urls)).order_by(col(Review.id))
    reviews = documents.of(session, session.execute(query).all())
    claims = bodies.of(session, sorted({review["claim"] for review in reviews}))
    around = beside(session, list(claims.values()), base)
    on_page: dict[str, list[Json]] = {url: [] for url in urls}
    for review in reviews:
        on_page[review["url"]].append(review)
    return [_page(url, some, claims, around) for url, some in on_page.items() if some]


def _page(url: str, reviews: Sequence[Json], claims: Mapping[str, Json], around: Beside) -> Json:
    return {
        "name": f"pages/{urlsafe_b64encode(url.encode()).decode().rstrip('=')}",
        "pageUrl": url,
        "publishDate": min(review["reviewed_at"] for review in reviews)[:10],
        "claimReviewAuthor": {"name": documents.author(reviews[0])},
        "claimReviewMarkups": [_markup(review, claims[review["claim"]], around) for review in reviews],
        "versionId": reviews[-1]["id"],
    }


def _markup(review: Json, claim: Json, around: Beside) -> Json:
    first = first_print(claim, around)
    others = [each["source"]["url"] for each in claim["appearances"] if each["source"] != first]
    speaker = claimreview.speaker(claim["speakers"][0], around)
    author: Json = {"name": ", ".join(each["name"] for each in claim["speakers"])}
    if len(claim["speakers"]) == 1:
        author |= {"jobTitle": speaker.get("jobTitle"), "sameAs": next(iter(speaker.get("sameAs", [])), None)}
    told = {
        "url": review["url"],
        "claimReviewed": claim["text"],
        "claimDate": claim["said"],
        "claimLocation": claim["place"],
        "claimFirstAppearance": first and first["url"],
        "claimAppearances": others,
        "claimAuthor": {name: value for name, value in author.items() if value},
        "rating": _rating(review),
    }
    return {name: value for name, value in told.items() if value}


def _rating(review: Json) -> Json:
    """In words, and in numbers if they are whole: Google's have no others."""
    scale = review["rating"] or {}
    whole = {f"{name}Rating" if name != "value" else "ratingValue": number for name, number in scale.items()}
    numbers = whole if all(re.fullmatch(r"-?\d{1,9}", number) for number in whole.values()) else {}
    return {
        **{name: int(number) for name, number in numbers.items()},
        "textualRating": claimreview.textual_rating(review),
        "ratingExplanation": review["summary"],
    }


# --- discovery ---------------------------------------------------------------------------------


class DiscoveryAsked(Asked):
    """Which version's document is asked for."""

    version: Literal["", "v1alpha1"] = ""


@router.get("/$discovery/rest")
def get_discovery(ask: Annotated[DiscoveryAsked, Query()], read: ReadingNow) -> Response:
    """The discovery document of the interface as it is here."""
    base = str(read.request.base_url)
    return answer(read, ask, {**DISCOVERY, "rootUrl": base, "baseUrl": base}, ANY, _SCHEMAS)
