"""Searching the log's public parts within an engagement, newest first (AUD-2, AUD-16)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, or_, select, true
from sqlalchemy.orm import Session

from consent.auditing.engagements import Scope
from consent.auditing.models import SearchableEvent
from consent.formats.canonical import JSONValue
from consent.models import (
    Agreement,
    Event,
    EventErasure,
    Grant,
    LogEntry,
    LogPending,
    LogState,
    Request,
)
from pds.catalogue import CATALOGUE
from pds.clock import rfc3339

COUNT_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for; None: whatever.

    `person` is a pseudonym of the engagement. `since` is inclusive, `until` exclusive, both narrow
    the engagement's period and never widen it. `state` is the agreement's, at present. Without a
    `proof` what was erased is passed over: `erased` counts it.
    """

    person: str | None = None
    organisation: UUID | None = None
    agreement: UUID | None = None
    purpose: str | None = None
    collection: str | None = None
    cluster: str | None = None
    state: str | None = None
    event: str | None = None
    channel: str | None = None
    outcome: str | None = None
    proof: str | None = None  # a `ProofState`
    since: datetime | None = None
    until: datetime | None = None


class ProofState(StrEnum):
    """How far an entry is proved, and whether anybody can still read it."""

    PROVED = "proved"  # in the tree that is signed and published
    WAITING = "waiting"  # in the tree, which witnesses have yet to cosign
    ERASED = "erased"  # in a tree, as noise


@dataclass(frozen=True, slots=True)
class Found:
    """An event as an auditor sees it; `index` is its place in the log.

    `reference` is stream and number, None where the stream would name a vault. Of an erased one
    `erased_by` is the rule, `class.public` of the retention table, and nothing is left but its
    place and whose it was.
    """

    index: int
    minute: datetime
    name: str
    organisation_id: UUID | None
    person: str | None
    agreement_id: UUID | None
    purpose: str | None
    collections: tuple[str, ...]
    outcome: str
    count: int
    channel: str
    reference: str | None
    erased_by: str | None = None

    def to_dict(self) -> dict[str, JSONValue]:
        """Return the JSON object that API and packs give; packs hold none that was erased."""
        if self.erased_by is not None:
            return {
                "index": self.index,
                "organisation": str(self.organisation_id) if self.organisation_id else None,
                "person": self.person,
                "agreement": str(self.agreement_id) if self.agreement_id else None,
                "entry": self.reference,
                "erased_by": self.erased_by,
            }
        return {
            "index": self.index,
            "time": rfc3339(self.minute),
            "event": self.name,
            "organisation": str(self.organisation_id) if self.organisation_id else None,
            "person": self.person,
            "agreement": str(self.agreement_id) if self.agreement_id else None,
            "purpose": self.purpose,
            "collections": list(self.collections),
            "outcome": self.outcome,
            "count": self.count,
            "channel": self.channel,
            "entry": self.reference,
        }


@dataclass(frozen=True, slots=True)
class Page:
    """A page of results; `before` leads to the next one, None: this is the last."""

    events: Sequence[Found]
    before: int | None


def find(
    session: Session, scope: Scope, query: Query, *, before: int | None = None, limit: int = 50
) -> Page:
    """Return a page of what a query finds.

    Args:
        session: of a read transaction.
        scope: of the engagement.
        query: what is looked for.
        before: the place before which; None: from the newest on.
        limit: at most so many.
    """
    statement = select(SearchableEvent).where(*conditions(session, scope, query))
    if before is not None:
        statement = statement.where(SearchableEvent.index < before)
    statement = statement.order_by(SearchableEvent.index.desc()).limit(limit + 1)
    rows = session.scalars(statement).all()
    page = rows[:limit]
    return Page(described(session, scope, page), page[-1].index if len(rows) > limit else None)


def count(session: Session, scope: Scope, query: Query) -> int:
    """Return how many events a query finds; above `COUNT_MOST` it stops counting."""
    some = (
        select(SearchableEvent.index)
        .where(*conditions(session, scope, query))
        .limit(COUNT_MOST + 1)
        .subquery()
    )
    return session.execute(select(func.count()).select_from(some)).scalar_one()


