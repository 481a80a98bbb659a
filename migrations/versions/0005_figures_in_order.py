"""Figures in order: the ends of what each states, which compare across the units of a dimension."""

import sqlalchemy as sa
from alembic import op

from app.base.types import Exact, Id
from app.claims.amounts import ends

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BATCH = 10_000
_INDEXES = (["unit", "lowest", "highest"], ["unit", "highest", "lowest"], ["measure", "unit", "highest"])


def upgrade() -> None:
    for name in ("lowest", "highest"):
        op.add_column("figures", sa.Column(name, Id(), nullable=True))
    _fill()
    with op.batch_alter_table("figures") as batch:
        for name in ("lowest", "highest"):
            batch.alter_column(name, existing_type=Id(), nullable=False)
    op.drop_index(op.f("ix_figures_unit"), "figures")
    for columns in _INDEXES:
        op.create_index(op.f(f"ix_figures_{'_'.join(columns)}"), "figures", columns)


def _fill() -> None:
    figures = sa.table(
        "figures",
        *(sa.column(name, Id()) for name in ("claim_id", "id", "unit", "lowest", "highest")),
        *(sa.column(name, Exact()) for name in ("value", "lower", "upper")),
        sa.column("comparator", sa.Text()),
    )
    keep = (
        sa.update(figures)
        .where(figures.c.id == sa.bindparam("figure"))
        .values(lowest=sa.bindparam("low"), highest=sa.bindparam("high"))
    )
    base, last = op.get_bind(), ""
    query = sa.select(figures).where(figures.c.id > sa.bindparam("last")).order_by(figures.c.id).limit(_BATCH)
    while rows := base.execute(query, {"last": last}).all():
        stated = [(row.id, *ends(row.comparator, row.unit, row.value, row.lower, row.upper)) for row in rows]
        base.execute(keep, [{"figure": key, "low": low, "high": high} for key, low, high in stated])
        last = rows[-1].id


def downgrade() -> None:
    for columns in _INDEXES:
        op.drop_index(op.f(f"ix_figures_{'_'.join(columns)}"), "figures")
    op.create_index(op.f("ix_figures_unit"), "figures", ["unit"])
    for name in ("highest", "lowest"):
        op.drop_column("figures", name)
