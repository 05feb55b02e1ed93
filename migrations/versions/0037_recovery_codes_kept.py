"""When a person last showed that they kept their recovery code."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody knows it of those who were asked before: their home page asks them once."""
    with op.batch_alter_table("accounts") as table:
        table.add_column(sa.Column("recovery_kept_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Who kept a code is forgotten; the codes stay as they are."""
    with op.batch_alter_table("accounts") as table:
        table.drop_column("recovery_kept_at")
