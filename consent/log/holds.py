"""Legal holds: what an operator ordered not to be erased, with a reason, in the log (AUD-13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from consent.log.entries import EventLog
from consent.models import Grant, LegalHold
from consent.vocabulary import EventName
from pds.errors import NotFoundError
from pds.ids import random_uuid

Scope = Literal["organisation", "grant", "vault"]


@dataclass(frozen=True, slots=True)
class Held:
    """What stands under a hold now."""

    targets: frozenset[tuple[str, UUID]] = field(default_factory=frozenset)

    def covers(
        self, *, vault_id: UUID | None, grant_id: UUID | None, organisation: UUID | None
    ) -> bool:
        """Tell whether something of these may not be erased."""
        named = {("vault", vault_id), ("grant", grant_id), ("organisation", organisation)}
        return not self.targets.isdisjoint(named)


def place(
    session: Session, log: EventLog, scope: Scope, target: UUID, reason: str, *, now: datetime
) -> UUID:
    """Place a hold; from the next step on nothing that it covers is erased.

    The log tells that and over what kind of thing, not over whom.
    """
    made = LegalHold(
        id=random_uuid(), scope=scope, target=target, reason=reason, placed_at=now, lifted_at=None
    )
    session.add(made)
    log.append_deployment(session, EventName.HOLD_PLACED, at=now, outcome=scope, count=1)
    return made.id


def lift(session: Session, log: EventLog, hold_id: UUID, *, now: datetime) -> None:
    """Lift a hold; the periods count as if it had not been.

    Raises:
        NotFoundError: no such hold stands.
    """
    scope = session.execute(
        update(LegalHold)
        .where(LegalHold.id == hold_id, LegalHold.lifted_at.is_(None))
        .values(lifted_at=now)
        .returning(LegalHold.scope)
    ).scalar_one_or_none()
    if scope is None:
        raise NotFoundError
    log.append_deployment(session, EventName.HOLD_LIFTED, at=now, outcome=scope, count=1)


def all_of_them(session: Session) -> Sequence[LegalHold]:
    """Return every hold that was placed, the newest first."""
    return session.scalars(select(LegalHold).order_by(LegalHold.placed_at.desc())).all()


def standing(session: Session) -> Held:
    """Return what stands under a hold now."""
    query = select(LegalHold.scope, LegalHold.target).where(LegalHold.lifted_at.is_(None))
    return Held(frozenset((scope, target) for scope, target in session.execute(query)))


def organisations_of(session: Session, bucket: int, grants: set[UUID]) -> dict[UUID, UUID]:
    """Return the organisation of each of some grants."""
    query = select(Grant.id, Grant.organisation_id).where(
        Grant.bucket == bucket, Grant.id.in_(grants)
    )
    return dict(session.execute(query).all())
