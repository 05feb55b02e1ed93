"""What the deployment was last known to be, so that a change of it is logged once (LOG-12).

Settings and keys change while nothing runs; a witness fails at every try. What is kept is what the
log said last, and only what differs from it becomes an event of the deployment's stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from consent.log.entries import EventLog
from consent.models import DeploymentFact
from consent.vocabulary import EventName

WITNESS_ANSWERS, WITNESS_FAILS = "answers", "fails"
_EVENTS: Mapping[str, EventName] = {
    "settings": EventName.SETTINGS_CHANGED,
    "key": EventName.KEY_CHANGED,
}


def differ(session: Session, found: Mapping[str, str]) -> bool:
    """Tell whether something is not as it was last known."""
    query = select(DeploymentFact.name, DeploymentFact.value).where(DeploymentFact.name.in_(found))
    return dict(session.execute(query).all()) != dict(found)


def note(session: Session, log: EventLog, found: Mapping[str, str], *, now: datetime) -> None:
    """Log what has changed; what was never known before is kept, and is no change.

    Args:
        session: of a write job.
        log: takes the events.
        found: values by names: `settings.<section>`, `key.<which>`; a value is a digest.
        now: the present instant.
    """
    for name, value in sorted(found.items()):
        kind, _, which = name.partition(".")
        if _replaced(session, name, value, now) not in (None, value):
            log.append_deployment(session, _EVENTS[kind], at=now, outcome=which)


def note_witness(session: Session, log: EventLog, name: str, *, fails: bool, now: datetime) -> None:
    """Log that a witness began to fail, or answers again.

    Args:
        session: of a write job.
        log: takes the event.
        name: of the witness.
        fails: whether it does.
        now: the present instant.
    """
    value = WITNESS_FAILS if fails else WITNESS_ANSWERS
    before = _replaced(session, f"witness.{name}", value, now) or WITNESS_ANSWERS
    if before != value:
        event = EventName.WITNESS_FAILED if fails else EventName.WITNESS_RECOVERED
        log.append_deployment(session, event, at=now)


def _replaced(session: Session, name: str, value: str, now: datetime) -> str | None:
    row = session.get(DeploymentFact, name, with_for_update=True)
    if row is None:
        session.add(DeploymentFact(name=name, value=value, noted_at=now))
        return None
    before, row.value = row.value, value
    if before != value:
        row.noted_at = now
    return before
