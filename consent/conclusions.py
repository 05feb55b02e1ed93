"""What a decision to share writes down where nothing was shared before, in one transaction.

The connection, the agreement with its text, the grant with its keys, the log's event, the consent
event, the receipt, and news for the organisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from consent import correspondence, grants, organisations
from consent.acts import Deed, announce, record_act
from consent.asks import Ask
from consent.drafts import Draft
from consent.endings import EndingService
from consent.formats.receipt_facts import ReceiptKind
from consent.lifecycle import Act
from consent.log.entries import EntryRef, EventLog, grant_stream
from consent.models import Agreement, Connection, Grant, Request
from consent.receipts import ReceiptIssuer, Subject, status
from consent.vocabulary import Actor, AgreementState, EventName, FeedEvent, GrantState
from pds.events import VaultRef
from pds.ids import IdFactory
from pds.keys import OpenVault


@dataclass(frozen=True, slots=True)
class Decision:
    """To share what `draft` says, as it was asked and shown."""

    ask: Ask
    notice: Mapping[str, Any]
    act: Act
    draft: Draft


@dataclass(frozen=True, slots=True)
class ConclusionService:
    """Concludes agreements."""

    ids: IdFactory
    log: EventLog
    receipts: ReceiptIssuer
    endings: EndingService

    def conclude(
        self,
        session: Session,
        vault: VaultRef,
        open_vault: OpenVault,
        request: Request,
        decision: Decision,
        *,
        now: datetime,
    ) -> Grant:
        """Make a new agreement with its grant, and end the one whose place it takes.

        Args:
            session: of the write job; the vault's row is locked.
            vault: whose.
            open_vault: loaded in this transaction, so that no key of it is rotated away.
            request: settled.
            decision: what was decided on it.
            now: the instant of the decision.
        """
        ask, draft = decision.ask, decision.draft
        connection_id, superseded, replaced = self._connection(session, vault, ask, draft, now)
        grant, entry = self._activate(
            session, vault, request, decision, connection_id, superseded, now
        )
        wraps = draft.keys.wrap_collections(open_vault, draft.terms)
        wraps.append(
            open_vault.wrap_under_root(draft.keys.key, grants.grant_wrapped(draft.keys.grant_id))
        )
        open_vault.keys.store(session, wraps, now=now)
        self.receipts.issue(
            session,
            _subject(decision, request, grant, superseded),
            [
                status(
                    1,
                    ReceiptKind.GIVEN,
                    at=now,
                    by="individual",
                    duration=draft.document["duration"],
                )
            ],
            entry,
            bucket=vault.bucket,
            vault_id=vault.id,
            now=now,
        )
        announce(
            session,
            vault.bucket,
            FeedEvent.CONSENT_CHANGED if replaced else FeedEvent.CONSENT_GRANTED,
            organisation_id=ask.template.organisation_id,
            connection_id=connection_id,
            now=now,
        )
        correspondence.tell_of_act(
            session, vault.bucket, vault.id, ask.template.organisation_id, decision.act, now=now
        )
        return grant

    def _connection(
        self, session: Session, vault: VaultRef, ask: Ask, draft: Draft, now: datetime
    ) -> tuple[UUID, UUID | None, bool]:
        """Return the connection, the agreement before this one, and whether that one lived."""
        agreement_id = UUID(draft.terms.agreement_id)
        found = session.scalars(
            select(Connection)
            .where(
                Connection.bucket == vault.bucket,
                Connection.vault_id == vault.id,
                Connection.organisation_id == ask.template.organisation_id,
                Connection.template_id == ask.template.id,
            )
            .with_for_update()
        ).one_or_none()
        if found is None:
            connection_id = self.ids.new(vault.bucket)
            session.execute(
                insert(Connection).values(
                    bucket=vault.bucket,
                    id=connection_id,
                    vault_id=vault.id,
                    organisation_id=ask.template.organisation_id,
                    template_id=ask.template.id,
                    agreement_id=agreement_id,
                    created_at=now,
                )
            )
            return connection_id, None, False
        superseded = found.agreement_id  # before the update below changes it
        # At most one agreement of a connection lives (P-29): the new one replaces it.
        replaced = self.endings.replace(session, vault.bucket, superseded, now=now)
        session.execute(
            update(Connection)
            .where(Connection.bucket == vault.bucket, Connection.id == found.id)
            .values(agreement_id=agreement_id)
        )
        return found.id, superseded, replaced

    def _activate(  # noqa: PLR0917 - one step of `conclude`, private
        self,
        session: Session,
        vault: VaultRef,
        request: Request,
        decision: Decision,
        connection_id: UUID,
        superseded: UUID | None,
        now: datetime,
    ) -> tuple[Grant, EntryRef]:
        ask, draft = decision.ask, decision.draft
        agreement_id = UUID(draft.terms.agreement_id)
        common = {
            "bucket": vault.bucket,
            "vault_id": vault.id,
            "organisation_id": ask.template.organisation_id,
            "client_id": ask.client_id,
            "expires_at": draft.terms.expires_at,
            "created_at": now,
        }
        session.execute(
            insert(Agreement).values(
                **common,
                id=agreement_id,
                connection_id=connection_id,
                request_id=request.id,
                template_id=ask.template.id,
                version=1,
                state=AgreementState.ACTIVE.value,
                supersedes=superseded,
            )
        )
        draft.store(session, now=now)
        grant = Grant(
            **common,
            id=draft.keys.grant_id,
            agreement_id=agreement_id,
            agreement_version=1,
            state=GrantState.ACTIVE.value,
            epoch=1,
            seq=1,
            fetch_day=0,
            fetches_today=0,
            fetched_at=None,
            terms_box=draft.terms_box,
            terms_sha256=draft.terms_sha256,
            last_read_at=None,
            reads=0,
            # Held by the decision (`organisations.hold`), so this is what it will be.
            key_generation=organisations.get(session, ask.template.organisation_id).key_generation,
        )
        session.add(grant)
        session.flush()  # the log entry and the wraps refer to it
        entry = self.log.append(
            session,
            bucket=vault.bucket,
            stream=grant_stream(grant.id),
            seq=1,
            name=EventName.CONSENT_GIVEN,
            at=now,
            private=draft.private,
            vault_id=vault.id,
            grant_id=grant.id,
            client=ask.client_id,
            collections=draft.terms.collections,
            purpose=draft.terms.purpose,
            agreement_sha256=draft.sha256,
        )
        deed = Deed(act=decision.act, actor=Actor.INDIVIDUAL, at=now)
        record_act(session, grant, deed, after=None, entry=entry)
        return grant, entry


def _subject(
    decision: Decision, request: Request, grant: Grant, superseded: UUID | None
) -> Subject:
    draft = decision.draft
    return Subject(
        document=draft.document,
        notice=decision.notice,
        notice_sha256=draft.document["notice_sha256"],
        shown_at=request.seen_at,
        record_id=grant.agreement_id,
        request_id=request.id,
        agreement_id=grant.agreement_id,
        agreement_sha256=draft.sha256,
        grant_ids=[grant.id],
        supersedes=superseded,
    )
