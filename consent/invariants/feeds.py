"""The organisations' feeds: numbered without gaps (P-24)."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, or_, select

from consent.invariants.scope import Broken, Scope, broken
from consent.models import FeedEntry, Organisation


def has_no_gap(scope: Scope) -> Iterator[Broken]:
    """An organisation's feed is numbered from 1 to the last number given, without gaps (P-24)."""
    count, last = func.count(FeedEntry.number), func.coalesce(func.max(FeedEntry.number), 0)
    first = func.min(FeedEntry.number)
    query = (
        select(Organisation.id, Organisation.feed_number, count, last)
        .select_from(Organisation)
        .outerjoin(FeedEntry, FeedEntry.organisation_id == Organisation.id)
        .group_by(Organisation.id, Organisation.feed_number)
        .having(or_(count != Organisation.feed_number, last != count, first != 1))
    )
    for organisation_id, given, found, newest in scope.session.execute(query):
        detail = f"the last number given is {given}, and it has {found} entries up to {newest}"
        yield broken(detail, organisation=organisation_id)
