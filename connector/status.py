"""How a connector instance stands, from its own store alone: it works with everything down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from connector.clock import Clock, rfc3339
from connector.state.erasures import ErasureState
from connector.state.store import StateStore


@dataclass(frozen=True, slots=True)
class Status:
    """Counts; `without_token` are living connections that `connect` has yet to open.

    `log_checked` tells whether a key of the server's log is pinned, `log_waiting` how many streams
    named an entry that was not found in it yet; `log_problems` has what is wrong, by stream.
    """

    last_run_at: datetime | None
    last_outcome: str | None
    connections: Mapping[str, int]
    without_token: int
    contacts: int
    queued: int
    rejected: int
    erasures_open: int
    erasures_blocked: int
    overdue: int
    log_checked: bool
    log_waiting: int
    log_problems: Mapping[str, str]

    def document(self) -> dict[str, object]:
        """Return it as JSON can hold it."""
        return {
            "last_run_at": None if self.last_run_at is None else rfc3339(self.last_run_at),
            "last_outcome": self.last_outcome,
            "connections": dict(self.connections),
            "without_token": self.without_token,
            "contacts": self.contacts,
            "queued": self.queued,
            "rejected": self.rejected,
            "erasures_open": self.erasures_open,
            "erasures_blocked": self.erasures_blocked,
            "erasures_overdue": self.overdue,
            "log_checked": self.log_checked,
            "log_waiting": self.log_waiting,
            "log_problems": dict(self.log_problems),
        }


def read_status(store: StateStore, clock: Clock, *, log_checked: bool) -> Status:
    """Count; a blocked erasure past its date counts as overdue, too: a person must see to it."""
    last = store.last_run() or {}
    started_at, outcome = last.get("started_at"), last.get("outcome")
    with store.read() as state:
        connections = state.connections.all()
        jobs = state.erasures.unfinished()
        queued, rejected = state.queue.lengths()
        without_token = [
            known
            for known in connections
            if known.is_active and not state.connections.has_refresh_token(known.grant_id)
        ]
        contacts = state.links.count()
        cited = state.logbook.waiting()
    return Status(
        last_run_at=started_at if isinstance(started_at, datetime) else None,
        last_outcome=outcome if isinstance(outcome, str) else None,
        connections=Counter(known.state for known in connections),
        without_token=len(without_token),
        contacts=contacts,
        queued=queued,
        rejected=rejected,
        erasures_open=sum(job.state is ErasureState.OPEN for job in jobs),
        erasures_blocked=sum(job.state is ErasureState.BLOCKED for job in jobs),
        overdue=sum(job.due_at < clock.now() for job in jobs),
        log_checked=log_checked,
        log_waiting=sum(each.problem is None for each in cited),
        log_problems={each.stream: each.problem for each in cited if each.problem is not None},
    )
