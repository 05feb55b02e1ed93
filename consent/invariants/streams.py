"""The log's events: numbered without gaps, true to their leaves, and no read without a consent."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from consent.formats import canonical
from consent.formats.errors import FormatError
from consent.formats.leaf import PublicPart, to_minute
from consent.formats.meaning import GRANT_STREAM, READ, ReadCheck, Terms
from consent.invariants.scope import Broken, Scope, broken, within
from consent.log.entries import DEPLOYMENT_BUCKET, DEPLOYMENT_STREAM, grant_stream
from consent.models import (
    AgreementVersion,
    DeploymentStream,
    Event,
    EventPayload,
    Grant,
    LogEntry,
    LogPending,
    LogState,
)
from consent.vocabulary import EventName
from pds import vaults
from pds.clock import from_rfc3339
from pds.events import vault_stream

_CONSENT = "consent."
_WITH_PAYLOAD = and_(EventPayload.bucket == Event.bucket, EventPayload.event_id == Event.id)


_count, _first, _last = func.count(), func.min(Event.seq), func.max(Event.seq)
_WITH_GAPS = (
    select(Event.bucket, Event.stream)
    .where(within(Event.bucket))
    .group_by(Event.bucket, Event.stream)
    .having(or_(_first != 1, _count != _last))
)
_LAST_NUMBERS = (
    select(Event.stream, func.max(Event.seq))
    .where(within(Event.bucket))
    .group_by(Event.bucket, Event.stream)
)
_EVENTS = (
    select(
        Event.stream,
        Event.seq,
        Event.name,
        Event.at,
        Event.grant_id,
        Event.c_pub,
        EventPayload.pub,
        EventPayload.r_pub,
    )
    .select_from(Event)
    .join(EventPayload, _WITH_PAYLOAD)
    .where(within(Event.bucket))
    .execution_options(yield_per=500)
)
_MISPLACED = (
    select(Event.stream, Event.seq, LogPending.event_id.is_not(None))
    .select_from(Event)
    .outerjoin(LogPending, and_(LogPending.bucket == Event.bucket, LogPending.event_id == Event.id))
    .outerjoin(LogEntry, and_(LogEntry.bucket == Event.bucket, LogEntry.event_id == Event.id))
    .where(
        within(Event.bucket),
        or_(
            and_(LogPending.event_id.is_(None), LogEntry.event_id.is_(None)),
            and_(LogPending.event_id.is_not(None), LogEntry.event_id.is_not(None)),
        ),
    )
)
_ACCESSES = (
    select(Event.bucket, Event.stream, Event.seq, Event.at, Event.grant_id, EventPayload.pub)
    .select_from(Event)
    .join(EventPayload, _WITH_PAYLOAD)
    .where(
        within(Event.bucket),
        or_(
            Event.name.in_((EventName.DATA_READ, EventName.DATA_DEPOSITED)),
            and_(
                Event.name.startswith(_CONSENT, autoescape=True),
                Event.stream.startswith(GRANT_STREAM, autoescape=True),
            ),
        ),
    )
    .order_by(Event.bucket, Event.stream, Event.seq)
    .execution_options(yield_per=500)
)
# The first entry of a later epoch has no event.
_SIZE = select(func.max(LogState.size), func.count(LogState.continues))
_PLACED = select(func.count(LogEntry.event_id), func.max(LogEntry.index))
_COUNTED = select(Grant.id, Grant.seq).where(within(Grant.bucket))


def has_no_gap(scope: Scope) -> Iterator[Broken]:
    """A stream's events are numbered from 1 without gaps (P-31)."""
    for bucket, stream in scope.rows(_WITH_GAPS):
        place = func.row_number().over(order_by=Event.seq)
        numbered = (
            select(Event.seq, place.label("place"))
            .where(Event.bucket == bucket, Event.stream == stream)
            .subquery()
        )
        wrong = select(numbered.c.place, numbered.c.seq).where(numbered.c.seq != numbered.c.place)
        missing, seq = scope.session.execute(wrong.order_by(numbered.c.seq).limit(1)).one()
        yield broken(f"number {missing} is missing", entry=f"{stream}/{seq}")


def ends_at_its_counter(scope: Scope) -> Iterator[Broken]:
    """The last number of a stream is the one that its grant, vault or deployment counted (P-31)."""
    last = dict(scope.rows(_LAST_NUMBERS).all())
    for stream, counted, ids in _counters(scope):
        if (found := last.pop(stream, 0)) != counted:
            detail = f"the last number of {stream} is {found}, and {counted} was counted"
            yield broken(detail, **ids)
    for stream, found in last.items():
        yield broken("it is the stream of nothing that is there", entry=f"{stream}/{found}")


def is_what_its_leaf_says(scope: Scope) -> Iterator[Broken]:
    """An event is what its public part says, and that is what its leaf commits to (P-32)."""
    for stream, seq, name, at, grant_id, c_pub, pub, r_pub in scope.rows(_EVENTS):
        stated = (name, to_minute(at), stream, seq, None if grant_id is None else str(grant_id))
        if not hmac.compare_digest(hmac.digest(r_pub, pub, "sha256"), c_pub):
            yield broken("its leaf commits to another public part", entry=f"{stream}/{seq}")
        elif _stated(pub) != stated or (grant_id and stream != grant_stream(grant_id)):
            yield broken("its row says other than its public part", entry=f"{stream}/{seq}")