def waiting(session: Session) -> int:
    """Return how many events are not signed yet, and so in no result."""
    return session.execute(select(func.count()).select_from(LogPending)).scalar_one()


def conditions(session: Session, scope: Scope, query: Query) -> list[ColumnElement[bool]]:
    """Return what an event must meet to be within an engagement and found by a query."""
    event = SearchableEvent
    found = [_is_within(scope), *_of_proof(session, query.proof), *_narrower(session, scope, query)]
    found += [
        column == wanted
        for column, wanted in (
            (event.purpose, query.purpose),
            (event.name, query.event),
            (event.channel, query.channel),
            (event.outcome, query.outcome),
        )
        if wanted is not None
    ]
    if query.collection is not None:
        found.append(_has_collection(query.collection))
    if query.cluster is not None:
        found.append(or_(false(), *map(_has_collection, collections_of(query.cluster))))
    return found


def _narrower(session: Session, scope: Scope, query: Query) -> list[ColumnElement[bool]]:
    """Return the conditions that erased entries meet or not like any other: whose, and when."""
    event = SearchableEvent
    found = [_between_places(session, scope, query)]
    if query.organisation is not None:
        found.append(event.organisation_id == query.organisation)
    if query.since is not None or query.until is not None:
        found.append(_in_time(*_period(scope, query)))
    if query.state is not None or query.agreement is not None:
        found.append(event.grant_id.in_(_grants(scope, query)))
    if query.person is not None:
        found.append(_of_person(session, scope, query.person))
    return found


def _of_proof(session: Session, proof: str | None) -> list[ColumnElement[bool]]:
    event = SearchableEvent
    if proof == ProofState.ERASED:
        return [event.name == ""]
    if proof is None:
        return [event.name != ""]
    published = session.scalar(select(func.max(LogState.published_size))) or 0
    is_signed = event.index < published if proof == ProofState.PROVED else event.index >= published
    return [event.name != "", is_signed]


def erased(session: Session, scope: Scope, query: Query) -> dict[str, int]:
    """Count what a query passes over because it was erased, by the rule that took it (AUD-9).

    Whose it was and when is still known, what it said is not: filters by that leave nothing out.
    """
    some = (
        select(EventErasure.rule)
        .select_from(SearchableEvent)
        .join(LogEntry, LogEntry.index == SearchableEvent.index)
        .join(
            EventErasure,
            and_(
                EventErasure.bucket == LogEntry.bucket, EventErasure.event_id == LogEntry.event_id
            ),
        )
        .where(
            SearchableEvent.name == "",
            _is_within(scope),
            *_narrower(session, scope, query),
        )
        .limit(COUNT_MOST)
        .subquery()
    )
    counted = select(some.c.rule, func.count()).group_by(some.c.rule).order_by(some.c.rule)
    return {row[0]: row[1] for row in session.execute(counted)}


def in_scope(scope: Scope) -> ColumnElement[bool]:
    """Return the condition that an event is within an engagement, and was not erased."""
    return and_(SearchableEvent.name != "", _is_within(scope))


def _is_within(scope: Scope) -> ColumnElement[bool]:
    event = SearchableEvent
    in_period = _in_time(scope.since, scope.until)
    if scope.organisations is not None:
        return and_(event.organisation_id.in_(sorted(scope.organisations)), in_period)
    return and_(or_(event.organisation_id.is_not(None), event.is_operators), in_period)


def _in_time(since: datetime, until: datetime) -> ColumnElement[bool]:
    # Not the bare column: SQLite would take the index by time for the longest period, too, and then
    # sort all of the log by place for one page.
    minute = func.coalesce(SearchableEvent.minute, since)
    return and_(minute >= since, minute < until)


def _period(scope: Scope, query: Query) -> tuple[datetime, datetime]:
    since = scope.since if query.since is None else max(scope.since, query.since)
    until = scope.until if query.until is None else min(scope.until, query.until)
    return since, until


