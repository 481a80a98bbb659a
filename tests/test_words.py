"""Words of earlier versions: records say them in today's words, the ledger as it was written, and whoever
sends them is told what they are called now.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col

from app.base import schema
from app.base.db import Database
from app.base.ids import new_id
from app.base.integrity import proven
from app.base.sql import select, table
from app.base.times import now
from app.changes.replay import Replay
from app.changes.store import save
from app.claims.model import Claim
from app.exchange.dump import export, restore
from app.reviews.labels import ATTRIBUTIONS, VERDICTS
from app.reviews.model import Review
from app.reviews.settled import settle
from tests.commands import Command
from tests.earlier import HERE, LAST_OF_FORM_1, content, lay
from tests.entries import digest
from tests.newsroom import TESTS, Bases, Json, Newsroom, Server, faults, match, ok, opened, problem, ruling

BEFORE = "0014"
"""The last revision of the schema that has the words of before."""

LINES = [json.loads(line) for line in content(HERE / LAST_OF_FORM_1 / "export.ndjson").splitlines()]
ENTRIES: list[Json] = [line["change"] for line in LINES if "change" in line]


def ruled(verdict: str) -> tuple[str, str]:
    """The claim of that version that has a verdict, and the review."""
    given = (e for e in ENTRIES if e["action"] == "review.give")
    [entry] = [e for e in given if e["difference"].get("verdict", {}).get("new") == verdict]
    return entry["difference"]["claim_id"]["new"], entry["resource_id"]


MISATTRIBUTED, ITS_REVIEW = ruled("misattributed")


def misattributed(room: Newsroom) -> tuple[str, str, int]:
    """The claim that had this verdict in a database of that version, its review, and the `seq` that it has it
    from. Entries of the first form that name a reviewer are shown whole to those inside alone.
    """
    given = ok(room.reader.get("/v1/changes?resource=review&limit=200"))["data"]
    verdicts = ((entry, entry["difference"].get("verdict", {}).get("new")) for entry in given)
    [entry] = [entry for entry, verdict in verdicts if verdict == "misattributed"]
    return entry["difference"]["claim_id"]["new"], entry["resource_id"], entry["seq"] + 1


class Ledger:
    """The entries of that version, and more in its words."""

    def __init__(self) -> None:
        self.entries = [*ENTRIES]

    def add(self, action: str, record_id: str, /, **changed: Any) -> Json:
        """One more entry; `changed` is what fields are set to."""
        resource = "review" if action == "review.give" else "claim"
        before = [e for e in self.entries if e["resource_id"] == record_id]
        state = {name: each["new"] for e in before for name, each in e["difference"].items()}
        last = self.entries[-1]
        entry = {
            **last, "action": action, "resource": resource, "resource_id": record_id, "seq": last["seq"] + 1,
            "version": len(before) + 1, "reason": None, "request_id": None, "previous_hash": last["hash"],
            "difference": {name: {"old": state.get(name), "new": new} for name, new in changed.items()},
        }  # fmt: skip
        entry["hash"] = digest(entry)
        self.entries.append(entry)
        return entry


def stated(like: str, **more: Any) -> Json:
    """What a claim says that is stated like another one."""
    first = next(e for e in ENTRIES if e["resource_id"] == like)
    return {name: each["new"] for name, each in first["difference"].items()} | more


def standing(db: Database, record_id: str) -> tuple[Any, ...]:
    """The verdict and attribution of a claim's row or a review's, and of a claim how desks agree."""
    kind = table(Claim if record_id.startswith("clm") else Review)
    names = ("verdict", "attribution", "agreement", "attribution_agreement")
    with db.read() as session:
        row = session.execute(select(kind).where(kind.c.id == record_id)).one()
    return tuple(getattr(row, name) for name in names if name in kind.c)


def correction(db: Database, claim_id: str) -> Any:
    with db.read() as session:
        return session.execute(select(Claim.correction).where(col(Claim.id) == claim_id)).scalar_one()


def rows(db: Database) -> dict[str, list[Any]]:
    kinds = {"claims": table(Claim), "reviews": table(Review)}
    with db.read() as session:
        return {
            name: [*session.execute(select(kind).order_by(kind.c.id)).all()] for name, kind in kinds.items()
        }


def take(db: Database, entry: Json) -> None:
    with db.write() as session:
        Replay(session, going_on=True).take([entry])


WAS = {"status": "reviewed", "verdict": "misattributed", "attribution": "unconfirmed"}
WAS_TODAY: Json = {"status": "reviewed", "verdict": None, "attribution": "misattributed"}


def history(ledger: Ledger) -> Iterator[tuple[Json, str, tuple[Any, ...]]]:
    """Entries in the words of before, and how the record that each is of stands then in today's."""
    claim, repeat, other = MISATTRIBUTED, "clm_repeat", "clm_other"
    carried = {"status": "reviewed", "verdict": "misattributed", "agreement": "single"}
    made = stated(claim, repeats_id=claim, **carried)
    yield ledger.add("claim.state", repeat, **made), repeat, (None, "unconfirmed", None, None)
    said: Json = {"attribution": "confirmed", "attribution_agreement": "single"}
    yield ledger.add("claim.review", claim, **said), claim, (None, "confirmed", None, "single")
    said = {"attribution": "unconfirmed", "attribution_agreement": None}
    yield ledger.add("claim.review", claim, **said), claim, (None, "misattributed", None, "single")
    told: Json = {"kind": "correction", "note": "No.", "at": "2026-11-30T20:20:04.004635Z", "review": None}
    fixed: Json = {"correction": {**told, "was": WAS}, "verdict": "false"}
    yield ledger.add("claim.correct", claim, **fixed), claim, ("false", "unconfirmed", "single", None)
    yield ledger.add("claim.carry", repeat, **fixed), repeat, ("false", "unconfirmed", "single", None)
    made = stated(claim, status="reviewed", verdict="misattributed", agreement="split", attribution="altered")
    yield ledger.add("claim.state", other, **made), other, (None, "misquoted", None, None)
    said = {"verdict": "misattributed", "agreement": "split", "attribution": "unconfirmed"}
    yield ledger.add("claim.review", other, **said), other, (None, "misattributed", None, "single")
    yield ledger.add("claim.review", other, verdict="true"), other, ("true", "unconfirmed", "split", None)


