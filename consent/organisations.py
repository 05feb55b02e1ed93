"""Organisations: approved by the operator, and in good standing or not."""

from __future__ import annotations

import hmac
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from consent.models import Agreement, Grant, Organisation
from consent.vocabulary import LIVE_GRANT_STATES, Standing
from pds.errors import NotFoundError
from pds.ids import random_uuid


def create(
    session: Session,
    *,
    name_az: str,
    name_en: str,
    contact: str,
    address: str,
    jurisdiction: str,
    now: datetime,
) -> UUID:
    """Approve an organisation; returns its id."""
    organisation_id = random_uuid()
    session.execute(
        insert(Organisation).values(
            id=organisation_id,
            name_az=name_az,
            name_en=name_en,
            contact=contact,
            address=address,
            jurisdiction=jurisdiction,
            standing=Standing.GOOD.value,
            feed_number=0,
            created_at=now,
        )
    )
    return organisation_id


def get(session: Session, organisation_id: UUID) -> Organisation:
    """Return an organisation.

    Raises:
        NotFoundError: there is none.
    """
    found = session.get(Organisation, organisation_id)
    if found is None:
        raise NotFoundError
    return found


def all_of_them(session: Session) -> list[Organisation]:
    """Return every organisation, oldest first."""
    return list(session.scalars(select(Organisation).order_by(Organisation.created_at)))


def set_standing(session: Session, organisation_id: UUID, standing: Standing) -> None:
    """Change an organisation's standing: reads stop or go on with the next request (P-30).

    Raises:
        NotFoundError: there is none.
    """
    changed = session.execute(
        update(Organisation)
        .where(Organisation.id == organisation_id)
        .values(standing=standing.value)
        .returning(Organisation.id)
    ).one_or_none()
    if changed is None:
        raise NotFoundError
    # A decision that was made before this commit is void after it (P-8).
    session.execute(
        update(Grant)
        .where(Grant.organisation_id == organisation_id, Grant.state.in_(LIVE_GRANT_STATES))
        .values(epoch=Grant.epoch + 1)
    )


def live_agreements(session: Session, organisation_id: UUID) -> int:
    """Return how many agreements of an organisation are in force."""
    query = select(Agreement.id).where(
        Agreement.organisation_id == organisation_id, Agreement.state == "active"
    )
    return len(session.execute(query).all())


def pairwise_subject(pairwise_key: bytes, organisation_id: UUID, vault_id: UUID) -> str:
    """Return the name under which an organisation knows a person (P-29): 32 hex digits.

    The same for all clients of one organisation, unrelated between organisations.
    """
    message = organisation_id.bytes + vault_id.bytes
    return hmac.digest(pairwise_key, message, "sha256")[:16].hex()
