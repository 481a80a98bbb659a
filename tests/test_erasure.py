"""Erasure: words gone from every answer, earlier moments and the ledger, whose hashes still check."""

from collections.abc import Iterable
from typing import Any

import httpx
import orjson
import pytest

from app.changes.entry import entry_hash
from app.erasure.left import quoted_in
from app.sources.model import Snapshot
from tests.contract import NEEDED, operations, places
from tests.newsroom import Json, Newsroom, match, ok, problem, ruling
from tests.receiver import Receiver, Says, receiving
from tests.test_webhooks import allow, deliver, hooked, in_the_middle

NOTE = {"note": "By order of the court of 2 November 2026."}
ANY = {"If-Match": "*"}


def erase(room: Newsroom, record: str) -> Json:
    return ok(room.admin.post("/v1/erasures", json={"record": record, **NOTE}))


def last(room: Newsroom) -> int:
    return int(room.get("/v1/changes", order="desc", limit=1)["data"][0]["seq"])


def ledger(room: Newsroom, by: httpx.Client) -> str:
    """Everything that the ledger tells a caller, as pages and as a stream."""
    stream = by.get(f"/v1/changes/stream?after=0&until={last(room)}")
    return f"{by.get('/v1/changes?limit=200').text}\n{stream.text}".lower()


def everything(room: Newsroom, by: httpx.Client) -> str:
    """What every route, feed and interface says to a caller, of every record that there is."""
    told = [ledger(room, by)]
    for operation in operations(room):
        if not operation.reads or operation.path in ("/metrics", "/v1/changes/stream"):
            continue
        needed = NEEDED.get(operation.path, "")
        at = places(room, operation.path) if "{" in operation.path else [operation.path + needed]
        answers = [by.get(each) for each in at]
        assert all(each.status_code < 500 or each.status_code == 501 for each in answers), operation
        told += [f"{each.url} {each.text}".lower() for each in answers]
    return "\n".join(told)


def moments(room: Newsroom, *paths: str, first: int = 1, every: int = 1) -> str:
    """Answers as of each entry from one on."""
    at = range(first, last(room) + 1, every)
    answers = [room.anyone.get(f"{path}?as_of={seq}") for seq in at for path in paths]
    assert {each.status_code for each in answers} <= {200, 308, 404}
    return "\n".join(f"{each.url} {each.text}".lower() for each in answers)


def leaks(text: str, words: Iterable[str]) -> list[str]:
    """The words that are in it, each with the line that it is in."""
    return [f"{word}: {line[:300]}" for word in words for line in text.splitlines() if word in line]


def still_sound(room: Newsroom) -> None:
    """The ledger's hashes can be made, and what is derived is what it would be if it were made anew."""
    assert room.faults() == []
    for entry in ok(room.admin.get("/v1/changes?limit=200"))["data"]:
        assert entry_hash(entry) == entry["hash"]
    room.rebuild()
    assert room.faults() == []


def full_claim(room: Newsroom) -> Json:
    """A claim with a word of its own in every field, quoted from a text with more of them."""
    room.entity("Zebulon", kind="organization", slug="zebulon")
    source = room.source("https://example.org/plain", "A plain title")
    text = "Before it stood wurzelpass. The quoted qufragment had five words. After it stood nachklang."
    ok(room.reporter.post(f"/v1/sources/{source['id']}/snapshots", json={"text": text}))
    figure = {"measure": "wmeasure", "value": "98", "unit": "USD", "scale": "million", "kind": "promised",
              "display": "wdisplay million", "condition": "wcondition", "about": ["zebulon"]}  # fmt: skip
    other = {"measure": "wother", "value": "7", "unit": "USD", "kind": "promised", "about": ["zebulon"]}
    return room.claim(
        "He put it so: “The quoted qufragment had five words”, wtext remained.",
        mode="partial_quote",
        speakers=[{"entity": "vladimir-putin", "title": "Wtitle of nothing"}],
        about=["zebulon"],
        topics=["wtopic"],
        occasion="woccasion",
        place="wplace",
        context="wcontext",
        original_text="woriginal",
        original_language="ru",
        appearances=[{"source": source["id"]}],
        figures=[figure, other],
    )


