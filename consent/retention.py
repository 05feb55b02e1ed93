"""Retention: how long the parts of the log's entries are kept, by kind of event (LOG-9, AUD-13).

The table is `retention.yaml`. What is in no class, such as what the operator does, is kept. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from consent import durations
from pds.catalogue.files import read_yaml


@dataclass(frozen=True, slots=True)
class RetentionClass:
    """The periods of some kinds of events; None: kept for as long as the vault."""

    name: str
    events: tuple[str, ...]
    private: timedelta | None
    public: timedelta | None

    def has(self, event: str) -> bool:
        """Tell whether events of this name are of this class."""
        return any(
            event.startswith(each) if each.endswith(".") else event == each for each in self.events
        )

    def private_is_over(self, since: datetime, now: datetime) -> bool:
        """Tell whether the owner's part of what happened at `since` is to go."""
        return self.private is not None and now - since >= self.private

    def public_is_over(self, since: datetime, now: datetime) -> bool:
        """Tell whether the auditors' part of what ended at `since` is to go."""
        return self.public is not None and now - since >= self.public


def class_of(event: str) -> RetentionClass:
    """Return the class of an event by its name."""
    return next((each for each in CLASSES if each.has(event)), _KEPT)


def _read(table: object) -> tuple[RetentionClass, ...]:
    found: Mapping[str, Any] = table if isinstance(table, dict) else {}
    return tuple(
        RetentionClass(name, tuple(row["events"]), _period(row["private"]), _period(row["public"]))
        for name, row in found.items()
    )


def _period(text: object) -> timedelta | None:
    return None if text is None else durations.parse(text)


_KEPT = RetentionClass("kept", (), None, None)
CLASSES = _read(read_yaml("retention.yaml", package="consent"))
# Nothing younger has anything to erase.
SHORTEST = min(
    period for each in CLASSES for period in (each.private, each.public) if period is not None
)
