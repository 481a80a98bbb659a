"""What was ruled across claims, as it came to stand: verdicts, corrections, withdrawals, reinstatements.

They are the ledger's entries of those moves. A claim that repeats another one is not told of for what is
ruled on that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Describe
from sqlalchemy import Row, text
from sqlmodel import col

from app.access import people
from app.base.db import ReadSession
from app.base.page import MAX_PAGE
from app.base.sql import Query
from app.changes.earlier import stood_today
from app.changes.hidden import of_seen
from app.changes.ledger import difference_of, entries
from app.changes.model import RULINGS, Change
from app.claims import bodies
from app.claims.filters import listed_under
from app.claims.model import Claim
from app.entities.model import Ref
from app.reviews import corrections, documents
from app.reviews.model import Review

KINDS: Mapping[str, str] = {
    "claim.review": "verdict",
    "claim.attribute": "attribution",
    "claim.approve": "verdict",
    **{action: kind for kind, action in corrections.KINDS.items()},
}
"""What each of the ledger's actions is told as."""

_UNRULED = ("withdrawal", "reinstatement")
"""The kinds that no ruling is behind."""


class VerdictQuestion(BaseModel):
    """Filters of verdicts; a repeated one means any of its values."""

    model_config = ConfigDict(frozen=True)

    limit: Annotated[int, Describe(ge=1, le=MAX_PAGE, description="The most records in one answer.")] = 50
    speaker: Annotated[
        list[Ref], Describe(description="The speakers of the claims that were ruled on: ids or slugs.")
    ] = []
    publisher: Annotated[list[Ref], Describe(description="Publishers of what prints it: ids or slugs.")] = []
    topic: Annotated[list[str], Describe(description="A topic of the claim: a slug, such as `energy`.")] = []


@dataclass(frozen=True)
class Verdict:
    """One of them. `ruling` is the review that it rests on, `was` how the claim stood before a correction,
    withdrawal or reinstatement; `name` is that of the desk, or else of who made the move.
    """

    kind: str
    hash: str
    seq: int
    at: datetime
    claim: Mapping[str, Any]
    name: str
    ruling: Mapping[str, Any] | None
    was: Mapping[str, Any] | None
    note: str | None


def find(session: ReadSession, ask: VerdictQuestion) -> list[Verdict]:
    """The latest, newest first. Raises Invalid for unknown entities."""
    facets = {"speaker": ask.speaker, "publisher": ask.publisher, "topic": ask.topic}
    query = latest().where(*listed_under(session, Change.resource_id, facets))
    rows = session.execute(query.order_by(col(Change.seq).desc()).limit(ask.limit)).all()
    claims = bodies.of(session, sorted({row.resource_id for row in rows}))
    rulings = _rulings(session, rows)
    who = people.seen(session, {row.actor for row in rows})
    return [_verdict(row, claims[row.resource_id], rulings.get(row.seq), who) for row in rows]


def latest() -> Query:
    """The query for entries that are told of, to which the feed adds its filters."""
    return entries().where(text(RULINGS), of_seen(Claim.id))


def _rulings(session: ReadSession, rows: Sequence[Row[Any]]) -> dict[int, dict[str, Any]]:
    """The review behind each entry: of its claim, the last that was written by then and not sent back."""
    ruled = [row for row in rows if KINDS[row.action] not in _UNRULED]
    claims = {row.resource_id for row in ruled}
    query = documents.query().where(col(Review.claim_id).in_(claims)).order_by(col(Review.id))
    written = session.execute(query).all() if claims else []
    behind: dict[int, Row[Any]] = {}
    for row in ruled:
        for review in written:
            by_then = review.claim_id == row.resource_id and review.created_at <= row.at
            if by_then and review.outcome != "returned":
                behind[row.seq] = review
    shown = documents.of(session, [*{review.id: review for review in behind.values()}.values()])
    by_id = {each["id"]: each for each in shown}
    return {seq: by_id[review.id] for seq, review in behind.items()}


def _verdict(
    row: Row[Any], claim: Mapping[str, Any], ruling: Mapping[str, Any] | None, who: people.Shown
) -> Verdict:
    correction = (difference_of(row).get("correction") or {}).get("new")
    kind = KINDS[row.action]
    if correction is None or kind in ("verdict", "attribution"):
        was = None
    else:
        was = stood_today(correction["was"], repeats=claim["repeats"] is not None)
    return Verdict(
        kind=kind,
        hash=row.hash,
        seq=row.seq,
        at=row.at,
        claim=claim,
        name=documents.author(ruling) if ruling else _name(who(row.actor, row.actor_name)),
        ruling=ruling,
        was=was,
        note=row.reason if kind in ("correction", "withdrawal") else None,
    )


def _name(shown: Mapping[str, Any] | None) -> str:
    return str(shown["name"]) if shown else documents.HOUSE
