"""Freezing organisations: whose keys were stolen, and which keys are refused for ever."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody was frozen before."""
    op.create_table(
        "refused_keys",
        sa.Column("thumbprint", sa.String(length=43), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("thumbprint", name=op.f("pk_refused_keys")),
    )
    with op.batch_alter_table("organisations", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("key_generation", sa.Integer(), nullable=False, server_default="0")
        )
        batch_op.add_column(
            sa.Column("is_frozen", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        batch_op.add_column(sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("freeze_reason", sa.String(length=24), nullable=True))
        batch_op.add_column(
            sa.Column("freeze_told", sa.Integer(), nullable=False, server_default="0")
        )
    with op.batch_alter_table("organisations", schema=None) as batch_op:
        for name in ("key_generation", "is_frozen", "freeze_told"):
            batch_op.alter_column(name, server_default=None)
    with op.batch_alter_table("grants", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("key_generation", sa.Integer(), nullable=False, server_default="0")
        )
        batch_op.add_column(
            sa.Column("freeze_told", sa.Integer(), nullable=False, server_default="0")
        )
    with op.batch_alter_table("grants", schema=None) as batch_op:
        for name in ("key_generation", "freeze_told"):
            batch_op.alter_column(name, server_default=None)


def downgrade() -> None:
    """What is frozen would be served again: suspend it first."""
    with op.batch_alter_table("grants", schema=None) as batch_op:
        batch_op.drop_column("freeze_told")
        batch_op.drop_column("key_generation")
    with op.batch_alter_table("organisations", schema=None) as batch_op:
        for name in ("freeze_told", "freeze_reason", "frozen_at", "is_frozen", "key_generation"):
            batch_op.drop_column(name)
    op.drop_table("refused_keys")
