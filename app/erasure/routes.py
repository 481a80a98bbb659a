"""Erasures over HTTP."""

from typing import Annotated

from anyio import from_thread
from fastapi import Query, Response

from app.access.requests import Administering, Reading
from app.base.http import v1
from app.base.openapi import answers, listed
from app.changes.erasure import covered
from app.erasure import store
from app.erasure.left import quoted_in
from app.erasure.model import ErasureIn, ErasureOut, ErasureQuestion, NewErasure

router = v1("erasures")


@router.get("/erasures", responses=listed(ErasureOut), operation_id="list_erasures")
def list_erasures(ask: Annotated[ErasureQuestion, Query()], read: Reading) -> Response:
    """Which records lost their words, when, and why, newest first; never the words."""
    with read as session:
        found = store.find(session, ask, read.after(ask))
        return read.page(ask, found.rows, found.last)


@router.post("/erasures", status_code=201, responses=answers(NewErasure, 201), operation_id="erase_record")
def erase_record(body: ErasureIn, write: Administering) -> Response:
    """Erases the words of a record for good, from every answer, earlier moments and the ledger. What a claim
    was ruled and shown by goes along. Nothing brings them back.
    """
    with write as session:
        made = store.order(session, body.record, body.note, by=write.by)
        document = {**made, "covered": covered(session), "quoted_in": quoted_in(session, body.record)}
        answer = write.answer(document, 201, location=f"/v1/erasures?record={body.record}")
    from_thread.run_sync(write.house.forget_what_was_erased)
    return answer
