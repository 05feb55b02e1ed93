"""When the one fetch of access mode `once` was had; an organisation's grants bucket by bucket."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_INDEX = "ix_grants_organisation"


def upgrade() -> None:
    """Grants of before are of other modes, which have no such fetch."""
    op.add_column("grants", sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_index(_INDEX, table_name="grants")
    op.create_index(_INDEX, "grants", ["organisation_id", "state", "bucket"])


def downgrade() -> None:
    """Drop the column, which no table is copied for: SQLite knows how since 3.35."""
    op.drop_index(_INDEX, table_name="grants")
    op.create_index(_INDEX, "grants", ["organisation_id", "state"])
    op.drop_column("grants", "fetched_at")
