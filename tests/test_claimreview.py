"""Claims and reviews as schema.org's ClaimReview: read by a JSON-LD processor that may fetch nothing."""

import re
from html.parser import HTMLParser
from typing import Any

import orjson
import pytest
from pyld import jsonld

from app.exchange import flat
from app.exchange.claimreview import embeddable
from tests.newsroom import Json, Newsroom, match, ok, problem

LD = "application/ld+json"
SCHEMA = "https://schema.org/"
DESK = "https://desk.example.org/checks/1"


def _named(url: str, _options: Any) -> Json:
    assert url == "https://schema.org", f"{url} would be fetched"
    context = {"@vocab": SCHEMA, "url": {"@type": "@id"}, "sameAs": {"@type": "@id"}}
    return {"contextUrl": None, "documentUrl": url, "document": {"@context": context}}


def understood(document: Json) -> list[Json]:
    """What a JSON-LD processor makes of a document."""
    found: list[Json] = jsonld.expand(document, {"documentLoader": _named})
    assert orjson.dumps(document).count(b'"@context"') == 1
    return found


def linked(room: Newsroom, claim: Json) -> list[Json]:
    """The nodes that a claim's document has."""
    answer = room.anyone.get(f"/v1/claims/{claim['id']}.jsonld")
    assert answer.headers["content-type"] == LD
    document = ok(answer)
    understood(document)
    return list(document["@graph"])


def feed(room: Newsroom, **query: Any) -> list[Json]:
    answer = room.anyone.get("/v1/claimreviews.jsonld", params=query)
    document = ok(answer)
    assert document["@type"] == "DataFeed"
    assert answer.headers["record-count"] == str(len(document["dataFeedElement"]))
    understood(document)
    return list(document["dataFeedElement"])


@pytest.fixture
def claim(seeded: Newsroom) -> Json:
    """A promise by a person, printed in an article, with a figure."""
    found = seeded.get("/v1/claims", has_figure="true", speaker="vladimir-putin", limit=1)["data"][0]
    return dict(found)


def ours(name: str, value: str) -> Json:
    """A rating in this server's words."""
    return {"@type": "PropertyValue", "propertyID": name, "value": value}


def ruled(room: Newsroom, claim: Json, **more: Any) -> Json:
    room.take(claim)
    return room.review(claim, **more)


# --- one claim ---------------------------------------------------------------------------------


def test_a_claim_that_nobody_reviewed_is_a_claim_alone(seeded: Newsroom) -> None:
    claims = seeded.get("/v1/claims", limit=200)["data"]
    kinds = {}
    for claim in claims:
        [node] = linked(seeded, claim)
        assert (node["text"], node["identifier"]) == (claim["text"], claim["id"])
        assert [each["name"] for each in node["author"]] == [each["name"] for each in claim["speakers"]]
        assert node["appearance"][0]["url"] == claim["appearances"][0]["source"]["url"]
        assert node["appearance"][0]["publisher"]["name"] == "RFE/RL"
        kinds[claim["mode"]] = node["@type"]
    assert kinds == {
        "direct_quote": ["Claim", "Quotation"],
        "partial_quote": ["Claim", "Quotation"],
        "paraphrase": "Claim",
        "own_voice": "Claim",
    }


def test_it_says_who_said_it_when_and_where_it_was_printed_first(seeded: Newsroom, claim: Json) -> None:
    earlier = seeded.source("https://example.org/early", "An early report", published="2023-03")
    later = seeded.source("https://example.org/late", "A late report", published="2024-01-01")
    undated = seeded.source("https://example.org/none", "A page")
    printed = [{"source": each["id"]} for each in (later, undated, earlier)]
    made = seeded.claim(
        "Gas will flow.", said="2023-03-21", language="en", speakers=["vladimir-putin", "china"],
        appearances=printed, topics=["energy"], about=["power-of-siberia-2"],
    )  # fmt: skip
    [node] = linked(seeded, made)
    [person, state] = node["author"]
    assert (person["@type"], person["sameAs"]) == ("Person", ["https://www.wikidata.org/wiki/Q7747"])
    assert (state["@type"], state["name"]) == ("Organization", "China")
    assert node["datePublished"] == "2023-03-21"
    assert node["firstAppearance"]["url"] == "https://example.org/early"
    assert node["firstAppearance"]["datePublished"] == "2023-03"
    assert [each["url"] for each in node["appearance"]] == [each["url"] for each in (later, undated, earlier)]
    assert (node["keywords"], node["inLanguage"]) == (["energy"], "en")
    assert node["about"][0]["name"] == "Power of Siberia 2"
    [node] = linked(seeded, seeded.claim("He will.", said="2023-03~", repeats=made["id"]))
    assert "datePublished" not in node  # which a guess is not
    assert node["isBasedOn"]["@id"].endswith(f"/v1/claims/{made['id']}")
    assert linked(seeded, claim)[0]["author"][0]["jobTitle"] == "President of Russia"


