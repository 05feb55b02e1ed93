"""Leases: which process does the background work, and proof that it still does.

The row's epoch rises with every change of hands. Work names the epoch it was taken up under and
holds the row's lock to commit; so a holder that was asleep while another took over changes nothing
any more (fencing), however far the machines' clocks are apart.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from consent.errors import ConsentError
from consent.log.rows import insert_if_absent
from consent.models import Lease

WORKER = "worker"


class LeaseLostError(ConsentError):
    """Another process has taken over the work; what this one was about to do is dropped."""

    code = "lease-lost"


def acquire(
    session: Session, name: str, *, holder: UUID, now: datetime, lasts: timedelta
) -> int | None:
    """Take a lease that is free or has run out, or renew one's own.

    Returns:
        The epoch to work under, or None while somebody else holds it.
    """
    free = {"name": name, "holder": holder, "epoch": 0, "expires_at": now}
    insert_if_absent(session, Lease, free)
    query = select(Lease).where(Lease.name == name).with_for_update()
    found = session.scalars(query).one()
    if found.holder != holder and found.expires_at > now:
        return None
    # One's own lease that ran out gets a new epoch too: another may have held it in between.
    if found.holder != holder or found.expires_at <= now:
        found.epoch += 1
    found.holder = holder
    found.expires_at = now + lasts
    return found.epoch


def release(session: Session, name: str, *, epoch: int, now: datetime) -> None:
    """Let the next one in at once; does nothing if the lease is no longer ours."""
    session.execute(
        update(Lease).where(Lease.name == name, Lease.epoch == epoch).values(expires_at=now)
    )


def check(session: Session, name: str, *, epoch: int) -> None:
    """Hold the lease's row to the end of this transaction, if `epoch` is still its epoch.

    Raises:
        LeaseLostError: another holder has taken over: nothing of this job may be kept.
    """
    query = select(Lease.epoch).where(Lease.name == name).with_for_update(read=True)
    if session.execute(query).scalar() != epoch:
        raise LeaseLostError
