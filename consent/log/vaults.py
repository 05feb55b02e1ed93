"""What a vault tells: its own event stream, and news for whoever shares its data (P-24, P-31)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, insert, select
from sqlalchemy.orm import Session

from consent.log.entries import EntryRef, EventLog, seal_private
from consent.models import Agreement, AgreementVersion, FeedPending, Grant
from consent.vocabulary import FeedEvent, GrantState
from pds.events import VaultEvent, VaultRef, vault_stream
from pds.ids import time_ordered_uuid
from pds.vaults import next_event_seq


@dataclass(frozen=True, slots=True)
class VaultLog:
    """The vault's `EventSink`."""

    events: EventLog

    def append(self, session: Session, vault: VaultRef, event: VaultEvent) -> EntryRef:
        """Write the entry of one event of the vault's own stream.

        The private part is sealed to the vault's audit key here, inside the write job: one HPKE
        encryption, about a tenth of a millisecond.
        """
        private = seal_private(event.private, audit_public_key=vault.audit_public_key)
        return self.events.append(
            session,
            bucket=vault.bucket,
            stream=vault_stream(vault.id),
            seq=next_event_seq(session, vault.bucket, vault.id),
            name=event.name,
            at=event.at,
            private=private,
            vault_id=vault.id,
            collections=event.collections,
            outcome=event.outcome,
            count=event.count,
        )

    def records_changed(
        self, session: Session, vault: VaultRef, changes: Mapping[str, frozenset[str]], at: datetime
    ) -> None:
        """Leave news for each connection whose agreed attributes changed, and no other (P-24).

        A paused one gets none: that something changed is data too. When its person resumes, the
        consent's own news sends the organisation to look.

        Args:
            session: of the write job.
            vault: whose records changed.
            changes: for each collection the names of the attributes that changed.
            at: when.
        """
        changed = {f"{name}.{attribute}" for name, found in changes.items() for attribute in found}
        news = {
            (organisation_id, connection_id)
            for organisation_id, connection_id, agreed in _shared(session, vault)
            if not changed.isdisjoint(agreed)
        }
        if news:
            session.execute(
                insert(FeedPending),
                [
                    {
                        "bucket": vault.bucket,
                        "id": time_ordered_uuid(at),
                        "organisation_id": organisation_id,
                        "connection_id": connection_id,
                        "event": FeedEvent.DATA_UPDATED.value,
                        "at": at,
                    }
                    for organisation_id, connection_id in sorted(news)
                ],
            )


def _shared(session: Session, vault: VaultRef) -> Iterator[tuple[UUID, UUID, list[str]]]:
    query = (
        select(Grant.organisation_id, Agreement.connection_id, AgreementVersion.document)
        .join(
            Agreement,
            and_(Agreement.bucket == Grant.bucket, Agreement.id == Grant.agreement_id),
        )
        .join(
            AgreementVersion,
            and_(
                AgreementVersion.bucket == Grant.bucket,
                AgreementVersion.agreement_id == Grant.agreement_id,
                AgreementVersion.version == Grant.agreement_version,
            ),
        )
        .where(
            Grant.bucket == vault.bucket,
            Grant.vault_id == vault.id,
            Grant.state == GrantState.ACTIVE.value,
        )
    )
    for organisation_id, connection_id, document in session.execute(query):
        yield organisation_id, connection_id, json.loads(document)["attributes"]
