"""Consent events name the act that brought them about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Until now a status had one act each, but for a partial consent, which counts as one."""
    with op.batch_alter_table("consent_events") as batch:
        batch.add_column(sa.Column("act", sa.String(length=16), nullable=True))
    op.execute(
        "UPDATE consent_events SET act = CASE status"
        " WHEN 'dpv:ConsentGiven' THEN 'allow'"
        " WHEN 'dpv:ConsentWithdrawn' THEN 'withdraw'"
        " WHEN 'dpv:ConsentExpired' THEN 'expire'"
        " ELSE 'replace' END"
    )
    with op.batch_alter_table("consent_events") as batch:
        batch.alter_column("act", existing_type=sa.String(length=16), nullable=False)


def downgrade() -> None:
    """Drop the column."""
    with op.batch_alter_table("consent_events") as batch:
        batch.drop_column("act")
