"""Messages: queued with the feed's numbers, claimed, sent, recorded, asked for again (ORG-18).

A message goes out at least once. Whoever takes it claims it first, for longer than sending can
last: if the process dies between sending and recording, it is sent again under the same id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from consent import organisations
from consent.models import FeedEntry, Organisation
from consent.webhooks.endpoints import TEST_EVENT, DisabledReason, disable
from consent.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from pds.errors import ConflictError, NotFoundError
from pds.ids import time_ordered_uuid

# Waits after each try but the last (Standard Webhooks 1.0, "Deliverability and reliability").
WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
JITTER = 0.2  # of a wait, at most, on top of it
LONGEST_WAIT = timedelta(hours=24)  # whatever `Retry-After` says
LONGEST_REST = timedelta(minutes=5)  # of an endpoint that fails, unless it asks for more
# Shorter than all waits together: a message that was tried through all of it ends an endpoint.
FAILING_FOR = timedelta(days=3)
BATCH = 10  # messages that one claim takes for one endpoint
CLAIMED_FOR = timedelta(minutes=5)  # longer than BATCH attempts can last
KEPT_FOR = timedelta(days=30)
MOST_AT_ONCE = 1_000  # numbers that one request for redelivery may span


class Outcome(StrEnum):
    """How an attempt ended."""

    DELIVERED = "delivered"  # 2xx
    STATUS = "status"  # any other status but 3xx
    REDIRECT = "redirect"  # 3xx: never followed
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"  # no address, no connection, or it broke off
    TLS = "tls"  # the certificate or the handshake
    MALFORMED = "malformed"  # what came back is no HTTP
    ADDRESS_REFUSED = "address-refused"  # the name leads to where nothing is sent to


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt."""

    outcome: Outcome
    milliseconds: int
    status: int | None = None
    retry_after: timedelta | None = None


def queue(session: Session, entries: Iterable[Mapping[str, Any]]) -> None:
    """Queue messages for new entries of feeds, in the transaction that numbers them."""
    entries = list(entries)
    wanted = {entry["organisation_id"] for entry in entries}
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.organisation_id.in_(wanted), WebhookEndpoint.state == "enabled"
    )
    rows = [
        _row(endpoint.id, entry)
        for endpoint in session.scalars(query)
        for entry in entries
        if entry["organisation_id"] == endpoint.organisation_id and _wants(endpoint, entry["event"])
    ]
    if rows:
        session.execute(insert(WebhookDelivery), rows)


def queue_test(session: Session, endpoint: WebhookEndpoint, *, now: datetime) -> UUID:
    """Queue a message that says nothing but `test`.

    Raises:
        ConflictError: the endpoint is disabled.
    """
    _wake(endpoint)
    row = _row(endpoint.id, {"event": TEST_EVENT, "at": now})
    session.execute(insert(WebhookDelivery).values(row))
    made: UUID = row["id"]
    return made


def redeliver(
    session: Session, endpoint: WebhookEndpoint, delivery_id: UUID, *, now: datetime
) -> None:
    """Send a message again, under its id and with all its tries.

    Raises:
        NotFoundError: the endpoint has no such message.
        ConflictError: the endpoint is disabled.
    """
    _wake(endpoint)
    one = and_(WebhookDelivery.endpoint_id == endpoint.id, WebhookDelivery.id == delivery_id)
    if not _requeue(session, one, now):
        raise NotFoundError


def redeliver_range(
    session: Session, endpoint: WebhookEndpoint, *, first: int, last: int, now: datetime
) -> int:
    """Send what the endpoint wants of the feed's numbers `first` to `last`, both included.

    What it never got, because it was disabled or did not exist, is queued now. Returns how many.

    Raises:
        ConflictError: the endpoint is disabled.
    """
    _wake(endpoint)
    numbers = WebhookDelivery.feed_number.between(first, last)
    had = set(
        session.scalars(
            select(WebhookDelivery.feed_number).where(
                WebhookDelivery.endpoint_id == endpoint.id, numbers
            )
        )
    )
    again = _requeue(session, and_(WebhookDelivery.endpoint_id == endpoint.id, numbers), now)
    query = select(FeedEntry).where(
        FeedEntry.organisation_id == endpoint.organisation_id,
        FeedEntry.number.between(first, last),
    )
    rows = [
        _row(endpoint.id, _entry(found))
        for found in session.scalars(query)
        if found.number not in had and _wants(endpoint, found.event)
    ]
    if rows:
        session.execute(insert(WebhookDelivery), rows)
    return again + len(rows)


