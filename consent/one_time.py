"""Access mode `once`: one fetch, which may be repeated for 24 hours if an answer was lost (P-10).

The first fetch that brings something shortens agreement and grant to the end of that time. So the
checks of every read and the sweep for ended agreements need nothing of their own for it; and rows
that only narrow cannot widen a consent (P-9).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, update

from consent.models import Agreement, Grant
from pds.store import Sender

REPEATS_FOR = timedelta(hours=24)


def begin(
    sender: Sender, *, bucket: int, agreement_id: UUID, grant_id: UUID, now: datetime
) -> None:
    """Shorten the agreement of a first fetch; before the grant's row, which is locked after it."""
    is_first = exists().where(
        Grant.bucket == bucket, Grant.id == grant_id, Grant.fetched_at.is_(None)
    )
    sender.execute(
        update(Agreement)
        .where(
            Agreement.bucket == bucket,
            Agreement.id == agreement_id,
            Agreement.expires_at > now + REPEATS_FOR,
            is_first,
        )
        .values(expires_at=now + REPEATS_FOR)
        .execution_options(synchronize_session=False)
    )


def note(sender: Sender, *, bucket: int, grant_id: UUID, now: datetime) -> None:
    """Shorten the grant of a first fetch, whose row is locked; a repeated one changes nothing."""
    first = update(Grant).where(
        Grant.bucket == bucket, Grant.id == grant_id, Grant.fetched_at.is_(None)
    )
    shortened = first.where(Grant.expires_at > now + REPEATS_FOR).values(
        expires_at=now + REPEATS_FOR
    )
    for statement in (shortened, first.values(fetched_at=now)):
        sender.execute(statement.execution_options(synchronize_session=False))
