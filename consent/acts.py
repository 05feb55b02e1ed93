"""The rows that every decision and every end leave behind: the legal act, and news of it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from consent.log.entries import EntryRef
from consent.models import ConsentEvent, FeedPending, Grant
from consent.vocabulary import Actor, ConsentStatus, FeedEvent
from pds.ids import time_ordered_uuid


def record_act(
    session: Session,
    grant: Grant,
    *,
    consent_status: ConsentStatus,
    actor: Actor,
    entry: EntryRef,
    now: datetime,
) -> None:
    """Append a consent event, numbered in its agreement (CM-15); the grant's row is locked."""
    last = session.execute(
        select(func.max(ConsentEvent.seq)).where(
            ConsentEvent.bucket == grant.bucket, ConsentEvent.agreement_id == grant.agreement_id
        )
    ).scalar_one()
    session.execute(
        insert(ConsentEvent).values(
            bucket=grant.bucket,
            agreement_id=grant.agreement_id,
            seq=(last or 0) + 1,
            status=consent_status.value,
            agreement_version=grant.agreement_version,
            at=now,
            actor=actor.value,
            stream=entry.stream,
            stream_seq=entry.seq,
        )
    )


def announce(
    session: Session,
    bucket: int,
    event: FeedEvent,
    *,
    organisation_id: UUID,
    connection_id: UUID,
    now: datetime,
    obligation_id: UUID | None = None,
) -> None:
    """Leave news for the organisation's feed, and so for its webhooks (P-24, D17)."""
    session.execute(
        insert(FeedPending).values(
            bucket=bucket,
            id=time_ordered_uuid(now),
            organisation_id=organisation_id,
            connection_id=connection_id,
            event=event.value,
            obligation_id=obligation_id,
            at=now,
        )
    )
