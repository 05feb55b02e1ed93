"""Clients have what they registered for; a client's waiting requests are counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Clients of before have all that there is, as they had."""
    with op.batch_alter_table("clients", schema=None) as batch_op:
        batch_op.add_column(sa.Column("grant_types", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("scopes", sa.JSON(), nullable=True))
    op.create_index(
        op.f("ix_pushed_requests_client_id_expires_at"),
        "pushed_requests",
        ["client_id", "expires_at"],
    )


def downgrade() -> None:
    """Every client may do everything again."""
    op.drop_index(op.f("ix_pushed_requests_client_id_expires_at"), table_name="pushed_requests")
    with op.batch_alter_table("clients", schema=None) as batch_op:
        batch_op.drop_column("scopes")
        batch_op.drop_column("grant_types")
