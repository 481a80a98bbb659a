"""The schema: what the migrations make is what the models say, on both databases, and it refuses bad rows."""

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    inspect,
    text,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import SQLModel

from app.access.model import Key
from app.base import schema
from app.base.db import Database
from app.base.errors import Unavailable
from app.exchange.dump import restore
from app.main import create_app
from app.operations.checks import faults as found_faults
from app.settings import Settings
from tests.earlier import HERE, LAST_OF_FORM_1, content, lay
from tests.newsroom import SECRET, Bases, SqliteBases, opened

MODELS = SQLModel.metadata
REVISIONS = [script.revision for script in ScriptDirectory(str(schema.ROOT / "migrations")).walk_revisions()]
"""Newest first."""


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A connection whose changes are dropped at the end."""
    with opened(url) as db, db.writer.connect() as connection:
        yield connection
        connection.rollback()


# --- what the base has -------------------------------------------------------------------------


def portrait(url: str) -> dict[str, Any]:
    """All that the database says of its tables."""
    with connected(url) as connection:
        tables = sorted(inspect(connection).get_table_names())
        return {name: _portrait(connection, name) for name in tables if name != "alembic_version"}


def _portrait(connection: Connection, table: str) -> dict[str, Any]:
    seen = inspect(connection)
    columns = [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in seen.get_columns(table)]
    return {
        "columns": columns,
        "key": (seen.get_pk_constraint(table)["name"], seen.get_pk_constraint(table)["constrained_columns"]),
        "references": sorted(
            (f["name"], f["constrained_columns"], f["referred_table"], f["referred_columns"], f["options"])
            for f in seen.get_foreign_keys(table)
        ),
        "unique": sorted((u["name"], u["column_names"]) for u in seen.get_unique_constraints(table)),
        "indexes": sorted((i["name"], i["column_names"], i["unique"]) for i in seen.get_indexes(table)),
        "checks": sorted((c["name"], _normal(c["sqltext"])) for c in seen.get_check_constraints(table)),
    }


def _normal(sql: str) -> str:
    return re.sub(r"\s+", " ", sql).strip()


@contextmanager
def made_of(bases: Bases, models: MetaData) -> Iterator[str]:
    """A base made without migrations."""
    with bases.fresh(migrated=False) as url:
        with opened(url) as db, db.writer.begin() as connection:
            models.create_all(connection)
        yield url


def rows(url: str) -> dict[str, int]:
    """How many rows each table has, but for what is noted of the database itself."""
    with connected(url) as connection:
        names = set(inspect(connection).get_table_names()) - {"alembic_version", "database_properties"}
        return {n: connection.exec_driver_sql(f"SELECT count(*) FROM {n}").scalar_one() for n in names}


def faults(url: str) -> list[str]:
    """What `verify` finds."""
    with opened(url) as db, db.read() as session:
        return [*found_faults(session)]


# --- migrations and models ---------------------------------------------------------------------


def test_the_migrations_make_what_the_models_say(bases: Bases) -> None:
    with bases.fresh() as url, made_of(bases, MODELS) as model_url:
        with connected(url) as connection:
            options = {"compare_type": True, "compare_server_default": True}
            assert compare_metadata(MigrationContext.configure(connection, opts=options), MODELS) == []
        made, said = portrait(url), portrait(model_url)
        assert made.keys() == said.keys() == MODELS.tables.keys()
        for table in made:
            assert made[table] == said[table]


def test_the_portrait_shows_every_check(bases: Bases) -> None:
    """SQLite's are read out of its SQL: one that is not seen would be compared with nothing."""
    with bases.fresh() as url:
        seen = {name for table in portrait(url).values() for name, _ in table["checks"]}
    assert seen == set(checks())
    assert len(seen) >= 18


def _reword(table: Table) -> None:
    check = next(c for c in table.constraints if c.name == "ck_entities_kind")
    assert isinstance(check, CheckConstraint)
    check.sqltext = text(str(check.sqltext).replace("'concept'", "'concept', 'rumour'"))


def _drop(kind: type) -> Callable[[Table], None]:
    def change(table: Table) -> None:
        table.constraints.remove(next(part for part in table.constraints if isinstance(part, kind)))

    return change


def _set(column: str, **values: Any) -> Callable[[Table], None]:
    def change(table: Table) -> None:
        for name, value in values.items():
            setattr(table.c[column], name, value)

    return change


