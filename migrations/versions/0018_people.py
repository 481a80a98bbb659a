"""People, to whom keys belong: each key of before is a person of its own."""

import sqlalchemy as sa
from alembic import op

from app.base.types import Id, Instant

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_ROLES = "'reader', 'reporter', 'checker', 'editor', 'admin'"


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("id", Id(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("byline", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_set_at", Instant(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.CheckConstraint(f"role IN ({_ROLES})", name=op.f("ck_people_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
    )
    op.create_index(op.f("ix_people_name"), "people", ["name"])
    op.create_table(
        "people_organisations",
        sa.Column("person_id", Id(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("entity_id", Id(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_people_organisations_person_id")),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entities.id"], name=op.f("fk_people_organisations_entity_id")
        ),
        sa.PrimaryKeyConstraint("person_id", "position", name=op.f("pk_people_organisations")),
    )
    op.create_index(op.f("ix_people_organisations_entity_id"), "people_organisations", ["entity_id"])
    op.execute(
        "INSERT INTO people (id, version, created_at, updated_at, name, role) "
        "SELECT 'per_' || substr(id, 5), 1, created_at, created_at, name, role FROM keys"
    )
    op.add_column("keys", sa.Column("person_id", Id(), nullable=True))
    op.execute("UPDATE keys SET person_id = 'per_' || substr(id, 5)")
    with op.batch_alter_table("keys") as batch:
        batch.alter_column("person_id", existing_type=Id(), nullable=False)
        batch.create_foreign_key(op.f("fk_keys_person_id"), "people", ["person_id"], ["id"])
    op.create_index(op.f("ix_keys_person_id"), "keys", ["person_id"])


def downgrade() -> None:
    first = op.get_bind().exec_driver_sql("SELECT min(seq) FROM changes WHERE resource = 'person'").scalar()
    if first is not None:
        raise ValueError(
            f"Entries from {first} on tell of people, whom the version before does not know: "
            "restore a backup from before the upgrade instead"
        )
    op.drop_index(op.f("ix_keys_person_id"), "keys")
    with op.batch_alter_table("keys") as batch:
        batch.drop_constraint(op.f("fk_keys_person_id"), type_="foreignkey")
        batch.drop_column("person_id")
    op.drop_table("people_organisations")
    op.drop_table("people")
