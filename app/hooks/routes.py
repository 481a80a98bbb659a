"""Webhooks over HTTP, for admins."""

from time import monotonic
from typing import Annotated, Any

from fastapi import Query, Response
from sqlmodel import col
from starlette.concurrency import run_in_threadpool

from app.access.requests import Administering, Overseeing, Write
from app.base.db import WriteSession
from app.base.http import v1
from app.base.ids import new_id
from app.base.openapi import IF_MATCH, answers, listed, partial
from app.base.page import Question, page
from app.base.problems import revised
from app.base.times import instant, now
from app.hooks import signing, store
from app.hooks.model import NewSecret, PingOut, ReplayIn, Webhook, WebhookIn, WebhookOut
from app.hooks.sending import Outcome, Sender
from app.hooks.targets import check

router = v1("webhooks")
WebhookPatch = partial(WebhookIn, types=["claim"], note=None)


@router.get("/webhooks", responses=listed(WebhookOut), operation_id="list_webhooks")
def list_webhooks(ask: Annotated[Question, Query()], read: Overseeing) -> Response:
    """Every webhook and how its deliveries stand, newest first; none with its secret."""
    with read as session:
        found = page(session, store.find(), [col(Webhook.id)], ask, read.after(ask))
        return read.page(ask, [store.document(session, row) for row in found.rows], found.last)


@router.get("/webhooks/{webhook_id}", responses=answers(WebhookOut), operation_id="get_webhook")
def get_webhook(webhook_id: str, read: Overseeing) -> Response:
    """One webhook."""
    with read as session:
        return read.answer(store.get(session, webhook_id))


@router.post("/webhooks", status_code=201, responses=answers(NewSecret, 201), operation_id="create_webhook")
async def create_webhook(body: WebhookIn, write: Administering) -> Response:
    """Has an address told of every change from now on. The secret that messages are signed with is in this
    answer and never again.
    """
    await check(body.url, write.settings.webhook_networks)
    return await run_in_threadpool(_create, body, write)


def _create(body: WebhookIn, write: Write) -> Response:
    with write as session:
        hook = store.create(session, body, by=write.by)
        at = f"/v1/webhooks/{hook.id}"
        return write.answer(store.get(session, hook.id), 201, location=at, shown_once=_secret(write, hook))


def _secret(write: Write, hook: Webhook) -> dict[str, str]:
    return {"secret": signing.shown(signing.secret_of(write.house.secret, hook.id, hook.rotation))}


def _expected(session: WriteSession, write: Write, webhook_id: str) -> Webhook:
    hook = store.row(session, webhook_id)
    write.expect(hook)
    return hook


@router.patch(
    "/webhooks/{webhook_id}",
    responses=answers(WebhookOut),
    operation_id="revise_webhook",
    openapi_extra=IF_MATCH,
)
async def revise_webhook(webhook_id: str, body: WebhookPatch, write: Administering) -> Response:  # type: ignore[valid-type]
    """Changes some fields of a webhook (JSON Merge Patch). One that is enabled again goes on with what it was
    told last.
    """
    if (url := getattr(body, "url", None)) is not None:
        await check(url, write.settings.webhook_networks)
    return await run_in_threadpool(_revise, webhook_id, write)


def _revise(webhook_id: str, write: Write) -> Response:
    with write as session:
        hook = _expected(session, write, webhook_id)
        whole = revised(WebhookIn, store.as_input(hook), write.patch)
        store.revise(session, hook, whole, write.patch, by=write.by)
        return write.answer(store.get(session, hook.id))


@router.delete(
    "/webhooks/{webhook_id}",
    responses=answers(WebhookOut),
    operation_id="remove_webhook",
    openapi_extra=IF_MATCH,
)
def remove_webhook(webhook_id: str, write: Administering) -> Response:
    """Removes a webhook for good: it is told nothing more. Its record stays, for what was sent to it."""
    with write as session:
        hook = _expected(session, write, webhook_id)
        store.remove(session, hook, by=write.by)
        return write.answer(store.get(session, hook.id))


@router.post(
    "/webhooks/{webhook_id}/rotate",
    responses=answers(NewSecret),
    operation_id="rotate_webhook",
    openapi_extra=IF_MATCH,
)
def rotate_webhook(webhook_id: str, write: Administering) -> Response:
    """Gives a webhook another secret, which is in this answer and never again. For a day messages are signed
    with the one before as well.
    """
    with write as session:
        hook = _expected(session, write, webhook_id)
        store.rotate(session, hook, by=write.by)
        return write.answer(store.get(session, hook.id), shown_once=_secret(write, hook))


@router.post("/webhooks/{webhook_id}/replay", responses=answers(WebhookOut), operation_id="replay_webhook")
def replay_webhook(webhook_id: str, body: ReplayIn, write: Administering) -> Response:
    """Has a webhook told again of every change after one, under the ids that the messages had; or, after one
    that it was not told yet, leaves out what comes before.
    """
    with write as session:
        hook = store.row(session, webhook_id)
        write.expect(hook, needed=False)
        store.replay(session, hook, body.after)
        return write.answer(store.get(session, hook.id))


@router.post("/webhooks/{webhook_id}/test", responses=answers(PingOut), operation_id="test_webhook")
async def test_webhook(webhook_id: str, write: Administering) -> Response:
    """Sends `webhook.ping` to a webhook now, and says what became of it."""
    hook = await run_in_threadpool(_to_test, webhook_id, write)
    began = monotonic()
    outcome = await _ping(hook, write)
    told = {
        "delivered": outcome.delivered,
        "status": outcome.status,
        "error": outcome.error,
        "seconds": round(monotonic() - began, 3),
    }
    return await run_in_threadpool(_answered, told, write)


def _to_test(webhook_id: str, write: Write) -> Webhook:
    with write as session:
        hook = store.row(session, webhook_id)
        write.expect(hook, needed=False)
        store.must_deliver(hook, delivering=write.settings.webhooks)
        return hook


async def _ping(hook: Webhook, write: Write) -> Outcome:
    at = now()
    told = signing.message(new_id("msg"), "webhook.ping", instant(at), {"webhook": hook.id})
    secrets = signing.secrets_at(write.house.secret, hook.id, hook.rotation, hook.rotated_at, at)
    async with Sender(hook.url, write.settings.webhook_networks) as by:
        return await by.send(told.headers(secrets, at), told.body)


def _answered(told: dict[str, Any], write: Write) -> Response:
    # A transaction of its own: none is kept open while a target makes up its mind.
    with write:
        return write.answer(told)
