"""Alerts of an engagement, and what auditors make of them (AUD-14)."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from api import searching
from api.wiring import Wiring
from consent.auditing import alerts, engagements
from consent.auditing.alerts import Alert
from consent.auditing.engagements import Seat


def find(services: Wiring, seat: Seat) -> list[Alert]:
    """Return the alerts of the engagement, logged as a search."""
    with services.uow.read() as session:
        found = alerts.find(session, seat.scope)
    searching.log(services, count=len(found))
    return found


def owners(services: Wiring, seat: Seat) -> dict[UUID, str]:
    """Return who may look after an alert: the auditors of the engagement, by name."""
    with services.uow.read() as session:
        return engagements.members(session, seat.scope.engagement_id)


def review(
    services: Wiring, seat: Seat, key: str, *, state: str, note: str, owner: str | None
) -> None:
    """Record what an auditor makes of an alert; `owner` None leaves it with whom it is.

    Raises:
        ValidationFailedError: there is no such alert, state or owner, or a note is missing.
    """
    now = services.clock.now()

    def job(session: Session) -> None:
        alerts.review(session, seat, key, state=state, note=note, owner=owner, now=now)

    services.uow.write(job)
