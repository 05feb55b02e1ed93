"""Ends: what undoes an agreement. They take keys away and need none (TAK-41).

`withdraw` is the person's, `expire_due` the clock's, `replace` the next agreement's. Each ends the
agreement with all its grants in one transaction (CM-9): wraps go, the event is logged, a receipt
issued, deletion owed, the organisation's feed told.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from consent import durations, grants, notices
from consent.acts import announce, record_act
from consent.formats import canonical
from consent.formats.errors import FormatError
from consent.formats.receipt_facts import Obligation as OwedObligation
from consent.formats.receipt_facts import ReceiptKind, Status
from consent.log.entries import EntryRef, EventLog, SealedPrivate, grant_stream, seal_private
from consent.models import (
    Agreement,
    AgreementVersion,
    ConsentEvent,
    Grant,
    Obligation,
    Request,
)
from consent.receipts import ReceiptIssuer, Subject, history, status
from consent.vocabulary import (
    Actor,
    AgreementState,
    ConsentStatus,
    EventName,
    FeedEvent,
    GrantState,
)
from pds.clock import Clock, from_rfc3339, rfc3339
from pds.errors import ConflictError, NotFoundError, PDSError
from pds.events import VaultRef
from pds.ids import IdFactory
from pds.instance import InstanceKeys
from pds.keys import VaultKeys, mark_rotation_due
from pds.store import Store

_logger = logging.getLogger(__name__)

# What "delete" means at the latest, when the person asked for it as they stopped sharing.
_DELETION_WITHIN = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class EndingService:
    """Ends agreements."""

    store: Store
    keys: InstanceKeys
    ids: IdFactory
    clock: Clock
    log: EventLog
    receipts: ReceiptIssuer

    def withdraw(self, vault: VaultRef, agreement_id: UUID, *, request_deletion: bool) -> None:
        """Stop sharing (GDPR Art. 7(3)); repeating it changes nothing.

        Effective with this method's return: no read is acknowledged after it (P-7). Needs no
        vault key.

        Raises:
            NotFoundError: the vault has no such agreement.
        """
        now = self.clock.now()
        private = seal_private(
            {"vault": str(vault.id), "deletion_requested": request_deletion},
            audit_public_key=vault.audit_public_key,
        )

        def job(session: Session) -> None:
            agreement = lock_agreement(session, vault.bucket, agreement_id)
            if agreement is None or agreement.vault_id != vault.id:
                raise NotFoundError
            if not AgreementState(agreement.state).is_terminal:
                self._end(
                    session, agreement, _WITHDRAWN, now, private, asked_by_person=request_deletion
                )

        self.store.write(job)

    def expire_due(self, session: Session, *, now: datetime, limit: int = 100) -> int:
        """End agreements whose time has come; returns how many. For the worker's write jobs."""
        query = (
            select(Agreement.bucket, Agreement.id)
            .where(
                Agreement.state.in_([AgreementState.ACTIVE, AgreementState.SUSPENDED]),
                Agreement.expires_at <= now,
            )
            .limit(limit)
        )
        due = session.execute(query).all()
        for bucket, agreement_id in due:
            agreement = lock_agreement(session, bucket, agreement_id)
            if agreement is None or AgreementState(agreement.state).is_terminal:
                continue
            try:
                with session.begin_nested():
                    self._end(session, agreement, _EXPIRED, now, None, asked_by_person=False)
            except (PDSError, FormatError) as exc:
                # One broken agreement must not keep the others from ending; it opens nothing
                # meanwhile, since every read looks at the clock.
                _logger.error("agreement %s cannot be ended: %s", agreement_id, type(exc).__name__)  # noqa: TRY400 - the trace may quote data
        return len(due)

    def replace(self, session: Session, bucket: int, agreement_id: UUID, *, now: datetime) -> bool:
        """End an agreement that a new one takes the place of; tell whether it still lived.

        The organisation is told of the new one alone: for it, the connection goes on.
        """
        previous = lock_agreement(session, bucket, agreement_id)
        if previous is None or AgreementState(previous.state).is_terminal:
            return False
        self._end(session, previous, _REPLACED, now, None, asked_by_person=False)
        return True

    def _end(
        self,
        session: Session,
        agreement: Agreement,
        ending: _Ending,
        now: datetime,
        private: SealedPrivate | None,
        *,
        asked_by_person: bool,
    ) -> None:
        """End an agreement whose row is locked, with all its grants (CM-9)."""
        vault = VaultKeys(self.keys.deployment, agreement.bucket, agreement.vault_id)
        session.execute(
            update(Agreement)
            .where(Agreement.bucket == agreement.bucket, Agreement.id == agreement.id)
            .values(state=ending.state.value, ended_at=now, ended_by=ending.actor.value)
        )
        version = _version(session, agreement)
        document: Any = canonical.parse(version.document)
        collections = sorted({name.partition(".")[0] for name in document["attributes"]})
        owed = self._owe(session, agreement, document, ending, now, asked_by_person)
        for grant in grants.live_of_agreement(session, agreement.bucket, agreement.id):
            grants.end(session, vault, grant, ending.grant_state)
            seq = grants.next_seq(session, grant.bucket, grant.id)
            entry = self.log.append(
                session,
                bucket=grant.bucket,
                stream=grant_stream(grant.id),
                seq=seq,
                name=ending.event,
                at=now,
                private=private,
                vault_id=grant.vault_id,
                grant_id=grant.id,
                client=grant.client_id,
                collections=collections,
                purpose=document["purpose"],
                agreement_sha256=version.sha256,
            )
            record_act(
                session,
                grant,
                consent_status=ending.status,
                actor=ending.actor,
                entry=entry,
                now=now,
            )
            self._receipt_of_end(session, agreement, version, document, grant, entry, owed, now)
            if asked_by_person:
                self._log_deletion_request(session, grant, version, now)
        # Whoever copied the database before this holds old wraps: new writes get new keys
        # (TAK-43).
        mark_rotation_due(session, agreement.bucket, agreement.vault_id, collections)
        if ending.announced:
            announce(
                session,
                agreement.bucket,
                FeedEvent.of_end(ending.state),
                organisation_id=agreement.organisation_id,
                connection_id=agreement.connection_id,
                now=now,
            )

    def _log_deletion_request(
        self,
        session: Session,
        grant: Grant,
        version: AgreementVersion,
        now: datetime,
    ) -> None:
        self.log.append(
            session,
            bucket=grant.bucket,
            stream=grant_stream(grant.id),
            seq=grants.next_seq(session, grant.bucket, grant.id),
            name=EventName.ERASURE_REQUESTED,
            at=now,
            vault_id=grant.vault_id,
            grant_id=grant.id,
            client=grant.client_id,
            agreement_sha256=version.sha256,
        )

    def _owe(  # noqa: PLR0917 - one step of `_end`, private
        self,
        session: Session,
        agreement: Agreement,
        document: Mapping[str, Any],
        ending: _Ending,
        now: datetime,
        asked_by_person: bool,  # noqa: FBT001 - as above
    ) -> list[OwedObligation]:
        if not ending.deletes:
            return []
        notice = notices.find(session, document["notice_sha256"])
        keeps = durations.parse(notice["retention"]["after_end"])
        within = min(keeps, _DELETION_WITHIN) if asked_by_person else keeps
        obligation_id = self.ids.new(agreement.bucket)
        session.execute(
            insert(Obligation).values(
                bucket=agreement.bucket,
                id=obligation_id,
                vault_id=agreement.vault_id,
                organisation_id=agreement.organisation_id,
                agreement_id=agreement.id,
                connection_id=agreement.connection_id,
                kind="delete",
                state="due",
                asked_by_person=asked_by_person,
                due_at=now + within,
                overdue_announced=False,
                created_at=now,
            )
        )
        announce(
            session,
            agreement.bucket,
            FeedEvent.OBLIGATION_OPENED,
            organisation_id=agreement.organisation_id,
            connection_id=agreement.connection_id,
            now=now,
            obligation_id=obligation_id,
        )
        return [OwedObligation(kind="delete", due_at=rfc3339(now + within), state="due")]

    def _receipt_of_end(  # noqa: PLR0917 - one step of `_end`, private
        self,
        session: Session,
        agreement: Agreement,
        version: AgreementVersion,
        document: Mapping[str, Any],
        grant: Grant,
        entry: EntryRef,
        owed: Sequence[OwedObligation],
        now: datetime,
    ) -> None:
        request = session.get(Request, (agreement.bucket, agreement.request_id))
        shown_at = request.seen_at if request else from_rfc3339(document["starts_at"])
        subject = Subject(
            document=document,
            notice=notices.find(session, version.notice_sha256),
            notice_sha256=version.notice_sha256,
            shown_at=shown_at,
            record_id=agreement.id,
            request_id=agreement.request_id,
            agreement_id=agreement.id,
            agreement_sha256=version.sha256,
            grant_ids=[grant.id],
            supersedes=agreement.supersedes,
        )
        self.receipts.issue(
            session,
            subject,
            _statuses(history(session, agreement.bucket, agreement.id), document["duration"]),
            entry,
            bucket=agreement.bucket,
            vault_id=agreement.vault_id,
            now=now,
            obligations=owed,
        )


