"""The chain of custody: who took which pack with which filter, committed to in the log (AUD-11).

The log's entry `evidence.exported` tells everyone that something was taken. What it was stands in
its private part, which the entry commits to; the opening is kept here. So nobody can later say that
another file was taken, or that the filter was another.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from consent.auditing.engagements import Seat
from consent.auditing.models import Custody
from consent.formats.canonical import JSONValue, canonical_bytes, parse
from consent.formats.leaf import BLINDING_BYTES, commitment
from consent.log import reader
from consent.log.entries import (
    DEPLOYMENT_BUCKET,
    DEPLOYMENT_STREAM,
    EntryRef,
    EventLog,
    SealedPrivate,
)
from consent.vocabulary import EventName
from pds.clock import rfc3339
from pds.errors import NotFoundError
from pds.ids import random_uuid


@dataclass(frozen=True, slots=True)
class Taken:
    """A pack that was taken, as far as it still holds.

    `index` is the entry's place in the log, None while it waits; `is_proved` tells that the log's
    entry commits to exactly this file, filter and auditor.
    """

    id: UUID
    sha256: str
    taken_at: datetime
    auditor_id: UUID
    asked: Mapping[str, str]
    length: int
    entries: int
    reference: str
    index: int | None
    is_proved: bool


def record(
    session: Session,
    seat: Seat,
    *,
    sha256: str,
    asked: Mapping[str, JSONValue],
    length: int,
    entries: int,
    log: EventLog,
    now: datetime,
) -> UUID:
    """Log that a pack was taken; returns its id. For the write job before it is handed out."""
    document: dict[str, JSONValue] = {
        "auditor": str(seat.auditor_id),
        "engagement": str(seat.scope.engagement_id),
        "filter": dict(asked),
        "sha256": sha256,
        "bytes": length,
        "entries": entries,
        "taken_at": rfc3339(now),
    }
    r_priv = os.urandom(BLINDING_BYTES)
    private = SealedPrivate(commitment(document, r_priv), None, "none")
    name = EventName.EVIDENCE_EXPORTED
    entry = log.append_deployment(session, name, at=now, count=entries, private=private)
    custody_id = random_uuid()
    session.execute(
        insert(Custody).values(
            id=custody_id,
            engagement_id=seat.scope.engagement_id,
            auditor_id=seat.auditor_id,
            sha256=sha256,
            document=canonical_bytes(document),
            r_priv=r_priv,
            stream_seq=entry.seq,
            taken_at=now,
        )
    )
    return custody_id


def of_engagement(session: Session, engagement_id: UUID, *, limit: int = 200) -> list[Taken]:
    """Return what was taken in an engagement, by whomever, newest first."""
    query = (
        select(Custody)
        .where(Custody.engagement_id == engagement_id)
        .order_by(Custody.taken_at.desc(), Custody.id)
        .limit(limit)
    )
    return [_taken(session, each) for each in session.scalars(query).all()]


def find(session: Session, engagement_id: UUID, sha256: str) -> Taken:
    """Return when a file was taken, checked against the log anew.

    Raises:
        NotFoundError: no file of that hash was taken in this engagement.
    """
    query = (
        select(Custody)
        .where(Custody.engagement_id == engagement_id, Custody.sha256 == sha256)
        .order_by(Custody.taken_at)
        .limit(1)
    )
    found = session.scalars(query).one_or_none()
    if found is None:
        raise NotFoundError
    return _taken(session, found)


def _taken(session: Session, row: Custody) -> Taken:
    reference = EntryRef(DEPLOYMENT_STREAM, row.stream_seq)
    document: Any = parse(row.document)
    try:
        event = reader.find(session, DEPLOYMENT_BUCKET, reference)
        commits = event.sealed.c_priv == commitment(document, row.r_priv)
        index = event.index
    except NotFoundError:
        commits, index = False, None
    return Taken(
        id=row.id,
        sha256=document["sha256"],
        taken_at=row.taken_at,
        auditor_id=row.auditor_id,
        asked=document["filter"],
        length=document["bytes"],
        entries=document["entries"],
        reference=reference.text(),
        index=index,
        is_proved=commits and document["sha256"] == row.sha256,
    )
