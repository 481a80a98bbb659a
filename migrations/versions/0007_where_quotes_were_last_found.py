"""Where quotes were last found that a newer text of their source does not have."""

import sqlalchemy as sa
from alembic import op

from app.base.types import Id

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("anchors", "evidence"):
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("last_found_in", Id(), nullable=True))
            batch.create_foreign_key(
                op.f(f"fk_{table}_last_found_in"), "snapshots", ["last_found_in"], ["id"]
            )


def downgrade() -> None:
    for table in ("evidence", "anchors"):
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(op.f(f"fk_{table}_last_found_in"), type_="foreignkey")
            batch.drop_column("last_found_in")