def endpoints_due(
    session: Session, *, now: datetime, busy: Collection[UUID], limit: int
) -> list[tuple[UUID, UUID]]:
    """Return the endpoints for which messages are due, with their organisations.

    The one that has waited longest comes first. Whoever is suspended is not sent to; what is due
    waits, as everything does that they would ask for.
    """
    query = (
        select(WebhookEndpoint.id, WebhookEndpoint.organisation_id)
        .join(WebhookDelivery, WebhookDelivery.endpoint_id == WebhookEndpoint.id)
        .join(Organisation, Organisation.id == WebhookEndpoint.organisation_id)
        .where(
            WebhookDelivery.state == "pending",
            WebhookDelivery.due_at <= now,
            _may_be_sent_to(now),
            organisations.served(),
            WebhookEndpoint.id.not_in(busy),
        )
        .group_by(WebhookEndpoint.id, WebhookEndpoint.organisation_id)
        .order_by(func.min(WebhookDelivery.due_at))
        .limit(limit)
    )
    return [(endpoint_id, owner) for endpoint_id, owner in session.execute(query)]


def claim(session: Session, endpoint_id: UUID, *, now: datetime) -> list[WebhookDelivery]:
    """Take messages of an endpoint that are due, in the order of the feed.

    Until `CLAIMED_FOR` has passed nobody else takes them.
    """
    endpoint = session.scalars(
        select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id, _may_be_sent_to(now))
    ).one_or_none()
    if endpoint is None:
        return []
    query = (
        select(WebhookDelivery)
        .where(
            WebhookDelivery.endpoint_id == endpoint_id,
            WebhookDelivery.state == "pending",
            WebhookDelivery.due_at <= now,
        )
        .order_by(WebhookDelivery.feed_number, WebhookDelivery.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    claimed = list(session.scalars(query))
    for delivery in claimed:
        delivery.due_at = now + CLAIMED_FOR
    return claimed


def release(session: Session, ids: Collection[UUID], *, now: datetime) -> None:
    """Give back claimed messages that were not tried."""
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id.in_(ids), WebhookDelivery.state == "pending")
        .values(due_at=now)
    )


def record(
    session: Session, delivery_id: UUID, answer: Answer, *, chance: float, now: datetime
) -> None:
    """Write an attempt down, and what follows from it; `chance` (0 to 1) spreads the retries."""
    endpoint_id = session.scalar(
        select(WebhookDelivery.endpoint_id).where(WebhookDelivery.id == delivery_id)
    )
    # The endpoint's row before the message's, as everywhere.
    endpoint = session.scalars(
        select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id).with_for_update()
    ).one_or_none()
    delivery = session.scalars(
        select(WebhookDelivery).where(WebhookDelivery.id == delivery_id).with_for_update()
    ).one_or_none()
    if endpoint is None or delivery is None:
        return  # deleted while it was being sent
    delivery.attempts += 1
    delivery.tries += 1
    session.execute(
        insert(WebhookAttempt).values(
            delivery_id=delivery_id,
            number=delivery.attempts,
            at=now,
            milliseconds=answer.milliseconds,
            outcome=answer.outcome.value,
            status=answer.status,
        )
    )
    if answer.outcome is Outcome.DELIVERED:
        delivery.state = "delivered"
        endpoint.failures, endpoint.failing_since, endpoint.rests_until = 0, None, None
    else:
        _put_off(session, endpoint, delivery, answer, chance, now)


def log(
    session: Session, endpoint_id: UUID, *, state: str | None, before: UUID | None, limit: int
) -> list[WebhookDelivery]:
    """Return messages to an endpoint, the newest first."""
    query = (
        select(WebhookDelivery)
        .where(WebhookDelivery.endpoint_id == endpoint_id)
        .order_by(WebhookDelivery.id.desc())
        .limit(limit)
    )
    if state is not None:
        query = query.where(WebhookDelivery.state == state)
    if before is not None:
        query = query.where(WebhookDelivery.id < before)
    return list(session.scalars(query))


