"""The commands on the server's secret."""

import typer
from sqlmodel import col

from app.access import secret as secrets
from app.access import store as keys
from app.access.model import Key
from app.base.db import WriteSession
from app.changes.store import By
from app.hooks import store as webhooks
from app.hooks.model import Webhook
from app.operations.commands import current_base, say
from app.settings import Settings

secret = typer.Typer(help="The server's secret.", no_args_is_help=True)


@secret.callback()
def _commands() -> None:
    """Keep `replace` a command of its own: a single one would be taken for all of them."""


@secret.command()
def replace() -> None:
    """Puts a new secret in the place of the database's and says what that voids. Every API key is revoked."""
    with current_base() as (settings, db):
        with db.write() as session:
            told = _void(session, settings)
            made, kept = secrets.replace(session, settings)
        for line in told:
            say(line, err=True)
        if kept is None:
            say("Set RECORD_SECRET to this, which is shown this once, and keep a copy:", err=True)
            say(made)
        else:
            say(f"The new secret is in {kept}: keep a copy of it.", err=True)
        say("Then start every server process anew.", err=True)


def _void(session: WriteSession, settings: Settings) -> list[str]:
    """Revoke the keys, and return what else counts no more, each thing in a line."""
    told = []
    rows = session.execute(keys.find().where(col(Key.revoked_at).is_(None)).order_by(col(Key.id))).all()
    for row in rows:
        keys.revoke(session, row.id, by=By("cli", "command line"))
        told.append(f"The API key {row.id} ({row.role}, {row.name}) is revoked: make a new one.")
    for row in session.execute(webhooks.find().where(col(Webhook.removed_at).is_(None))):
        told.append(
            f"The webhook {row.id} to {row.url} signs with another secret: rotate it, and give its receiver "
            "the one that is shown then."
        )
    if settings.log_key is None:
        told.append(
            "The log signs with another key, and under another name unless RECORD_LOG_ORIGIN is set: publish "
            "/v1/log/key anew. What was signed before is checked with the key from before."
        )
    told.append("Page cursors count no more: whoever pages through a list begins it again.")
    return told
