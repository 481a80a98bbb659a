"""What is derived from claims: true after every write, whatever names and merges do meanwhile.

That it is what it would be if it were made anew is checked after every test there is (`Newsroom.faults`).
"""

import subprocess
import sys

import pytest
from sqlalchemy import text

from app.base import schema
from app.changes import store
from app.projections import PROJECTIONS
from tests.newsroom import Newsroom, match, ok


def name_of_speaker(room: Newsroom) -> str:
    return str(room.get("/v1/claims")["data"][0]["speakers"][0]["name"])


def test_a_rename_shows_in_every_claim_at_once_and_rewrites_none(room: Newsroom) -> None:
    claim = room.claim()
    before = room.anyone.get(f"/v1/claims/{claim['id']}")
    entity = room.get("/v1/entities/vladimir-putin")
    ok(room.reporter.patch("/v1/entities/vladimir-putin", json={"name": "V. Putin"}, headers=match(entity)))
    after = room.anyone.get(f"/v1/claims/{claim['id']}")
    assert name_of_speaker(room) == ok(after)["speakers"][0]["name"] == "V. Putin"
    assert ok(after)["version"] == ok(before)["version"]
    assert after.headers["etag"] != before.headers["etag"]


def test_a_rename_that_fails_shows_nowhere(room: Newsroom) -> None:
    room.claim()
    assert name_of_speaker(room) == "Vladimir Putin"
    entity = room.get("/v1/entities/vladimir-putin")
    taken = room.entity("Xi Jinping")["slug"]
    body = {"name": "Nobody", "slug": taken}
    answer = room.reporter.patch("/v1/entities/vladimir-putin", json=body, headers=match(entity))
    assert answer.status_code == 409
    assert name_of_speaker(room) == "Vladimir Putin"


def test_a_new_title_of_a_source_and_a_new_publisher_show_in_claims(room: Newsroom) -> None:
    room.entity("The Wall Street Journal", "organization")
    source = room.source()
    claim = room.claim(appearances=[{"source": source["id"]}])
    body = {"title": "Another title", "publisher": "the-wall-street-journal"}
    ok(room.reporter.patch(f"/v1/sources/{source['id']}", json=body, headers=match(source)))
    shown = room.fresh(claim)["appearances"][0]["source"]
    assert (shown["title"], shown["publisher"]["slug"]) == ("Another title", "the-wall-street-journal")


def test_a_merge_shows_the_winner_and_parting_shows_the_loser_again(room: Newsroom) -> None:
    room.claim()
    room.entity("V. V. Putin")
    entity = room.get("/v1/entities/vladimir-putin")
    path = f"/v1/entities/{entity['id']}/merge"
    merged = ok(room.editor.post(path, json={"into": "v-v-putin"}, headers=match(entity)))
    assert name_of_speaker(room) == "V. V. Putin"
    ok(room.editor.delete(path, headers=match(merged)))
    assert name_of_speaker(room) == "Vladimir Putin"


def test_what_is_lost_of_it_is_noticed_and_made_anew(seeded: Newsroom) -> None:
    tables = ("claim_bodies", "claim_listing", "claim_tallies", "claim_ranks", "claim_twins")
    for table in tables:
        assert seeded.loses(f"DELETE FROM {table}"), table
    assert seeded.faults() == []
    with seeded.db.write() as session:
        for table in tables:
            session.execute(text(f"DELETE FROM {table}"))
    assert seeded.faults() != []
    seeded.rebuild()
    assert seeded.faults() == []


@pytest.mark.parametrize("end", ["lowest", "highest"])
def test_a_figure_that_stands_elsewhere_in_the_order_is_put_back(seeded: Newsroom, end: str) -> None:
    with seeded.db.write() as session:
        session.execute(text(f"UPDATE figures SET {end} = '305998-2' WHERE unit = 'm3'"))
    assert seeded.faults() != []
    seeded.rebuild()
    assert seeded.faults() == []


def test_what_follows_a_write_stands_in_the_order_of_one_list() -> None:
    assert [each.name for each in PROJECTIONS] == [
        "hidden sources", "hidden snapshots", "hidden claims", "hidden evidences", "hidden reviews",
        "hidden decisions", "hidden links", "names", "ranks", "fingerprints", "order of figures", "documents",
        "entity words", "source words", "claim words", "figure words", "word counts",
    ]  # fmt: skip
    assert store._projections == [*PROJECTIONS]


def test_nothing_is_written_that_nothing_would_follow() -> None:
    imports = "import app.figures.words, app.claims.store as s, app.changes.store as c"
    missing = "RuntimeError: nothing would follow this write: import app.projections"
    code = f"{imports}; c.tell(None, s.Claim, [])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=schema.ROOT)
    assert done.stderr.strip().endswith(missing)


UNKNOWN = {
    "a noun that is not in the order": ("class Rumour(Record): noun = 'rumour'", "'rumour'"),
    "one under another record": (
        "class Rumour(Link): noun = 'rumour'; erased: str | None = None",
        "'rumour'",
    ),
    "a record without a noun": ("class Rumour(Record): pass", "'Rumour'"),
    "rows of no record": ("class Rumour(Part): owner = 'claim_id'", "whose rows ['Rumour'] are"),
    "a column that JSON does not hold": ("Claim.model_fields['said'].annotation = time", "Claim.said"),
    "a reference to a later noun": ("replay.ORDER = (*reversed(replay.ORDER),)", "that it refers to"),
    "a column that stays open": ("replay.OFF_LEDGER.clear()", "is left open"),
}
"""What a version may come to have, and what the refusal names."""


START = """
import os
from datetime import time
from app.main import create_app
from app.settings import Settings
from app.changes import replay
from app.changes.model import Part, Record
from app.claims.model import Claim
from app.links.model import Link
settings = Settings(database_url="sqlite:///none.db", secret="s" * 40)
for change in {changes}:
    if not (child := os.fork()):
        try:
            exec(change)
            create_app(settings)
        except RuntimeError as fault:
            print(fault, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""
"""Starts of the application, each in a process with another change."""


def test_what_a_replay_does_not_know_ends_the_start() -> None:
    code = START.format(changes=["", *(does for does, _ in UNKNOWN.values())])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=schema.ROOT
    )
    refusals = done.stdout.splitlines()
    assert len(refusals) == len(UNKNOWN), "as it is, it starts"
    for refusal, (what, (_, named)) in zip(refusals, UNKNOWN.items(), strict=True):
        assert refusal.startswith("a replay"), what
        assert named in refusal, what
