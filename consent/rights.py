"""What a person asks of an organisation while the agreement goes on (GDPR Art. 16 and 17).

    correct   take over what the vault says now: read it again, and put its copy right
    erase     delete what it holds, although it may go on reading

Asking opens an obligation as an end does: the organisation is told by its feed and its webhooks,
answers with a signed `obligation_answer`, and is overdue after a month (GDPR Art. 12 (3)). Consent,
grant and keys stay as they are, so that none is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from consent import grants, obligations
from consent.acts import lock_agreement, text_of
from consent.log.entries import EventLog, grant_stream, seal_private
from consent.models import Agreement, Obligation
from consent.vocabulary import AgreementState, EventName, ObligationKind
from pds.clock import Clock
from pds.errors import ConflictError, NotFoundError
from pds.events import VaultRef
from pds.ids import IdFactory
from pds.store import Store

ANSWERED_WITHIN = timedelta(days=30)
_EVENTS = {
    ObligationKind.CORRECT: EventName.CORRECTION_REQUESTED,
    ObligationKind.ERASE: EventName.ERASURE_REQUESTED,
}


@dataclass(frozen=True, slots=True)
class RightsService:
    """Asks organisations for what people are entitled to."""

    store: Store
    ids: IdFactory
    clock: Clock
    log: EventLog

    def ask(self, vault: VaultRef, agreement_id: UUID, kind: ObligationKind) -> UUID:
        """Ask for correction or deletion, and return the obligation's id.

        Args:
            vault: whose agreement it is.
            agreement_id: it lives, paused or not.
            kind: `CORRECT` or `ERASE`.

        Raises:
            NotFoundError: the vault has no such agreement.
            ConflictError: it has ended; or the same was asked and is not answered yet.
        """
        now, name = self.clock.now(), _EVENTS[kind]

        def job(session: Session) -> UUID:
            agreement = lock_agreement(session, vault.bucket, agreement_id)
            if agreement is None or agreement.vault_id != vault.id:
                raise NotFoundError
            if AgreementState(agreement.state).is_terminal or agreement.expires_at <= now:
                raise ConflictError("the agreement has ended")
            if _is_open(session, agreement, kind):
                raise ConflictError("it was asked, and is not answered yet")
            opened = obligations.open_one(
                session, self.ids, agreement, kind, now + ANSWERED_WITHIN, now, asked_by_person=True
            )
            grant = grants.latest_of_agreement(session, vault.bucket, agreement_id)
            self.log.append(
                session,
                bucket=vault.bucket,
                stream=grant_stream(grant.id),
                seq=grants.next_seq(session, vault.bucket, grant.id),
                name=name,
                at=now,
                private=seal_private(
                    {"vault": str(vault.id), "obligation": str(opened)},
                    audit_public_key=vault.audit_public_key,
                ),
                vault_id=vault.id,
                grant_id=grant.id,
                client=grant.client_id,
                agreement_sha256=text_of(session, agreement).sha256,
            )
            return opened

        return self.store.write(job)


def _is_open(session: Session, agreement: Agreement, kind: ObligationKind) -> bool:
    query = (
        select(Obligation.id)
        .where(
            Obligation.bucket == agreement.bucket,
            Obligation.vault_id == agreement.vault_id,
            Obligation.agreement_id == agreement.id,
            Obligation.kind == kind.value,
            Obligation.state == "due",
        )
        .limit(1)
    )
    return session.scalar(query) is not None
