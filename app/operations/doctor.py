"""The examination of a base and what is around it: settings, files, disk, database, records and keys."""

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from app import projections
from app.access import store as keys
from app.access.model import Key, Role
from app.access.secret import is_noted, known_secret, secret_fault, secret_file
from app.base import schema
from app.base.db import Database, ReadSession
from app.base.errors import Unavailable
from app.base.times import now
from app.changes.erasure import covered
from app.changes.ledger import entries, head
from app.changes.model import Change
from app.hooks import store as webhooks
from app.hooks.model import Webhook
from app.operations import servers, temporary
from app.operations.checks import faults
from app.reviews import documents as reviews
from app.reviews.model import Review
from app.settings import Settings

State = Literal["ok", "warning", "fault"]

LEAST_FREE = 256 * 1024 * 1024
"""Bytes of disk below which a base may stop at any moment."""

SOON = timedelta(days=14)
AHEAD = timedelta(seconds=60)
"""How far ahead of the clock an entry may be: two machines never agree to the second."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. A warning may be meant so; a fault may not."""

    check: str
    state: State
    detail: str


Findings = Iterator[Finding]


def examine(settings: Settings) -> Findings:
    """Everything that is looked at, one after another; what cannot be without the rest ends it."""
    told = set()
    for finding in _looked_at(settings):
        if finding not in told:  # one of the secret is found without the database, and again with it
            told.add(finding)
            yield finding


def _looked_at(settings: Settings) -> Findings:
    yield from _settings(settings)
    yield from _secret(settings)
    yield from _files(settings)
    for state, detail in temporary.examine(settings):
        yield Finding("temporary", state, detail)
    db = Database(settings.database_url, pool_size=2)
    try:
        yield from _base(settings, db)
    except Unavailable as away:
        yield Finding("database", "fault", away.told)
    except DBAPIError as broken:
        yield Finding("database", "fault", f"It cannot be read: {broken.orig}")
    finally:
        db.dispose()


def _base(settings: Settings, db: Database) -> Findings:
    for about, state, detail in servers.examine(db, settings.pool_size):
        yield Finding(about, state, detail)
    if fault := schema.staleness(db):
        yield Finding("schema", "fault", fault)
        return
    yield Finding("schema", "ok", f"at {schema.newest()}")
    yield from _fingerprint(settings, db)
    with db.read() as session:
        if fault := projections.staleness(session):
            yield Finding("projections", "fault", fault)
        else:
            yield Finding("projections", "ok", f"of version {projections.VERSION}")
            yield from _records(session)
        yield from _attributions(session)
        yield from _erased(session)
        yield from _clock(session)
        yield from _keys(session)
        yield from _webhooks(session)


# --- settings and files ------------------------------------------------------------------------


def _settings(settings: Settings) -> Findings:
    anywhere = "*" in settings.cors_origins
    if anywhere and not settings.public_reading:
        yield Finding(
            "settings", "warning", "RECORD_CORS_ORIGINS lets any page read with a key that is typed into it"
        )
    if settings.public_metrics:
        yield Finding(
            "settings", "warning", "RECORD_PUBLIC_METRICS: whoever reaches the server sees its traffic"
        )
    if settings.log_level == "debug":
        yield Finding("settings", "warning", "RECORD_LOG_LEVEL=debug fills disks")
    if settings.webhook_networks:
        yield Finding(
            "settings", "warning", "RECORD_WEBHOOK_NETWORKS: webhooks may lead into networks of yours"
        )
    if _is_root():
        yield Finding("settings", "warning", "This runs as root: give the server a user of its own")
    reading = "anyone, on pages of any origin too" if anywhere else "anyone"
    yield Finding("settings", "ok", f"read by {reading if settings.public_reading else 'holders of a key'}")


def _is_root() -> bool:
    return os.geteuid() == 0


def _secret(settings: Settings) -> Findings:
    """What can be said of the secret without the database."""
    if settings.secret is not None:
        if len(set(settings.secret)) < 10:
            yield Finding("secret", "fault", "RECORD_SECRET can be guessed: openssl rand -hex 32")
        else:
            yield Finding("secret", "ok", "in RECORD_SECRET")
        return
    kept = secret_file(settings)
    if kept is None:
        yield Finding("secret", "fault", "RECORD_SECRET must be set: at least 32 random characters")
    elif not kept.exists():
        yield Finding("secret", "warning", f"{kept} is not there: the first start makes one")
    elif kept.stat().st_mode & 0o077:
        yield Finding("secret", "fault", f"{kept} can be read by others: chmod 600, then make new keys")
    else:
        yield _kept_secret(settings, kept)


