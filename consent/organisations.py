"""Organisations: approved by the operator, and in good standing or not."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, insert, select, update
from sqlalchemy.orm import Session

from consent.models import Grant, Organisation
from consent.vocabulary import LIVE_GRANT_STATES, Standing
from pds.errors import ConflictError, NotFoundError
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


def get_all(session: Session, ids: Collection[UUID]) -> dict[UUID, Organisation]:
    """Return organisations by their ids; unknown ones are passed over."""
    query = select(Organisation).where(Organisation.id.in_(ids))
    return {row.id: row for row in session.scalars(query)}


def all_of_them(session: Session) -> list[Organisation]:
    """Return every organisation, oldest first."""
    return list(session.scalars(select(Organisation).order_by(Organisation.created_at)))


def hold(session: Session, organisation_id: UUID, *, alone: bool = False) -> Organisation:
    """Return an organisation whose standing stays as it is to the end of this transaction.

    So that a consent which is given at the moment of a suspension is among those that end by it.
    `alone`: nobody else holds it meanwhile, so that what it has can be counted.

    Raises:
        NotFoundError: there is none.
    """
    query = (
        select(Organisation)
        .where(Organisation.id == organisation_id)
        .with_for_update(read=not alone)
        .execution_options(populate_existing=True)
    )
    found = session.scalars(query).one_or_none()
    if found is None:
        raise NotFoundError
    return found


def set_standing(session: Session, organisation_id: UUID, standing: Standing) -> bool:
    """Change an organisation's standing; tells whether it did. Reads obey with the next one (P-30).

    Whatever an organisation had when it was suspended ends (`consent.endings`), and until all of it
    has, it is not reinstated: so nothing revives (CM-10).

    Raises:
        NotFoundError: there is none.
        ConflictError: it was removed, which is for good; or it has agreements that are to end.
    """
    query = (
        select(Organisation)
        .where(Organisation.id == organisation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = session.scalars(query).one_or_none()
    if found is None:
        raise NotFoundError
    if found.standing == standing:
        return False
    if found.standing == Standing.REMOVED:
        raise ConflictError("an organisation that was removed stays removed")
    if standing is Standing.GOOD and live_agreements(session, organisation_id):
        raise ConflictError("its agreements are still being ended; try again when they are")
    session.execute(
        update(Organisation)
        .where(Organisation.id == organisation_id)
        .values(standing=standing.value)
    )
    return True


def is_served(organisation: Organisation) -> bool:
    """Tell whether an organisation is in good standing and not frozen."""
    return organisation.standing == Standing.GOOD and not organisation.is_frozen


def served() -> ColumnElement[bool]:
    """Return the condition on a joined organisation, as `is_served`."""
    return and_(Organisation.standing == Standing.GOOD.value, Organisation.is_frozen.is_(False))


def in_good_standing(organisation_id: UUID) -> ColumnElement[bool]:
    """Return the condition, for the statement that commits what was decided (P-30)."""
    return exists().where(Organisation.id == organisation_id, served())


def serves_grant(organisation_id: UUID | ColumnElement[UUID]) -> ColumnElement[bool]:
    """Return the condition on a grant, for the statement that commits a read or a deposit (P-30).

    The organisation is in good standing and was not frozen since the person confirmed the grant:
    a freeze raises the generation, so it is one row that stops them all.
    """
    return exists().where(
        Organisation.id == organisation_id,
        Organisation.standing == Standing.GOOD.value,
        Organisation.key_generation == Grant.key_generation,
    )


def excluded(session: Session) -> list[UUID]:
    """Return the organisations that are not in good standing."""
    query = select(Organisation.id).where(Organisation.standing != Standing.GOOD.value)
    return list(session.scalars(query.order_by(Organisation.id)))


def live_agreements(session: Session, organisation_id: UUID) -> int:
    """Return how many agreements of an organisation are in force, paused ones included."""
    query = select(func.count(Grant.agreement_id.distinct())).where(
        Grant.organisation_id == organisation_id, Grant.state.in_(LIVE_GRANT_STATES)
    )
    return session.execute(query).scalar_one()


def pairwise_subject(pairwise_key: bytes, organisation_id: UUID, vault_id: UUID) -> str:
    """Return the name under which an organisation knows a person (P-29): 32 hex digits.

    The same for all clients of one organisation, unrelated between organisations.
    """
    message = organisation_id.bytes + vault_id.bytes
    return hmac.digest(pairwise_key, message, "sha256")[:16].hex()
