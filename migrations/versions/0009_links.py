"""Links between claims; figures found by what they measure and when. A claim of two records that were merged
shows one of them, so its body is made anew by `python -m app migrate`.
"""

import sqlalchemy as sa
from alembic import op

from app.base.types import Id, Instant

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_OF_A_PERIOD = ["measure", "period_earliest", "period_latest", "claim_id"]


def upgrade() -> None:
    op.create_table(
        "links",
        sa.Column("id", Id(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("claim_id", Id(), nullable=False),
        sa.Column("other_id", Id(), nullable=False),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("judgement", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("judged_by", Id(), nullable=False),
        sa.Column("judged_by_name", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "relation IN ('contradicts', 'supports', 'repeats')", name=op.f("ck_links_relation")
        ),
        sa.CheckConstraint(
            "judgement IN ('positive', 'negative', 'unsure')", name=op.f("ck_links_judgement")
        ),
        sa.CheckConstraint("claim_id <> other_id", name=op.f("ck_links_of_two_claims")),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_links_claim_id")),
        sa.ForeignKeyConstraint(["other_id"], ["claims.id"], name=op.f("fk_links_other_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_links")),
        sa.UniqueConstraint(
            "claim_id", "other_id", "relation", name=op.f("uq_links_claim_id_other_id_relation")
        ),
    )
    op.create_index(op.f("ix_links_other_id"), "links", ["other_id"])
    op.drop_index(op.f("ix_figures_measure"), "figures")
    op.create_index(op.f(f"ix_figures_{'_'.join(_OF_A_PERIOD)}"), "figures", _OF_A_PERIOD)
    op.execute(
        "DELETE FROM claim_bodies WHERE EXISTS (SELECT 1 FROM entities WHERE merged_into_id IS NOT NULL)"
    )


def downgrade() -> None:
    op.drop_index(op.f(f"ix_figures_{'_'.join(_OF_A_PERIOD)}"), "figures")
    op.create_index(op.f("ix_figures_measure"), "figures", ["measure"])
    op.drop_table("links")