def _kept_secret(settings: Settings, file: Path) -> Finding:
    try:
        known_secret(settings)
    except (ValueError, OSError) as fault:
        return Finding("secret", "fault", str(fault))
    return Finding("secret", "ok", f"in {file}")


def _fingerprint(settings: Settings, db: Database) -> Findings:
    if fault := secret_fault(settings, db):
        yield Finding("secret", "fault", fault)
        return
    with db.read() as session:
        if is_noted(session):
            yield Finding("secret", "ok", "it is the one that the database was served with")


def _files(settings: Settings) -> Findings:
    base = settings.sqlite_file
    if base is None or not base.exists():
        return
    mode, size = base.stat().st_mode, base.stat().st_size
    around = base.resolve().parent
    if around.stat().st_mode & 0o022 and not around.stat().st_mode & stat.S_ISVTX:
        yield Finding(
            "files", "fault", f"{around} can be written by others, who can replace {base}: chmod 700"
        )
    if mode & 0o022:
        yield Finding("files", "fault", f"{base} can be written by others: chmod 600")
    elif mode & 0o044:
        yield Finding("files", "warning", f"{base} can be read by others, withheld texts too: chmod 600")
    else:
        yield Finding("files", "ok", f"{base} is for its owner alone")
    yield _disk(base, size)


def _disk(base: Path, size: int) -> Finding:
    free = shutil.disk_usage(base.parent.resolve()).free
    said = f"{_megabytes(free)} free, {_megabytes(size)} used by the base"
    if free < LEAST_FREE:
        return Finding("disk", "fault", said)
    return Finding("disk", "ok" if free > 2 * size else "warning", said)


def _megabytes(number: int) -> str:
    return f"{number / 1e6:,.0f} MB"


# --- records -----------------------------------------------------------------------------------


def _records(session: ReadSession) -> Findings:
    found = False
    for fault in faults(session):
        found = True
        yield Finding("records", "fault", fault)
    if not found:
        seq, digest = head(session)
        yield Finding("records", "ok", f"{seq} changes, unbroken up to {digest}")


def _attributions(session: ReadSession) -> Findings:
    """Rulings of this server from before a confirmation had to show the words under the speaker's name."""
    query = reviews.query().where(*reviews.standing(), col(Review.attribution) == "confirmed")
    own = query.where(col(Review.confirmed_by).is_(None), col(Review.publisher_id).is_(None))
    count = len(session.execute(own.with_only_columns(col(Review.id))).all())
    if count:
        detail = f"{count} confirmed as said, on evidence that would not be enough today: docs/checking.md"
        yield Finding("attributions", "warning", detail)


def _erased(session: ReadSession) -> Findings:
    if count := covered(session):
        detail = f"{count} entries of the log still have words that were erased: python -m app erase"
        yield Finding("erasures", "warning", detail)


def _clock(session: ReadSession) -> Findings:
    last = session.execute(entries().order_by(col(Change.seq).desc()).limit(1)).first()
    if last is not None and last.at > now() + AHEAD:
        yield Finding("clock", "fault", f"The ledger's last entry is of {last.at}, which is yet to come")


def _keys(session: ReadSession) -> Findings:
    rows = session.execute(keys.find().where(col(Key.revoked_at).is_(None))).all()
    for row in rows:
        if keys.state(row) == "expired":
            yield Finding("keys", "warning", f"{row.id} ({row.name}) has expired: key revoke")
        elif row.expires_at is None and keys.role_of(row) is Role.admin:
            yield Finding("keys", "warning", f"{row.id} ({row.name}) is an admin's and never expires")
        elif row.expires_at is not None and row.expires_at < now() + SOON:
            yield Finding("keys", "warning", f"{row.id} ({row.name}) expires at {row.expires_at}")
    active = [row for row in rows if keys.state(row) == "active"]
    yield Finding("keys", "ok", f"{len(active)} count")


def _webhooks(session: ReadSession) -> Findings:
    for row in session.execute(webhooks.find().where(col(Webhook.removed_at).is_(None))):
        if row.disabled_because is not None:
            yield Finding("webhooks", "warning", f"{row.id} was disabled: {row.disabled_because}")
        elif row.enabled and row.failing_since is not None:
            yield Finding(
                "webhooks", "warning", f"{row.id} fails since {row.failing_since}: {row.last_error}"
            )
        elif row.enabled:
            yield Finding("webhooks", "ok", f"{row.id} has been told everything up to change {row.position}")
