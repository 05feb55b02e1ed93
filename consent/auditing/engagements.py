"""Engagements: which organisations and which period an auditor may look at, and until when.

The operator opens and ends them. Whatever is outside answers as what is not there (AUD-1).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, insert, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from consent.auditing.models import Engagement, EngagementMember
from consent.auditing.pseudonyms import Pseudonyms
from consent.log.entries import EventLog
from consent.models import Auditor, Organisation
from consent.vocabulary import EventName
from pds.errors import Issue, NotFoundError, ValidationFailedError
from pds.ids import random_uuid


@dataclass(frozen=True, slots=True)
class Scope:
    """What an engagement covers.

    `organisations` is None where it covers all. The period is `since`, inclusive, to `until`,
    exclusive.
    """

    engagement_id: UUID
    organisations: frozenset[UUID] | None
    since: datetime
    until: datetime
    expires_at: datetime
    pseudonyms: Pseudonyms

    @property
    def covers_everyone(self) -> bool:
        """Tell whether it covers the whole deployment, the operator's acts included."""
        return self.organisations is None

    def is_of(self, column: InstrumentedAttribute[UUID]) -> ColumnElement[bool]:
        """Return the condition that a column names one of its organisations."""
        return true() if self.organisations is None else column.in_(sorted(self.organisations))

    def covers(self, organisation_id: UUID) -> bool:
        """Tell whether an organisation is one of its own."""
        return self.organisations is None or organisation_id in self.organisations

    def is_in_period(self, at: datetime) -> bool:
        """Tell whether an instant lies in its period."""
        return self.since <= at < self.until


@dataclass(frozen=True, slots=True)
class Seat:
    """An auditor at work in an engagement."""

    auditor_id: UUID
    name: str
    scope: Scope


def engage(
    session: Session,
    auditors: Collection[UUID],
    *,
    organisations: Collection[UUID] | None,
    since: datetime,
    until: datetime,
    expires_at: datetime,
    log: EventLog,
    now: datetime,
) -> UUID:
    """Open an engagement; returns its id.

    Args:
        session: of a write job.
        auditors: who works in it.
        organisations: whose consents and reads are looked at; None: everyone's.
        since: where the period begins, inclusive.
        until: where it ends, exclusive; it may lie ahead.
        expires_at: until when they may look.
        log: takes the event.
        now: the present instant.

    Raises:
        NotFoundError: there is no such auditor or organisation.
        ValidationFailedError: period or expiry make no sense, or nothing is looked at.
    """
    _must_exist(session, Auditor, auditors)
    _must_exist(session, Organisation, organisations or ())
    issues = []
    if not auditors:
        issues.append(Issue("auditors", "missing", "name an auditor"))
    if organisations is not None and not organisations:
        issues.append(Issue("organisations", "missing", "name an organisation, or all of them"))
    if since >= until:
        issues.append(Issue("until", "range", "the period ends after it begins"))
    if expires_at <= now:
        issues.append(Issue("expires_at", "range", "an engagement ends in the future"))
    if issues:
        raise ValidationFailedError(issues)
    engagement_id = random_uuid()
    session.execute(
        insert(Engagement).values(
            id=engagement_id,
            organisations=None if organisations is None else sorted(map(str, organisations)),
            since=since,
            until=until,
            opened_at=now,
            expires_at=expires_at,
        )
    )
    session.execute(
        insert(EngagementMember),
        [{"engagement_id": engagement_id, "auditor_id": each} for each in sorted(set(auditors))],
    )
    log.append_deployment(session, EventName.ENGAGEMENT_OPENED, at=now, count=len(set(auditors)))
    return engagement_id


def end(session: Session, engagement_id: UUID, *, log: EventLog, now: datetime) -> None:
    """End an engagement at once; one that has ended stays as it is.

    Raises:
        NotFoundError: there is none of that id.
    """
    found = session.get(Engagement, engagement_id, with_for_update=True)
    if found is None:
        raise NotFoundError
    if found.ended_at is None and found.expires_at > now:
        found.ended_at = now
        log.append_deployment(session, EventName.ENGAGEMENT_ENDED, at=now)


def living(session: Session, auditor_id: UUID, *, now: datetime) -> list[Engagement]:
    """Return the engagements in which an auditor may work now, oldest first."""
    query = (
        select(Engagement)
        .join(EngagementMember, EngagementMember.engagement_id == Engagement.id)
        .where(
            EngagementMember.auditor_id == auditor_id,
            Engagement.ended_at.is_(None),
            Engagement.expires_at > now,
        )
        .order_by(Engagement.opened_at, Engagement.id)
    )
    return list(session.scalars(query))


def seat(
    session: Session, auditor: Auditor, engagement_id: UUID, *, root: bytes, now: datetime
) -> Seat:
    """Return an auditor's seat in an engagement; `root` is the instance's pseudonym key.

    Raises:
        NotFoundError: there is no such engagement, it is somebody else's, or it has ended.
    """
    for each in living(session, auditor.id, now=now):
        if each.id == engagement_id:
            return Seat(auditor.id, auditor.name, scope_of(each, root=root))
    raise NotFoundError


def scope_of(engagement: Engagement, *, root: bytes) -> Scope:
    """Return what an engagement covers; `root` is the instance's pseudonym key."""
    named = engagement.organisations
    return Scope(
        engagement.id,
        None if named is None else frozenset(map(UUID, named)),
        engagement.since,
        engagement.until,
        engagement.expires_at,
        Pseudonyms.of_engagement(root, engagement.id),
    )


def members(session: Session, engagement_id: UUID) -> dict[UUID, str]:
    """Return the auditors of an engagement with their names, in order of names."""
    query = (
        select(Auditor.id, Auditor.name)
        .join(EngagementMember, EngagementMember.auditor_id == Auditor.id)
        .where(EngagementMember.engagement_id == engagement_id)
        .order_by(Auditor.name, Auditor.id)
    )
    return {each.id: each.name for each in session.execute(query)}


def all_of_them(session: Session) -> list[tuple[Engagement, list[UUID]]]:
    """Return every engagement with its auditors, oldest first."""
    members: dict[UUID, list[UUID]] = {}
    for each in session.scalars(select(EngagementMember).order_by(EngagementMember.auditor_id)):
        members.setdefault(each.engagement_id, []).append(each.auditor_id)
    found = session.scalars(select(Engagement).order_by(Engagement.opened_at, Engagement.id))
    return [(each, members.get(each.id, [])) for each in found]


def _must_exist(
    session: Session, model: type[Auditor | Organisation], wanted: Collection[UUID]
) -> None:
    found: Sequence[UUID] = session.scalars(select(model.id).where(model.id.in_(wanted))).all()
    if set(found) != set(wanted):
        raise NotFoundError
