"""The people whose keys are: made, found by their ids or names, and told to those who may know of them."""

from collections.abc import Callable, Iterable
from typing import Any

from sqlmodel import col

from app.access.model import Person, RoleName
from app.base.db import ReadSession, WriteSession
from app.base.errors import Invalid
from app.base.ids import new_id, noun_of
from app.base.sql import select
from app.changes.earlier import person_of
from app.changes.store import By, save
from app.changes.workers import is_person


def unsaved(name: str, role: RoleName) -> Person:
    """Return a new person, who is not saved yet."""
    return Person(id=new_id("per"), name=name, role=role)


def create(session: WriteSession, name: str, role: RoleName, *, by: By) -> Person:
    """Return a new person, of whom no more is known."""
    person = unsaved(name, role)
    save(session, person, by=by, action="person.create", parts={"organisations": []})
    return person


def resolve(session: ReadSession, ref: str, at: str) -> str:
    """Return the id of whom an id or a name says, of those who have not ended. Raises Invalid where that is
    nobody, or several by one name.
    """
    query = select(Person.id, Person.ended_at)
    if noun_of(ref) == "person":
        found = session.execute(query.where(col(Person.id) == ref)).all()
    else:
        found = session.execute(query.where(col(Person.name) == ref, col(Person.ended_at).is_(None))).all()
    if not found:
        raise Invalid.at(at, f"there is no person {ref}")
    if len(found) > 1:
        ids = ", ".join(sorted(row.id for row in found)[:_MOST_NAMED])
        raise Invalid.at(at, f"several people are called {ref}: send the id, of {ids}")
    if found[0].ended_at is not None:
        raise Invalid.at(at, f"the person {ref} has ended")
    return str(found[0].id)


_MOST_NAMED = 10


def works_here(session: ReadSession, actor: str) -> bool:
    """Return whether an actor is a person who has not ended."""
    of_now = select(Person.id).where(col(Person.id) == actor, col(Person.ended_at).is_(None))
    return session.execute(of_now).first() is not None


# --- who is told of them ------------------------------------------------------------------------

Shown = Callable[[str, str], dict[str, Any] | None]
"""Gives what is told of somebody, by id and name."""


def seen(session: ReadSession, ids: Iterable[str]) -> Shown:
    """Return what tells whoever reads in a session of some people: those inside of all, the public by the
    byline that each chose, if they chose one. What a command did, all are told.
    """
    if not session.public:
        return lambda person_id, name: {"id": person_id, "name": name}
    wanted = {each for each in ids if is_person(each)}
    chosen = select(Person.id, Person.byline).where(col(Person.id).in_(map(person_of, wanted)))
    rows = session.execute(chosen) if wanted else ()
    bylines = {row.id: row.byline for row in rows}

    def shown(person_id: str, name: str) -> dict[str, Any] | None:
        if not is_person(person_id):
            return {"id": person_id, "name": name}
        byline = bylines.get(person_of(person_id))
        return byline and {"id": None, "name": byline}

    return shown
