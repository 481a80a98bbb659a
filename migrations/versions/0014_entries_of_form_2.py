"""Entries of the ledger whose values can be withheld: what their hash covers by commitments stands beside them."""

import sqlalchemy as sa
from alembic import op

from app.base.types import Id, Instant

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_NAMES = "seq, at, actor, actor_name, action, resource, resource_id, version, difference, reason, request_id, previous_hash, hash"
_MAYBE = ("actor_name", "difference")
_CORRECTIONS = "action IN ('claim.correct', 'claim.withdraw', 'claim.reinstate')"
_RULINGS = (
    "action IN ('claim.review', 'claim.attribute', 'claim.approve', 'claim.correct', 'claim.withdraw', "
    "'claim.reinstate')"
)
_REFUSES = "BEGIN SELECT RAISE(ABORT, 'the ledger is only added to'); END"
_TRIGGERS = (
    f"CREATE TRIGGER changes_no_update BEFORE UPDATE ON changes {_REFUSES}",
    f"CREATE TRIGGER changes_no_delete BEFORE DELETE ON changes {_REFUSES}",
    "CREATE TRIGGER changes_no_replace BEFORE INSERT ON changes "
    "WHEN NEW.seq <= (SELECT max(seq) FROM changes) "
    f"OR EXISTS (SELECT 1 FROM changes WHERE rowid = NEW.rowid) {_REFUSES}",
)


def upgrade() -> None:
    op.create_table(
        "change_values",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=True),
        sa.Column("difference", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("salt", sa.Text(), nullable=True),
        sa.Column("salts", sa.Text(), nullable=True),
        sa.Column("commitments", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_change_values")),
    )
    if op.get_bind().dialect.name == "sqlite":
        _copy(optional=True)
        return
    op.add_column("changes", sa.Column("form", sa.BigInteger(), nullable=False, server_default="1"))
    op.alter_column("changes", "form", server_default=None)
    for name in _MAYBE:
        op.alter_column("changes", name, nullable=True)


def downgrade() -> None:
    later = op.get_bind().exec_driver_sql("SELECT min(seq) FROM changes WHERE form > 1").scalar()
    if later is not None:
        raise ValueError(
            f"Entries from {later} on have a form that the version before cannot read: "
            "restore a backup from before the upgrade instead"
        )
    if op.get_bind().dialect.name == "sqlite":
        _copy(optional=False)
    else:
        for name in _MAYBE:
            op.alter_column("changes", name, nullable=False)
        op.drop_column("changes", "form")
    op.drop_table("change_values")


def _copy(*, optional: bool) -> None:
    """SQLite cannot make a column optional, so the table is made again. What drops it passes its triggers by."""
    form = [sa.Column("form", sa.BigInteger(), nullable=False)] if optional else []
    op.create_table(
        "changes_again",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=optional),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("resource_id", Id(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("difference", sa.Text(), nullable=optional),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        *form,
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_changes")),
    )
    more = (", form", ", 1") if optional else ("", "")
    op.execute(
        f"INSERT INTO changes_again ({_NAMES}{more[0]}) SELECT {_NAMES}{more[1]} FROM changes ORDER BY seq"
    )
    op.drop_table("changes")
    op.rename_table("changes_again", "changes")
    op.create_index(
        op.f("ix_changes_resource_resource_id_seq"), "changes", ["resource", "resource_id", "seq"]
    )
    op.create_index(op.f("ix_changes_at_seq"), "changes", ["at", "seq"])
    op.create_index(op.f("ix_changes_seq"), "changes", ["seq"], sqlite_where=sa.text(_CORRECTIONS))
    op.create_index(
        op.f("ix_changes_seq_action"), "changes", ["seq", "action"], sqlite_where=sa.text(_RULINGS)
    )
    for trigger in _TRIGGERS:
        op.execute(trigger)
