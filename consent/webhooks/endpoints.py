"""An organisation's endpoints: made, changed, their secrets rotated, disabled, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from consent.models import Organisation
from consent.vocabulary import FeedEvent
from consent.webhooks import keys as endpoint_keys
from consent.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from pds.errors import LimitExceededError, NotFoundError
from pds.ids import time_ordered_uuid
from pds.instance import InstanceKeys

TEST_EVENT = "test"
EVENTS = [event.value for event in FeedEvent]
MOST_ENDPOINTS = 10  # of one organisation
OVERLAP = timedelta(hours=24)  # in which the secret before a rotation signs too


class DisabledReason(StrEnum):
    """Why nothing is sent to an endpoint."""

    GONE = "gone"  # it answered 410
    FAILING = "failing"  # it took nothing for days
    ORGANISATION = "organisation"  # its owner wants it so
    FROZEN = "frozen"  # whoever had its owner's keys may have made it


def create(
    session: Session,
    keys: InstanceKeys,
    organisation_id: UUID,
    *,
    url: str,
    events: Sequence[str],
    secret: bytes,
    now: datetime,
) -> UUID:
    """Add an endpoint; `url` was checked by the caller.

    Raises:
        LimitExceededError: the organisation has as many as it may have.
    """
    # Its row, so that two at once do not both see room for one.
    session.execute(
        select(Organisation.id).where(Organisation.id == organisation_id).with_for_update()
    )
    query = select(func.count()).where(WebhookEndpoint.organisation_id == organisation_id)
    if session.execute(query).scalar_one() >= MOST_ENDPOINTS:
        raise LimitExceededError("too many endpoints")
    endpoint_id = time_ordered_uuid(now)
    session.execute(
        insert(WebhookEndpoint).values(
            id=endpoint_id,
            organisation_id=organisation_id,
            url=url,
            events=list(events),
            state="enabled",
            generation=1,
            secret_box=endpoint_keys.seal_secret(keys, endpoint_id, 1, secret),
            failures=0,
            created_at=now,
        )
    )
    return endpoint_id


def page(
    session: Session, organisation_id: UUID, *, after: UUID | None, limit: int
) -> list[WebhookEndpoint]:
    """Return endpoints of an organisation, the oldest first."""
    query = (
        select(WebhookEndpoint)
        .where(WebhookEndpoint.organisation_id == organisation_id)
        .order_by(WebhookEndpoint.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(WebhookEndpoint.id > after)
    return list(session.scalars(query))


def get(
    session: Session, organisation_id: UUID, endpoint_id: UUID, *, lock: bool = False
) -> WebhookEndpoint:
    """Return an endpoint of an organisation.

    Raises:
        NotFoundError: there is none of that id, or it is another's.
    """
    # The owner in the WHERE clause: a foreign id must look like an absent one.
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.id == endpoint_id, WebhookEndpoint.organisation_id == organisation_id
    )
    found = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise NotFoundError
    return found


def change(
    session: Session,
    endpoint: WebhookEndpoint,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    enabled: bool | None = None,
) -> None:
    """Change a locked endpoint; what is None stays."""
    if url is not None:
        endpoint.url = url
    if events is not None:
        endpoint.events = list(events)
    if enabled is False:
        disable(session, endpoint, DisabledReason.ORGANISATION)
    elif enabled and endpoint.state != "enabled":
        endpoint.state, endpoint.disabled_reason = "enabled", None
        endpoint.failures, endpoint.failing_since, endpoint.rests_until = 0, None, None


def rotate(keys: InstanceKeys, endpoint: WebhookEndpoint, *, secret: bytes, now: datetime) -> None:
    """Give a locked endpoint a new secret and key; the ones before sign too for `OVERLAP`."""
    endpoint.generation += 1
    endpoint.previous_box, endpoint.previous_until = endpoint.secret_box, now + OVERLAP
    endpoint.secret_box = endpoint_keys.seal_secret(keys, endpoint.id, endpoint.generation, secret)


def disable(session: Session, endpoint: WebhookEndpoint, reason: DisabledReason) -> None:
    """Send nothing more to an endpoint; what waits is given up, and stays in the feed."""
    if endpoint.state == "disabled":
        return
    endpoint.state, endpoint.disabled_reason = "disabled", reason.value
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.endpoint_id == endpoint.id, WebhookDelivery.state == "pending")
        .values(state="failed")
    )


def disable_all(session: Session, organisation_id: UUID, reason: DisabledReason) -> None:
    """Disable every endpoint of an organisation, as `disable`."""
    mine = select(WebhookEndpoint.id).where(WebhookEndpoint.organisation_id == organisation_id)
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.endpoint_id.in_(mine), WebhookDelivery.state == "pending")
        .values(state="failed")
    )
    session.execute(
        update(WebhookEndpoint)
        .where(
            WebhookEndpoint.organisation_id == organisation_id,
            WebhookEndpoint.state == "enabled",
        )
        .values(state="disabled", disabled_reason=reason.value)
    )


def remove(session: Session, endpoint: WebhookEndpoint) -> None:
    """Delete an endpoint with its log."""
    mine = select(WebhookDelivery.id).where(WebhookDelivery.endpoint_id == endpoint.id)
    session.execute(delete(WebhookAttempt).where(WebhookAttempt.delivery_id.in_(mine)))
    session.execute(delete(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint.id))
    session.execute(delete(WebhookEndpoint).where(WebhookEndpoint.id == endpoint.id))
