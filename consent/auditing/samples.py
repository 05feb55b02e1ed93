"""Random samples with a recorded seed, and what auditors made of each event (AUD-15).

The sample is the N events of the population with the least SHA-256(seed || place), the place as 8
bytes in big-endian order. The seed comes from the system's generator at the draw, so nobody chose
the sample; with seed and records anybody draws it again.
"""

from __future__ import annotations

import hashlib
import heapq
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from consent.auditing import search
from consent.auditing.engagements import Scope, Seat
from consent.auditing.models import Sample, SampleItem, SearchableEvent
from consent.auditing.search import Found, Query
from pds.errors import Issue, NotFoundError, ValidationFailedError
from pds.ids import random_uuid

MOST = 200
NOTE_MOST = 500
MARKS = ("pass", "fail")
_SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class Item:
    """An event of a sample with its mark; `event` is None if it was erased since."""

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
    if not places:
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
            drawn_at=now,
        )
    )
    session.execute(
        insert(SampleItem),
        [
            {"sample_id": sample_id, "number": number, "index": place, "note": ""}
            for number, place in enumerate(lowest(seed, places, size), start=1)
        ],
    )
    return sample_id


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
    rows = session.scalars(
        select(SearchableEvent).where(
            SearchableEvent.index.in_([each.index for each in items]), search.in_scope(scope)
        )
    ).all()
    events = {each.index: each for each in search.described(session, scope, rows)}
    return sample, [
        Item(each.number, each.index, events.get(each.index), each.mark, each.note)
        for each in items
    ]


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
