"""Access without consent: every read of an engagement held against its consent (AUD-6).

The rules are those of the offline verifier, `consent.formats.meaning`, so that what is found here
is found there, too. What should come out is nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, select, tuple_
from sqlalchemy.orm import Session

from consent.auditing.engagements import Scope
from consent.formats import canonical
from consent.formats.leaf import PublicPart
from consent.formats.meaning import ReadCheck, Terms
from consent.log.entries import grant_stream
from consent.log.reader import stream_events
from consent.models import AgreementVersion, Grant
from consent.vocabulary import EventName


@dataclass(frozen=True, slots=True)
class Objection:
    """A read that no consent covers: which, by what rule, and why."""

    entry: str
    time: str
    agreement_id: UUID
    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class AccessCheck:
    """What was checked; `after` leads to the grants that were not yet, None: all were.

    `erased` counts entries whose public part is gone: nothing can be said of those.
    """

    grants: int
    reads: int
    erased: int
    objections: Sequence[Objection]
    after: tuple[int, UUID] | None


def check(
    session: Session, scope: Scope, *, after: tuple[int, UUID] | None, limit: int
) -> AccessCheck:
    """Check all reads of the period under at most `limit` grants, by bucket and id."""
    query = (
        select(Grant.bucket, Grant.id, Grant.agreement_id)
        .where(scope.is_of(Grant.organisation_id), Grant.created_at < scope.until)
        .order_by(Grant.bucket, Grant.id)
        .limit(limit + 1)
    )
    if after is not None:
        query = query.where(tuple_(Grant.bucket, Grant.id) > after)
    rows = session.execute(query).all()
    page = rows[:limit]
    checker = ReadCheck(_terms(session, [(bucket, each) for bucket, _, each in page]))
    reads, erased, found = 0, 0, []
    for bucket, grant_id, agreement_id in page:
        events = []
        for event in stream_events(session, bucket, grant_stream(grant_id)):
            if event.at >= scope.until:
                break
            if event.opening is None:
                erased += 1
                continue
            events.append(event.opening.pub)
            reads += event.name == EventName.DATA_READ and scope.is_in_period(event.at)
        found += [
            _objection(event, agreement_id, rule, detail)
            for event, rule, detail in checker.feed(events)
        ]
    last = (page[-1][0], page[-1][1]) if len(rows) > limit else None
    return AccessCheck(len(page), reads, erased, found, last)


def _objection(read: PublicPart, agreement_id: UUID, rule: str, detail: str) -> Objection:
    return Objection(f"{read.stream}/{read.seq}", read.time, agreement_id, rule, detail)


def _terms(session: Session, agreements: Sequence[tuple[int, UUID]]) -> dict[str, Terms]:
    query = select(AgreementVersion.sha256, AgreementVersion.document).where(
        and_(tuple_(AgreementVersion.bucket, AgreementVersion.agreement_id).in_(agreements))
    )
    found = {}
    for sha256, document in session.execute(query):
        text = canonical.parse(document)
        if isinstance(text, dict):
            found[sha256] = Terms.from_document(text, "agreement")
    return found
