"""Keys: made, listed, revoked, and recognised by an HMAC of their secret."""

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import Row, or_, update
from sqlmodel import col

from app.access.caller import Caller
from app.access.model import Key, KeyIn, Role
from app.base.db import Database, ReadSession, WriteSession
from app.base.errors import Conflict, NotFound, Unauthorized, Unavailable
from app.base.ids import new_id
from app.base.sql import Query, select
from app.base.times import now
from app.base.types import wire
from app.changes.ledger import last_seq
from app.changes.store import By, save

PREFIX = "otr_"
"""Lets leak scanners know a key of ours when they see one."""

_COLUMNS = ("id", "name", "role", "expires_at", "revoked_at", "last_used_at", "version",
            "created_at", "updated_at")  # fmt: skip
_USE_NOTED_EVERY = timedelta(minutes=10)


def create(session: WriteSession, secret: bytes, wish: KeyIn, *, by: By) -> tuple[Key, str]:
    """A new key and its token, which is nowhere kept."""
    token = PREFIX + secrets.token_urlsafe(32)
    key = Key(id=new_id("key"), **wish.model_dump(), token_hash=token_hash(secret, token))
    save(session, key, by=by, action="key.create")
    return key, token


def revoke(session: WriteSession, key_id: str, *, by: By) -> Key:
    """Ends a key at once. Raises NotFound, or Conflict if it was revoked before."""
    key = session.get(Key, key_id)
    if key is None:
        raise NotFound(f"There is no key {key_id}.")
    if key.revoked_at is not None:
        raise Conflict(f"The key {key_id} was revoked at {wire(key.revoked_at)}.")
    key.revoked_at = now()
    save(session, key, by=by, action="key.revoke")
    return key


def keep_an_admin(session: ReadSession, key_id: str) -> None:
    """Raises Conflict for the last valid key of an admin, without which no request could make another."""
    later = or_(col(Key.expires_at).is_(None), col(Key.expires_at) > now())
    valid = col(Key.role) == Role.admin.name, col(Key.revoked_at).is_(None), later
    if session.execute(select(Key.id).where(*valid).limit(2)).scalars().all() == [key_id]:
        raise Conflict(
            f"The key {key_id} is the last of an admin that counts. Make another first, or revoke it with "
            "`python -m app key revoke` on the server."
        )


def find() -> Query:
    """The query for keys."""
    return select(*(getattr(Key, name) for name in _COLUMNS))


def get(session: ReadSession, key_id: str) -> Row[Any]:
    """One key. Raises NotFound."""
    row = session.execute(find().where(col(Key.id) == key_id)).first()
    if row is None:
        raise NotFound(f"There is no key {key_id}.")
    return row


def state(key: Row[Any]) -> Literal["active", "expired", "revoked"]:
    """Whether a key counts now."""
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now() else "active"


def document(key: Key | Row[Any]) -> dict[str, Any]:
    """A key as JSON has it."""
    return {name: wire(getattr(key, name)) for name in _COLUMNS}


def token_hash(secret: bytes, token: str) -> str:
    """HMAC-SHA256 of a token with the base's secret."""
    return hmac.digest(secret, b"key\0" + token.encode(), hashlib.sha256).hex()


def recognise(db: Database, secret: bytes, token: str) -> tuple[Caller, int]:
    """Who asks with this token, and the position of the base that says so. Raises Unauthorized if it is
    unknown, expired or revoked.
    """
    with db.read() as session:
        query = find().add_columns(last_seq().scalar_subquery().label("position"))
        query = query.where(col(Key.token_hash) == token_hash(secret, token))
        key = session.execute(query).first()
    if key is None:
        raise Unauthorized("The key is not known here.")
    match state(key):
        case "revoked":
            raise Unauthorized("The key was revoked.")
        case "expired":
            raise Unauthorized("The key has expired.")
    _note_use(db, key)
    return Caller(By(key.id, key.name), Role[key.role]), key.position or 0


def _note_use(db: Database, key: Row[Any]) -> None:
    at = now()
    if key.last_used_at is not None and at - key.last_used_at < _USE_NOTED_EVERY:
        return
    try:
        with db.write() as session:
            session.execute(update(Key).where(col(Key.id) == key.id).values(last_used_at=at))
    except Unavailable:
        return  # a note of use is not worth refusing a read for
