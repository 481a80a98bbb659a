"""The pages of Google's Fact Check Tools API: addresses at which desks publish reviews, with their mark-up.
What is written to them goes the way of an import, and nothing is rewritten: a review that the mark-up has
otherwise is corrected, and one that it has no more is taken back.
"""

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NoBase64
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from sqlalchemy import func
from sqlmodel import col

from app.access.model import Role
from app.access.requests import Checking, Editing, Read, ReadingNow, Write
from app.base.db import ReadSession, WriteSession
from app.base.errors import Conflict, Fault, IllegalMove, Invalid, NotFound, Stale
from app.base.page import Page, page
from app.base.sql import Query as Select
from app.base.sql import select
from app.base.types import Url, canonical_url
from app.claims import bodies
from app.claims.model import Claim
from app.compat.google_factcheck import Of, listed, of_truth, on_site, question, reply, site_of
from app.compat.google_wire import Asked, GoogleRoute, Json, Paged
from app.exchange import claimreview
from app.exchange.claimreview import Beside, first_print
from app.exchange.importer import Importer, as_set
from app.exchange.linked import beside
from app.exchange.markup import of_nodes
from app.exchange.rulings import TAKEN_BACK
from app.reviews import documents, store
from app.reviews.model import Review

router = APIRouter(route_class=GoogleRoute, include_in_schema=False)

_MARKUP_PAGE = "ClaimReviewMarkupPage"


# --- read --------------------------------------------------------------------------------------


class PagesAsked(Paged):
    """What `pages.list` takes."""

    url: Annotated[str, Field(max_length=2000)] = ""
    organization: Annotated[str, Field(max_length=300)] = ""


@router.get("/v1alpha1/pages")
def list_pages(ask: Annotated[PagesAsked, Query()], read: ReadingNow) -> Response:
    """The pages on which reviews are published, of a site or at one address, with their mark-up."""
    if bool(ask.url) == bool(ask.organization):
        raise Invalid.at("url", "or organization is needed, and not both")
    of = question(ask, site=site_of("organization", ask.organization))
    with read as session:
        urls = Page(_spellings(ask.url)) if ask.url else _urls(session, of, read, ask.offset)
        shown = _pages(session, urls.rows, str(read.request.base_url))
    body = listed(read, of, "claimReviewMarkupPages", shown, urls.last)
    return reply(read, ask, body, "ListClaimReviewMarkupPagesResponse")


@router.get("/v1alpha1/pages/{page_id}")
def get_page(page_id: str, ask: Annotated[Asked, Query()], read: ReadingNow) -> Response:
    """One page on which reviews are published, with their mark-up."""
    with read as session:
        found = _pages(session, [_url_of(page_id)], str(read.request.base_url))
    if not found:
        raise NotFound(f"There is no pages/{page_id}.")
    return reply(read, ask, found[0], _MARKUP_PAGE)


def _url_of(page_id: str) -> str:
    """The address that a page's name stands for. Raises NotFound."""
    try:
        url = urlsafe_b64decode(page_id + "=" * (-len(page_id) % 4)).decode()
    except (NoBase64, ValueError):
        url = ""
    if not url or "\0" in url:
        raise NotFound(f"There is no pages/{page_id}.")
    return url


def _spellings(url: str) -> list[str]:
    try:
        return [*dict.fromkeys((url, canonical_url(url)))]
    except ValueError:
        return [url]


def _published() -> Select:
    """Reviews that stand, of a claim's truth, and are published somewhere else than here."""
    claim = col(Claim.id) == col(Review.claim_id)
    of_claims = documents.query().join(Claim, claim).where(col(Claim.status) != "withdrawn")
    return of_claims.where(*documents.standing(), of_truth(), col(Review.url).is_not(None))


def _address(session: ReadSession) -> Any:
    """The address of a review's page: its own, without a place on the page."""
    is_sqlite = session.connection().dialect.name == "sqlite"
    place = func.instr if is_sqlite else func.strpos
    return func.substr(col(Review.url), 1, place(func.concat(col(Review.url), "#"), "#") - 1)


def _urls(session: ReadSession, of: Of, read: Read, offset: int) -> Page[str]:
    after, address = read.after(of), _address(session).label("url")
    ids = func.min(col(Review.id)).label("id")
    grouped = _published().with_only_columns(address, ids).group_by(address)
    each = grouped.where(on_site(of.site, "//")).subquery()
    query = select(each.c.url, each.c.id).offset(0 if after else offset)
    found = page(session, query, [each.c.id], of, after)
    return Page([row.url for row in found.rows], found.last)