DRIFTS = {
    "entities": _reword,
    "keys": _drop(CheckConstraint),
    "sources": _drop(UniqueConstraint),
    "reviews": _drop(ForeignKeyConstraint),
    "claims": lambda table: table.indexes.pop(),
    "figures": _set("measure", nullable=True),
    "snapshots": _set("length", type=Integer()),
}
"""Something that each table's model could come to say without a migration."""


def test_a_model_that_drifts_is_noticed(bases: Bases) -> None:
    models = MetaData(naming_convention=MODELS.naming_convention)
    for table in MODELS.sorted_tables:
        table.to_metadata(models)
    for name, drift in DRIFTS.items():
        drift(models.tables[name])
    with bases.fresh() as url, made_of(bases, models) as drifted:
        before, after = portrait(url), portrait(drifted)
    assert {name for name in before if before[name] != after[name]} == DRIFTS.keys()


CONVENTION = {
    "key": "pk_{table}",
    "references": "fk_{table}_{columns}",
    "unique": "uq_{table}_{columns}",
    "indexes": "ix_{table}_{columns}",
    "checks": "ck_{table}_",
}


def test_constraints_are_named_by_convention(bases: Bases) -> None:
    """A constraint without a name cannot be changed later on both databases."""
    with bases.fresh() as url:
        for table, seen in portrait(url).items():
            for kind, pattern in CONVENTION.items():
                for name, columns, *_ in [seen["key"]] if kind == "key" else seen[kind]:
                    if kind == "indexes" and str(name).startswith("uq_"):
                        continue  # PostgreSQL lists the index of a unique key, too
                    wanted = pattern.format(table=table, columns="_".join(columns))
                    assert str(name).startswith(wanted) if kind == "checks" else name == wanted
                    assert len(str(name)) <= 63, "PostgreSQL would cut it"


ORDINALS = {"position", "appearance", "figure"}
"""Places in a list that has at most some hundred items."""


INDEX = {("forms", "stem_id"), ("postings", "stem_id"), ("postings", "weight"), ("stems", "id")}
"""Numbers that the index of words gives out."""


def test_integers_that_clients_choose_have_eight_bytes(bases: Bases) -> None:
    """PostgreSQL answered 190000000000 with an error where the column had four."""
    with bases.fresh() as url, connected(url) as connection:
        small = {
            (table, column["name"])
            for table in MODELS.tables
            for column in inspect(connection).get_columns(table)
            if isinstance(column["type"], Integer) and not isinstance(column["type"], BigInteger)
        }
    ours = {("idempotency", "status"), *INDEX}
    assert {(table, name) for table, name in small if name not in ORDINALS} == ours


# --- down and up -------------------------------------------------------------------------------


DERIVED = "claim_bodies"
"""A step that changes what is derived from claims takes this away, and `migrate` makes all of it anew."""


def test_goes_down_step_by_step_and_up_again(bases: Bases) -> None:
    with bases.fresh(migrated=False) as url:
        lay(url)
        schema.upgrade(url)
        before, kept = portrait(url), rows(url)
        for revision in [*REVISIONS[1:], "base"]:
            schema.downgrade(url, revision)
            left = rows(url)
            stays = {name: count for name, count in left.items() if name != DERIVED}
            assert stays.items() <= kept.items(), "a step back has lost rows of a table that stays"
        assert left == {}
        assert _objects(url) == {"alembic_version", "alembic_version_pkc"}
        schema.upgrade(url)
        assert portrait(url) == before
        with opened(url) as db, db.write() as session:
            restore(session, content(HERE / LAST_OF_FORM_1 / "export.ndjson").splitlines(keepends=True))
        again = rows(url)
        apart = {*OF_ONE_SERVER, DERIVED, "claim_tallies", "postings", "forms", "stems", "documents"}
        assert {name: kept[name] for name in again if name not in apart}.items() <= again.items()
        assert faults(url) == []


OF_ONE_SERVER = {"idempotency", "webhook_progress"}
"""Tables whose rows no export has."""


def test_does_not_go_down_where_it_has_entries_that_earlier_versions_cannot_read(bases: Bases) -> None:
    with bases.fresh(seeded=True) as url:
        before = rows(url)
        with pytest.raises(
            ValueError, match="Entries from 1 on have a form that the version before cannot read"
        ):
            schema.downgrade(url, LAST_OF_FORM_1)
        assert rows(url) == before
        assert faults(url) == []


