"""Properties of the database as a whole, by name."""

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from app.base.db import ReadSession, WriteSession


class DatabaseProperty(SQLModel, table=True):
    """One property."""

    __tablename__ = "database_properties"

    name: str = Field(primary_key=True, sa_type=Text)
    value: str = Field(sa_type=Text)


def get(session: ReadSession, name: str) -> str | None:
    """Return a property's value, None if the database has no such property."""
    row = session.get(DatabaseProperty, name)
    return row.value if row else None


def put(session: WriteSession, name: str, value: str) -> None:
    """Give the database a property, in the place of the one of that name."""
    session.merge(DatabaseProperty(name=name, value=value))
    session.flush()  # or another one in this transaction would not find it
