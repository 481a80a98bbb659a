"""The triggers by which the database refuses what would change the ledger, and whether they are there."""

from collections.abc import Iterator

from sqlalchemy import text

from app.base.db import ReadSession

_REFUSES = "BEGIN SELECT RAISE(ABORT, 'the ledger is only added to'); END"
GUARDS = {
    "sqlite": {
        "changes_no_update": f"CREATE TRIGGER changes_no_update BEFORE UPDATE ON changes {_REFUSES}",
        "changes_no_delete": f"CREATE TRIGGER changes_no_delete BEFORE DELETE ON changes {_REFUSES}",
        "changes_no_replace": "CREATE TRIGGER changes_no_replace BEFORE INSERT ON changes "
        "WHEN NEW.seq <= (SELECT max(seq) FROM changes) "
        f"OR EXISTS (SELECT 1 FROM changes WHERE rowid = NEW.rowid) {_REFUSES}",
    },
    # Of statements (58: before update, delete and truncate), and on for whoever calls itself a replica too.
    "postgresql": {
        "changes_no_update": "58 A  BEGIN RAISE EXCEPTION 'the ledger is only added to'; END ",
    },
}
"""What each is, by database, as `_KEPT` has it."""

_KEPT = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'changes'",
    "postgresql": "SELECT tgname, concat(tgtype, ' ', tgenabled, ' ', prosrc) FROM pg_trigger "
    "JOIN pg_proc ON pg_proc.oid = tgfoid WHERE tgrelid = 'changes'::regclass",
}


def verify(session: ReadSession) -> Iterator[str]:
    """Yields each trigger that is not there, or is another by that name."""
    database = session.connection().dialect.name
    kept: dict[str, str] = dict(session.execute(text(_KEPT[database])).all())
    for name, wanted in GUARDS[database].items():
        if kept.get(name) != wanted:
            yield f"the ledger's trigger {name} is gone: what is in it could be changed"
