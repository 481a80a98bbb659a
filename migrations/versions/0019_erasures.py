"""Values that are erased from entries: what remains of them for rows to be made of, and what records have lost."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_RECORDS = ("claims", "decisions", "entities", "evidence", "links", "reviews", "snapshots", "sources")
_ERASURES = (
    "action IN ('claim.erase', 'entity.erase', 'source.erase', 'snapshot.erase', 'review.erase', "
    "'evidence.erase')"
)


def upgrade() -> None:
    op.add_column("change_values", sa.Column("remains", sa.Text(), nullable=True))
    for table in _RECORDS:
        op.add_column(table, sa.Column("erased", sa.Text(), nullable=True))
    op.create_index(
        op.f("ix_changes_seq_resource"),
        "changes",
        ["seq", "resource"],
        sqlite_where=sa.text(_ERASURES),
        postgresql_where=sa.text(_ERASURES),
    )


def downgrade() -> None:
    first = (
        op.get_bind().exec_driver_sql("SELECT min(seq) FROM changes WHERE action LIKE '%%.erase'").scalar()
    )
    if first is not None:
        raise ValueError(
            f"Change {first} is an erasure, which the version before cannot read: "
            "restore a backup from before the upgrade instead"
        )
    op.drop_index(op.f("ix_changes_seq_resource"), "changes")
    for table in _RECORDS:
        op.drop_column(table, "erased")
    op.drop_column("change_values", "remains")
