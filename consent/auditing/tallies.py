"""Counts for charts: reads and refusals by organisation over time, and what is overdue."""

from __future__ import annotations

from collections import defaultdict
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
    days = _days(scope.since, until)
    by_month = until - scope.since > _BY_DAY_MOST
    width = _MONTH if by_month else None
    counts: dict[UUID, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for organisation_id, found, number in session.execute(query):
        if organisation_id is not None:
            counts[organisation_id][str(found)[:width]] += number
    spans = tuple(dict.fromkeys(each[:width] for each in days))
    return Tally(spans, {each: dict(found) for each, found in counts.items()})


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
