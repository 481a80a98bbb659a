"""Figures are shown as a person writes them. What is derived from them has that in it, the index of words too, so
both are taken away: `python -m app migrate` makes them anew.
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("claim_bodies", "postings", "forms", "stems", "documents"):
        op.execute(f"DELETE FROM {table}")


def downgrade() -> None:
    upgrade()
