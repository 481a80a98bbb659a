"""The role that serves on PostgreSQL: what it may not do, how it gets what it needs, and who notices."""

import re
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from app.base import schema
from app.base.db import Database
from app.base.pools import engine_url
from app.operations.servers import examine
from tests.commands import Command, digests, write_one
from tests.earlier import lay_seed
from tests.newsroom import SECRET, PostgresBases, SqliteBases, ok
from tests.postgres import API_ROLE, as_api_role, do, has_clients, installations, plain
from tests.served import environment, served

pytestmark = pytest.mark.usefixtures("client_programs")

ROLES = schema.ROOT / "compose" / "roles.sql"


def privileges(url: str, role: str = API_ROLE) -> dict[str, str]:
    """The first letters of what a role may do with each table: SELECT, INSERT, UPDATE, DELETE, TRUNCATE, …"""
    query = """SELECT relname, string_agg(lower(left(privilege, 2)), ' ' ORDER BY privilege DESC)
        FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER',
                                    'REFERENCES']) AS privilege
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
          AND has_table_privilege(%s, pg_class.oid, privilege) GROUP BY relname"""
    with psycopg.connect(plain(url)) as connection:
        return dict(connection.execute(query, [role]).fetchall())


EVERYTHING, ADDING, READING = "up se in de", "se in", "se"


def as_wanted(found: dict[str, str]) -> bool:
    """Whether a role may do with each table what the API's may."""
    special = dict.fromkeys(("changes", "ledger_nodes"), ADDING) | {"change_values": "up se in"}
    special["alembic_version"] = READING
    return len(found) > 10 and all(each == special.get(name, EVERYTHING) for name, each in found.items())


# --- what it may not do ------------------------------------------------------------------------

REFUSED = (
    "UPDATE changes SET reason = 'x'",
    "DELETE FROM changes",
    "TRUNCATE changes",
    "INSERT INTO changes SELECT * FROM changes ON CONFLICT (seq) DO UPDATE SET reason = 'x'",
    "DELETE FROM change_values",
    "TRUNCATE change_values",
    "UPDATE ledger_nodes SET hash = ''",
    "DELETE FROM ledger_nodes",
    "TRUNCATE claims CASCADE",
    "INSERT INTO alembic_version VALUES ('0001')",
    "UPDATE alembic_version SET version_num = '0001'",
    "DELETE FROM alembic_version",
    "CREATE RULE hidden AS ON INSERT TO changes DO INSTEAD NOTHING",
    "CREATE RULE hidden AS ON UPDATE TO claims DO INSTEAD NOTHING",
    "CREATE TRIGGER hidden BEFORE INSERT ON claims EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "ALTER TABLE changes DISABLE TRIGGER changes_no_update",
    "ALTER TABLE claims DISABLE TRIGGER USER",
    "DROP TRIGGER changes_no_update ON changes",
    "ALTER TABLE claims ENABLE ROW LEVEL SECURITY",
    "DROP TABLE changes CASCADE",
    "CREATE TABLE public.mine (id integer)",
    "CREATE FUNCTION public.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION changes_only_added_to() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN NULL; END'",
    "SET session_replication_role = replica",
    "SET ROLE pg_write_all_data",
)


def test_the_role_that_serves_may_only_write_rows(postgres_bases: PostgresBases) -> None:
    with postgres_bases.fresh() as url:
        before = digests(url)
        with psycopg.connect(plain(as_api_role(url)), autocommit=True) as connection:
            for statement in REFUSED:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())
        assert digests(url) == before
        assert as_wanted(privileges(url)), privileges(url)


# --- how it gets what it needs -----------------------------------------------------------------


def test_a_table_that_nobody_granted_can_be_added_to_and_migrating_grants_the_rest(
    postgres_bases: PostgresBases, command: Command
) -> None:
    with postgres_bases.fresh() as url:
        do(url, "CREATE TABLE newer (id integer)", f"GRANT ALL ON changes, alembic_version TO {API_ROLE}")
        assert privileges(url)["newer"] == ADDING
        assert not as_wanted(privileges(url))
        assert command(url, "migrate").code == 0
        assert privileges(url)["newer"] == EVERYTHING
        assert as_wanted(privileges(url))


def test_a_role_that_only_reads_stays_one(postgres_bases: PostgresBases, command: Command) -> None:
    with postgres_bases.fresh() as url:
        do(
            url,
            "CREATE ROLE record_tests_reader",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO record_tests_reader",
            "GRANT SELECT ON changes TO record_tests_reader",
        )
        try:
            assert command(url, "migrate").code == 0
            assert privileges(url, "record_tests_reader") == {"changes": READING}
        finally:
            do(url, "DROP OWNED BY record_tests_reader", "DROP ROLE record_tests_reader")


def test_the_way_down_and_up_keeps_its_privileges(postgres_bases: PostgresBases, command: Command) -> None:
    with postgres_bases.fresh() as url:
        for words in (("migrate", "--down", "0006"), ("migrate",)):
            assert command(url, *words).code == 0
            assert as_wanted(privileges(url))


