"""What is derived from claims so that they are read fast: bodies, listing, counts, the epoch of names.

The rows are filled in by `python -m app migrate` once the schema is new.
"""

import sqlalchemy as sa
from alembic import op

from app.base.types import Id

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "claim_bodies",
        sa.Column("claim_id", Id(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_claim_bodies_claim_id")),
        sa.PrimaryKeyConstraint("claim_id", name=op.f("pk_claim_bodies")),
    )
    op.create_table(
        "claim_listing",
        sa.Column("facet", Id(), nullable=False),
        sa.Column("status", Id(), nullable=False),
        sa.Column("said", Id(), nullable=False),
        sa.Column("claim_id", Id(), nullable=False),
        sa.PrimaryKeyConstraint("facet", "status", "said", "claim_id", name=op.f("pk_claim_listing")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "claim_tallies",
        sa.Column("first", Id(), nullable=False),
        sa.Column("second", Id(), nullable=False),
        sa.Column("a", Id(), nullable=False),
        sa.Column("b", Id(), nullable=False),
        sa.Column("claims", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("first", "second", "a", "b", name=op.f("pk_claim_tallies")),
        sqlite_with_rowid=False,
    )
    epoch = op.create_table(
        "reference_epoch",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reference_epoch")),
    )
    op.bulk_insert(epoch, [{"id": 1, "token": "first"}])


def downgrade() -> None:
    for table in ("reference_epoch", "claim_tallies", "claim_listing", "claim_bodies"):
        op.drop_table(table)
