"""ClaimReviews brought in: from pages, from files of JSON-LD and from feeds, however they are written."""

import itertools
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from app.base.errors import TooLarge
from app.exchange import markup, routes
from app.reviews.labels import VERDICTS, verdict_of
from tests.commands import Command
from tests.newsroom import Bases, Json, Newsroom, Server, ok, problem

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
    return reviews(room)[done["results"][n]["id"]]


def reviews(room: Newsroom) -> dict[str, Json]:
    """All reviews, by their ids."""
    claims = room.get("/v1/claims", limit=200)["data"]
    found = [e for c in claims for e in room.get(f"/v1/claims/{c['id']}/reviews")["data"]]
    return {each["id"]: each for each in found}


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
    assert [(made["type"], made["name"]) for made in done["results"][0]["made"]] == [
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


def test_several_desks_on_one_claim_agree_or_differ(room: Newsroom) -> None:
    other = changed(
        url="https://other.example.org/1",
        author={"@type": "NewsMediaOrganization", "name": "Another Desk"},
        reviewRating={"@type": "Rating", "alternateName": "Pants on Fire!"},
        itemReviewed={"@type": "Claim", "author": "Ann Example"},
    )
    same = changed(url="https://third.example.org/1", author="Third Desk")
    done = bring(room, [REVIEW, other, same])
    assert outcomes(done) == ["created"] * 3, told(done)
    [claim] = room.get("/v1/claims")["data"]
    assert (claim["verification"]["agreement"], claim["said"]) == ("split", "2024-02-01")
    reviews = room.get(f"/v1/claims/{claim['id']}/reviews")["data"]
    assert {each["publisher"]["name"]: each["verdict"] for each in reviews} == {
        "The Desk": "mostly_false", "Another Desk": "false", "Third Desk": "mostly_false",
    }  # fmt: skip
    with room.unchanged():
        assert outcomes(bring(room, [same, other, REVIEW])) == ["unchanged"] * 3
    another_day = bring(room, of(datePublished="2020-01-01"))
    another_speaker = bring(room, of(author={"@type": "Person", "name": "Ben Example"}))
    assert outcomes(another_day) == outcomes(another_speaker) == ["created"]
    assert room.get("/v1/stats", by="status")["total"] == 3


def test_a_review_that_has_changed_is_corrected_by_an_editor_alone(room: Newsroom) -> None:
    first = bring(room, REVIEW)["results"][0]["id"]
    rating = {"@type": "Rating", "alternateName": "False"}
    note = {"@type": "CorrectionComment", "text": "We had misread the table."}
    later = changed(reviewRating=rating, correction=note)
    with room.unchanged():
        refused = bring(room, later)
    assert "editor" in told(refused)
    done = bring(room, later, by=room.editor)
    kept = review(done, room)
    assert (kept["corrects"], kept["verdict"], kept["correction_note"]) == (first, "false", note["text"])
    assert outcomes(bring(room, later)) == ["unchanged"]
    [claim] = room.get("/v1/claims")["data"]
    assert claim["verification"]["correction"]["was"]["verdict"] == "mostly_false"


def test_what_a_feed_has_as_deleted_is_taken_back(room: Newsroom) -> None:
    item = {"@type": "DataFeedItem", "dateDeleted": "2024-05-06", "item": REVIEW}
    feed = {"@context": "https://schema.org", "@type": "DataFeed", "dataFeedElement": [item]}
    with room.unchanged():
        assert outcomes(bring(room, feed)) == ["unchanged"], "what is not here cannot be taken back"
    bring(room, REVIEW)
    assert outcomes(bring(room, feed, by=room.editor)) == ["created"]
    [claim] = room.get("/v1/claims")["data"]
    assert (claim["verification"]["status"], claim["verification"]["verdict"]) == ("unverified", None)
    assert claim["verification"]["correction"]["note"] == "The desk has withdrawn its review."
    assert room.anyone.get("/v1/claimreviews.jsonld").json()["dataFeedElement"] == []
    with room.unchanged():
        assert outcomes(bring(room, feed, by=room.editor)) == ["unchanged"]
    assert outcomes(bring(room, REVIEW)) == ["created"], "and may be published again"


def test_a_claim_that_somebody_checks_or_that_waits_is_left_alone(room: Newsroom) -> None:
    bring(room, REVIEW)
    [claim] = room.get("/v1/claims")["data"]
    room.take(claim, by=room.admin)
    new = changed(author="A new desk", url="https://new.example.org/")
    with room.unchanged():
        assert "taken by" in told(bring(room, new))
    ok(room.admin.delete(f"/v1/claims/{claim['id']}/assignment", headers={"If-Match": "*"}))
    with room.with_settings(four_eyes=True) as strict:
        done = bring(strict, [new, changed(author="Second", url="https://second.example.org/")], mode="good")
        assert outcomes(done) == ["created", "refused"]
        assert "waits for approval" in told(done)
        assert strict.fresh(claim)["verification"]["status"] == "pending_approval"
        assert outcomes(bring(strict, new)) == ["unchanged"]


def test_only_who_may_review_brings_reviews_in(room: Newsroom) -> None:
    line = json.dumps({"review": {"claim": {"text": "Said.", "mode": "paraphrase", "speakers": ["Ann"]},
                                  "publisher": "The Desk", "label": "Wahr"}})  # fmt: skip
    with room.unchanged():
        for media, content in ((LD, json.dumps(REVIEW)), ("text/html", page(REVIEW))):
            answer = room.reporter.post("/v1/import", content=content, headers={"Content-Type": media})
            problem(answer, 403, "forbidden")
        assert "checker" in told(bring(room, line, "application/x-ndjson", by=room.reporter))
    done = bring(room, line, "application/x-ndjson", new_entities="person")
    assert review(done, room)["verdict"] == "true"


# --- however it is written ---------------------------------------------------------------------


def _prefixed(value: Any, prefix: str) -> Any:
    if isinstance(value, dict):
        return {k if k[0] == "@" else prefix + k: _typed(k, v, prefix) for k, v in value.items()}
    return [_prefixed(each, prefix) for each in value] if isinstance(value, list) else value


def _typed(name: str, value: Any, prefix: str) -> Any:
    return [prefix + value] if name == "@type" else _prefixed(value, prefix)


ORGANIZATION: Json = {"@type": "Organization", "@id": "#desk", "name": "The Desk"}
SPELLINGS: dict[str, Any] = {
    "a list": [REVIEW],
    "a graph": {"@context": "https://schema.org", "@graph": [{"@type": "WebPage"}, REVIEW]},
    "a reference": {"@graph": [ORGANIZATION, changed(author={"@id": "#desk"})]},
    "http": changed(**{"@context": "http://schema.org/"}),
    "https prefix": _prefixed(REVIEW, "https://schema.org/"),
    "http prefix": _prefixed(REVIEW, "http://schema.org/"),
    "a short prefix": {**_prefixed(REVIEW, "schema:"), "@context": {"schema": "https://schema.org/"}},
    "several types": changed(**{"@type": ["Review", "ClaimReview"]}),
    "aliases": {"type": "ClaimReview", **changed(**{"@type": None})},
    "within an article": {"@type": "NewsArticle", "review": [[{"item": REVIEW}]]},
    "a feed": {"@type": "DataFeed", "dataFeedElement": [{"@type": "DataFeedItem", "item": [REVIEW]}]},
    "values": changed(claimReviewed={"@value": REVIEW["claimReviewed"], "@language": "en"}),
    "lists of one": {k: v if k[0] == "@" else [v] for k, v in REVIEW.items()},
    "a set": changed(author={"@set": [REVIEW["author"]]}),
    "numbers": changed(reviewRating={**REVIEW["reviewRating"], "ratingValue": 2, "bestRating": 6.0}),
    "a text as speaker": of(author="Ann Example"),
    "a text as page": of(firstAppearance="https://news.example.org/a"),
    "the words with the claim": {**of(text=REVIEW["claimReviewed"]), "claimReviewed": None},
    "two items of one claim": changed(itemReviewed=[REVIEW["itemReviewed"], {"@type": "CreativeWork"}]),
    "a person of the desk": changed(author={"@type": "Person", "name": "A."}, publisher=ORGANIZATION),
    "a sloppy date": changed(datePublished="2024/2/3"),
    "a zone of its own": changed(datePublished="2024-02-03T02:00:00+0200"),
    "no zone": changed(datePublished="2024-02-03T00:00"),
}


def test_it_may_be_written_in_many_ways(room: Newsroom) -> None:
    first = bring(room, REVIEW)["results"][0]["id"]
    with room.unchanged():
        for name, document in SPELLINGS.items():
            done = bring(room, document)
            assert outcomes(done) == ["unchanged"], f"{name}: {told(done)}"
            assert done["results"][0]["id"] == first, name


def test_a_page_has_many_scripts_and_a_broken_one_spoils_no_other(room: Newsroom) -> None:
    broken = json.dumps(REVIEW).replace("At length.", "At\nlength.")
    second = changed(claimReviewed="Oil will flow.", url=None)
    canonical = '<link href="https://desk.example.org/page" rel="canonical">'
    hidden = f"<!-- <script type='{LD}'>{{}}</script> -->"
    whole = page("{}", broken, f"//<![CDATA[\n{json.dumps(second)}\n//]]>", REVIEW, head=canonical + hidden)
    refused = bring(room, whole, "text/html")
    assert (refused["refused"], "Script 2" in told(refused), "line 1, column" in told(refused)) == (
        1,
        True,
        True,
    )
    done = bring(room, whole, "text/html", mode="good")
    assert outcomes(done) == ["refused", "created", "created"]
    assert review(done, room, 1)["url"] == "https://desk.example.org/page"
    bare = f'<SCRIPT TYPE="Application/LD+JSON; charset=utf-8">{json.dumps(REVIEW)}</SCRIPT>'
    assert outcomes(bring(room, bare, "text/html")) == ["unchanged"]
    assert "has no end" in told(bring(room, bare[:-9], "text/html"))
    assert "no ClaimReview" in told(bring(room, page({"@type": "NewsArticle"}), "text/html"))
    assert "neither a list nor an object" in told(bring(room, "5", LD))


def test_a_review_of_several_claims_is_one_of_each(room: Newsroom) -> None:
    items = [{"@type": "Claim", "text": f"Claim {n}.", "author": f"Speaker {n}"} for n in (1, 2)]
    done = bring(room, changed(itemReviewed=items))
    assert outcomes(done) == ["created", "created"]
    claims = room.get("/v1/claims", order="asc")["data"]
    assert [(each["text"], each["speakers"][0]["name"]) for each in claims] == [
        ("Claim 1.", "Speaker 1"), ("Claim 2.", "Speaker 2"),
    ]  # fmt: skip


def test_who_is_named_is_found_by_wikidata_before_the_name(room: Newsroom) -> None:
    known = room.entity("A. Example", external_ids=[{"scheme": "wikidata", "value": "Q42"}])
    homonym = room.entity("Ben Example", external_ids=[{"scheme": "wikidata", "value": "Q7"}])
    plain = room.entity("Cem Example")
    authors = [
        REVIEW["itemReviewed"]["author"],
        {"@type": "Person", "name": "Ben Example", "sameAs": ["http://www.wikidata.org/entity/Q8"]},
        {"@type": "Person", "name": "Cem Example", "sameAs": "https://cem.example.org/"},
    ]
    done = bring(room, of(author=authors))
    claim = room.get(f"/v1/claims/{review(done, room)['claim']}")
    ids = [each["id"] for each in claim["speakers"]]
    assert (ids[0], ids[2]) == (known["id"], plain["id"])
    assert ids[1] != homonym["id"]
    assert outcomes(bring(room, of(author=list(reversed(authors))))) == ["unchanged"]


RATINGS: list[tuple[Any, tuple[Any, ...]]] = [
    ({"alternateName": "Faux"}, ("Faux", "false", None)),
    ({"alternateName": ["Trompeur", "Misleading"]}, ("Trompeur", "misleading", None)),
    ({"name": "Half-True"}, ("Half-True", "half_true", None)),
    ("MOSTLY TRUE", ("MOSTLY TRUE", "mostly_true", None)),
    ({"ratingValue": "False"}, ("False", "false", None)),
    ({"ratingValue": "1,5", "bestRating": "3", "worstRating": "0", "alternateName": "So so"},
     ("So so", None, ("1.5", "3", "0"))),
    ({"ratingValue": 4, "alternateName": "Wahr, aber alt"}, ("Wahr, aber alt", None, ("4", "5", "1"))),
    ({"ratingValue": 4}, (None, "mostly_true", ("4", "5", "1"))),
    ({"ratingValue": -1, "bestRating": -1, "worstRating": -1, "alternateName": "Satire"},
     ("Satire", "satire", ("-1", "-1", "-1"))),
    ({"ratingValue": "3 of 4", "alternateName": "Fake"}, ("Fake", "false", None)),
    ({"ratingValue": None, "alternateName": "Senza prove"}, ("Senza prove", "unsupported", None)),
    ({"ratingValue": True, "alternateName": "True"}, ("True", "true", None)),
    ({"alternateName": "Said as quoted"}, ("Said as quoted", None, None)),
]  # fmt: skip


def test_ratings_however_odd_keep_their_wording(room: Newsroom) -> None:
    documents = [
        changed(reviewRating=rating, claimReviewed=f"Claim {n}.", url=f"https://desk.example.org/{n}")
        for n, (rating, _) in enumerate(RATINGS)
    ]
    done = bring(room, documents)
    assert outcomes(done) == ["created"] * len(RATINGS), told(done)
    made = reviews(room)
    kept: Json = {}
    for result, (rating, (label, verdict, scale)) in zip(done["results"], RATINGS, strict=True):
        kept = made[result["id"]]
        assert (kept["label"], kept["verdict"]) == (label, verdict), rating
        assert scale is None or tuple(kept["rating"].values()) == scale, rating
    assert kept["attribution"] == "confirmed"


def test_the_table_of_labels_is_one_of_wordings_that_mean_one_thing() -> None:
    assert len(VERDICTS) > 300
    for label, verdict in (("Pants on Fire!", "false"), ("C’est plutôt vrai", None), ("FALSO", "false"),
                           ("Irreführend", "misleading"), ("Неправда.", "false"), ("True, but old", None),
                           ("", None), ("🤥", None), ("Missing Context", "misleading")):  # fmt: skip
        assert verdict_of(label) == verdict, label


WRONG: list[tuple[Any, str]] = [
    (changed(claimReviewed=None), "/claim/text"),
    (of(author=None), "/claim/speakers"),
    (changed(author=None), "/publisher"),
    (changed(reviewRating=None), "label"),
    (changed(reviewRating={"ratingValue": 3, "bestRating": 4}), "label"),
    (changed(datePublished="soon"), "/reviewed_at"),
    (of(datePublished="once"), "/claim/said"),
    (of(inLanguage="Klingon!"), "/claim/language"),
    (changed(url="javascript:alert(1)"), "/url"),
    (changed(claimReviewed="x" * 20_001), "/claim/text"),
    (changed(claimReviewed="a\u0000b"), "NUL"),
    (of(author=[{"name": f"Speaker {n}"} for n in range(51)]), "/claim/speakers"),
    ("{", "is not JSON"),
    ('{"@type": "ClaimReview",}', "is not JSON"),
    ("[1] [2]", "goes on after its end"),
    ("[" * 5000, "too deeply"),
    ("[" * 100 + "]" * 100, "too deeply"),
    (b"\xff\xfe{", "UTF-8"),
    ("", "is not JSON"),
]


def test_what_is_wrong_is_told_with_its_place(room: Newsroom) -> None:
    for document, place in WRONG:
        before = room.state()
        answer = bring(room, document)
        assert place in str(answer.get("results", "")) + answer["detail"], answer
        assert room.state() == before, place


# --- out and in again --------------------------------------------------------------------------


def _furnished(room: Newsroom) -> None:
    """Rules on claims of the seed in all the ways that there are."""
    desk = room.entity("Another desk", "organization")
    claims = room.get("/v1/claims", has_figure="true", kind="fact", limit=2)["data"]
    claims += room.get("/v1/claims", mode="direct_quote", kind="fact", limit=2)["data"]
    theirs = {"publisher": desk["id"], "label": "Four Pinocchios", "reviewed_at": "2024-01-02T00:00:00Z"}
    scale: Json = {"rating": {"value": "3.5", "best": "4", "worst": "0"}, "explanation": "At length."}
    for n, claim in enumerate(claims):
        room.take(claim)
        room.review(claim, verdict="mostly_false", summary="The table has less.")
        if n % 2:
            room.take(claim)
            room.review(claim, **theirs, **scale, url=f"https://desk.example.org/{n}", verdict="half_true")
    room.take(claims[0])
    misquoted = room.review(claims[0], verdict=None, attribution="misquoted", actual_words="Nearly.")
    room.review(claims[0], by=room.editor, verdict=None, attribution="misattributed",
                corrects=misquoted["id"], correction_note="It was another.")  # fmt: skip
    told = {"speakers": ["xi-jinping", {"entity": "china", "title": "A state"}], "place": "Moscow",
            "original_text": "Газ будет.", "original_language": "ru", "said": "2023-03"}  # fmt: skip
    both = room.claim("Gas will be.", topics=["energy"], about=["power-of-siberia-2"], **told)
    room.take(both)
    room.review(both, verdict="not_checkable", attribution="unconfirmed", evidence=[])


def _alike(value: Any) -> Any:
    """What two servers have alike: all but ids, their own addresses, and when they wrote it."""
    own = {"@id", "dateCreated", "dateModified"}
    if isinstance(value, list):
        return [_alike(each) for each in value]
    if not isinstance(value, dict):
        return value
    is_claim = "Claim" in str(value.get("@type")) and "claimReviewed" not in value
    own |= {"url", "identifier"} if is_claim else set()
    return {name: _alike(each) for name, each in value.items() if name not in own}


def feed(room: Newsroom) -> list[Any]:
    found = room.anyone.get("/v1/claimreviews.jsonld", params={"order": "asc"}).json()["dataFeedElement"]
    return [_alike(each) for each in found]


def test_our_own_feed_makes_the_same_feed_elsewhere(
    seeded: Newsroom, bases: Bases, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    _furnished(seeded)
    whole, expected = seeded.anyone.get("/v1/claimreviews.jsonld?order=asc").content, feed(seeded)
    assert len(expected) == 8
    with seeded.unchanged():
        assert {*outcomes(bring(seeded, whole))} == {"unchanged"}
    monkeypatch.setattr(markup, "MAX_VALUE", 5000)  # so that it is read item by item
    with bases.fresh() as base, Newsroom(server, base) as other:
        done = bring(other, whole)
        assert {*outcomes(done)} == {"created"}, told(done)
        for ours, theirs in zip(feed(other), expected, strict=True):
            by = [each["item"].pop("sdPublisher", None) for each in (ours, theirs)]  # who has entered it
            assert ours == theirs
            assert {each["name"] for each in by if each} <= {"On the Record"}
        with other.unchanged():
            assert {*outcomes(bring(other, whole))} == {"unchanged"}
            again = other.anyone.get("/v1/claimreviews.jsonld").content
            assert {*outcomes(bring(other, again))} == {"unchanged"}


KEPT = ("url", "claimReviewed", "author", "abstract", "reviewBody", "citation", "reviewRating")
"""The members of a foreign review that come out as they came in; its date comes out as a moment."""


def test_a_foreign_review_comes_out_as_it_came_in(room: Newsroom) -> None:
    done = bring(room, REVIEW)
    claim_id = review(done, room)["claim"]
    answer = ok(room.anyone.get(f"/v1/claims/{claim_id}.jsonld"))
    [shown] = answer["@graph"]
    plain, given = _alike(shown), dict(REVIEW)
    plain["reviewRating"].pop("reviewAspect")
    assert plain["reviewRating"].pop("identifier")[0]["value"] == "mostly_false"
    assert {name: plain[name] for name in KEPT} == {name: given[name] for name in KEPT}
    assert plain["datePublished"] == "2024-02-03T00:00:00.000000Z"
    item, sent = plain["itemReviewed"], json.loads(json.dumps(given["itemReviewed"]))
    assert item.pop("text") == given["claimReviewed"]
    sent["author"] = [{**sent["author"], "sameAs": [sent["author"]["sameAs"]]}]
    sent["firstAppearance"] = sent["appearance"][0]  # of which it has told more elsewhere
    assert item == sent
    bare = changed(reviewRating={"@type": "Rating", "alternateName": "Nobody knows"}, abstract=None,
                   reviewBody=None, citation=None, claimReviewed="Another.")  # fmt: skip
    claim_id = review(bring(room, bare), room)["claim"]
    [shown] = ok(room.anyone.get(f"/v1/claims/{claim_id}.jsonld"))["@graph"]
    assert shown["reviewRating"] == bare["reviewRating"]
    assert not shown.keys() & {"abstract", "reviewBody", "citation", "correction"}


# --- much of it --------------------------------------------------------------------------------


def test_a_million_entries_are_read_one_by_one_and_refused_when_there_are_too_many(
    room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = json.dumps(REVIEW).encode()
    many = itertools.chain([b'{"@type": "DataFeed", "dataFeedElement": ['], itertools.repeat(row + b","))
    monkeypatch.setattr(markup, "MAX_VALUE", 20_000)
    tracemalloc.start()
    rows = markup.of_document(many)
    assert sum(1 for _ in itertools.islice(rows, 500)) == 500
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 500_000, "half of what they are"
    monkeypatch.setattr(routes, "MAX_ROWS", 2)
    with room.unchanged():
        answer = room.checker.post(
            "/v1/import", content=json.dumps([REVIEW] * 3), headers={"Content-Type": LD}
        )
        problem(answer, 413, "too-large")


LARGE: list[tuple[bytes, str]] = [
    (b'[{"@type": "ClaimReview", "reviewBody": "' + b"x" * 50_000 + b'"}]', "an item of more than"),
    (b"[" + b"[]," * 100_000 + b"1]", ""),
    (b'{"a": {}, "@graph": [' + b'{"@type": "Claim"},' * 5_000 + b"{}]} x", "goes on after its end"),
    (b'{"dataFeedElement": [{}, ' + b" " * 50_000 + b"nonsense", "line 1, column 50026"),
    (b'{"dataFeedElement": []' + b"\n" * 50_000 + b"nonsense", "line 50001"),
]


def test_large_files_are_read_to_where_they_are_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markup, "MAX_VALUE", 20_000)
    for content, fault in LARGE:
        pieces = (content[n : n + 1_000] for n in range(0, len(content), 1_000))
        began = time.process_time()
        rows = list(markup.of_document(pieces))
        assert [fault in str(row.errors) for row in rows] == [True] * bool(fault), (fault, rows)
        assert time.process_time() - began < 2, fault


HOSTILE = (
    "<!--",
    "<a ",
    "</",
    "<![CDATA[",
    "<?",
    "<!",
    "<script>",
    "</script ",
    "&",
    "<a b='",
    "<a b=c/",
    "<!-->",
)


def test_pages_that_never_close_anything_take_no_longer_than_others() -> None:
    for part in HOSTILE:
        began = time.process_time()
        [row] = markup.of_page([part.encode() * 30_000])
        assert "no ClaimReview" in row.errors[0]["detail"]
        assert time.process_time() - began < 2, part
    with pytest.raises(TooLarge):
        list(markup.of_page([b" " * 1_000_000] * 9))


ODD_TAGS = {
    "<script type='application/ld&#43;json' TYPE=text/plain>": True,
    '<SCRIPT\nasync data-a="x>y" type = application/ld+json>': True,
    "<p don't><script type=application/ld+json>": True,
    "<a title='<script type=application/ld+json>'>": False,
    "<!-- <script type=application/ld+json> -->": False,
    "<!--><script type=application/ld+json>": True,
    "<style><script type=application/ld+json></style>": False,
    "<title>a</titles><script type=application/ld+json></title>": False,
    "<scripts type=application/ld+json>": False,
    "< script type=application/ld+json>": False,
    "<<script type=application/ld+json>": True,
}


@pytest.mark.parametrize("tag", ODD_TAGS)
def test_a_script_is_found_where_a_browser_finds_one(tag: str) -> None:
    rows = list(markup.of_page([f"{tag}{json.dumps(REVIEW)}</script><p>".encode()]))
    assert [row.record is not None for row in rows] == [ODD_TAGS[tag]]


def test_the_largest_pages_take_no_longer_than_others() -> None:
    for part in (
        "<",
        "<a b b b ",
        "<a>",
        "<link rel=canonical href=x a a a a a>",
        "<script></script>",
        "<x =",
    ):
        began = time.process_time()
        content = part * (markup.MAX_PAGE // len(part))
        try:
            [row] = markup.of_page([content.encode()])
            assert "no ClaimReview" in row.errors[0]["detail"]
        except TooLarge:
            pass
        assert time.process_time() - began < 6, part
    wide = f'<script type="{LD}"{" a" * 3_000}>{{}}</script>'
    with pytest.raises(TooLarge, match="a script tag"):
        list(markup.of_page([wide.encode()]))


MANY = {
    "pages": of(appearance=[f"https://a.example/{n}" for n in range(60_000)]),
    "items": changed(itemReviewed=[{"url": f"https://a.example/{n}"} for n in range(50_000)]),
    "claims": changed(itemReviewed=[{"text": f"{n}"} for n in range(400)]),
    "names of one node": [
        {"@id": "x", "@type": "Claim", "author": [f"Ann {n}" for n in range(400)]},
        {"@id": "y", "author": [{"@id": "x"}] * 400},
        *[changed(itemReviewed=[{"@id": "y"}] * 400)] * 20,
    ],
}


@pytest.mark.parametrize("name", MANY)
def test_a_review_of_many_parts_is_refused_soon(name: str) -> None:
    content = json.dumps(MANY[name]).encode()
    began = time.process_time()
    rows = list(markup.of_document([content]))
    assert rows
    assert {row.record for row in rows} == {None}
    assert time.process_time() - began < 6


# --- by the command, and by preference ----------------------------------------------------------


def test_the_command_knows_pages_and_files_by_their_names(
    room: Newsroom, tmp_path: Path, command: Command
) -> None:
    for name, content in (("a.html", page(REVIEW)), ("b.jsonld", json.dumps([REVIEW, changed(author=None)]))):
        (tmp_path / name).write_text(content)
    first = command(room.settings.database_url, "import", str(tmp_path / "a.html"))
    assert (first.code, first.out.strip()) == (0, "1 created, 0 here already, 0 refused")
    good = ("import", str(tmp_path / "b.jsonld"), "--mode", "good")
    second = command(room.settings.database_url, *good)
    assert (second.code, second.out.strip()) == (1, "0 created, 1 here already, 1 refused")
    assert "/publisher" in second.err


PREFERRED = {
    None: False,
    "*/*": False,
    "application/json": False,
    "application/json, text/plain, */*": False,
    LD: True,
    "APPLICATION/LD+JSON": True,
    f"{LD}, application/json": False,
    f"{LD}, application/json;q=0.9": True,
    f"{LD};q=0.5, application/json;q=0.4": True,
    f"{LD};q=0.4, application/json;q=0.5": False,
    f"{LD}, */*;q=0.1": True,
    f"{LD}, */*": True,
    f"{LD};q=0.8, */*": False,
    f"{LD};q=0, */*": False,
    f'{LD};profile="https://schema.org"': True,
    "text/html,application/xhtml+xml,*/*;q=0.8": False,
}


def test_a_claim_is_linked_data_for_those_who_prefer_it(room: Newsroom) -> None:
    claim_id = review(bring(room, REVIEW), room)["claim"]
    path, house = f"/v1/claims/{claim_id}", room.app.state.house
    linked = room.anyone.get(f"{path}.jsonld")
    for accept, is_linked in PREFERRED.items():
        headers = {"Accept": accept} if accept else {}
        answer = room.anyone.get(path, headers=headers)
        assert answer.headers["content-type"] == (LD if is_linked else "application/json"), accept
        assert "Accept" in [each.strip() for each in answer.headers["vary"].split(",")], accept
        again = room.anyone.get(path, headers={**headers, "If-None-Match": answer.headers["etag"]})
        third = room.anyone.get(path, headers={**headers, "If-None-Match": answer.headers["etag"]})
        assert again.status_code == third.status_code == 304
        assert "Accept" in again.headers["vary"]
        assert "Accept" in third.headers["vary"]
        if is_linked:
            assert answer.content == linked.content
    plain, preferred = room.anyone.get(path), room.anyone.get(path, headers={"Accept": LD})
    assert plain.headers["etag"] != preferred.headers["etag"]
    crossed = {"If-None-Match": plain.headers["etag"], "Accept": LD}
    assert room.anyone.get(path, headers=crossed).status_code == 200
    problem(room.anyone.get("/v1/claims/clm_none", headers={"Accept": LD}), 404, "not-found")
    problem(room.anyone.get(path, headers={"Accept": "text/turtle"}), 406, "not-acceptable")
    house.reads.take()
    head = room.anyone.head(path, headers={"Accept": LD})
    assert (head.headers["content-type"], head.content, house.reads.take()) == (LD, b"", {})
    ok(room.anyone.get(path, headers={"Accept": LD}))
    assert house.reads.take() == {claim_id: 1}
    with room.with_settings(public_reading=False) as private:
        problem(private.anyone.get(path, headers={"Accept": LD}), 401, "unauthorized")
    patched = room.editor.patch(path, headers={"Accept": LD, "If-Match": "*"}, json={"place": "Graz"})
    problem(patched, 406, "not-acceptable")
