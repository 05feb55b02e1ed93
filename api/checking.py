"""Going through every invariant of a store, in slices of buckets, without changing it (CM-13)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.oauth.invariants import ALL_INVARIANTS
from api.uow import UnitOfWork
from consent.invariants.check import Invariant, Violation, check, slices
from consent.invariants.scope import Scope
from consent.models import Lease
from pds import vaults

# Sweeps come every minute (P-15); one may be late, or long.
_SWEPT_WITHIN = timedelta(minutes=5)


def violations(
    uow: UnitOfWork,
    *,
    invariants: Sequence[Invariant] = ALL_INVARIANTS,
    progress: Callable[[int], None] = lambda _last: None,
) -> Iterator[Violation]:
    """Yield what breaks an invariant; the store may be in use meanwhile.

    Each slice is one read transaction of one snapshot, so what is written at the same time cannot
    look broken.

    Args:
        uow: of the store.
        invariants: those to go through.
        progress: told the last bucket of each slice that is done.
    """
    with uow.read() as session:
        cut = list(slices(vaults.count_by_bucket(session)))
    for first, last in cut:
        with uow.read() as session:
            _hold_one_snapshot(session)
            scope = Scope(session, first, last, _swept_until(session))
            yield from check(scope, invariants)
        progress(last)


def _hold_one_snapshot(session: Session) -> None:
    # A read transaction of SQLite is one already.
    if session.get_bind().dialect.name == "postgresql":
        session.connection(
            execution_options={
                "isolation_level": "REPEATABLE READ",
                "postgresql_readonly": True,
            }
        )


def _swept_until(session: Session) -> datetime | None:
    """Return what ran out before which must be gone; None where no worker ever ran.

    The lease tells when one was last alive: of a store at rest, what ran out since then is not
    held against it, since the next process sweeps before its first request.
    """
    lease = session.scalars(select(Lease).limit(1)).one_or_none()
    return lease.expires_at - _SWEPT_WITHIN if lease else None
