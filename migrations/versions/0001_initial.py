"""Initial."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:  # noqa: PLR0915 - one statement for each table
    op.create_table(
        "accounts",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("login_box", sa.LargeBinary(), nullable=False),
        sa.Column("notice_box", sa.LargeBinary(), nullable=True),
        sa.Column("passphrase_verifier", sa.LargeBinary(length=32), nullable=False),
        sa.Column("passphrase_salt", sa.LargeBinary(length=16), nullable=False),
        sa.Column("argon2", sa.String(length=64), nullable=False),
        sa.Column("pepper_version", sa.SmallInteger(), nullable=False),
        sa.Column("recovery_verifier", sa.LargeBinary(length=32), nullable=False),
        sa.Column("locale", sa.String(length=8), nullable=False),
        sa.Column("theme", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "vault_id", name=op.f("pk_accounts")),
    )
    op.create_table(
        "agreement_versions",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("notice_sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "bucket", "agreement_id", "version", name=op.f("pk_agreement_versions")
        ),
    )
    op.create_table(
        "agreements",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("supersedes", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(length=16), nullable=True),
        sa.CheckConstraint(
            "state IN ('active', 'suspended', 'withdrawn', 'terminated', 'expired', 'fulfilled', 'invalidated')",  # noqa: E501 - one SQL expression
            name=op.f("ck_agreements_state_known"),
        ),
        sa.PrimaryKeyConstraint("bucket", "id", name=op.f("pk_agreements")),
    )
    op.create_index(
        op.f("ix_agreements_bucket_vault_id"), "agreements", ["bucket", "vault_id"], unique=False
    )
    op.create_index("ix_agreements_expiry", "agreements", ["state", "expires_at"], unique=False)
    op.create_table(
        "auditors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("verifier", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auditors")),
    )
    op.create_table(
        "clients",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("redirect_uris", sa.JSON(), nullable=False),
        sa.Column("jwks", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clients")),
    )
    op.create_index(
        op.f("ix_clients_organisation_id"), "clients", ["organisation_id"], unique=False
    )
    op.create_table(
        "collection_keys",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("collection", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("public_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("rotation_due", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "bucket", "vault_id", "collection", "version", name=op.f("pk_collection_keys")
        ),
    )
    op.create_table(
        "connections",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "id", name=op.f("pk_connections")),
        sa.UniqueConstraint(
            "bucket",
            "vault_id",
            "organisation_id",
            "template_id",
            name=op.f("uq_connections_bucket_vault_id_organisation_id_template_id"),
        ),
    )
    op.create_index(
        op.f("ix_connections_organisation_id_id"),
        "connections",
        ["organisation_id", "id"],
        unique=False,
    )
    op.create_table(
        "consent_events",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("agreement_version", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("stream", sa.String(length=40), nullable=False),
        sa.Column("stream_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "agreement_id", "seq", name=op.f("pk_consent_events")),
    )
    op.create_table(
        "deployment_stream",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment_stream")),
    )
    op.create_table(
        "deposits",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.String(length=128), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("collection", sa.String(length=64), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=True),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("deposited_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'absorbed', 'quarantined')", name=op.f("ck_deposits_state_known")
        ),
        sa.PrimaryKeyConstraint(
            "bucket", "vault_id", "grant_id", "document_id", name=op.f("pk_deposits")
        ),
    )
    op.create_index(
        op.f("ix_deposits_bucket_vault_id_state"),
        "deposits",
        ["bucket", "vault_id", "state"],
        unique=False,
    )
    op.create_table(
        "event_payloads",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("pub", sa.LargeBinary(), nullable=False),
        sa.Column("r_pub", sa.LargeBinary(length=32), nullable=False),
        sa.Column("priv_box", sa.LargeBinary(), nullable=True),
        sa.Column("priv_key", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "event_id", name=op.f("pk_event_payloads")),
    )
    op.create_table(
        "events",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("stream", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=True),
        sa.Column("grant_id", sa.Uuid(), nullable=True),
        sa.Column("c_pub", sa.LargeBinary(length=32), nullable=False),
        sa.Column("c_priv", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "id", name=op.f("pk_events")),
        sa.UniqueConstraint("bucket", "stream", "seq", name=op.f("uq_events_bucket_stream_seq")),
    )
    op.create_index("ix_events_vault", "events", ["bucket", "vault_id", "id"], unique=False)
    op.create_table(
        "feed_entries",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "number", name=op.f("pk_feed_entries")),
    )
    op.create_table(
        "feed_pending",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "id", name=op.f("pk_feed_pending")),
    )
    op.create_table(
        "grants",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("agreement_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fetch_day", sa.Integer(), nullable=False),
        sa.Column("fetches_today", sa.Integer(), nullable=False),
        sa.Column("terms_box", sa.LargeBinary(), nullable=False),
        sa.Column("terms_sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reads", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('issued', 'active', 'paused', 'revoked', 'expired', 'consumed')",
            name=op.f("ck_grants_state_known"),
        ),
        sa.PrimaryKeyConstraint("bucket", "id", name=op.f("pk_grants")),
    )
    op.create_index(
        op.f("ix_grants_bucket_agreement_id"), "grants", ["bucket", "agreement_id"], unique=False
    )
    op.create_index(
        op.f("ix_grants_bucket_vault_id"), "grants", ["bucket", "vault_id"], unique=False
    )
    op.create_index("ix_grants_organisation", "grants", ["organisation_id", "state"], unique=False)
    op.create_table(
        "import_jobs",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("format", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("report_box", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('staged', 'running', 'done', 'cancelled')",
            name=op.f("ck_import_jobs_state_known"),
        ),
        sa.PrimaryKeyConstraint("bucket", "vault_id", "id", name=op.f("pk_import_jobs")),
    )
    op.create_table(
        "key_wraps",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("by_kind", sa.String(length=16), nullable=False),
        sa.Column("by_id", sa.Uuid(), nullable=False),
        sa.Column("wrapped_kind", sa.String(length=16), nullable=False),
        sa.Column("wrapped_id", sa.String(length=64), nullable=False),
        sa.Column("wrapped_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint(
            "bucket",
            "by_kind",
            "by_id",
            "wrapped_kind",
            "wrapped_id",
            "wrapped_version",
            name=op.f("pk_key_wraps"),
        ),
    )
    op.create_index(
        op.f("ix_key_wraps_bucket_vault_id"), "key_wraps", ["bucket", "vault_id"], unique=False
    )
    op.create_index(op.f("ix_key_wraps_expires_at"), "key_wraps", ["expires_at"], unique=False)
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("holder", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "log_checkpoints",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_log_checkpoints")),
    )
    op.create_table(
        "log_entries",
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("index", name=op.f("pk_log_entries")),
        sa.UniqueConstraint("bucket", "event_id", name=op.f("uq_log_entries_bucket_event_id")),
    )
    op.create_table(
        "log_pending",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "event_id", name=op.f("pk_log_pending")),
    )
    op.create_table(
        "log_state",
        sa.Column("origin", sa.String(length=200), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("origin", name=op.f("pk_log_state")),
    )
    op.create_table(
        "log_tiles",
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "index", name=op.f("pk_log_tiles")),
    )
    op.create_table(
        "login_names",
        sa.Column("tag", sa.LargeBinary(length=32), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("tag", name=op.f("pk_login_names")),
    )
    op.create_table(
        "notices",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("first_shown_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_notices")),
    )
    op.create_table(
        "obligations",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("asked_by_person", sa.Boolean(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("evidence", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "state IN ('due', 'confirmed', 'retained_with_basis')",
            name=op.f("ck_obligations_state_known"),
        ),
        sa.PrimaryKeyConstraint("bucket", "id", name=op.f("pk_obligations")),
    )
    op.create_index(
        op.f("ix_obligations_bucket_vault_id"), "obligations", ["bucket", "vault_id"], unique=False
    )
    op.create_index(
        op.f("ix_obligations_organisation_id_state_due_at"),
        "obligations",
        ["organisation_id", "state", "due_at"],
        unique=False,
    )
    op.create_table(
        "organisations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name_az", sa.String(length=120), nullable=False),
        sa.Column("name_en", sa.String(length=120), nullable=False),
        sa.Column("contact", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=300), nullable=False),
        sa.Column("jurisdiction", sa.String(length=8), nullable=False),
        sa.Column("standing", sa.String(length=16), nullable=False),
        sa.Column("feed_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "standing IN ('good', 'suspended', 'removed')",
            name=op.f("ck_organisations_standing_known"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisations")),
    )
    op.create_table(
        "pushed_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("verifier", sa.LargeBinary(length=32), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("dpop_jkt", sa.String(length=43), nullable=True),
        sa.Column("sign_in", sa.Uuid(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("spent_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pushed_requests")),
    )
    op.create_index(
        op.f("ix_pushed_requests_expires_at"), "pushed_requests", ["expires_at"], unique=False
    )
    op.create_table(
        "receipts",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("stream", sa.String(length=40), nullable=False),
        sa.Column("stream_seq", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "id", name=op.f("pk_receipts")),
    )
    op.create_index(
        op.f("ix_receipts_bucket_vault_id_created_at"),
        "receipts",
        ["bucket", "vault_id", "created_at"],
        unique=False,
    )
    op.create_table(
        "records",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("collection", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("author_kind", sa.String(length=16), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=True),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("merge_tag", sa.LargeBinary(length=16), nullable=True),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "vault_id", "id", name=op.f("pk_records")),
    )
    op.create_index(
        "ix_records_feed", "records", ["bucket", "vault_id", "collection", "seq"], unique=False
    )
    op.create_index(
        "ix_records_merge", "records", ["bucket", "vault_id", "merge_tag"], unique=False
    )
    op.create_table(
        "replays",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("jti_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "kind", "subject", "jti_hash", name=op.f("pk_replays")),
    )
    op.create_index(op.f("ix_replays_expires_at"), "replays", ["expires_at"], unique=False)
    op.create_table(
        "requests",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("template_sha256", sa.String(length=64), nullable=False),
        sa.Column("pushed_request", sa.Uuid(), nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cools_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("bucket", "id", name=op.f("pk_requests")),
        sa.UniqueConstraint(
            "bucket",
            "vault_id",
            "pushed_request",
            name=op.f("uq_requests_bucket_vault_id_pushed_request"),
        ),
    )
    op.create_index(
        op.f("ix_requests_bucket_vault_id_state"),
        "requests",
        ["bucket", "vault_id", "state"],
        unique=False,
    )
    op.create_table(
        "sign_ins",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("selector", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("verifier", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "selector", name=op.f("pk_sign_ins")),
    )
    op.create_index(op.f("ix_sign_ins_expires_at"), "sign_ins", ["expires_at"], unique=False)
    op.create_table(
        "staged_batches",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "bucket", "vault_id", "import_id", "number", name=op.f("pk_staged_batches")
        ),
    )
    op.create_table(
        "template_versions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", "version", name=op.f("pk_template_versions")),
        sa.UniqueConstraint("sha256", name=op.f("uq_template_versions_sha256")),
    )
    op.create_index(
        op.f("ix_template_versions_organisation_id"),
        "template_versions",
        ["organisation_id"],
        unique=False,
    )
    op.create_table(
        "throttles",
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_throttles")),
    )
    op.create_index(op.f("ix_throttles_expires_at"), "throttles", ["expires_at"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("selector", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=2), nullable=False),
        sa.Column("verifier", sa.LargeBinary(length=32), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("grant_id", sa.Uuid(), nullable=True),
        sa.Column("jkt", sa.String(length=43), nullable=True),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("redirect_uri", sa.String(length=2000), nullable=True),
        sa.Column("code_challenge", sa.String(length=43), nullable=True),
        sa.Column("consumed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('ac', 'rt', 'at')", name=op.f("ck_tokens_kind_known")),
        sa.PrimaryKeyConstraint("bucket", "selector", name=op.f("pk_tokens")),
    )
    op.create_index(
        op.f("ix_tokens_bucket_grant_id"), "tokens", ["bucket", "grant_id"], unique=False
    )
    op.create_index(op.f("ix_tokens_expires_at"), "tokens", ["expires_at"], unique=False)
    op.create_table(
        "unlocks",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("selector", sa.Uuid(), nullable=False),
        sa.Column("sign_in", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("verifier", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "selector", name=op.f("pk_unlocks")),
    )
    op.create_index(op.f("ix_unlocks_expires_at"), "unlocks", ["expires_at"], unique=False)
    op.create_table(
        "vault_keys",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("public_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "bucket", "vault_id", "purpose", "version", name=op.f("pk_vault_keys")
        ),
    )
    op.create_table(
        "vaults",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("event_seq", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('active', 'deleted')", name=op.f("ck_vaults_state_known")),
        sa.PrimaryKeyConstraint("bucket", "id", name=op.f("pk_vaults")),
    )
    op.create_table(
        "record_versions",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["bucket", "vault_id", "record_id"],
            ["records.bucket", "records.vault_id", "records.id"],
            name="fk_record_versions_records",
        ),
        sa.PrimaryKeyConstraint(
            "bucket", "vault_id", "record_id", "version", name=op.f("pk_record_versions")
        ),
    )


def downgrade() -> None:  # noqa: PLR0915 - one statement for each table
    op.drop_table("record_versions")
    op.drop_table("vaults")
    op.drop_table("vault_keys")
    op.drop_index(op.f("ix_unlocks_expires_at"), table_name="unlocks")
    op.drop_table("unlocks")
    op.drop_index(op.f("ix_tokens_expires_at"), table_name="tokens")
    op.drop_index(op.f("ix_tokens_bucket_grant_id"), table_name="tokens")
    op.drop_table("tokens")
    op.drop_index(op.f("ix_throttles_expires_at"), table_name="throttles")
    op.drop_table("throttles")
    op.drop_index(op.f("ix_template_versions_organisation_id"), table_name="template_versions")
    op.drop_table("template_versions")
    op.drop_table("staged_batches")
    op.drop_index(op.f("ix_sign_ins_expires_at"), table_name="sign_ins")
    op.drop_table("sign_ins")
    op.drop_index(op.f("ix_requests_bucket_vault_id_state"), table_name="requests")
    op.drop_table("requests")
    op.drop_index(op.f("ix_replays_expires_at"), table_name="replays")
    op.drop_table("replays")
    op.drop_index("ix_records_merge", table_name="records")
    op.drop_index("ix_records_feed", table_name="records")
    op.drop_table("records")
    op.drop_index(op.f("ix_receipts_bucket_vault_id_created_at"), table_name="receipts")
    op.drop_table("receipts")
    op.drop_index(op.f("ix_pushed_requests_expires_at"), table_name="pushed_requests")
    op.drop_table("pushed_requests")
    op.drop_table("organisations")
    op.drop_index(op.f("ix_obligations_organisation_id_state_due_at"), table_name="obligations")
    op.drop_index(op.f("ix_obligations_bucket_vault_id"), table_name="obligations")
    op.drop_table("obligations")
    op.drop_table("notices")
    op.drop_table("login_names")
    op.drop_table("log_tiles")
    op.drop_table("log_state")
    op.drop_table("log_pending")
    op.drop_table("log_entries")
    op.drop_table("log_checkpoints")
    op.drop_table("leases")
    op.drop_index(op.f("ix_key_wraps_expires_at"), table_name="key_wraps")
    op.drop_index(op.f("ix_key_wraps_bucket_vault_id"), table_name="key_wraps")
    op.drop_table("key_wraps")
    op.drop_table("import_jobs")
    op.drop_index("ix_grants_organisation", table_name="grants")
    op.drop_index(op.f("ix_grants_bucket_vault_id"), table_name="grants")
    op.drop_index(op.f("ix_grants_bucket_agreement_id"), table_name="grants")
    op.drop_table("grants")
    op.drop_table("feed_pending")
    op.drop_table("feed_entries")
    op.drop_index("ix_events_vault", table_name="events")
    op.drop_table("events")
    op.drop_table("event_payloads")
    op.drop_index(op.f("ix_deposits_bucket_vault_id_state"), table_name="deposits")
    op.drop_table("deposits")
    op.drop_table("deployment_stream")
    op.drop_table("consent_events")
    op.drop_index(op.f("ix_connections_organisation_id_id"), table_name="connections")
    op.drop_table("connections")
    op.drop_table("collection_keys")
    op.drop_index(op.f("ix_clients_organisation_id"), table_name="clients")
    op.drop_table("clients")
    op.drop_table("auditors")
    op.drop_index("ix_agreements_expiry", table_name="agreements")
    op.drop_index(op.f("ix_agreements_bucket_vault_id"), table_name="agreements")
    op.drop_table("agreements")
    op.drop_table("agreement_versions")
    op.drop_table("accounts")
