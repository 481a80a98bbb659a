"""Whose word a ruling is: that of an organisation of the person who rules, or what another has published."""

from sqlmodel import col

from app.access.model import PersonOrganisation
from app.base.db import ReadSession
from app.base.errors import Forbidden
from app.base.sql import select
from app.changes.workers import is_person
from app.entities.members import has_people
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
    the desk, or the one whose ruling this takes the place of, has people here.
    """
    before = corrected.publisher_id if corrected is not None and not corrected.entered else None
    others = [each for each in (desk, before) if each is not None and _is_anothers(session, person_id, each)]
    for each in others:
        _must_have_nobody(session, person_id, each)
    return desk in others


def must_be_absent(session: ReadSession, person_id: str, desk: str) -> None:
    """Raise Forbidden if somebody who does not belong to a desk would rule for it though it has people here:
    its word is theirs to give.
    """
    if _is_anothers(session, person_id, desk):
        _must_have_nobody(session, person_id, desk)


def _must_have_nobody(session: ReadSession, person_id: str, desk: str) -> None:
    if is_person(person_id) and has_people(session, desk):
        raise Forbidden("The ruling is of a desk that rules here itself: its own people give and correct it.")


def _is_anothers(session: ReadSession, person_id: str, desk: str) -> bool:
    canonical = select(Entity.canonical_id).where(col(Entity.id) == desk)
    return session.execute(canonical).scalar() not in own(session, person_id)
