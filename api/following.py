"""Following consents as an auditor: what API and pages ask, each logged (AUD-3 to AUD-7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from api import searching
from api.wiring import Wiring
from consent.auditing import access as access_check
from consent.auditing import timelines
from consent.auditing.access import AccessCheck
from consent.auditing.engagements import Seat
from consent.auditing.timelines import Instant, Latency, Timeline


@dataclass(frozen=True, slots=True)
class Course:
    """A consent's timeline, and what stood at an instant if one was asked for."""

    timeline: Timeline
    instant: Instant | None


def follow(
    services: Wiring, seat: Seat, agreement_id: UUID, *, at: datetime | None = None
) -> Course:
    """Return one consent's course.

    Raises:
        NotFoundError: there is no such agreement, or it or the instant is outside the engagement.
    """
    bucket = services.ids.bucket_of(agreement_id)
    with services.uow.read() as session:
        found = timelines.agreement(session, seat.scope, bucket, agreement_id)
        timeline = timelines.of_agreement(session, seat.scope, found)
        instant = timelines.at(session, seat.scope, found, at) if at else None
    searching.log(services, count=len(timeline.steps))
    return Course(timeline, instant)


def withdrawals(services: Wiring, seat: Seat, *, limit: int) -> list[Latency]:
    """Return how the withdrawals of the period were heeded, newest first."""
    with services.uow.read() as session:
        found = timelines.withdrawn(session, seat.scope, limit=limit)
    searching.log(services, count=len(found))
    return found


def access(services: Wiring, seat: Seat, *, after: UUID | None, limit: int) -> AccessCheck:
    """Hold the reads under some grants against their consents."""
    key = None if after is None else (services.ids.bucket_of(after), after)
    with services.uow.read() as session:
        found = access_check.check(session, seat.scope, after=key, limit=limit)
    searching.log(services, count=found.reads)
    return found
