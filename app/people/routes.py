"""People over HTTP: for admins, and in short for checkers; and who the caller is."""

from typing import Annotated

from fastapi import Query, Response
from sqlmodel import col

from app.access import store as keys
from app.access.model import Key, Role
from app.access.requests import Administering, Identifying, Surveying
from app.base.http import v1
from app.base.openapi import IF_MATCH, answers, listed, partial
from app.base.page import Question
from app.base.problems import revised
from app.people import store
from app.people.model import MeOut, PersonChangeIn, PersonIn, PersonOut

router = v1("people")
PersonPatch = partial(PersonChangeIn, byline="Ann E.")


@router.get("/people", responses=listed(PersonOut), operation_id="list_people")
def list_people(ask: Annotated[Question, Query()], read: Surveying) -> Response:
    """Who works here, newest first: names and roles. Admins are shown all, also those who ended."""
    with read as session:
        found = store.find(session, ask, read.after(ask), whole=read.caller.has(Role.admin))
        return read.page(ask, found.rows, found.last)


@router.get("/people/{person_id}", responses=answers(PersonOut), operation_id="get_person")
def get_person(person_id: str, read: Surveying) -> Response:
    """One person: name and role. Admins are shown everything."""
    with read as session:
        return read.answer(store.document(session, person_id, whole=read.caller.has(Role.admin)))


@router.post("/people", status_code=201, responses=answers(PersonOut, 201), operation_id="create_person")
def create_person(body: PersonIn, write: Administering) -> Response:
    """Adds a person. `POST /v1/keys` makes keys for them."""
    with write as session:
        person = store.create(session, body, by=write.by)
        shown = store.document(session, person.id, whole=True)
        return write.answer(shown, 201, location=f"/v1/people/{person.id}")


@router.patch(
    "/people/{person_id}",
    responses=answers(PersonOut),
    operation_id="revise_person",
    openapi_extra=IF_MATCH,
)
def revise_person(person_id: str, body: PersonPatch, write: Administering) -> Response:  # type: ignore[valid-type]
    """Changes some fields of a person (JSON Merge Patch). `ended` ends them: their keys are revoked and the
    claims that they have taken are free, at once. The last admin whose key counts stays one (409).
    """
    del body  # checked by its type; null and absent are told apart in what was sent
    with write as session:
        person = store.row(session, person_id)
        write.expect(person)
        whole = revised(PersonChangeIn, store.as_input(session, person), write.patch)
        store.revise(session, person, whole, write.patch, by=write.by)
        return write.answer(store.document(session, person.id, whole=True))


@router.get("/me", responses=answers(MeOut), operation_id="who_am_i")
def who_am_i(read: Identifying) -> Response:
    """The person and the key that ask, and what they may do. Without a key it is 401."""
    with read as session:
        key = session.execute(keys.find().where(col(Key.id) == read.caller.key)).one()
        shown = store.myself(session, key)
    return read.answer({**shown, "role": keys.role_of(key).name})
