"""Alert reviews."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody made anything of an alert yet."""
    op.create_table(
        "alert_reviews",
        sa.Column("engagement_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("auditor_id", sa.Uuid(), nullable=False),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("engagement_id", "key", name=op.f("pk_alert_reviews")),
    )


def downgrade() -> None:
    """Alerts are computed; what was made of them is lost."""
    op.drop_table("alert_reviews")
