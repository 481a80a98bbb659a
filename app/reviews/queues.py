"""What waits for fact-checkers: lists of claims, each by its filters, and how many are in it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import BaseModel
from pydantic import Field as Describe
from sqlalchemy import func
from sqlmodel import col

from app.base.db import ReadSession
from app.base.sql import select
from app.base.times import instant
from app.claims.filters import clauses
from app.claims.model import Claim
from app.claims.shapes import ClaimFilters

MOST = 10_000
"""As far as a queue is counted."""

Asked = Mapping[str, str]


class QueueOut(BaseModel):
    """One queue: how many claims are in it, and the address that lists them."""

    name: str
    about: str
    claims: Annotated[int, Describe(description=f"{MOST} stands for that many or more.")]
    url: str


class QueuesOut(BaseModel):
    """Every queue, as it is for the caller now."""

    data: list[QueueOut]


def of(session: ReadSession, person_id: str, at: datetime) -> list[dict[str, Any]]:
    """The queues of a person at a moment."""
    return [
        {
            "name": name,
            "about": about,
            "claims": _count(session, asked),
            "url": f"/v1/claims?{urlencode({**asked, **order})}",
        }
        for name, about, asked, order in _queues(person_id, at)
    ]


def _queues(person_id: str, at: datetime) -> Iterator[tuple[str, str, Asked, Asked]]:
    """Name, meaning, filters and order of each. What repeats another claim waits for nobody: it carries that
    one's verification.
    """
    own = {"is_repeat": "false"}
    waiting = {"status": "unverified", **own}
    yield "repeated", "Unverified, the most repeated first.", waiting, {"sort": "repeats"}
    yield "read", "Unverified, the most read first.", waiting, {"sort": "reads"}
    mine = {"status": "in_review", "assignee": person_id, **own}
    yield "mine", "Taken by you.", mine, {}
    second = {"status": "pending_approval", "not_proposed_by": person_id, **own}
    yield "awaiting_approval", "Ruled on by another, and waiting for a second pair of eyes.", second, {}
    # Whole hours, so that an answer stays the same for as long as nothing happens.
    end = at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)
    soon = {"status": "in_review", "lease_expires_before": instant(end), **own}
    yield "expiring", "Taken, with a lease that has expired or will before the next hour ends.", soon, {}
    due = {"come_due": at.date().isoformat(), **own}
    yield "come_due", "Predictions and promises that have come due and were not ruled on since.", due, {}


def _count(session: ReadSession, asked: Asked) -> int:
    listed = {name: [value] if name in ("status", "assignee") else value for name, value in asked.items()}
    found: Sequence[Any] = clauses(session, ClaimFilters.model_validate(listed))
    some = select(col(Claim.id)).where(*found).limit(MOST).subquery()
    return int(session.execute(select(func.count()).select_from(some)).scalar_one())
