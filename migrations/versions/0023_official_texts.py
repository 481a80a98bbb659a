"""Laws, decrees, treaties and communiqués are sources of a kind of their own, which is a primary one."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_BEFORE = (
    "article",
    "transcript",
    "statement",
    "speech",
    "interview",
    "press_conference",
    "social_post",
    "broadcast",
    "dataset",
    "report",
)
_NAME = "ck_sources_kind"


def _allow(kinds: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    with op.batch_alter_table("sources") as batch:
        batch.drop_constraint(op.f(_NAME), type_="check")
        batch.create_check_constraint(op.f(_NAME), f"kind IN ({listed})")


def upgrade() -> None:
    _allow((*_BEFORE[:-2], "official_text", *_BEFORE[-2:]))


def downgrade() -> None:
    there = (
        op.get_bind().exec_driver_sql("SELECT 1 FROM sources WHERE kind = 'official_text' LIMIT 1").first()
    )
    if there:
        raise ValueError(
            "There are official texts, a word that the version before does not know: "
            "restore a backup from before the upgrade instead"
        )
    _allow(_BEFORE)