# --- what was written before --------------------------------------------------------------------


def test_entries_of_before_are_rows_in_words_of_now(bases: Bases) -> None:
    with bases.fresh() as url, opened(url) as db:
        with db.write() as session:
            Replay(session).take(ENTRIES)
        assert standing(db, MISATTRIBUTED) == (None, "misattributed", None, "single")
        assert standing(db, ITS_REVIEW) == (None, "misattributed")
        for entry, record_id, stands in history(Ledger()):
            take(db, entry)
            assert standing(db, record_id) == stands, entry
        without_texts = [fault for fault in faults(db) if not fault.startswith("snapshot")]
        assert without_texts == []
        assert correction(db, MISATTRIBUTED)["was"] == {
            **WAS,
            "verdict": None,
            "attribution": "misattributed",
        }
        assert correction(db, "clm_repeat")["was"] == {**WAS, "verdict": None}


def test_all_entries_at_once_make_the_same_rows(bases: Bases) -> None:
    ledger = Ledger()
    assert [*history(ledger)]
    made = []
    for some in ([ledger.entries], [[entry] for entry in ledger.entries]):
        with bases.fresh() as url, opened(url) as db:
            for each in some:
                with db.write() as session:
                    Replay(session, going_on=True).take(each)
            made.append(rows(db))
    assert made[0] == made[1]


