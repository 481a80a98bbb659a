"""Verdicts for feed readers: Atom and JSON Feed, read by a feed parser that knows nothing of this server."""

from datetime import datetime
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import feedparser
import pytest
from sqlmodel import col

from app.changes.model import Change
from app.reviews import verdicts
from app.reviews.syndication import Feed
from app.reviews.verdicts import Verdict
from tests.newsroom import Json, Newsroom, match, ok, problem
from tests.test_corrections import NOTE, corrected, move, ruled

ATOM, JSON_FEED = "/v1/verdicts.atom", "/v1/verdicts.json"


def entries(room: Newsroom, **query: Any) -> list[Any]:
    """What a feed reader makes of the Atom feed; what the JSON feed has must be the same."""
    answer = room.anyone.get(ATOM, params=query)
    assert answer.headers["content-type"] == "application/atom+xml"
    found = feedparser.parse(answer.content, sanitize_html=False)
    assert not found.bozo, found.bozo_exception
    assert found.version == "atom10"
    items = feed(room, **query)["items"]
    assert [(e.id, e.title, e.link, e.author, e.updated) for e in found.entries] == [
        (i["id"], i["title"], i["url"], i["authors"][0]["name"], i["date_modified"]) for i in items
    ]
    assert [e.content[0].value for e in found.entries] == [i["content_html"] for i in items]
    return list(found.entries)


def feed(room: Newsroom, **query: Any) -> Json:
    """The JSON feed, which must have all that version 1.1 wants, in its types."""
    answer = room.anyone.get(JSON_FEED, params=query)
    assert answer.headers["content-type"] == "application/feed+json"
    found = ok(answer)
    assert found["version"] == "https://jsonfeed.org/version/1.1"
    assert found["title"]
    assert found["feed_url"] == str(answer.request.url.copy_remove_param("as_of"))
    assert found["home_page_url"] == f"{room.server.url}/"
    names = {"id", "url", "title", "content_html", "date_published", "date_modified", "authors", "tags"}
    for item in found["items"]:
        assert {name for name in item if not name.startswith("_")} == names
        assert datetime.fromisoformat(item["date_published"]).tzinfo
    return found


def titles(room: Newsroom, **query: Any) -> list[str]:
    return [entry.title for entry in entries(room, **query)]


def text_of(html: str) -> list[str]:
    """The paragraphs of some HTML, which may have no other elements and no attribute."""
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert (tag in ("p", "blockquote"), attrs) == (True, [])
            found.append("")

        def handle_data(self, data: str) -> None:
            found[-1] += data

    reader = Reader()
    reader.feed(html)
    reader.close()
    return found


# --- what is told ------------------------------------------------------------------------------


def test_an_empty_base_has_an_empty_feed(room: Newsroom) -> None:
    assert entries(room) == []


def test_tells_of_verdicts_corrections_and_withdrawals_newest_first(room: Newsroom) -> None:
    claim = room.claim()
    wrong = ruled(room, claim)
    first = entries(room)
    corrected(room, claim, wrong, summary="The contract was found.")
    move(room.editor, room, claim, "withdrawal", {"note": "Stated twice."})
    move(room.editor, room, claim, "withdrawal", method="DELETE")
    found = entries(room)
    words = claim["text"]
    assert [entry.title for entry in found] == [
        f"Reinstated: {words}", f"Withdrawn: {words}", f"Corrected to true: {words}", f"False: {words}",
    ]  # fmt: skip
    assert found[-1] == first[0], "an entry stays as it is"
    assert len({entry.id for entry in found}) == 4
    assert all(entry.id.startswith("urn:uuid:") for entry in found)
    assert {entry.link for entry in found} == {f"{room.server.url}/v1/claims/{claim['id']}"}
    assert [entry.author for entry in found] == ["On the Record"] * 4
    assert [entry.updated for entry in found] == sorted((e.updated for e in found), reverse=True)
    assert text_of(found[2].content[0].value) == [
        "Corrected to true, before: false.", words, "Vladimir Putin", f"Correction: {NOTE}",
        "The contract was found.",
    ]  # fmt: skip
    assert text_of(found[1].content[0].value) == [
        "Withdrawn, before: true.", words, "Vladimir Putin", "Withdrawal: Stated twice.",
    ]  # fmt: skip
    tags = [{tag.term for tag in entry.tags} for entry in found]
    assert tags == [{"reinstatement"}, {"withdrawal"}, {"correction", "true"}, {"verdict", "false"}]
    ledger = {entry["seq"]: entry for entry in room.get("/v1/changes", limit=200)["data"]}
    for item in feed(room)["items"]:
        entry = ledger[item["_on_the_record"]["seq"]]
        assert (entry["at"], entry["resource_id"]) == (item["date_published"], claim["id"])


def test_the_author_is_the_desk_and_did_they_say_it_is_told_too(room: Newsroom) -> None:
    claim = room.claim()
    room.entity("The Fact Desk", kind="organization")
    source = room.source(kind="transcript")
    body: Json = {
        "publisher": "the-fact-desk", "verdict": None, "attribution": "confirmed",
        "evidence": [{"source": source["id"], "stance": "supports", "locator": "page 3",
                      "anchor": {"exact": "It is agreed."}}],
    }  # fmt: skip
    ruled(room, claim, **body)
    [entry] = entries(room)
    assert entry.title == f"Attribution confirmed: {claim['text']}"
    assert entry.author == "The Fact Desk"


