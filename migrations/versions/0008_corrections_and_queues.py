"""What was corrected and by whom it is to be approved, on the claim; what was really said, on the review; how
often claims are repeated and read.

What is derived from claims shows the former, so it is taken away: `python -m app migrate` makes it anew.
"""

import sqlalchemy as sa
from alembic import op

from app.base.types import Id, Json

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_AGREEMENT = "attribution_agreement IN ('single', 'unanimous', 'split')"
_CORRECTIONS = sa.text("action IN ('claim.correct', 'claim.withdraw', 'claim.reinstate')")
_RANKED_BY = (["status", "repeats", "claim_id"], ["status", "reads", "claim_id"])


def upgrade() -> None:
    with op.batch_alter_table("claims") as batch:
        batch.add_column(sa.Column("attribution_agreement", sa.Text(), nullable=True))
        batch.add_column(sa.Column("proposer_id", Id(), nullable=True))
        batch.add_column(sa.Column("correction", Json(), nullable=True))
        batch.create_check_constraint(op.f("ck_claims_attribution_agreement"), _AGREEMENT)
        batch.create_foreign_key(op.f("fk_claims_proposer_id"), "keys", ["proposer_id"], ["id"])
    with op.batch_alter_table("reviews") as batch:
        batch.add_column(sa.Column("actual_words", sa.Text(), nullable=True))
        batch.add_column(sa.Column("actual_speaker_id", Id(), nullable=True))
        batch.create_foreign_key(
            op.f("fk_reviews_actual_speaker_id"), "entities", ["actual_speaker_id"], ["id"]
        )
    op.create_index(
        op.f("ix_changes_seq"), "changes", ["seq"], sqlite_where=_CORRECTIONS, postgresql_where=_CORRECTIONS
    )
    op.create_table(
        "claim_ranks",
        sa.Column("claim_id", Id(), nullable=False),
        sa.Column("status", Id(), nullable=False),
        sa.Column("repeats", sa.BigInteger(), nullable=False),
        sa.Column("reads", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_claim_ranks_claim_id")),
        sa.PrimaryKeyConstraint("claim_id", name=op.f("pk_claim_ranks")),
    )
    for columns in _RANKED_BY:
        op.create_index(op.f(f"ix_claim_ranks_{'_'.join(columns)}"), "claim_ranks", columns)
    op.execute("DELETE FROM claim_bodies")


def downgrade() -> None:
    op.execute("DELETE FROM claim_bodies")
    op.drop_table("claim_ranks")
    op.drop_index(op.f("ix_changes_seq"), "changes")
    with op.batch_alter_table("reviews") as batch:
        batch.drop_constraint(op.f("fk_reviews_actual_speaker_id"), type_="foreignkey")
        for name in ("actual_speaker_id", "actual_words"):
            batch.drop_column(name)
    with op.batch_alter_table("claims") as batch:
        batch.drop_constraint(op.f("fk_claims_proposer_id"), type_="foreignkey")
        batch.drop_constraint(op.f("ck_claims_attribution_agreement"), type_="check")
        for name in ("correction", "proposer_id", "attribution_agreement"):
            batch.drop_column(name)
