"""Who sits at the auditor's desk, by secret or by cookie, and in which engagement (AUD-1)."""

from __future__ import annotations

from uuid import UUID

from api.wiring import Wiring
from consent import auditors
from consent.auditing import engagements, sign_ins
from consent.auditing.engagements import Seat
from consent.auditing.models import Engagement
from consent.models import Auditor
from pds.errors import Issue, NotFoundError, ValidationFailedError


def by_access(services: Wiring, access: str) -> Auditor | None:
    """Return the auditor whose access secret this is, or None."""
    with services.uow.read() as session:
        return auditors.find(session, access, now=services.clock.now())


def by_cookie(services: Wiring, cookie: str) -> Auditor | None:
    """Return the auditor whose browser's cookie this is, or None."""
    with services.uow.read() as session:
        return sign_ins.resolve(session, cookie, now=services.clock.now())


def engagements_of(services: Wiring, auditor: Auditor) -> list[Engagement]:
    """Return the engagements in which an auditor may work now, oldest first."""
    with services.uow.read() as session:
        return engagements.living(session, auditor.id, now=services.clock.now())


def take(services: Wiring, auditor: Auditor, engagement_id: UUID | None) -> Seat:
    """Return an auditor's seat; without an id, in their only engagement.

    Raises:
        NotFoundError: they have no such engagement, or it has ended.
        ValidationFailedError: they have several, and named none.
    """
    if engagement_id is None:
        found = engagements_of(services, auditor)
        if len(found) > 1:
            detail = f"name one of {', '.join(str(each.id) for each in found)}"
            raise ValidationFailedError([Issue("/engagement", "missing", detail)])
        if not found:
            raise NotFoundError
        engagement_id = found[0].id
    with services.uow.read() as session:
        return engagements.seat(
            session,
            auditor,
            engagement_id,
            root=services.keys.pseudonym,
            now=services.clock.now(),
        )