@dataclass(frozen=True, slots=True)
class _Ending:
    """One way for an agreement to end, in the words of each of the four objects."""

    state: AgreementState
    grant_state: GrantState
    status: ConsentStatus
    event: EventName
    actor: Actor
    deletes: bool = field(default=True)  # whether the organisation owes deletion
    announced: bool = field(default=True)  # whether its feed tells of the end by itself


_WITHDRAWN = _Ending(
    AgreementState.WITHDRAWN,
    GrantState.REVOKED,
    ConsentStatus.WITHDRAWN,
    EventName.CONSENT_WITHDRAWN,
    Actor.INDIVIDUAL,
)
_EXPIRED = _Ending(
    AgreementState.EXPIRED,
    GrantState.EXPIRED,
    ConsentStatus.EXPIRED,
    EventName.CONSENT_EXPIRED,
    Actor.CLOCK,
)
_REPLACED = _Ending(
    AgreementState.TERMINATED,
    GrantState.REVOKED,
    ConsentStatus.REVOKED,
    EventName.CONSENT_TERMINATED,
    Actor.INDIVIDUAL,
    deletes=False,
    announced=False,
)
_RECEIPT_KINDS = {
    ConsentStatus.GIVEN: ReceiptKind.GIVEN,
    ConsentStatus.WITHDRAWN: ReceiptKind.WITHDRAWN,
    ConsentStatus.EXPIRED: ReceiptKind.EXPIRED,
    ConsentStatus.REVOKED: ReceiptKind.TERMINATED,
}


def lock_agreement(session: Session, bucket: int, agreement_id: UUID) -> Agreement | None:
    """Lock an agreement's row and read it afresh; None if there is none."""
    query = (
        select(Agreement)
        .where(Agreement.bucket == bucket, Agreement.id == agreement_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).one_or_none()


def _version(session: Session, agreement: Agreement) -> AgreementVersion:
    found = session.get(AgreementVersion, (agreement.bucket, agreement.id, agreement.version))
    if found is None:
        raise ConflictError("an agreement without its text")
    return found


def _statuses(events: Sequence[ConsentEvent], duration: str) -> list[Status]:
    found = []
    for event in events:
        kind = _RECEIPT_KINDS[ConsentStatus(event.status)]
        given = duration if kind is ReceiptKind.GIVEN else None
        found.append(status(event.seq, kind, at=event.at, by=event.actor, duration=given))
    return found