def test_rows_are_migrated_to_what_the_entries_make_of_them_and_back(bases: Bases) -> None:
    ledger = Ledger()
    assert [*history(ledger)]
    with bases.fresh() as url:
        with opened(url) as db:
            with db.write() as session:
                Replay(session).take(ledger.entries[:-1])  # while one still is misattributed
            before = rows(db)
        schema.downgrade(url, BEFORE)
        with opened(url) as db:
            words = "verdict, attribution, agreement, attribution_agreement, correction"
            with db.read() as session:
                query = f"SELECT {words} FROM claims WHERE id IN ('{MISATTRIBUTED}', 'clm_other') ORDER BY id"
                told, other = session.connection().exec_driver_sql(query).all()
            assert tuple(told)[:4] == ("false", "unconfirmed", "single", None)
            assert json.loads(told.correction)["was"] == WAS
            assert tuple(other)[:4] == ("misattributed", "unconfirmed", "split", None)
        schema.upgrade(url)
        with opened(url) as db:
            assert rows(db) == before


@pytest.mark.parametrize("word", ["fabricated", "out_of_context", "disputed", "misquoted"])
def test_there_is_no_way_down_past_a_word_of_now(bases: Bases, word: str) -> None:
    with bases.fresh(seeded=True) as url, opened(url) as db:
        with db.write() as session:
            claim = session.execute(select(Claim).order_by(col(Claim.id)).limit(1)).scalar_one()
            # By nobody who is a person: 0020, on the way down, would meet those first.
            by: Json = {"reviewer_id": TESTS.id, "reviewer_name": TESTS.name, "needs_approval": False}
            said: Json = {"verdict" if word == "disputed" else "attribution": word, "summary": "So."}
            review = Review(id=new_id("rev"), claim_id=claim.id, reviewed_at=now(), **by, **said)
            save(session, review, by=TESTS, action="review.give", parts={"evidence": []})
            settle(session, claim)
            save(session, claim, by=TESTS, action="claim.review", reason="So.")
        before = rows(db)
        with pytest.raises(ValueError, match=f"has the .* {word}, which the version before does not know"):
            schema.downgrade(url, BEFORE)
        assert rows(db) == before
        assert faults(db) == []


def test_what_is_written_now_goes_on_from_words_of_before(
    bases: Bases, server: Server, command: Command
) -> None:
    with bases.fresh(migrated=False) as url, bases.fresh() as copy:
        lay(url)
        assert command(url, "migrate").code == 0
        with Newsroom(server, url) as room:
            claim_id, review_id, seq_then = misattributed(room)
            claim = room.get(f"/v1/claims/{claim_id}")
            assert claim["verification"]["attribution"] == "misattributed"
            told = ok(room.reader.get(f"/v1/claims/{claim['id']}/history"))["data"]
            [kept] = [entry for entry in told if entry["seq"] == seq_then]
            assert kept["difference"]["verdict"]["new"] == "misattributed", "the ledger says what was written"
            again: Json = {"corrects": review_id, "correction_note": "It is open."}
            room.review(claim, by=room.editor, verdict=None, attribution="unconfirmed", **again)
            now = room.fresh(claim)["verification"]
            assert (now["verdict"], now["attribution"]) == (None, "unconfirmed")
            row = room.get("/v1/corrections")["data"][0]
            assert (row["was"]["verdict"], row["was"]["attribution"]) == (None, "misattributed")
            assert (row["became"]["verdict"], row["became"]["attribution"]) == (None, "unconfirmed")
            assert room.faults() == []
            last = ok(room.anyone.get("/v1/changes?order=desc&limit=1"))["data"][0]["seq"]
            for seq in (last, seq_then):
                then = ok(room.anyone.get(f"/v1/claims/{claim['id']}?as_of={seq}"))["verification"]
                said = "unconfirmed" if seq == last else "misattributed"
                assert (then["verdict"], then["attribution"]) == (None, said), seq
            with room.db.read() as session:
                whole = [*export(session)]
        with opened(copy) as db:
            with db.write() as session:
                restore(session, whole)
            assert faults(db) == []
            assert standing(db, claim_id) == (None, "unconfirmed", None, "single")


def test_a_correction_of_before_says_what_it_was_in_words_of_now(bases: Bases, server: Server) -> None:
    ledger = Ledger()
    assert [*history(ledger)]
    with bases.fresh() as url:
        with opened(url) as db, db.write() as session:
            Replay(session).take(ledger.entries)
        with Newsroom(server, url) as room:
            [row] = room.get("/v1/corrections", claim=MISATTRIBUTED)["data"]
            assert row["was"] == WAS_TODAY
            assert row["became"] == {**WAS, "verdict": "false"}
            feed = room.anyone.get("/v1/verdicts.json").text
            assert "before: attribution misattributed" in feed


