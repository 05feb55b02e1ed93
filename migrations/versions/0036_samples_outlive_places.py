"""Samples name the log that they were drawn from, and their events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_PLACED = sa.text("""
    UPDATE sample_items SET
        bucket = (SELECT bucket FROM log_entries WHERE log_entries."index" = sample_items."index"),
        event_id = (
            SELECT event_id FROM log_entries WHERE log_entries."index" = sample_items."index"
        )
""")
_OF_THE_LOG = sa.text(
    "UPDATE samples SET origin = COALESCE((SELECT MAX(origin) FROM log_state), '')"
)


def upgrade() -> None:
    """Those that were drawn already are taken to be of the log as it stands."""
    with op.batch_alter_table("samples", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("origin", sa.String(length=200), nullable=False, server_default="")
        )
    with op.batch_alter_table("sample_items", schema=None) as batch_op:
        batch_op.add_column(sa.Column("bucket", sa.SmallInteger(), nullable=True))
        batch_op.add_column(sa.Column("event_id", sa.Uuid(), nullable=True))
    op.execute(_OF_THE_LOG)
    op.execute(_PLACED)
    with op.batch_alter_table("samples", schema=None) as batch_op:
        batch_op.alter_column("origin", server_default=None)


def downgrade() -> None:
    """Places alone name the events again."""
    with op.batch_alter_table("sample_items", schema=None) as batch_op:
        batch_op.drop_column("event_id")
        batch_op.drop_column("bucket")
    with op.batch_alter_table("samples", schema=None) as batch_op:
        batch_op.drop_column("origin")
