"""Claims and their reviews in the words of schema.org, which search engines and feeds of fact-checks read.
Pure: documents in, JSON-LD out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from app.base.times import calendar_date
from app.base.types import dated
from app.claims.model import Attribution
from app.claims.pieces import is_quotation
from app.exchange.formats import Batches, Columns
from app.exchange.nodes import told_of
from app.reviews.documents import HOUSE
from app.reviews.documents import author as reviewer

CONTEXT = "https://schema.org"

_ATTRIBUTIONS: Mapping[Attribution, str] = {
    "unconfirmed": "Unconfirmed quote",
    "confirmed": "Said as quoted",
    "misquoted": "Misquoted",
    "misattributed": "Misattributed",
    "fabricated": "Fabricated quote",
    "out_of_context": "Quoted out of context",
}
_ASPECTS = ("verdict", "attribution")
_THINGS = ("person", "organization", "country", "place", "event")
"""The kinds of entities that schema.org has as types."""

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Beside:
    """What claims and reviews refer to, by id, and the address of the server that has them."""

    entities: Mapping[str, Json]
    sources: Mapping[str, Json]
    base: str

    def at(self, path: str) -> str:
        """The address of a record here."""
        return f"{self.base}v1/{path}"


def graph(claim: Json, reviews: Sequence[Json], beside: Beside) -> dict[str, Any]:
    """A claim's reviews, each with the claim; without any, the claim alone."""
    found = [claim_review(each, claim, beside) for each in reviews] or [described(claim, beside)]
    return {"@context": CONTEXT, "@graph": found}


def embeddable(document: Json, *, indent: bool = False) -> bytes:
    """JSON that stays whole within a script of an HTML page: no text in it can end the script, or a line."""
    written = orjson.dumps(document, option=orjson.OPT_INDENT_2 if indent else None).replace(b"<", rb"\u003c")
    return written.replace("\u2028".encode(), rb"\u2028").replace("\u2029".encode(), rb"\u2029")


def data_feed(_columns: Columns, batches: Batches) -> Iterator[bytes]:
    """A DataFeed of rows that are JSON already, one a line."""
    yield f'{{"@context":"{CONTEXT}","@type":"DataFeed","name":"ClaimReviews","dataFeedElement":['.encode()
    between = "\n"
    for rows in batches:
        if written := ",\n".join(rows):
            yield (between + written).encode()
            between = ",\n"
    yield b"\n]}\n"


def feed_item(review: Json, claim: Json, beside: Beside) -> dict[str, Any]:
    """A review in a feed. Of a claim that is withdrawn it is marked as deleted, for those who have it."""
    return told_of(
        {
            "@type": "DataFeedItem",
            "dateCreated": review["created_at"],
            "dateModified": claim["updated_at"],
            "dateDeleted": _withdrawn_at(claim) if _is_withdrawn(claim) else None,
            "item": claim_review(review, claim, beside),
        }
    )


# --- reviews -----------------------------------------------------------------------------------


def claim_review(review: Json, claim: Json, beside: Beside) -> dict[str, Any]:
    """A ClaimReview. While its claim is withdrawn it has no rating, or some would go on to show it."""
    cited = [each["url"] or each["source"]["url"] for each in review["evidence"]]
    return told_of(
        {
            "@type": "ClaimReview",
            "@id": _own(review, beside),
            "url": address(review, beside),
            "claimReviewed": claim["text"],
            "itemReviewed": described(claim, beside),
            "author": _desk(review, beside),
            "sdPublisher": _own_desk(beside) if "entered_by" in review else None,
            "datePublished": review["reviewed_at"],
            "abstract": None if review["summary"] == textual_rating(review) else review["summary"],
            "reviewBody": review["explanation"],
            "reviewRating": None if _is_withdrawn(claim) else _rating(review),
            "citation": [{"@type": "CreativeWork", "url": url} for url in dict.fromkeys(cited)],
            "correction": [
                *_correction(review["correction_note"], review["reviewed_at"]),
                *_withdrawal(claim),
            ],
            **_status(claim),
        }
    )


def textual_rating(review: Json) -> str:
    """The desk's own wording, or the verdict in words; of a review without either, the attribution."""
    if review["label"]:
        return str(review["label"])
    if review["verdict"]:
        return str(review["verdict"]).replace("_", " ").capitalize()
    return _ATTRIBUTIONS[review["attribution"]]


def address(review: Json, beside: Beside) -> str:
    """Where a review is published, or else where it is here."""
    return str(review["url"] or _own(review, beside))


def _own(review: Json, beside: Beside) -> str:
    return beside.at(f"claims/{review['claim']}/reviews/{review['id']}")


def _rating(review: Json) -> dict[str, Any]:
    scale = review["rating"] or {"value": None, "best": None, "worst": None}
    return told_of(
        {
            "@type": "Rating",
            "ratingValue": scale["value"],
            "bestRating": scale["best"],
            "worstRating": scale["worst"],
            "alternateName": textual_rating(review),
            "reviewAspect": next((name for name in _ASPECTS if review[name]), None),
            "identifier": [
                {"@type": "PropertyValue", "propertyID": name, "value": review[name]}
                for name in _ASPECTS
                if review[name]
            ],
        }
    )


