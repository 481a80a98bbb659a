"""The shapes of people in requests and answers."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, WithJsonSchema
from pydantic import Field as Describe

from app.access.model import PersonBrief, RoleName
from app.base.types import EACH_ONCE, Line, Shape, example
from app.entities.model import EntityBrief, Ref

_EMAIL = r"^[^@\s\x00-\x1f\x7f-\x9f]+@[^@\s\x00-\x1f\x7f-\x9f]+$"
Email = Annotated[
    Line,
    Describe(pattern=_EMAIL, max_length=254),
    WithJsonSchema(  # which has one pattern alone: that of a line is wider
        {"type": "string", "maxLength": 254, "pattern": _EMAIL, "examples": ["ann@example.org"]}
    ),
]


class PersonIn(Shape):
    """A person to add: what they are called, and the most that their keys may do."""

    model_config = example({"name": "Ann Example", "role": "checker", "byline": "Ann E."})

    name: Annotated[Line, Describe(description="The name that colleagues know them by.")]
    role: Annotated[RoleName, Describe(description="The most that any of their keys may do.")]
    byline: Annotated[
        Line | None,
        Describe(
            description="The name that they chose to be shown by to everyone; without it nobody is told."
        ),
    ] = None
    email: Annotated[
        Email | None, Describe(description="Where to write to them. It is not on the ledger.")
    ] = None
    organisations: Annotated[
        list[Ref],
        Describe(
            max_length=20,
            description="The organisations that they belong to and may rule for: ids or slugs of entities.",
            json_schema_extra=EACH_ONCE,
        ),
    ] = []


class PersonChangeIn(PersonIn):
    """A person as a change leaves them."""

    ended: Annotated[
        bool,
        Describe(
            description="They work here no longer: their keys are revoked and what they have taken is free. "
            "False takes that back but for the keys."
        ),
    ] = False


class PersonOut(PersonBrief):
    """A person of the newsroom. All but `id`, `name` and `role` is for admins."""

    role: RoleName
    byline: str | None = None
    email: str | None = None
    organisations: list[EntityBrief] = []
    ended: bool | None = None
    ended_at: datetime | None = None
    version: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class MyselfOut(PersonBrief):
    """The person whose key was sent."""

    role: RoleName
    byline: str | None
    email: str | None
    organisations: list[EntityBrief]


class MyKeyOut(BaseModel):
    """The key that was sent."""

    id: str
    name: str
    role: RoleName
    expires_at: datetime | None


class MeOut(BaseModel):
    """The person who asks. `role` is what they may do: the lower of the person's and the key's."""

    person: MyselfOut
    key: MyKeyOut
    role: RoleName
