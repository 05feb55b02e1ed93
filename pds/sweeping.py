"""What has run out is deleted: a wrapped key that is gone opens nothing for anyone (P-15).

An idle browser's unlock ends before its wrap does, so the wraps of ended unlocks go with them.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, or_, select, tuple_
from sqlalchemy.orm import Session

from pds.db import Base
from pds.models import KeyWrap, PasskeyChallenge, SignIn, Throttle, Unlock

BATCH = 500


def sweep(session: Session, *, now: datetime, limit: int = BATCH) -> int:
    """Delete what of the vaults ran out at `now` or before, at most `limit` rows of each table.

    Returns:
        How many rows went; 0 when nothing is left to sweep.
    """
    ended = _ended_unlocks(session, now, limit)
    swept = len(ended)
    if ended:
        session.execute(
            delete(KeyWrap).where(
                KeyWrap.by_kind == "unlock",
                tuple_(KeyWrap.bucket, KeyWrap.by_id).in_(ended),
            )
        )
        session.execute(delete(Unlock).where(tuple_(Unlock.bucket, Unlock.selector).in_(ended)))
    swept += sweep_table(session, KeyWrap, KeyWrap.expires_at <= now, limit=limit)
    swept += sweep_table(session, SignIn, SignIn.expires_at <= now, limit=limit)
    swept += sweep_table(session, PasskeyChallenge, PasskeyChallenge.expires_at <= now, limit=limit)
    return swept + sweep_table(session, Throttle, Throttle.expires_at <= now, limit=limit)


def sweep_table(
    session: Session, model: type[Base], condition: ColumnElement[bool], *, limit: int = BATCH
) -> int:
    """Delete at most `limit` rows of a table that meet a condition; return how many.

    Rows that another transaction holds are left for the next time.
    """
    keys = list(model.__table__.primary_key)
    query = select(*keys).where(condition).limit(limit).with_for_update(skip_locked=True)
    found = [tuple(row) for row in session.execute(query)]
    if found:
        session.execute(delete(model).where(tuple_(*keys).in_(found)))
    return len(found)


def _ended_unlocks(session: Session, now: datetime, limit: int) -> list[tuple[object, ...]]:
    # An unlock is worth nothing without its sign-in (P-15), so it ends with it.
    query = (
        select(Unlock.bucket, Unlock.selector)
        .outerjoin(SignIn, and_(SignIn.bucket == Unlock.bucket, SignIn.selector == Unlock.sign_in))
        .where(
            or_(
                Unlock.expires_at <= now,
                Unlock.ends_at <= now,
                SignIn.selector.is_(None),
                SignIn.expires_at <= now,
            )
        )
        .limit(limit)
        .with_for_update(skip_locked=True, of=Unlock)
    )
    return [tuple(row) for row in session.execute(query)]
