"""Auditors: people with read-only access to public parts of the log, for a time (AUD-1)."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from consent.log.entries import EventLog
from consent.models import Auditor
from consent.vocabulary import EventName
from pds.crypto.secrets import TokenSecret, mint, parse
from pds.ids import random_uuid

ACCESS_FOR = timedelta(days=30)


def create(
    session: Session, name: str, *, log: EventLog, now: datetime
) -> tuple[UUID, TokenSecret]:
    """Give someone the auditor role for 30 days; returns their id and access secret, shown once."""
    secret = mint("ad", random_uuid())
    session.execute(
        insert(Auditor).values(
            id=secret.selector,
            name=name,
            verifier=secret.verifier(),
            created_at=now,
            expires_at=now + ACCESS_FOR,
        )
    )
    log.append_deployment(session, EventName.AUDITOR_CREATED, at=now)
    return secret.selector, secret


def find(session: Session, text: str, *, now: datetime) -> Auditor | None:
    """Return the auditor whose access secret this is, or None."""
    secret = parse(text, "ad")
    if secret is None:
        return None
    row = session.get(Auditor, secret.selector)
    if row is None or row.expires_at <= now or not secret.matches(row.verifier):
        return None
    return row


def all_of_them(session: Session) -> list[Auditor]:
    """Return every auditor, oldest first."""
    return list(session.scalars(select(Auditor).order_by(Auditor.created_at)))
