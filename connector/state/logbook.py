"""The log entries that answers named, and how far the log was found to hold them (P-33)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, delete, insert, select, update

from connector.errors import AnswerRejectedError
from connector.pds import models
from connector.state.rows import put
from connector.state.schema import log_checkpoint, log_entry, log_stream
from consent.formats.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class CitedStream:
    """A row of `log_stream`; see the schema for what the columns mean."""

    stream: str
    seq: int
    verified_seq: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class CitedEntry:
    """An entry that an answer of `count` records named, and that was not looked up yet."""

    seq: int
    count: int
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Logbook:
    """What is known of the server's log within one transaction."""

    sql: Connection

    def cite(
        self, entries: Sequence[models.LogEntry], *, seen_at: datetime, latest_only: bool
    ) -> None:
        """Keep what answers named: each entry until it is looked up, and the latest for good.

        Args:
            entries: in the order of the answers.
            seen_at: when they were named.
            latest_only: nothing is going to be looked up.

        Raises:
            AnswerRejectedError: a place was named before: one of the two reads is not in the log.
        """
        for entry in entries:
            known = self.find(entry.stream)
            if known is not None and entry.seq <= known.seq:
                raise AnswerRejectedError("a log entry that was named before")
            values: dict[str, object] = {"stream": entry.stream, "seq": entry.seq}
            put(
                self.sql,
                log_stream,
                values | ({"verified_seq": 0} if known is None else {}),
            )
            if latest_only:
                self._forget(entry.stream, through=entry.seq)
            row = values | {"count": entry.count, "seen_at": seen_at}
            self.sql.execute(insert(log_entry).values(row))

    def find(self, stream: str) -> CitedStream | None:
        """Return what is known of a stream, or None."""
        query = select(log_stream).where(log_stream.c.stream == stream)
        row = self.sql.execute(query).one_or_none()
        return None if row is None else _cited(row)

    def all(self) -> list[CitedStream]:
        """Return every stream that an answer named."""
        return [_cited(row) for row in self.sql.execute(select(log_stream).order_by("stream"))]

    def waiting(self) -> list[CitedStream]:
        """Return those whose latest entry was not found in the log yet."""
        query = select(log_stream).where(log_stream.c.verified_seq < log_stream.c.seq)
        return [_cited(row) for row in self.sql.execute(query.order_by("stream"))]

    def entries(self, stream: str) -> list[CitedEntry]:
        """Return the entries of a stream that were named and not looked up yet, in order."""
        columns = (log_entry.c.seq, log_entry.c["count"], log_entry.c.seen_at)
        query = select(*columns).where(log_entry.c.stream == stream).order_by(log_entry.c.seq)
        return [CitedEntry(*row) for row in self.sql.execute(query)]

    def note_held(self, stream: str, *, through: int) -> None:
        """Note that the log holds a stream's entries up to a number, inclusive."""
        self._update(stream, verified_seq=through, problem=None)
        self._forget(stream, through=through)

    def note_problem(self, stream: str, problem: str) -> None:
        """Note that the log does not hold what it should; `problem` is in our words."""
        self._update(stream, problem=problem)

    def checkpoint(self, origin: str) -> Checkpoint | None:
        """Return the last tree that verified, or None."""
        query = select(log_checkpoint).where(log_checkpoint.c.origin == origin)
        row = self.sql.execute(query).one_or_none()
        return None if row is None else Checkpoint(origin, row.size, row.root)

    def note_checkpoint(self, verified: Checkpoint, *, note: str) -> None:
        """Keep the last tree that verified, with its signed note: evidence against the log."""
        values = {"origin": verified.origin, "size": verified.size, "root": verified.root}
        put(self.sql, log_checkpoint, values | {"note": note})

    def _forget(self, stream: str, *, through: int) -> None:
        gone = (log_entry.c.stream == stream) & (log_entry.c.seq <= through)
        self.sql.execute(delete(log_entry).where(gone))

    def _update(self, stream: str, **values: object) -> None:
        self.sql.execute(update(log_stream).where(log_stream.c.stream == stream).values(**values))


def _cited(row: Row[tuple[object, ...]]) -> CitedStream:
    return CitedStream(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
