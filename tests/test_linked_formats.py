"""Published JSON-LD holds to schema.org's vocabulary: types, properties, what these take, and formats."""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

import pytest

from tests.newsroom import Json, Newsroom, match, ok
from tests.test_claimreview import feed, linked
from tests.test_markup import bring, changed

PARENTS = {
    "Thing": "", "CreativeWork": "Thing", "Claim": "CreativeWork", "Quotation": "CreativeWork",
    "Review": "CreativeWork", "ClaimReview": "Review", "Comment": "CreativeWork",
    "CorrectionComment": "Comment", "Dataset": "CreativeWork", "DataFeed": "Dataset", "Person": "Thing",
    "Organization": "Thing", "Place": "Thing", "AdministrativeArea": "Place", "Country": "AdministrativeArea",
    "Event": "Thing", "Intangible": "Thing", "Rating": "Intangible", "StructuredValue": "Intangible",
    "PropertyValue": "StructuredValue", "DataFeedItem": "Intangible",
}  # fmt: skip
"""Types of schema.org that are published, and of which each is a kind (release 30.0)."""

WORK, DATES = "CreativeWork", "Date DateTime"
PROPERTIES = {
    "url": ("Thing", "URL"), "identifier": ("Thing", "PropertyValue Text URL"), "name": ("Thing", "Text"),
    "sameAs": ("Thing", "URL"), "alternateName": ("Thing", "Text"), "text": (WORK, "Text"),
    "inLanguage": (WORK, "Language Text"), "author": (f"{WORK} Rating", "Organization Person"),
    "datePublished": (WORK, DATES), "locationCreated": (WORK, "Place"), "about": (WORK, "Thing"),
    "keywords": (WORK, "Text URL"), "firstAppearance": ("Claim", WORK), "appearance": ("Claim", WORK),
    "translationOfWork": (WORK, WORK), "isBasedOn": (WORK, f"{WORK} URL"),
    "correction": (WORK, "CorrectionComment Text URL"), "creativeWorkStatus": (WORK, "Text"),
    "publisher": (WORK, "Organization Person"), "abstract": (WORK, "Text"),
    "citation": (WORK, f"{WORK} Text"), "sdPublisher": (WORK, "Organization Person"),
    "jobTitle": ("Person", "Text"), "claimReviewed": ("ClaimReview", "Text"),
    "itemReviewed": ("Review", "Thing"), "reviewBody": ("Review", "Text"),
    "reviewRating": ("Review", "Rating"), "reviewAspect": ("Rating Review", "Text"),
    "ratingValue": ("Rating", "Number Text"), "bestRating": ("Rating", "Number Text"),
    "worstRating": ("Rating", "Number Text"), "propertyID": ("PropertyValue", "Text URL"),
    "value": ("PropertyValue", "Text"), "dataFeedElement": ("DataFeed", "DataFeedItem Text Thing"),
    "item": ("DataFeedItem", "Thing"), "dateCreated": (f"{WORK} DataFeedItem", DATES),
    "dateModified": (f"{WORK} DataFeedItem", DATES), "dateDeleted": ("DataFeedItem", DATES),
}  # fmt: skip
"""Properties that are published: the types that have each, and what it takes."""


def faults(node: Any, at: str = "") -> Iterator[str]:
    """What in a document is not of the vocabulary, with its place."""
    kinds = _listed(node["@type"])
    yield from (f"{at}: {kind} is no type" for kind in kinds if kind not in PARENTS)
    for name, values in node.items():
        if name.startswith("@"):
            continue
        if name not in PROPERTIES:
            yield f"{at}/{name} is no property"
            continue
        domain, takes = (each.split() for each in PROPERTIES[name])
        if not any(_is_a(kind, each) for kind in kinds for each in domain):
            yield f"{at}/{name} is not of {kinds}"
        for value in _listed(values):
            if not any(_fits(value, each) for each in takes):
                yield f"{at}/{name} does not take {value}"
            if isinstance(value, dict) and "@type" in value:
                yield from faults(value, f"{at}/{name}")


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def _is_a(kind: str, wanted: str) -> bool:
    return kind == wanted or (bool(PARENTS.get(kind)) and _is_a(PARENTS[kind], wanted))


