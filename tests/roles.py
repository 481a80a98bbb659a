"""Who may what, as the routes, their gates and the rules of verification have it: docs/roles.md, which
`python -m tests.roles` writes and a test compares.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from fastapi import FastAPI

from app.access.model import Role, RoleName
from app.base.http import Negotiated, Route
from app.main import create_app
from app.reviews.rules import PUBLICATION_RULES, RULES, Rule, Standing, legal_moves
from app.settings import Settings
from tests.contract import CALLERS

PAGE = Path(__file__).parents[1] / "docs" / "roles.md"

USUAL = Settings(_env_file=None)
"""What is read without a key is as the defaults have it."""

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Whose = Literal["", "own", "another's"]

MOVES = {
    "take_claim": "take",
    "release_claim": "release",
    "review_claim": "review",
    "approve_review": "approve",
    "return_review": "return",
    "withdraw_claim": "withdraw",
}
"""The operations for which it matters whose the claim or the ruling is, and their moves."""

NOT_ANSWERED = {"GET /v1alpha1/claims:imageSearch"}
"""What another's interface has, and there is nothing to here."""


@dataclass(frozen=True)
class Cells:
    """A row: what each caller gets of a route, by the status of the answer."""

    route: Route
    whose: Whose

    @property
    def name(self) -> str:
        return f"{self.method} {self.route.path}"

    @property
    def method(self) -> str:
        return next(iter(self.route.methods or ()))

    @property
    def operation(self) -> str:
        return str(self.route.operation_id)

    @property
    def border(self) -> list[RoleName | None]:
        """The first caller, the last, and those on either side of each change of the answer."""
        found = [self.status(caller) for caller in CALLERS]
        ends = (0, len(found) - 1)
        return [
            who for n, who in enumerate(CALLERS) if n in ends or not found[n - 1] == found[n] == found[n + 1]
        ]

    def status(self, caller: RoleName | None) -> int:
        """401, 403 or 409 if the caller is refused, 501 if everyone is, else 200."""
        needed = Role[self.route.gates[0].needs]
        setting = self.route.gates[0].public
        public = needed is Role.reader and setting is not None and getattr(USUAL, setting)
        if caller is None and not public:
            return 401
        if caller is not None and Role[caller] < needed:
            return 403
        if self.name in NOT_ANSWERED:
            return 501
        move = MOVES.get(self.operation)
        if move is None or caller is None or _is_legal(move, Role[caller], self.whose):
            return 200
        return 403 if move == "withdraw" else 409


def _is_legal(move: str, role: Role, whose: Whose) -> bool:
    me = "me" if whose == "own" else "another"
    waits = move in ("approve", "return")
    if move == "withdraw":
        standing = Standing(claim_id="clm", status="unverified", author=me)
        return move in {rule.move for rule in legal_moves(standing, "me", role, NOW)}
    standing = Standing(
        claim_id="clm",
        status="pending_approval" if waits else "in_review",
        holder=None if waits else me,
        lease_expires_at=None if waits else NOW + timedelta(hours=1),
        proposer=me if waits else None,
    )
    return move in {rule.move for rule in legal_moves(standing, "me", role, NOW)}


def rows(app: FastAPI) -> Iterator[Cells]:
    """Every route with a gate, twice where it matters whose it is."""
    for route in app.state.routes:
        if isinstance(route, Route) and not isinstance(route, Negotiated):  # whose address is another's
            for whose in ("own", "another's") if route.operation_id in MOVES else ("",):
                yield Cells(route, whose)


# --- the page ----------------------------------------------------------------------------------

HEAD = """# Who may what

Written by `python -m tests.roles` from the routes, their gates and the rules of verification; a test sends
the requests at the ends of a row and beside each change of the answer over HTTP, and all of every eighth
row. `yes` is a good answer, 401 wants a key, 403 another role,
409 says which moves are legal instead, and 501 that [another's interface](clients.md) has it, but not
this server. A role may do what those before it may.

With `RECORD_PUBLIC_READING=false` the first column is 401 throughout.
{open} need no key either way; they hold no record.

## Routes

Of a claim, *own* is one that the caller has taken, or whose waiting ruling the caller has proposed, or, to
withdraw it, one that the caller has stated and nobody else has done anything about.
"""

MIDDLE = """
## Moves

A claim's standing decides besides. Once it is not `unverified` any more, only an editor may revise it (403),
and only an editor may give it to another (`assignee`, 403).

*Only one at work on it* is who has stated a claim, as long as nobody else has revised or taken it, gathered
evidence on it, linked it or stated a claim that repeats it. Who has read it is not kept, and does not count.
"""


def page() -> str:
    """docs/roles.md as it should be."""
    app = create_app(Settings(database_url="sqlite:///no-such-directory/record.db", secret="-" * 32))
    free = sorted(f"`{route.path}`" for route in app.state.routes if not isinstance(route, Route))
    routes = [
        ["Route", "Whose", *(caller or "anonymous" for caller in CALLERS)],
        *([f"`{row.name}`", row.whose, *map(_word, map(row.status, CALLERS))] for row in rows(app)),
    ]
    moves = [["Move", "From", "Least role", "Who"], *map(_move, (*RULES, *PUBLICATION_RULES))]
    head = HEAD.format(open=f"{', '.join(free[:-1])} and {free[-1]}")
    return f"{head}\n{_table(routes)}\n{MIDDLE}\n{_table(moves)}\n"


def _word(status: int) -> str:
    return "yes" if status == 200 else str(status)


def _move(rule: Rule) -> list[str]:
    return [rule.move, ", ".join(sorted(rule.statuses)), rule.role.name, rule.who.replace("_", " ")]


def _table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


if __name__ == "__main__":
    sys.exit(PAGE.write_text(page(), encoding="utf-8") == 0)
