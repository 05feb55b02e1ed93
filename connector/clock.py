"""The only place of the connector that reads the clock or waits."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the present instant and waits."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the connector's one place that may

    def sleep(self, seconds: float) -> None:
        """Block this thread for so many seconds."""
        time.sleep(max(0.0, seconds))


def rfc3339(instant: datetime) -> str:
    """Write an instant as RFC 3339 in UTC, in whole seconds, with `Z`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_rfc3339(text: str) -> datetime:
    """Read an RFC 3339 instant in UTC, with or without a fraction of a second.

    Raises:
        ValueError: `text` is no RFC 3339 instant with a zone.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant without a zone")
    return instant.astimezone(UTC)
