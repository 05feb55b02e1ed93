"""What a person does with an invitation: looks at it, goes on with it, decides.

Whoever goes on first holds it: its reference is sealed to their vault, and the link is no use to
anybody else. They can go on again until they have decided. A request that names an invitation is
shown to and decided by its holder only: else somebody who is sent a link with another's invitation
would be matched to that other customer's entry.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from consent import organisations, templates
from consent.invitations import references
from consent.invitations.links import is_good
from consent.invitations.models import Invitation, OpenedInvitation
from consent.templates import Template
from consent.vocabulary import InvitationState
from pds.clock import Clock
from pds.crypto.secrets import TokenSecret
from pds.errors import ConflictError, NotFoundError
from pds.events import VaultRef
from pds.instance import InstanceKeys
from pds.keys import OpenVault
from pds.store import Store


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation as the person sees it; `reference` is None while their vault is locked."""

    id: UUID
    organisation_id: UUID
    client_id: UUID
    template: Template
    expires_at: datetime
    reference: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class InvitationService:
    """Shows invitations to people, and gives them to whoever goes on."""

    store: Store
    keys: InstanceKeys
    clock: Clock

    def look(
        self, secret: TokenSecret, vault: VaultRef | None, open_vault: OpenVault | None
    ) -> Invited:
        """Return an invitation by its link.

        Args:
            secret: of the link.
            vault: whose visitor looks; None: nobody is signed in.
            open_vault: None: it is locked.

        Raises:
            NotFoundError: it is unknown, closed, another's by now, or its organisation may not
                ask. Which of them is never said.
        """
        with self.store.read() as session:
            row = session.get(Invitation, secret.selector)
            if (
                row is None
                or not secret.matches(row.verifier)
                or not is_good(row, self.clock.now())
                or not organisations.is_served(organisations.get(session, row.organisation_id))
            ):
                raise NotFoundError
            template = templates.in_force(session, row.template_id, row.organisation_id)
            reference = self._reference(session, secret, row, vault, open_vault)
        return Invited(
            row.id, row.organisation_id, row.client_id, template, row.expires_at, reference
        )

    def go_on(self, secret: TokenSecret, vault: VaultRef, open_vault: OpenVault) -> Invited:
        """Go on with an invitation: it is this vault's from then on.

        Raises:
            NotFoundError: as `look`.
        """
        found = self.look(secret, vault, open_vault)
        if found.reference is None:
            raise NotFoundError
        box = references.seal_to_vault(open_vault, found.id, found.reference)
        now = self.clock.now()

        def job(session: Session) -> None:
            is_first = session.execute(
                update(Invitation)
                .where(
                    Invitation.id == found.id,
                    Invitation.state == InvitationState.OPEN.value,
                    Invitation.expires_at > now,
                    organisations.in_good_standing(found.organisation_id),
                )
                .values(state=InvitationState.OPENED.value, reference_box=None)
                .returning(Invitation.id)
            ).one_or_none()
            if is_first is not None:
                session.execute(
                    insert(OpenedInvitation).values(
                        bucket=vault.bucket,
                        invitation_id=found.id,
                        vault_id=vault.id,
                        reference_box=box,
                        expires_at=found.expires_at,
                    )
                )
            elif _held(session, vault, found.id) is None:
                raise NotFoundError

        self.store.write(job)
        return found

    def reference(
        self, vault: VaultRef, open_vault: OpenVault | None, invitation_id: UUID | None
    ) -> str | None:
        """Return what an organisation would be told; None: nothing, or the vault is locked.

        Raises:
            ConflictError: this vault does not hold the invitation, or has decided on it.
        """
        if open_vault is None or invitation_id is None:
            return None
        with self.store.read() as session:
            return reference(session, vault, open_vault, invitation_id)

    def is_held_by(self, vault: VaultRef, invitation_id: UUID) -> bool:
        """Tell whether this vault went on with an invitation, and has not decided yet."""
        with self.store.read() as session:
            return _held(session, vault, invitation_id) is not None

    def _reference(
        self,
        session: Session,
        secret: TokenSecret,
        row: Invitation,
        vault: VaultRef | None,
        open_vault: OpenVault | None,
    ) -> str | None:
        if row.reference_box is not None:
            return references.open_with_link(
                secret,
                row.reference_box,
                deployment=self.keys.deployment,
                organisation_id=row.organisation_id,
            )
        held = _held(session, vault, row.id) if vault else None
        if held is None:
            raise NotFoundError
        if open_vault is None:
            return None
        return references.open_in_vault(open_vault, row.id, held.reference_box)


def reference(session: Session, vault: VaultRef, open_vault: OpenVault, invitation_id: UUID) -> str:
    """Return the reference that an organisation would be told.

    Raises:
        ConflictError: this vault does not hold the invitation, or has decided on it.
    """
    held = _held(session, vault, invitation_id)
    if held is None:
        raise ConflictError("this vault does not hold the invitation")
    return references.open_in_vault(open_vault, invitation_id, held.reference_box)


def give_up_all(session: Session, vault: VaultRef, *, now: datetime) -> None:
    """Decline whatever invitations a vault holds, which is about to be deleted."""
    mine = (OpenedInvitation.bucket == vault.bucket, OpenedInvitation.vault_id == vault.id)
    held = session.scalars(select(OpenedInvitation.invitation_id).where(*mine)).all()
    session.execute(
        update(Invitation)
        .where(Invitation.id.in_(held), Invitation.state == InvitationState.OPENED.value)
        .values(state=InvitationState.DECLINED.value, closed_at=now)
    )
    session.execute(delete(OpenedInvitation).where(*mine))


def spend(
    session: Session,
    vault: VaultRef,
    invitation_id: UUID,
    state: InvitationState,
    *,
    now: datetime,
) -> None:
    """Close an invitation with the decision on it, once.

    Raises:
        ConflictError: this vault does not hold it, or it was closed meanwhile.
    """
    closed = session.execute(
        update(Invitation)
        .where(
            Invitation.id == invitation_id,
            Invitation.state == InvitationState.OPENED.value,
            Invitation.expires_at > now,
        )
        .values(state=state.value, closed_at=now)
        .returning(Invitation.id)
    ).one_or_none()
    given_up = session.execute(
        delete(OpenedInvitation)
        .where(
            OpenedInvitation.bucket == vault.bucket,
            OpenedInvitation.invitation_id == invitation_id,
            OpenedInvitation.vault_id == vault.id,
        )
        .returning(OpenedInvitation.invitation_id)
    ).one_or_none()
    if closed is None or given_up is None:
        raise ConflictError("the invitation was closed already")


def _held(session: Session, vault: VaultRef, invitation_id: UUID) -> OpenedInvitation | None:
    query = select(OpenedInvitation).where(
        OpenedInvitation.bucket == vault.bucket,
        OpenedInvitation.invitation_id == invitation_id,
        OpenedInvitation.vault_id == vault.id,
    )
    return session.scalars(query).one_or_none()
