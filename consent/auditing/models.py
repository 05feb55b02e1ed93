"""Tables of the auditor's desk. No name and no value of a person is in any of them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import JSON, BigInteger, LargeBinary, Uuid

from pds.db import Base, UTCDateTime


class Engagement(Base):
    """What some auditors are engaged to look at, opened by the operator (AUD-1)."""

    __tablename__ = "engagements"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    # Their ids; null: all, those that come later included.
    organisations: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    since: Mapped[datetime] = mapped_column(UTCDateTime)  # of the period, inclusive
    until: Mapped[datetime] = mapped_column(UTCDateTime)  # of the period, exclusive
    opened_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: not before it expires


class EngagementMember(Base):
    """An auditor who works in an engagement."""

    __tablename__ = "engagement_members"
    __table_args__ = (Index(None, "auditor_id"),)
    engagement_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    auditor_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)


class AuditorSignIn(Base):
    """An auditor's signed-in browser; it wraps nothing."""

    __tablename__ = "auditor_sign_ins"
    __table_args__ = (Index(None, "expires_at"),)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    auditor_id: Mapped[UUID] = mapped_column(Uuid)
    verifier: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)


class SearchableEvent(Base):
    """What auditors search for: public parts of placed events, written by the worker.

    Nothing rests on it: it says again what `events` and their payloads say, and can be made anew.
    """

    __tablename__ = "searchable_events"
    __table_args__ = (
        Index(None, "organisation_id", "index"),
        Index(None, "name", "index"),
        Index(None, "grant_id", "index"),
    )
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    minute: Mapped[datetime] = mapped_column(UTCDateTime)  # when it happened, cut to the minute
    name: Mapped[str] = mapped_column(String(40))
    # Whose business it is; null: the operator's, or the owner's of a vault alone.
    organisation_id: Mapped[UUID | None] = mapped_column(Uuid)
    is_operators: Mapped[bool]  # of the deployment's own stream
    grant_id: Mapped[UUID | None] = mapped_column(Uuid)
    purpose: Mapped[str | None] = mapped_column(String(40))
    collections: Mapped[str] = mapped_column(String(400))  # `,contact,profile,`
    outcome: Mapped[str] = mapped_column(String(40))
    channel: Mapped[str] = mapped_column(String(10))  # consent.auditing.indexing.Channel
    count: Mapped[int]
