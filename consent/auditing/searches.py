"""Searches that auditors keep, each for themselves in one engagement (AUD-2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, insert, select
from sqlalchemy.orm import Session

from consent.auditing.engagements import Seat
from consent.auditing.models import SavedSearch
from pds.errors import Issue, NotFoundError, ValidationFailedError
from pds.ids import random_uuid

NAME_MOST = 60
KEPT_MOST = 50  # of one auditor in one engagement


def keep(
    session: Session, seat: Seat, name: str, *, asked: Mapping[str, str], now: datetime
) -> UUID:
    """Keep a search under a name; one of that name is replaced. Returns its id.

    Args:
        session: of a write job.
        seat: whose search it is.
        name: 1 to `NAME_MOST` characters.
        asked: filters as they were understood; they are read again at each use.
        now: the present instant.

    Raises:
        ValidationFailedError: the name is empty or too long, nothing is asked, or too many are
            kept already.
    """
    issues = []
    if not 1 <= len(name) <= NAME_MOST:
        issues.append(Issue("/name", "length", f"1 to {NAME_MOST} characters"))
    if not asked:
        issues.append(Issue("/filter", "empty", "choose a filter first"))
    if issues:
        raise ValidationFailedError(issues)
    mine = _mine(seat)
    session.execute(delete(SavedSearch).where(*mine, SavedSearch.name == name))
    kept = session.execute(select(func.count()).select_from(SavedSearch).where(*mine)).scalar_one()
    if kept >= KEPT_MOST:
        raise ValidationFailedError([Issue("/name", "too_many", f"at most {KEPT_MOST} are kept")])
    search_id = random_uuid()
    session.execute(
        insert(SavedSearch).values(
            id=search_id,
            engagement_id=seat.scope.engagement_id,
            auditor_id=seat.auditor_id,
            name=name,
            asked=dict(asked),
            saved_at=now,
        )
    )
    return search_id


def of_seat(session: Session, seat: Seat) -> Sequence[SavedSearch]:
    """Return what an auditor keeps in this engagement, by name."""
    query = select(SavedSearch).where(*_mine(seat))
    return session.scalars(query.order_by(SavedSearch.name)).all()


def drop(session: Session, seat: Seat, search_id: UUID) -> None:
    """Forget a search.

    Raises:
        NotFoundError: this auditor keeps none of that id here.
    """
    chosen = delete(SavedSearch).where(*_mine(seat), SavedSearch.id == search_id)
    if session.execute(chosen.returning(SavedSearch.id)).first() is None:
        raise NotFoundError


def _mine(seat: Seat) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (
        SavedSearch.engagement_id == seat.scope.engagement_id,
        SavedSearch.auditor_id == seat.auditor_id,
    )
