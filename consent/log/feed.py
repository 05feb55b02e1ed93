"""Numbers for each organisation's change feed (P-24).

What waits was written by the changes themselves, vault by vault; the number is what spans vaults.
As in the tree, the set of what waits is taken, never what comes after a remembered id.
"""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from sqlalchemy import delete, insert, select, tuple_, update
from sqlalchemy.orm import Session

from consent.models import FeedEntry, FeedPending, Organisation

BATCH = 1_000


def number_feed(session: Session, *, limit: int = BATCH) -> int:
    """Number up to `limit` waiting changes, in order of time within an organisation.

    A connection that changed several times in one batch is listed once for each kind: the feed says
    who changed, and whoever reads it fetches what is there now.

    Returns:
        How many waiting rows were taken.
    """
    oldest = select(FeedPending.bucket, FeedPending.id).order_by(FeedPending.id).limit(limit)
    taken = session.execute(
        delete(FeedPending)
        .where(tuple_(FeedPending.bucket, FeedPending.id).in_(oldest))
        .returning(
            FeedPending.id,
            FeedPending.organisation_id,
            FeedPending.connection_id,
            FeedPending.kind,
        )
        .execution_options(synchronize_session=False)
    ).all()
    # A dictionary keeps the order in which it first met a key: that of time.
    news: dict[UUID, dict[tuple[UUID, str], None]] = defaultdict(dict)
    for _, organisation_id, connection_id, kind in sorted(taken):
        news[organisation_id][connection_id, kind] = None
    # Organisations in one order everywhere, so that two who number never wait for each other.
    entries = [
        {"organisation_id": organisation_id, "number": number, "connection_id": found, "kind": kind}
        for organisation_id in sorted(news)
        for number, (found, kind) in enumerate(
            news[organisation_id], start=_take(session, organisation_id, len(news[organisation_id]))
        )
    ]
    if entries:
        session.execute(insert(FeedEntry), entries)
    return len(taken)


def _take(session: Session, organisation_id: UUID, count: int) -> int:
    last = session.execute(
        update(Organisation)
        .where(Organisation.id == organisation_id)
        .values(feed_number=Organisation.feed_number + count)
        .returning(Organisation.feed_number)
    ).scalar_one()
    return last - count + 1
