"""Keys, for admins."""

from typing import Annotated

from fastapi import Query, Response
from sqlmodel import col

from app.access import store
from app.access.model import Key, KeyIn, KeyOut, NewKey
from app.access.requests import Administering, Overseeing
from app.base.http import v1
from app.base.openapi import answers, listed
from app.base.page import Question, page

router = v1("keys")


@router.get("/keys", responses=listed(KeyOut), operation_id="list_keys")
def list_keys(ask: Annotated[Question, Query()], read: Overseeing) -> Response:
    """Every key, newest first; none with its secret."""
    with read as session:
        found = page(session, store.find(), [col(Key.id)], ask, read.after(ask))
        return read.page(ask, [store.document(row) for row in found.rows], found.last)


@router.get("/keys/{key_id}", responses=answers(KeyOut), operation_id="get_key")
def get_key(key_id: str, read: Overseeing) -> Response:
    """One key."""
    with read as session:
        return read.answer(store.document(store.get(session, key_id)))


@router.post("/keys", status_code=201, responses=answers(NewKey, 201), operation_id="create_key")
def create_key(body: KeyIn, write: Administering) -> Response:
    """Makes a key. Its secret is in this answer and never again."""
    with write as session:
        key, token = store.create(session, write.house.secret, body, by=write.by)
        shown = store.document(store.get(session, key.id))
        return write.answer(shown, 201, location=f"/v1/keys/{key.id}", shown_once={"secret": token})


@router.delete("/keys/{key_id}", responses=answers(KeyOut), operation_id="revoke_key")
def revoke_key(key_id: str, write: Administering) -> Response:
    """Revokes a key at once. Its record and what it did stay. Needs no If-Match: a leaked key is
    revoked whatever else has changed. The last key of an admin that counts is kept (409).
    """
    with write as session:
        write.expect(store.get(session, key_id), needed=False)
        store.keep_an_admin(session, col(Key.id) == key_id)
        store.revoke(session, key_id, by=write.by)
        return write.answer(store.document(store.get(session, key_id)))
