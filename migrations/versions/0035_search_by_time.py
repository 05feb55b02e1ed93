"""An index of searchable events by their time."""

from __future__ import annotations

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of what is searchable already, too."""
    with op.batch_alter_table("searchable_events", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_searchable_events_minute_index"), ["minute", "index"], unique=False
        )


def downgrade() -> None:
    """A search by time looks at every event again."""
    with op.batch_alter_table("searchable_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_searchable_events_minute_index"))