def test_each_desk_s_review_is_a_claim_review(seeded: Newsroom, claim: Json) -> None:
    desk = seeded.entity("A desk", "organization")
    theirs = {
        "publisher": desk["id"],
        "url": DESK,
        "label": "Four Pinocchios",
        "reviewed_at": "2024-01-02T00:00:00Z",
    }
    scale = {"rating": {"value": "3.5", "best": "4", "worst": "0"}, "explanation": "At length."}
    ruled(seeded, claim, **theirs, **scale)
    own = ruled(seeded, claim, verdict="mostly_false", summary="The table has less.")
    said = ruled(seeded, claim, verdict=None, attribution="misattributed", actual_speaker="xi-jinping")
    [first, second, third] = linked(seeded, claim)
    assert {each["@type"] for each in (first, second, third)} == {"ClaimReview"}
    assert (first["url"], first["reviewBody"]) == (DESK, "At length.")
    assert first["author"] == {
        "@type": "Organization", "@id": first["author"]["@id"], "name": "A desk",
        "url": "https://desk.example.org/",
    }  # fmt: skip
    assert first["reviewRating"] == {
        "@type": "Rating", "ratingValue": "3.5", "bestRating": "4", "worstRating": "0",
        "alternateName": "Four Pinocchios", "reviewAspect": "verdict",
        "identifier": [ours("verdict", "false")],
    }  # fmt: skip
    assert first["datePublished"].startswith("2024-01-02T")
    assert first["citation"] == [{"@type": "CreativeWork", "url": "https://example.org/proof"}]
    assert second["url"] == f"{seeded.server.url}/v1/claims/{claim['id']}/reviews/{own['id']}"
    assert ok(seeded.anyone.get(second["url"]))["id"] == own["id"]
    assert (second["author"]["name"], second["abstract"]) == ("On the Record", "The table has less.")
    assert second["reviewRating"] == {
        "@type": "Rating", "ratingValue": "2", "bestRating": "5", "worstRating": "1",
        "alternateName": "Mostly false", "reviewAspect": "verdict",
        "identifier": [ours("verdict", "mostly_false")],
    }  # fmt: skip
    assert third["@id"].endswith(said["id"])
    assert third["reviewRating"] == {
        "@type": "Rating", "alternateName": "Misattributed", "reviewAspect": "attribution",
        "identifier": [ours("attribution", "misattributed")],
    }  # fmt: skip
    for review in (first, second, third):
        assert review["claimReviewed"] == claim["text"]
        assert review["itemReviewed"]["author"][0]["name"] == "Vladimir Putin"
    # A processor joins what is said of the one claim three times.
    document = ok(seeded.anyone.get(f"/v1/claims/{claim['id']}.jsonld"))
    nodes = jsonld.flatten(document, options={"documentLoader": _named})
    kinds = [kind for node in nodes for kind in node.get("@type", [])]
    assert [kinds.count(SCHEMA + kind) for kind in ("ClaimReview", "Claim", "Rating")] == [3, 1, 3]


def test_only_what_stands_is_shown_and_what_was_corrected_says_so(room: Newsroom) -> None:
    claim = room.claim()
    first = ruled(room, claim, verdict="false")
    correction = {"corrects": first["id"], "correction_note": "A source was overlooked."}
    room.review(claim, by=room.editor, verdict="true", **correction)
    with room.with_settings(four_eyes=True) as strict:
        ruled(strict, claim, verdict="outdated")
    [shown] = linked(room, claim)
    assert shown["reviewRating"]["alternateName"] == "True"
    [comment] = shown["correction"]
    assert (comment["@type"], comment["text"]) == ("CorrectionComment", "A source was overlooked.")
    assert "creativeWorkStatus" not in shown
    assert [each["item"] for each in feed(room)] == [shown]


