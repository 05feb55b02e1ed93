"""What organisations owe after the end of an agreement, and their answers (CM-7, LEAD-4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from consent import correspondence, grants
from consent.acts import announce
from consent.formats import canonical, deletion_receipt
from consent.formats.errors import FormatError
from consent.log.entries import EventLog, grant_stream, seal_private
from consent.models import Agreement, AgreementVersion, Grant, Obligation
from consent.vocabulary import EventName, FeedEvent
from pds.accounts import audit_public_key
from pds.clock import Clock
from pds.errors import Issue, NotFoundError, ValidationFailedError
from pds.ids import IdFactory
from pds.store import Store


@dataclass(frozen=True, slots=True)
class ObligationService:
    """Takes in deletion receipts."""

    store: Store
    ids: IdFactory
    clock: Clock
    log: EventLog

    def confirm(
        self,
        obligation_id: UUID,
        *,
        organisation_id: UUID,
        receipt: object,
        keys: Mapping[str, bytes],
        also: Callable[[Session], None] = lambda _session: None,
    ) -> Obligation:
        """Record an organisation's signed deletion receipt; repeating it changes nothing.

        Args:
            obligation_id: what it answers.
            organisation_id: whose token it came with.
            receipt: the signed document (`consent.formats.deletion_receipt`).
            keys: the organisation's 32-byte Ed25519 public keys by `kid`.
            also: run first in the same transaction.

        Raises:
            NotFoundError: it owes nothing of that id.
            ValidationFailedError: the receipt is malformed, unsigned, or about something else.
        """
        now = self.clock.now()
        document, text = _verified(receipt, keys)
        bucket = self.ids.bucket_of(obligation_id)

        def job(session: Session) -> Obligation:
            also(session)
            owed = session.scalars(
                select(Obligation)
                .where(Obligation.bucket == bucket, Obligation.id == obligation_id)
                .with_for_update()
            ).one_or_none()
            if owed is None or owed.organisation_id != organisation_id:
                raise NotFoundError
            if (document["agreement"], document["connection"]) != (
                str(owed.agreement_id),
                str(owed.connection_id),
            ):
                raise ValidationFailedError(
                    [Issue("agreement", "mismatch", "the receipt is about another agreement")]
                )
            if owed.state == "confirmed":
                return owed
            erased = document["outcome"] == deletion_receipt.Outcome.ERASED
            state = "confirmed" if erased else "retained_with_basis"
            session.execute(
                update(Obligation)
                .where(Obligation.bucket == bucket, Obligation.id == obligation_id)
                .values(state=state, answered_at=now, evidence=text)
            )
            self._log(session, owed, document, now)
            owed.state, owed.answered_at, owed.evidence = state, now, text
            return owed

        return self.store.write(job)

    def _log(
        self, session: Session, owed: Obligation, document: Mapping[str, Any], now: datetime
    ) -> None:
        grant = session.scalars(
            select(Grant)
            .where(Grant.bucket == owed.bucket, Grant.agreement_id == owed.agreement_id)
            .order_by(Grant.created_at.desc())
            .limit(1)
        ).one()
        agreement = session.get(Agreement, (owed.bucket, owed.agreement_id))
        version = agreement and session.get(
            AgreementVersion, (owed.bucket, owed.agreement_id, agreement.version)
        )
        private = seal_private(
            {"vault": str(owed.vault_id), "obligation": str(owed.id)},
            audit_public_key=audit_public_key(session, owed.bucket, owed.vault_id),
        )
        self.log.append(
            session,
            bucket=owed.bucket,
            stream=grant_stream(grant.id),
            seq=grants.next_seq(session, owed.bucket, grant.id),
            name=EventName.ERASURE_CONFIRMED,
            at=now,
            private=private,
            vault_id=owed.vault_id,
            grant_id=grant.id,
            client=grant.client_id,
            collections=sorted(item["collection"] for item in document["items"]),
            agreement_sha256=version.sha256 if version else None,
            outcome=str(document["reason"] or "ok"),
            count=sum(item["attributes"] for item in document["items"]),
        )


def announce_overdue(session: Session, *, now: datetime, limit: int = 100) -> int:
    """Tell organisations' feeds, and people, of what is overdue, once each; returns how many.

    For the worker's write jobs.
    """
    query = (
        select(Obligation)
        .where(
            Obligation.state == "due",
            Obligation.overdue_announced.is_(False),
            Obligation.due_at <= now,
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = session.scalars(query).all()
    for owed in found:
        owed.overdue_announced = True
        announce(
            session,
            owed.bucket,
            FeedEvent.OBLIGATION_OVERDUE,
            organisation_id=owed.organisation_id,
            connection_id=owed.connection_id,
            now=now,
            obligation_id=owed.id,
        )
        correspondence.tell_of_overdue(session, owed, now=now)
    return len(found)


def of_organisation(
    session: Session, organisation_id: UUID, *, state: str, limit: int
) -> list[Obligation]:
    """Return what an organisation owes or has answered, the most urgent first."""
    query = (
        select(Obligation)
        .where(Obligation.organisation_id == organisation_id, Obligation.state == state)
        .order_by(Obligation.due_at, Obligation.id)
        .limit(limit)
    )
    return list(session.scalars(query))


def of_vault(session: Session, bucket: int, vault_id: UUID) -> list[Obligation]:
    """Return what is owed to a person, newest first."""
    query = (
        select(Obligation)
        .where(Obligation.bucket == bucket, Obligation.vault_id == vault_id)
        .order_by(Obligation.created_at.desc())
    )
    return list(session.scalars(query))


def shown_state(obligation: Obligation, now: datetime) -> str:
    """Return the state as people see it: `overdue` is computed, never stored."""
    overdue = obligation.state == "due" and obligation.due_at <= now
    return "overdue" if overdue else obligation.state


def _verified(receipt: object, keys: Mapping[str, bytes]) -> tuple[dict[str, Any], bytes]:
    try:
        deletion_receipt.verify(receipt, keys)
        text = canonical.canonical_bytes(receipt)
    except FormatError as exc:
        raise ValidationFailedError([Issue("receipt", "signature", str(exc))]) from exc
    document: Any = receipt
    return document, text
