"""Alerts of an engagement, and what auditors make of them (AUD-14)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from api import searching
from api.wiring import Wiring
from consent.auditing import alerts
from consent.auditing.alerts import Alert
from consent.auditing.engagements import Seat


def find(services: Wiring, seat: Seat) -> list[Alert]:
    """Return the alerts of the engagement, logged as a search."""
    with services.uow.read() as session:
        found = alerts.find(session, seat.scope)
    searching.log(services, count=len(found))
    return found


def review(services: Wiring, seat: Seat, key: str, *, state: str, note: str) -> None:
    """Record what an auditor makes of an alert.

    Raises:
        ValidationFailedError: there is no such alert or state, or a note is missing.
    """
    now = services.clock.now()

    def job(session: Session) -> None:
        alerts.review(session, seat, key, state=state, note=note, now=now)

    services.uow.write(job)
