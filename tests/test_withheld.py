"""Texts that are withheld: quotes are checked in them, and nothing else of them is shown."""

import logging
import re
from typing import Any

import httpx
import orjson
import pytest

from app.changes.entry import entry_hash
from tests.newsroom import Json, Newsroom, match, ok, problem


def archive(room: Newsroom, source: Json, **snapshot: Any) -> httpx.Response:
    return room.reporter.post(f"/v1/sources/{source['id']}/snapshots", json=snapshot)


SECRET = (
    "The ministry had warned twice before. Some 210 people had come to the square by noon, he remarked. "
    "Nobody had told the mayor of the second letter, which named three officials and a bank in Riga."
)
KNOWN = "Some 210 people had come to the square by noon"
NEAR = "Some 210 people had gone to the square by noon"


def hidden_words(*quotes: str) -> set[str]:
    """The words that stand in the withheld text alone, but for those so short that a salt may have their
    letters.
    """
    shown = set(re.findall(r"\w{6,}", " ".join(quotes).lower()))
    return set(re.findall(r"\w{6,}", SECRET.lower())) - shown


def last(room: Newsroom) -> int:
    """The place of the last entry of the ledger."""
    return int(room.get("/v1/changes", order="desc", limit=1)["data"][0]["seq"])


def withheld(room: Newsroom) -> tuple[Json, Json]:
    source = room.source()
    return source, ok(archive(room, source, text=SECRET, text_withheld=True))


def quoting(source: Json, *anchors: Json) -> list[Json]:
    return [{"source": source["id"], "anchors": [*anchors]}]


def answers_of(room: Newsroom, by: httpx.Client, source: Json, claim: Json) -> str:
    """Everything that is told of a claim and its source."""
    paths = (
        f"/v1/claims/{claim['id']}",
        f"/v1/claims/{claim['id']}.jsonld",
        f"/v1/claims/{claim['id']}/history",
        f"/v1/claims/{claim['id']}/evidence",
        f"/v1/claims/{claim['id']}/reviews",
        f"/v1/claims/{claim['id']}/bundle",
        f"/v1/claims/{claim['id']}?as_of={last(room)}",
        "/v1/claims",
        "/v1/claims.json",
        "/v1/reviews.json",
        "/v1/search?q=square",
        "/v1/changes?limit=200",
        f"/v1/sources/{source['id']}/anchors",
        f"/v1/sources/{source['id']}/snapshots",
    )
    found = [by.get(path) for path in paths]
    assert {answer.status_code for answer in found} == {200}
    return " ".join(answer.text for answer in found).lower()


def test_a_withheld_text_cannot_be_rebuilt(room: Newsroom) -> None:
    source, _ = withheld(room)
    context = {"prefix": "twice before. ", "suffix": ", he remarked. Nobody had told the mayor"}
    told, sent = "", KNOWN
    for words in (KNOWN, "the mayor of the", "second letter, which named"):  # each refusal would lead on
        missed = {"text": f"{words} zzzzz", "mode": "direct_quote", "speakers": ["vladimir-putin"]}
        room.claim(f"Begun with {words}.", appearances=quoting(source, {"exact": NEAR, **context}))
        refused = problem(
            room.reporter.post("/v1/claims", json={**missed, "appearances": quoting(source)}), 422
        )
        assert refused.get("nearest_passage") is None
        told += str(refused).lower()
        sent += f" {words}"
        row = orjson.dumps({"claim": {**missed, "appearances": [{"source": source["url"]}]}})
        kind = {"Content-Type": "application/x-ndjson"}
        told += room.reporter.post("/v1/import", content=row, headers=kind).text.lower()
    claim = room.claim(KNOWN, mode="direct_quote", appearances=quoting(source, {"exact": KNOWN, **context}))
    [anchor] = claim["appearances"][0]["anchors"]
    assert (anchor["state"], anchor["prefix"], anchor["suffix"]) == ("exact", None, None)
    room.take(claim)
    proof = {"source": source["id"], "stance": "supports", "anchor": {"exact": "by noon", **context}}
    room.review(claim, evidence=[proof])
    revised = {"appearances": quoting(source, {"exact": KNOWN, **context})}
    ok(room.admin.patch(f"/v1/claims/{claim['id']}", json=revised, headers=match(room.fresh(claim))))
    for by in (room.anyone, room.reporter):
        told += answers_of(room, by, source, claim)
    orphaned = archive(room, source, text="Another text altogether, in which no such words are printed.")
    told += str(ok(orphaned)) + answers_of(room, room.anyone, source, claim)
    assert {word for word in hidden_words(sent, NEAR) if word in told} == set()
    assert room.faults() == []