def _desk(review: Json, beside: Beside) -> dict[str, Any]:
    desk = review["publisher"]
    named = {"@id": beside.at(f"entities/{desk['id']}")} if desk else {}
    elsewhere = {"url": _home(address(review, beside))} if review["url"] or not desk else {}
    return {"@type": "Organization", **named, "name": reviewer(review), **elsewhere}


def _own_desk(beside: Beside) -> dict[str, Any]:
    """Who marked up what another desk has published."""
    return {"@type": "Organization", "name": HOUSE, "url": _home(beside.at(""))}


def _home(url: str) -> str:
    return "/".join(re.split(r"[/?#]", url)[:3]) + "/"


def site(url: str) -> str:
    """The host of an address, as people name it: without `www.`."""
    host = re.split(r"[/?#]", url.lower())[2]
    return re.sub(r"^www\.|:\d+$", "", host)


# --- claims ------------------------------------------------------------------------------------


def described(claim: Json, beside: Beside) -> dict[str, Any]:
    """A Claim, which is a Quotation too where its text is somebody's words for all that is known."""
    places = [_appearance(each["source"], beside) for each in claim["appearances"]]
    return told_of(
        {
            "@type": ["Claim", "Quotation"] if is_quotation(claim) else "Claim",
            "@id": beside.at(f"claims/{claim['id']}"),
            "url": beside.at(f"claims/{claim['id']}.jsonld"),
            "identifier": claim["id"],
            "text": claim["text"],
            "inLanguage": claim["language"],
            "author": [speaker(each, beside) for each in claim["speakers"]],
            "datePublished": calendar_date(claim["said"]),
            "locationCreated": claim["place"] and {"@type": "Place", "name": claim["place"]},
            "about": [_subject(each, beside) for each in claim["about"]],
            "keywords": claim["topics"],
            "firstAppearance": (first := first_print(claim, beside)) and _appearance(first, beside),
            "appearance": places,
            "translationOfWork": _original(claim),
            "isBasedOn": claim["repeats"] and {"@id": beside.at(f"claims/{claim['repeats']}")},
            "correction": _withdrawal(claim),
            **_status(claim),
        }
    )


def speaker(said: Json, beside: Beside) -> dict[str, Any]:
    """Who makes a claim: a Person, or else an Organization."""
    is_person = beside.entities[said["id"]]["kind"] == "person"
    return told_of(
        {
            **_named("Person" if is_person else "Organization", said, beside),
            "jobTitle": said["title"] if is_person else None,
            "sameAs": _same(said, beside),
        }
    )


def _subject(entity: Json, beside: Beside) -> dict[str, Any]:
    kind = beside.entities[entity["id"]]["kind"]
    named = _named(kind.capitalize() if kind in _THINGS else "Thing", entity, beside)
    return told_of({**named, "sameAs": _same(entity, beside)})


def _same(entity: Json, beside: Beside) -> list[str]:
    ids = beside.entities[entity["id"]]["external_ids"]
    return [f"https://www.wikidata.org/wiki/{each['value']}" for each in ids if each["scheme"] == "wikidata"]


def _named(kind: str, entity: Json, beside: Beside) -> dict[str, Any]:
    return {"@type": kind, "@id": beside.at(f"entities/{entity['id']}"), "name": entity["name"]}


def _appearance(brief: Json, beside: Beside) -> dict[str, Any]:
    source = beside.sources[brief["id"]]
    return told_of(
        {
            "@type": "CreativeWork",
            "@id": beside.at(f"sources/{source['id']}"),
            "url": source["url"],
            "name": None if source["title"] == source["url"] else source["title"],
            "publisher": source["publisher"] and _named("Organization", source["publisher"], beside),
            "datePublished": calendar_date(source["published"]),
            "inLanguage": source["language"],
        }
    )


def first_print(claim: Json, beside: Beside) -> Json | None:
    """The source that printed it first, as far as is known; of those on one day the one named first."""

    def day(brief: Json) -> date:
        days = dated(beside.sources[brief["id"]]["published"])
        return days.latest if days else date.max

    return min((each["source"] for each in claim["appearances"]), key=day, default=None)


def _original(claim: Json) -> dict[str, Any] | None:
    if claim["original_text"] is None:
        return None
    return told_of(
        {"@type": "Claim", "text": claim["original_text"], "inLanguage": claim["original_language"]}
    )


def _is_withdrawn(claim: Json) -> bool:
    return bool(claim["verification"]["status"] == "withdrawn")


def _status(claim: Json) -> dict[str, Any]:
    return {"creativeWorkStatus": "Withdrawn"} if _is_withdrawn(claim) else {}


def _withdrawal(claim: Json) -> list[dict[str, Any]]:
    note = claim["verification"]["note"] if _is_withdrawn(claim) else None
    return _correction(note, _withdrawn_at(claim))


def _withdrawn_at(claim: Json) -> str:
    correction = claim["verification"]["correction"]  # which claims did not always keep
    return str(correction["at"] if correction else claim["updated_at"])


def _correction(note: str | None, at: str) -> list[dict[str, Any]]:
    return [{"@type": "CorrectionComment", "text": note, "datePublished": at}] if note else []