OF_THE_CLAIM = (
    "wtext", "qufragment", "wmeasure", "wdisplay", "wcondition", "wtitle", "wtopic", "woccasion", "wplace",
    "wcontext", "woriginal", "wrevised", "wother",
)  # fmt: skip
OF_ITS_RULINGS = ("wsummary", "wexplanation", "wevidence", "wcorrection", "wlink", "wplain")


def worked_on(room: Newsroom, claim: Json) -> None:
    """A claim revised, linked, repeated, ruled on and corrected, with words of their own."""
    path = f"/v1/claims/{claim['id']}"
    ok(room.reporter.patch(path, json={"occasion": "wrevised"}, headers=match(claim)))
    other = room.claim("Something else altogether.")
    link = {"other": other["id"], "relation": "contradicts", "judgement": "positive", "note": "wlink note"}
    ok(room.checker.post(f"{path}/links", json=link))
    room.claim("Another repeats it.", repeats=claim["id"])
    room.take(claim)
    proof = {"url": "https://wplain.example/x", "stance": "refutes", "note": "wevidence note"}
    room.review(claim, summary="wsummary said", explanation="wexplanation said", evidence=[proof])
    [first] = room.get(f"{path}/reviews")["data"]
    more = {"summary": "wsummary again", "correction_note": "wcorrection note", "verdict": "half_true"}
    body = ruling(corrects=first["id"], evidence=[proof], **more)
    ok(room.editor.post(f"{path}/reviews", headers=ANY, json=body))


def test_a_claim_is_erased_from_every_answer(room: Newsroom) -> None:
    claim = full_claim(room)
    worked_on(room, claim)
    path, before = f"/v1/claims/{claim['id']}", last(room)
    words = (*OF_THE_CLAIM, *OF_ITS_RULINGS)
    told = ledger(room, room.reader)
    assert [word for word in words if word not in told] == []
    assert "wtext" in room.anyone.get(f"{path}?as_of={before}").text
    made = erase(room, claim["id"])
    assert (made["record"], made["type"], made["covered"]) == (claim["id"], "claim", 0)
    source = claim["appearances"][0]["source"]["id"]
    text = f"/v1/sources/{source}/snapshots/"  # whose words stay the source's
    told = "\n".join(line for line in everything(room, room.admin).splitlines() if text not in line)
    assert leaks(told, words) == []
    assert leaks(moments(room, "/v1/claims", path, f"{path}/reviews", first=before - 8, every=3), words) == []
    for word in words:
        assert room.get("/v1/search", q=word)["data"] == [], word
    assert room.get(path)["verification"]["status"] == "withdrawn"
    [listed] = room.get("/v1/erasures", record=claim["id"])["data"]
    assert listed == {name: value for name, value in made.items() if name not in ("covered", "quoted_in")}
    problem(room.admin.post("/v1/erasures", json={"record": claim["id"], **NOTE}), 409)
    problem(room.editor.patch(path, json={"place": "Rome"}, headers=ANY), 409)
    problem(room.editor.delete(f"{path}/withdrawal", headers=ANY), 409)
    still_sound(room)


def test_a_kept_answer_is_not_given_again(room: Newsroom) -> None:
    room.entity()
    body = {"text": "Once more.", "mode": "paraphrase", "speakers": ["vladimir-putin"]}
    kept = {"Idempotency-Key": "again"}
    claim = ok(room.reporter.post("/v1/claims", json=body, headers=kept))
    assert ok(room.reporter.post("/v1/claims", json=body, headers=kept)) == claim
    erase(room, claim["id"])
    before = room.state()
    problem(room.reporter.post("/v1/claims", json=body, headers=kept), 422)
    assert room.state() == before


