"""Sources, and the texts of theirs that quotes are looked up in."""

import hashlib
from typing import Any

import httpx
import pytest

from tests.newsroom import Json, Newsroom, match, ok, problem

TEXT = 'He paused.\n\n"We hope it\'ll be this year," he said. "It is not agreed…yet."\n'


def archive(room: Newsroom, source: Json, **snapshot: Any) -> httpx.Response:
    return room.reporter.post(f"/v1/sources/{source['id']}/snapshots", json=snapshot)


def test_show_who_published_what_when(room: Newsroom) -> None:
    room.entity("RFE/RL", "organization")
    source = room.source(
        publisher="rfe-rl", authors=["Reid Standish"], published="2023-03-22?", language="en"
    )
    assert source["publisher"]["name"] == "RFE/RL"
    assert (source["authors"], source["published"], source["kind"]) == (
        ["Reid Standish"],
        "2023-03-22?",
        "article",
    )
    assert room.get("/v1/sources", publisher="rfe-rl")["data"] == [source]


@pytest.mark.parametrize(
    "spelling",
    [
        "https://EXAMPLE.org/a",
        "http://example.org:80/a",
        "https://example.org/./b/../a",
        "https://example.org/a#part",
        "https://example.org/a?utm_source=x&fbclid=y",
    ],
)
def test_one_address_in_several_spellings_is_one_source(room: Newsroom, spelling: str) -> None:
    source = room.source("https://example.org/a")
    again = room.reporter.post("/v1/sources", json={"url": spelling, "title": "Again"})
    assert problem(again, 409, "conflict")["existing"] == source["id"]
    assert room.get("/v1/sources", url=spelling)["data"] == [source]


def test_are_listed_by_when_they_were_published(room: Newsroom) -> None:
    for url, published in (("a", "2023-03"), ("b", None), ("c", "2024"), ("d", "2023-03-02")):
        room.source(f"https://example.org/{url}", url, published=published)
    found = room.get("/v1/sources", sort="published")["data"]
    assert [source["title"] for source in found] == ["c", "a", "d", "b"]


def test_a_snapshot_counts_the_characters_of_its_normal_form(room: Newsroom) -> None:
    source = room.source()
    kept = ok(archive(room, source, text="Зеле\u0301нский 习\r\nx"))
    assert kept["length"] == len("Зеле\u0301нский 习\nx")  # no precomposed form of this one
    assert kept["sha256"] == hashlib.sha256("Зеле\u0301нский 习\nx".encode()).hexdigest()
    shown = room.get(f"/v1/sources/{source['id']}/snapshots/{kept['id']}")
    assert shown["text"] == "Зеле\u0301нский 习\nx"


def test_a_text_is_archived_once(room: Newsroom) -> None:
    source = room.source()
    first = ok(archive(room, source, text=TEXT))
    with room.unchanged():
        assert ok(archive(room, source, text=TEXT))["id"] == first["id"]
    second = ok(archive(room, source, text=TEXT + "Corrected."))
    listed = room.get(f"/v1/sources/{source['id']}/snapshots")["data"]
    assert [each["id"] for each in listed] == [second["id"], first["id"]]
    assert "text" not in listed[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": TEXT, "sha256": "0" * 64},
        {"text": TEXT, "length": 1},
        {"sha256": "0" * 64},
        {"length": 3},
        {},
        {"text": ""},
        {"text": TEXT, "sha256": "XYZ"},
    ],
)
def test_a_hash_that_is_not_the_texts_is_refused(room: Newsroom, wrong: Json) -> None:
    source = room.source()
    with room.unchanged():
        problem(archive(room, source, **wrong), 422, "invalid")


def test_a_text_may_be_for_checking_only(room: Newsroom) -> None:
    source = room.source()
    kept = ok(archive(room, source, text=TEXT, text_withheld=True))
    assert kept["has_text"] is True
    assert room.get(f"/v1/sources/{source['id']}/snapshots/{kept['id']}")["text"] is None
    entries = room.get("/v1/changes", resource="snapshot")["data"]
    assert "paused" not in str(entries)