def _fits(value: Any, kind: str) -> bool:
    if isinstance(value, dict):
        return set(value) == {"@id"} or any(_is_a(each, kind) for each in _listed(value.get("@type", "?")))
    match kind:
        case "Text" | "Language":
            return isinstance(value, str) and bool(value.strip())
        case "Number":
            return isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value) is not None
        case "URL":
            return isinstance(value, str) and re.fullmatch(r"https?://\S+", value) is not None
        case "Date":
            return _is_date(value)
        case "DateTime":
            return bool(re.fullmatch(r"\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)", value)) and _reads(value)
    return False


def _is_date(value: str) -> bool:
    """A year, month or day of ISO 8601."""
    if re.fullmatch(r"\d{4}(-\d\d){0,2}", value) is None:
        return False
    try:
        date.fromisoformat(f"{value}-01-01"[:10] if len(value) < 10 else value)
    except ValueError:
        return False
    return True


def _reads(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


DATED = ["2023", "2023-03", "2023-03-21", "2022-24", "2022-21", "2022-33", "2022-41", "2023-03~", "2023-XX",
         "2023-01/2023-02", "../2023", "1985?", None]  # fmt: skip


def test_claims_of_every_kind_of_date_are_of_the_vocabulary(seeded: Newsroom) -> None:
    for n, said in enumerate(DATED):
        page = seeded.source(f"https://example.org/{n}", "A page", published=said)
        about = ["power-of-siberia-2", "china"]
        more = {"place": "Moscow", "topics": ["energy"], "original_text": "Газ", "original_language": "ru"}
        printed = [{"source": page["id"]}]
        claim = seeded.claim("Gas will flow.", said=said, appearances=printed, about=about, **more)
        [node] = linked(seeded, claim)
        assert [*faults(node)] == []
        kept = said if said in ("2023", "2023-03", "2023-03-21") else None
        assert node.get("datePublished") == node["firstAppearance"].get("datePublished") == kept


def test_every_claim_of_the_seed_and_every_review_is_of_the_vocabulary(seeded: Newsroom) -> None:
    claims = seeded.get("/v1/claims", limit=200)["data"]
    assert [fault for claim in claims for node in linked(seeded, claim) for fault in faults(node)] == []
    ok_claim = next(claim for claim in claims if claim["kind"] == "fact" and not claim["repeats"])
    seeded.take(ok_claim)
    first = seeded.review(ok_claim, verdict="mostly_false", label="Hm", explanation="At length.")
    body = {"verdict": "true", "summary": "So.", "corrects": first["id"], "correction_note": "A slip.",
            "evidence": [{"url": "https://example.org/e", "stance": "supports"}]}  # fmt: skip
    path = f"/v1/claims/{ok_claim['id']}"
    ok(seeded.editor.post(f"{path}/reviews", json=body, headers=match(seeded.fresh(ok_claim))))
    bring(seeded, changed())
    gone = {"note": "Twice."}
    ok(seeded.editor.post(f"{path}/withdrawal", json=gone, headers=match(seeded.fresh(ok_claim))))
    items = feed(seeded)
    assert len(items) == 2
    assert [fault for item in items for fault in faults(item)] == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"datePublished": "2022-24"}, "/datePublished does not take 2022-24"),
        ({"datePublished": "2023-02-30"}, "/datePublished does not take 2023-02-30"),
        ({"verdict": "true"}, "/verdict is no property"),
        ({"jobTitle": "x"}, "/jobTitle is not of ['Claim']"),
        ({"author": {"@type": "Place"}}, "/author does not take {'@type': 'Place'}"),
        ({"@type": "Klaim"}, ": Klaim is no type"),
    ],
)
def test_what_is_not_of_the_vocabulary_is_noticed(change: Json, fault: str) -> None:
    assert fault in [*faults({"@type": "Claim", "text": "x"} | change)]
