"""The privileges of the API's role on PostgreSQL, which neither owns the tables nor changes the ledger.

No setting names the role. It is whichever role the owner's default privileges let insert into new tables: a
table that was made and not granted yet can be read and added to, and no more.
"""

from sqlalchemy.engine import Connection

APPEND_ONLY = ("changes", "ledger_nodes")
ERASED_FROM = "change_values"
"""The table whose rows are never removed, and lose values when those are erased."""
READ_ONLY = "alembic_version"

GRANTS = f"""DO $$ DECLARE statement text; BEGIN
  FOR statement IN
    SELECT 'REVOKE ALL ON ' || c.oid::regclass || ' FROM ' || api.role::regrole
      || '; GRANT ' || wanted || ' ON ' || c.oid::regclass || ' TO ' || api.role::regrole
    FROM pg_class c,
      LATERAL (SELECT CASE WHEN c.relname = '{READ_ONLY}' THEN 'SELECT'
        WHEN c.relname IN {APPEND_ONLY} THEN 'INSERT, SELECT'
        WHEN c.relname = '{ERASED_FROM}' THEN 'INSERT, SELECT, UPDATE'
        ELSE 'DELETE, INSERT, SELECT, UPDATE' END AS wanted) privileges,
      (SELECT DISTINCT acl.grantee AS role FROM pg_default_acl d, aclexplode(d.defaclacl) acl
        WHERE d.defaclobjtype = 'r' AND d.defaclnamespace IN (0, current_schema()::regnamespace)
          AND d.defaclrole = current_user::regrole AND acl.privilege_type = 'INSERT'
          AND acl.grantee NOT IN (0, d.defaclrole)) api
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
      AND c.relowner = current_user::regrole
      AND wanted IS DISTINCT FROM (SELECT string_agg(acl.privilege_type, ', ' ORDER BY acl.privilege_type)
        FROM aclexplode(c.relacl) acl WHERE acl.grantee = api.role)
  LOOP EXECUTE statement; END LOOP;
END $$;
"""
"""Gives each such role its privileges on every table where it has others."""


def grant(connection: Connection) -> None:
    """Give the API's role its privileges. Called by the owner, in the transaction that made the tables."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(GRANTS)


def check_owner(connection: Connection) -> None:
    """Raises ValueError where the tables are another role's than the one that is about to make some."""
    if connection.dialect.name == "postgresql" and (row := connection.exec_driver_sql(_OWNER).first()):
        raise ValueError(
            f"The tables belong to {row.owner} and RECORD_DATABASE_URL names {row.role}, which may not alter "
            f"them: name {row.owner} there, for this command"
        )


_OWNER = f"""SELECT relowner::regrole::text AS owner, current_user::text AS role FROM pg_class
  WHERE relnamespace = current_schema()::regnamespace AND relname IN {(READ_ONLY, ERASED_FROM, *APPEND_ONLY)}
    AND relowner <> current_user::regrole ORDER BY 1 LIMIT 1"""
