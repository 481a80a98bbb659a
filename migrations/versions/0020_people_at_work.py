"""Claims, reviews, decisions and links name people, where they named keys. The ledger stays as it is."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_COLUMNS = {"claims": ("assignee_id", "proposer_id"), "reviews": ("reviewer_id",), "decisions": ("decided_by",),
            "links": ("judged_by",)}  # fmt: skip
_DIFFERENCE = "coalesce(changes.difference, change_values.difference)"
_NAMED = (
    "SELECT min(changes.seq) FROM changes LEFT JOIN change_values ON change_values.seq = changes.seq "
    f"WHERE resource IN ('claim', 'review', 'decision', 'link') AND {_DIFFERENCE} LIKE '%\"per\\_%' ESCAPE '\\'"
)
"""The first entry of what works on claims that has a person's id."""


def upgrade() -> None:
    _rename("key_", "per_", "people")


def downgrade() -> None:
    first = op.get_bind().execute(sa.text(_NAMED)).scalar()
    if first is not None:
        raise ValueError(
            f"Entries from {first} on name people, whom the version before does not know: "
            "restore a backup from before the upgrade instead"
        )
    _rename("per_", "key_", "keys")


def _rename(before: str, now: str, table: str) -> None:
    """Put the ids of one kind in the place of the other's, which have the same suffix."""
    with op.batch_alter_table("claims") as batch:
        for column in _COLUMNS["claims"]:
            batch.drop_constraint(op.f(f"fk_claims_{column}"), type_="foreignkey")
    for each, columns in _COLUMNS.items():
        for column in columns:
            op.execute(
                f"UPDATE {each} SET {column} = '{now}' || substr({column}, 5) "
                f"WHERE substr({column}, 1, 4) = '{before}'"
            )
    with op.batch_alter_table("claims") as batch:
        for column in _COLUMNS["claims"]:
            batch.create_foreign_key(op.f(f"fk_claims_{column}"), table, [column], ["id"])
    mark = "char(31)" if op.get_bind().dialect.name == "sqlite" else "chr(31)"
    op.execute(f"UPDATE claim_bodies SET body = replace(body, {mark} || '{before}', {mark} || '{now}')")