def _objects(url: str) -> set[str]:
    """Everything in the base that has a name: tables, indexes, triggers, sequences, functions."""
    with connected(url) as connection:
        if connection.dialect.name == "sqlite":
            found = connection.exec_driver_sql("SELECT name FROM sqlite_master").scalars()
            return {
                name.replace("sqlite_autoindex_alembic_version_1", "alembic_version_pkc") for name in found
            }
        namespace = "'public'::regnamespace"
        queries = [
            f"SELECT relname FROM pg_class WHERE relnamespace = {namespace}",
            f"SELECT proname FROM pg_proc WHERE pronamespace = {namespace}",
        ]
        return {str(name) for query in queries for name in connection.exec_driver_sql(query).scalars()}


MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", {head!r}, None, None

def upgrade():
{body}

def downgrade():
    pass
"""

REBUILD = """
    with op.batch_alter_table("claims") as batch:
        batch.add_column(sa.Column("mood", sa.Text(), nullable=True))
        batch.create_check_constraint(op.f("ck_claims_mood"), "mood IN ('calm', 'angry')")
        batch.alter_column("occasion", existing_type=sa.Text(), nullable=True, new_column_name="event")
    op.create_index(op.f("ix_claims_mood"), "claims", ["mood"])
    op.execute("UPDATE claims SET mood = 'calm'")
"""
INTERRUPTIONS = {
    "a fault in the code": REBUILD + "    raise KeyboardInterrupt",
    "a row that a check refuses": REBUILD + "    op.execute(\"UPDATE claims SET mood = 'odd'\")",
    "a reference to nothing": REBUILD
    + "    op.execute(\"UPDATE claim_speakers SET entity_id = 'ent_none'\")",
    "a statement that is wrong": REBUILD + '    op.drop_table("keys_of_the_house")',
}


def one_more(url: str, directory: Path, body: str) -> Config:
    """Alembic's configuration with one more migration than there is."""
    (directory / "9999_more.py").write_text(MIGRATION.format(head=REVISIONS[0], body=body))
    config = schema.config(url)
    places = os.pathsep.join([str(schema.ROOT / "migrations" / "versions"), str(directory)])
    config.set_main_option("version_locations", places)
    return config


def test_a_table_is_rebuilt_with_all_that_refers_to_it(bases: Bases, tmp_path: Path) -> None:
    """On SQLite a dropped table takes the rows that refer to it along, if foreign keys are on."""
    with bases.fresh(seeded=True) as url:
        before = rows(url)
        command.upgrade(one_more(url, tmp_path, REBUILD), "head")
        assert rows(url) == before
        with connected(url) as connection:
            assert set(connection.exec_driver_sql("SELECT mood FROM claims").scalars()) == {"calm"}
            assert _refusal(connection, "UPDATE claims SET mood = 'odd'") == "ck_claims_mood"
            assert _refusal(connection, "DELETE FROM claims") == "foreign key"


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
def test_an_interrupted_migration_leaves_the_old_schema(
    bases: Bases, tmp_path: Path, interruption: str
) -> None:
    with bases.fresh(seeded=True) as url:
        before = portrait(url), rows(url), _objects(url)
        with pytest.raises((KeyboardInterrupt, RuntimeError, DBAPIError, Unavailable)):
            command.upgrade(one_more(url, tmp_path, INTERRUPTIONS[interruption]), "head")
        assert (portrait(url), rows(url), _objects(url)) == before
        with opened(url) as db:
            assert schema.staleness(db) is None
        assert faults(url) == []


def test_a_revision_that_is_not_known_is_named(bases: Bases) -> None:
    with bases.fresh() as url:
        for move in (schema.upgrade, schema.downgrade):
            with pytest.raises(ValueError, match="7777"):
                move(url, "7777")


def test_figures_that_were_there_before_stand_in_order_too(bases: Bases) -> None:
    ends = "SELECT id, lowest, highest FROM figures ORDER BY id"
    with bases.fresh(migrated=False) as url:
        lay(url)
        schema.upgrade(url)
        with connected(url) as connection:
            before = connection.exec_driver_sql(ends).all()
        schema.downgrade(url, "0002")
        schema.upgrade(url)
        with connected(url) as connection:
            assert connection.exec_driver_sql(ends).all() == before
    assert len(before) == 6
    assert ("305998-1", "4") in {(low, high) for _, low, high in before}, "at least 98 billion m3"


# --- a stale schema ----------------------------------------------------------------------------


