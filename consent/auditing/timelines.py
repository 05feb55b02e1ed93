"""One consent from the request to the confirmed deletion, as an auditor follows it (AUD-3, AUD-7).

Legal acts are told from the beginning, since later ones rest on them; everything else only within
the engagement's period. Times of reads are cut to the minute (P-32): that a read came before the
withdrawal is proved by their numbers in the stream, not by clocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from consent import past
from consent.auditing import search
from consent.auditing.engagements import Scope
from consent.auditing.models import SearchableEvent
from consent.auditing.search import Found, Query
from consent.formats import canonical
from consent.models import (
    Agreement,
    AgreementVersion,
    FeedEntry,
    Grant,
    Notice,
    Obligation,
    Request,
)
from consent.past import PastAgreement
from consent.vocabulary import AgreementState, EventName
from consent.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from pds.errors import NotFoundError

EVENTS_MOST = 300
_READ = EventName.DATA_READ.value
_ACKNOWLEDGED = "delivered"


@dataclass(frozen=True, slots=True)
class Shown:
    """The notice that a version of the agreement rests on: word for word by its hash (AUD-4)."""

    version: int
    notice_sha256: str
    template_version: int
    template_sha256: str
    locale: str
    shown_at: datetime | None


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened.

    `what` is an event's name, or one of `request.seen`, `request.decided`,
    `webhook.acknowledged`, `webhook.failed`, `obligation.due`, `obligation.answered`. `event` is
    there for what stands in the log; `detail` names the message or the duty.
    """

    at: datetime
    what: str
    detail: str = ""
    event: Found | None = None


@dataclass(frozen=True, slots=True)
class Latency:
    """How long it took until a withdrawal was heeded; None: it has not been, or never was due.

    `read_after` tells of a successful read in the stream after the withdrawal: there must be none.
    """

    agreement_id: UUID
    withdrawn_at: datetime
    last_read: datetime | None
    read_after: bool
    acknowledged_at: datetime | None
    deletion_due_at: datetime | None
    deletion_answered_at: datetime | None

    @property
    def acknowledged_in(self) -> timedelta | None:
        """How long until the organisation's endpoint acknowledged the message."""
        at = self.acknowledged_at
        return None if at is None else at - self.withdrawn_at

    @property
    def deleted_in(self) -> timedelta | None:
        """How long until the organisation answered for the deletion."""
        at = self.deletion_answered_at
        return None if at is None else at - self.withdrawn_at


@dataclass(frozen=True, slots=True)
class Timeline:
    """All of it; `is_cut` tells that only the newest events are there.

    `erased` counts entries that are passed over because they were erased, by the rule that did.
    """

    agreement: Agreement
    person: str
    shown: Sequence[Shown]
    steps: Sequence[Step]
    latency: Latency | None
    is_cut: bool
    erased: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Instant:
    """What was permitted at an instant, and what was read in that minute and last before it."""

    at: datetime
    past: PastAgreement | None
    read: Sequence[Found]
    last_read: Found | None


def agreement(session: Session, scope: Scope, bucket: int, agreement_id: UUID) -> Agreement:
    """Return an agreement of the engagement.

    Raises:
        NotFoundError: there is none, or it is outside.
    """
    found = session.get(Agreement, (bucket, agreement_id))
    if found is None or not scope.covers(found.organisation_id):
        raise NotFoundError
    if found.created_at >= scope.until:
        raise NotFoundError
    return found


def of_agreement(session: Session, scope: Scope, found: Agreement) -> Timeline:
    """Return the course of an agreement that `agreement` returned."""
    rows = session.scalars(
        select(SearchableEvent)
        .where(
            SearchableEvent.grant_id.in_(_grants(found)),
            SearchableEvent.name != "",
            SearchableEvent.minute < scope.until,
            or_(
                SearchableEvent.minute >= scope.since,
                SearchableEvent.name.startswith("consent.", autoescape=True),
            ),
        )
        .order_by(SearchableEvent.index.desc())
        .limit(EVENTS_MOST + 1)
    ).all()
    events = search.described(session, scope, rows[:EVENTS_MOST])
    steps = [Step(each.minute, each.name, event=each) for each in events]
    steps += [
        each
        for part in (_request(session, found), _messages(session, found), _owed(session, found))
        for each in part
        if each.at < scope.until
    ]
    steps.sort(key=_in_order)
    return Timeline(
        agreement=found,
        person=scope.pseudonyms.of(found.bucket, found.vault_id),
        shown=_shown(session, found),
        steps=steps,
        latency=latency(session, scope, found),
        is_cut=len(rows) > EVENTS_MOST,
        erased=search.erased(session, scope, Query(agreement=found.id)),
    )


def at(session: Session, scope: Scope, found: Agreement, instant: datetime) -> Instant:
    """Return what an agreement permitted at an instant, and what was read then (AUD-5).

    Raises:
        NotFoundError: the instant is outside the engagement's period.
    """
    if not scope.is_in_period(instant):
        raise NotFoundError
    reads = (
        select(SearchableEvent)
        .where(SearchableEvent.grant_id.in_(_grants(found)), SearchableEvent.name == _READ)
        .order_by(SearchableEvent.index.desc())
    )
    minute = instant.replace(second=0, microsecond=0)
    then = session.scalars(reads.where(SearchableEvent.minute == minute)).all()
    before = and_(SearchableEvent.minute <= minute, SearchableEvent.minute >= scope.since)
    last = session.scalars(reads.where(before).limit(1)).all()
    latest = search.described(session, scope, last)
    return Instant(
        instant,
        past.of_agreement(session, found.bucket, found.id, at=instant),
        search.described(session, scope, then),
        latest[0] if latest else None,
    )