def attempts(session: Session, ids: Collection[UUID]) -> dict[UUID, list[WebhookAttempt]]:
    """Return the attempts of messages, in order."""
    query = (
        select(WebhookAttempt)
        .where(WebhookAttempt.delivery_id.in_(ids))
        .order_by(WebhookAttempt.delivery_id, WebhookAttempt.number)
    )
    found: dict[UUID, list[WebhookAttempt]] = {delivery_id: [] for delivery_id in ids}
    for attempt in session.scalars(query):
        found[attempt.delivery_id].append(attempt)
    return found


def message_id(delivery: WebhookDelivery) -> str:
    """Return the `webhook-id` of a message: the same however often it is sent."""
    return f"msg_{delivery.id.hex}"


def sweep(session: Session, *, now: datetime, limit: int = 500) -> int:
    """Delete messages that are done with and older than `KEPT_FOR`; returns how many."""
    query = (
        select(WebhookDelivery.id)
        .where(WebhookDelivery.created_at <= now - KEPT_FOR, WebhookDelivery.state != "pending")
        .limit(limit)
    )
    ids = session.scalars(query).all()
    if ids:
        session.execute(delete(WebhookAttempt).where(WebhookAttempt.delivery_id.in_(ids)))
        session.execute(delete(WebhookDelivery).where(WebhookDelivery.id.in_(ids)))
    return len(ids)


def _put_off(  # noqa: PLR0917 - one step of `record`, private
    session: Session,
    endpoint: WebhookEndpoint,
    delivery: WebhookDelivery,
    answer: Answer,
    chance: float,
    now: datetime,
) -> None:
    endpoint.failures += 1
    endpoint.failing_since = endpoint.failing_since or now
    asked = min(answer.retry_after or timedelta(), LONGEST_WAIT)
    doubled = WAITS[0] * 2 ** min(endpoint.failures - 1, 10)
    endpoint.rests_until = now + max(asked, min(doubled, LONGEST_REST))
    if delivery.state == "pending":
        if delivery.tries <= len(WAITS):
            wait = WAITS[delivery.tries - 1] * (1 + JITTER * chance)
            delivery.due_at = now + max(asked, wait)
        else:
            delivery.state = "failed"
    if answer.status == 410:  # noqa: PLR2004 - HTTP: gone
        disable(session, endpoint, DisabledReason.GONE)
    elif delivery.state == "failed" and now - endpoint.failing_since >= FAILING_FOR:
        disable(session, endpoint, DisabledReason.FAILING)


def _requeue(session: Session, which: ColumnElement[bool], now: datetime) -> int:
    # One that is pending may be on its way at this moment: it keeps its claim.
    session.execute(
        update(WebhookDelivery)
        .where(which, WebhookDelivery.state != "pending")
        .values(state="pending", tries=0, due_at=now)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(select(func.count()).select_from(WebhookDelivery).where(which)) or 0


def _wake(endpoint: WebhookEndpoint) -> None:
    if endpoint.state != "enabled":
        raise ConflictError("the endpoint is disabled")
    # Its owner asks, so that it is up again; if not, it rests again after the next attempt.
    endpoint.rests_until = None


def _may_be_sent_to(now: datetime) -> ColumnElement[bool]:
    rested = or_(WebhookEndpoint.rests_until.is_(None), WebhookEndpoint.rests_until <= now)
    return and_(WebhookEndpoint.state == "enabled", rested)


def _wants(endpoint: WebhookEndpoint, event: str) -> bool:
    return not endpoint.events or event in endpoint.events


def _entry(found: FeedEntry) -> dict[str, Any]:
    return {
        "number": found.number,
        "event": found.event,
        "connection_id": found.connection_id,
        "obligation_id": found.obligation_id,
        "at": found.at,
    }


def _row(endpoint_id: UUID, entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": time_ordered_uuid(entry["at"]),
        "endpoint_id": endpoint_id,
        "event": entry["event"],
        "feed_number": entry.get("number"),
        "connection_id": entry.get("connection_id"),
        "obligation_id": entry.get("obligation_id"),
        "created_at": entry["at"],
        "state": "pending",
        "due_at": entry["at"],
        "tries": 0,
        "attempts": 0,
    }