# --- bundles ------------------------------------------------------------------------------------


def test_a_bundle_of_before_is_held_to_the_words_of_before(
    command: Command, tmp_path: Path, bases: Bases, server: Server
) -> None:
    """One with today's words, signed by whoever has the key, is not what its entries make."""
    with bases.fresh(migrated=False) as url:
        lay(url)
        assert command(url, "migrate").code == 0
        with Newsroom(server, url) as room:
            key = room.anyone.get("/v1/log/key").text.strip()
            signer = room.app.state.house.signer
            whole = ok(room.reader.get(f"/v1/claims/{misattributed(room)[0]}/bundle"))
    assert whole["version"] == 4
    file = tmp_path / "bundle.jsonld"

    def check(bundle: Json) -> int:
        bare = {name: value for name, value in bundle.items() if name != "proof"}
        file.write_text(json.dumps(proven(bare, signer, whole["proof"]["created"])))
        return command("sqlite:///none/record.db", "verify", str(file), "--key", key).code

    assert check(whole) == 0
    assert check({**whole, "version": 2}) == 1
    earlier = json.loads(content(HERE / LAST_OF_FORM_1 / "bundles.ndjson").splitlines()[0])
    then = json.loads(json.dumps({**whole, "version": 2, "@context": earlier["@context"]}))
    then["record"]["claim"]["verification"] |= {
        "verdict": "misattributed", "attribution": "unconfirmed", "agreement": "single",
        "attribution_agreement": None,
    }  # fmt: skip
    [told] = [each["difference"] for each in whole["changes"] if each["action"] == "review.give"]
    reviewer = {"id": told["reviewer_id"]["new"], "name": told["reviewer_name"]["new"]}
    then["record"]["reviews"][0] |= {
        "verdict": "misattributed", "attribution": None, "state": "standing", "reviewer": reviewer,
    }  # fmt: skip
    assert check(then) == 0
    assert check({**then, "version": 4}) == 1


# --- what is sent -------------------------------------------------------------------------------


def test_words_of_before_are_refused_with_those_of_now(room: Newsroom) -> None:
    claim = room.take(room.claim())
    path = f"/v1/claims/{claim['id']}/reviews"
    moved = "is now an attribution, and no verdict: send it as attribution"
    for sent, at, told in (
        ({"attribution": "altered"}, "/attribution", "is now called misquoted"),
        ({"verdict": "misattributed"}, "/verdict", moved),
    ):
        answer = room.checker.post(path, headers=match(room.fresh(claim)), json=ruling(**sent))
        [fault] = problem(answer, 422)["errors"]
        assert (fault["pointer"], fault["detail"]) == (at, told)
    for query, told in (("attribution=altered", "is now called misquoted"), ("verdict=misattributed", moved)):
        for address in ("/v1/claims", "/v1/stats", "/v1/reviews.json"):
            assert told in problem(room.anyone.get(f"{address}?{query}"), 422)["detail"]
    line = json.dumps({"review": {"publisher": "A desk", "attribution": "altered", "claim": {}}})
    answer = room.checker.post("/v1/import", content=line, headers={"Content-Type": "application/x-ndjson"})
    assert "is now called misquoted" in answer.text


def test_names_of_before_are_refused_with_those_of_now(room: Newsroom) -> None:
    line = json.dumps({"kind": "person", "name": "A Speaker"})
    headers = {"Content-Type": "application/x-ndjson"}
    fault = problem(room.reporter.post("/v1/import?noun=entity", content=line, headers=headers), 422)
    assert "it is now called 'type'" in fault["detail"]
    done = ok(room.reporter.post("/v1/import?type=entity", content=line, headers=headers))
    assert done["results"][0]["type"] == "entity"


