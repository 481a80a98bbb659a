"""The organisations that people here belong to, whose names stand over what those people rule."""

from sqlalchemy.orm import aliased
from sqlmodel import col

from app.access.model import Person, PersonOrganisation, Role
from app.base.db import ReadSession
from app.base.errors import Forbidden
from app.base.sql import select
from app.entities.model import Entity


def has_people(session: ReadSession, entity_id: str) -> bool:
    """Return whether somebody who works here belongs to an entity, or to one that is merged with it."""
    same = aliased(Entity)
    members = (
        select(Person.id)
        .join(PersonOrganisation, col(PersonOrganisation.person_id) == col(Person.id))
        .join(Entity, col(Entity.id) == col(PersonOrganisation.entity_id))
        .join(same, col(same.canonical_id) == col(Entity.canonical_id))
        .where(col(same.id) == entity_id, col(Person.ended_at).is_(None))
    )
    return session.execute(members.limit(1)).first() is not None


def must_be_free(session: ReadSession, role: Role | None, *entities: str) -> None:
    """Hold to the role admin whoever would change, merge or part an organisation that people here belong to:
    its name stands over their rulings, and a merge gives them another's. Raises Forbidden.
    """
    if role == Role.admin:
        return
    if theirs := next((each for each in entities if has_people(session, each)), None):
        raise Forbidden(
            f"People here belong to {theirs} and rule for it: only an admin changes or merges it."
        )
