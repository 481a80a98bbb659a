"""Sources and snapshots over HTTP. Archiving a text is in reviews, left of which are all quotes."""

import logging
from typing import Annotated

from fastapi import Query, Response
from sqlmodel import col

from app.access.model import Role
from app.access.requests import Reading, ReadingNow, Reporting
from app.access.visibility import is_internal
from app.base.errors import Invalid
from app.base.http import v1
from app.base.openapi import IF_MATCH, answers, listed, partial
from app.base.page import Question, page
from app.base.problems import revised
from app.changes.ledger import history
from app.changes.model import ChangeOut
from app.sources import store
from app.sources.model import (
    NewSourceIn,
    Snapshot,
    SnapshotOut,
    SnapshotText,
    SourceFound,
    SourceIn,
    SourceOut,
    SourceQuestion,
)

log = logging.getLogger("on-the-record")
router = v1("sources")
SourcePatch = partial(SourceIn, title="What was agreed, and what was not", published="2023-03-22?")


@router.get("/sources", responses=listed(SourceFound), operation_id="list_sources")
def list_sources(ask: Annotated[SourceQuestion, Query()], read: Reading) -> Response:
    """Published documents, newest first."""
    with read as session:
        found = store.find(session, ask, read.after(ask))
        return read.page(ask, found.rows, found.last)


@router.post("/sources", status_code=201, responses=answers(SourceOut, 201), operation_id="create_source")
def create_source(body: NewSourceIn, write: Reporting) -> Response:
    """Adds a source, with a first snapshot of its text if one is sent. A URL that is here already, in any
    spelling, is 409 with `existing`, and nothing of it is kept.
    """
    with write as session:
        internal = is_internal(write, body.visibility)
        source = store.create(session, body, by=write.by, internal=internal)
        if body.snapshot is not None:  # of which no quote can be here yet
            try:
                store.archive(session, source, body.snapshot, by=write.by, role=write.role or Role.reader)
            except Invalid as fault:
                raise Invalid.under("/snapshot", fault) from fault
        shown = store.document(session, source.id)
        return write.answer(shown, 201, location=f"/v1/sources/{source.id}")


@router.get("/sources/{source_id}", responses=answers(SourceOut), operation_id="get_source")
def get_source(source_id: str, read: Reading) -> Response:
    """One source."""
    with read as session:
        return read.answer(store.document(session, store.identity(session, source_id).id))


@router.patch(
    "/sources/{source_id}", responses=answers(SourceOut), operation_id="revise_source", openapi_extra=IF_MATCH
)
def revise_source(source_id: str, body: SourcePatch, write: Reporting) -> Response:  # type: ignore[valid-type]
    """Changes some fields of a source (JSON Merge Patch)."""
    del body  # checked by its type; null and absent are told apart in what was sent
    with write as session:
        source = store.row(session, source_id)
        write.expect(source)
        whole = revised(SourceIn, store.as_input(source), write.patch)
        store.revise(session, source, whole, write.patch, by=write.by)
        return write.answer(store.document(session, source.id))


@router.get("/sources/{source_id}/snapshots", responses=listed(SnapshotOut), operation_id="list_snapshots")
def list_snapshots(source_id: str, ask: Annotated[Question, Query()], read: Reading) -> Response:
    """A source's snapshots, newest first, without their text."""
    with read as session:
        query = store.snapshots(store.identity(session, source_id).id)
        found = page(session, query, [col(Snapshot.id)], ask, read.after(ask))
        return read.page(ask, [store.snapshot_document(row) for row in found.rows], found.last)


@router.get(
    "/sources/{source_id}/snapshots/{snapshot_id}",
    responses=answers(SnapshotText),
    operation_id="get_snapshot",
)
def get_snapshot(source_id: str, snapshot_id: str, read: ReadingNow) -> Response:
    """One snapshot with its text, as it is now, for a text may be withdrawn. A text that is withheld is shown
    to checkers and roles above; the server's log notes each such reading.
    """
    may_read = read.role is not None and read.role >= Role.checker
    with read as session:
        source = store.identity(session, source_id)
        found = store.snapshot(session, source.id, snapshot_id, withheld_too=may_read)
    if found["text_withheld"] and found["text"] is not None and not read.request.scope.get("head"):
        log.info("%s reads the withheld text of snapshot %s", read.by.id, snapshot_id)
    return read.answer(found)


@router.get("/sources/{source_id}/history", responses=listed(ChangeOut), operation_id="get_source_history")
def get_source_history(source_id: str, ask: Annotated[Question, Query()], read: Reading) -> Response:
    """Who changed what of a source, when and why."""
    with read as session:
        found = history(session, "source", store.identity(session, source_id).id, ask, read.after(ask))
        return read.page(ask, found.rows, found.last)