def start(url: str) -> None:
    """What a server does before it answers."""
    app = create_app(Settings(database_url=url, secret=SECRET))

    async def started() -> None:
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(started())


@pytest.mark.parametrize("has", ["no revision", "0000", "9999"])
def test_a_stale_schema_is_refused_at_the_start(bases: Bases, has: str) -> None:
    migrated = has != "no revision"
    with bases.fresh(migrated=migrated) as url:
        if migrated:
            with opened(url) as db, db.writer.begin() as connection:
                connection.execute(text("UPDATE alembic_version SET version_num = :has"), {"has": has})
        with pytest.raises(SystemExit, match=f"at {has} and {REVISIONS[0]} is needed: python -m app migrate"):
            start(url)


def test_a_schema_that_is_up_to_date_is_served(bases: Bases) -> None:
    with bases.fresh() as url:
        start(url)


# --- rows that are refused ---------------------------------------------------------------------


def checks() -> dict[str, tuple[Table, str]]:
    """Every CHECK of the models: its table and its condition."""
    return {
        str(check.name): (table, str(check.sqltext))
        for table in MODELS.sorted_tables
        for check in table.constraints
        if isinstance(check, CheckConstraint)
    }


REFUSED: dict[str, list[dict[str, Any]]] = {
    "ck_links_of_two_claims": [{"claim_id": "clm_1", "other_id": "clm_1"}],
    "ck_claims_repeats_another": [{"id": "clm_1", "repeats_id": "clm_1"}],
    "ck_figures_has_a_number": [
        {"value": None, "comparator": "eq"},
        {"value": None, "comparator": "eq", "lower": Decimal(1), "upper": Decimal(2)},
        {"value": None, "comparator": "range", "lower": Decimal(1), "upper": None},
        {"value": None, "comparator": "range", "lower": None, "upper": Decimal(2)},
    ],
}
"""What breaks each CHECK that is not a list of words."""

ALLOWED: dict[str, list[dict[str, Any]]] = {
    "ck_links_of_two_claims": [{"claim_id": "clm_1", "other_id": "clm_2"}],
    "ck_claims_repeats_another": [{"repeats_id": None}, {"id": "clm_1", "repeats_id": "clm_2"}],
    "ck_figures_has_a_number": [
        {"value": Decimal(1), "comparator": "eq"},
        {"value": None, "comparator": "range", "lower": Decimal(1), "upper": Decimal(2)},
    ],
}