def test_new_attributions_and_the_new_verdict_are_ruled(room: Newsroom) -> None:
    for word in ("fabricated", "out_of_context"):
        claim = room.take(room.claim(f"Ruled {word}."))
        path = f"/v1/claims/{claim['id']}/reviews"
        bare = ruling(verdict=None, attribution=word, evidence=[])
        answer = room.checker.post(path, headers=match(room.fresh(claim)), json=bare)
        assert problem(answer, 422)["errors"][0]["pointer"] == "/evidence"
        room.review(claim, verdict=None, attribution=word)
        assert len(room.get("/v1/claims", attribution=word)["data"]) == 1
    claim = room.take(room.claim("It is disputed."))
    review = room.review(claim, verdict="disputed")
    assert review["rating"] is None
    document = room.anyone.get(f"/v1/claims/{claim['id']}.jsonld").json()
    assert document["@graph"][0]["reviewRating"]["alternateName"] == "Disputed"


LABELS: list[tuple[Json, tuple[str | None, str | None]]] = [
    ({"label": "Misattributed"}, (None, "misattributed")),
    ({"label": "Falsch zugeschrieben"}, (None, "misattributed")),
    ({"label": "Fake quote"}, (None, "fabricated")),
    ({"label": "Disputed"}, ("disputed", None)),
    ({"label": "Research in progress"}, (None, None)),
    ({"label": "Being checked", "verdict": "unsupported"}, (None, None)),
]


def test_labels_of_other_desks_say_who_said_it_or_that_it_is_still_checked(room: Newsroom) -> None:
    lines = []
    for n, (told, _) in enumerate(LABELS):
        claim = {"text": f"Said, number {n}.", "mode": "paraphrase", "speakers": ["A Speaker"]}
        lines.append(json.dumps({"review": {"publisher": "A desk", "claim": claim, **told}}))
    answer = ok(
        room.checker.post(
            "/v1/import?new_entities=organization",
            content="\n".join(lines),
            headers={"Content-Type": "application/x-ndjson"},
        )
    )
    assert answer["created"] == len(LABELS), answer
    found = {row["summary"]: row for row in room.anyone.get("/v1/reviews.json").json()}
    for told, wanted in LABELS:
        row = found[told["label"]]
        assert (row["verdict"], row["attribution"]) == wanted, told


def test_claim_reviews_of_earlier_versions_keep_their_meaning(room: Newsroom) -> None:
    for n, (name, value) in enumerate((("attribution", "altered"), ("verdict", "misattributed"))):
        named = [{"@type": "PropertyValue", "propertyID": name, "value": value}]
        document = {
            "@context": "https://schema.org", "@type": "ClaimReview", "claimReviewed": f"Said, number {n}.",
            "url": f"https://desk.example.org/{n}", "author": {"@type": "Organization", "name": "A desk"},
            "itemReviewed": {"@type": "Claim", "author": {"@type": "Person", "name": "A Speaker"}},
            "reviewRating": {"@type": "Rating", "alternateName": "Odd", "identifier": named},
        }  # fmt: skip
        headers = {"Content-Type": "application/ld+json"}
        path = "/v1/import?new_entities=person"
        answer = ok(room.checker.post(path, content=json.dumps(document), headers=headers))
        assert answer["created"] == 1, answer
    rows = room.anyone.get("/v1/reviews.json?order=asc").json()
    assert sorted(row["attribution"] for row in rows) == ["misattributed", "misquoted"]
    assert {row["verdict"] for row in rows} == {None}


def test_a_label_means_a_verdict_or_an_attribution() -> None:
    assert not {*VERDICTS} & {*ATTRIBUTIONS}


def test_each_word_of_a_verdict_and_attribution_is_described(room: Newsroom) -> None:
    document = room.anyone.get("/openapi.json").json()
    wanted = {
        "ReviewIn": ("verdict", "attribution"), "VerificationOut": ("verdict",), "ReviewOut": ("state",)
    }  # fmt: skip
    for schema_name, names in wanted.items():
        for name in names:
            field = document["components"]["schemas"][schema_name]["properties"][name]
            [listed] = [each for each in field.get("anyOf", [field]) if "enum" in each]
            assert all(f"`{word}`: " in listed["description"] for word in listed["enum"])
