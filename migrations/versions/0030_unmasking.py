"""Pseudonyms that auditors want opened, and who looks after an alert."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody asked for a name yet, and nobody looks after an alert."""
    op.create_table(
        "unmaskings",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("engagement_id", sa.Uuid(), nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=False),
        sa.Column("way", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("decider", sa.String(length=12), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("open_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken_back_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "decided_by IS NULL OR decided_by <> asked_by", name=op.f("ck_unmaskings_two_persons")
        ),
        sa.CheckConstraint(
            "state = 'waiting' OR (decided_at IS NOT NULL AND decider IS NOT NULL)",
            name=op.f("ck_unmaskings_decided"),
        ),
        sa.CheckConstraint(
            "(decider = 'person') = (way = 'consent')", name=op.f("ck_unmaskings_way")
        ),
        sa.PrimaryKeyConstraint("bucket", "id", name=op.f("pk_unmaskings")),
    )
    with op.batch_alter_table("unmaskings", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_unmaskings_bucket_vault_id"), ["bucket", "vault_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_unmaskings_engagement_id_asked_at"),
            ["engagement_id", "asked_at"],
            unique=False,
        )
    op.add_column("alert_reviews", sa.Column("owner_id", sa.Uuid(), nullable=True))


def downgrade() -> None:
    """Whatever was opened is closed; the log's entries about it stay."""
    op.drop_column("alert_reviews", "owner_id")
    with op.batch_alter_table("unmaskings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_unmaskings_engagement_id_asked_at"))
        batch_op.drop_index(batch_op.f("ix_unmaskings_bucket_vault_id"))
    op.drop_table("unmaskings")