def has_one_place_in_the_log(scope: Scope) -> Iterator[Broken]:
    """An event's leaf is in the tree or waits to be placed, and not both (LOG-14)."""
    for stream, seq, waits in scope.rows(_MISPLACED):
        where = "both in the tree and waiting" if waits else "neither in the tree nor waiting"
        yield broken(f"its leaf is {where}", entry=f"{stream}/{seq}")


def tree_is_as_long_as_its_entries(scope: Scope) -> Iterator[Broken]:
    """The leaves placed are numbered from 0 to the size of the tree (LOG-3)."""
    found, later_epochs = scope.session.execute(_SIZE).one()
    size, events = found or 0, (found or 0) - later_epochs
    placed, last = scope.session.execute(_PLACED).one()
    if (placed, last) != (events, size - 1 if events else None):
        yield broken(f"the tree has {size} leaves, and {placed} are placed, the last at {last}")


def access_lies_in_a_consent(scope: Scope) -> Iterator[Broken]:
    """A read or a deposit comes after its consent, before its end, and not in a pause (LOG-26).

    By the verifier's rules (`consent.formats.meaning`), over the public parts of each grant's
    stream; and by the second, within the agreement's window.
    """
    rows = scope.rows(_ACCESSES)
    for _, events in groupby(rows, key=lambda row: row[:2]):
        terms: _Agreed | None = None
        check = ReadCheck({})
        for bucket, stream, seq, at, grant_id, pub in events:
            if terms is None:
                terms = _Agreed(scope.session, bucket, grant_id)
                check = ReadCheck(terms)
            if objection := _objection(check, terms, pub, at):
                yield broken(objection, entry=f"{stream}/{seq}", grant=grant_id)


@dataclass(frozen=True, slots=True)
class _Window:
    terms: Terms
    starts_at: datetime
    expires_at: datetime


class _Agreed(Mapping[str, Terms]):
    """The texts of one grant's agreement by their hashes, read when first asked for."""

    def __init__(self, session: Session, bucket: int, grant_id: UUID | None) -> None:
        self._session, self._bucket, self._grant_id = session, bucket, grant_id
        self._read: dict[str, _Window] | None = None

    def __getitem__(self, sha256: str) -> Terms:
        return self.windows[sha256].terms

    def __iter__(self) -> Iterator[str]:
        return iter(self.windows)

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def windows(self) -> dict[str, _Window]:
        if self._read is None:
            query = (
                select(AgreementVersion.sha256, AgreementVersion.document)
                .join(
                    Grant,
                    and_(
                        Grant.bucket == AgreementVersion.bucket,
                        Grant.agreement_id == AgreementVersion.agreement_id,
                    ),
                )
                .where(Grant.bucket == self._bucket, Grant.id == self._grant_id)
            )
            found = self._session.execute(query)
            self._read = {sha256: window for sha256, text in found for window in _windows(text)}
        return self._read


def _windows(text: bytes) -> Iterator[_Window]:
    try:
        document: Any = canonical.parse(text)
        yield _Window(
            Terms.from_document(document, "agreement"),
            from_rfc3339(document["starts_at"]),
            from_rfc3339(document["expires_at"]),
        )
    except (FormatError, KeyError, TypeError, ValueError):
        return  # the terms are not at hand, says the check


def _objection(check: ReadCheck, agreed: _Agreed, pub: bytes, at: datetime) -> str:
    try:
        part = PublicPart.from_dict(orjson.loads(pub))
    except (FormatError, ValueError):
        return ""  # what a public part must be is another rule's
    is_access = not part.event.startswith(_CONSENT)
    if is_access:
        part = replace(part, event=READ)  # whoever writes needs the same consent
    for _, rule, detail in check.feed([part]):
        return f"{rule}: {detail}"
    window = agreed.windows.get(part.agreement_sha256 or "") if is_access else None
    if window is not None and not window.starts_at <= at < window.expires_at:
        return "it is outside the agreement's window"
    return ""


def _stated(pub: bytes) -> tuple[object, ...]:
    try:
        part = orjson.loads(pub)
        return tuple(part[name] for name in ("event", "time", "stream", "seq", "grant"))
    except (ValueError, KeyError, TypeError):
        return ()


def _counters(scope: Scope) -> Iterator[tuple[str, int, dict[str, UUID | str]]]:
    for grant_id, seq in scope.rows(_COUNTED):
        yield grant_stream(grant_id), seq, {"grant": grant_id}
    for vault_id, seq in vaults.event_counters(scope.session, scope.first, scope.last):
        yield vault_stream(vault_id), seq, {"vault": vault_id}
    if scope.first <= DEPLOYMENT_BUCKET <= scope.last:
        counted = scope.session.scalar(select(DeploymentStream.seq)) or 0
        yield DEPLOYMENT_STREAM, counted, {"stream": DEPLOYMENT_STREAM}
