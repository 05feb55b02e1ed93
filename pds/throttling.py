"""Counters of attempts that security rests on: rows, so that every worker sees them (P-39).

A window that is full answers "later", also to the right passphrase: that is what makes guessing
slow. It ends by itself, so nobody can lock an owner out for good.

A success empties the window of an account, not that of an address: else whoever guesses would sign
in to a vault of their own now and then.
"""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from pds.errors import LimitExceededError
from pds.models import Throttle

WINDOW = timedelta(minutes=15)


def throttle_key(instance_key: bytes, kind: str, source: bytes) -> bytes:
    """Return the row key of a source: keyed, so that the table names nobody."""
    return hmac.digest(instance_key, kind.encode() + b"\x00" + source, "sha256")


def count(session: Session, key: bytes, *, most: int, now: datetime) -> None:
    """Count one attempt.

    Raises:
        LimitExceededError: the window is full; it says how long to wait.
    """
    row = session.execute(
        select(Throttle.attempts, Throttle.expires_at).where(Throttle.key == key).with_for_update()
    ).one_or_none()
    if row is None or row.expires_at <= now:
        _start(session, key, now)
        return
    _refuse_full(row, most, now)
    session.execute(
        update(Throttle).where(Throttle.key == key).values(attempts=Throttle.attempts + 1)
    )


def require_room(session: Session, key: bytes, *, most: int, now: datetime) -> None:
    """Refuse what `count` would refuse, before work is done that it comes after.

    Raises:
        LimitExceededError: as `count`.
    """
    row = session.execute(
        select(Throttle.attempts, Throttle.expires_at).where(Throttle.key == key)
    ).one_or_none()
    if row is not None:
        _refuse_full(row, most, now)


def give_back(session: Session, key: bytes) -> None:
    """Take one attempt off the count: it was a success, and only failures are to fill a window."""
    session.execute(
        update(Throttle)
        .where(Throttle.key == key, Throttle.attempts > 0)
        .values(attempts=Throttle.attempts - 1)
    )


def forget(session: Session, key: bytes) -> None:
    """Start over after a success."""
    session.execute(update(Throttle).where(Throttle.key == key).values(attempts=0))


def _refuse_full(row: Row[int, datetime], most: int, now: datetime) -> None:
    if row.expires_at > now and row.attempts >= most:
        wait = int((row.expires_at - now).total_seconds()) + 1
        raise LimitExceededError("too many attempts", retry_after_seconds=wait)


def _start(session: Session, key: bytes, now: datetime) -> None:
    values = {"key": key, "attempts": 1, "expires_at": now + WINDOW}
    renewed = {"attempts": 1, "expires_at": now + WINDOW}
    insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    session.execute(
        insert(Throttle)
        .values(**values)
        .on_conflict_do_update(index_elements=["key"], set_=renewed)
    )
