"""Sources that are published, embargoed and taken back by themselves. No source has been, so nothing changes in
what is here.
"""

import sqlalchemy as sa
from alembic import op

from app.base.types import Instant, Json

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sources", sa.Column("embargoed_until", Instant(), nullable=True))
    op.add_column("sources", sa.Column("publication", Json(), nullable=True))
    op.create_index(op.f("ix_sources_embargoed_until"), "sources", ["embargoed_until"])


def downgrade() -> None:
    told = "SELECT 1 FROM sources WHERE embargoed_until IS NOT NULL OR publication IS NOT NULL LIMIT 1"
    if op.get_bind().exec_driver_sql(told).first():
        raise ValueError(
            "Entries tell of sources that were published by themselves, which the version before does not know: "
            "restore a backup from before the upgrade instead"
        )
    op.drop_index(op.f("ix_sources_embargoed_until"), "sources")
    op.drop_column("sources", "publication")
    op.drop_column("sources", "embargoed_until")