# --- from one role to two ----------------------------------------------------------------------


def documented() -> str:
    """The statements of docs/operations.md that make two roles of one."""
    page = (schema.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```sql\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return str(block)


def test_the_documented_statements_are_those_of_the_stack() -> None:
    lines = ROLES.read_text(encoding="utf-8").splitlines()
    assert documented().splitlines() == [line for line in lines if not line.startswith("--")]


def psql(url: str, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    program = next(each.bin for each in installations() if has_clients(each)) / "psql"
    command = [str(program), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={plain(url)}"]
    return subprocess.run(
        command, input=script, env=environment(url, **variables), text=True, capture_output=True, check=False
    )


@pytest.fixture(params=["owner", "superuser"])
def single(request: pytest.FixtureRequest, postgres: str) -> Iterator[str]:
    """The URL of a database whose one role owns all of it, as installations before had it."""
    rights = "SUPERUSER" if request.param == "superuser" else ""
    name = f"record_tests_single_{request.param}"
    do(
        postgres,
        f"CREATE ROLE {name} LOGIN {rights} PASSWORD 'single'",
        f"CREATE DATABASE {name} OWNER {name}",
    )
    url = make_url(postgres).set(username=name, password="single", database=name)
    yield url.render_as_string(hide_password=False)
    do(postgres, f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}")
    do(postgres, "DROP ROLE IF EXISTS record_owner, record_api")


def test_one_role_becomes_two_by_the_documented_statements(
    single: str, postgres: str, command: Command, tmp_path: Path
) -> None:
    def of(role: str, password: str) -> str:
        url = engine_url(single).set(username=role, password=password)
        return url.render_as_string(hide_password=False)

    superuser = (
        make_url(postgres).set(database=make_url(single).database).render_as_string(hide_password=False)
    )
    assert command(single, "migrate").code == 0
    lay_seed(single)
    for passwords in ("first", "second"):  # it may be run again
        given = {"OWNER_PASSWORD": f"{passwords}-owner's", "API_PASSWORD": f"{passwords}-api's"}
        done = psql(superuser, documented(), **given)
        assert (done.returncode, done.stderr) == (0, "")
    owner, api = of("record_owner", "second-owner's"), of("record_api", "second-api's")

    for words in (["migrate"], ["migrate", "--down", "0006"], ["migrate"]):
        assert command(owner, *words).code == 0
        assert as_wanted(privileges(superuser, "record_api")), privileges(superuser, "record_api")
    assert command(api, "verify").code == 0
    key = command(api, "key", "create", "Desk", "--role", "reporter").out.strip()
    with (
        served(environment(api, RECORD_SECRET=SECRET), tmp_path / "log") as server,
        server.client(key) as client,
    ):
        ok(client.post("/v1/entities", json={"name": "Written", "kind": "organization"}))
        assert client.get("/v1/claims").json()["data"]
    with psycopg.connect(plain(api), autocommit=True) as connection:
        for statement in REFUSED:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
    assert command(owner, "backup", str(tmp_path / "kept")).code == 0
    write_one(api, command, tmp_path)
    assert command(owner, "restore", str(tmp_path / "kept"), "--force").code == 0
    assert as_wanted(privileges(superuser, "record_api"))
    write_one(api, command, tmp_path)


def test_without_passwords_nothing_is_done(single: str, postgres: str) -> None:
    done = psql(single, documented())
    assert done.returncode != 0
    with psycopg.connect(plain(postgres)) as connection:
        found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'record_api'").fetchone()
    assert found is None


def test_what_others_keep_in_the_schema_is_theirs(postgres_bases: PostgresBases, command: Command) -> None:
    """Such as the table of an extension: it hinders no migration, is not granted, and is no fault."""
    with postgres_bases.fresh() as url:
        do(
            url,
            "CREATE ROLE record_tests_other",
            "CREATE TABLE theirs (id integer)",
            "ALTER TABLE theirs OWNER TO record_tests_other",
            "CREATE RULE own AS ON INSERT TO theirs DO INSTEAD NOTHING",
            f"REVOKE ALL ON theirs FROM {API_ROLE}",
        )
        try:
            for words in (["migrate"], ["migrate", "--down", "0010"], ["migrate"], ["verify"]):
                assert command(url, *words).code == 0
            assert "theirs" not in command(as_api_role(url), "doctor").out
        finally:
            do(url, "DROP TABLE theirs", "DROP ROLE record_tests_other")


# --- who notices -------------------------------------------------------------------------------

HIDDEN = {
    "a rule": (
        "CREATE RULE hidden AS ON INSERT TO claims DO INSTEAD NOTHING",
        "the rule hidden on claims is none of this application's",
    ),
    "a trigger": (
        "CREATE TRIGGER hidden BEFORE UPDATE ON claims FOR EACH ROW "
        "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "the trigger hidden on claims is none of this application's",
    ),
    "foreign keys": (
        "ALTER TABLE figures DISABLE TRIGGER ALL",
        "foreign keys of figures are not enforced: its triggers are disabled",
    ),
    "a policy": ("ALTER TABLE claims ENABLE ROW LEVEL SECURITY", "claims has row-level security"),
    "a role that is a replica": (
        f"ALTER ROLE {API_ROLE} IN DATABASE :name SET session_replication_role = replica",
        f"session_replication_role is not origin for the role {API_ROLE} in the database",
    ),
    "a database that is a replica": (
        "ALTER DATABASE :name SET session_replication_role = replica",
        "session_replication_role is replica here",
    ),
}


def test_what_could_change_or_drop_what_is_written_is_named(
    postgres_bases: PostgresBases, command: Command
) -> None:
    with postgres_bases.fresh() as url:
        assert command(url, "verify").code == 0
        for statement, _ in HIDDEN.values():
            do(url, statement.replace(":name", f'"{make_url(url).database}"'))
        lines = command(url, "verify").out.splitlines()
        missing = [named for _, named in HIDDEN.values() if not any(named in line for line in lines)]
        assert (missing, len(lines)) == ([], len(HIDDEN) + 1), (
            lines
        )  # a setting is where it is, and what it is


@pytest.mark.parametrize("state", ["DISABLE", "ENABLE", "ENABLE REPLICA"])
def test_a_guard_that_does_not_hold_for_everyone_is_named(
    postgres_bases: PostgresBases, command: Command, state: str
) -> None:
    with postgres_bases.fresh() as url:
        do(url, f"ALTER TABLE changes {state} TRIGGER changes_no_update")
        found = command(url, "verify")
        assert found.out == (
            "the ledger's trigger changes_no_update does not hold for every session: "
            "what is in it could be changed\n"
        )


def test_a_foreign_trigger_in_a_file_is_named(sqlite_bases: SqliteBases, command: Command) -> None:
    with sqlite_bases.fresh() as url:
        with sqlite3.connect(Path(str(engine_url(url).database))) as connection:
            connection.execute(
                "CREATE TRIGGER hidden BEFORE INSERT ON claims BEGIN SELECT RAISE(IGNORE); END"
            )
        connection.close()
        found = command(url, "verify")
        assert found.code == 1
        assert "the trigger hidden on claims is none of this application's" in found.out


TOO_MUCH = {
    "ALTER ROLE :api SUPERUSER": "is a superuser",
    "ALTER ROLE :api BYPASSRLS": "may pass by row-level security",
    "ALTER ROLE :api CREATEROLE": "may make roles",
    "GRANT postgres TO :api": "owns the tables",
    "GRANT CREATE ON SCHEMA public TO :api": "may create in the schema",
    "GRANT UPDATE ON changes TO :api": "may UPDATE changes",
    "GRANT DELETE ON ledger_nodes TO :api": "may DELETE ledger_nodes",
    "GRANT TRUNCATE ON claims TO :api": "may TRUNCATE claims",
    "GRANT INSERT ON alembic_version TO PUBLIC": "may INSERT alembic_version",
}


def test_a_role_with_too_many_rights_or_too_few_is_named(
    postgres_bases: PostgresBases, command: Command
) -> None:
    def users(url: str) -> list[tuple[str, str]]:
        db = Database(url, pool_size=1)
        found: list[tuple[str, str]] = [
            (state, detail) for check, state, detail in examine(db, 20) if check == "user"
        ]
        db.dispose()
        return found

    with postgres_bases.fresh() as owner:
        api, user = as_api_role(owner), str(make_url(owner).username)
        fine = [("ok", f"{API_ROLE} writes rows, and only adds to the ledger")]
        assert users(api) == fine
        for given, named in TOO_MUCH.items():
            do(owner, given.replace(":api", API_ROLE).replace("postgres", user))
            try:
                found = users(api)
            finally:
                undo = re.sub("^GRANT (.*) TO", r"REVOKE \1 FROM", given)
                undo = re.sub("(SUPERUSER|BYPASSRLS|CREATEROLE)$", r"NO\1", undo)
                do(owner, undo.replace(":api", API_ROLE).replace("postgres", user))
            assert found[0][0] == "warning"
            assert named in found[0][1]
        do(owner, f"REVOKE DELETE ON claims FROM {API_ROLE}")
        told = command(api, "doctor")
        assert (told.code, "lacks DELETE on claims: python -m app migrate" in told.out) == (1, True)
        assert command(owner, "migrate").code == 0
        assert users(api) == fine


@pytest.mark.parametrize(
    "words", [["migrate"], ["migrate", "--down", "0006"], ["restore", "KEPT", "--force"]]
)
def test_the_wrong_role_is_told_so_in_a_line(
    postgres_bases: PostgresBases, command: Command, tmp_path: Path, words: list[str]
) -> None:
    with postgres_bases.fresh() as url:
        assert command(url, "backup", str(tmp_path / "KEPT")).code == 0
        before = digests(url)
        words = [str(tmp_path / word) if word == "KEPT" else word for word in words]
        refused = command(as_api_role(url), *words)
        assert (refused.code, refused.out) == (1, "")
        assert refused.last_line.startswith(f"The tables belong to {make_url(url).username} and ")
        assert digests(url) == before
