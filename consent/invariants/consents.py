"""Consent events: a walk through the table of acts, told in the log and in receipts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from sqlalchemy import and_, case, or_, select

from consent.invariants.scope import Broken, Scope, broken, within
from consent.lifecycle import MOVES, Act, follow
from consent.models import Agreement, ConsentEvent, Event, Grant, Receipt
from consent.vocabulary import Actor, AgreementState, ConsentStatus
from pds.errors import PDSError

_NAMES = {act.value: move.event.value for act, move in MOVES.items() if move.agreement}


_HISTORIES = (
    select(Agreement, ConsentEvent)
    .select_from(Agreement)
    .outerjoin(
        ConsentEvent,
        and_(ConsentEvent.bucket == Agreement.bucket, ConsentEvent.agreement_id == Agreement.id),
    )
    .where(within(Agreement.bucket))
    .order_by(Agreement.bucket, Agreement.id, ConsentEvent.seq)
    .execution_options(yield_per=500)
)
_UNLOGGED = (
    select(
        ConsentEvent.agreement_id,
        ConsentEvent.seq,
        ConsentEvent.act,
        ConsentEvent.stream,
        ConsentEvent.stream_seq,
    )
    .outerjoin(
        Event,
        and_(
            Event.bucket == ConsentEvent.bucket,
            Event.stream == ConsentEvent.stream,
            Event.seq == ConsentEvent.stream_seq,
        ),
    )
    .outerjoin(Grant, and_(Grant.bucket == Event.bucket, Grant.id == Event.grant_id))
    .where(
        within(ConsentEvent.bucket),
        or_(
            Grant.id.is_(None),
            Grant.agreement_id != ConsentEvent.agreement_id,
            Event.name != case(_NAMES, value=ConsentEvent.act, else_=""),
        ),
    )
)
_UNKNOWN = (
    select(Event.stream, Event.seq, Event.name, Event.grant_id)
    .outerjoin(Grant, and_(Grant.bucket == Event.bucket, Grant.id == Event.grant_id))
    .outerjoin(
        ConsentEvent,
        and_(
            ConsentEvent.bucket == Grant.bucket,
            ConsentEvent.agreement_id == Grant.agreement_id,
            ConsentEvent.stream == Event.stream,
            ConsentEvent.stream_seq == Event.seq,
        ),
    )
    .where(
        within(Event.bucket),
        Event.name.in_(sorted(set(_NAMES.values()))),
        ConsentEvent.seq.is_(None),
    )
)
_WITHOUT_RECEIPT = (
    select(ConsentEvent.agreement_id, ConsentEvent.seq, ConsentEvent.act)
    .join(
        Agreement,
        and_(Agreement.bucket == ConsentEvent.bucket, Agreement.id == ConsentEvent.agreement_id),
    )
    .outerjoin(
        Receipt,
        and_(
            Receipt.bucket == Agreement.bucket,
            Receipt.vault_id == Agreement.vault_id,
            Receipt.agreement_id == ConsentEvent.agreement_id,
            Receipt.stream == ConsentEvent.stream,
            Receipt.stream_seq == ConsentEvent.stream_seq,
        ),
    )
    .where(within(ConsentEvent.bucket), Receipt.id.is_(None))
)


def history_leads_to_the_state(scope: Scope) -> Iterator[Broken]:
    """Consent events are numbered from 1, and by the table lead to the agreement's state (CM-15).

    Each is by an actor who may, in order of time, of a version that the agreement had.
    """
    rows = scope.rows(_HISTORIES)
    for agreement, found in groupby(rows, key=lambda row: row[0]):
        events = filter(None, (event for _, event in found))
        for objection in _objections(agreement, events):
            yield broken(objection, agreement=agreement.id)


def event_is_logged(scope: Scope) -> Iterator[Broken]:
    """A consent event cites the log's event of its act, of a grant of its agreement."""
    for agreement_id, seq, act, stream, stream_seq in scope.rows(_UNLOGGED):
        detail = f"the log has no event of {act} where it says so"
        entry = f"{stream}/{stream_seq}"
        yield broken(detail, agreement=agreement_id, consent_event=seq, entry=entry)


def logged_act_is_an_event(scope: Scope) -> Iterator[Broken]:
    """What the log says of a grant's consent is a consent event of its agreement."""
    for stream, seq, name, grant_id in scope.rows(_UNKNOWN):
        detail = f"no consent event cites this {name}"
        yield broken(detail, entry=f"{stream}/{seq}", grant=grant_id)


def event_has_its_receipt(scope: Scope) -> Iterator[Broken]:
    """A consent event has a receipt that cites the same entry of the log."""
    for agreement_id, seq, act in scope.rows(_WITHOUT_RECEIPT):
        yield broken(f"{act} has no receipt", agreement=agreement_id, consent_event=seq)


def _objections(agreement: Agreement, events: Iterable[ConsentEvent]) -> Iterator[str]:
    status: ConsentStatus | None = None
    state: AgreementState | None = None
    last: ConsentEvent | None = None
    for number, event in enumerate(events, start=1):
        if event.seq != number:
            yield f"consent event {number} is missing"
        try:
            move = MOVES[Act(event.act)].is_by(Actor(event.actor))
            status, state = follow(move.consent, status), follow(move.agreement, state)
        except (PDSError, ValueError):
            yield f"consent event {number}, {event.act} by {event.actor}, cannot come there"
            return
        if event.status != status:
            yield f"consent event {number}, {event.act}, leads to {status}, not {event.status}"
        if last is not None and not (
            last.at <= event.at and last.agreement_version <= event.agreement_version
        ):
            yield f"consent event {number} goes back in time or version"
        last = event
    if last is None or state is None:
        yield "it has no consent event"
        return
    if agreement.state != state:
        yield f"it is {agreement.state}, and its consent events lead to {state}"
    if last.agreement_version > agreement.version:
        yield f"consent event {last.seq} is of version {last.agreement_version}"
    if state.is_terminal and agreement.ended_by not in {None, last.actor}:
        yield f"it ended by {agreement.ended_by}, and its last consent event is by {last.actor}"
