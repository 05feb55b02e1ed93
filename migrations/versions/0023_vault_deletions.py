"""Vault deletions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "vault_deletions",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("is_limited", sa.Boolean(), nullable=False),
        sa.Column("asks_erasure", sa.Boolean(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "vault_id", name=op.f("pk_vault_deletions")),
    )
    with op.batch_alter_table("vault_deletions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vault_deletions_due_at"), ["due_at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("vault_deletions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_vault_deletions_due_at"))

    op.drop_table("vault_deletions")
