"""The workflow, move after move by whoever comes: a model of it beside the rules, and beside the API.

What is legal in a standing is the table of `test_rules`; where a move leads is written out here.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, get_args

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from app.access.model import Role
from app.base.errors import Forbidden, IllegalMove
from app.reviews.rules import Move, Standing, check
from tests.newsroom import Json, Newsroom, ok, problem, ruling
from tests.test_rules import NOW, allowed

ACTORS = {"reporter": Role.reporter, "checker": Role.checker, "another": Role.checker,
          "editor": Role.editor, "chief": Role.editor}  # fmt: skip
OF_CHECKERS = ("take", "release", "review", "enter")
MOVES = [move for move in get_args(Move) if move != "attribute"]
Outcome = set[str] | str | None
"""Of a move: None if it was made, `forbidden`, or the moves that are legal instead."""


class Workflow(RuleBasedStateMachine):
    """The model: what the standing is, and what becomes of it."""

    def __init__(self, *, four_eyes: bool) -> None:
        super().__init__()
        self.four_eyes = four_eyes
        self.status, self.holder, self.late = "unverified", "", False
        self.proposer = ""
        """Of the ruling that waits."""
        self.ruled = False
        """Whether some ruling stands."""

    def attempt(self, move: str, actor: str) -> Outcome:
        """Tries it on what is tested."""
        raise NotImplementedError

    @rule(move=st.sampled_from(MOVES), actor=st.sampled_from(sorted(ACTORS)))
    def moves(self, move: str, actor: str) -> None:
        """Someone makes a move, which is made, or refused, as the table has it."""
        expected = self.expected(move, actor)
        assert self.attempt(move, actor) == expected, f"{actor} tries to {move} what is {self.status}"
        if expected is None:
            self.becomes(move, actor)

    def expected(self, move: str, actor: str) -> Outcome:
        """What the table says of it."""
        role = ACTORS[actor]
        legal = allowed(self.status, self.who(actor), role)
        if role < (Role.checker if move in OF_CHECKERS else Role.editor):
            return "forbidden"
        return None if move in legal else legal

    def who(self, actor: str) -> str:
        """What the actor is to the claim, in the words of the table."""
        match self.status:
            case "in_review" if actor == self.holder:
                return "late holder" if self.late else "holder"
            case "in_review":
                return "another, late" if self.late else "another"
            case "pending_approval":
                return "proposer" if actor == self.proposer else "another"
            case _:
                return "anyone"

    def becomes(self, move: str, actor: str) -> None:
        """Where the move leads."""
        match move:
            case "take":
                self.status, self.holder, self.late = "in_review", actor, False
            case "review" | "enter" | "correct" if self.four_eyes:
                self.status, self.proposer = "pending_approval", actor
            case "review" | "enter" | "correct" | "approve":
                self.ruled, self.proposer = True, ""
                self.settles()
            case "return":
                self.status, self.holder, self.late = "in_review", self.proposer, False
                self.proposer = ""
            case "withdraw":
                self.status = "withdrawn"
            case "reinstate" if self.proposer:
                self.status = "pending_approval"
            case _:
                self.settles()

    def settles(self) -> None:
        """It stands as its rulings have it."""
        self.status, self.holder = ("reviewed" if self.ruled else "unverified"), ""


class OfRules(Workflow):
    """Beside the rules alone, where time passes at will."""

    @precondition(lambda self: self.status == "in_review")
    @rule()
    def time_passes(self) -> None:
        """The lease expires."""
        self.late = True

    def attempt(self, move: str, actor: str) -> Outcome:
        held = self.status == "in_review"
        lease = NOW - timedelta(seconds=1) if self.late else NOW + timedelta(seconds=1)
        waits = self.proposer if self.status == "pending_approval" else None
        status: Any = self.status
        standing = Standing(
            "clm_x", status, None, self.holder if held else None, lease if held else None, waits
        )
        made: Any = move
        try:
            check(made, standing, actor, ACTORS[actor], NOW)
        except Forbidden:
            return "forbidden"
        except IllegalMove as refused:
            return {each["move"] for each in refused.extra["legal_moves"]}
        return None


class OfRequests(Workflow):
    """Beside the API, on a real base."""

    def __init__(self, room: Newsroom, clients: dict[str, httpx.Client]) -> None:
        super().__init__(four_eyes=room.settings.four_eyes)
        self.room, self.clients = room, clients
        self.claim = room.claim(f"Claim {room.state()} of the workflow.")

    def attempt(self, move: str, actor: str) -> Outcome:
        if move == "enter":
            return self.enter(actor)
        method, what, body = self.request(move)
        at = f"/v1/claims/{self.claim['id']}/{what}"
        answer = self.clients[actor].request(method, at, json=body, headers={"If-Match": "*"})
        if answer.status_code == 403:
            return "forbidden"
        if answer.status_code == 409:
            return {each["move"] for each in problem(answer, 409, "illegal-move")["legal_moves"]}
        ok(answer)
        return None

    def enter(self, actor: str) -> Outcome:
        """Brings in what a desk has published, whose refusal is a row's and does not name the legal moves."""
        claim = {"text": self.claim["text"], "mode": "paraphrase", "speakers": ["vladimir-putin"]}
        told = {"claim": claim, "publisher": f"Desk {self.room.state()}", "label": "False"}
        answer = self.clients[actor].post(
            "/v1/import?type=review", json=told, headers={"Content-Type": "application/x-ndjson"}
        )
        if answer.is_success:
            return None
        expected = self.expected("enter", actor)
        return "refused" if expected is None else expected

    def request(self, move: str) -> tuple[str, str, Json | None]:
        """How a move is asked for."""
        match move:
            case "take" | "release":
                return "POST" if move == "take" else "DELETE", "assignment", None
            case "review":
                return "POST", "reviews", ruling()
            case "correct":
                note = {"corrects": self.standing_review(), "correction_note": "It was misread."}
                return "POST", "reviews", ruling(**note)
            case "approve" | "return":
                return "POST", "approval" if move == "approve" else "return", None
            case _:
                made = "POST" if move == "withdraw" else "DELETE"
                return made, "withdrawal", {"note": "Stated twice."} if move == "withdraw" else None

    def standing_review(self) -> str:
        """The id of a ruling that stands, if there is one."""
        reviews = self.room.get(f"/v1/claims/{self.claim['id']}/reviews")["data"]
        return next((each["id"] for each in reviews if each["state"] == "published"), "none")

    def becomes(self, move: str, actor: str) -> None:
        super().becomes(move, actor)
        shown = self.room.fresh(self.claim)["verification"]
        assert shown["status"] == self.status
        assert (shown["verdict"] is not None) == self.ruled
        assert (shown["assignee"] or {}).get("name", "") == (
            self.holder if self.status == "in_review" else ""
        )


def run(machine: Callable[[], RuleBasedStateMachine], examples: int, steps: int) -> None:
    """The same moves in every run."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    made: Any = machine  # its type is told as a class, but anything that makes one will do
    run_state_machine_as_test(
        made,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True, database=None,
            suppress_health_check=checks,
        ),
    )  # fmt: skip


@pytest.mark.parametrize("four_eyes", [False, True])
def test_the_rules_keep_to_the_model(four_eyes: bool) -> None:
    run(lambda: OfRules(four_eyes=four_eyes), examples=100, steps=40)


@pytest.mark.parametrize("four_eyes", [False, True])
def test_the_api_keeps_to_the_model(room: Newsroom, four_eyes: bool) -> None:
    with room.with_settings(four_eyes=four_eyes) as strict:
        clients = {name: strict.another(role.name, name) for name, role in ACTORS.items()}  # type: ignore[arg-type]
        run(lambda: OfRequests(strict, clients), examples=3, steps=25)
