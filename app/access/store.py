"""Keys: made for people, listed, revoked, and recognised by an HMAC of their secret."""

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, or_, update
from sqlmodel import col

from app.access import people
from app.access.caller import Caller
from app.access.model import Key, KeyIn, Person, Role
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
    """A new key and its token, which is nowhere kept. Where no person is named, it has a new one of its name
    and role. Raises Invalid for a person who is not here, or no longer.
    """
    token = PREFIX + secrets.token_urlsafe(32)
    if wish.person is None:
        person_id = people.create(session, wish.name, wish.role, by=by).id
    else:
        person_id = people.resolve(session, wish.person, "/person")
    given = wish.model_dump(exclude={"person"})
    key = Key(id=new_id("key"), person_id=person_id, **given, token_hash=token_hash(secret, token))
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


def keep_an_admin(session: ReadSession, lost: ColumnElement[bool]) -> None:
    """Raises Conflict if a request would take the last valid key of an admin, without which none could make
    another: `lost` says which keys it takes.
    """
    later = or_(col(Key.expires_at).is_(None), col(Key.expires_at) > now())
    valid = select(Key.id).join(Person, col(Person.id) == col(Key.person_id))
    valid = valid.where(col(Key.role) == Role.admin.name, col(Person.role) == Role.admin.name)
    valid = valid.where(col(Key.revoked_at).is_(None), later, col(Person.ended_at).is_(None))
    found = session.execute(valid.where(lost).limit(1)).scalar()
    if found is not None and session.execute(valid.where(~lost).limit(1)).first() is None:
        raise Conflict(
            f"The key {found} is the last of an admin that counts. Make another first, or use the command "
            "line on the server (`python -m app key revoke`)."
        )


def find() -> Query:
    """The query for keys, with their people."""
    columns = (getattr(Key, name) for name in _COLUMNS)
    named = (getattr(Person, name).label(f"person_{name}") for name in ("id", "name", "role", "ended_at"))
    return select(*columns, *named).join(Person, col(Person.id) == col(Key.person_id))


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


def document(key: Row[Any]) -> dict[str, Any]:
    """A key as JSON has it."""
    shown = {name: wire(getattr(key, name)) for name in _COLUMNS}
    return {"id": key.id, "person": {"id": key.person_id, "name": key.person_name}, **shown}


def role_of(key: Row[Any]) -> Role:
    """Return what a key may do: no more than its person may."""
    return min(Role[key.role], Role[key.person_role])


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
    if key.person_ended_at is not None:
        raise Unauthorized("The key was revoked.")
    match state(key):
        case "revoked":
            raise Unauthorized("The key was revoked.")
        case "expired":
            raise Unauthorized("The key has expired.")
    _note_use(db, key)
    return Caller(By(key.person_id, key.person_name), role_of(key), key.id), key.position or 0


def _note_use(db: Database, key: Row[Any]) -> None:
    at = now()
    if key.last_used_at is not None and at - key.last_used_at < _USE_NOTED_EVERY:
        return
    try:
        with db.write() as session:
            session.execute(update(Key).where(col(Key.id) == key.id).values(last_used_at=at))
    except Unavailable:
        return  # a note of use is not worth refusing a read for