def _words(name: str, sql: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows that a CHECK allows and rows that it refuses."""
    if name in REFUSED:
        return ALLOWED[name], REFUSED[name]
    column, listed = sql.split(" IN ")
    words = re.findall(r"'([^']*)'", listed)
    bad = ["rumour", "", words[0].upper(), f"{words[0]} ", f"{words[0]}', '{words[-1]}"]
    return [{column: word} for word in words], [{column: word} for word in bad]


def _plausible(table: Table) -> dict[str, Any]:
    """A row whose words are all good."""
    values = {str: "x", int: 1, bool: False, float: 1.0, Decimal: Decimal(1), date: date(2023, 3, 21)}
    values |= {datetime: datetime(2023, 3, 21, tzinfo=UTC), list: []}
    row = {c.name: values[_python_type(c)] for c in table.columns if not c.nullable or c.name == "value"}
    for name, (owner, sql) in checks().items():
        if owner is table and (name in REFUSED or sql.split(" IN ")[0] in row):
            row |= _words(name, sql)[0][0]
    return row


def _python_type(column: Any) -> type:
    kind = type(column.type).__name__
    ours = {"TextList": list, "Exact": Decimal, "Instant": datetime, "Id": str}
    return ours.get(kind) or column.type.python_type


def _refusal(connection: Connection, statement: Any) -> str | None:
    """The constraint that refuses a statement, if one does."""
    trial = connection.begin_nested()
    try:
        connection.execute(text(statement) if isinstance(statement, str) else statement)
    except IntegrityError as fault:
        return _constraint(fault)
    finally:
        trial.rollback()
    return None


def _constraint(fault: IntegrityError) -> str:
    """PostgreSQL names it; SQLite names CHECKs only."""
    if diagnosis := getattr(fault.orig, "diag", None):
        name = str(diagnosis.constraint_name)
        return "foreign key" if name.startswith("fk_") else name
    said = str(fault.orig)
    return "foreign key" if "FOREIGN KEY" in said else said.removeprefix("CHECK constraint failed: ")


def test_each_check_refuses_what_it_should_and_nothing_else(bases: Bases) -> None:
    with bases.fresh() as url, connected(url) as connection:
        for name, (table, sql) in checks().items():
            good, bad = _words(name, sql)
            for values in bad:
                assert _refusal(connection, table.insert().values(_plausible(table) | values)) == name, values
            for values in good:  # what such a row refers to is not there, which is another matter
                refusal = _refusal(connection, table.insert().values(_plausible(table) | values))
                assert refusal in (None, "foreign key"), (name, values)


REFERENCES = {
    "a speaker who is not there": "UPDATE claim_speakers SET entity_id = 'ent_none'",
    "a claim without its speakers": "DELETE FROM claims WHERE repeats_id IS NULL",
    "an entity that is spoken of": "DELETE FROM entities WHERE slug = 'vladimir-putin'",
    "an anchor beside its appearance": "UPDATE anchors SET appearance = 77",
    "a review of no claim": "UPDATE evidence SET claim_id = 'clm_none'",
}


@pytest.mark.parametrize("what", REFERENCES)
def test_references_to_nothing_are_refused(bases: Bases, what: str) -> None:
    with bases.fresh(seeded=True) as url, connected(url) as connection:
        assert _refusal(connection, REFERENCES[what]) == "foreign key"


# --- sessions ----------------------------------------------------------------------------------


def test_sqlite_survives_a_power_cut(sqlite_bases: SqliteBases) -> None:
    """WAL with synchronous=NORMAL lost 3,060 of 94,938 commits when the power was cut."""
    with sqlite_bases.fresh() as url, opened(url) as db, db.write() as session:
        asked = session.connection().exec_driver_sql
        pragmas = [asked(f"PRAGMA {name}").scalar_one() for name in ("journal_mode", "synchronous")]
        assert pragmas == ["wal", 2]


def test_sqlite_checks_references_at_both_doors(sqlite_bases: SqliteBases) -> None:
    with sqlite_bases.fresh() as url, opened(url) as db:
        for door in (db.read, db.write):
            with door() as session:
                assert session.connection().exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1


@pytest.mark.parametrize("fault", [None, KeyboardInterrupt])
def test_sqlite_checks_references_again_after_a_migration(
    sqlite_bases: SqliteBases, fault: type[BaseException] | None
) -> None:
    with sqlite_bases.fresh() as url, opened(url) as db:
        with suppress(KeyboardInterrupt), db.schema_change() as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 0
            if fault:
                raise fault
        with db.write() as session:
            assert session.connection().exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1


WRITES = [
    "UPDATE claims SET text = 'x'",
    "DELETE FROM changes",
    "INSERT INTO claim_topics (claim_id, position, topic) SELECT id, 99, 'x' FROM claims",
    "CREATE TABLE extra (x INTEGER)",
    "DROP TABLE review_evidence",
]


def test_a_reading_session_cannot_write(bases: Bases) -> None:
    with bases.fresh(seeded=True) as url, opened(url) as db:
        before = portrait(url), rows(url)
        for statement in WRITES:
            with pytest.raises((DBAPIError, Unavailable)) as refused, db.read() as session:
                session.execute(text(statement))
            cause = refused.value.__cause__
            assert re.search(r"read-?only", f"{refused.value} {cause}"), statement
        assert (portrait(url), rows(url)) == before


def test_a_connection_that_has_read_can_write_next(bases: Bases) -> None:
    """On PostgreSQL both doors share a pool: what makes a session read only must not stay behind."""
    with bases.fresh(seeded=True) as url:
        db = Database(url, pool_size=1)
        for topic in ("one", "two"):
            with db.read() as session:
                assert session.execute(text("SELECT count(*) FROM claims")).scalar_one() == 33
            with db.write() as session:
                session.execute(text("UPDATE claim_topics SET topic = :topic"), {"topic": topic})
            with db.read() as session:
                assert set(session.execute(text("SELECT topic FROM claim_topics")).scalars()) == {topic}
        db.dispose()


def test_a_row_added_in_a_reading_session_is_refused(bases: Bases) -> None:
    def add(db: Database) -> None:
        with db.read() as session:
            session.add(Key(id="key_1", person_id="per_1", name="x", role="admin", token_hash="x"))
            session.flush()

    with bases.fresh() as url, opened(url) as db:
        with pytest.raises((DBAPIError, Unavailable)):
            add(db)
        assert rows(url)["keys"] == 0
