"""The people whose keys are: made, and found by their ids or names."""

from sqlmodel import col

from app.access.model import Person, RoleName
from app.base.db import ReadSession, WriteSession
from app.base.errors import Invalid
from app.base.ids import new_id, noun_of
from app.base.sql import select
from app.changes.store import By, save


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