def withdrawn(session: Session, scope: Scope, *, limit: int = 100) -> list[Latency]:
    """Return how the withdrawals of the period were heeded, newest first (AUD-7)."""
    query = (
        select(Agreement)
        .where(
            scope.is_of(Agreement.organisation_id),
            Agreement.state == AgreementState.WITHDRAWN.value,
            Agreement.ended_at >= scope.since,
            Agreement.ended_at < scope.until,
        )
        .order_by(Agreement.ended_at.desc())
        .limit(limit)
    )
    found = (latency(session, scope, each) for each in session.scalars(query).all())
    return [each for each in found if each is not None]


def latency(session: Session, scope: Scope, found: Agreement) -> Latency | None:
    """Return how the withdrawal of an agreement was heeded; None: it was not withdrawn."""
    ended_at = found.ended_at
    if found.state != AgreementState.WITHDRAWN or ended_at is None or ended_at >= scope.until:
        return None
    events = select(SearchableEvent.index, SearchableEvent.minute).where(
        SearchableEvent.grant_id.in_(_grants(found))
    )
    newest = SearchableEvent.index.desc()
    read = session.execute(
        events.where(SearchableEvent.name == _READ).order_by(newest).limit(1)
    ).first()
    withdrawal = session.execute(
        events.where(SearchableEvent.name == EventName.CONSENT_WITHDRAWN.value)
    ).first()
    answers = [each for each in _messages(session, found) if each.what == "webhook.acknowledged"]
    heeded = [each.at for each in answers if each.detail == EventName.CONSENT_WITHDRAWN]
    deletion = session.scalars(_obligations(found).where(Obligation.kind == "delete")).first()
    return Latency(
        agreement_id=found.id,
        withdrawn_at=ended_at,
        last_read=read.minute if read else None,
        read_after=bool(read and withdrawal and read[0] > withdrawal[0]),
        acknowledged_at=min(heeded, default=None),
        deletion_due_at=deletion.due_at if deletion else None,
        deletion_answered_at=deletion.answered_at if deletion else None,
    )


def _in_order(step: Step) -> tuple[datetime, int, datetime]:
    # Log events are to the minute, the rest to the second. Within a minute the log's order counts;
    # a request comes before what was decided on it, messages and duties after what they tell of.
    minute = step.at.replace(second=0, microsecond=0)
    if step.event is not None:
        return minute, step.event.index, step.at
    return minute, -1 if step.what.startswith("request.") else 1 << 62, step.at


def _grants(found: Agreement) -> Any:  # noqa: ANN401 - a scalar subquery
    return (
        select(Grant.id)
        .where(Grant.bucket == found.bucket, Grant.agreement_id == found.id)
        .scalar_subquery()
    )


def _request(session: Session, found: Agreement) -> Iterator[Step]:
    request = session.get(Request, (found.bucket, found.request_id))
    if request is not None:
        yield Step(request.seen_at, "request.seen")
        if request.decided_at is not None:
            yield Step(request.decided_at, "request.decided", request.state)


def _messages(session: Session, found: Agreement) -> Iterator[Step]:
    query = (
        select(WebhookDelivery.event, WebhookAttempt.at, WebhookAttempt.outcome)
        .select_from(FeedEntry)
        .join(WebhookEndpoint, WebhookEndpoint.organisation_id == FeedEntry.organisation_id)
        .join(
            WebhookDelivery,
            and_(
                WebhookDelivery.endpoint_id == WebhookEndpoint.id,
                WebhookDelivery.feed_number == FeedEntry.number,
            ),
        )
        .join(WebhookAttempt, WebhookAttempt.delivery_id == WebhookDelivery.id)
        .where(
            FeedEntry.organisation_id == found.organisation_id,
            FeedEntry.connection_id == found.connection_id,
            FeedEntry.at >= found.created_at,
        )
        .order_by(WebhookAttempt.at)
        .limit(EVENTS_MOST)
    )
    for event, at_, outcome in session.execute(query):
        kept = outcome == _ACKNOWLEDGED
        yield Step(at_, "webhook.acknowledged" if kept else "webhook.failed", event)


def _owed(session: Session, found: Agreement) -> Iterator[Step]:
    for each in session.scalars(_obligations(found)):
        yield Step(each.due_at, "obligation.due", each.kind)
        if each.answered_at is not None:
            yield Step(each.answered_at, "obligation.answered", each.kind)


def _obligations(found: Agreement) -> Any:  # noqa: ANN401 - a Select
    return select(Obligation).where(
        Obligation.bucket == found.bucket,
        Obligation.vault_id == found.vault_id,
        Obligation.agreement_id == found.id,
    )


def _shown(session: Session, found: Agreement) -> list[Shown]:
    query = (
        select(AgreementVersion.version, Notice.sha256, Notice.document)
        .join(Notice, Notice.sha256 == AgreementVersion.notice_sha256)
        .where(AgreementVersion.bucket == found.bucket, AgreementVersion.agreement_id == found.id)
        .order_by(AgreementVersion.version)
    )
    request = session.get(Request, (found.bucket, found.request_id))
    shown = []
    for version, sha256, document in session.execute(query):
        notice: Mapping[str, Any] = canonical.parse(document)  # type: ignore[assignment]  # ours
        shown.append(
            Shown(
                version=version,
                notice_sha256=sha256,
                template_version=notice["template"]["version"],
                template_sha256=notice["template"]["sha256"],
                locale=notice["locale"],
                shown_at=request.seen_at if request is not None and version == 1 else None,
            )
        )
    return shown