def test_checkers_read_a_withheld_text_and_the_log_says_so(
    room: Newsroom, caplog: pytest.LogCaptureFixture
) -> None:
    source, kept = withheld(room)
    room.claim(appearances=quoting(source, {"exact": NEAR}))
    path, before = f"/v1/sources/{source['id']}/snapshots/{kept['id']}", room.state()
    for by, text in ((room.anyone, None), (room.reporter, None), (room.checker, SECRET)):
        caplog.clear()
        with caplog.at_level(logging.INFO, "on-the-record"):
            assert ok(by.get(path))["text"] == text
        lines = [record.getMessage() for record in caplog.records if kept["id"] in record.getMessage()]
        assert len(lines) == (text is not None)
        [row] = ok(by.get(f"/v1/sources/{source['id']}/anchors"))["data"]
        assert (row["found"], row["differs"] is None) == (text and KNOWN, text is None)
    assert room.state() == before


def test_a_text_that_is_withheld_later_takes_its_words_along(room: Newsroom) -> None:
    source = room.source()
    kept = ok(archive(room, source, text=SECRET))
    claim = room.claim(KNOWN, mode="direct_quote", appearances=quoting(source))
    assert claim["appearances"][0]["anchors"][0]["prefix"]
    proof = {"source": source["id"], "stance": "supports", "anchor": {"exact": "by noon"}}
    ok(room.checker.post(f"/v1/claims/{claim['id']}/evidence", json=proof))
    before = [f"{path}?as_of={last(room)}" for path in (f"/v1/claims/{claim['id']}", "/v1/claims",
              f"/v1/claims/{claim['id']}/evidence")]  # fmt: skip
    for path in before:
        assert "remarked" in room.anyone.get(path).text, path
    known = {"sha256": kept["sha256"], "length": kept["length"]}
    ok(archive(room, source, **known, text_withheld=True))
    for path in before:
        then = room.anyone.get(path)
        assert KNOWN in then.text or "by noon" in then.text
        assert {word for word in hidden_words(KNOWN, "by noon") if word in then.text.lower()} == set(), path
    shown = room.fresh(claim)
    [anchor] = shown["appearances"][0]["anchors"]
    assert (anchor["state"], anchor["prefix"], anchor["suffix"]) == ("exact", None, None)
    [piece] = room.get(f"/v1/claims/{claim['id']}/evidence")["data"]
    assert (piece["anchor"]["prefix"], piece["anchor"]["suffix"]) == (None, None)
    for by in (room.anyone, room.reporter):
        entries = [*ok(by.get(f"/v1/claims/{claim['id']}/history"))["data"]]
        entries += ok(by.get("/v1/changes?limit=200&resource=claim&resource=evidence"))["data"]
        assert len(entries) == 6
        assert {word for word in hidden_words(KNOWN, "by noon") if word in str(entries).lower()} == set()
        for entry in entries:
            assert entry_hash(entry) == entry["hash"], "what is left out is in the hash by its commitment"
    stream = room.anyone.get(f"/v1/changes/stream?after=0&until={last(room)}")
    assert "remarked" not in stream.text
    assert "remarked" in room.admin.get("/v1/changes?limit=200").text
    problem(room.anyone.get(f"/v1/claims/{claim['id']}/bundle"), 409)
    path = f"/v1/sources/{source['id']}/snapshots"
    problem(room.reporter.post(path, json={**known, "text_withheld": False}), 403)
    assert ok(room.checker.post(path, json={**known, "text_withheld": False}))["text_withheld"] is False
    for path in before:
        assert "remarked" in room.anyone.get(path).text, path
    assert room.faults() == []
    assert room.anyone.get(f"/v1/claims/{claim['id']}/bundle").status_code == 200
