"""Records that are not public: of those that are here, the rulings that wait for approval or were returned, with
their decisions. What is derived of the words of records is kept, for nothing of it changes.
"""

import sqlalchemy as sa
from alembic import op

from app.base.types import Id, Instant, Json

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_WORDS = {
    "claims": ("visibility",),
    "sources": ("visibility",),
    "evidence": ("visibility", "note_visibility"),
}


def upgrade() -> None:
    for table, names in _WORDS.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.Text(), nullable=True))
    op.add_column("claims", sa.Column("embargoed_until", Instant(), nullable=True))
    op.add_column("claims", sa.Column("publication", Json(), nullable=True))
    op.create_index(op.f("ix_claims_embargoed_until"), "claims", ["embargoed_until"])
    op.add_column("stems", sa.Column("hidden", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "hidden_records",
        sa.Column("record_id", Id(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_hidden_records")),
    )
    op.execute(
        "INSERT INTO hidden_records SELECT id FROM reviews WHERE needs_approval AND id NOT IN "
        "(SELECT review_id FROM decisions WHERE outcome = 'approved')"
    )
    op.execute(
        "INSERT INTO hidden_records SELECT id FROM decisions WHERE review_id IN "
        "(SELECT record_id FROM hidden_records)"
    )


def downgrade() -> None:
    for table, names in _WORDS.items():
        said = " OR ".join(f"{name} IS NOT NULL" for name in names)
        said += " OR publication IS NOT NULL" if table == "claims" else ""
        if op.get_bind().exec_driver_sql(f"SELECT 1 FROM {table} WHERE {said} LIMIT 1").first():
            raise ValueError(
                f"There are {table} that are or were not public, which the version before would show: "
                "restore a backup from before the upgrade instead"
            )
    op.drop_table("hidden_records")
    op.drop_column("stems", "hidden")
    op.drop_index(op.f("ix_claims_embargoed_until"), "claims")
    op.drop_column("claims", "publication")
    op.drop_column("claims", "embargoed_until")
    for table, names in _WORDS.items():
        for name in names:
            op.drop_column(table, name)
