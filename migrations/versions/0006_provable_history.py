"""The ledger is only added to, which the database sees to, and its Merkle tree is kept."""

import sqlalchemy as sa
from alembic import op

from app.base.types import Id

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_SQLITE = (
    "CREATE TRIGGER changes_no_update BEFORE UPDATE ON changes "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is only added to'); END",
    "CREATE TRIGGER changes_no_delete BEFORE DELETE ON changes "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is only added to'); END",
    # INSERT OR REPLACE deletes without a delete trigger, by seq or by rowid.
    "CREATE TRIGGER changes_no_replace BEFORE INSERT ON changes "
    "WHEN NEW.seq <= (SELECT max(seq) FROM changes) "
    "OR EXISTS (SELECT 1 FROM changes WHERE rowid = NEW.rowid) "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is only added to'); END",
)
_POSTGRESQL = (
    "CREATE FUNCTION changes_only_added_to() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the ledger is only added to'; END $$",
    # Of statements, so that one which finds no row is refused too.
    "CREATE TRIGGER changes_no_update BEFORE UPDATE OR DELETE OR TRUNCATE ON changes "
    "FOR EACH STATEMENT EXECUTE FUNCTION changes_only_added_to()",
    # Else whoever calls itself a replica passes it by.
    "ALTER TABLE changes ENABLE ALWAYS TRIGGER changes_no_update",
)


def upgrade() -> None:
    op.create_table(
        "ledger_nodes",
        sa.Column("height", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", Id(), nullable=False),
        sa.PrimaryKeyConstraint("height", "position", name=op.f("pk_ledger_nodes")),
    )
    op.create_index(op.f("ix_changes_at_seq"), "changes", ["at", "seq"])
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in ("update", "delete", "replace"):
            op.execute(f"DROP TRIGGER changes_no_{name}")
    else:
        op.execute("DROP TRIGGER changes_no_update ON changes")
        op.execute("DROP FUNCTION changes_only_added_to()")
    op.drop_index(op.f("ix_changes_at_seq"), "changes")
    op.drop_table("ledger_nodes")
