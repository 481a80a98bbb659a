"""API keys and the roles they give."""

from datetime import datetime
from enum import IntEnum
from typing import ClassVar, Literal

from pydantic import BaseModel
from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from app.base.types import Id, Instant, Line, Moment, Shape, example, one_of
from app.changes.model import Record


class Role(IntEnum):
    """Each role may do what those before it may."""

    reader = 1
    reporter = 2
    checker = 3
    editor = 4
    admin = 5


RoleName = Literal["reader", "reporter", "checker", "editor", "admin"]


class Key(Record, table=True):
    """An API key. Only an HMAC of it is kept."""

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
    role: RoleName
    expires_at: Moment | None = None


class KeyOut(BaseModel):
    """A key, without its secret."""

    id: str
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
