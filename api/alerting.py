"""Alerts of an engagement, and what auditors make of them (AUD-14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.orm import Session

from api import searching
from api.wiring import Wiring
from consent.auditing import alerts, engagements
from consent.auditing.alerts import Alerts, Kind
from consent.auditing.engagements import Seat
from pds.errors import Issue, ValidationFailedError

_PLACE = re.compile(r"[0-9]{1,18}", re.ASCII)


def find(services: Wiring, seat: Seat) -> Alerts:
    """Return the alerts of the engagement, logged as a search."""
    with services.uow.read() as session:
        found = alerts.find(session, seat.scope)
    searching.log(services, count=len(found.found))
    return found


def asked(services: Wiring, seat: Seat, given: Mapping[str, str]) -> Alerts:
    """Return what `kind` and `before` of a query ask for: earlier alerts of a kind, or all kinds.

    Raises:
        ValidationFailedError: there is no such kind, or no such place.
    """
    if not given.get("kind"):
        return find(services, seat)
    issues = []
    kind, before = given["kind"], given.get("before", "")
    if kind not in alerts.OF_ENTRIES:
        issues.append(Issue("/kind", "unknown", f"one of {', '.join(alerts.OF_ENTRIES)}"))
    if not _PLACE.fullmatch(before):
        issues.append(Issue("/before", "malformed", "use what `earlier` of the last page has"))
    if issues:
        raise ValidationFailedError(issues)
    with services.uow.read() as session:
        found = alerts.earlier(session, seat.scope, Kind(kind), before=int(before))
    searching.log(services, count=len(found.found))
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
