"""Pausing: sharing rests, on the same terms, until its person goes on (VOC-22).

As stopping, it takes no vault key (TAK-41). Tokens and wraps stay, so resuming takes none either;
every read in between is refused, also one that was decided a moment before (P-8). The agreed end
comes no later for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from consent.acts import ActService, Deed, lock_agreement
from consent.lifecycle import Act
from consent.log.entries import seal_private
from consent.vocabulary import Actor, AgreementState
from pds.clock import Clock
from pds.errors import ConflictError, NotFoundError
from pds.events import VaultRef
from pds.store import Store


@dataclass(frozen=True, slots=True)
class PauseService:
    """Pauses and resumes agreements."""

    store: Store
    clock: Clock
    acts: ActService

    def pause(self, vault: VaultRef, agreement_id: UUID) -> None:
        """Let sharing rest; repeating it changes nothing.

        Raises:
            NotFoundError: the vault has no such agreement.
            ConflictError: it has ended.
        """
        self._do(vault, agreement_id, Act.PAUSE, already=AgreementState.SUSPENDED)

    def resume(self, vault: VaultRef, agreement_id: UUID) -> None:
        """Go on sharing after a pause; repeating it changes nothing.

        Raises:
            NotFoundError: the vault has no such agreement.
            ConflictError: it has ended.
        """
        self._do(vault, agreement_id, Act.RESUME, already=AgreementState.ACTIVE)

    def _do(
        self, vault: VaultRef, agreement_id: UUID, act: Act, *, already: AgreementState
    ) -> None:
        now = self.clock.now()
        private = seal_private({"vault": str(vault.id)}, audit_public_key=vault.audit_public_key)
        deed = Deed(act=act, actor=Actor.INDIVIDUAL, at=now, private=private)

        def job(session: Session) -> None:
            agreement = lock_agreement(session, vault.bucket, agreement_id)
            if agreement is None or agreement.vault_id != vault.id:
                raise NotFoundError
            if agreement.expires_at <= now:
                # Its time has come, whether or not the worker has written that down.
                raise ConflictError("the agreement has expired")
            if agreement.state != already:
                self.acts.do(session, agreement, deed)

        self.store.write(job)