def _between_places(session: Session, scope: Scope, query: Query) -> ColumnElement[bool]:
    """Return the places between which all that is of the period lies, by the index by time.

    Places follow the time but for the delay of merging, so that this leaves little else.
    """
    event = SearchableEvent
    since, until = _period(scope, query)
    outside = or_(exists().where(event.minute < since), exists().where(event.minute >= until))
    if not session.scalar(select(outside)):
        return true()
    ends: Select[*tuple[Any, ...]] = select(func.min(event.index), func.max(event.index))
    in_time = ends.where(event.minute >= since, event.minute < until)
    first, last = session.execute(in_time).one()
    return false() if first is None else event.index.between(first, last)


def collections_of(cluster: str) -> list[str]:
    """Return the collections that have attributes of a cluster."""
    return [name for name, kind in CATALOGUE.collections.items() if kind.cluster.name == cluster]


def vault_of(session: Session, scope: Scope, person: str) -> tuple[int, UUID] | None:
    """Return bucket and vault of a pseudonym, or None; for use inside the server alone."""
    bucket = scope.pseudonyms.bucket_of(person)
    if bucket is None:
        return None
    vaults = {
        vault_id
        for model in (Grant, Request)
        for vault_id in session.scalars(
            select(model.vault_id).where(model.bucket == bucket, scope.is_of(model.organisation_id))
        )
    }
    vault_id = scope.pseudonyms.find(person, vaults)
    return None if vault_id is None else (bucket, vault_id)


def described(session: Session, scope: Scope, rows: Sequence[SearchableEvent]) -> list[Found]:
    """Return events as an auditor sees them, with pseudonyms."""
    query = (
        select(
            LogEntry.index.label("place"),
            Event.bucket,
            Event.vault_id,
            Event.stream,
            Event.seq,
            Grant.agreement_id,
            EventErasure.rule,
        )
        .join(Event, and_(Event.bucket == LogEntry.bucket, Event.id == LogEntry.event_id))
        .outerjoin(Grant, and_(Grant.bucket == Event.bucket, Grant.id == Event.grant_id))
        .outerjoin(
            EventErasure,
            and_(EventErasure.bucket == Event.bucket, EventErasure.event_id == Event.id),
        )
        .where(LogEntry.index.in_([row.index for row in rows]))
    )
    more = {row.place: row for row in session.execute(query)}
    found = []
    for row in rows:
        known = more.get(row.index)
        vault_id = known.vault_id if known else None
        names_vault = known is None or known.stream.startswith("v.")
        found.append(
            Found(
                index=row.index,
                minute=row.minute,
                name=row.name,
                organisation_id=row.organisation_id,
                person=scope.pseudonyms.of(known.bucket, vault_id) if known and vault_id else None,
                agreement_id=known.agreement_id if known else None,
                purpose=row.purpose,
                collections=tuple(filter(None, row.collections.split(","))),
                outcome=row.outcome,
                count=row.count,
                channel=row.channel,
                reference=None if names_vault or known is None else f"{known.stream}/{known.seq}",
                erased_by=(known.rule if known else None) or ("" if not row.name else None),
            )
        )
    return found


def _has_collection(name: str) -> ColumnElement[bool]:
    return SearchableEvent.collections.contains(f",{name},", autoescape=True)


def _grants(scope: Scope, query: Query) -> ColumnElement[UUID]:
    same = and_(Agreement.bucket == Grant.bucket, Agreement.id == Grant.agreement_id)
    statement = select(Grant.id).join(Agreement, same).where(scope.is_of(Grant.organisation_id))
    if query.state is not None:
        statement = statement.where(Agreement.state == query.state)
    if query.agreement is not None:
        statement = statement.where(Agreement.id == query.agreement)
    return statement.scalar_subquery()


def _of_person(session: Session, scope: Scope, person: str) -> ColumnElement[bool]:
    found = vault_of(session, scope, person)
    if found is None:
        return false()
    places = (
        select(LogEntry.index)
        .join(Event, and_(Event.bucket == LogEntry.bucket, Event.id == LogEntry.event_id))
        .where(Event.bucket == found[0], Event.vault_id == found[1])
    )
    return SearchableEvent.index.in_(places)
