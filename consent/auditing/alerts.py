"""Alerts: what an auditor should look at first, computed from the log's public parts (AUD-14).

    read-after-end      a read stands behind the end of its consent in the same stream
    volume-spike        an organisation read far more in a day than in the week before
    many-refusals       an organisation's reads of a day were refused in large part
    dormant-read        a consent that had rested for 90 days was read
    broken-stream       a grant's stream has a gap, or says less than its counter
    clock-jump          an entry is older by an hour or more than one before it in the log
    bulk-unmasking      many pseudonyms were opened in a day
    complaint           a person reported an organisation (CUX-43)

Each is computed anew at each look, so nobody can make one go away; opened pseudonyms alone are
counted from rows of their own, which go with their vault. What auditors made of an alert, a state,
an owner and a note, is kept beside it under the alert's key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from consent.auditing import search, tallies, unmasking
from consent.auditing.engagements import Scope, Seat, members
from consent.auditing.models import AlertReview, SearchableEvent
from consent.formats.meaning import ENDS
from consent.log.rows import replace_all
from consent.models import Event, Grant
from consent.vocabulary import EventName
from pds.clock import rfc3339
from pds.errors import Issue, ValidationFailedError

SPIKE_TIMES, SPIKE_LEAST = 5, 50
REFUSALS_LEAST, REFUSALS_SHARE = 20, 0.2
DORMANT_DAYS = 90
JUMP = timedelta(hours=1)
UNMASKED_LEAST = 5
MOST = 100  # of each kind
NOTE_MOST = 500
_WEEK = timedelta(days=7)
_IS_COMPLAINT = SearchableEvent.name == EventName.COMPLAINT_LODGED.value


class Kind(StrEnum):
    """What an alert is about."""

    READ_AFTER_END = "read-after-end"
    VOLUME_SPIKE = "volume-spike"
    MANY_REFUSALS = "many-refusals"
    DORMANT_READ = "dormant-read"
    BROKEN_STREAM = "broken-stream"
    CLOCK_JUMP = "clock-jump"
    BULK_UNMASKING = "bulk-unmasking"
    COMPLAINT = "complaint"


class State(StrEnum):
    """What auditors made of an alert."""

    OPEN = "open"
    EXPLAINED = "explained"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to look at; `key` stays the same as long as its ground does.

    `when` is a day or an entry's minute, `detail` the figures behind it.
    """

    key: str
    kind: Kind
    when: str
    organisation_id: UUID | None
    agreement_id: UUID | None
    detail: Mapping[str, int | str]
    state: State = State.OPEN
    note: str = ""
    owner_id: UUID | None = None  # the auditor who looks after it


def key_of(kind: Kind, index: int) -> str:
    """Return the key of an alert about the entry at a place in the log."""
    return f"{kind}:{index}"


def find(session: Session, scope: Scope) -> list[Alert]:
    """Return the alerts of an engagement with what was made of them, by kind."""
    found = [
        alert
        for part in (
            _after_end(session, scope),
            _by_day(session, scope),
            _dormant(session, scope),
            _broken(session, scope),
            _jumps(session, scope),
            _unmasked(session, scope),
            _of_entries(session, scope, Kind.COMPLAINT, _IS_COMPLAINT),
        )
        for alert in part
    ]
    reviews = {
        each.key: each
        for each in session.scalars(
            select(AlertReview).where(AlertReview.engagement_id == scope.engagement_id)
        )
    }
    return [_reviewed(each, reviews.get(each.key)) for each in found]


def review(
    session: Session,
    seat: Seat,
    key: str,
    *,
    state: str,
    note: str,
    owner: str | None,
    now: datetime,
) -> None:
    """Record what an auditor makes of an alert.

    Args:
        session: of a write job.
        seat: whose word it is.
        key: of the alert.
        state: a `State`.
        note: why; empty only for an open one.
        owner: the id of the auditor who looks after it, empty for nobody; None: as it was.
        now: the present instant.

    Raises:
        ValidationFailedError: there is no such alert, state or auditor; all but `open` need a note.
    """
    issues = []
    if owner and owner not in map(str, members(session, seat.scope.engagement_id)):
        issues.append(Issue("/owner", "unknown", "an auditor of this engagement"))
    if state not in tuple(State):
        issues.append(Issue("/state", "unknown", f"one of {', '.join(State)}"))
    if len(note) > NOTE_MOST:
        issues.append(Issue("/note", "too_long", f"at most {NOTE_MOST} characters"))
    if state != State.OPEN and not note:
        issues.append(Issue("/note", "missing", "say why"))
    found = next((each for each in find(session, seat.scope) if each.key == key), None)
    if found is None:
        issues.append(Issue("/key", "unknown", "the key of an alert"))
    if issues or found is None:
        raise ValidationFailedError(issues)
    row = {
        "engagement_id": seat.scope.engagement_id,
        "key": key,
        "state": state,
        "note": note,
        "owner_id": found.owner_id if owner is None else UUID(owner) if owner else None,
        "auditor_id": seat.auditor_id,
        "reviewed_at": now,
    }
    replace_all(session, AlertReview, [row])


def _reviewed(alert: Alert, found: AlertReview | None) -> Alert:
    if found is None:
        return alert
    return replace(alert, state=State(found.state), note=found.note, owner_id=found.owner_id)


def _after_end(session: Session, scope: Scope) -> Iterator[Alert]:
    end = aliased(SearchableEvent)
    ended = exists().where(
        end.grant_id == SearchableEvent.grant_id,
        end.name.in_(sorted(ENDS)),
        end.index < SearchableEvent.index,
    )
    yield from _of_entries(session, scope, Kind.READ_AFTER_END, _is_read(), ended)