def test_what_waits_for_approval_is_told_once_it_stands(room: Newsroom) -> None:
    claim = room.claim()
    with room.with_settings(four_eyes=True) as strict:
        ruled(strict, claim)
        assert entries(strict) == []
        path = f"/v1/claims/{claim['id']}"
        ok(strict.editor.post(f"{path}/return", headers=match(strict.fresh(claim)), json={"note": "Why?"}))
        assert entries(strict) == []
        strict.review(claim, verdict="half_true", summary="In part.")
        ok(strict.editor.post(f"{path}/approval", headers=match(strict.fresh(claim))))
        [entry] = entries(strict)
    assert entry.title == f"Half true: {claim['text']}"
    assert entry.author == "On the Record"
    assert text_of(entry.content[0].value)[-1] == "In part."


def test_filters_and_as_many_as_are_asked_for(room: Newsroom) -> None:
    room.entity("Xi")
    one = room.claim("One.", topics=["gas"])
    two = room.claim("Two.", speakers=["xi"])
    for claim in (one, two):
        ruled(room, claim)
    assert titles(room) == ["False: Two.", "False: One."]
    assert titles(room, limit=1) == ["False: Two."]
    assert titles(room, speaker="xi") == ["False: Two."]
    assert titles(room, speaker=["xi", "vladimir-putin"]) == ["False: Two.", "False: One."]
    assert titles(room, topic="gas") == ["False: One."]
    assert titles(room, topic="oil") == []
    problem(room.anyone.get(ATOM, params={"speaker": "nobody"}), 422)
    problem(room.anyone.get(JSON_FEED, params={"limit": 201}), 422)


def test_a_long_claim_is_shortened_in_the_title_only(room: Newsroom) -> None:
    claim = room.claim("word " * 60 + "end.")
    ruled(room, claim)
    [entry] = entries(room)
    assert entry.title == f"False: {'word ' * 23}word…"
    assert text_of(entry.content[0].value)[1] == claim["text"]


# --- hostile texts -----------------------------------------------------------------------------

HOSTILE = (
    "</script><script>alert(1)</script>",
    "]]> <!-- --> <?xml ?> &amp; & &#0; <![CDATA[",
    '" onmouseover="alert(1)',
    "\ud7ff \ue000 \ufeff 😀 \u202e \x85 end",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_people_said_stays_text(room: Newsroom, text: str) -> None:
    claim = room.claim(text)
    ruled(room, claim, summary=f"No: {text}")
    [item] = feed(room)["items"]
    assert text_of(item["content_html"]) == [
        "False.",
        claim["text"],
        "Vladimir Putin",
        f"No: {claim['text']}",
    ]
    tree = ElementTree.fromstring(room.anyone.get(ATOM).content)
    content = tree.findtext(".//{*}content")
    assert content is not None
    assert text_of(content) == text_of(item["content_html"])
    title = " ".join(claim["text"].split())
    assert tree.findtext("{*}entry/{*}title") == item["title"] == f"False: {title}"


def test_what_no_xml_may_have_is_replaced() -> None:
    bad = "".join(map(chr, [*range(32), 0xFFFE, 0xFFFF]))
    claim = {"id": "clm_1", "text": bad, "speakers": [{"name": bad}]}
    verdict = Verdict("withdrawal", "0" * 64, 1, datetime.now().astimezone(), claim, bad, None, None, bad)
    written = Feed("http://x/", f"http://x/?q={bad}", [verdict]).atom()
    tree = ElementTree.fromstring(written)
    assert str(tree.findtext("{*}entry/{*}author/{*}name")).count("\ufffd") == len(bad) - 3


# --- the answer --------------------------------------------------------------------------------


def test_it_is_read_again_only_after_something_was_written(room: Newsroom) -> None:
    ruled(room, room.claim())
    for path in (ATOM, JSON_FEED):
        tag = room.anyone.get(path).headers["etag"]
        again = room.anyone.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
    ruled(room, room.claim("Another."))
    for path in (ATOM, JSON_FEED):
        assert room.anyone.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_it_can_be_read_as_of_an_earlier_moment(room: Newsroom) -> None:
    claim = room.claim()
    wrong = ruled(room, claim)
    earlier = room.get("/v1/changes", order="desc", limit=1)["data"][0]["seq"]
    before = [entry.title for entry in entries(room)]
    corrected(room, claim, wrong)
    assert titles(room, as_of=earlier) == before == [f"False: {claim['text']}"]


def test_goes_by_the_index_of_rulings(room: Newsroom) -> None:
    query = verdicts.latest().order_by(col(Change.seq).desc()).limit(3)
    plan = room.plan(query)
    assert any("ix_changes_seq_action" in line for line in plan), plan
    assert not any("B-TREE" in line or "Sort" in line for line in plan), plan
