"""Counts for charts: reads and refusals by organisation over time, and what is overdue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from consent.auditing import search
from consent.auditing.engagements import Scope
from consent.auditing.models import SearchableEvent
from consent.models import Obligation

_BY_DAY_MOST = timedelta(days=62)
_MONTH = 7  # characters of `2026-03`


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts by organisation and span; spans are days `2026-03-01` or months `2026-03`."""

    spans: tuple[str, ...]
    counts: Mapping[UUID, Mapping[str, int]]

    def total(self, organisation_id: UUID) -> int:
        """Return an organisation's count over all spans."""
        return sum(self.counts[organisation_id].values())

    @property
    def most(self) -> int:
        """Return the largest count of any bar."""
        return max((n for each in self.counts.values() for n in each.values()), default=0)


def over_time(session: Session, scope: Scope, event: str, *, now: datetime) -> Tally:
    """Count the events of a name by organisation, by days in UTC, or by months of long periods."""
    until = min(scope.until, now)
    width = _MONTH if until - scope.since > _BY_DAY_MOST else None
    counts: dict[UUID, dict[str, int]] = {}
    for organisation_id, days in by_day(session, scope, event).items():
        spans = counts.setdefault(organisation_id, {})
        for day, number in days.items():
            spans[day[:width]] = spans.get(day[:width], 0) + number
    axis = tuple(dict.fromkeys(each[:width] for each in _days(scope.since, until)))
    return Tally(axis, counts)


def by_day(session: Session, scope: Scope, event: str) -> dict[UUID, dict[str, int]]:
    """Count the events of a name by organisation and day in UTC, `2026-03-01`."""
    day = _day(session)
    query = (
        select(SearchableEvent.organisation_id, day, func.count())
        .where(
            search.in_scope(scope),
            SearchableEvent.name == event,
            SearchableEvent.organisation_id.is_not(None),
        )
        .group_by(SearchableEvent.organisation_id, day)
    )
    counts: dict[UUID, dict[str, int]] = {}
    for organisation_id, found, number in session.execute(query):
        if organisation_id is not None:
            counts.setdefault(organisation_id, {})[str(found)] = number
    return counts


def overdue(session: Session, scope: Scope, *, now: datetime) -> Mapping[UUID, int]:
    """Count what organisations owe and have not answered in time, by organisation."""
    query = (
        select(Obligation.organisation_id, func.count())
        .where(
            scope.is_of(Obligation.organisation_id),
            Obligation.state == "due",
            Obligation.due_at <= now,
            Obligation.created_at < scope.until,
        )
        .group_by(Obligation.organisation_id)
    )
    return {each.organisation_id: each[1] for each in session.execute(query)}


def _day(session: Session) -> ColumnElement[str]:
    # SQLite keeps instants in UTC as text; PostgreSQL would take the session's zone.
    minute = SearchableEvent.minute
    if session.get_bind().dialect.name == "sqlite":
        return func.date(minute)
    return func.date(func.timezone("UTC", minute))


def _days(since: datetime, until: datetime) -> list[str]:
    first, found = since.date(), []
    while first <= until.date():
        found.append(first.isoformat())
        first += timedelta(days=1)
    return found
