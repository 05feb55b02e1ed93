"""Invitations: held by one vault while somebody has gone on with them, and by none else."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select

from consent.invariants.scope import Broken, Scope, broken
from consent.invitations.models import Invitation, OpenedInvitation
from consent.vocabulary import InvitationState

_holders = func.count(OpenedInvitation.invitation_id)
_HOLDERS = (
    select(OpenedInvitation.invitation_id, Invitation.state, _holders)
    .select_from(OpenedInvitation)
    .outerjoin(Invitation, Invitation.id == OpenedInvitation.invitation_id)
    .group_by(OpenedInvitation.invitation_id, Invitation.state)
)
_UNHELD = (
    select(Invitation.id)
    .outerjoin(OpenedInvitation, OpenedInvitation.invitation_id == Invitation.id)
    .where(
        Invitation.state == InvitationState.OPENED.value, OpenedInvitation.invitation_id.is_(None)
    )
)


def has_one_holder_while_opened(scope: Scope) -> Iterator[Broken]:
    """One vault holds an invitation that was opened; none holds one that is open or closed."""
    for invitation_id, state, holders in scope.rows(_HOLDERS):
        if state != InvitationState.OPENED or holders != 1:
            detail = f"{holders} vaults hold it, and it is {state or 'not there'}"
            yield broken(detail, invitation=invitation_id)
    for (invitation_id,) in scope.rows(_UNHELD):
        yield broken("it was opened, and nobody holds it", invitation=invitation_id)
