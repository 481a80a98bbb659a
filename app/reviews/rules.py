"""The legal moves of a claim's verification, and who may make them: every other move is refused. And what a
ruling on whether they said it has to rest on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from app.access.model import Role
from app.base.errors import Forbidden, IllegalMove, Invalid
from app.claims.model import Status
from app.claims.standing import STATUSES
from app.reviews.model import ReviewIn
from app.sources.model import SourceKind

Move = Literal[
    "take", "release", "review", "enter", "approve", "return", "correct", "withdraw", "reinstate", "attribute"
]
PublicationMove = Literal["publish", "unpublish"]
Who = Literal[
    "anyone",
    "holder",
    "holder_or_editor",
    "whoever_finds_it_free",
    "second_pair_of_eyes",
    "anyone_while_nothing_waits",
    "only_one_at_work_on_it",
]


@dataclass(frozen=True)
class Rule:
    """A move: in which standings, for what role and whom, and by which request."""

    move: Move | PublicationMove
    statuses: frozenset[Status]
    role: Role
    who: Who
    request: str


def _in(*statuses: Status) -> frozenset[Status]:
    return frozenset(statuses)


_OPEN = _in("unverified", "in_review", "pending_approval", "reviewed")

RULES: tuple[Rule, ...] = (
    Rule("take", _in("unverified", "in_review", "reviewed"), Role.checker, "whoever_finds_it_free",
         "POST /v1/claims/{id}/assignment"),
    Rule("release", _in("in_review"), Role.checker, "holder_or_editor",
         "DELETE /v1/claims/{id}/assignment"),
    Rule("review", _in("in_review"), Role.checker, "holder",
         "POST /v1/claims/{id}/reviews"),
    Rule("enter", _in("unverified", "in_review", "reviewed"), Role.checker, "whoever_finds_it_free",
         "POST /v1/import with what another desk has published"),
    Rule("approve", _in("pending_approval"), Role.editor, "second_pair_of_eyes",
         "POST /v1/claims/{id}/approval"),
    Rule("return", _in("pending_approval"), Role.editor, "second_pair_of_eyes",
         "POST /v1/claims/{id}/return"),
    Rule("correct", _in("reviewed"), Role.editor, "anyone",
         "POST /v1/claims/{id}/reviews with corrects and correction_note"),
    Rule("withdraw", _OPEN, Role.editor, "anyone",
         "POST /v1/claims/{id}/withdrawal"),
    Rule("withdraw", _in("unverified"), Role.reporter, "only_one_at_work_on_it",
         "POST /v1/claims/{id}/withdrawal"),
    Rule("reinstate", _in("withdrawn"), Role.editor, "anyone",
         "DELETE /v1/claims/{id}/withdrawal"),
)  # fmt: skip

REPEAT_RULES: tuple[Rule, ...] = (
    Rule("attribute", _OPEN, Role.checker, "anyone_while_nothing_waits",
         "POST /v1/claims/{id}/reviews with attribution and no verdict"),
    Rule("correct", _OPEN, Role.editor, "anyone_while_nothing_waits",
         "POST /v1/claims/{id}/reviews with corrects, correction_note, attribution and no verdict"),
    Rule("approve", _OPEN, Role.editor, "second_pair_of_eyes",
         "POST /v1/claims/{id}/approval"),
    Rule("return", _OPEN, Role.editor, "second_pair_of_eyes",
         "POST /v1/claims/{id}/return"),
)  # fmt: skip
"""A claim that repeats another carries that one's verification; only whether its own speaker said it is
checked on itself. Its standing is that one's, so that a ruling may wait in any.
"""


PUBLICATION_RULES: tuple[Rule, ...] = (
    Rule("publish", _in(*STATUSES), Role.checker, "anyone",
         "POST /v1/claims/{id}/publication, /v1/sources/{id}/publication"),
    Rule("unpublish", _in(*STATUSES), Role.editor, "anyone",
         "DELETE /v1/claims/{id}/publication, /v1/sources/{id}/publication"),
)  # fmt: skip
"""Who shows a claim or a source to the public, and takes it back, however it stands."""


def check_publication(move: PublicationMove, role: Role) -> None:
    """Raise Forbidden if a role may not make the move."""
    [needed] = (rule.role for rule in PUBLICATION_RULES if rule.move == move)
    if role < needed:
        raise Forbidden(f"To {move} needs the role {needed.name}; the key's is {role.name}.")


@dataclass(frozen=True)
class Standing:
    """What the rules need to know of a claim. `proposer` is who proposed the review that waits, `author` who
    has stated it, as long as nobody else has done anything about it.
    """

    claim_id: str
    status: Status
    repeats: str | None = None
    holder: str | None = None
    lease_expires_at: datetime | None = None
    proposer: str | None = None
    author: str | None = None


def legal_moves(standing: Standing, by: str, role: Role, at: datetime) -> list[Rule]:
    """The moves that this caller may make now."""
    rules = REPEAT_RULES if standing.repeats else RULES
    return [
        rule
        for rule in rules
        if standing.status in rule.statuses and rule.role <= role and _fits(rule.who, standing, by, role, at)
    ]


def check(move: Move, standing: Standing, by: str, role: Role, at: datetime) -> None:
    """Raises Forbidden if no standing would let this role make the move, and IllegalMove, naming the legal
    ones, if this standing does not.
    """
    needed = min(
        rule.role
        for rule in (*RULES, *REPEAT_RULES)
        if rule.move == move and (rule.who != "only_one_at_work_on_it" or standing.author == by)
    )
    if role < needed:
        raise Forbidden(f"To {move} needs the role {needed.name}; the key's is {role.name}.")
    legal = legal_moves(standing, by, role, at)
    if move in {rule.move for rule in legal}:
        return
    original: dict[str, Any] = {"repeats": standing.repeats} if standing.repeats else {}
    named = ", ".join(rule.move for rule in legal) or "none"
    raise IllegalMove(
        f"{_why(move, standing, by, at)} Legal for you now: {named}.",
        legal_moves=[
            {"move": rule.move, "request": rule.request.replace("{id}", standing.claim_id)} for rule in legal
        ],
        **original,
    )


# --- did they say it ---------------------------------------------------------------------------

PRIMARY: tuple[SourceKind, ...] = ("transcript", "statement", "speech", "interview", "press_conference",
                                   "broadcast", "social_post", "official_text")  # fmt: skip
"""The kinds of sources that carry the speaker's own words."""