def test_an_entity_is_erased_with_those_merged_into_it(room: Newsroom) -> None:
    named: Json = {"description": "edescription", "aliases": [{"name": "Ealias"}]}
    named["external_ids"] = [{"scheme": "wikidata", "value": "eqidword"}]
    one = room.entity("Ename One", **named)
    twin = room.entity("Etwin One", aliases=[{"name": "Etwinalias"}])
    ok(room.editor.post(f"/v1/entities/{twin['id']}/merge", headers=ANY, json={"into": one["id"]}))
    claim = room.claim("They said so.", speakers=[one["id"], "vladimir-putin"], about=[twin["id"]])
    words = ("ename", "edescription", "ealias", "eqidword", "etwin")
    assert "ename" in room.anyone.get(f"/v1/claims/{claim['id']}").text.lower()
    before = last(room)
    made = erase(room, one["id"])
    assert made["also"] == [twin["id"]]
    assert leaks(everything(room, room.admin), words) == []
    past = moments(room, "/v1/entities", f"/v1/entities/{twin['id']}", "/v1/claims", first=before - 4)
    assert leaks(past, words) == []
    assert room.get(f"/v1/entities/{one['id']}")["name"] == "[erased]"
    assert "ename-one" not in room.anyone.get("/v1/entities/ename-on").text
    assert room.fresh(claim)["speakers"][0]["name"] == "[erased]"
    again = room.entity("Ename One")  # the slug is free, and whoever types the name makes another record
    assert again["id"] != one["id"]
    ok(room.anyone.get(f"/v1/claims/{claim['id']}/bundle"))
    still_sound(room)


PAGE = "Svorword stands first. The quoted passage is this one here. And snachword follows at the end of it."


def quoted(room: Newsroom) -> tuple[Json, Json, Json]:
    """A source with a text, and a claim and a piece of evidence that quote it."""
    authors = {"authors": ["Sauthor"], "archive_url": "https://sarchive.example/1"}
    source = room.source("https://swebaddress.example/path", "Stitle", **authors)
    kept = ok(room.reporter.post(f"/v1/sources/{source['id']}/snapshots", json={"text": PAGE}))
    claim = room.claim(
        "The quoted passage is this one here.", mode="direct_quote", appearances=[{"source": source["id"]}]
    )
    assert claim["appearances"][0]["anchors"][0]["prefix"]
    proof = {"source": source["id"], "stance": "context", "anchor": {"exact": "passage is this one"}}
    ok(room.checker.post(f"/v1/claims/{claim['id']}/evidence", json=proof))
    return source, kept, claim


@pytest.mark.parametrize("what", ["source", "snapshot"])
def test_a_source_or_a_text_of_it_is_erased_with_what_stands_around_its_quotes(
    room: Newsroom, what: str
) -> None:
    source, kept, claim = quoted(room)
    before = last(room)
    made = erase(room, source["id"] if what == "source" else kept["id"])
    assert claim["id"] in made["also"]
    [proof] = ok(room.checker.get(f"/v1/claims/{claim['id']}/evidence"))["data"]
    assert made["quoted_in"] == sorted([claim["id"], proof["id"]])
    words = ["svorword", "snachword"]
    if what == "source":
        words += ["sauthor", "sarchive", "swebaddress", "stitle"]
    assert leaks(everything(room, room.admin), words) == []
    assert leaks(moments(room, "/v1/claims", "/v1/sources", first=before - 3), words) == []
    shown = room.get(f"/v1/sources/{source['id']}/snapshots/{kept['id']}")
    assert (shown["text"], shown["has_text"], shown["sha256"]) == (None, False, kept["sha256"])
    [anchor] = room.fresh(claim)["appearances"][0]["anchors"]
    assert (anchor["exact"], anchor["state"]) == ("The quoted passage is this one here.", "exact")
    snapshots = f"/v1/sources/{source['id']}/snapshots"
    problem(room.reporter.post(snapshots, json={"text": PAGE}), 409)
    rows = [
        {"snapshot": {"source": source["id"], "text": PAGE}},
        {"entity": {"name": "Ann", "kind": "person"}},
    ]
    sent = {
        "content": b"\n".join(map(orjson.dumps, rows)),
        "headers": {"Content-Type": "application/x-ndjson"},
    }
    done = ok(room.reporter.post("/v1/import?mode=good", **sent))  # type: ignore[arg-type]
    assert [row["outcome"] for row in done["results"]] == ["refused", "created"]
    with room.db.read() as session:
        assert session.get_one(Snapshot, kept["id"]).text is None
    if what == "snapshot":
        ok(room.reporter.post(snapshots, json={"text": "Another text altogether."}))
    ok(room.anyone.get(f"/v1/claims/{claim['id']}/bundle"))
    assert erase(room, claim["id"])["quoted_in"] == []
    with room.db.read() as session:
        assert quoted_in(session, source["id"]) == []
    still_sound(room)


