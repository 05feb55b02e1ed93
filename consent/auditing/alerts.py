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
an owner and a note, is kept beside it under the alert's key. Of each kind that is about entries the
newest are shown, and the rest page by page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from consent.auditing import search, streams, tallies, unmasking
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
MOST = 100  # of each kind on a page
NOTE_MOST = 500
_WEEK = timedelta(days=7)
_PLACE = re.compile(r"[0-9]{1,18}", re.ASCII)


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


@dataclass(frozen=True, slots=True)
class Alerts:
    """Some alerts; `earlier` has the kinds of which there are more, with the place to go on at."""

    found: Sequence[Alert]
    earlier: Mapping[Kind, int] = field(default_factory=dict)


def key_of(kind: Kind, index: int) -> str:
    """Return the key of an alert about the entry at a place in the log."""
    return f"{kind}:{index}"


def find(session: Session, scope: Scope) -> Alerts:
    """Return the alerts of an engagement with what was made of them, by kind."""
    parts: list[Alerts] = [
        _of_entries(session, scope, Kind.READ_AFTER_END),
        Alerts([*_by_day(session, scope)]),
        _of_entries(session, scope, Kind.DORMANT_READ),
        Alerts([*_broken(session, scope)]),
        _of_entries(session, scope, Kind.CLOCK_JUMP),
        Alerts([*_unmasked(session, scope)]),
        _of_entries(session, scope, Kind.COMPLAINT),
    ]
    found = [alert for part in parts for alert in part.found]
    earlier = {kind: place for part in parts for kind, place in part.earlier.items()}
    return Alerts(_with_reviews(session, scope, found), earlier)


def earlier(session: Session, scope: Scope, kind: Kind, *, before: int) -> Alerts:
    """Return the alerts of one of `OF_ENTRIES` before a place in the log, newest first."""
    part = _of_entries(session, scope, kind, SearchableEvent.index < before)
    return Alerts(_with_reviews(session, scope, part.found), part.earlier)


def _with_reviews(session: Session, scope: Scope, found: Sequence[Alert]) -> list[Alert]:
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
    found = _of_key(session, seat.scope, key)
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


def set_aside_reviews(session: Session, *, size: int) -> None:
    """Take what was made of alerts about entries from the places of a tree that is given up.

    In a later epoch another entry stands at each place: its alert would be called explained. They
    are kept under keys with the size of that tree, `complaint:17@4000`, and their alerts are open.
    """
    of_places = or_(*(AlertReview.key.startswith(f"{kind}:") for kind in OF_ENTRIES))
    is_present = AlertReview.key.not_like("%@%")
    session.execute(
        update(AlertReview)
        .where(of_places, is_present)
        .values(key=AlertReview.key.concat(f"@{size}"))
        .execution_options(synchronize_session=False)
    )


def _of_key(session: Session, scope: Scope, key: str) -> Alert | None:
    """Return an alert by its key, however old it is; None: there is none."""
    name, _, place = key.partition(":")
    if name in OF_ENTRIES and _PLACE.fullmatch(place):
        part = _of_entries(session, scope, Kind(name), SearchableEvent.index == int(place))
        some = _with_reviews(session, scope, part.found)
    else:
        some = [*find(session, scope).found]
    return next((each for each in some if each.key == key), None)


def _reviewed(alert: Alert, found: AlertReview | None) -> Alert:
    if found is None:
        return alert
    return replace(alert, state=State(found.state), note=found.note, owner_id=found.owner_id)


def _is_after_end(_session: Session) -> ColumnElement[bool]:
    end = aliased(SearchableEvent)
    ended = exists().where(
        end.grant_id == SearchableEvent.grant_id,
        end.name.in_(sorted(ENDS)),
        end.index < SearchableEvent.index,
    )
    return and_(_is_read(), ended)


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


def _is_dormant(session: Session) -> ColumnElement[bool]:
    before = func.lag(SearchableEvent.minute).over(
        partition_by=SearchableEvent.grant_id, order_by=SearchableEvent.index
    )
    reads = select(SearchableEvent.index, SearchableEvent.minute, before.label("before")).where(
        _is_read(), SearchableEvent.grant_id.is_not(None)
    )
    read = reads.subquery()
    rested = _days(session, read.c.minute) - _days(session, read.c.before) >= DORMANT_DAYS
    return SearchableEvent.index.in_(select(read.c.index).where(rested))


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
                Event.stream == streams.stream_of_grant(),
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


def _is_jump(session: Session) -> ColumnElement[bool]:
    before = func.lag(SearchableEvent.minute).over(order_by=SearchableEvent.index)
    placed = select(
        SearchableEvent.index, SearchableEvent.minute, before.label("before")
    ).subquery()
    back = _days(session, placed.c.before) - _days(session, placed.c.minute)
    return SearchableEvent.index.in_(select(placed.c.index).where(back >= JUMP / timedelta(days=1)))


def _is_complaint(_session: Session) -> ColumnElement[bool]:
    return SearchableEvent.name == EventName.COMPLAINT_LODGED.value


# Kinds that are about entries, and which those are.
OF_ENTRIES: Mapping[str, Callable[[Session], ColumnElement[bool]]] = {
    Kind.READ_AFTER_END: _is_after_end,
    Kind.DORMANT_READ: _is_dormant,
    Kind.CLOCK_JUMP: _is_jump,
    Kind.COMPLAINT: _is_complaint,
}


def _unmasked(session: Session, scope: Scope) -> Iterator[Alert]:
    for day, number in sorted(unmasking.opened_by_day(session, scope).items()):
        if number >= UNMASKED_LEAST:
            key = f"{Kind.BULK_UNMASKING}:{day}"
            yield Alert(key, Kind.BULK_UNMASKING, day, None, None, {"opened": number})


def _is_read() -> ColumnElement[bool]:
    return SearchableEvent.name == EventName.DATA_READ.value


def _of_entries(
    session: Session, scope: Scope, kind: Kind, *narrower: ColumnElement[bool]
) -> Alerts:
    query = (
        select(SearchableEvent)
        .where(search.in_scope(scope), OF_ENTRIES[kind](session), *narrower)
        .order_by(SearchableEvent.index.desc())
        .limit(MOST + 1)
    )
    rows = session.scalars(query).all()
    page, found = rows[:MOST], []
    for each in search.described(session, scope, page):
        detail: dict[str, int | str] = {"entry": each.reference or "", "index": each.index}
        if kind is Kind.COMPLAINT:
            detail["reason"] = each.outcome
        at = rfc3339(each.minute)
        key = key_of(kind, each.index)
        found.append(Alert(key, kind, at, each.organisation_id, each.agreement_id, detail))
    return Alerts(found, {kind: page[-1].index} if len(rows) > MOST else {})


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
