"""The one filter between the records and the public: what the public reads where a statement names a table.

A connection that reads for the public has, in place of each table of SHOWN, these rows of it: on SQLite by a
temporary view of the table's name, which goes before the table, and on PostgreSQL by a WITH before each
statement. So no query has to think of it, and none can pass it by. Which records are hidden is in
`hidden_records`, with all that belongs to them.
"""

import re
from collections.abc import Mapping
from typing import Any

from psycopg import ServerCursor
from psycopg.abc import Params

from app.base.caches import remembered
from app.base.postgres import Bounded, Cursor

_SEEN = "NOT EXISTS (SELECT 1 FROM hidden_records AS h WHERE h.record_id = t.{0})"
_OWNERS: Mapping[str, str] = {
    "sources": "id",
    "snapshots": "id",
    "claims": "id",
    "claim_speakers": "claim_id",
    "claim_about": "claim_id",
    "claim_topics": "claim_id",
    "appearances": "claim_id",
    "anchors": "claim_id",
    "figures": "claim_id",
    "figure_about": "claim_id",
    "reviews": "id",
    "decisions": "id",
    "links": "id",
    "claim_bodies": "claim_id",
    "claim_listing": "claim_id",
    "claim_ranks": "claim_id",
    "claim_twins": "claim_id",
}
"""The column with the id of the record that a row is of, by table."""

HIDDEN_SLOT = 4
"""Documents of hidden records have this bit in their numbers: see `words.index`."""

_EVIDENCE = (
    "id, version, created_at, updated_at, claim_id, source_id, snapshot_id, exact, prefix, suffix, start, "
    '"end", state, score, url, stance, last_found_in, named_exact, named_start, named_end, locator, '
    "visibility, note_visibility, erased, CASE WHEN note_visibility IS NULL THEN note END AS note"
)

SHOWN: Mapping[str, str] = {
    **{name: f"SELECT * FROM {{0}} AS t WHERE {_SEEN.format(owner)}" for name, owner in _OWNERS.items()},
    "evidence": f"SELECT {_EVIDENCE} FROM {{0}} AS t WHERE {_SEEN.format('id')}",
    "review_evidence": f"SELECT * FROM {{0}} AS t WHERE {_SEEN.format('review_id')}"
    f" AND {_SEEN.format('evidence_id')}",
    "claim_tallies": "SELECT t.first, t.second, t.a, t.b, t.claims - COALESCE(h.claims, 0) AS claims"
    " FROM {0} AS t LEFT JOIN {0} AS h ON h.first = '~' || t.first AND h.second = t.second"
    " AND h.a = t.a AND h.b = t.b",
    "stems": "SELECT t.id, t.stem, t.documents - t.hidden AS documents, 0 AS hidden FROM {0} AS t",
    "documents": f"SELECT * FROM {{0}} AS t WHERE t.number & {HIDDEN_SLOT} = 0",
    "postings": f"SELECT * FROM {{0}} AS t WHERE t.document & {HIDDEN_SLOT} = 0",
}
"""What the public reads in place of each table, `{0}`."""

OPEN = frozenset(
    {"entities", "entity_aliases", "entity_external_ids", "affiliations", "forms", "reference_epoch",
     "changes", "change_values", "ledger_nodes", "hidden_records", "database_properties", "alembic_version",
     "keys", "people", "people_organisations", "idempotency", "webhooks", "webhook_progress"}
)  # fmt: skip
"""The tables that are read as they are. Entries of the ledger are told as `reads.shown` has them; what is of
keys and webhooks is behind roles.
"""

VIEWS = tuple(f"CREATE TEMP VIEW {name} AS {rows.format(f'main.{name}')}" for name, rows in SHOWN.items())
"""What has a connection to SQLite read for the public."""

_NAMES = re.compile(rf"\b({'|'.join(SHOWN)})\b")


@remembered
def as_public(statement: str) -> str:
    """Return a statement for PostgreSQL as the public reads. Raises RuntimeError if it does not read."""
    named = sorted({*_NAMES.findall(statement)})
    if not named:
        return statement
    begins = statement.lstrip("( \n").upper()
    if not begins.startswith(("SELECT", "WITH", "EXPLAIN")):
        raise RuntimeError("the public only reads")
    rows = ", ".join(f"{name} AS NOT MATERIALIZED ({SHOWN[name].format(name)})" for name in named)
    explain, statement = ("EXPLAIN ", statement[7:]) if begins.startswith("EXPLAIN") else ("", statement)
    return f"{explain}WITH {rows} ({statement})"


class PublicCursor(Cursor):
    """A cursor that reads for the public."""

    def execute(self, query: Any, params: Params | None = None, **options: Any) -> "PublicCursor":
        """As Cursor."""
        return super().execute(as_public(query), params, **options)


class PublicServerCursor(ServerCursor[Any]):
    """The same, for what is read in parts."""

    def execute(self, query: Any, params: Params | None = None, **options: Any) -> "PublicServerCursor":
        """As ServerCursor."""
        return super().execute(as_public(query), params, **options)


def read_for_the_public(connection: Any) -> None:
    """Have a new connection read for the public."""
    if isinstance(connection, Bounded):
        connection.cursor_factory = PublicCursor
        connection.server_cursor_factory = PublicServerCursor
        return
    cursor = connection.cursor()
    for view in VIEWS:
        cursor.execute(view)
    cursor.close()
