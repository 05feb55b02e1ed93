"""Erasure and holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing was erased before, and nothing was held."""
    op.create_table(
        "event_erasures",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "event_id", name=op.f("pk_event_erasures")),
    )
    op.create_table(
        "legal_holds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("target", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "scope IN ('organisation', 'grant', 'vault')", name=op.f("ck_legal_holds_scope_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_holds")),
    )


def downgrade() -> None:
    """What was erased stays so; its numbers are gaps to the earlier version."""
    op.drop_table("legal_holds")
    op.drop_table("event_erasures")
