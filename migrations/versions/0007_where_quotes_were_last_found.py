"""Where quotes were last found that a newer text of their source does not have."""

import re

import sqlalchemy as sa
from alembic import op

from app.base.types import Id

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_BATCH = 10_000


def upgrade() -> None:
    for table in ("anchors", "evidence"):
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("last_found_in", Id(), nullable=True))
            batch.create_foreign_key(
                op.f(f"fk_{table}_last_found_in"), "snapshots", ["last_found_in"], ["id"]
            )
    # Inside a string of JSON the marks of a string have backslashes before them: these are keys.
    _rewrite(r'("score":[^,}]+)\}', r'\1,"last_found_in":null}')


def _rewrite(pattern: str, new: str) -> None:
    """Changes the documents of claims that are kept."""
    bodies = sa.table("claim_bodies", sa.column("claim_id", Id()), sa.column("body", sa.Text()))
    keep = (
        sa.update(bodies).where(bodies.c.claim_id == sa.bindparam("claim")).values(body=sa.bindparam("new"))
    )
    base, last, found = op.get_bind(), "", re.compile(pattern)
    query = sa.select(bodies).where(bodies.c.claim_id > sa.bindparam("last"))
    query = query.order_by(bodies.c.claim_id).limit(_BATCH)
    while rows := base.execute(query, {"last": last}).all():
        changed = [
            {"claim": row.claim_id, "new": found.sub(new, row.body)} for row in rows if found.search(row.body)
        ]
        if changed:
            base.execute(keep, changed)
        last = rows[-1].claim_id


def downgrade() -> None:
    _rewrite(r',"last_found_in":(null|"[^"]*")\}', "}")
    for table in ("evidence", "anchors"):
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(op.f(f"fk_{table}_last_found_in"), type_="foreignkey")
            batch.drop_column("last_found_in")
