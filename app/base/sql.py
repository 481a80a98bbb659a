"""SQL made of SQLModel's classes, whose attributes are typed as the values in them, not as columns."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import orjson
import sqlalchemy
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg as psycopg_dialect
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite as sqlite_dialect
from sqlalchemy.orm import Session
from sqlmodel import SQLModel, col

Query: TypeAlias = sqlalchemy.Select[*tuple[Any, ...]]


def select(*columns: Any) -> Query:
    """SQLAlchemy's `select`, which takes those attributes as the columns that they are at run time."""
    return sqlalchemy.select(*columns)


def table(kind: type[SQLModel]) -> sqlalchemy.Table:
    """The table behind a class, for its columns and keys."""
    found: sqlalchemy.Table = sqlalchemy.inspect(kind).local_table
    return found


def among(session: Session, column: Any, values: Iterable[str]) -> sqlalchemy.ColumnElement[bool]:
    """That a column is one of many texts, which are sent as one value: `in_` sends one for each."""
    if session.connection().dialect.name == "sqlite":
        listed = sqlalchemy.func.json_each(orjson.dumps([*values]).decode()).table_valued("value")
        found: sqlalchemy.ColumnElement[bool] = col(column).in_(sqlalchemy.select(listed.c.value))
    else:
        sent = sqlalchemy.literal([*values], sqlalchemy.ARRAY(sqlalchemy.Text))
        found = col(column) == sqlalchemy.any_(sent)
    return found


def many(
    session: Session, statement: str, rows: Sequence[Sequence[Any]], *, at_once: str | None = None
) -> None:
    """Executes a statement, with `?` for each value, once for each row: by the driver itself, since what
    SQLAlchemy does for a row takes longer than to write it. Only text and integers are given alike to both.
    `at_once` is a statement that does the same to all rows on PostgreSQL, of an array for each column.
    """
    if not rows:
        return
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(statement, [tuple(row) for row in rows])
    elif at_once is None:
        connection.exec_driver_sql(statement.replace("?", "%s"), [tuple(row) for row in rows])
    else:
        columns = tuple(map(list, zip(*rows, strict=True)))
        connection.exec_driver_sql(at_once.replace("?", "%s"), columns)


@dataclass(frozen=True)
class Counts:
    """Counts that are kept in a table: a statement that adds to one, with `?` for its key and then for by how
    much, and one that adds to many on PostgreSQL, as `many` takes them.
    """

    add_one: str
    add_all: str

    def add(self, session: Session, more: Mapping[Any, int]) -> None:
        """Adds to some counts, by key: now, or within `gathered` at its end."""
        waiting = session.info.get(_GATHERED)
        if waiting is None:
            self._write(session, more)
            return
        sums = waiting.setdefault(self, Counter())
        sums.update(more)
        if len(sums) > _MOST:
            self._write(session, waiting.pop(self))

    def _write(self, session: Session, more: Mapping[Any, int]) -> None:
        rows = [(*key, by) for key, by in sorted(more.items()) if by]
        many(session, self.add_one, rows, at_once=self.add_all)


_GATHERED = "app.base.sql.gathered"
_MOST = 200_000


@contextmanager
def gathered(session: Session) -> Iterator[None]:
    """While a transaction adds to the same counts again and again, they are summed up and written at the end.
    PostgreSQL would keep a version of the row for each addition, and go through all of them for the next.
    """
    waiting = session.info[_GATHERED] = dict[Counts, Counter[Any]]()
    try:
        yield
        for counts, more in waiting.items():
            counts._write(session, more)
    finally:
        del session.info[_GATHERED]


@cache
def in_order(kind: type[SQLModel]) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    """Return a function that takes the values of a row in the order of its table's columns."""
    return itemgetter(*(column.name for column in table(kind).columns))


def insert_many(session: Session, kind: type[SQLModel], rows: Sequence[Sequence[Any]]) -> None:
    """Inserts whole rows, whose values are in the order of the table's columns, by the driver itself: by COPY
    where it has one and there are enough rows.
    """
    if not rows:
        return
    connection = session.connection()
    words, binders = _insertion(kind, connection.dialect.name)
    if binders:
        rows = [_bound(row, binders) for row in rows]
    if connection.dialect.name == "sqlite" or len(rows) < _FEW:
        connection.exec_driver_sql(words.insert, [tuple(row) for row in rows])
        return
    cursor = connection.connection.cursor()
    with cursor.copy(words.copy) as copy:
        for row in rows:
            copy.write_row(row)


_FEW = 50
"""Fewer rows than this are sent sooner than a COPY is begun and ended."""


_DIALECTS: Mapping[str, sqlalchemy.Dialect] = {
    "sqlite": sqlite_dialect(),
    "postgresql": psycopg_dialect(),  # type: ignore[no-untyped-call]
}


class _Words(NamedTuple):
    insert: str
    copy: str


Binders = Sequence[tuple[int, Callable[[Any], Any]]]


@cache
def _insertion(kind: type[SQLModel], name: str) -> tuple[_Words, Binders]:
    """The words that insert rows of a table, and what makes of its columns' values what the driver takes."""
    into, dialect = table(kind), _DIALECTS[name]
    names = ", ".join(f'"{column.name}"' for column in into.columns)
    mark = "?" if name == "sqlite" else "%s"
    marks = ", ".join([mark] * len(into.columns))
    binders = [
        (place, bind)
        for place, column in enumerate(into.columns)
        if (bind := column.type.dialect_impl(dialect).bind_processor(dialect)) is not None
    ]
    words = _Words(
        f"INSERT INTO {into.name} ({names}) VALUES ({marks})", f"COPY {into.name} ({names}) FROM STDIN"
    )
    return words, binders


def _bound(row: Sequence[Any], binders: Binders) -> Sequence[Any]:
    values = list(row)
    for place, bind in binders:
        if values[place] is not None:
            values[place] = bind(values[place])
    return values