def test_a_source_comes_with_its_first_snapshot(room: Newsroom) -> None:
    sha256, length = hashlib.sha256(TEXT.encode()).hexdigest(), len(TEXT)
    wrong = {"url": "https://example.org/b", "title": "B", "snapshot": {"text": TEXT, "sha256": "0" * 64}}
    with room.unchanged():
        refused = problem(room.reporter.post("/v1/sources", json=wrong), 422)
        assert [each["pointer"] for each in refused["errors"]] == ["/snapshot/sha256"]
    whole, known = {"text": TEXT}, {"sha256": sha256, "length": length}
    for n, snapshot in enumerate((whole, known)):
        source = room.source(f"https://example.org/{n}", snapshot=snapshot)
        [kept] = room.get(f"/v1/sources/{source['id']}/snapshots")["data"]
        assert (kept["sha256"], kept["length"], kept["has_text"]) == (sha256, length, snapshot is whole)
    claim = room.claim(
        "It is not agreed…yet.", mode="direct_quote", appearances=[{"source": "https://example.org/0"}]
    )
    assert claim["appearances"][0]["anchors"][0]["state"] == "exact"
    internal = room.source("https://example.org/c", snapshot={"text": TEXT}, visibility="internal")
    problem(room.anyone.get(f"/v1/sources/{internal['id']}/snapshots"), 404)
    assert TEXT not in room.anyone.get("/v1/changes").text


def test_a_text_supplied_later_is_checked_and_every_quote_is_looked_up(room: Newsroom) -> None:
    source = room.source()
    sha256 = hashlib.sha256(TEXT.encode()).hexdigest()
    kept = ok(archive(room, source, sha256=sha256, length=len(TEXT), text_withheld=True))
    quote = {"exact": "We hope it'll be this year,"}, {"exact": "It is not agreed…yet."}
    printed = [{"source": source["id"], "anchors": quote}]
    said = "We hope it'll be this year. It is not agreed…yet."
    claim = room.claim(said, mode="direct_quote", appearances=printed)
    typeset = room.claim(
        "So he says: “It is not agreed…yet.”",
        mode="partial_quote",
        appearances=[{"source": source["url"], "anchors": [{"exact": "It is not agreed...yet."}]}],
    )
    assert {a["state"] for a in claim["appearances"][0]["anchors"]} == {"unchecked"}

    assert ok(archive(room, source, text=TEXT))["id"] == kept["id"]
    first, second = room.fresh(claim)["appearances"][0]["anchors"]
    assert (first["state"], second["state"]) == ("exact", "exact")
    assert TEXT[second["start"] : second["end"]] == "It is not agreed…yet."
    [other] = room.fresh(typeset)["appearances"][0]["anchors"]
    assert (other["state"], other["start"], other["end"]) == ("normalised", second["start"], second["end"])
    quoted = room.get(f"/v1/sources/{source['id']}/anchors", order="asc")["data"]
    assert [row["claim"] for row in quoted] == [claim["id"], claim["id"], typeset["id"]]
    assert len(room.get(f"/v1/sources/{source['id']}/anchors", state="normalised")["data"]) == 1


def test_a_quote_that_the_text_does_not_have_is_marked_when_it_comes(room: Newsroom) -> None:
    source = room.source()
    printed = [{"source": source["id"]}]
    claim = room.claim("It is agreed already, all of it.", mode="direct_quote", appearances=printed)
    ok(archive(room, source, text=TEXT))
    [anchor] = room.fresh(claim)["appearances"][0]["anchors"]
    assert anchor["state"] == "orphaned"


def test_can_be_revised(room: Newsroom) -> None:
    source = room.source()
    other = room.source("https://example.org/b")
    path = f"/v1/sources/{source['id']}"
    changed = ok(
        room.reporter.patch(path, headers=match(source), json={"title": "Corrected", "language": "en"})
    )
    assert (changed["title"], changed["language"], changed["url"]) == ("Corrected", "en", source["url"])
    taken = room.reporter.patch(path, headers=match(changed), json={"url": other["url"]})
    assert problem(taken, 409)["existing"] == other["id"]
    history = room.get(f"{path}/history")["data"]
    assert [entry["action"] for entry in history] == ["source.revise", "source.create"]
    assert history[0]["difference"]["title"] == {"old": "A report", "new": "Corrected"}