def _pages(session: ReadSession, urls: Sequence[str], base: str) -> list[Json]:
    """Those of some addresses at which there is something, in their order."""
    query = _published().where(_address(session).in_(urls)).order_by(col(Review.id))
    on_page: dict[str, list[Json]] = {url: [] for url in urls}
    for review in documents.of(session, session.execute(query).all()):
        on_page[_page_of(review)].append(review)
    return _shown(session, {url: some for url, some in on_page.items() if some}, base)


def _page_of(review: Mapping[str, Any]) -> str:
    return str(review["url"]).partition("#")[0]


def _shown(session: ReadSession, on_page: Mapping[str, Sequence[Json]], base: str) -> list[Json]:
    claims = bodies.of(session, sorted({each["claim"] for some in on_page.values() for each in some}))
    around = beside(session, list(claims.values()), base)
    return [_page(url, some, claims, around) for url, some in on_page.items()]


def _page(url: str, reviews: Sequence[Json], claims: Mapping[str, Json], around: Beside) -> Json:
    told = {
        "name": f"pages/{urlsafe_b64encode(url.encode()).decode().rstrip('=')}",
        "pageUrl": url,
        "publishDate": min(review["reviewed_at"] for review in reviews)[:10],
        "claimReviewAuthor": {"name": documents.author(reviews[0])},
        "claimReviewMarkups": [_markup(review, claims[review["claim"]], around) for review in reviews],
    }
    return {**told, "versionId": hashlib.sha256(orjson.dumps(told)).hexdigest()[:16]}


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


# --- written -----------------------------------------------------------------------------------


