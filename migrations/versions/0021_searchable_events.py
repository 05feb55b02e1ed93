"""Searchable events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The worker fills it from the log."""
    op.create_table(
        "searchable_events",
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=True),
        sa.Column("is_operators", sa.Boolean(), nullable=False),
        sa.Column("grant_id", sa.Uuid(), nullable=True),
        sa.Column("purpose", sa.String(length=40), nullable=True),
        sa.Column("collections", sa.String(length=400), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("index", name=op.f("pk_searchable_events")),
    )
    with op.batch_alter_table("searchable_events", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_searchable_events_grant_id_index"), ["grant_id", "index"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_searchable_events_name_index"), ["name", "index"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_searchable_events_organisation_id_index"),
            ["organisation_id", "index"],
            unique=False,
        )


def downgrade() -> None:
    """Auditors take everything and search at home."""
    with op.batch_alter_table("searchable_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_searchable_events_organisation_id_index"))
        batch_op.drop_index(batch_op.f("ix_searchable_events_name_index"))
        batch_op.drop_index(batch_op.f("ix_searchable_events_grant_id_index"))

    op.drop_table("searchable_events")
