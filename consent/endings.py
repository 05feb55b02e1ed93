"""Ends: what undoes an agreement. They take keys away and need none (TAK-41).

Each ends the agreement with all its grants in one transaction (CM-9): wraps go, the event is
logged, a receipt issued, deletion owed, the organisation's feed told. Repeating one changes
nothing, and none opens again what has ended (CM-6).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from consent import durations, grants, notices, obligations, organisations
from consent.acts import (
    ActService,
    AgreementText,
    Deed,
    lock_agreement,
    text_of,
)
from consent.formats.errors import FormatError
from consent.formats.receipt_facts import Obligation as OwedObligation
from consent.lifecycle import MOVES, Act
from consent.log.entries import grant_stream, seal_private
from consent.models import Agreement, Grant
from consent.vocabulary import (
    LIVE_GRANT_STATES,
    Actor,
    AgreementState,
    EventName,
    ExclusionReason,
    InvalidationReason,
    ObligationKind,
    Standing,
    TerminationReason,
)
from pds import vaults
from pds.clock import Clock, rfc3339
from pds.errors import NotFoundError, PDSError
from pds.events import EventSink, VaultEvent, VaultRef
from pds.ids import IdFactory
from pds.keys import mark_rotation_due
from pds.store import Store

_logger = logging.getLogger(__name__)

# What "delete" means at the latest, when the person asked for it as they stopped sharing.
_DELETION_WITHIN = timedelta(days=30)
# To stop is owed at once; this is by when an organisation has to have said that it did.
_STOP_ANSWERED_WITHIN = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class EndingService:
    """Ends agreements."""

    store: Store
    ids: IdFactory
    clock: Clock
    acts: ActService
    sink: EventSink

    def withdraw(
        self,
        vault: VaultRef,
        agreement_id: UUID,
        *,
        request_deletion: bool,
        is_limited: bool = False,
    ) -> None:
        """Stop sharing (GDPR Art. 7(3)); repeating it changes nothing.

        Effective with this method's return: no read is acknowledged after it (P-7). Needs no
        vault key. By a limited sign-in it is also logged as such (P-16).

        Raises:
            NotFoundError: the vault has no such agreement.
        """
        deed = _withdrawal(vault, request_deletion=request_deletion, at=self.clock.now())

        def job(session: Session) -> None:
            if is_limited:
                # Before the agreement: its row is locked to number the vault's event (P-4).
                vaults.lock(session, vault)
            agreement = lock_agreement(session, vault.bucket, agreement_id)
            if agreement is None or agreement.vault_id != vault.id:
                raise NotFoundError
            ended = self._end(session, agreement, deed, asked_by_person=request_deletion)
            if ended and is_limited:
                private = {"agreement": str(agreement_id)}
                event = VaultEvent(EventName.LIMITED_STOPPED, deed.at, private=private)
                self.sink.append(session, vault, event)

        self.store.write(job)

    def withdraw_all(
        self, session: Session, vault: VaultRef, *, request_deletion: bool, now: datetime
    ) -> None:
        """Stop all sharing of a vault that is deleted; its row is locked."""
        query = (
            select(Agreement.id)
            .where(
                Agreement.bucket == vault.bucket,
                Agreement.vault_id == vault.id,
                Agreement.state.in_([AgreementState.ACTIVE, AgreementState.SUSPENDED]),
            )
            .order_by(Agreement.id)
        )
        for agreement_id in session.scalars(query).all():
            agreement = lock_agreement(session, vault.bucket, agreement_id)
            if agreement is None:
                continue
            deed = _withdrawal(vault, request_deletion=request_deletion, at=now)
            try:
                with session.begin_nested():
                    self._end(session, agreement, deed, asked_by_person=request_deletion)
            except (PDSError, FormatError) as exc:
                # A broken agreement must not keep a vault: its keys go, so it opens nothing.
                _logger.error("agreement %s cannot be ended: %s", agreement_id, type(exc).__name__)  # noqa: TRY400 - the trace may quote data

    def terminate(
        self,
        agreement_id: UUID,
        *,
        organisation_id: UUID,
        reason: TerminationReason,
        also: Callable[[Session], None] = lambda _session: None,
    ) -> AgreementState:
        """End an agreement as its organisation; repeating it changes nothing.

        Returns the state it is in after that: another end may have come first. `also` runs first
        in the same transaction.

        Raises:
            NotFoundError: the organisation has no such agreement.
        """
        deed = Deed(act=Act.TERMINATE, actor=Actor.ORGANISATION, at=self.clock.now(), reason=reason)
        return self._end_one(agreement_id, deed, organisation_id=organisation_id, also=also)

    def invalidate(
        self, agreement_id: UUID, *, actor: Actor, reason: InvalidationReason
    ) -> AgreementState:
        """Declare an agreement void for an authority or the operator; as `terminate` otherwise.

        Raises:
            NotFoundError: there is no such agreement.
            ConflictError: the actor may not.
        """
        deed = Deed(act=Act.INVALIDATE, actor=actor, at=self.clock.now(), reason=reason)
        return self._end_one(agreement_id, deed)

    def end_excluded(
        self, session: Session, organisation_id: UUID, *, now: datetime, limit: int = 100
    ) -> int:
        """End agreements of an organisation that was suspended or removed; returns how many.

        Bucket by bucket, and resumable: what is left is what still lives (P-30, CM-10). For write
        jobs; does nothing to an organisation in good standing.
        """
        standing = organisations.get(session, organisation_id).standing
        if standing == Standing.GOOD:
            return 0
        query = (
            select(Grant.bucket, Grant.agreement_id)
            .where(
                Grant.organisation_id == organisation_id,
                Grant.state.in_(LIVE_GRANT_STATES),
            )
            .order_by(Grant.state, Grant.bucket)
            .limit(limit)
        )
        reason = ExclusionReason[standing.upper()]  # ascii
        deed = Deed(act=Act.EXCLUDE, actor=Actor.OPERATOR, at=now, reason=reason)
        found = session.execute(query).all()
        return self._end_each(session, ((bucket, each, deed) for bucket, each in found))

    def end_due(self, session: Session, *, now: datetime, limit: int = 100) -> int:
        """End agreements whose time has come; returns how many. For the worker's write jobs.

        One whose access was to be had once, and was, is fulfilled; the others expire (P-10).
        """
        was_fetched = exists().where(
            Grant.bucket == Agreement.bucket,
            Grant.agreement_id == Agreement.id,
            Grant.fetched_at.is_not(None),
        )
        query = (
            select(Agreement.bucket, Agreement.id, was_fetched)
            .where(
                Agreement.state.in_([AgreementState.ACTIVE, AgreementState.SUSPENDED]),
                Agreement.expires_at <= now,
            )
            .limit(limit)
        )
        due = [
            (bucket, agreement_id, Act.FULFIL if fetched else Act.EXPIRE)
            for bucket, agreement_id, fetched in session.execute(query)
        ]
        return self._end_each(
            session,
            ((bucket, each, Deed(act=act, actor=Actor.CLOCK, at=now)) for bucket, each, act in due),
        )

    def replace(self, session: Session, bucket: int, agreement_id: UUID, *, now: datetime) -> bool:
        """End an agreement that a new one takes the place of; tell whether it still lived."""
        deed = Deed(act=Act.REPLACE, actor=Actor.INDIVIDUAL, at=now)
        previous = lock_agreement(session, bucket, agreement_id)
        return previous is not None and self._end(session, previous, deed)

    def _end_one(
        self,
        agreement_id: UUID,
        deed: Deed,
        *,
        organisation_id: UUID | None = None,
        also: Callable[[Session], None] = lambda _session: None,
    ) -> AgreementState:
        bucket = self.ids.bucket_of(agreement_id)

        def job(session: Session) -> AgreementState:
            also(session)
            agreement = lock_agreement(session, bucket, agreement_id)
            if agreement is None or organisation_id not in {None, agreement.organisation_id}:
                raise NotFoundError
            if self._end(session, agreement, deed):
                session.refresh(agreement)
            return AgreementState(agreement.state)

        return self.store.write(job)

    def _end_each(self, session: Session, due: Iterable[tuple[int, UUID, Deed]]) -> int:
        """End agreements one by one; returns how many ended."""
        ended = 0
        for bucket, agreement_id, deed in due:
            agreement = lock_agreement(session, bucket, agreement_id, skip_locked=True)
            if agreement is None:
                continue
            try:
                with session.begin_nested():
                    ended += self._end(session, agreement, deed)
            except (PDSError, FormatError) as exc:
                # One broken agreement must not keep the others from ending; it opens nothing
                # meanwhile, since every read looks at the clock and at the standing.
                _logger.error("agreement %s cannot be ended: %s", agreement_id, type(exc).__name__)  # noqa: TRY400 - the trace may quote data
        return ended

    def _end(
        self,
        session: Session,
        agreement: Agreement,
        deed: Deed,
        *,
        asked_by_person: bool = False,
    ) -> bool:
        """End an agreement whose row is locked, if it lives; tells whether it did."""
        if AgreementState(agreement.state).is_terminal:
            return False
        text = text_of(session, agreement)
        owed: list[OwedObligation] = []
        if MOVES[deed.act].owes_deletion:
            owed = self._owe(session, agreement, text, deed.at, asked_by_person=asked_by_person)
        for grant in self.acts.do(session, agreement, deed, owed=owed):
            if asked_by_person:
                self._log_deletion_request(session, grant, text.sha256, deed.at)
        # Whoever copied the database before this holds old wraps: new writes get new keys
        # (TAK-43).
        mark_rotation_due(session, agreement.bucket, agreement.vault_id, text.collections)
        return True

    def _log_deletion_request(
        self, session: Session, grant: Grant, agreement_sha256: str, at: datetime
    ) -> None:
        self.acts.log.append(
            session,
            bucket=grant.bucket,
            stream=grant_stream(grant.id),
            seq=grants.next_seq(session, grant.bucket, grant.id),
            name=EventName.ERASURE_REQUESTED,
            at=at,
            vault_id=grant.vault_id,
            grant_id=grant.id,
            client=grant.client_id,
            agreement_sha256=agreement_sha256,
        )

    def _owe(
        self,
        session: Session,
        agreement: Agreement,
        text: AgreementText,
        at: datetime,
        *,
        asked_by_person: bool,
    ) -> list[OwedObligation]:
        """Open what the organisation owes (CM-7, LEAD-4); the vault's own side has stopped by now.

        To stop, to delete, and to tell those to whom it was to pass the data on, if any.
        """
        notice = notices.find(session, text.document["notice_sha256"])
        keeps = durations.parse(notice["retention"]["after_end"])
        deleted_by = at + (min(keeps, _DELETION_WITHIN) if asked_by_person else keeps)
        due = {
            ObligationKind.STOP: min(at + _STOP_ANSWERED_WITHIN, deleted_by),
            ObligationKind.DELETE: deleted_by,
        }
        if notice["recipients"]:
            due[ObligationKind.NOTIFY] = deleted_by
        for kind, due_at in due.items():
            obligations.open_one(
                session, self.ids, agreement, kind, due_at, at, asked_by_person=asked_by_person
            )
        return [
            OwedObligation(kind=kind.value, due_at=rfc3339(due_at), state="due")
            for kind, due_at in due.items()
        ]


def _withdrawal(vault: VaultRef, *, request_deletion: bool, at: datetime) -> Deed:
    private = {"vault": str(vault.id), "deletion_requested": request_deletion}
    return Deed(
        act=Act.WITHDRAW,
        actor=Actor.INDIVIDUAL,
        at=at,
        private=seal_private(private, audit_public_key=vault.audit_public_key),
    )
