"""Complaints about an organisation, by the people who share with it (CUX-43).

A complaint is an entry of the grant's stream: its reason is a code in the public part, so no word
about anybody reaches an auditor, and nobody can make it unmade. Auditors find it among their alerts
(`consent.auditing.alerts`); what they make of it, the person is told as a state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from consent import grants
from consent.acts import lock_agreement, text_of
from consent.auditing.alerts import Kind, State, key_of
from consent.auditing.models import AlertReview
from consent.log import reader
from consent.log.entries import EventLog, grant_stream, seal_private
from consent.log.reader import Wanted
from consent.vocabulary import ComplaintReason, EventName
from pds.clock import Clock
from pds.errors import ConflictError, NotFoundError
from pds.events import VaultRef
from pds.store import Store

AGAIN_AFTER = timedelta(days=1)
_MOST = 50
# What most auditors' eyes have come to counts: confirmed before explained, explained before open.
_WEIGHT = {State.OPEN: 0, State.EXPLAINED: 1, State.CONFIRMED: 2}


@dataclass(frozen=True, slots=True)
class Complaint:
    """A complaint as its person sees it; `state` is what auditors have made of it so far."""

    at: datetime
    reason: str
    state: State


@dataclass(frozen=True, slots=True)
class ComplaintService:
    """Takes complaints in."""

    store: Store
    clock: Clock
    log: EventLog

    def lodge(self, vault: VaultRef, agreement_id: UUID, reason: ComplaintReason) -> None:
        """Complain about the organisation of an agreement, also of one that has ended.

        Raises:
            NotFoundError: the vault has no such agreement.
            ConflictError: a complaint about it came within the last day.
        """
        now = self.clock.now()

        def job(session: Session) -> None:
            agreement = lock_agreement(session, vault.bucket, agreement_id)
            if agreement is None or agreement.vault_id != vault.id:
                raise NotFoundError
            grant = grants.latest_of_agreement(session, vault.bucket, agreement_id)
            wanted = Wanted(
                names=(EventName.COMPLAINT_LODGED,), grants=(grant.id,), since=now - AGAIN_AFTER
            )
            if reader.vault_events(session, vault.bucket, vault.id, wanted=wanted, limit=1):
                raise ConflictError("a complaint about it was received already")
            self.log.append(
                session,
                bucket=vault.bucket,
                stream=grant_stream(grant.id),
                seq=grants.next_seq(session, vault.bucket, grant.id),
                name=EventName.COMPLAINT_LODGED,
                at=now,
                private=seal_private(
                    {"vault": str(vault.id)}, audit_public_key=vault.audit_public_key
                ),
                vault_id=vault.id,
                grant_id=grant.id,
                client=grant.client_id,
                agreement_sha256=text_of(session, agreement).sha256,
                outcome=reason.value,
            )

        self.store.write(job)


def of_grants(
    session: Session, bucket: int, vault_id: UUID, grant_ids: Sequence[UUID]
) -> list[Complaint]:
    """Return the complaints about the organisation of some grants, newest first."""
    wanted = Wanted(names=(EventName.COMPLAINT_LODGED,), grants=tuple(grant_ids))
    found = reader.vault_events(session, bucket, vault_id, wanted=wanted, limit=_MOST)
    states = _states(
        session, [key_of(Kind.COMPLAINT, each.index) for each in found if each.index is not None]
    )
    return [
        Complaint(
            at=each.at,
            reason=each.opening.pub.outcome if each.opening else "",
            state=states.get(key_of(Kind.COMPLAINT, each.index), State.OPEN)
            if each.index is not None
            else State.OPEN,
        )
        for each in found
    ]


def _states(session: Session, keys: Sequence[str]) -> dict[str, State]:
    query = select(AlertReview.key, AlertReview.state).where(AlertReview.key.in_(keys))
    found: dict[str, State] = {}
    for key, text in session.execute(query):
        state = State(text)
        if _WEIGHT[state] >= _WEIGHT[found.get(key, State.OPEN)]:
            found[key] = state
    return found