def test_a_ruling_is_erased_where_its_words_are_notes(room: Newsroom) -> None:
    claim = full_claim(room)
    worked_on(room, claim)
    second, first = room.get(f"/v1/claims/{claim['id']}/reviews")["data"]
    before = room.fresh(claim)["verification"]
    for review in (first, second):
        erase(room, review["id"])
    words = ("wsummary", "wexplanation", "wcorrection")
    assert leaks(everything(room, room.admin), words) == []
    assert leaks(moments(room, "/v1/claims", first=last(room) - 12), words) == []
    after = room.fresh(claim)["verification"]
    assert (after["verdict"], after["note"]) == (before["verdict"], "[erased]")
    still_sound(room)


def test_a_piece_of_evidence_is_erased(room: Newsroom) -> None:
    claim = full_claim(room)
    worked_on(room, claim)
    for piece in room.get(f"/v1/claims/{claim['id']}/evidence")["data"]:
        erase(room, piece["id"])
    assert leaks(everything(room, room.admin), ("wevidence", "wplain")) == []
    ok(room.anyone.get(f"/v1/claims/{claim['id']}/bundle"))
    still_sound(room)


def test_one_figure_is_erased_and_the_others_stay(room: Newsroom) -> None:
    claim = full_claim(room)
    one, other = claim["figures"]
    ok(room.reporter.patch(f"/v1/claims/{claim['id']}", json={"topics": ["x"]}, headers=match(claim)))
    erase(room, one["id"])
    words = ("wmeasure", "wdisplay", "wcondition")
    assert leaks(everything(room, room.admin), words) == []
    assert leaks(moments(room, "/v1/claims", "/v1/figures", first=last(room) - 3), words) == []
    problem(room.anyone.get(f"/v1/figures/{one['id']}"), 404)
    [left] = room.fresh(claim)["figures"]
    assert (left["id"], left["about"]) == (other["id"], other["about"])
    assert room.fresh(claim)["text"] == claim["text"]
    still_sound(room)


def test_what_cannot_be_erased_is_refused(room: Newsroom) -> None:
    key = room.key("reader")[0]
    for record in (key, "nothing", "clm_01m87gne0veherp8apm1m6sqm3", "fig_01m87gne0veherp8apm1m6sqm3"):
        refused = problem(room.admin.post("/v1/erasures", json={"record": record, **NOTE}), 422)
        assert refused["errors"][0]["pointer"] == "/record"
    assert room.get("/v1/erasures")["data"] == []


def test_followers_are_told_which_record_was_erased_and_never_the_words(room: Newsroom) -> None:
    claim = room.claim("Told to followers.")
    seq = last(room)
    erase(room, claim["id"])
    stream = room.anyone.get(f"/v1/changes/stream?after={seq}&until={last(room)}&resource_id={claim['id']}")
    told: list[Any] = [
        orjson.loads(line.removeprefix("data: "))
        for line in stream.text.splitlines()
        if line.startswith('data: {"form"')
    ]
    assert [each["action"] for each in told] == ["claim.withdraw", "claim.erase"]
    assert told[-1]["reason"] == NOTE["note"]
    named = told[-1]["difference"]["erased"]["new"]["entries"]
    assert [each["values"] for each in named.values()] == [["difference.text"]]


def end(room: Newsroom, person: str) -> None:
    ok(room.admin.patch(f"/v1/people/{person}", json={"ended": True}, headers=ANY))


