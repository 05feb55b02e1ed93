"""What an organisation does with its invitations: makes, lists and withdraws them.

    open -> opened -> used | declined        a person goes on, and decides (`holding`)
    open, opened   -> withdrawn              by the organisation
    open, opened   -> expired                by time

A closed invitation keeps no reference, and its row goes after `KEPT_FOR`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.orm import Session

from consent import organisations, templates
from consent.invitations.models import Invitation, OpenedInvitation
from consent.vocabulary import LIVE_INVITATION_STATES, InvitationState
from pds.crypto.secrets import TokenSecret
from pds.errors import ConflictError, LimitExceededError, NotFoundError
from pds.sweeping import BATCH, sweep_table

VALID_FOR = timedelta(days=14)
VALID_FOR_MOST = timedelta(days=90)
MOST_OPEN = 10_000  # of one organisation
KEPT_FOR = timedelta(days=30)


def create(
    session: Session,
    secret: TokenSecret,
    *,
    organisation_id: UUID,
    client_id: UUID,
    template_id: UUID,
    reference_box: bytes,
    expires_at: datetime,
    now: datetime,
) -> UUID:
    """Make an invitation that `secret` leads to; returns its id, which is the secret's selector.

    Raises:
        NotFoundError: the organisation has no such template in force.
        ConflictError: the organisation is not in good standing.
        LimitExceededError: as many of its invitations are open as may be.
    """
    # Its row, so that two at once do not both see room for one.
    organisation = organisations.hold(session, organisation_id, alone=True)
    if not organisations.is_served(organisation):
        raise ConflictError("the organisation is not in good standing")
    templates.in_force(session, template_id, organisation_id)
    query = select(func.count()).where(
        Invitation.organisation_id == organisation_id,
        Invitation.state.in_(LIVE_INVITATION_STATES),
        Invitation.expires_at > now,
    )
    if session.execute(query).scalar_one() >= MOST_OPEN:
        raise LimitExceededError("too many open invitations")
    session.execute(
        insert(Invitation).values(
            id=secret.selector,
            organisation_id=organisation_id,
            client_id=client_id,
            template_id=template_id,
            verifier=secret.verifier(),
            reference_box=reference_box,
            state=InvitationState.OPEN.value,
            created_at=now,
            expires_at=expires_at,
        )
    )
    return secret.selector


def page(
    session: Session,
    organisation_id: UUID,
    *,
    after: UUID | None,
    limit: int,
) -> list[Invitation]:
    """Return invitations of an organisation, the oldest first."""
    query = (
        select(Invitation)
        .where(Invitation.organisation_id == organisation_id)
        .order_by(Invitation.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(Invitation.id > after)
    return list(session.scalars(query))


def get(session: Session, organisation_id: UUID, invitation_id: UUID) -> Invitation:
    """Return an invitation of an organisation.

    Raises:
        NotFoundError: there is none of that id, or it is another's.
    """
    # The owner in the WHERE clause: a foreign id must look like an absent one.
    query = select(Invitation).where(
        Invitation.id == invitation_id, Invitation.organisation_id == organisation_id
    )
    found = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if found is None:
        raise NotFoundError
    return found


def shown_state(invitation: Invitation, now: datetime) -> InvitationState:
    """Return the state that holds now, also before the worker has written an end down."""
    state = InvitationState(invitation.state)
    has_ended = state in LIVE_INVITATION_STATES and invitation.expires_at <= now
    return InvitationState.EXPIRED if has_ended else state


def is_good(invitation: Invitation, now: datetime) -> bool:
    """Tell whether anything can still come of an invitation."""
    return shown_state(invitation, now) in LIVE_INVITATION_STATES


def withdraw(
    session: Session, organisation_id: UUID, invitation_id: UUID, *, now: datetime
) -> None:
    """End an invitation; repeating it changes nothing.

    Raises:
        NotFoundError: there is none of that id, or it is another's.
        ConflictError: it was used, declined or ran out before.
    """
    withdrawn = session.execute(
        update(Invitation)
        .where(
            Invitation.id == invitation_id,
            Invitation.organisation_id == organisation_id,
            Invitation.state.in_(LIVE_INVITATION_STATES),
            Invitation.expires_at > now,
        )
        .values(state=InvitationState.WITHDRAWN.value, reference_box=None, closed_at=now)
        .returning(Invitation.id)
    ).one_or_none()
    if withdrawn is not None:
        held = OpenedInvitation.invitation_id == invitation_id
        session.execute(delete(OpenedInvitation).where(held))
    elif get(session, organisation_id, invitation_id).state != InvitationState.WITHDRAWN:
        raise ConflictError("the invitation is closed already")


def sweep(session: Session, *, now: datetime, limit: int = BATCH) -> int:
    """Close what ran out, with its reference, and delete what was closed long ago.

    Returns:
        How many rows were changed or went; 0 when nothing is left to sweep.
    """
    due = (
        select(Invitation.id)
        .where(Invitation.state.in_(LIVE_INVITATION_STATES), Invitation.expires_at <= now)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(session.scalars(due))
    if ids:
        session.execute(
            update(Invitation)
            .where(Invitation.id.in_(ids))
            .values(
                state=InvitationState.EXPIRED.value,
                reference_box=None,
                closed_at=Invitation.expires_at,
            )
        )
    # Whoever looks between two batches finds a holder of each one that still counts as opened.
    is_live = exists().where(
        Invitation.id == OpenedInvitation.invitation_id,
        Invitation.state.in_(LIVE_INVITATION_STATES),
    )
    ran_out = (OpenedInvitation.expires_at <= now) & ~is_live
    return (
        len(ids)
        + sweep_table(session, OpenedInvitation, ran_out, limit=limit)
        + sweep_table(session, Invitation, Invitation.closed_at <= now - KEPT_FOR, limit=limit)
    )
