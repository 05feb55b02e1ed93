"""Entries that were erased stay among searchable events, without what they said."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

_MINUTE = {
    "sqlite": "substr(events.at, 1, 16) || '\\:00.000000'",
    "postgresql": "date_trunc('minute', events.at)",
}
_GONE = """
    UPDATE searchable_events
    SET name = '', purpose = NULL, collections = '', outcome = '', channel = '', count = 0
    WHERE outcome = 'erased' AND EXISTS (
        SELECT 1 FROM log_entries
        JOIN event_erasures ON event_erasures.bucket = log_entries.bucket
            AND event_erasures.event_id = log_entries.event_id
        WHERE log_entries."index" = searchable_events."index"
    )
"""
# Up to where the worker has come: what is after that it takes in by itself.
_MISSING = """
    INSERT INTO searchable_events ("index", minute, name, organisation_id, is_operators, grant_id,
        purpose, collections, outcome, channel, count)
    SELECT log_entries."index", {minute}, '', grants.organisation_id, events.stream = 'd',
        events.grant_id, NULL, '', '', '', 0
    FROM event_erasures
    JOIN events ON events.bucket = event_erasures.bucket AND events.id = event_erasures.event_id
    JOIN log_entries ON log_entries.bucket = events.bucket AND log_entries.event_id = events.id
    LEFT JOIN grants ON grants.bucket = events.bucket AND grants.id = events.grant_id
    WHERE log_entries."index" < (SELECT MAX("index") FROM searchable_events)
        AND NOT EXISTS (
            SELECT 1 FROM searchable_events AS known
            WHERE known."index" = log_entries."index"
        )
"""


def upgrade() -> None:
    """Of what was erased already, too."""
    op.execute(sa.text(_GONE))
    op.execute(sa.text(_MISSING.format(minute=_MINUTE[op.get_bind().dialect.name])))


def downgrade() -> None:
    """They are passed over in silence again."""
    op.execute(sa.text("DELETE FROM searchable_events WHERE name = ''"))
