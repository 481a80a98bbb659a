"""How far the deliveries of each webhook are, and who is at it. This changes with every delivery and is no
record: the ledger tells nothing of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, func, or_, update
from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.prepared import Prepared
from app.base.sql import select, table
from app.changes.hidden import is_seen
from app.changes.ledger import entries, head, last_seq
from app.changes.model import Change
from app.changes.reads import Place, hash_at, must_hold, shown
from app.hooks import schedule, signing
from app.hooks.model import Progress, Webhook
from app.hooks.sending import GONE, Outcome
from app.hooks.signing import Message

LEASE = timedelta(seconds=60)
"""For so long nobody else delivers to a webhook: longer than a run takes."""

AT_ONCE = 500
"""How many entries are read at once at most, and told before it is written down that they were."""
LOOKED_THROUGH = 500
"""How many entries are looked through for them at most. Where that many are none of a webhook's, its place is
written down; to do so for each would cost a write for what is not even sent.
"""
MOST_BYTES = 1024 * 1024
"""Bytes of entries that are read at once, and so of a batch, unless one entry alone has more."""

_OTHER_BYTES = 800
"""Of an entry besides what differs: about as many."""

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
    batch: int | None
    rotation: int
    rotated_at: datetime | None
    position: int | None
    position_hash: str | None
    batch_end: int | None
    reset_at: datetime | None
    turn: int | None
    attempts: int | None
    failing_since: datetime | None

    @property
    def place(self) -> Place:
        """The last entry that it has been told."""
        return Place(self.position or 0, self.position_hash)


@dataclass(frozen=True)
class Chunk:
    """The next messages for a webhook, each with the place that it is at once it has taken it, and the place
    that it is at after all of them.
    """

    messages: Sequence[tuple[Message, Place]]
    end: Place


@dataclass
class Run:
    """The state of a run of deliveries: the place that was reached, how many messages were taken, the last
    outcome, and the last entry of a batch that was not taken yet.
    """

    place: Place
    taken: int = 0
    outcome: Outcome | None = None
    batch_end: int | None = field(default=None)


# --- what is due -------------------------------------------------------------------------------


_OF_WEBHOOK = ("id", "url", "types", "batch", "rotation", "rotated_at")
_OF_PROGRESS = ("position", "position_hash", "batch_end", "reset_at", "turn", "attempts", "failing_since")


def due(session: ReadSession, at: datetime) -> list[Due]:
    """The webhooks that may have something to be told now, those that have waited longest first."""
    last = last_seq().scalar_subquery()
    there = select(Change.hash).where(col(Change.seq) == col(Progress.position)).scalar_subquery()
    columns = [getattr(Webhook, name) for name in _OF_WEBHOOK]
    query = (
        select(*columns, *(getattr(Progress, name) for name in _OF_PROGRESS))
        .join(Progress, col(Progress.webhook_id) == col(Webhook.id), isouter=True)
        .where(
            col(Webhook.enabled).is_(True),
            col(Webhook.removed_at).is_(None),
            or_(
                col(Progress.position).is_(None),
                col(Progress.position) != func.coalesce(last, 0),
                col(Progress.position_hash) != there,
                col(Progress.reset_at).is_not(None),
            ),
            _is_past(col(Progress.next_at), at),
            _is_past(col(Progress.leased_until), at),
        )
        .order_by(col(Progress.last_at).nulls_first(), col(Webhook.id))
    )
    return [Due(**row._mapping) for row in session.execute(query)]


def _is_past(moment: Any, at: datetime) -> ColumnElement[bool]:
    return or_(moment.is_(None), moment <= at)


def chunk(session: ReadSession, hook: Due, run: Run) -> Chunk | None:
    """The next messages for a webhook, without what only an admin may see; None if there is nothing to do.
    Raises LedgerReset if the ledger does not have the place that it is at.
    """
    after = run.place = Place(run.place.seq, must_hold(session, run.place))
    if hook.reset_at is not None and not run.taken:
        return Chunk([(signing.of_reset(hook.id, hook.reset_at, after.seq, after.hash), after)], after)
    upto = min(after.seq + LOOKED_THROUGH, head(session)[0])
    if run.batch_end is not None and run.batch_end > after.seq:  # what is sent again is the same
        upto = min(upto, run.batch_end)
    rows, whole = _read(session, hook, after.seq, upto)
    if not rows and upto - after.seq < LOOKED_THROUGH:
        return None
    end = Place(upto, hash_at(session, upto)) if whole else _place_of(rows[-1])
    told = shown(session, rows, secrets=False)
    if hook.batch is None:
        messages = [
            (signing.of_entry(hook.id, entry), _place_of(row)) for entry, row in zip(told, rows, strict=True)
        ]
    else:
        messages = [(signing.of_batch(hook.id, told), end)] if told else []
    return Chunk(messages, end)


def _read(session: ReadSession, hook: Due, after: int, upto: int) -> tuple[list[Row[Any]], bool]:
    """Entries for a webhook between two places, and whether those are all."""
    query = entries().where(col(Change.seq) > after, col(Change.seq) <= upto, *_wanted(hook.types))
    found = session.execute(query.order_by(col(Change.seq)).execution_options(yield_per=50))
    rows: list[Row[Any]] = []
    size = 0
    for row in found:
        size += len((row.difference or "").encode()) + _OTHER_BYTES
        if len(rows) >= (hook.batch or AT_ONCE) or (rows and size > MOST_BYTES):
            found.close()
            return rows, False
        rows.append(row)
    return rows, True


def _wanted(types: Sequence[str]) -> Iterator[ColumnElement[bool]]:
    if types:  # what an entry that is told of without its values is of would be told by that
        yield is_seen()
        yield or_(col(Change.action).in_(types), col(Change.resource).in_(types))


def _place_of(row: Row[Any]) -> Place:
    return Place(row.seq, row.hash)


# --- runs of deliveries ------------------------------------------------------------------------


def start(session: WriteSession, webhook_id: str) -> None:
    """Has a webhook be told of what comes from now on, unless it has a place in the ledger already."""
    if session.get(Progress, webhook_id) is None:
        seq, digest = head(session)
        session.add(Progress(webhook_id=webhook_id, position=seq, position_hash=digest))
        session.flush()


def lease(session: WriteSession, hook: Due, by: str, at: datetime, batch_end: int | None = None) -> bool:
    """Takes a webhook for a run; False if somebody else has, or it has another place by now. Where its first
    batch ends is kept before that is sent.
    """
    free = _PROGRESS.c.webhook_id == hook.id, _is_past(_PROGRESS.c.leased_until, at)
    same = _PROGRESS.c.turn == hook.turn, _PROGRESS.c.position == hook.position
    values = {"leased_by": by, "leased_until": at + LEASE, "batch_end": batch_end}
    return _has_hit(session, update(_PROGRESS).where(*free, *same).values(values))


@cache
def held() -> Prepared:
    """The turn of a webhook (`hook`) that a process (`by`) is at."""
    query = select(Progress.turn).where(col(Progress.webhook_id) == bindparam("hook"))
    return Prepared(query.where(col(Progress.leased_by) == bindparam("by")))


def keep(session: WriteSession, hook: Due, by: str, run: Run, at: datetime) -> bool:
    """Keeps what a run has reached, which goes on; False if it may not."""
    values, _ = _after(hook, run, at)
    mine = _PROGRESS.c.webhook_id == hook.id, _PROGRESS.c.leased_by == by, _PROGRESS.c.turn == hook.turn
    return _has_hit(session, update(_PROGRESS).where(*mine).values(**values, leased_until=at + LEASE))


def conclude(session: WriteSession, hook: Due, by: str, run: Run, at: datetime) -> str | None:
    """Ends a run: keeps what was reached, the last outcome, and when to go on. Gives the reason why the
    webhook is to be disabled, if it is.
    """
    values, given_up = _after(hook, run, at)
    mine = _PROGRESS.c.webhook_id == hook.id, _PROGRESS.c.leased_by == by
    free = {"leased_by": None, "leased_until": None}
    kept = update(_PROGRESS).where(*mine, _PROGRESS.c.turn == hook.turn).values(**values, **free)
    if _has_hit(session, kept):
        return given_up
    session.execute(update(_PROGRESS).where(*mine).values(free))  # it was given another place meanwhile
    return None


def _after(hook: Due, run: Run, at: datetime) -> tuple[dict[str, Any], str | None]:
    told: dict[str, Any] = {
        "position": run.place.seq,
        "position_hash": run.place.hash,
        "batch_end": run.batch_end,
        **({"reset_at": None} if run.taken else {}),
    }
    outcome = run.outcome
    if outcome is None:
        return told, None
    told |= {"last_at": at, "last_status": outcome.status, "last_error": outcome.error}
    if outcome.delivered:
        return {**told, **_RESTED}, None
    anew = run.taken > 0
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
    place = {"position": position, "position_hash": hash_at(session, position), "batch_end": None}
    turn(session, webhook_id, anew=True, **place)


def reset(session: WriteSession, webhook_id: str, at: datetime) -> None:
    """Moves a webhook whose place the ledger does not have to the ledger's end, and has it told of that."""
    seq, digest = head(session)
    place = {"position": seq, "position_hash": digest, "batch_end": None, "reset_at": at}
    turn(session, webhook_id, anew=True, **place)


