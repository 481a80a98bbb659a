"""Entities over HTTP."""

from typing import Annotated

from fastapi import Query, Response

from app.access.requests import Editing, Reading, Reporting
from app.base.http import v1
from app.base.openapi import IF_MATCH, MOVED, answers, listed, partial
from app.base.page import Question
from app.base.problems import revised
from app.changes.ledger import history
from app.changes.model import ChangeOut
from app.entities import documents, store
from app.entities.members import must_be_free
from app.entities.model import EntityFound, EntityIn, EntityOut, EntityQuestion, MergeIn

router = v1("entities")
EntityPatch = partial(EntityIn, description="President of Russia since 2012.", aliases=[{"name": "Путин"}])


@router.get("/entities", responses=listed(EntityFound), operation_id="list_entities")
def list_entities(ask: Annotated[EntityQuestion, Query()], read: Reading) -> Response:
    """People, organizations, countries, projects and the rest, newest first."""
    with read as session:
        found = store.find(session, ask, read.after(ask))
        return read.page(ask, found.rows, found.last)


@router.post("/entities", status_code=201, responses=answers(EntityOut, 201), operation_id="create_entity")
def create_entity(body: EntityIn, write: Reporting) -> Response:
    """Adds an entity."""
    with write as session:
        entity = store.create(session, body, by=write.by)
        shown = documents.document(session, entity.id)
        return write.answer(shown, 201, location=f"/v1/entities/{entity.id}")


@router.get("/entities/{ref}", responses={**answers(EntityOut), **MOVED}, operation_id="get_entity")
def get_entity(ref: str, read: Reading) -> Response:
    """One entity by id or slug. One that is merged into another answers 308 with where to go, and with
    its own ETag, by which the merge can be taken back.
    """
    with read as session:
        found = store.identity(session, ref)
        if found.merged_into_id is not None:
            return Response(
                status_code=308,
                headers={
                    "Location": f"/v1/entities/{found.canonical_id}",
                    "ETag": f'"v{found.version}"',
                    **read.cache,
                },
            )
        return read.answer(documents.document(session, found.id))


@router.patch(
    "/entities/{ref}", responses=answers(EntityOut), operation_id="revise_entity", openapi_extra=IF_MATCH
)
def revise_entity(ref: str, body: EntityPatch, write: Reporting) -> Response:  # type: ignore[valid-type]
    """Changes some fields of an entity (JSON Merge Patch; a list is replaced as a whole). Of an organisation
    that people here belong to, only an admin may.
    """
    del body  # checked by its type; null and absent are told apart in what was sent
    with write as session:
        entity = store.row(session, ref)
        write.expect(entity)
        must_be_free(session, write.role, entity.id)
        whole = revised(EntityIn, store.as_input(session, entity), write.patch)
        store.revise(session, entity, whole, write.patch, by=write.by)
        return write.answer(documents.document(session, entity.id))


@router.post(
    "/entities/{ref}/merge", responses=answers(EntityOut), operation_id="merge_entity", openapi_extra=IF_MATCH
)
def merge_entity(ref: str, body: MergeIn, write: Editing) -> Response:
    """Makes this entity a redirect to another: two records for one thing become one. If people here
    belong to one of them, only an admin may.
    """
    with write as session:
        entity = store.row(session, ref)
        write.expect(entity)
        into = store.resolve(session, {"/into": body.into})[body.into]
        must_be_free(session, write.role, entity.id, into)
        store.merge(session, entity, body.into, reason=body.reason, by=write.by)
        return write.answer(documents.document(session, entity.id))


@router.delete(
    "/entities/{ref}/merge", responses=answers(EntityOut), operation_id="part_entity", openapi_extra=IF_MATCH
)
def part_entity(ref: str, write: Editing) -> Response:
    """Takes a merge back: the entity stands on its own again, with its claims."""
    with write as session:
        entity = store.row(session, ref)
        write.expect(entity)
        must_be_free(session, write.role, entity.id)
        store.part(session, entity, by=write.by)
        return write.answer(documents.document(session, entity.id))


@router.get("/entities/{ref}/history", responses=listed(ChangeOut), operation_id="get_entity_history")
def get_entity_history(ref: str, ask: Annotated[Question, Query()], read: Reading) -> Response:
    """Who changed what of an entity, when and why."""
    with read as session:
        found = history(session, "entity", store.identity(session, ref).id, ask, read.after(ask))
        return read.page(ask, found.rows, found.last)
