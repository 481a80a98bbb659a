"""The index of words. Its rows are filled in by `python -m app migrate` once the schema is new."""

import sqlalchemy as sa
from alembic import op

from app.base.types import Id

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "documents",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("record_id", Id(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("stems", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_documents")),
        sa.UniqueConstraint("record_id", name=op.f("uq_documents_record_id")),
    )
    op.create_table(
        "stems",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stem", Id(), nullable=False),
        sa.Column("documents", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stems")),
        sa.UniqueConstraint("stem", name=op.f("uq_stems_stem")),
    )
    op.create_table(
        "forms",
        sa.Column("form", Id(), nullable=False),
        sa.Column("stem_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("form", name=op.f("pk_forms")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "postings",
        sa.Column("stem_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("weight", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("stem_id", "document", name=op.f("pk_postings")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in ("postings", "forms", "stems", "documents"):
        op.drop_table(table)