def test_a_withdrawn_claim_keeps_its_reviews_but_no_rating(room: Newsroom) -> None:
    claim = room.claim()
    ruled(room, claim, verdict="false")
    other = room.claim("Unchecked.")
    for each in (claim, other):
        path = f"/v1/claims/{each['id']}/withdrawal"
        ok(room.editor.post(path, json={"note": "Nobody said it."}, headers=match(room.fresh(each))))
    [review], [alone] = linked(room, claim), linked(room, other)
    assert "reviewRating" not in review
    for node in (review, review["itemReviewed"], alone):
        assert node["creativeWorkStatus"] == "Withdrawn"
        assert node["correction"][-1]["text"] == "Nobody said it."
    [item] = feed(room)
    assert item["item"] == review
    assert item["dateDeleted"] == room.fresh(claim)["verification"]["correction"]["at"]


class _Scripts(HTMLParser):
    """What is in the scripts of a page, and how many other tags it has."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.texts, self.others = False, "", 0

    def handle_starttag(self, tag: str, _attributes: Any) -> None:
        self.inside = tag == "script"
        self.others += tag != "script"

    def handle_endtag(self, _tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        self.texts += data if self.inside else ""


HOSTILE = "</script><img src=x> <!--<script> ]]> \u2028\u2029 & </SCRIPT >"


def test_it_can_be_put_into_a_page_whatever_the_words_are(room: Newsroom) -> None:
    claim = room.claim(f"He said {HOSTILE} twice.", context="<!-- </script>")
    answer = room.anyone.get(f"/v1/claims/{claim['id']}.jsonld")
    page = _Scripts()
    page.feed(f'<html><script type="{LD}">{answer.text}</script></html>')
    assert (orjson.loads(page.texts), page.others) == (answer.json(), 1)
    assert answer.json()["@graph"][0]["text"] == claim["text"]
    assert not re.search("[<\u2028\u2029]", embeddable({HOSTILE: [HOSTILE]}).decode())
    assert orjson.loads(embeddable({HOSTILE: [HOSTILE]}, indent=True)) == {HOSTILE: [HOSTILE]}


def test_what_is_no_claim_is_not_found(room: Newsroom) -> None:
    problem(room.anyone.get("/v1/claims/clm_none.jsonld"), 404, "not-found")
    problem(room.anyone.get("/v1/claims/clm_none.jsonld?limit=1"), 422, "invalid")
    refused = room.anyone.get("/v1/claimreviews.jsonld", params={"publisher": "nobody-at-all"})
    problem(refused, 422, "invalid")


# --- the feed ----------------------------------------------------------------------------------


def test_the_feed_has_what_the_claims_have(room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    assert feed(room) == []
    claims = [room.claim(f"Claim {n}.") for n in range(5)]
    for claim, verdict in zip(claims, ("true", "false", "false", "satire", "not_checkable"), strict=True):
        ruled(room, claim, verdict=verdict)
    monkeypatch.setattr(flat, "BATCH", 2)
    items = feed(room, order="asc")
    assert [each["item"] for each in items] == [linked(room, claim)[0] for claim in claims]
    assert [each["item"]["claimReviewed"] for each in feed(room, verdict="false")] == [
        "Claim 2.",
        "Claim 1.",
    ]
    assert [each["item"]["itemReviewed"]["identifier"] for each in feed(room, claim=claims[3]["id"])] == [
        claims[3]["id"]
    ]
    assert "ratingValue" not in items[3]["item"]["reviewRating"]  # satire is no degree of truth


def test_the_feed_is_a_file_with_all_that_feeds_have(room: Newsroom) -> None:
    ruled(room, room.claim("A claim."))
    path = "/v1/claimreviews.jsonld"
    whole = room.anyone.get(path, headers={"Accept-Encoding": "gzip"})
    assert (whole.headers["content-encoding"], whole.headers["content-type"]) == ("gzip", LD)
    tag = whole.headers["etag"]
    assert room.anyone.get(path, headers={"If-None-Match": tag, "Accept-Encoding": "gzip"}).status_code == 304
    part = room.anyone.get(path, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, whole.content[:10])
    elsewhere = room.anyone.get(path, headers={"Host": "facts.example.org"}).json()
    own = elsewhere["dataFeedElement"][0]["item"]["@id"]
    assert own.startswith("http://facts.example.org/v1/claims/")
