"""Custody."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing was taken as a pack yet."""
    op.create_table(
        "custody",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("engagement_id", sa.Uuid(), nullable=False),
        sa.Column("auditor_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("r_priv", sa.LargeBinary(length=32), nullable=False),
        sa.Column("stream_seq", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_custody")),
    )
    with op.batch_alter_table("custody", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_custody_engagement_id_taken_at"),
            ["engagement_id", "taken_at"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_custody_sha256"), ["sha256"], unique=False)


def downgrade() -> None:
    """The log still tells that something was taken, no longer what."""
    with op.batch_alter_table("custody", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_custody_sha256"))
        batch_op.drop_index(batch_op.f("ix_custody_engagement_id_taken_at"))

    op.drop_table("custody")
