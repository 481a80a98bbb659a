"""A short and repeatable run of what `make fuzz` does at length."""

import logging
import os
import re
from time import process_time

import pytest

from tests.fuzz.cost import Cost, Meter
from tests.newsroom import Newsroom

OPERATIONS = ("list_claims", "state_claim", "take_claim", "review_claim", "create_source", "archive_snapshot",
              "import_file", "create_entity", "search", "create_key")  # fmt: skip


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
def test_nothing_that_schemathesis_sends_breaks_the_contract(seeded: Newsroom) -> None:
    from tests.fuzz.contract import Tally, Wish, examine  # only here: Schemathesis takes seconds to import

    own, token = seeded.key("admin")
    tally = Tally()
    wish = Wish(token, seed=1, examples=1, phases=("examples", "fuzzing"), only=OPERATIONS, own=own)
    assert list(examine(seeded.server.url, wish, tally)) == ["examples", "fuzzing"]
    print(*tally.failures, sep="\n")
    assert tally.failures == []
    assert {operation for operation, _, _ in tally.answers} >= {"GET /v1/claims", "POST /v1/claims"}
    assert tally.cases > 40


def test_what_costs_too_much_is_a_failure() -> None:
    meter = Meter(os.getpid())
    began = process_time()
    while process_time() - began < 0.4:  # whose clock ticks in hundredths
        pass
    cost = meter.read()
    assert re.search(r"took 0\.(3[89]|4)", str(cost.fault(b"/v1/claims", refused=True, size=0)))
    assert cost.fault(b"/v1/claims?as_of=1", refused=False, size=0) is None
    assert cost.fault(b"/v1/claims?as_of=1", refused=True, size=0) is None
    assert "took" in str(cost.fault(b"/v1/claims.csv", refused=True, size=0))
    assert cost.fault(b"/v1/claims", refused=False, size=500_000) is None
    assert "MB" in str(Cost(0, 60 * 2**20).fault(b"/v1/claims", refused=True, size=0))


def test_no_hostile_value_breaks_anything(seeded: Newsroom, caplog: pytest.LogCaptureFixture) -> None:
    from tests.fuzz.contract import Tally
    from tests.fuzz.run import sent_corpus

    tally = Tally()
    with caplog.at_level(logging.ERROR):
        begin = 0 if seeded.db.sqlite else 58  # each database has the half that the other has not
        sent_corpus(seeded.admin, tally, every=116, begin=begin)
        sent_corpus(seeded.anyone, tally, every=797, begin=begin)
    assert tally.failures == []
    assert [record.getMessage() for record in caplog.records] == []
    assert tally.cases > 110
