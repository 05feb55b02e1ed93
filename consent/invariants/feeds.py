"""The organisations' feeds: numbered without gaps (P-24)."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, or_, select

from consent.invariants.scope import Broken, Scope, broken
from consent.models import FeedEntry, Organisation

_count, _last = func.count(FeedEntry.number), func.coalesce(func.max(FeedEntry.number), 0)
_first = func.min(FeedEntry.number)
_WITH_GAPS = (
    select(Organisation.id, Organisation.feed_number, _count, _last)
    .select_from(Organisation)
    .outerjoin(FeedEntry, FeedEntry.organisation_id == Organisation.id)
    .group_by(Organisation.id, Organisation.feed_number)
    .having(or_(_count != Organisation.feed_number, _last != _count, _first != 1))
)


def has_no_gap(scope: Scope) -> Iterator[Broken]:
    """An organisation's feed is numbered from 1 to the last number given, without gaps (P-24)."""
    for organisation_id, given, found, newest in scope.rows(_WITH_GAPS):
        detail = f"the last number given is {given}, and it has {found} entries up to {newest}"
        yield broken(detail, organisation=organisation_id)
