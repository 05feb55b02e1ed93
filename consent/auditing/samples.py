"""Random samples with a recorded seed, and what auditors made of each event (AUD-15).

The sample is the N events of the population with the least SHA-256(seed || place), the place as 8
bytes in big-endian order. The seed comes from the system's generator at the draw, so nobody chose
the sample; with seed and records anybody draws it again. Places are those of the log that the
sample names: in a later epoch (`consent.log.epochs`) the same events have others.
"""

from __future__ import annotations

import hashlib
import heapq
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, select, tuple_
from sqlalchemy.orm import Session

from consent.auditing import search
from consent.auditing.engagements import Scope, Seat
from consent.auditing.models import Sample, SampleItem, SearchableEvent
from consent.auditing.search import Found, Query
from consent.models import LogEntry, LogState
from pds.errors import Issue, NotFoundError, ValidationFailedError
from pds.ids import random_uuid

MOST = 200
NOTE_MOST = 500
MARKS = ("pass", "fail")
_SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class Item:
    """An event of a sample with its mark; `event` is None if it was erased or lost since.

    `index` is its place in the log of the draw; that of `event` is the present one.
    """

    number: int
    index: int
    event: Found | None
    mark: str | None
    note: str


def lowest(seed: str, places: Iterable[int], size: int) -> list[int]:
    """Return the sample of a population, in the order of the draw. Pure.

    Args:
        seed: 32 bytes in hex.
        places: of the population.
        size: how many are drawn; all, if there are fewer.
    """
    key = bytes.fromhex(seed)
    return heapq.nsmallest(
        size, places, key=lambda place: hashlib.sha256(key + place.to_bytes(8, "big")).digest()
    )


def draw(
    session: Session,
    seat: Seat,
    query: Query,
    *,
    asked: Mapping[str, str],
    size: int,
    now: datetime,
) -> UUID:
    """Draw a sample of what a query finds; returns its id.

    Raises:
        ValidationFailedError: the size is out of range, or nothing is found.
    """
    if not 1 <= size <= MOST:
        raise ValidationFailedError([Issue("/size", "range", f"1 to {MOST}")])
    conditions = search.conditions(session, seat.scope, query)
    statement = select(SearchableEvent.index).where(*conditions).order_by(SearchableEvent.index)
    places = list(session.scalars(statement))
    origin = session.scalar(select(LogState.origin))
    if not places or origin is None:
        raise ValidationFailedError([Issue("/size", "empty", "the filter finds nothing")])
    seed, sample_id = secrets.token_hex(_SEED_BYTES), random_uuid()
    session.execute(
        insert(Sample).values(
            id=sample_id,
            engagement_id=seat.scope.engagement_id,
            auditor_id=seat.auditor_id,
            seed=seed,
            asked=dict(asked),
            population=len(places),
            last_index=places[-1],
            origin=origin,
            drawn_at=now,
        )
    )
    drawn = lowest(seed, places, size)
    events = _events_at(session, drawn)
    session.execute(
        insert(SampleItem),
        [
            {"sample_id": sample_id, "number": number, "index": place, "note": ""} | events[place]
            for number, place in enumerate(drawn, start=1)
        ],
    )
    return sample_id


def _events_at(session: Session, places: Sequence[int]) -> dict[int, dict[str, object]]:
    query = select(LogEntry.index.label("place"), LogEntry.bucket, LogEntry.event_id).where(
        LogEntry.index.in_(places)
    )
    found = {row.place: row for row in session.execute(query)}
    return {
        place: {"bucket": found[place].bucket, "event_id": found[place].event_id}
        if place in found
        else {"bucket": None, "event_id": None}
        for place in places
    }


def of_engagement(session: Session, engagement_id: UUID) -> Sequence[Sample]:
    """Return the samples of an engagement, newest first."""
    query = select(Sample).where(Sample.engagement_id == engagement_id)
    return session.scalars(query.order_by(Sample.drawn_at.desc(), Sample.id)).all()


def get(session: Session, scope: Scope, sample_id: UUID) -> tuple[Sample, list[Item]]:
    """Return a sample of the engagement with its events.

    Raises:
        NotFoundError: it has none of that id.
    """
    sample = session.get(Sample, sample_id)
    if sample is None or sample.engagement_id != scope.engagement_id:
        raise NotFoundError
    query = select(SampleItem).where(SampleItem.sample_id == sample_id).order_by(SampleItem.number)
    items = session.scalars(query).all()
    places = _places_of(session, items)
    rows = session.scalars(
        select(SearchableEvent).where(
            SearchableEvent.index.in_(sorted(places.values())), search.in_scope(scope)
        )
    ).all()
    events = {each.index: each for each in search.described(session, scope, rows)}
    return sample, [
        Item(each.number, each.index, events.get(places.get(each.number, -1)), each.mark, each.note)
        for each in items
    ]


def _places_of(session: Session, items: Sequence[SampleItem]) -> dict[int, int]:
    """Return where in the present log the events of a sample stand, by their numbers in it."""
    event = tuple_(LogEntry.bucket, LogEntry.event_id)
    query = select(LogEntry.bucket, LogEntry.event_id, LogEntry.index.label("place")).where(
        event.in_([(each.bucket, each.event_id) for each in items if each.event_id is not None])
    )
    found = {(row.bucket, row.event_id): row.place for row in session.execute(query)}
    return {
        each.number: found[each.bucket, each.event_id]
        for each in items
        if (each.bucket, each.event_id) in found
    }


def mark(
    session: Session,
    seat: Seat,
    sample_id: UUID,
    number: int,
    *,
    as_: str,
    note: str,
    now: datetime,
) -> None:
    """Mark an event of a sample as passed or failed; a later mark replaces an earlier one.

    Raises:
        NotFoundError: the engagement has no such sample, or that no such event.
        ValidationFailedError: the mark is unknown, or the note too long; a failure needs one.
    """
    sample = session.get(Sample, sample_id)
    item = session.get(SampleItem, (sample_id, number), with_for_update=True)
    if sample is None or item is None or sample.engagement_id != seat.scope.engagement_id:
        raise NotFoundError
    issues = []
    if as_ not in MARKS:
        issues.append(Issue("/mark", "unknown", f"one of {', '.join(MARKS)}"))
    if len(note) > NOTE_MOST:
        issues.append(Issue("/note", "too_long", f"at most {NOTE_MOST} characters"))
    if as_ == "fail" and not note:
        issues.append(Issue("/note", "missing", "say why it fails"))
    if issues:
        raise ValidationFailedError(issues)
    item.mark, item.note, item.marked_by, item.marked_at = as_, note, seat.auditor_id, now
