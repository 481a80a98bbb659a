"""The workflow: every move from every standing by everyone, against a table written out by hand."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import get_args

import pytest

from app.access.model import Role
from app.base.errors import Forbidden, IllegalMove
from app.claims.model import Status
from app.reviews.rules import Move, Standing, check, legal_moves

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER, EARLIER = NOW + timedelta(hours=1), NOW - timedelta(hours=1)

NOTHING: set[str] = set()
EDITOR_OF_ANYTHING = {"withdraw"}

# (status, who asks in relation to the claim) -> moves of a checker, and what an editor has besides
EXPECTED: dict[tuple[str, str], tuple[set[str], set[str]]] = {
    ("unverified", "anyone"): ({"take", "enter"}, EDITOR_OF_ANYTHING),
    ("unverified", "author"): ({"take", "enter", "withdraw"}, NOTHING),
    ("in_review", "holder"): ({"take", "enter", "release", "review"}, EDITOR_OF_ANYTHING),
    ("in_review", "late holder"): ({"take", "enter", "release"}, EDITOR_OF_ANYTHING),
    ("in_review", "another"): (NOTHING, {"release", "withdraw"}),
    ("in_review", "another, late"): ({"take", "enter"}, {"release", "withdraw"}),
    ("pending_approval", "proposer"): (NOTHING, EDITOR_OF_ANYTHING),
    ("pending_approval", "another"): (NOTHING, {"approve", "return", "withdraw"}),
    ("reviewed", "anyone"): ({"take", "enter"}, {"correct", "withdraw"}),
    ("withdrawn", "anyone"): (NOTHING, {"reinstate"}),
}


def standing(status: str, who: str, repeats: str | None = None) -> Standing:
    held = status == "in_review"
    return Standing(
        claim_id="clm_x",
        status=status,  # type: ignore[arg-type]
        repeats=repeats,
        holder=("me" if "holder" in who else "other") if held else None,
        lease_expires_at=(EARLIER if "late" in who else LATER) if held else None,
        proposer=("me" if who == "proposer" else "other") if status == "pending_approval" else None,
        author="me" if who == "author" else None,
    )


def allowed(status: str, who: str, role: Role) -> set[str]:
    checkers, editors = EXPECTED[status, who]
    if role < Role.checker:
        return {"withdraw"} if who == "author" and role == Role.reporter else NOTHING
    return checkers | editors if role >= Role.editor else checkers


def test_every_status_is_in_the_table() -> None:
    assert {status for status, _ in EXPECTED} == set(get_args(Status))


@pytest.mark.parametrize(("status", "who"), EXPECTED)
def test_the_legal_moves_are_those_of_the_table(status: str, who: str) -> None:
    for role in Role:
        moves = {rule.move for rule in legal_moves(standing(status, who), "me", role, NOW)}
        assert moves == allowed(status, who, role), role


def test_every_other_move_is_refused_and_names_the_legal_ones() -> None:
    tried = 0
    for (status, who), role, move in product(EXPECTED, Role, get_args(Move)):
        expected = allowed(status, who, role)
        if move == "attribute" or move in expected:
            continue
        tried += 1
        with pytest.raises((IllegalMove, Forbidden)) as refused:
            check(move, standing(status, who), "me", role, NOW)
        if isinstance(refused.value, IllegalMove):
            assert {each["move"] for each in refused.value.extra["legal_moves"]} == expected
        else:
            assert role < Role.editor
    assert tried > 200


def test_of_a_repeat_the_attribution_alone_is_ruled_on() -> None:
    for status, who in EXPECTED:
        repeat = standing(status, who, repeats="clm_first")
        moves = {rule.move for rule in legal_moves(repeat, "me", Role.admin, NOW)}
        decided = {"approve", "return"} if repeat.proposer == "other" else NOTHING
        free = {"attribute", "correct"} if status != "withdrawn" else NOTHING
        assert moves == (decided if repeat.proposer else free)
        with pytest.raises(IllegalMove) as refused:
            check("withdraw", repeat, "me", Role.admin, NOW)
        assert refused.value.extra["repeats"] == "clm_first"