def _by_day(session: Session, scope: Scope) -> Iterator[Alert]:
    reads = tallies.by_day(session, scope, EventName.DATA_READ)
    refused = tallies.by_day(session, scope, EventName.DATA_READ_DENIED)
    for organisation_id, days in reads.items():
        for day, number in sorted(days.items()):
            before = [days.get(each, 0) for each in _week_before(day)]
            usual = sum(before) / len(before)
            if number >= SPIKE_LEAST and any(before) and number > SPIKE_TIMES * usual:
                detail = {"reads": number, "usual": round(usual)}
                yield _of_day(Kind.VOLUME_SPIKE, organisation_id, day, detail)
    for organisation_id, days in refused.items():
        for day, number in sorted(days.items()):
            attempts = number + reads.get(organisation_id, {}).get(day, 0)
            if number >= REFUSALS_LEAST and number > REFUSALS_SHARE * attempts:
                detail = {"refused": number, "attempts": attempts}
                yield _of_day(Kind.MANY_REFUSALS, organisation_id, day, detail)


def _dormant(session: Session, scope: Scope) -> Iterator[Alert]:
    before = func.lag(SearchableEvent.minute).over(
        partition_by=SearchableEvent.grant_id, order_by=SearchableEvent.index
    )
    reads = select(SearchableEvent.index, SearchableEvent.minute, before.label("before")).where(
        _is_read(), SearchableEvent.grant_id.is_not(None)
    )
    read = reads.subquery()
    rested = _days(session, read.c.minute) - _days(session, read.c.before) >= DORMANT_DAYS
    found = SearchableEvent.index.in_(select(read.c.index).where(rested))
    yield from _of_entries(session, scope, Kind.DORMANT_READ, found)


def _broken(session: Session, scope: Scope) -> Iterator[Alert]:
    last, number = func.max(Event.seq), func.count()
    query = (
        select(
            Grant.id,
            Grant.organisation_id,
            Grant.agreement_id,
            Grant.seq,
            last.label("last"),
            number.label("number"),
        )
        .outerjoin(
            Event,
            and_(
                Event.bucket == Grant.bucket,
                Event.vault_id == Grant.vault_id,
                Event.grant_id == Grant.id,
            ),
        )
        .where(scope.is_of(Grant.organisation_id), Grant.created_at < scope.until)
        .group_by(Grant.bucket, Grant.id, Grant.organisation_id, Grant.agreement_id, Grant.seq)
        .having(or_(last != number, last != Grant.seq, last.is_(None)))
        .order_by(Grant.bucket, Grant.id)
        .limit(MOST)
    )
    for row in session.execute(query):
        detail = {"counter": row.seq, "last": row.last or 0, "entries": row.number}
        yield Alert(
            f"{Kind.BROKEN_STREAM}:{row.id}",
            Kind.BROKEN_STREAM,
            "",
            row.organisation_id,
            row.agreement_id,
            detail,
        )


def _jumps(session: Session, scope: Scope) -> Iterator[Alert]:
    before = func.lag(SearchableEvent.minute).over(order_by=SearchableEvent.index)
    placed = select(
        SearchableEvent.index, SearchableEvent.minute, before.label("before")
    ).subquery()
    back = _days(session, placed.c.before) - _days(session, placed.c.minute)
    found = SearchableEvent.index.in_(
        select(placed.c.index).where(back >= JUMP / timedelta(days=1))
    )
    yield from _of_entries(session, scope, Kind.CLOCK_JUMP, found)


def _unmasked(session: Session, scope: Scope) -> Iterator[Alert]:
    for day, number in sorted(unmasking.opened_by_day(session, scope).items()):
        if number >= UNMASKED_LEAST:
            key = f"{Kind.BULK_UNMASKING}:{day}"
            yield Alert(key, Kind.BULK_UNMASKING, day, None, None, {"opened": number})


def _is_read() -> ColumnElement[bool]:
    return SearchableEvent.name == EventName.DATA_READ.value


def _of_entries(
    session: Session, scope: Scope, kind: Kind, *conditions: ColumnElement[bool]
) -> Iterator[Alert]:
    query = (
        select(SearchableEvent)
        .where(search.in_scope(scope), *conditions)
        .order_by(SearchableEvent.index.desc())
        .limit(MOST)
    )
    for each in search.described(session, scope, session.scalars(query).all()):
        detail: dict[str, int | str] = {"entry": each.reference or "", "index": each.index}
        if kind is Kind.COMPLAINT:
            detail["reason"] = each.outcome
        yield Alert(
            key_of(kind, each.index),
            kind,
            rfc3339(each.minute),
            each.organisation_id,
            each.agreement_id,
            detail,
        )


def _of_day(kind: Kind, organisation_id: UUID, day: str, detail: Mapping[str, int | str]) -> Alert:
    return Alert(f"{kind}:{organisation_id}:{day}", kind, day, organisation_id, None, detail)


def _week_before(day: str) -> Sequence[str]:
    last = date.fromisoformat(day)
    return [(last - timedelta(days=back)).isoformat() for back in range(1, _WEEK.days + 1)]


def _days(session: Session, instant: ColumnElement[Any]) -> ColumnElement[Any]:
    # As a number of days: the two stores have no arithmetic of instants in common.
    if session.get_bind().dialect.name == "sqlite":
        return func.julianday(instant)
    return func.extract("epoch", instant) / 86_400
