"""Whose word a ruling is: that of an organisation of the person who rules, or what another has published."""

from sqlmodel import col

from app.access.model import Person, PersonOrganisation
from app.base.db import ReadSession
from app.base.errors import Forbidden
from app.base.sql import select
from app.changes.workers import is_person
from app.entities.model import Entity
from app.reviews.model import Review


def own(session: ReadSession, person_id: str) -> list[str]:
    """Return the organisations that a person may rule for, as what they are merged into, in their order."""
    query = (
        select(col(Entity.canonical_id))
        .join(PersonOrganisation, col(PersonOrganisation.entity_id) == col(Entity.id))
        .where(col(PersonOrganisation.person_id) == person_id)
        .order_by(col(PersonOrganisation.position))
    )
    return list(session.execute(query).scalars())


def is_entered(session: ReadSession, person_id: str, desk: str | None, corrected: Review | None) -> bool:
    """Return whether a ruling of a desk is entered by somebody who may not rule for it. Raises Forbidden if
    the desk, or the one whose ruling this takes the place of, has people here: its word is theirs to give.
    """
    mine = own(session, person_id)
    before = corrected.publisher_id if corrected is not None and not corrected.entered else None
    others = [each for each in (desk, before) if each is not None and _canonical(session, each) not in mine]
    if is_person(person_id) and any(_rules_here(session, each) for each in others):
        raise Forbidden("The ruling is of a desk that rules here itself: its own people give and correct it.")
    return desk in others


def _canonical(session: ReadSession, entity_id: str) -> str:
    return session.get_one(Entity, entity_id).canonical_id


def _rules_here(session: ReadSession, desk: str) -> bool:
    """Return whether somebody here belongs to a desk."""
    members = (
        select(Person.id)
        .join(PersonOrganisation, col(PersonOrganisation.person_id) == col(Person.id))
        .join(Entity, col(Entity.id) == col(PersonOrganisation.entity_id))
        .where(col(Entity.canonical_id) == _canonical(session, desk), col(Person.ended_at).is_(None))
    )
    return session.execute(members.limit(1)).first() is not None
