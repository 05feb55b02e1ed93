"""Numbers for each organisation's change feed (P-24).

What waits was written by the changes themselves, vault by vault; the number is what spans vaults.
As in the tree, the set of what waits is taken, never what comes after a remembered id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, tuple_, update
from sqlalchemy.orm import Session

from consent.models import FeedEntry, FeedPending, Organisation
from consent.vocabulary import FeedEvent
from consent.webhooks import deliveries

BATCH = 1_000


def number_feed(session: Session, *, limit: int = BATCH) -> int:
    """Number up to `limit` waiting changes, in order of time within an organisation.

    Data of one connection that changed several times in one batch is listed once: the feed says who
    changed, and whoever reads it fetches what is there now. With the numbers come the messages to
    the organisations' endpoints, in the same transaction.

    Returns:
        How many waiting rows were taken.
    """
    oldest = select(FeedPending.bucket, FeedPending.id).order_by(FeedPending.id).limit(limit)
    taken = session.execute(
        delete(FeedPending)
        .where(tuple_(FeedPending.bucket, FeedPending.id).in_(oldest))
        .returning(
            FeedPending.at,
            FeedPending.event,
            FeedPending.id,
            FeedPending.organisation_id,
            FeedPending.connection_id,
            FeedPending.obligation_id,
        )
        .execution_options(synchronize_session=False)
    ).all()
    news = _by_organisation(sorted(taken, key=lambda row: (row.at, row.event, row.id)))
    # Organisations in one order everywhere, so that two who number never wait for each other.
    entries = [
        {"organisation_id": organisation_id, "number": number, **found}
        for organisation_id in sorted(news)
        for number, found in enumerate(
            news[organisation_id], start=_take(session, organisation_id, len(news[organisation_id]))
        )
    ]
    if entries:
        session.execute(insert(FeedEntry), entries)
        deliveries.queue(session, entries)
    return len(taken)


def _by_organisation(taken: Iterable[Any]) -> dict[UUID, list[dict[str, Any]]]:
    # Sorted by time, then by event: of what happened at one instant, the consent comes first.
    news: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    listed: set[tuple[UUID, UUID]] = set()
    for row in taken:
        if row.event == FeedEvent.DATA_UPDATED:
            key = (row.organisation_id, row.connection_id)
            if key in listed:
                continue
            listed.add(key)
        news[row.organisation_id].append(
            {
                "connection_id": row.connection_id,
                "event": row.event,
                "obligation_id": row.obligation_id,
                "at": row.at,
            }
        )
    return news


def _take(session: Session, organisation_id: UUID, count: int) -> int:
    last = session.execute(
        update(Organisation)
        .where(Organisation.id == organisation_id)
        .values(feed_number=Organisation.feed_number + count)
        .returning(Organisation.feed_number)
    ).scalar_one()
    return last - count + 1
