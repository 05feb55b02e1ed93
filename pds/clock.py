"""The only place that reads the wall clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the present instant."""

    def now(self) -> datetime:
        """Return the present instant, in UTC, with microseconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place that may


def rfc3339(instant: datetime) -> str:
    """Write an instant as RFC 3339 in UTC, in whole seconds, with `Z`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_the_minute(instant: datetime) -> str:
    """Write an instant as RFC 3339 with the seconds cut to zero (P-32)."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:00Z")


def from_rfc3339(text: str) -> datetime:
    """Invert `rfc3339`.

    Raises:
        ValueError: `text` is no RFC 3339 instant in UTC.
    """
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
