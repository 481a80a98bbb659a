"""People whose names are erased, and their keys."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_BEFORE = (
    "action IN ('claim.erase', 'entity.erase', 'source.erase', 'snapshot.erase', 'review.erase', "
    "'evidence.erase')"
)
_NOW = (
    "action IN ('claim.erase', 'entity.erase', 'source.erase', 'snapshot.erase', 'review.erase', "
    "'evidence.erase', 'person.erase')"
)


def upgrade() -> None:
    for table in ("people", "keys"):
        op.add_column(table, sa.Column("erased", sa.Text(), nullable=True))
    _index(_NOW)


def downgrade() -> None:
    query = "SELECT min(seq) FROM changes WHERE action = 'person.erase'"
    if (first := op.get_bind().exec_driver_sql(query).scalar()) is not None:
        raise ValueError(
            f"Change {first} is the erasure of a person, which the version before cannot read: "
            "restore a backup from before the upgrade instead"
        )
    _index(_BEFORE)
    for table in ("keys", "people"):
        op.drop_column(table, "erased")


def _index(erasures: str) -> None:
    name, which = op.f("ix_changes_seq_resource"), sa.text(erasures)
    op.drop_index(name, "changes")
    op.create_index(name, "changes", ["seq", "resource"], sqlite_where=which, postgresql_where=which)
