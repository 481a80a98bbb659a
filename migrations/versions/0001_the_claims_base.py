"""The claims base: every noun, its ledger, keys."""

import sqlalchemy as sa
from alembic import op

from app.base.types import Exact, Id, Instant, TextList

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("resource_id", Id(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("difference", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_changes")),
    )
    op.create_index(
        op.f("ix_changes_resource_resource_id_seq"), "changes", ["resource", "resource_id", "seq"]
    )
    op.create_table(
        "entities",
        sa.Column("id", Id(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("slug", Id(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("merged_into_id", Id(), nullable=True),
        sa.Column("canonical_id", Id(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('person', 'organization', 'country', 'place', 'project', 'document', 'event', 'concept')",
            name=op.f("ck_entities_kind"),
        ),
        sa.ForeignKeyConstraint(["canonical_id"], ["entities.id"], name=op.f("fk_entities_canonical_id")),
        sa.ForeignKeyConstraint(["merged_into_id"], ["entities.id"], name=op.f("fk_entities_merged_into_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entities")),
        sa.UniqueConstraint("slug", name=op.f("uq_entities_slug")),
    )
    op.create_index(op.f("ix_entities_canonical_id"), "entities", ["canonical_id"])
    op.create_table(
        "idempotency",
        sa.Column("actor", Id(), nullable=False),
        sa.Column("key", Id(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("actor", "key", name=op.f("pk_idempotency")),
    )
    op.create_index(op.f("ix_idempotency_created_at"), "idempotency", ["created_at"])
    op.create_table(
        "keys",
        sa.Column("id", Id(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.Column("token_hash", Id(), nullable=False),
        sa.Column("last_used_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "role IN ('reader', 'reporter', 'checker', 'editor', 'admin')", name=op.f("ck_keys_role")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_keys_token_hash")),
    )
    op.create_table(
        "affiliations",
        sa.Column("entity_id", Id(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("organization_id", Id(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["entity_id"], ["entities.id"], name=op.f("fk_affiliations_entity_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["entities.id"], name=op.f("fk_affiliations_organization_id")
        ),
        sa.PrimaryKeyConstraint("entity_id", "position", name=op.f("pk_affiliations")),
    )
    op.create_index(op.f("ix_affiliations_organization_id"), "affiliations", ["organization_id"])
    op.create_table(
        "claims",
        sa.Column("id", Id(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("original_text", sa.Text(), nullable=True),
        sa.Column("original_language", sa.Text(), nullable=True),
        sa.Column("relayed_by_id", Id(), nullable=True),
        sa.Column("said", sa.Text(), nullable=True),
        sa.Column("said_earliest", sa.Date(), nullable=False),
        sa.Column("said_latest", sa.Date(), nullable=False),
        sa.Column("occasion", sa.Text(), nullable=True),
        sa.Column("place", sa.Text(), nullable=True),
        sa.Column("context", sa.Text(), nullable=True),
        sa.Column("repeats_id", Id(), nullable=True),
        sa.Column("due", sa.Date(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("attribution", sa.Text(), nullable=False),
        sa.Column("agreement", sa.Text(), nullable=True),
        sa.Column("assignee_id", Id(), nullable=True),
        sa.Column("lease_expires_at", Instant(), nullable=True),
        sa.Column("reviewed_at", Instant(), nullable=True),
        sa.Column("public_note", sa.Text(), nullable=True),
        sa.CheckConstraint("agreement IN ('single', 'unanimous', 'split')", name=op.f("ck_claims_agreement")),
        sa.CheckConstraint(
            "attribution IN ('unconfirmed', 'confirmed', 'altered', 'misattributed')",
            name=op.f("ck_claims_attribution"),
        ),
        sa.CheckConstraint(
            "kind IN ('fact', 'prediction', 'promise', 'opinion', 'position')", name=op.f("ck_claims_kind")
        ),
        sa.CheckConstraint(
            "mode IN ('direct_quote', 'partial_quote', 'paraphrase', 'own_voice')",
            name=op.f("ck_claims_mode"),
        ),
        sa.CheckConstraint(
            "status IN ('unverified', 'in_review', 'pending_approval', 'reviewed', 'withdrawn')",
            name=op.f("ck_claims_status"),
        ),
        sa.CheckConstraint(
            "verdict IN ('true', 'mostly_true', 'half_true', 'mostly_false', 'false', 'misleading', 'unsupported', 'outdated', 'misattributed', 'satire', 'not_checkable')",
            name=op.f("ck_claims_verdict"),
        ),
        sa.CheckConstraint("repeats_id <> id", name=op.f("ck_claims_repeats_another")),
        sa.ForeignKeyConstraint(["assignee_id"], ["keys.id"], name=op.f("fk_claims_assignee_id")),
        sa.ForeignKeyConstraint(["relayed_by_id"], ["entities.id"], name=op.f("fk_claims_relayed_by_id")),
        sa.ForeignKeyConstraint(["repeats_id"], ["claims.id"], name=op.f("fk_claims_repeats_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claims")),
    )
    op.create_index(op.f("ix_claims_assignee_id"), "claims", ["assignee_id"])
    op.create_index(op.f("ix_claims_due"), "claims", ["due"])
    op.create_index(op.f("ix_claims_repeats_id"), "claims", ["repeats_id"])
    op.create_index(op.f("ix_claims_said_latest_id"), "claims", ["said_latest", "id"])
    op.create_index(op.f("ix_claims_status_said_latest_id"), "claims", ["status", "said_latest", "id"])
    op.create_table(
        "entity_aliases",
        sa.Column("entity_id", Id(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('name', 'transliteration', 'abbreviation', 'metonym', 'former')",
            name=op.f("ck_entity_aliases_kind"),
        ),
        sa.ForeignKeyConstraint(["entity_id"], ["entities.id"], name=op.f("fk_entity_aliases_entity_id")),
        sa.PrimaryKeyConstraint("entity_id", "position", name=op.f("pk_entity_aliases")),
    )
    op.create_table(
        "entity_external_ids",
        sa.Column("entity_id", Id(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("scheme", Id(), nullable=False),
        sa.Column("value", Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entities.id"], name=op.f("fk_entity_external_ids_entity_id")
        ),
        sa.PrimaryKeyConstraint("entity_id", "position", name=op.f("pk_entity_external_ids")),
        sa.UniqueConstraint("scheme", "value", name=op.f("uq_entity_external_ids_scheme_value")),
    )
    op.create_table(
        "sources",
        sa.Column("id", Id(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("canonical_url", Id(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("publisher_id", Id(), nullable=True),
        sa.Column("authors", TextList(), nullable=False),
        sa.Column("published", sa.Text(), nullable=True),
        sa.Column("published_latest", sa.Date(), nullable=False),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("archive_url", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('article', 'transcript', 'statement', 'speech', 'interview', 'press_conference', 'social_post', 'broadcast', 'dataset', 'report')",
            name=op.f("ck_sources_kind"),
        ),
        sa.ForeignKeyConstraint(["publisher_id"], ["entities.id"], name=op.f("fk_sources_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("canonical_url", name=op.f("uq_sources_canonical_url")),
    )
    op.create_index(op.f("ix_sources_published_latest"), "sources", ["published_latest"])
    op.create_index(op.f("ix_sources_publisher_id"), "sources", ["publisher_id"])
    op.create_table(
        "claim_about",
        sa.Column("claim_id", Id(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("entity_id", Id(), nullable=False),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_claim_about_claim_id")),
        sa.ForeignKeyConstraint(["entity_id"], ["entities.id"], name=op.f("fk_claim_about_entity_id")),
        sa.PrimaryKeyConstraint("claim_id", "position", name=op.f("pk_claim_about")),
    )
    op.create_index(op.f("ix_claim_about_entity_id"), "claim_about", ["entity_id"])
    op.create_table(
        "claim_speakers",
        sa.Column("claim_id", Id(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("entity_id", Id(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_claim_speakers_claim_id")),
        sa.ForeignKeyConstraint(["entity_id"], ["entities.id"], name=op.f("fk_claim_speakers_entity_id")),
        sa.PrimaryKeyConstraint("claim_id", "position", name=op.f("pk_claim_speakers")),
    )
    op.create_index(op.f("ix_claim_speakers_entity_id"), "claim_speakers", ["entity_id"])
    op.create_table(
        "claim_topics",
        sa.Column("claim_id", Id(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("topic", Id(), nullable=False),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_claim_topics_claim_id")),
        sa.PrimaryKeyConstraint("claim_id", "position", name=op.f("pk_claim_topics")),
    )
    op.create_index(op.f("ix_claim_topics_topic"), "claim_topics", ["topic"])
    op.create_table(
        "figures",
        sa.Column("claim_id", Id(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("value", Exact(), nullable=True),
        sa.Column("lower", Exact(), nullable=True),
        sa.Column("upper", Exact(), nullable=True),
        sa.Column("value_number", sa.Float(), nullable=True),
        sa.Column("comparator", sa.Text(), nullable=False),
        sa.Column("unit", Id(), nullable=False),
        sa.Column("display", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("is_record", sa.Boolean(), nullable=False),
        sa.Column("period", sa.Text(), nullable=True),
        sa.Column("period_earliest", sa.Date(), nullable=False),
        sa.Column("period_latest", sa.Date(), nullable=False),
        sa.Column("condition", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "comparator IN ('eq', 'ge', 'gt', 'le', 'lt', 'approx', 'range')",
            name=op.f("ck_figures_comparator"),
        ),
        sa.CheckConstraint(
            "kind IN ('reported', 'estimated', 'promised', 'forecast', 'target', 'capacity')",
            name=op.f("ck_figures_kind"),
        ),
        sa.CheckConstraint(
            "value IS NOT NULL OR (comparator = 'range' AND lower IS NOT NULL AND upper IS NOT NULL)",
            name=op.f("ck_figures_has_a_number"),
        ),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_figures_claim_id")),
        sa.PrimaryKeyConstraint("claim_id", "position", name=op.f("pk_figures")),
        sa.UniqueConstraint("id", name=op.f("uq_figures_id")),
    )
    op.create_index(op.f("ix_figures_measure"), "figures", ["measure"])
    op.create_index(op.f("ix_figures_unit"), "figures", ["unit"])
    op.create_table(
        "reviews",
        sa.Column("id", Id(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("claim_id", Id(), nullable=False),
        sa.Column("publisher_id", Id(), nullable=True),
        sa.Column("reviewer_id", Id(), nullable=False),
        sa.Column("reviewer_name", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("attribution", sa.Text(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("rating_value", Exact(), nullable=True),
        sa.Column("rating_best", Exact(), nullable=True),
        sa.Column("rating_worst", Exact(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("reviewed_at", Instant(), nullable=False),
        sa.Column("corrects_id", Id(), nullable=True),
        sa.Column("correction_note", sa.Text(), nullable=True),
        sa.Column("needs_approval", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "attribution IN ('unconfirmed', 'confirmed', 'altered', 'misattributed')",
            name=op.f("ck_reviews_attribution"),
        ),
        sa.CheckConstraint(
            "verdict IN ('true', 'mostly_true', 'half_true', 'mostly_false', 'false', 'misleading', 'unsupported', 'outdated', 'misattributed', 'satire', 'not_checkable')",
            name=op.f("ck_reviews_verdict"),
        ),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_reviews_claim_id")),
        sa.ForeignKeyConstraint(["corrects_id"], ["reviews.id"], name=op.f("fk_reviews_corrects_id")),
        sa.ForeignKeyConstraint(["publisher_id"], ["entities.id"], name=op.f("fk_reviews_publisher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
    )
    op.create_index(op.f("ix_reviews_claim_id"), "reviews", ["claim_id"])
    op.create_index(op.f("ix_reviews_publisher_id"), "reviews", ["publisher_id"])
    op.create_table(
        "snapshots",
        sa.Column("id", Id(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("source_id", Id(), nullable=False),
        sa.Column("sha256", Id(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("retrieved_at", Instant(), nullable=False),
        sa.Column("text_withheld", sa.Boolean(), nullable=False),
        sa.Column("text_at_hand", sa.Boolean(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_snapshots_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
        sa.UniqueConstraint("source_id", "sha256", name=op.f("uq_snapshots_source_id_sha256")),
    )
    op.create_table(
        "appearances",
        sa.Column("claim_id", Id(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("source_id", Id(), nullable=False),
        sa.Column("snapshot_id", Id(), nullable=True),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_appearances_claim_id")),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"], name=op.f("fk_appearances_snapshot_id")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_appearances_source_id")),
        sa.PrimaryKeyConstraint("claim_id", "position", name=op.f("pk_appearances")),
    )
    op.create_index(op.f("ix_appearances_source_id"), "appearances", ["source_id"])
    op.create_table(
        "decisions",
        sa.Column("id", Id(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("review_id", Id(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("decided_by", Id(), nullable=False),
        sa.Column("decided_by_name", sa.Text(), nullable=False),
        sa.CheckConstraint("outcome IN ('approved', 'returned')", name=op.f("ck_decisions_outcome")),
        sa.ForeignKeyConstraint(["review_id"], ["reviews.id"], name=op.f("fk_decisions_review_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sa.UniqueConstraint("review_id", name=op.f("uq_decisions_review_id")),
    )
    op.create_table(
        "evidence",
        sa.Column("id", Id(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("claim_id", Id(), nullable=False),
        sa.Column("source_id", Id(), nullable=True),
        sa.Column("snapshot_id", Id(), nullable=True),
        sa.Column("exact", sa.Text(), nullable=True),
        sa.Column("prefix", sa.Text(), nullable=True),
        sa.Column("suffix", sa.Text(), nullable=True),
        sa.Column("start", sa.BigInteger(), nullable=True),
        sa.Column("end", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("score", Exact(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("stance", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint("stance IN ('supports', 'refutes', 'context')", name=op.f("ck_evidence_stance")),
        sa.CheckConstraint(
            "state IN ('exact', 'normalised', 'fuzzy', 'orphaned', 'unchecked')",
            name=op.f("ck_evidence_state"),
        ),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_evidence_claim_id")),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"], name=op.f("fk_evidence_snapshot_id")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_evidence_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence")),
    )
    op.create_index(op.f("ix_evidence_claim_id"), "evidence", ["claim_id"])
    op.create_index(op.f("ix_evidence_source_id"), "evidence", ["source_id"])
    op.create_table(
        "figure_about",
        sa.Column("claim_id", Id(), nullable=False),
        sa.Column("figure", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("entity_id", Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["claim_id", "figure"],
            ["figures.claim_id", "figures.position"],
            name=op.f("fk_figure_about_claim_id_figure"),
        ),
        sa.ForeignKeyConstraint(["entity_id"], ["entities.id"], name=op.f("fk_figure_about_entity_id")),
        sa.PrimaryKeyConstraint("claim_id", "figure", "position", name=op.f("pk_figure_about")),
    )
    op.create_index(op.f("ix_figure_about_entity_id"), "figure_about", ["entity_id"])
    op.create_table(
        "anchors",
        sa.Column("claim_id", Id(), nullable=False),
        sa.Column("appearance", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("exact", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=True),
        sa.Column("suffix", sa.Text(), nullable=True),
        sa.Column("start", sa.BigInteger(), nullable=True),
        sa.Column("end", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("score", Exact(), nullable=True),
        sa.CheckConstraint(
            "state IN ('exact', 'normalised', 'fuzzy', 'orphaned', 'unchecked')",
            name=op.f("ck_anchors_state"),
        ),
        sa.ForeignKeyConstraint(
            ["claim_id", "appearance"],
            ["appearances.claim_id", "appearances.position"],
            name=op.f("fk_anchors_claim_id_appearance"),
        ),
        sa.PrimaryKeyConstraint("claim_id", "appearance", "position", name=op.f("pk_anchors")),
    )
    op.create_table(
        "review_evidence",
        sa.Column("review_id", Id(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("evidence_id", Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["evidence_id"], ["evidence.id"], name=op.f("fk_review_evidence_evidence_id")
        ),
        sa.ForeignKeyConstraint(["review_id"], ["reviews.id"], name=op.f("fk_review_evidence_review_id")),
        sa.PrimaryKeyConstraint("review_id", "position", name=op.f("pk_review_evidence")),
    )
    op.create_index(op.f("ix_review_evidence_evidence_id"), "review_evidence", ["evidence_id"])


def downgrade() -> None:
    op.drop_table("review_evidence")
    op.drop_table("anchors")
    op.drop_table("figure_about")
    op.drop_table("evidence")
    op.drop_table("decisions")
    op.drop_table("appearances")
    op.drop_table("snapshots")
    op.drop_table("reviews")
    op.drop_table("figures")
    op.drop_table("claim_topics")
    op.drop_table("claim_speakers")
    op.drop_table("claim_about")
    op.drop_table("sources")
    op.drop_table("entity_external_ids")
    op.drop_table("entity_aliases")
    op.drop_table("claims")
    op.drop_table("affiliations")
    op.drop_table("keys")
    op.drop_table("idempotency")
    op.drop_table("entities")
    op.drop_table("changes")