def check_evidence(ruling: ReviewIn, evidence: Sequence[str]) -> None:
    """Holds a ruling to the evidence that it rests on. Raises Invalid."""
    if not evidence and ruling.verdict not in (None, "not_checkable"):
        raise Invalid.at("/evidence", "is missing: a verdict needs a piece of evidence, here or in cites")
    said = ruling.attribution
    if said != "misquoted" and ruling.actual_words is not None:
        raise Invalid.at("/actual_words", "goes with the attribution misquoted alone")
    if said != "misattributed" and ruling.actual_speaker is not None:
        raise Invalid.at("/actual_speaker", "goes with the attribution misattributed alone")
    if said in (None, "unconfirmed"):
        return
    if not evidence:
        raise Invalid.at("/evidence", f"is missing: {said} needs a piece of evidence, here or in cites")
    if said == "misquoted" and ruling.actual_words is None:
        raise Invalid.at("/actual_words", "is missing: what was really said")


# --- how the table is read ----------------------------------------------------------------------


def _fits(who: Who, standing: Standing, by: str, role: Role, at: datetime) -> bool:
    live = standing.lease_expires_at is not None and standing.lease_expires_at > at
    match who:
        case "anyone":
            return True
        case "holder":
            return standing.holder == by and live
        case "holder_or_editor":
            return standing.holder == by or role >= Role.editor
        case "whoever_finds_it_free":
            return standing.status != "in_review" or standing.holder == by or not live
        case "second_pair_of_eyes":
            return standing.proposer not in (None, by)
        case "anyone_while_nothing_waits":
            return standing.proposer is None
        case "only_one_at_work_on_it":
            return standing.author == by and role < Role.editor  # who may withdraw anything


def _why(move: Move, standing: Standing, by: str, at: datetime) -> str:
    if standing.proposer == by:
        return "Who proposes a verdict may not be the one to approve or return it."
    if standing.repeats and standing.proposer:
        return "A ruling on the claim waits for approval."
    if standing.repeats:
        return f"The claim repeats {standing.repeats} and carries that one's verification."
    if standing.status == "in_review" and standing.holder != by and standing.lease_expires_at:
        until = standing.lease_expires_at
        word = "is" if until > at else "was"
        return f"The claim {word} taken by {standing.holder} until {until:%Y-%m-%dT%H:%M:%SZ}."
    if standing.status == "in_review" and standing.lease_expires_at and standing.lease_expires_at <= at:
        return "Your lease has expired: take the claim again."
    return f"A claim that is {standing.status} is not to {move}."
