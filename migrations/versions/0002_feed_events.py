"""Entries of an organisation's feed name their event; overdue obligations are told of once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_FEEDS = ("feed_pending", "feed_entries")


def upgrade() -> None:
    for name in _FEEDS:
        with op.batch_alter_table(name) as table:
            table.add_column(sa.Column("event", sa.String(length=32)))
            table.add_column(sa.Column("obligation_id", sa.Uuid()))
            table.add_column(sa.Column("at", sa.DateTime(timezone=True)))
        feed = sa.table(
            name, sa.column("kind"), sa.column("event"), sa.column("at", sa.DateTime(timezone=True))
        )
        # What a consent came to is not known of an old entry: whoever reads it looks at the state.
        of_kind = sa.case((feed.c.kind == "data", "data.updated"), else_="consent.changed")
        op.execute(feed.update().values(event=of_kind, at=sa.func.current_timestamp()))
        with op.batch_alter_table(name) as table:
            table.alter_column("event", existing_type=sa.String(length=32), nullable=False)
            table.alter_column("at", existing_type=sa.DateTime(timezone=True), nullable=False)
            table.drop_column("kind")
    with op.batch_alter_table("obligations") as table:
        table.add_column(
            sa.Column("overdue_announced", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        table.create_index("ix_obligations_overdue", ["state", "overdue_announced", "due_at"])
    with op.batch_alter_table("obligations") as table:
        table.alter_column("overdue_announced", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("obligations") as table:
        table.drop_index("ix_obligations_overdue")
        table.drop_column("overdue_announced")
    for name in _FEEDS:
        feed = sa.table(name, sa.column("kind"), sa.column("event"))
        with op.batch_alter_table(name) as table:
            table.add_column(sa.Column("kind", sa.String(length=16)))
        of_event = sa.case((feed.c.event == "data.updated", "data"), else_="consent")
        op.execute(feed.update().values(kind=of_event))
        with op.batch_alter_table(name) as table:
            table.alter_column("kind", existing_type=sa.String(length=16), nullable=False)
            table.drop_column("event")
            table.drop_column("obligation_id")
            table.drop_column("at")
