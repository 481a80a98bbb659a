"""What was ruled is found in the ledger without reading the rest of it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_RULINGS = sa.text(
    "action IN ('claim.review', 'claim.attribute', 'claim.approve', 'claim.correct', 'claim.withdraw', 'claim.reinstate')"
)


def upgrade() -> None:
    op.create_index(
        op.f("ix_changes_seq_action"),
        "changes",
        ["seq", "action"],
        sqlite_where=_RULINGS,
        postgresql_where=_RULINGS,
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_changes_seq_action"), "changes")