class _In(BaseModel):
    """What Google's mark-up may say; other members are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class AuthorIn(_In):
    """Who made the claim, or reviewed it. Pictures are not kept."""

    name: str = ""
    job_title: str = ""
    same_as: str = ""
    image_url: str = ""


_Int32 = Annotated[int | None, Field(ge=-(2**31), le=2**31 - 1)]


class RatingIn(_In):
    """The rating, in words and in numbers."""

    rating_value: _Int32 = None
    best_rating: _Int32 = None
    worst_rating: _Int32 = None
    textual_rating: str = ""
    rating_explanation: str = ""
    image_url: str = ""


class MarkupIn(_In):
    """The mark-up of one review."""

    url: str = ""
    claim_reviewed: str = ""
    claim_date: str = ""
    claim_location: str = ""
    claim_first_appearance: str = ""
    claim_appearances: Annotated[list[str], Field(max_length=100)] = []
    claim_author: AuthorIn = AuthorIn()
    rating: RatingIn = RatingIn()

    def node(self, page: "PageIn", url: str) -> Json:
        """The same as a ClaimReview of schema.org."""
        numbers = self.rating.model_dump(by_alias=True, exclude_none=True)
        return {
            "@type": "ClaimReview",
            "url": self.url or url,
            "author": {"@type": "Organization", "name": page.claim_review_author.name},
            "datePublished": page.publish_date,
            "claimReviewed": self.claim_reviewed,
            "reviewRating": {**numbers, "alternateName": self.rating.textual_rating},
            "itemReviewed": {
                "@type": "Claim",
                "author": self.claim_author.model_dump(by_alias=True),
                "datePublished": self.claim_date,
                "locationCreated": self.claim_location,
                "firstAppearance": self.claim_first_appearance,
                "appearance": self.claim_appearances,
            },
        }


class PageIn(_In):
    """A page. Its name is its address, and its version that which was read."""

    name: str = ""
    page_url: Url | None = None
    publish_date: str = ""
    claim_review_author: AuthorIn = AuthorIn()
    claim_review_markups: Annotated[list[MarkupIn], Field(min_length=1, max_length=200)]
    version_id: str = ""


@router.post("/v1alpha1/pages")
def create_page(body: PageIn, ask: Annotated[Asked, Query()], write: Checking) -> Response:
    """Enters what another desk has published on a page."""
    url = (body.page_url or "").partition("#")[0]
    if not url:
        raise Invalid.at("pageUrl", "is needed")
    with write as session:
        if _on_page(session, url):
            raise Conflict(f"{url} is a page already: update it.")
        found = _entered(session, write, body, url)
        [shown] = _shown(session, {url: found}, str(write.request.base_url))
        return reply(write, ask, shown, _MARKUP_PAGE)


@router.put("/v1alpha1/pages/{page_id}")
def update_page(page_id: str, body: PageIn, ask: Annotated[Asked, Query()], write: Editing) -> Response:
    """Has a page say what its mark-up says now, all of it: corrects reviews, and takes back the others."""
    with write as session:
        url, before = _theirs(session, page_id)
        if body.page_url not in (None, url):
            raise Invalid.at("pageUrl", f"is not that of the page, {url}")
        [now] = _pages(session, [url], str(write.request.base_url)) or [{"versionId": ""}]
        if body.version_id not in ("", now["versionId"]):
            raise Stale(f"The page has the version {now['versionId']} now: get it again.")
        found = _entered(session, write, body, url)
        kept = {each for review in found for each in (review["id"], review["corrects"])}
        _take_back(session, write, [review for review in before if review["id"] not in kept])
        [shown] = _shown(session, {url: found}, str(write.request.base_url))
        return reply(write, ask, shown, _MARKUP_PAGE)


@router.delete("/v1alpha1/pages/{page_id}")
def delete_page(page_id: str, ask: Annotated[Asked, Query()], write: Editing) -> Response:
    """Takes back all that is published on a page."""
    with write as session:
        _, before = _theirs(session, page_id)
        _take_back(session, write, before)
        return reply(write, ask, {}, _MARKUP_PAGE)


def _on_page(session: ReadSession, url: str) -> list[Json]:
    """The reviews on a page that rule on something, those that wait for approval among them."""
    query = documents.query().where(_address(session).in_(_spellings(url))).order_by(col(Review.id))
    found = documents.of(session, session.execute(query).all())
    rules = ("verdict", "attribution", "label")
    open_ = [each for each in found if each["state"] in ("published", "proposed")]
    return [each for each in open_ if any(each[name] for name in rules)]


def _theirs(session: ReadSession, page_id: str) -> tuple[str, list[Json]]:
    """The address of a page of another desk, and its reviews. Raises NotFound and IllegalMove."""
    url = _url_of(page_id)
    found = _on_page(session, url)
    if not found:
        raise NotFound(f"There is no pages/{page_id}.")
    if not all(review["publisher"] for review in found):
        raise IllegalMove("It has rulings of this desk: correct them at POST /v1/claims/{id}/reviews.")
    return url, found


def _entered(session: WriteSession, write: Write, body: PageIn, url: str) -> list[Json]:
    """The reviews that the mark-up makes, in its order. Raises Invalid."""
    if not body.claim_review_author.name.strip():
        raise Invalid.at("claimReviewAuthor.name", "is needed")
    for n, each in enumerate(body.claim_review_markups):
        if each.url.partition("#")[0] not in ("", url):
            raise Invalid.at(f"claimReviewMarkups[{n}].url", "is that of the page, or of a place on it")
    role = write.role or Role.reader
    importer = Importer(session, by=write.by, role=role, **as_set(write.settings))
    rows = of_nodes(each.node(body, url) for each in body.claim_review_markups)
    results = [*importer.bring_in(rows)]
    faults: list[Fault] = [
        {"pointer": _there(n, fault["pointer"]), "detail": fault["detail"]}
        for n, result in enumerate(results)
        for fault in result.errors
    ]
    if faults:
        raise Invalid(f"{faults[0]['pointer']}: {faults[0]['detail']}", errors=faults)
    wanted = [result.id for result in results]
    reviews = session.execute(documents.query().where(col(Review.id).in_(wanted))).all()
    found = {each["id"]: each for each in documents.of(session, reviews)}
    return [found[str(each)] for each in dict.fromkeys(wanted)]


_THERE = {
    "/claim/text": "claimReviewed",
    "/claim/said": "claimDate",
    "/claim/place": "claimLocation",
    "/claim/speakers": "claimAuthor.name",
    "/claim/appearances": "claimAppearances",
    "/label": "rating.textualRating",
    "/summary": "rating.ratingExplanation",
    "/rating": "rating",
    "/reviewed_at": "publishDate",
    "/publisher": "claimReviewAuthor.name",
}
"""Where in Google's mark-up stands what a record has at its places."""


def _there(n: int, pointer: str) -> str:
    found = (theirs for ours, theirs in _THERE.items() if pointer.startswith(ours))
    return f"claimReviewMarkups[{n}].{next(found, '')}".rstrip(".")


def _take_back(session: WriteSession, write: Write, reviews: Sequence[Json]) -> None:
    who = store.Checker(write.by, write.role or Role.reader)
    four_eyes = write.settings.four_eyes
    for each in reviews:
        claim, review = session.get_one(Claim, each["claim"]), session.get_one(Review, each["id"])
        store.take_back(session, claim, review, TAKEN_BACK, four_eyes=four_eyes, who=who)
