"""Cosignatures beside checkpoints, and which tree is published."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What was signed was published at once."""
    with op.batch_alter_table("log_state") as table:
        table.add_column(sa.Column("published_size", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("halted", sa.Text(), nullable=True))
        table.add_column(sa.Column("continues", sa.Text(), nullable=True))
    op.execute("UPDATE log_state SET published_size = size")
    with op.batch_alter_table("log_state") as table:
        table.alter_column("published_size", existing_type=sa.BigInteger(), nullable=False)
    with op.batch_alter_table("log_checkpoints") as table:
        table.add_column(sa.Column("cosignatures", sa.Text(), server_default="", nullable=False))
    with op.batch_alter_table("log_checkpoints") as table:
        table.alter_column("cosignatures", existing_type=sa.Text(), server_default=None)


def downgrade() -> None:
    """Cosignatures are lost; witnesses give them again."""
    with op.batch_alter_table("log_checkpoints") as table:
        table.drop_column("cosignatures")
    with op.batch_alter_table("log_state") as table:
        table.drop_column("continues")
        table.drop_column("halted")
        table.drop_column("published_size")
