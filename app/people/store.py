"""People: added, changed, listed, and ended with all that they hold."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.access import people
from app.access import store as keys
from app.access.model import Key, Person, PersonOrganisation, Role
from app.base.db import ReadSession, WriteSession
from app.base.errors import Conflict, Invalid, NotFound
from app.base.page import Page, Question, page
from app.base.sql import Query, select
from app.base.times import now
from app.base.types import wire
from app.changes.store import By, save
from app.claims.model import Claim
from app.entities.documents import brief, brief_columns
from app.entities.model import Entity
from app.entities.store import resolve
from app.people.model import PersonChangeIn, PersonIn
from app.reviews import store as reviews

_BRIEF = ("id", "name", "role")
_PLAIN = ("name", "role", "byline")
_COLUMNS = (*_BRIEF, "byline", "email", "ended_at", "version", "created_at", "updated_at")


# --- writing -----------------------------------------------------------------------------------


def create(session: WriteSession, wish: PersonIn, *, by: By) -> Person:
    """Return a new person. Raises Invalid for an organisation that is not here."""
    person = people.unsaved(wish.name, wish.role)
    person.byline = wish.byline
    _set_email(person, wish.email)
    parts = {"organisations": _organisations(session, person.id, wish.organisations)}
    save(session, person, by=by, action="person.create", parts=parts)
    return person


def revise(
    session: WriteSession, person: Person, wish: PersonChangeIn, fields: Collection[str], *, by: By
) -> None:
    """Give the named fields of a person their new values. Raises Invalid for an organisation that is not
    here, and Conflict where no admin's key would be left that counts.
    """
    ends = "ended" in fields and wish.ended and person.ended_at is None
    if ends or ("role" in fields and person.role == Role.admin.name != wish.role):
        keys.keep_an_admin(session, col(Key.person_id) == person.id)
    for name in _PLAIN:
        if name in fields:
            setattr(person, name, getattr(wish, name))
    if "email" in fields:
        _set_email(person, wish.email)
    if ends:
        person.ended_at = now()
    elif "ended" in fields and not wish.ended:
        person.ended_at = None
    changed = {"organisations"} & {*fields}
    parts = {name: _organisations(session, person.id, wish.organisations) for name in changed}
    save(session, person, by=by, action="person.end" if ends else "person.revise", parts=parts)
    if ends:
        _let_go(session, person.id, by=by)


def end(session: WriteSession, person: Person, *, by: By) -> None:
    """End a person at once, with their keys and leases. Raises Conflict if they have ended."""
    if person.ended_at is not None:
        raise Conflict(f"The person {person.id} ended at {wire(person.ended_at)}.")
    person.ended_at = now()
    save(session, person, by=by, action="person.end")
    _let_go(session, person.id, by=by)


def _let_go(session: WriteSession, person_id: str, *, by: By) -> None:
    """Revoke the keys of a person, and free the claims that they have taken."""
    held = select(Key.id).where(col(Key.person_id) == person_id, col(Key.revoked_at).is_(None))
    for key_id in session.execute(held.order_by(col(Key.id))).scalars().all():
        keys.revoke(session, key_id, by=by)
    taken = select(Claim).where(col(Claim.assignee_id) == person_id).order_by(col(Claim.id))
    for claim in session.execute(taken).scalars().all():
        reviews.free(session, claim, by=by)


def _set_email(person: Person, email: str | None) -> None:
    """Set an address, and note on the ledger that it is another, since it is not on it itself."""
    if email != person.email:
        person.email, person.email_set_at = email, now()


def _organisations(session: ReadSession, person_id: str, refs: Sequence[str]) -> list[PersonOrganisation]:
    found = resolve(session, {f"/organisations/{n}": ref for n, ref in enumerate(refs)})
    ids = list(dict.fromkeys(found[ref] for ref in refs))
    for n, ref in enumerate(refs):
        if session.get_one(Entity, found[ref]).kind != "organization":
            raise Invalid.at(f"/organisations/{n}", f"{ref} is no organization")
    return [PersonOrganisation(person_id=person_id, position=n, entity_id=each) for n, each in enumerate(ids)]


# --- reading -----------------------------------------------------------------------------------


def row(session: ReadSession, person_id: str) -> Person:
    """Return one person, to be changed. Raises NotFound."""
    person = session.get(Person, person_id)
    if person is None:
        raise NotFound(f"There is no person {person_id}.")
    return person


def as_input(session: ReadSession, person: Person) -> dict[str, Any]:
    """Return a person as they would be sent, which a merge patch is applied to."""
    organisations = [each["id"] for each in of_organisations(session, [person.id]).get(person.id, [])]
    plain = {name: getattr(person, name) for name in (*_PLAIN, "email")}
    return {**plain, "organisations": organisations, "ended": person.ended_at is not None}


def find(
    session: ReadSession, ask: Question, after: Sequence[Any] | None, *, whole: bool
) -> Page[dict[str, Any]]:
    """Return a page of people, newest first; but for those who see the `whole`, of those who work here."""
    query = _query() if whole else _query().where(col(Person.ended_at).is_(None))
    found = page(session, query, [col(Person.id)], ask, after)
    return Page(documents(session, found.rows, whole=whole), found.last)


def document(session: ReadSession, person_id: str, *, whole: bool) -> dict[str, Any]:
    """Return one person, in short or as a `whole`. Raises NotFound."""
    rows = session.execute(_query().where(col(Person.id) == person_id)).all()
    if not rows:
        raise NotFound(f"There is no person {person_id}.")
    return documents(session, rows, whole=whole)[0]


def myself(session: ReadSession, key: Row[Any]) -> dict[str, Any]:
    """Return a key and its person as they are told to whoever has sent it."""
    whole = document(session, key.person_id, whole=True)
    names = ("id", "name", "role", "byline", "email", "organisations")
    own = {"id": key.id, "name": key.name, "role": key.role, "expires_at": wire(key.expires_at)}
    return {"person": {name: whole[name] for name in names}, "key": own}


def documents(session: ReadSession, rows: Sequence[Row[Any]], *, whole: bool) -> list[dict[str, Any]]:
    """Return people as JSON has them."""
    if not whole:
        return [{name: getattr(row, name) for name in _BRIEF} for row in rows]
    theirs = of_organisations(session, [row.id for row in rows])
    return [
        {
            **{name: wire(getattr(row, name)) for name in _COLUMNS},
            "organisations": theirs.get(row.id, []),
            "ended": row.ended_at is not None,
        }
        for row in rows
    ]


def of_organisations(session: ReadSession, ids: Sequence[str]) -> Mapping[str, list[dict[str, Any]]]:
    """Return the organisations of some people, by person, as what they are merged into."""
    written, winner = aliased(Entity), aliased(Entity)
    query = (
        select(col(PersonOrganisation.person_id), *brief_columns(winner, "entity"))
        .join(written, col(written.id) == col(PersonOrganisation.entity_id))
        .join(winner, col(winner.id) == col(written.canonical_id))
        .where(col(PersonOrganisation.person_id).in_(ids))
        .order_by(col(PersonOrganisation.person_id), col(PersonOrganisation.position))
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for row in session.execute(query):
        found.setdefault(row.person_id, []).append(dict(brief(row, "entity") or {}))
    return found


def _query() -> Query:
    return select(*(getattr(Person, name) for name in _COLUMNS))
