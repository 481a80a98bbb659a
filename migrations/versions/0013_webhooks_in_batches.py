"""Webhooks that take batches, and the hash of the entry that each webhook is at."""

import sqlalchemy as sa
from alembic import op

from app.base.types import Instant

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_THERE = "(SELECT hash FROM changes WHERE seq = webhook_progress.position)"
_GENESIS = "0" * 64


def upgrade() -> None:
    op.add_column("webhooks", sa.Column("batch", sa.BigInteger(), nullable=True))
    op.add_column("webhook_progress", sa.Column("position_hash", sa.Text(), nullable=True))
    op.add_column("webhook_progress", sa.Column("batch_end", sa.BigInteger(), nullable=True))
    op.add_column("webhook_progress", sa.Column("reset_at", Instant(), nullable=True))
    op.execute(f"UPDATE webhook_progress SET position_hash = {_THERE}")
    op.execute(f"UPDATE webhook_progress SET position_hash = '{_GENESIS}' WHERE position = 0")


def downgrade() -> None:
    with op.batch_alter_table("webhook_progress") as batch:
        for name in ("reset_at", "batch_end", "position_hash"):
            batch.drop_column(name)
    with op.batch_alter_table("webhooks") as batch:
        batch.drop_column("batch")
