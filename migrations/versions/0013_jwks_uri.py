"""Clients that publish their keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Clients of before registered their keys."""
    with op.batch_alter_table("clients", schema=None) as batch_op:
        batch_op.add_column(sa.Column("jwks_uri", sa.String(length=2000), nullable=True))
        for name in ("jwks_fetched_at", "jwks_tried_at"):
            batch_op.add_column(sa.Column(name, sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """The keys that were fetched last stay, as if they had been registered."""
    with op.batch_alter_table("clients", schema=None) as batch_op:
        batch_op.drop_column("jwks_tried_at")
        batch_op.drop_column("jwks_fetched_at")
        batch_op.drop_column("jwks_uri")
