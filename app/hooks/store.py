"""Webhooks: made, changed, disabled, removed, found."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Row, func
from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.errors import Conflict, Invalid, NotFound
from app.base.ids import new_id
from app.base.sql import Query, select
from app.base.times import now
from app.base.types import wire
from app.changes.ledger import head
from app.changes.model import fresh
from app.changes.store import By, save
from app.hooks import progress
from app.hooks.model import Progress, Webhook, WebhookIn

HOUSE = By("webhooks", "webhooks")
"""Who disables a webhook that has failed for too long."""

MOST = 100
"""How many webhooks there are at a time: each change is sent to all of them."""

_OWN = ("id", "url", "types", "note", "batch", "enabled", "disabled_because", "rotated_at", "removed_at",
        "version", "created_at", "updated_at")  # fmt: skip
_DELIVERIES = ("reset_at", "failing_since", "attempts", "next_at", "last_at", "last_status", "last_error")


def create(session: WriteSession, wish: WebhookIn, *, by: By) -> Webhook:
    """A new webhook, which is told of what comes after. Raises Conflict if there are as many as may be."""
    there = select(func.count()).select_from(Webhook).where(col(Webhook.removed_at).is_(None))
    if session.execute(there).scalar_one() >= MOST:
        raise Conflict(f"There are {MOST} webhooks, and no more may be: remove one that nobody reads.")
    hook = fresh(Webhook, id=new_id("whk"), **wish.model_dump())
    save(session, hook, by=by, action="webhook.create")
    progress.start(session, hook.id)
    return hook


def revise(session: WriteSession, hook: Webhook, wish: WebhookIn, fields: Collection[str], *, by: By) -> None:
    """Give the named fields of a webhook their new values. Enabled again, or with another address, it is
    tried at once.
    """
    _must_be_there(hook)
    anew = wish.url != hook.url or (wish.enabled and not hook.enabled)
    for name in fields:
        setattr(hook, name, getattr(wish, name))
    if hook.enabled:
        hook.disabled_because = None
    if save(session, hook, by=by, action="webhook.revise"):
        progress.turn(session, hook.id, anew=anew, batch_end=None)


def rotate(session: WriteSession, hook: Webhook, *, by: By) -> None:
    """Gives a webhook another secret."""
    _must_be_there(hook)
    hook.rotation += 1
    hook.rotated_at = now()
    save(session, hook, by=by, action="webhook.rotate")
    progress.turn(session, hook.id, anew=False)


def replay(session: WriteSession, hook: Webhook, after: int) -> None:
    """Has a webhook told again of all that comes after an entry, or no more of what comes before it."""
    _must_be_there(hook)
    last, _ = head(session)
    if after > last:
        raise Invalid.at("/after", f"is yet to come: the last change is {last}")
    progress.move(session, hook.id, after)


def disable(session: WriteSession, webhook_id: str, because: str) -> None:
    """Ends deliveries to a webhook until somebody enables it again: what it was not told waits for that."""
    hook = row(session, webhook_id)
    hook.enabled = False
    hook.disabled_because = because
    save(session, hook, by=HOUSE, action="webhook.disable", reason=because)


def remove(session: WriteSession, hook: Webhook, *, by: By) -> None:
    """Ends a webhook for good."""
    _must_be_there(hook)
    hook.removed_at = now()
    hook.enabled = False
    save(session, hook, by=by, action="webhook.remove")
    progress.turn(session, hook.id, anew=True)


def must_deliver(hook: Webhook, *, delivering: bool) -> None:
    """Raises Conflict where nothing can be sent to a webhook."""
    _must_be_there(hook)
    if not delivering:
        raise Conflict("This server delivers nothing: RECORD_WEBHOOKS is off.")


def _must_be_there(hook: Webhook) -> None:
    if hook.removed_at is not None:
        raise Conflict(f"The webhook {hook.id} was removed at {wire(hook.removed_at)}.")


# --- finding -----------------------------------------------------------------------------------


def row(session: WriteSession, webhook_id: str) -> Webhook:
    """A webhook, to be changed. Raises NotFound."""
    hook = session.get(Webhook, webhook_id)
    if hook is None:
        raise _unknown(webhook_id)
    return hook


def _unknown(webhook_id: str) -> NotFound:
    return NotFound(f"There is no webhook {webhook_id}.")


def find() -> Query:
    """The query for webhooks and how their deliveries stand."""
    columns = [getattr(Webhook, name) for name in _OWN]
    columns += [getattr(Progress, name) for name in ("position", *_DELIVERIES)]
    return select(*columns).join(Progress, col(Progress.webhook_id) == col(Webhook.id), isouter=True)


def get(session: ReadSession, webhook_id: str) -> dict[str, Any]:
    """One webhook. Raises NotFound."""
    found = session.execute(find().where(col(Webhook.id) == webhook_id)).first()
    if found is None:
        raise _unknown(webhook_id)
    return document(session, found)


def document(session: ReadSession, found: Row[Any]) -> dict[str, Any]:
    """A webhook as JSON has it."""
    last = head(session)[0] if found.removed_at is None else 0
    lag = progress.lag(session, found.types, found.position, last)
    deliveries = {
        "delivered": found.position,
        "lag": {"entries": lag.entries, "since": wire(lag.since)},
        **{name: wire(getattr(found, name)) for name in _DELIVERIES},
    }
    return {**{name: wire(getattr(found, name)) for name in _OWN}, "deliveries": deliveries}


def as_input(hook: Webhook) -> dict[str, Any]:
    """A webhook as it could be sent."""
    return {name: getattr(hook, name) for name in WebhookIn.model_fields}
