"""Tables of webhooks: addresses, messages, attempts; ids and times, never values."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import JSON, BigInteger, LargeBinary, Uuid

from pds.db import Base, UTCDateTime


class WebhookEndpoint(Base):
    """An address to which an organisation wants its feed sent."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        CheckConstraint("state IN ('enabled', 'disabled')", name="state_known"),
        Index(None, "organisation_id", "id"),
    )
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(Uuid)
    url: Mapped[str] = mapped_column(String(500))
    events: Mapped[list[str]] = mapped_column(JSON)  # what it wants; empty: everything
    state: Mapped[str] = mapped_column(String(16))
    disabled_reason: Mapped[str | None] = mapped_column(String(16))  # null: enabled
    generation: Mapped[int]  # of secret and signing key; rises with each rotation
    secret_box: Mapped[bytes] = mapped_column(LargeBinary)  # sealed under *at-rest* (P-19)
    previous_box: Mapped[bytes | None] = mapped_column(LargeBinary)  # null: never rotated
    previous_until: Mapped[datetime | None] = mapped_column(UTCDateTime)  # exclusive
    failures: Mapped[int]  # attempts that failed since the last that did not
    failing_since: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: the last one worked
    rests_until: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: may be sent to now
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class WebhookDelivery(Base):
    """One message to one endpoint: an outbox row, then an entry of the delivery log."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state_known"),
        # A number of the feed makes one message for an endpoint, however often it is asked for.
        UniqueConstraint("endpoint_id", "feed_number"),
        Index(None, "endpoint_id", "id"),
        Index("ix_webhook_deliveries_due", "state", "endpoint_id", "due_at"),
        Index(None, "created_at"),
    )
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)  # in order of time; `webhook-id`
    endpoint_id: Mapped[UUID] = mapped_column(Uuid)
    event: Mapped[str] = mapped_column(String(32))
    feed_number: Mapped[int | None] = mapped_column(BigInteger)  # null: a test
    connection_id: Mapped[UUID | None] = mapped_column(Uuid)
    obligation_id: Mapped[UUID | None] = mapped_column(Uuid)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)  # when it happened
    state: Mapped[str] = mapped_column(String(16))
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)  # of the next attempt, while pending
    tries: Mapped[int]  # since it was queued or asked for again
    attempts: Mapped[int]  # in all


class WebhookAttempt(Base):
    """One attempt: when, how long, and how it ended. No body of either side is kept."""

    __tablename__ = "webhook_attempts"
    delivery_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    milliseconds: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(24))  # consent.webhooks.deliveries.Outcome
    status: Mapped[int | None] = mapped_column(SmallInteger)  # HTTP; null: there was no answer
