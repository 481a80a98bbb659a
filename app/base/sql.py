"""SQL made of SQLModel's classes, whose attributes are typed as the values in them, not as columns."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import sqlalchemy
from sqlalchemy.orm import Session
from sqlmodel import SQLModel

Query: TypeAlias = sqlalchemy.Select[*tuple[Any, ...]]


def select(*columns: Any) -> Query:
    """SQLAlchemy's `select`, which takes those attributes as the columns that they are at run time."""
    return sqlalchemy.select(*columns)


def table(kind: type[SQLModel]) -> sqlalchemy.Table:
    """The table behind a class, for its columns and keys."""
    found: sqlalchemy.Table = sqlalchemy.inspect(kind).local_table
    return found


def many(session: Session, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    """Executes a statement, with `?` for each value, once for each row: by the driver itself, since what
    SQLAlchemy does for a row takes longer than to write it. Only text and integers are given alike to both.
    """
    if rows:
        connection = session.connection()
        mark = "?" if connection.dialect.name == "sqlite" else "%s"
        connection.exec_driver_sql(statement.replace("?", mark), [tuple(row) for row in rows])
