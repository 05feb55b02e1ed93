"""Engagements of auditors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody is engaged: the operator opens engagements anew."""
    op.create_table(
        "auditor_sign_ins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("auditor_id", sa.Uuid(), nullable=False),
        sa.Column("verifier", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auditor_sign_ins")),
    )
    with op.batch_alter_table("auditor_sign_ins", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_auditor_sign_ins_expires_at"), ["expires_at"], unique=False
        )

    op.create_table(
        "engagement_members",
        sa.Column("engagement_id", sa.Uuid(), nullable=False),
        sa.Column("auditor_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("engagement_id", "auditor_id", name=op.f("pk_engagement_members")),
    )
    with op.batch_alter_table("engagement_members", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_engagement_members_auditor_id"), ["auditor_id"], unique=False
        )

    op.create_table(
        "engagements",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisations", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_engagements")),
    )


def downgrade() -> None:
    """Every access opens everything again."""
    op.drop_table("engagements")
    with op.batch_alter_table("engagement_members", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_engagement_members_auditor_id"))

    op.drop_table("engagement_members")
    with op.batch_alter_table("auditor_sign_ins", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_auditor_sign_ins_expires_at"))

    op.drop_table("auditor_sign_ins")
