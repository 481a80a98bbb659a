"""A short and repeatable run of what `make fuzz` does at length."""

import logging

import pytest

from tests.fuzz.contract import Tally, Wish, examine
from tests.fuzz.run import sent_corpus
from tests.newsroom import Newsroom

OPERATIONS = ("list_claims", "state_claim", "take_claim", "review_claim", "create_source", "archive_snapshot",
              "import_file", "create_entity", "search", "create_key")  # fmt: skip


def test_nothing_that_schemathesis_sends_breaks_the_contract(seeded: Newsroom) -> None:
    own, token = seeded.key("admin")
    tally = Tally()
    wish = Wish(token, seed=1, examples=2, phases=("examples", "fuzzing"), only=OPERATIONS, own=own)
    assert list(examine(seeded.server.url, wish, tally)) == ["examples", "fuzzing"]
    assert tally.failures == []
    assert {operation for operation, _, _ in tally.answers} >= {"GET /v1/claims", "POST /v1/claims"}
    assert tally.cases > 50


def test_no_hostile_value_breaks_anything(seeded: Newsroom, caplog: pytest.LogCaptureFixture) -> None:
    tally = Tally()
    with caplog.at_level(logging.ERROR):
        sent_corpus(seeded.admin, tally, every=29)
        sent_corpus(seeded.anyone, tally, every=199)
    assert tally.failures == []
    assert [record.getMessage() for record in caplog.records] == []
    assert tally.cases > 450
