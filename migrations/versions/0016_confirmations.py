"""Where a source says who speaks, the place of words that were not read, and how an attribution was confirmed."""

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_EVIDENCE: dict[str, type[sa.Text | sa.BigInteger]] = {
    "named_exact": sa.Text,
    "named_start": sa.BigInteger,
    "named_end": sa.BigInteger,
    "locator": sa.Text,
}


def upgrade() -> None:
    for name, kind in _EVIDENCE.items():
        op.add_column("evidence", sa.Column(name, kind, nullable=True))
    op.add_column("reviews", sa.Column("confirmed_by", sa.Text(), nullable=True))


def downgrade() -> None:
    for table, names in (("evidence", _EVIDENCE), ("reviews", ("confirmed_by",))):
        _must_be_empty(table, names)
    op.drop_column("reviews", "confirmed_by")
    for name in reversed(_EVIDENCE):
        op.drop_column("evidence", name)


def _must_be_empty(table: str, names: Iterable[str]) -> None:
    told = " OR ".join(f"{name} IS NOT NULL" for name in names)
    if op.get_bind().exec_driver_sql(f"SELECT count(*) FROM {table} WHERE {told}").scalar():
        raise ValueError(
            "Entries tell of confirmed attributions in a way that the version before cannot read: "
            "restore a backup from before the upgrade instead"
        )
