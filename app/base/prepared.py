"""SELECTs in the words of each driver, made once and kept."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg as psycopg_dialect
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite as sqlite_dialect
from sqlalchemy.pool import PoolProxiedConnection


class NotAtOnce(Exception):
    """What was asked takes a session, or a thread, of its own."""


class Prepared:
    """A SELECT of text and integers in the words of each driver, for an Asker; made once and kept. A written
    one has `:name` for what is given, and no other colon.
    """

    def __init__(self, query: Select[Any] | str) -> None:
        self.names: list[str] = []
        self._words: tuple[tuple[str, Mapping[str, Any]], ...]
        if isinstance(query, str):
            self._words = (query, {}), (re.sub(r":(\w+)", r"%(\1)s", query), {})
            return
        self.names = [str(column.key) for column in query.selected_columns]
        dialects = sqlite_dialect(paramstyle="named"), psycopg_dialect()  # type: ignore[no-untyped-call]
        self._words = tuple(
            (str(made), {name: value for name, value in made.params.items() if value is not None})
            for made in (query.compile(dialect=dialect) for dialect in dialects)
        )

    def words(self, *, sqlite: bool) -> tuple[str, Mapping[str, Any]]:
        """The statement, with named parameters, and those that it has a value for itself."""
        return self._words[0 if sqlite else 1]

    def rows(
        self, connection: PoolProxiedConnection, given: Mapping[str, Any], *, sqlite: bool
    ) -> Sequence[Any]:
        """What it finds with these parameters."""
        words, own = self.words(sqlite=sqlite)
        cursor: Any = connection.cursor()
        found: Sequence[Any] = cursor.execute(words, {**own, **given}).fetchall()
        return found
