"""SQL made of SQLModel's classes, whose attributes are typed as the values in them, not as columns."""

from typing import Any, TypeAlias

import sqlalchemy
from sqlmodel import SQLModel

Query: TypeAlias = sqlalchemy.Select[*tuple[Any, ...]]


def select(*columns: Any) -> Query:
    """SQLAlchemy's `select`, which takes those attributes as the columns that they are at run time."""
    return sqlalchemy.select(*columns)


def table(kind: type[SQLModel]) -> sqlalchemy.Table:
    """The table behind a class, for its columns and keys."""
    found: sqlalchemy.Table = sqlalchemy.inspect(kind).local_table
    return found