def turn(session: WriteSession, webhook_id: str, *, anew: bool, **values: Any) -> None:
    """Has a run that is under way end after the message that it is at. `anew` forgets its failures."""
    raised = {"turn": _PROGRESS.c.turn + 1, **(_RESTED if anew else {}), **values}
    session.execute(update(_PROGRESS).where(_PROGRESS.c.webhook_id == webhook_id).values(raised))


def interrupt(session: WriteSession) -> None:
    """Have every run that is under way end after the message that it is at: what it has read was erased."""
    session.execute(update(_PROGRESS).values({"turn": _PROGRESS.c.turn + 1}))


def announce_reset(session: WriteSession, at: datetime) -> None:
    """Has every webhook told that a backup was restored, before anything else."""
    raised = {"turn": _PROGRESS.c.turn + 1, "reset_at": at, "batch_end": None, **_RESTED}
    session.execute(update(_PROGRESS).values(raised))


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


@dataclass(frozen=True)
class Lag:
    """The number of entries that a webhook has yet to be told, and when the first of them was written. Of one
    with types, all entries count that are further away than LOOKED_THROUGH.
    """

    entries: int
    since: datetime | None


def lag(session: ReadSession, types: Sequence[str], position: int | None, last: int) -> Lag:
    """How far a webhook at a position is behind the ledger's last entry."""
    if position is None or position >= last:
        return Lag(0, None)
    end = position + LOOKED_THROUGH
    near = col(Change.seq) > position, col(Change.seq) <= end
    query = select(func.count(), func.min(Change.at)).where(*near, *_wanted(types))
    count, since = session.execute(query).one()
    if since is None and last > end:
        since = session.execute(select(Change.at).where(col(Change.seq) == end + 1)).scalar_one()
    return Lag(count + max(last - end, 0), since)


def lags(session: ReadSession) -> dict[str, Lag]:
    """How far each enabled webhook is behind."""
    query = select(Webhook.id, Webhook.types, Progress.position).join(
        Progress, col(Progress.webhook_id) == col(Webhook.id)
    )
    enabled = col(Webhook.enabled).is_(True), col(Webhook.removed_at).is_(None)
    last, _ = head(session)
    rows = session.execute(query.where(*enabled)).all()
    return {row.id: lag(session, row.types, row.position, last) for row in rows}
