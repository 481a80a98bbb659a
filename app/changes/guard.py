"""The triggers by which the database refuses what would change the ledger, and whether they are there."""

from collections.abc import Iterator

from sqlalchemy import bindparam, text

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

_STRANGE = {
    "sqlite": """SELECT 'the trigger ' || name || ' on ' || tbl_name || ' is none of this application''s: '
        || 'what is written there could be changed or dropped'
      FROM sqlite_master WHERE type = 'trigger' AND name NOT IN :known ORDER BY name""",
    "postgresql": """
      WITH own AS (
        SELECT oid, oid::regclass AS name, relrowsecurity FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
          AND relowner = (SELECT relowner FROM pg_class WHERE oid = 'changes'::regclass))
      SELECT 'the rule ' || quote_ident(rulename) || ' on ' || name
        || ' is none of this application''s: what is written there could be changed or dropped'
        FROM pg_rewrite JOIN own ON own.oid = ev_class
      UNION ALL SELECT 'the trigger ' || quote_ident(tgname) || ' on ' || name
        || ' is none of this application''s: what is written there could be changed or dropped'
        FROM pg_trigger JOIN own ON own.oid = tgrelid WHERE NOT tgisinternal AND tgname NOT IN :known
      UNION ALL SELECT DISTINCT 'foreign keys of ' || name || ' are not enforced: its triggers are disabled'
        FROM pg_trigger JOIN own ON own.oid = tgrelid WHERE tgisinternal AND tgenabled NOT IN ('O', 'A')
      UNION ALL SELECT name || ' has row-level security, which hides rows or refuses them'
        FROM own WHERE relrowsecurity
      UNION ALL SELECT 'session_replication_role is not origin for '
        || CASE setrole WHEN 0 THEN 'all roles' ELSE 'the role ' || setrole::regrole END
        || ' in ' || coalesce((SELECT 'the database ' || datname FROM pg_database WHERE oid = setdatabase),
                              'all databases')
        || ': foreign keys are not enforced'
        FROM pg_db_role_setting, unnest(setconfig) setting
        WHERE setting ~* '^session_replication_role=(?!origin$)'
          AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
      UNION ALL SELECT 'session_replication_role is ' || setting || ' here: foreign keys are not enforced'
        FROM pg_settings WHERE name = 'session_replication_role' AND setting <> 'origin'
      ORDER BY 1""",
}
"""What else could come between what is written and what is kept, one sentence each."""


def verify(session: ReadSession) -> Iterator[str]:
    """Yields each trigger that is not there, is disabled, or is another by that name; then all else by which
    the database could change, drop or hide what is written.
    """
    database = session.connection().dialect.name
    kept: dict[str, str] = dict(session.execute(text(_KEPT[database])).all())
    for name, wanted in GUARDS[database].items():
        if kept.get(name) != wanted:
            disabled = kept.get(name) in {wanted.replace(" A ", f" {state} ", 1) for state in "DOR"}
            how = "does not hold for every session" if disabled else "is gone"
            yield f"the ledger's trigger {name} {how}: what is in it could be changed"
    strange = text(_STRANGE[database]).bindparams(bindparam("known", [*GUARDS[database]], expanding=True))
    yield from session.execute(strange).scalars()
