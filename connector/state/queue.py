"""Whose contact must be looked at again, how far the feed was read, and what was rejected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, insert, select, update

from connector.clock import Clock
from connector.state.rows import put
from connector.state.schema import connection, cursor, dead, dirty

FEED = "changes"
POSTPONE_FIRST = timedelta(seconds=30)
POSTPONE_LONGEST = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class DirtyConnection:
    """A connection to look at; `mark` tells whether it was marked again meanwhile."""

    connection: str
    mark: int
    attempts: int


@dataclass(frozen=True, slots=True)
class DeadEntry:
    """A rejected row: which connection and field, in our words, never a value."""

    connection: str
    field: str
    error_class: str
    message: str
    first_at: datetime
    last_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue within one transaction."""

    sql: Connection
    clock: Clock

    def position(self) -> int | None:
        """Return how far the feed was read, or None if it never was."""
        query = select(cursor.c.value).where(cursor.c.stream == FEED)
        return self.sql.execute(query).scalar_one_or_none()

    def advance(self, position: int) -> None:
        """Note how far the feed was read, in the transaction that queued what it said."""
        put(self.sql, cursor, {"stream": FEED, "value": position})

    def mark(self, connection_id: str) -> None:
        """Queue a connection, or note that it changed once more; it is due at once."""
        now = self.clock.now()
        again = update(dirty).where(dirty.c.connection == connection_id)
        if not self.sql.execute(again.values(mark=dirty.c.mark + 1, next_at=now)).rowcount:
            self.sql.execute(
                insert(dirty).values(
                    connection=connection_id, mark=1, since=now, attempts=0, next_at=now
                )
            )

    def mark_all_active(self) -> None:
        """Queue every connection that lives."""
        query = select(connection.c.id).where(connection.c.state == "active")
        for connection_id in self.sql.execute(query).scalars().all():
            self.mark(connection_id)

    def due(self, *, only: str | None = None) -> list[DirtyConnection]:
        """Return what is due now, oldest first; `only` one connection, due or not."""
        is_due = dirty.c.next_at <= self.clock.now() if only is None else dirty.c.connection == only
        query = select(dirty).where(is_due).order_by(dirty.c.since, dirty.c.connection)
        return [
            DirtyConnection(row.connection, row.mark, row.attempts)
            for row in self.sql.execute(query)
        ]

    def clear(self, connection_id: str, *, mark: int) -> None:
        """Take a connection off the queue, unless it was marked again since `mark`."""
        same = (dirty.c.connection == connection_id) & (dirty.c.mark == mark)
        self.sql.execute(delete(dirty).where(same))

    def postpone(self, connection_id: str, *, for_seconds: float | None = None) -> None:
        """Try a connection again later: after so many seconds, else twice as late each time."""
        query = select(dirty.c.attempts).where(dirty.c.connection == connection_id)
        attempts = self.sql.execute(query).scalar_one_or_none() or 0
        pause = backoff(attempts) if for_seconds is None else timedelta(seconds=for_seconds)
        later = update(dirty).where(dirty.c.connection == connection_id)
        self.sql.execute(later.values(attempts=attempts + 1, next_at=self.clock.now() + pause))

    def forget(self, connection_id: str) -> None:
        """Drop all work for a connection: its consent ended."""
        self.sql.execute(delete(dirty).where(dirty.c.connection == connection_id))
        self.accept(connection_id)

    def reject(self, connection_id: str, *, field: str, error_class: str, message: str) -> None:
        """List a connection as rejected; it is tried again later, from a fresh snapshot."""
        now = self.clock.now()
        query = select(dead).where(dead.c.connection == connection_id)
        known = self.sql.execute(query).one_or_none()
        attempts = 0 if known is None else known.attempts
        put(
            self.sql,
            dead,
            {
                "connection": connection_id,
                "field": field,
                "error_class": error_class,
                "message": message,
                "first_at": now if known is None else known.first_at,
                "last_at": now,
                "attempts": attempts + 1,
                "next_at": now + backoff(attempts),
            },
        )

    def accept(self, connection_id: str) -> None:
        """Take a connection off the list of rejects."""
        self.sql.execute(delete(dead).where(dead.c.connection == connection_id))

    def dead(self) -> list[DeadEntry]:
        """Return the rejects, oldest first."""
        query = select(dead).order_by(dead.c.first_at, dead.c.connection)
        return [
            DeadEntry(
                row.connection,
                row.field,
                row.error_class,
                row.message,
                row.first_at,
                row.last_at,
                row.attempts,
            )
            for row in self.sql.execute(query)
        ]

    def revive(self, *, due_only: bool) -> Sequence[str]:
        """Queue rejected connections again, all or only those whose pause is over (CON-20)."""
        query = select(dead.c.connection).order_by(dead.c.connection)
        if due_only:
            query = query.where(dead.c.next_at <= self.clock.now())
        revived = self.sql.execute(query).scalars().all()
        for connection_id in revived:
            self.mark(connection_id)
        return revived

    def lengths(self) -> tuple[int, int]:
        """Return how many connections are queued and how many are rejected."""
        queued = self.sql.execute(select(func.count()).select_from(dirty)).scalar_one()
        rejected = self.sql.execute(select(func.count()).select_from(dead)).scalar_one()
        return queued, rejected


def backoff(attempts: int) -> timedelta:
    """Return the pause after so many failed attempts: 30 seconds, doubled, at most 6 hours."""
    return min(POSTPONE_FIRST * (1 << min(attempts, 16)), POSTPONE_LONGEST)
