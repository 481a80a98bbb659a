"""ClaimReviews brought in: from pages, from files of JSON-LD and from feeds, however they are written."""

import json
from typing import Any

from tests.newsroom import Json, Newsroom, ok

LD = "application/ld+json"
REVIEW: Json = {
    "@context": "https://schema.org",
    "@type": "ClaimReview",
    "url": "https://desk.example.org/checks/1",
    "claimReviewed": "Gas will flow by 2030.",
    "author": {"@type": "Organization", "name": "The Desk", "url": "https://desk.example.org/"},
    "datePublished": "2024-02-03",
    "abstract": "No contract has been signed.",
    "reviewBody": "At length.",
    "citation": [{"@type": "CreativeWork", "url": "https://stats.example.org/gas"}],
    "itemReviewed": {
        "@type": "Claim",
        "author": {
            "@type": "Person",
            "name": "Ann Example",
            "jobTitle": "Minister",
            "sameAs": "https://www.wikidata.org/wiki/Q42",
        },
        "datePublished": "2024-02-01",
        "locationCreated": {"@type": "Place", "name": "Vienna"},
        "inLanguage": "en",
        "firstAppearance": {"@type": "CreativeWork", "url": "https://news.example.org/a"},
        "appearance": [
            {
                "@type": "CreativeWork",
                "url": "https://news.example.org/a",
                "name": "A report",
                "publisher": {"@type": "Organization", "name": "The News"},
                "datePublished": "2024-02-02",
                "inLanguage": "en",
            },
            {"@type": "CreativeWork", "url": "https://other.example.org/b"},
        ],
    },
    "reviewRating": {
        "@type": "Rating",
        "ratingValue": "2",
        "bestRating": "6",
        "worstRating": "1",
        "alternateName": "Three Pinocchios",
    },
}


def bring(room: Newsroom, document: Any, media: str = LD, **ask: Any) -> Json:
    """What becomes of a file, sent by a checker."""
    content = document if isinstance(document, (str, bytes)) else json.dumps(document, ensure_ascii=False)
    by = ask.pop("by", room.checker)
    body = content.encode() if isinstance(content, str) else content
    answer = by.post("/v1/import", content=body, headers={"Content-Type": media}, params=ask)
    found: Json = answer.json() if answer.status_code == 422 else ok(answer)
    return found


def outcomes(done: Json) -> list[str]:
    return [each["outcome"] for each in done["results"]]


def told(done: Json) -> str:
    """All that is wrong."""
    return "; ".join(f"{e['pointer']}: {e['detail']}" for row in done["results"] for e in row["errors"])


def review(done: Json, room: Newsroom, n: int = 0) -> Json:
    """A review that was brought in."""
    wanted = done["results"][n]["id"]
    claims = room.get("/v1/claims", limit=200)["data"]
    reviews = [e for c in claims for e in room.get(f"/v1/claims/{c['id']}/reviews")["data"]]
    return next(dict(each) for each in reviews if each["id"] == wanted)


def changed(**members: Any) -> Json:
    """The review with other members; None takes one away."""
    return {name: value for name, value in {**REVIEW, **members}.items() if value is not None}


def of(**members: Any) -> Json:
    """The review with other members of what it is of."""
    item = {name: value for name, value in {**REVIEW["itemReviewed"], **members}.items() if value is not None}
    return changed(itemReviewed=item)


def page(*scripts: Any, head: str = "") -> str:
    written = (each if isinstance(each, str) else json.dumps(each) for each in scripts)
    tags = "".join(f'<script type="{LD}">{each}</script>\n' for each in written)
    return f"<!doctype html><html><head>{head}{tags}</head><body><p>A &amp; b <script>x < 1</script></html>"


# --- one review --------------------------------------------------------------------------------


def test_a_review_comes_with_its_claim_and_all_that_it_names(room: Newsroom) -> None:
    done = bring(room, REVIEW)
    assert outcomes(done) == ["created"], told(done)
    assert [(made["noun"], made["name"]) for made in done["results"][0]["made"]] == [
        ("entity", "The Desk"),
        ("entity", "Ann Example"),
        ("entity", "The News"),
        ("source", "A report"),
        ("source", "https://other.example.org/b"),
        ("claim", "Gas will flow by 2030."),
    ]
    kept = review(done, room)
    claim = room.get(f"/v1/claims/{kept['claim']}")
    assert (claim["text"], claim["mode"], claim["said"]) == (
        REVIEW["claimReviewed"],
        "paraphrase",
        "2024-02-01",
    )
    assert (claim["speakers"][0]["name"], claim["speakers"][0]["title"]) == ("Ann Example", "Minister")
    assert (claim["place"], claim["language"]) == ("Vienna", "en")
    assert [each["source"]["url"] for each in claim["appearances"]] == [
        "https://news.example.org/a",
        "https://other.example.org/b",
    ]
    standing = claim["verification"]
    assert (standing["status"], standing["verdict"], standing["agreement"]) == (
        "reviewed",
        "mostly_false",
        "single",
    )
    assert (kept["publisher"]["name"], kept["label"], kept["verdict"]) == (
        "The Desk",
        "Three Pinocchios",
        "mostly_false",
    )
    assert kept["rating"] == {"value": "2", "best": "6", "worst": "1"}
    assert (kept["summary"], kept["explanation"], kept["url"]) == (
        "No contract has been signed.", "At length.", REVIEW["url"],
    )  # fmt: skip
    assert kept["reviewed_at"] == "2024-02-03T00:00:00.000000Z"
    assert [each["url"] for each in kept["evidence"]] == ["https://stats.example.org/gas"]
    speaker = room.get(f"/v1/entities/{claim['speakers'][0]['id']}")
    assert (speaker["kind"], speaker["external_ids"]) == ("person", [{"scheme": "wikidata", "value": "Q42"}])


def test_the_same_file_twice_changes_nothing(room: Newsroom) -> None:
    first = bring(room, REVIEW)
    with room.unchanged():
        again = bring(room, REVIEW)
        assert bring(room, REVIEW, dry_run="true", by=room.editor)["unchanged"] == 1
    assert outcomes(again) == ["unchanged"]
    assert again["results"][0]["id"] == first["results"][0]["id"]
    with room.unchanged():
        assert bring(room, changed(url="https://desk.example.org/2"), dry_run="true")["created"] == 1
