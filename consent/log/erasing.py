"""Erasing what entries say once their time is over, so that every proof still holds (LOG-9).

Of the owner's part the box goes, with `r_priv` in it; of the auditors' part the payload, with
`r_pub`. Both commitments stay: what is left in the tree is noise, at its place, under its number,
with the rule that took it (`EventErasure`). When a vault is deleted, its owner's part goes at once
(`consent.deletions`). Each step looks at a bounded range of one bucket's
events, which are keyed by time, and writes one entry for each rule with a count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, delete, func, insert, select, update
from sqlalchemy.orm import Session

from consent.auditing.indexing import ERASED
from consent.auditing.models import SearchableEvent
from consent.log import holds
from consent.log.entries import EventLog
from consent.log.holds import Held
from consent.models import Event, EventErasure, EventPayload, Grant, LogEntry
from consent.retention import SHORTEST, class_of
from consent.vocabulary import LIVE_GRANT_STATES, EventName
from pds.ids import time_ordered_uuid

EventRow = Row[*tuple[Any, ...]]

BATCH = 500
BUCKETS_AT_ONCE = 64
_FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a pass over the log has come: the bucket, and the last event looked at in it."""

    bucket: int = 0
    event_id: UUID = _FIRST


START = Position()


def step(
    session: Session, log: EventLog, position: Position, *, now: datetime, limit: int = BATCH
) -> Position | None:
    """Erase what is over among the next events; return where to go on, None at the end of a pass.

    Repeating a step erases nothing twice. What stands under a legal hold stays.

    Args:
        session: of the write job.
        log: told of what was erased.
        position: `START`, or what the step before returned.
        now: the present.
        limit: at most so many events are looked at, of at most `BUCKETS_AT_ONCE` buckets.
    """
    erased: Counter[str] = Counter()
    left = limit
    at, following = position, None
    for _ in range(BUCKETS_AT_ONCE):
        rows = _old_events(session, at, now, left)
        erased += _erase(session, rows, now)
        if len(rows) == left:
            following = Position(at.bucket, rows[-1].id)
            break
        left -= len(rows)
        following = _next_bucket(session, at.bucket)
        if following is None:
            break
        at = following
    for rule, count in sorted(erased.items()):
        log.append_deployment(session, EventName.LOG_ERASED, at=now, outcome=rule, count=count)
    return following


def _old_events(
    session: Session, position: Position, now: datetime, limit: int
) -> Sequence[EventRow]:
    # Keys are times: the range ends where nothing can be over yet, whatever its name.
    query = (
        select(
            Event.bucket,
            Event.id,
            Event.stream,
            Event.name,
            Event.at,
            Event.vault_id,
            Event.grant_id,
            EventPayload.priv_box.is_not(None).label("has_private"),
            LogEntry.index.label("place"),
        )
        .join(
            EventPayload,
            and_(EventPayload.bucket == Event.bucket, EventPayload.event_id == Event.id),
        )
        .outerjoin(LogEntry, and_(LogEntry.bucket == Event.bucket, LogEntry.event_id == Event.id))
        .where(
            Event.bucket == position.bucket,
            Event.id > position.event_id,
            Event.id < time_ordered_uuid(now - SHORTEST),
        )
        .order_by(Event.id)
        .limit(limit)
    )
    return session.execute(query).all()


def _next_bucket(session: Session, bucket: int) -> Position | None:
    query = select(Event.bucket).where(Event.bucket > bucket).order_by(Event.bucket).limit(1)
    found = session.execute(query).scalar()
    return None if found is None else Position(found)


def _erase(session: Session, rows: Sequence[EventRow], now: datetime) -> Counter[str]:
    erased: Counter[str] = Counter()
    if not rows:
        return erased
    bucket, held = rows[0].bucket, holds.standing(session)
    ended = _ended_streams(session, bucket, rows)
    organisations = holds.organisations_of(session, bucket, _grants(rows))
    private, public = [], []
    for row in rows:
        if _is_held(row, held, organisations):
            continue
        # A grant's stream goes as a whole, whatever else has a name in it.
        is_grants = row.stream.startswith("g.")
        kind = class_of(EventName.CONSENT_GIVEN if is_grants else row.name)
        since = ended.get(row.stream) if is_grants else row.at
        if since is not None and row.place is not None and kind.public_is_over(since, now):
            public.append((row, f"{kind.name}.public"))
        elif row.has_private and kind.private_is_over(row.at, now):
            private.append(row.id)
            erased[f"{kind.name}.private"] += 1
    _drop_private(session, bucket, private)
    _drop_public(session, bucket, public, now)
    erased.update(rule for _, rule in public)
    return erased


def _grants(rows: Sequence[EventRow]) -> set[UUID]:
    return {row.grant_id for row in rows if row.grant_id is not None}


def _is_held(row: EventRow, held: Held, organisations: dict[UUID, UUID]) -> bool:
    return held.covers(
        vault_id=row.vault_id,
        grant_id=row.grant_id,
        organisation=organisations.get(row.grant_id),
    )


def _ended_streams(session: Session, bucket: int, rows: Sequence[EventRow]) -> dict[str, datetime]:
    """Return the last instant of each stream whose grant has ended."""
    live = select(Grant.id).where(
        Grant.bucket == bucket, Grant.state.in_([each.value for each in LIVE_GRANT_STATES])
    )
    query = (
        select(Event.stream, func.max(Event.at))
        .where(
            Event.bucket == bucket,
            Event.stream.in_({row.stream for row in rows if row.grant_id is not None}),
            Event.grant_id.not_in(live.where(Grant.id.in_(_grants(rows)))),
        )
        .group_by(Event.stream)
    )
    return dict(session.execute(query).all())


def _drop_private(session: Session, bucket: int, events: list[UUID]) -> None:
    if events:
        session.execute(
            update(EventPayload)
            .where(EventPayload.bucket == bucket, EventPayload.event_id.in_(events))
            .values(priv_box=None)
        )


def _drop_public(
    session: Session, bucket: int, events: list[tuple[EventRow, str]], now: datetime
) -> None:
    if not events:
        return
    ids = [row.id for row, _ in events]
    session.execute(
        delete(EventPayload).where(EventPayload.bucket == bucket, EventPayload.event_id.in_(ids))
    )
    # What auditors search is a copy of public parts; that something stood there is told on.
    places = [row.place for row, _ in events]
    session.execute(
        update(SearchableEvent).where(SearchableEvent.index.in_(places)).values(**ERASED)
    )
    session.execute(
        insert(EventErasure),
        [
            {"bucket": bucket, "event_id": row.id, "rule": rule, "erased_at": now}
            for row, rule in events
        ],
    )