def test_a_person_is_erased_wherever_they_are_named(room: Newsroom) -> None:
    key, token = room.key("editor", "Pname of the desk")
    client = room._clients[key] = room.client(token)
    claim = room.claim("Checked by somebody.")
    path = f"/v1/claims/{claim['id']}"
    ok(client.patch(path, json={"place": "Rome"}, headers=match(claim)))
    room.take(claim, by=client)
    room.review(claim, by=client)
    link = {"other": room.claim("Another.")["id"], "relation": "contradicts", "judgement": "positive"}
    ok(client.post(f"{path}/links", json=link))
    person = ok(room.admin.get(f"/v1/keys/{key}"))["person"]["id"]
    before = last(room)
    assert "pname" in ledger(room, room.admin)
    problem(room.admin.post("/v1/erasures", json={"record": person, **NOTE}), 409)
    end(room, person)
    made = erase(room, person)
    assert (made["type"], key in made["also"]) == ("person", True)
    assert leaks(everything(room, room.admin), ["pname"]) == []
    assert leaks(moments(room, f"{path}/reviews", "/v1/claims", first=before - 3), ["pname"]) == []
    [review] = room.get(f"{path}/reviews")["data"]
    assert review["summary"] == ruling()["summary"], "what they said stays"
    assert room.fresh(claim)["place"] == "Rome"
    ok(room.anyone.get(f"{path}/bundle"))
    still_sound(room)


def test_a_webhook_is_told_nothing_more_of_the_words(room: Newsroom) -> None:
    allow(room)
    with receiving() as receiver:
        hook = hooked(room, receiver.url)
        claim, first = room.claim("Unheard words."), last(room)
        for number in range(3):
            room.entity(f"Person {number}")
        other = room.claim("Unheard also.")
        in_the_middle(receiver, lambda: erase(room, other["id"]))
        deliver(room)  # a run that has read what is erased meanwhile ends with the message that it is at
        deliver(room)
        assert leaks(_bodies(receiver), ["unheard also"]) == []
        assert "unheard words" in _bodies(receiver)
        erase(room, claim["id"])
        receiver.answer = lambda _got: Says()
        receiver.got.clear()
        ok(room.admin.post(f"/v1/webhooks/{hook['id']}/replay", json={"after": first - 2}))
        deliver(room)
        told = [got.told["type"] for got in receiver.got]
        assert told.count("claim.erase") == 2
        assert leaks(_bodies(receiver), ["unheard"]) == []
        for got in receiver.got:
            assert entry_hash(got.told["data"]) == got.told["data"]["hash"]


def _bodies(receiver: Receiver) -> str:
    return "\n".join(got.body.decode().lower() for got in receiver.got)


def test_whatever_stands_otherwise_is_erased_as_well(room: Newsroom) -> None:
    original = room.claim("Stated first.")
    repeat = room.claim("Unheard repeat.", repeats=original["id"])
    withdrawn = room.claim("Unheard withdrawn.")
    note = {"note": "Unheard note."}
    ok(room.editor.post(f"/v1/claims/{withdrawn['id']}/withdrawal", headers=ANY, json=note))
    with room.with_settings(four_eyes=True) as strict:
        waiting = strict.claim("Unheard waiting.")
        strict.take(waiting)
        strict.review(waiting, summary="Unheard summary.")
    loser, winner = room.entity("Unheard loser"), room.entity("The winner")
    ok(room.editor.post(f"/v1/entities/{loser['id']}/merge", headers=ANY, json={"into": winner["id"]}))
    source = room.source("https://example.org/hash")
    hashed = {"sha256": "0" * 64, "length": 7}
    snapshot = ok(room.reporter.post(f"/v1/sources/{source['id']}/snapshots", json=hashed))
    before = last(room)
    for record in (repeat, withdrawn, waiting, loser, snapshot):
        erase(room, record["id"])
    assert leaks(ledger(room, room.admin), ["unheard"]) == []
    paths = ("/v1/claims?withdrawn=include", f"/v1/claims/{withdrawn['id']}", "/v1/corrections",
             f"/v1/entities/{winner['id']}", f"/v1/claims/{waiting['id']}/reviews")  # fmt: skip
    assert leaks("\n".join(room.admin.get(path).text.lower() for path in paths), ["unheard"]) == []
    past = moments(room, "/v1/corrections", f"/v1/claims/{repeat['id']}", first=before - 2)
    assert leaks(past, ["unheard"]) == []
    assert room.get(f"/v1/entities/{winner['id']}")["aliases"] == []
    assert room.fresh(repeat)["repeats"] is None
    assert room.fresh(original)["verification"]["status"] == "unverified"
    still_sound(room)
