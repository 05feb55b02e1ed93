"""What every act on a standing agreement leaves behind, in one transaction (CM-9, CM-12).

The agreement's new state and that of its grants, the log's event, the consent event, a receipt, and
news for the organisation. Which states an act leads from and to stands in `consent.lifecycle`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from consent import correspondence, grants, notices
from consent.formats import canonical
from consent.formats.receipt_facts import Obligation as OwedObligation
from consent.formats.receipt_facts import ReceiptKind, Status
from consent.lifecycle import MOVES, Act, follow
from consent.log.entries import EntryRef, EventLog, SealedPrivate, grant_stream
from consent.models import (
    Agreement,
    AgreementVersion,
    ConsentEvent,
    FeedPending,
    Grant,
    Request,
)
from consent.receipts import ReceiptIssuer, Subject, history, status
from consent.vocabulary import Actor, AgreementState, ConsentStatus, FeedEvent, GrantState
from pds.clock import from_rfc3339
from pds.errors import ConflictError
from pds.ids import time_ordered_uuid
from pds.instance import InstanceKeys
from pds.keys import VaultKeys

_GIVE_TERMS = frozenset({ReceiptKind.GIVEN, ReceiptKind.CHANGED, ReceiptKind.RENEWED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """An act as somebody does it: by whom, when, why, and what only the owner may read of it."""

    act: Act
    actor: Actor
    at: datetime
    reason: str | None = None
    private: SealedPrivate | None = None


@dataclass(frozen=True, slots=True)
class AgreementText:
    """The signed text of an agreement's present version."""

    sha256: str
    notice_sha256: str
    document: dict[str, Any]

    @classmethod
    def of(cls, version: AgreementVersion) -> AgreementText:
        """Return the text that a row keeps."""
        document: Any = canonical.parse(version.document)
        return cls(version.sha256, version.notice_sha256, document)

    @property
    def collections(self) -> list[str]:
        """The collections that the agreed attributes stand in, sorted."""
        return sorted({name.partition(".")[0] for name in self.document["attributes"]})


@dataclass(frozen=True, slots=True)
class ActService:
    """Does acts on agreements whose rows are locked."""

    keys: InstanceKeys
    log: EventLog
    receipts: ReceiptIssuer

    def do(
        self,
        session: Session,
        agreement: Agreement,
        deed: Deed,
        *,
        owed: Sequence[OwedObligation] = (),
    ) -> list[Grant]:
        """Move an agreement and all its live grants; returns those grants.

        Args:
            session: of the write job.
            agreement: its row is locked.
            deed: what is done.
            owed: what the receipt says that the organisation owes.

        Raises:
            ConflictError: the act is not this actor's, or leads nowhere from here.
        """
        last = last_act(session, agreement.bucket, agreement.id)
        if last is not None and last.at > deed.at:
            # A history never goes back in time, even where a clock did.
            deed = replace(deed, at=last.at)
        move = MOVES[deed.act].is_by(deed.actor)
        target = follow(move.agreement, AgreementState(agreement.state))
        values: dict[str, Any] = {"state": target.value}
        if target.is_terminal:
            values |= {"ended_at": deed.at, "ended_by": deed.actor.value}
        session.execute(
            update(Agreement)
            .where(Agreement.bucket == agreement.bucket, Agreement.id == agreement.id)
            .values(**values)
        )
        text = text_of(session, agreement)
        found = grants.live_of_agreement(session, agreement.bucket, agreement.id)
        vault = VaultKeys(self.keys.deployment, agreement.bucket, agreement.vault_id)
        entries = []
        for grant in found:
            grants.move(session, vault, grant, follow(move.grant, GrantState(grant.state)))
            entries.append(self._note(session, grant, deed, text))
        if entries:
            record_act(session, found[0], deed, after=last, entry=entries[0])
            self._receipt(session, agreement, text, found, entries[0], owed, deed.at)
        if move.news is not None:
            announce(
                session,
                agreement.bucket,
                move.news,
                organisation_id=agreement.organisation_id,
                connection_id=agreement.connection_id,
                now=deed.at,
            )
        correspondence.tell_of_act(
            session,
            agreement.bucket,
            agreement.vault_id,
            agreement.organisation_id,
            deed.act,
            now=deed.at,
        )
        return found

    def _note(self, session: Session, grant: Grant, deed: Deed, text: AgreementText) -> EntryRef:
        return self.log.append(
            session,
            bucket=grant.bucket,
            stream=grant_stream(grant.id),
            seq=grants.next_seq(session, grant.bucket, grant.id),
            name=MOVES[deed.act].event,
            at=deed.at,
            private=deed.private,
            vault_id=grant.vault_id,
            grant_id=grant.id,
            client=grant.client_id,
            collections=text.collections,
            purpose=text.document["purpose"],
            agreement_sha256=text.sha256,
            outcome=deed.reason or "ok",
        )

    def _receipt(  # noqa: PLR0917 - one step of `do`, private
        self,
        session: Session,
        agreement: Agreement,
        text: AgreementText,
        found: Sequence[Grant],
        entry: EntryRef,
        owed: Sequence[OwedObligation],
        now: datetime,
    ) -> None:
        request = session.get(Request, (agreement.bucket, agreement.request_id))
        subject = Subject(
            document=text.document,
            notice=notices.find(session, text.notice_sha256),
            notice_sha256=text.notice_sha256,
            shown_at=request.seen_at if request else from_rfc3339(text.document["starts_at"]),
            record_id=agreement.id,
            request_id=agreement.request_id,
            agreement_id=agreement.id,
            agreement_sha256=text.sha256,
            grant_ids=[grant.id for grant in found],
            supersedes=agreement.supersedes,
        )
        self.receipts.issue(
            session,
            subject,
            _statuses(session, agreement),
            entry,
            bucket=agreement.bucket,
            vault_id=agreement.vault_id,
            now=now,
            obligations=owed,
        )


