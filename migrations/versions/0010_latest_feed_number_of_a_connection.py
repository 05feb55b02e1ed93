"""An index that leads to the latest number of a connection in its organisation's feed."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INDEX = "ix_feed_entries_connection"


def upgrade() -> None:
    """Index what the list of connections asks for each of them."""
    op.create_index(_INDEX, "feed_entries", ["organisation_id", "connection_id", "number"])


def downgrade() -> None:
    """Drop it: the list is slower without."""
    op.drop_index(_INDEX, table_name="feed_entries")
