"""Codes of a merge end the refresh tokens that were there before (Grant Management)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Codes of before came of no merge."""
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("merges", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.alter_column("merges", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.drop_column("merges")
