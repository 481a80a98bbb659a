"""Claims told apart by a fingerprint; entities found by their names."""

import hashlib
from collections import defaultdict

import orjson
import sqlalchemy as sa
from alembic import op

from app.base.types import Id

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    twins = op.create_table(
        "claim_twins",
        sa.Column("claim_id", Id(), nullable=False),
        sa.Column("fingerprint", Id(), nullable=False),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_claim_twins_claim_id")),
        sa.PrimaryKeyConstraint("claim_id", name=op.f("pk_claim_twins")),
    )
    if not op.get_context().as_sql:
        _fill(op.get_bind(), twins)
    op.create_index(op.f("ix_claim_twins_fingerprint"), "claim_twins", ["fingerprint"])
    op.create_index(op.f("ix_entities_name"), "entities", ["name"])
    op.create_index(op.f("ix_entity_aliases_name"), "entity_aliases", ["name"])


def _fill(base: sa.Connection, twins: sa.Table) -> None:
    speakers: dict[str, list[str]] = defaultdict(list)
    sources: dict[str, list[str]] = defaultdict(list)
    for found, column, table in (
        (speakers, "entity_id", "claim_speakers"),
        (sources, "source_id", "appearances"),
    ):
        for row in base.exec_driver_sql(
            f"SELECT claim_id, {column} FROM {table} ORDER BY claim_id, position"
        ):
            found[row[0]].append(row[1])
    rows = [
        {"claim_id": row.id, "fingerprint": _fingerprint(row, speakers[row.id], sources[row.id])}
        for row in base.exec_driver_sql("SELECT id, text, mode, said FROM claims")
    ]
    if rows:
        base.execute(sa.insert(twins), rows)


def _fingerprint(claim: sa.Row[tuple[str, str, str, str]], speakers: list[str], sources: list[str]) -> str:
    told_by = [claim.text, claim.mode, claim.said, speakers, sorted(sources)]
    return hashlib.sha256(orjson.dumps(told_by)).hexdigest()[:32]


def downgrade() -> None:
    op.drop_index(op.f("ix_entity_aliases_name"), table_name="entity_aliases")
    op.drop_index(op.f("ix_entities_name"), table_name="entities")
    op.drop_table("claim_twins")
