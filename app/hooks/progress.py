"""How far the deliveries of each webhook are, and who is at it. This changes with every delivery and is no
record: the ledger tells nothing of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_, update
from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.sql import select, table
from app.changes.model import Change
from app.changes.reads import shown
from app.changes.store import entries, last_seq
from app.hooks import schedule
from app.hooks.model import Progress, Webhook
from app.hooks.sending import GONE, Outcome

LEASE = timedelta(seconds=60)
"""For so long nobody else delivers to a webhook: longer than a run takes."""

AT_ONCE = 50
"""How many entries a run has at most."""
LOOKED_THROUGH = 500
"""How many entries are looked through for them at most. Where that many are none of a webhook's, its place is
written down; to do so for each would cost a write for what is not even sent.
"""

_PROGRESS = table(Progress)
_RESTED: dict[str, Any] = {"attempts": 0, "failing_since": None, "next_at": None}


@dataclass(frozen=True)
class Due:
    """A webhook that may have something to be told now, and how it stands. Without a `position` its base was
    brought in from elsewhere.
    """

    id: str
    url: str
    types: Sequence[str]
    rotation: int
    rotated_at: datetime | None
    position: int | None
    turn: int | None
    attempts: int | None
    failing_since: datetime | None


@dataclass(frozen=True)
class Batch:
    """The next entries for a webhook, and up to where it has been told everything once it has these."""

    entries: Sequence[dict[str, Any]]
    upto: int


# --- what is due -------------------------------------------------------------------------------


def due(session: ReadSession, at: datetime) -> list[Due]:
    """The webhooks that may have something to be told now, those that have waited longest first."""
    last = last_seq().scalar_subquery()
    mine = [col(getattr(Webhook, name)) for name in ("id", "url", "types", "rotation", "rotated_at")]
    standing = [col(getattr(Progress, n)) for n in ("position", "turn", "attempts", "failing_since")]
    query = (
        select(*mine, *standing)
        .join(Progress, col(Progress.webhook_id) == col(Webhook.id), isouter=True)
        .where(
            col(Webhook.enabled).is_(True),
            col(Webhook.removed_at).is_(None),
            or_(col(Progress.position).is_(None), col(Progress.position) < last),
            _is_past(col(Progress.next_at), at),
            _is_past(col(Progress.leased_until), at),
        )
        .order_by(col(Progress.last_at).nulls_first(), col(Webhook.id))
    )
    return [Due(**row._mapping) for row in session.execute(query)]


def _is_past(moment: Any, at: datetime) -> ColumnElement[bool]:
    return or_(moment.is_(None), moment <= at)


def batch(session: ReadSession, hook: Due) -> Batch | None:
    """The next entries for a webhook, without what only an admin may see; None if there is nothing to do."""
    after, last = hook.position or 0, session.execute(last_seq()).scalar() or 0
    upto = min(after + LOOKED_THROUGH, last)
    query = entries().where(col(Change.seq) > after, col(Change.seq) <= upto).order_by(col(Change.seq))
    if hook.types:
        query = query.where(or_(col(Change.action).in_(hook.types), col(Change.resource).in_(hook.types)))
    rows = session.execute(query.limit(AT_ONCE)).all()
    if not rows and upto - after < LOOKED_THROUGH:
        return None
    return Batch([shown(row, secrets=False) for row in rows], rows[-1].seq if len(rows) == AT_ONCE else upto)


# --- runs of deliveries ------------------------------------------------------------------------


def start(session: WriteSession, webhook_id: str) -> None:
    """Has a webhook be told of what comes from now on, unless it has a place in the ledger already."""
    if session.get(Progress, webhook_id) is None:
        session.add(Progress(webhook_id=webhook_id, position=session.execute(last_seq()).scalar() or 0))
        session.flush()


def lease(session: WriteSession, hook: Due, by: str, at: datetime) -> bool:
    """Takes a webhook for a run; False if somebody else has, or it has another place by now."""
    free = _PROGRESS.c.webhook_id == hook.id, _is_past(_PROGRESS.c.leased_until, at)
    same = _PROGRESS.c.turn == hook.turn, _PROGRESS.c.position == hook.position
    taken = update(_PROGRESS).where(*free, *same).values(leased_by=by, leased_until=at + LEASE)
    return _has_hit(session, taken)


def is_held(session: ReadSession, hook: Due, by: str) -> bool:
    """Whether a run may go on."""
    query = select(Progress.turn).where(col(Progress.webhook_id) == hook.id, col(Progress.leased_by) == by)
    return session.execute(query).scalar() == hook.turn


def conclude(
    session: WriteSession, hook: Due, by: str, reached: int, outcome: Outcome | None, at: datetime
) -> str | None:
    """Ends a run: keeps what was reached, the last outcome, and when to go on. Gives the reason why the
    webhook is to be disabled, if it is.
    """
    values, given_up = _after(hook, reached, outcome, at)
    mine = _PROGRESS.c.webhook_id == hook.id, _PROGRESS.c.leased_by == by
    free = {"leased_by": None, "leased_until": None}
    kept = update(_PROGRESS).where(*mine, _PROGRESS.c.turn == hook.turn).values(**values, **free)
    if _has_hit(session, kept):
        return given_up
    session.execute(update(_PROGRESS).where(*mine).values(free))  # it was given another place meanwhile
    return None


def _after(
    hook: Due, reached: int, outcome: Outcome | None, at: datetime
) -> tuple[dict[str, Any], str | None]:
    if outcome is None:
        return {"position": reached}, None
    told = {"position": reached, "last_at": at, "last_status": outcome.status, "last_error": outcome.error}
    if outcome.delivered:
        return {**told, **_RESTED}, None
    anew = reached != hook.position
    since = at if anew or hook.failing_since is None else hook.failing_since
    attempts = 1 if anew else (hook.attempts or 0) + 1
    again = schedule.next_at(at, attempts, outcome.retry_after)
    given_up = None
    if outcome.status == GONE:
        given_up = "The target says that it is gone (410)."
    elif schedule.is_given_up(since, at):
        given_up = f"Nothing was taken for {(at - since).days} days; at last: {outcome.error}."
    return {**told, "attempts": attempts, "failing_since": since, "next_at": again}, given_up


def move(session: WriteSession, webhook_id: str, position: int) -> None:
    """Gives a webhook another place in the ledger, from which deliveries go on at once."""
    start(session, webhook_id)
    turn(session, webhook_id, anew=True, position=position)


def turn(session: WriteSession, webhook_id: str, *, anew: bool, **values: Any) -> None:
    """Has a run that is under way end after the message that it is at. `anew` forgets its failures."""
    raised = {"turn": _PROGRESS.c.turn + 1, **(_RESTED if anew else {}), **values}
    session.execute(update(_PROGRESS).where(_PROGRESS.c.webhook_id == webhook_id).values(raised))


def _has_hit(session: WriteSession, statement: Any) -> bool:
    return bool(session.execute(statement).rowcount == 1)  # type: ignore[attr-defined]


# --- for a look at all of them -----------------------------------------------------------------


def states(session: ReadSession) -> dict[str, int]:
    """How many webhooks are `delivering`, `failing` and `disabled`."""
    failing = col(Progress.failing_since).is_not(None)
    query = (
        select(col(Webhook.enabled), failing)
        .join(Progress, col(Progress.webhook_id) == col(Webhook.id), isouter=True)
        .where(col(Webhook.removed_at).is_(None))
    )
    found = dict.fromkeys(("delivering", "failing", "disabled"), 0)
    for enabled, fails in session.execute(query):
        found["disabled" if not enabled else "failing" if fails else "delivering"] += 1
    return found
