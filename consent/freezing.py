"""Freezing: an organisation whose keys were stolen is stopped at once, and nothing ends (ADR 0028).

    freeze     one row: nothing is served, and every grant's confirmed generation is past
    thaw       served again, with new keys; its grants stay frozen
    confirm    one grant goes on: its person decided, under the new keys

Agreements, grants and consents stay as they are meanwhile; so does what their people may do. What a
freeze costs does not depend on how many grants there are: people are told of it afterwards.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from consent import correspondence, grants, organisations
from consent.acts import text_of
from consent.log.entries import EventLog, grant_stream
from consent.models import Agreement, Grant, Organisation
from consent.vocabulary import LIVE_GRANT_STATES, EventName, FreezeReason, Standing
from pds.errors import ConflictError
from pds.keys import mark_rotation_due


def freeze(
    session: Session,
    log: EventLog,
    organisation_id: UUID,
    *,
    reason: FreezeReason,
    now: datetime,
) -> bool:
    """Stop an organisation in one row; tells whether it was not frozen yet. For write jobs.

    Effective with the commit: reads, deposits and tokens all look at this row.

    Raises:
        NotFoundError: there is none.
        ConflictError: it was removed, so that there is nothing left to stop.
    """
    found = organisations.hold(session, organisation_id, alone=True)
    if found.standing == Standing.REMOVED:
        raise ConflictError("the organisation was removed")
    if found.is_frozen:
        return False
    session.execute(
        update(Organisation)
        .where(Organisation.id == organisation_id)
        .values(
            is_frozen=True,
            frozen_at=now,
            freeze_reason=reason.value,
            key_generation=Organisation.key_generation + 1,
        )
    )
    log.append_deployment(session, EventName.ORGANISATION_FROZEN, at=now, outcome=reason.value)
    return True


def thaw(session: Session, log: EventLog, organisation_id: UUID, *, now: datetime) -> bool:
    """Serve an organisation again; tells whether it was frozen. Its grants stay frozen.

    That it has new keys, and only those, is the caller's to see to, in the same transaction.

    Raises:
        NotFoundError: there is none.
    """
    found = organisations.hold(session, organisation_id, alone=True)
    if not found.is_frozen:
        return False
    session.execute(
        update(Organisation).where(Organisation.id == organisation_id).values(is_frozen=False)
    )
    log.append_deployment(session, EventName.ORGANISATION_THAWED, at=now)
    return True


def frozen_at(session: Session, grant: Grant) -> datetime | None:
    """Return since when a grant is frozen; None: it is not."""
    found = organisations.get(session, grant.organisation_id)
    return found.frozen_at if grant.key_generation < found.key_generation else None


def confirm(session: Session, grant: Grant, key_generation: int) -> None:
    """Let one grant go on under the keys that its organisation has now; its person decided so.

    Both rows are locked. Whoever kept a database of before together with a token of before can open
    the collection keys of before: what is written from now on gets new ones (TAK-43).
    """
    session.execute(
        update(Grant)
        .where(Grant.bucket == grant.bucket, Grant.id == grant.id)
        .values(key_generation=key_generation, epoch=Grant.epoch + 1)
    )
    agreement = session.get_one(Agreement, (grant.bucket, grant.agreement_id))
    collections = text_of(session, agreement).collections
    mark_rotation_due(session, grant.bucket, grant.vault_id, collections)


def tell(session: Session, log: EventLog, *, now: datetime, limit: int = 100) -> int:
    """Log freezes where their people see it, and write to them; returns how many grants.

    For the worker's write jobs: each grant once for each freeze, each person one letter.
    """
    told = 0
    pending = select(Organisation).where(Organisation.freeze_told < Organisation.key_generation)
    for organisation in session.scalars(pending.order_by(Organisation.id)).all():
        generation = organisation.key_generation
        untold = (
            Grant.organisation_id == organisation.id,
            Grant.state.in_(LIVE_GRANT_STATES),
            Grant.key_generation < generation,
            Grant.freeze_told < generation,
        )
        found = session.scalars(
            select(Grant)
            .where(*untold)
            .order_by(Grant.state, Grant.bucket)
            .limit(limit - told)
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)
        ).all()
        for grant in found:
            _tell_one(session, log, grant, organisation, now)
        told += len(found)
        if told >= limit:
            break
        if not found and not session.execute(select(exists().where(*untold))).scalar_one():
            organisation.freeze_told = generation
    return told


def _tell_one(
    session: Session, log: EventLog, grant: Grant, organisation: Organisation, now: datetime
) -> None:
    generation = organisation.key_generation
    wrote = session.execute(
        select(
            exists().where(
                Grant.bucket == grant.bucket,
                Grant.vault_id == grant.vault_id,
                Grant.organisation_id == organisation.id,
                Grant.freeze_told == generation,
            )
        )
    ).scalar_one()
    log.append(
        session,
        bucket=grant.bucket,
        stream=grant_stream(grant.id),
        seq=grants.next_seq(session, grant.bucket, grant.id),
        name=EventName.ORGANISATION_FROZEN,
        at=now,
        vault_id=grant.vault_id,
        grant_id=grant.id,
        client=grant.client_id,
        outcome=organisation.freeze_reason or "ok",
    )
    if not wrote:
        correspondence.tell_of_freeze(session, grant, organisation, now=now)
    session.execute(
        update(Grant)
        .where(Grant.bucket == grant.bucket, Grant.id == grant.id)
        .values(freeze_told=generation)
    )
