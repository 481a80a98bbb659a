"""ClaimReviews brought in: from pages, from files of JSON-LD and from feeds, however they are written."""

import json
from typing import Any

import pytest

from app.reviews.labels import ATTRIBUTIONS, VERDICTS, verdict_of
from tests.newsroom import Json, Newsroom, ok, problem

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
    assert bring(room, page({"@type": "NewsArticle"}), "text/html")["results"] == []


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
    for n, (rating, (label, verdict, scale)) in enumerate(RATINGS):
        kept = review(done, room, n)
        assert (kept["label"], kept["verdict"]) == (label, verdict), rating
        assert scale is None or tuple(kept["rating"].values()) == scale, rating
    assert review(done, room, len(RATINGS) - 1)["attribution"] == "confirmed"


def test_the_table_of_labels_is_one_of_wordings_that_mean_one_thing() -> None:
    assert len(VERDICTS) > 300
    assert {*VERDICTS} & {*ATTRIBUTIONS} == {
        "misattributed",
        "misattribution",
        "wrongly attributed",
        "fake quote",
    }
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


@pytest.mark.parametrize("n", range(len(WRONG)))
def test_what_is_wrong_is_told_with_its_place(room: Newsroom, n: int) -> None:
    document, place = WRONG[n]
    with room.unchanged():
        answer = bring(room, document)
    assert place in str(answer.get("results", "")) + answer["detail"], answer
