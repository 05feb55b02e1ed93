"""Refused requests that belong to no vault, counted by kind, source and minute (P-35).

Whoever sends bad requests must not cost the store a write for each. A process counts in memory and
writes what it counted once a minute: one row for each source, and one event of the deployment for
each kind. A source is kept as a keyed hash of the network and the day, so that the table names
nobody and the days of one source cannot be told to be of one; sources beyond a number are counted
together.
"""

from __future__ import annotations

import hmac
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address, ip_network

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from consent.log.entries import EventLog
from consent.models import Refusal
from consent.vocabulary import EventName
from pds.clock import Clock
from pds.crypto.labels import lp
from pds.store import Store

MOST_SOURCES = 1_000  # that a process counts apart until it writes
KEPT = timedelta(days=30)
SOURCE_BYTES = 16
OTHERS = bytes(SOURCE_BYTES)
_IPV6_PREFIX = 64  # one household or machine


class RefusalKind(StrEnum):
    """What was refused."""

    SIGN_IN = "sign-in"  # no such name
    CLIENT = "client"  # no such client, or not its key
    GRANT = "grant"  # no such code or refresh token, or a request that is none
    TOKEN = "token"  # noqa: S105 - a kind; no such access token, or not its key


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted together."""

    minute: datetime
    kind: str
    source: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Refusals:
    """The counts of one process; every method may be called from any thread."""

    store: Store
    log: EventLog
    clock: Clock
    key: bytes = field(repr=False)
    _counts: Counter[Counted] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind: RefusalKind, address: str | None) -> None:
        """Count one refusal; writes nothing."""
        now = self.clock.now()
        minute = now.replace(second=0, microsecond=0)
        counted = Counted(minute, kind.value, source_tag(self.key, address, day=minute))
        with self._lock:
            if counted not in self._counts and len(self._counts) >= MOST_SOURCES:
                counted = Counted(minute, kind.value, OTHERS)
            self._counts[counted] += 1

    def write(self) -> int:
        """Write what was counted, in one transaction; return how many refusals that were.

        What could not be written is counted again.
        """
        with self._lock:
            taken = Counter(self._counts)
            self._counts.clear()
        if not taken:
            return 0
        try:
            self.store.write(lambda session: record(session, self.log, taken))
        except BaseException:
            with self._lock:
                self._counts.update(taken)
            raise
        return taken.total()


def source_tag(key: bytes, address: str | None, *, day: datetime) -> bytes:
    """Return the keyed hash under which a network is known on one day, 16 bytes."""
    network = _network(address) if address else ""
    message = lp([day.date().isoformat().encode(), network.encode()])
    return hmac.digest(key, message, "sha256")[:SOURCE_BYTES]


def record(session: Session, log: EventLog, counts: Mapping[Counted, int]) -> None:
    """Write counts and the events that tell of them."""
    totals: Counter[tuple[datetime, str]] = Counter()
    for counted, number in counts.items():
        totals[counted.minute, counted.kind] += number
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    statement = (sqlite_insert if is_sqlite else postgresql_insert)(Refusal)
    statement = statement.on_conflict_do_update(
        index_elements=["minute", "kind", "source"],
        set_={"count": Refusal.count + statement.excluded.count},
    )
    # In one order everywhere, so that two processes never wait for each other.
    ordered = sorted(counts, key=lambda one: (one.minute, one.kind, one.source))
    session.execute(
        statement,
        [
            {
                "minute": one.minute,
                "kind": one.kind,
                "source": one.source,
                "count": counts[one],
            }
            for one in ordered
        ],
    )
    for (minute, kind), number in sorted(totals.items()):
        log.append_deployment(
            session, EventName.REQUESTS_REFUSED, at=minute, outcome=kind, count=number
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """How often a kind was refused, and from how many sources at least."""

    kind: str
    count: int
    sources: int


def summaries(session: Session, *, since: datetime) -> list[Summary]:
    """Return what was counted since an instant, by kind."""
    query = (
        select(Refusal.kind, func.sum(Refusal.count), func.count(Refusal.source.distinct()))
        .where(Refusal.minute >= since)
        .group_by(Refusal.kind)
        .order_by(Refusal.kind)
    )
    return [Summary(kind, int(total), sources) for kind, total, sources in session.execute(query)]


def sweep(session: Session, *, now: datetime) -> int:
    """Delete counts older than 30 days; the events stay in the log. Return how many rows went."""
    gone = delete(Refusal).where(Refusal.minute <= now - KEPT).returning(Refusal.minute)
    return len(session.execute(gone).all())


def _network(address: str) -> str:
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    prefix = _IPV6_PREFIX if found.version == 6 else found.max_prefixlen  # noqa: PLR2004 - IPv6
    return str(ip_network((found, prefix), strict=False))
