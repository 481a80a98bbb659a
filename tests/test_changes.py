"""The ledger: gapless, chained by hash, and the only way in."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from app.base.db import WriteSession
from app.base.errors import Conflict
from app.changes import store
from app.changes.ledger import GENESIS
from app.changes.store import Saved, save
from app.claims.model import Claim
from app.entities.model import Entity
from tests.commands import tamper
from tests.entries import digest
from tests.newsroom import TESTS, Bases, Newsroom, Server, match, ok, prepared


def test_can_be_followed_from_any_place_on(room: Newsroom) -> None:
    room.claim()
    entries = room.get("/v1/changes", limit=200)["data"]
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    last = entries[-1]["seq"]
    room.claim("Another.")
    after = room.get("/v1/changes", after=last)["data"]
    assert [(entry["seq"], entry["action"]) for entry in after] == [(last + 1, "claim.state")]
    assert room.get("/v1/changes", resource="claim", limit=1)["data"][0]["action"] == "claim.state"


def test_anyone_can_check_the_chain_with_nothing_but_the_feed(seeded: Newsroom) -> None:
    previous, after = GENESIS, 0
    while entries := seeded.get("/v1/changes", after=after, limit=50)["data"]:
        for entry in entries:
            assert entry["previous_hash"] == previous
            assert digest(entry) == entry["hash"]
            previous, after = entry["hash"], entry["seq"]
    assert after == seeded.get("/v1/changes", order="desc", limit=1)["data"][0]["seq"]


def test_has_no_gap_when_many_write_at_once(room: Newsroom) -> None:
    room.entity()

    def state(number: int) -> int:
        body = {"text": f"Claim {number}", "mode": "paraphrase", "speakers": ["vladimir-putin"]}
        return room.reporter.post("/v1/claims", json=body).status_code

    with ThreadPoolExecutor(8) as writers:
        assert set(writers.map(state, range(40))) == {201}
    seqs = [entry["seq"] for entry in room.get("/v1/changes", limit=200)["data"]]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(room.get("/v1/claims", limit=200)["data"]) == 40


def test_a_follower_misses_nothing_while_others_write(room: Newsroom) -> None:
    room.entity()

    def state(number: int) -> None:
        body = {"text": f"Claim {number}", "mode": "paraphrase", "speakers": ["vladimir-putin"]}
        ok(room.reporter.post("/v1/claims", json=body))

    seen: list[int] = []
    with ThreadPoolExecutor(4) as writers:
        writing = [writers.submit(state, number) for number in range(40)]
        while True:
            finished = all(each.done() for each in writing)
            new = room.get("/v1/changes", after=seen[-1] if seen else 0)["data"]
            seen += [entry["seq"] for entry in new]
            if finished and not new:
                break
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) > 40


def test_says_who_changed_what_and_why(room: Newsroom) -> None:
    xi = room.entity("Xi", description="A man.")
    path = f"/v1/entities/{xi['id']}"
    headers = match(xi) | {"X-Request-Id": "from-the-desk-1"}
    ok(room.reporter.patch(path, headers=headers, json={"description": None, "aliases": [{"name": "习"}]}))
    [entry, _] = ok(room.reporter.get(f"{path}/history"))["data"]
    assert entry["difference"] == {
        "aliases": {"old": [], "new": [{"position": 0, "name": "习", "language": None, "kind": "name"}]},
        "description": {"old": "A man.", "new": None},
    }
    assert (entry["actor_name"], entry["version"]) == ("The reporter", 2)
    assert entry["request_id"] == "from-the-desk-1"


def test_shows_what_was_done_to_keys_to_admins_only(room: Newsroom) -> None:
    made = ok(room.admin.post("/v1/keys", json={"name": "New desk", "role": "checker"}))
    seen = room.get("/v1/changes", resource="key", resource_id=made["id"])["data"]
    assert [entry["difference"] for entry in seen] == [None]
    full = ok(room.admin.get("/v1/changes", params={"resource": "key", "resource_id": made["id"]}))["data"]
    assert full[0]["difference"]["name"] == {"old": None, "new": "New desk"}
    assert made["secret"] not in json.dumps(full)


def test_no_record_slips_in_with_another(room: Newsroom) -> None:
    claim_id, entity_id = room.claim()["id"], room.get("/v1/entities/vladimir-putin")["id"]

    def change_both() -> None:
        with room.db.write() as session:
            claim, entity = session.get_one(Claim, claim_id), session.get_one(Entity, entity_id)
            claim.text, entity.name = "Other words.", "Other name"
            save(session, claim, by=TESTS, action="claim.revise")

    with room.unchanged(), pytest.raises(RuntimeError, match="must be saved before"):
        change_both()


TAMPERING = {
    "a claim's words": ("UPDATE claims SET text = 'x'", "text is not what its history says"),
    "a verdict": (
        "UPDATE claims SET verdict = 'true', status = 'reviewed'",
        "verdict is not what its history says",
    ),
    "a figure": ("UPDATE figures SET value = '1'", "figures is not what its history says"),
    "a speaker": ("DELETE FROM claim_speakers", "speakers is not what its history says"),
    "a whole record": ("DELETE FROM entity_aliases", "aliases is not what its history says"),
    "an entry's words": ("UPDATE changes SET reason = 'x' WHERE seq = 2", "change 2: was altered"),
    "an entry's salt": (
        "UPDATE change_values SET salt = 'AAECAwQFBgcICQoLDA0ODw' WHERE seq = 2",
        "change 2: was altered",
    ),
    "an entry's value": (
        "UPDATE change_values SET actor_name = 'Ann' WHERE seq = 2",
        "change 2: was altered",
    ),
    "an entry's values": ("DELETE FROM change_values WHERE seq = 2", "change 2: some of its values are gone"),
    "an entry's form": ("UPDATE changes SET form = 1 WHERE seq = 2", "change 2: was altered"),
    "an entry's difference": ("UPDATE changes SET difference = '{}' WHERE seq = 2", "change 2: was altered"),
    "a broken entry": ("UPDATE changes SET difference = '{' WHERE seq = 2", "change 2: was altered"),
    "a missing entry": ("DELETE FROM changes WHERE seq = 2", "change 3: 2 was expected"),
    "the last entry": (
        "DELETE FROM changes WHERE seq = (SELECT max(seq) FROM changes)",
        "1 rows have no history",
    ),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_tampering_is_found_and_named(bases: Bases, server: Server, what: str) -> None:
    statement, expected = TAMPERING[what]
    with prepared(bases, server, to_tamper_with) as room:
        room.tampered = True
        tamper(room.settings.database_url, statement)
        faults = room.faults()
        assert any(expected in fault for fault in faults), faults


def to_tamper_with(room: Newsroom) -> None:
    room.entity(aliases=[{"name": "Путин"}])
    room.claim(figures=[{"measure": "gas", "value": "98", "unit": "bcm"}])
    assert room.faults() == []


def test_what_follows_a_record_is_written_with_it_or_not_at_all(
    room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, object]] = []

    def follower(session: WriteSession, saved: Sequence[Saved]) -> None:
        for each in saved:
            row = session.execute(text("SELECT name FROM entities WHERE id = :id"), {"id": each.id}).one()
            told.append((row.name, each.difference["name"]["new"]))
            if row.name == "Nobody":
                raise Conflict("Not that one.")

    watching = store.Projection("watching", {Entity: follower})
    monkeypatch.setattr(store, "_projections", [*store._projections, watching])
    room.entity(name="Somebody")
    assert told == [("Somebody", "Somebody")]
    with room.unchanged():
        refused = room.reporter.post("/v1/entities", json={"kind": "person", "name": "Nobody"})
        assert refused.status_code == 409