def lock_agreement(
    session: Session, bucket: int, agreement_id: UUID, *, skip_locked: bool = False
) -> Agreement | None:
    """Lock an agreement's row and read it afresh; None if there is none.

    Whoever takes several in one transaction skips what another holds, so that two of them, who
    take them in different orders, never wait for each other.
    """
    query = (
        select(Agreement)
        .where(Agreement.bucket == bucket, Agreement.id == agreement_id)
        .with_for_update(skip_locked=skip_locked)
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).one_or_none()


def text_of(session: Session, agreement: Agreement) -> AgreementText:
    """Return the text of an agreement's present version.

    Raises:
        ConflictError: it has none.
    """
    found = session.get(AgreementVersion, (agreement.bucket, agreement.id, agreement.version))
    if found is None:
        raise ConflictError("an agreement without its text")
    return AgreementText.of(found)


def last_act(session: Session, bucket: int, agreement_id: UUID) -> ConsentEvent | None:
    """Return the latest consent event of an agreement (CM-15); None: none yet."""
    query = (
        select(ConsentEvent)
        .where(ConsentEvent.bucket == bucket, ConsentEvent.agreement_id == agreement_id)
        .order_by(ConsentEvent.seq.desc())
        .limit(1)
    )
    return session.scalars(query).one_or_none()


def record_act(
    session: Session, grant: Grant, deed: Deed, *, after: ConsentEvent | None, entry: EntryRef
) -> None:
    """Append the consent event that comes after another; the grant's row is locked (CM-15).

    Raises:
        ConflictError: the consent's latest status does not lead there (CM-13).
    """
    reached = follow(MOVES[deed.act].consent, ConsentStatus(after.status) if after else None)
    session.execute(
        insert(ConsentEvent).values(
            bucket=grant.bucket,
            agreement_id=grant.agreement_id,
            seq=after.seq + 1 if after else 1,
            act=deed.act.value,
            status=reached.value,
            agreement_version=grant.agreement_version,
            at=deed.at,
            actor=deed.actor.value,
            reason=deed.reason,
            stream=entry.stream,
            stream_seq=entry.seq,
        )
    )


def announce(
    session: Session,
    bucket: int,
    event: FeedEvent,
    *,
    organisation_id: UUID,
    connection_id: UUID,
    now: datetime,
    obligation_id: UUID | None = None,
) -> None:
    """Leave news for the organisation's feed, and so for its webhooks (P-24, D17)."""
    session.execute(
        insert(FeedPending).values(
            bucket=bucket,
            id=time_ordered_uuid(now),
            organisation_id=organisation_id,
            connection_id=connection_id,
            event=event.value,
            obligation_id=obligation_id,
            at=now,
        )
    )


def _statuses(session: Session, agreement: Agreement) -> list[Status]:
    query = select(AgreementVersion.version, AgreementVersion.document).where(
        AgreementVersion.bucket == agreement.bucket, AgreementVersion.agreement_id == agreement.id
    )
    documents: dict[int, Any] = {
        version: canonical.parse(document) for version, document in session.execute(query)
    }
    found = []
    for event in history(session, agreement.bucket, agreement.id):
        kind = ReceiptKind(MOVES[Act(event.act)].event.removeprefix("consent."))
        document = documents[event.agreement_version]
        found.append(
            status(
                event.seq,
                kind,
                at=event.at,
                by=event.actor,
                duration=document["duration"] if kind in _GIVE_TERMS else None,
                is_paused=event.status == ConsentStatus.PAUSED,
            )
        )
    return found
