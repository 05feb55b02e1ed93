"""Tables of the auditor's desk. No name and no value of a person is in any of them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, String
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
    Of an entry whose public part was erased the row stays, without a name or anything else it said.
    """

    __tablename__ = "searchable_events"
    __table_args__ = (
        Index(None, "organisation_id", "index"),
        Index(None, "name", "index"),
        Index(None, "grant_id", "index"),
        Index(None, "minute", "index"),
    )
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    minute: Mapped[datetime] = mapped_column(UTCDateTime)  # when it happened, cut to the minute
    name: Mapped[str] = mapped_column(String(40))  # empty: erased
    # Whose business it is; null: the operator's, or the owner's of a vault alone.
    organisation_id: Mapped[UUID | None] = mapped_column(Uuid)
    is_operators: Mapped[bool]  # of the deployment's own stream
    grant_id: Mapped[UUID | None] = mapped_column(Uuid)
    purpose: Mapped[str | None] = mapped_column(String(40))
    collections: Mapped[str] = mapped_column(String(400))  # `,contact,profile,`
    outcome: Mapped[str] = mapped_column(String(40))
    channel: Mapped[str] = mapped_column(String(10))  # consent.auditing.indexing.Channel
    count: Mapped[int]


class Custody(Base):
    """That an auditor took a pack: what the log's entry commits to, and how to open it (AUD-11)."""

    __tablename__ = "custody"
    __table_args__ = (Index(None, "engagement_id", "taken_at"), Index(None, "sha256"))
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    engagement_id: Mapped[UUID] = mapped_column(Uuid)
    auditor_id: Mapped[UUID] = mapped_column(Uuid)
    sha256: Mapped[str] = mapped_column(String(64))  # of the file
    document: Mapped[bytes] = mapped_column(LargeBinary)  # canonical JSON, the private part
    r_priv: Mapped[bytes] = mapped_column(LargeBinary(32))
    stream_seq: Mapped[int] = mapped_column(BigInteger)  # in the deployment's stream
    taken_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Sample(Base):
    """A random sample of events, drawn by a seed that anybody can draw again with (AUD-15)."""

    __tablename__ = "samples"
    __table_args__ = (Index(None, "engagement_id", "drawn_at"),)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    engagement_id: Mapped[UUID] = mapped_column(Uuid)
    auditor_id: Mapped[UUID] = mapped_column(Uuid)
    seed: Mapped[str] = mapped_column(String(64))  # 32 bytes in hex
    asked: Mapped[dict[str, str]] = mapped_column(JSON)  # the query, as it was understood
    population: Mapped[int]  # events that met it
    last_index: Mapped[int] = mapped_column(BigInteger)  # of the population
    origin: Mapped[str] = mapped_column(String(200))  # of the log whose places were drawn from
    drawn_at: Mapped[datetime] = mapped_column(UTCDateTime)


class SampleItem(Base):
    """One event of a sample, and what an auditor made of it."""

    __tablename__ = "sample_items"
    sample_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    index: Mapped[int] = mapped_column(BigInteger)  # the event's place in the log of the draw
    # Which event: a later epoch of the log gives it another place. Null: drawn before this was kept
    # and its place is gone.
    bucket: Mapped[int | None] = mapped_column(SmallInteger)
    event_id: Mapped[UUID | None] = mapped_column(Uuid)
    mark: Mapped[str | None] = mapped_column(String(8))  # pass or fail; null: not looked at yet
    note: Mapped[str] = mapped_column(String(500))
    marked_by: Mapped[UUID | None] = mapped_column(Uuid)
    marked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class SavedSearch(Base):
    """A search that an auditor keeps in one engagement (AUD-2)."""

    __tablename__ = "saved_searches"
    __table_args__ = (Index(None, "engagement_id", "auditor_id"),)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    engagement_id: Mapped[UUID] = mapped_column(Uuid)
    auditor_id: Mapped[UUID] = mapped_column(Uuid)
    name: Mapped[str] = mapped_column(String(60))
    asked: Mapped[dict[str, str]] = mapped_column(JSON)  # the query, as it was understood
    saved_at: Mapped[datetime] = mapped_column(UTCDateTime)


class AlertReview(Base):
    """What auditors made of an alert; the alert itself is computed (AUD-14)."""

    __tablename__ = "alert_reviews"
    engagement_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    state: Mapped[str] = mapped_column(String(12))
    note: Mapped[str] = mapped_column(String(500))
    owner_id: Mapped[UUID | None] = mapped_column(Uuid)  # who looks after it; null: nobody
    auditor_id: Mapped[UUID] = mapped_column(Uuid)  # whose word the state is
    reviewed_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Unmasking(Base):
    """An auditor's wish to know whose a pseudonym is, and what became of it (AUD-1).

    The name itself is in no row: whoever may see it is shown what the account says.
    """

    __tablename__ = "unmaskings"
    __table_args__ = (
        Index(None, "bucket", "vault_id"),
        Index(None, "engagement_id", "asked_at"),
        CheckConstraint("decided_by IS NULL OR decided_by <> asked_by", name="two_persons"),
        CheckConstraint(
            "state = 'waiting' OR (decided_at IS NOT NULL AND decider IS NOT NULL)", name="decided"
        ),
        CheckConstraint("(decider = 'person') = (way = 'consent')", name="way"),
    )
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    vault_id: Mapped[UUID] = mapped_column(Uuid)
    engagement_id: Mapped[UUID] = mapped_column(Uuid)
    asked_by: Mapped[UUID] = mapped_column(Uuid)  # the auditor, who alone sees the name
    way: Mapped[str] = mapped_column(String(12))  # consent.auditing.unmasking.Way
    reason: Mapped[str] = mapped_column(String(500))
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    answer_by: Mapped[datetime] = mapped_column(UTCDateTime)  # exclusive; then it has lapsed
    state: Mapped[str] = mapped_column(String(12))  # consent.auditing.unmasking.State
    decider: Mapped[str | None] = mapped_column(String(12))  # person, auditor or operator
    decided_by: Mapped[UUID | None] = mapped_column(Uuid)  # the second auditor
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    open_until: Mapped[datetime | None] = mapped_column(UTCDateTime)  # exclusive
    taken_back_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    looks: Mapped[int]  # how often the name was shown
    looked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # the last time
