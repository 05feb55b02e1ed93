"""Programs that a person lets read their own vault."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """There are none yet."""
    op.create_table(
        "personal_apps",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("label_box", sa.LargeBinary(), nullable=False),
        sa.Column("jkt", sa.String(length=43), nullable=False),
        sa.Column("collections", sa.JSON(), nullable=False),
        sa.Column("verifier", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reads", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "id", name=op.f("pk_personal_apps")),
    )
    op.create_index(
        op.f("ix_personal_apps_bucket_vault_id"),
        "personal_apps",
        ["bucket", "vault_id"],
        unique=False,
    )


def downgrade() -> None:
    """The programs are let go: their keys would be held by nobody who could end them."""
    op.execute("DELETE FROM key_wraps WHERE by_kind IN ('app', 'app-token')")
    op.execute("DELETE FROM key_wraps WHERE by_kind = 'vrk' AND wrapped_kind = 'app'")
    op.drop_index(op.f("ix_personal_apps_bucket_vault_id"), table_name="personal_apps")
    op.drop_table("personal_apps")
