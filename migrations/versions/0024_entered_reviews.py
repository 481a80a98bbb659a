"""Reviews that were entered: another desk has published them, and nobody of it is the one who wrote them here."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reviews", sa.Column("entered", sa.Boolean(), nullable=True))


def downgrade() -> None:
    if op.get_bind().exec_driver_sql("SELECT count(*) FROM reviews WHERE entered IS NOT NULL").scalar():
        raise ValueError(
            "Entries tell of reviews that were entered, which the version before does not know: "
            "restore a backup from before the upgrade instead"
        )
    op.drop_column("reviews", "entered")
