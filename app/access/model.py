"""People, their API keys, and the roles that both give."""

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel
from pydantic import Field as Describe
from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from app.base.types import Id, Instant, Json, Line, Moment, Shape, example, one_of
from app.changes.model import Part, Record


class Role(IntEnum):
    """Each role may do what those before it may."""

    reader = 1
    reporter = 2
    checker = 3
    editor = 4
    admin = 5


RoleName = Literal["reader", "reporter", "checker", "editor", "admin"]


class PersonOrganisation(Part, table=True):
    """An organisation that a person belongs to."""

    __tablename__ = "people_organisations"
    owner: ClassVar[str] = "person_id"

    person_id: str = Field(primary_key=True, sa_type=Id, foreign_key="people.id")
    position: int = Field(primary_key=True)
    entity_id: str = Field(sa_type=Id, foreign_key="entities.id", index=True)


class Person(Record, table=True):
    """Somebody who works here. `byline` is the name that they are shown by to those outside."""

    __tablename__ = "people"
    __table_args__ = (one_of("role", [role.name for role in Role]),)
    noun: ClassVar[str] = "person"
    parts: ClassVar[Mapping[str, type[Part]]] = {"organisations": PersonOrganisation}
    off_ledger: ClassVar[frozenset[str]] = frozenset({"email"})

    name: str = Field(sa_type=Text, index=True)
    byline: str | None = Field(default=None, sa_type=Text)
    role: str = Field(sa_type=Text)
    email: str | None = Field(default=None, sa_type=Text)
    email_set_at: datetime | None = Field(default=None, sa_type=Instant)
    ended_at: datetime | None = Field(default=None, sa_type=Instant)
    erased: dict[str, Any] | None = Field(default=None, sa_type=Json)


class Key(Record, table=True):
    """A person's API key. Only an HMAC of it is kept."""

    __tablename__ = "keys"
    __table_args__ = (one_of("role", [role.name for role in Role]),)
    noun: ClassVar[str] = "key"
    off_ledger: ClassVar[frozenset[str]] = frozenset({"token_hash", "last_used_at"})

    name: str = Field(sa_type=Text)
    role: str = Field(sa_type=Text)
    expires_at: datetime | None = Field(default=None, sa_type=Instant)
    revoked_at: datetime | None = Field(default=None, sa_type=Instant)
    token_hash: str = Field(sa_type=Id, unique=True)
    last_used_at: datetime | None = Field(default=None, sa_type=Instant)
    person_id: str = Field(sa_type=Id, foreign_key="people.id", index=True)
    erased: dict[str, Any] | None = Field(default=None, sa_type=Json)


class Idempotency(SQLModel, table=True):
    """The answer that a POST with an Idempotency-Key got, to be given again."""

    __tablename__ = "idempotency"

    actor: str = Field(primary_key=True, sa_type=Id)
    key: str = Field(primary_key=True, sa_type=Id)
    request_hash: str = Field(sa_type=Text)
    status: int
    headers: str = Field(sa_type=Text)
    body: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=Instant, index=True)


class KeyIn(Shape):
    """A key to make: whose it is, what it may do and until when."""

    model_config = example({"name": "Fact desk", "role": "checker", "expires_at": "2099-12-31T00:00:00Z"})

    name: Line
    role: Annotated[RoleName, Describe(description="The most that it may do; its person's may be less.")]
    expires_at: Moment | None = None
    person: Annotated[
        Line | None,
        Describe(
            description="The person whose key it is: an id or name. By default a new person of its name."
        ),
    ] = None


class PersonBrief(BaseModel):
    """A person of the newsroom."""

    id: str
    name: str


class ReviewerOut(BaseModel):
    """The person who ruled. The public is told the byline that they chose, without the id."""

    id: str | None
    name: str


class KeyOut(BaseModel):
    """A key, without its secret. What it may do is the lower of `role` and its person's."""

    id: str
    person: PersonBrief
    name: str
    role: RoleName
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


class NewKey(KeyOut):
    """A key just made. `secret` is shown this once; it is null if this answer is given again."""

    secret: str | None
