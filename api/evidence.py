"""Evidence as it is taken: by auditors, all of it and logged; by a person, their own entries.

An auditor's has public parts only: no name, no value, no vault is in it (AUD-1). A person's proof
opens their private parts too, with their own keys.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.wiring import Wiring
from consent import auditors, past
from consent import obligations as owed
from consent.formats.bundle import Hints
from consent.formats.canonical import JSONValue
from consent.log import evidence, reader
from consent.log.entries import EntryRef
from consent.log.evidence import DEPLOYMENT, Stream
from consent.log.opening import Opener
from consent.models import Event, Obligation, Receipt
from consent.past import PastAgreement
from consent.vocabulary import EventName
from pds.clock import rfc3339
from pds.errors import NotFoundError, VaultLockedError
from pds.sessions import Visitor


def export(services: Wiring, access: str) -> bytes | None:
    """Return the evidence as `pds-bundle/1`; None if `access` is no living auditor's.

    Raises:
        NotFoundError: nothing is signed yet.
    """
    now = services.clock.now()
    with services.uow.read() as session:
        if auditors.find(session, access, now=now) is None:
            return None
    services.uow.write(
        lambda session: services.log.append_deployment(session, EventName.EVIDENCE_EXPORTED, at=now)
    )
    with services.uow.read() as session:
        bundle = evidence.build_bundle(session, _all_streams(session), hints=_hints(services))
    return bundle.to_bytes()


def state(
    services: Wiring, access: str, *, at: datetime, after: UUID | None, limit: int
) -> dict[str, JSONValue] | None:
    """Return a page of what was permitted at an instant; None if `access` is no living auditor's.

    By agreement, in no order that means anything: neither person nor value is in it.
    """
    now = services.clock.now()
    with services.uow.read() as session:
        if auditors.find(session, access, now=now) is None:
            return None
        key = None if after is None else (services.ids.bucket_of(after), after)
        found = past.of_deployment(session, at=at, after=key, limit=limit + 1)
    services.uow.write(
        lambda session: services.log.append_deployment(session, EventName.EVIDENCE_EXPORTED, at=now)
    )
    page = found[:limit]
    return {
        "at": rfc3339(at),
        "agreements": [_past(each) for each in page],
        "after": str(page[-1].agreement_id) if len(found) > limit else None,
    }


def obligations(
    services: Wiring, access: str, *, state: str, after: UUID | None, limit: int
) -> dict[str, JSONValue] | None:
    """Return a page of what organisations owe; None if `access` is no living auditor's (CM-7)."""
    now = services.clock.now()
    with services.uow.read() as session:
        if auditors.find(session, access, now=now) is None:
            return None
        key = None if after is None else (services.ids.bucket_of(after), after)
        found = owed.of_deployment(session, state=state, now=now, after=key, limit=limit + 1)
    services.uow.write(
        lambda session: services.log.append_deployment(session, EventName.EVIDENCE_EXPORTED, at=now)
    )
    page = found[:limit]
    return {
        "obligations": [_owed(each, now) for each in page],
        "after": str(page[-1].id) if len(found) > limit else None,
    }


def _owed(each: Obligation, now: datetime) -> dict[str, JSONValue]:
    return {
        "id": str(each.id),
        "kind": each.kind,
        "state": owed.shown_state(each, now),
        "organisation": str(each.organisation_id),
        "agreement": str(each.agreement_id),
        "asked_by_person": each.asked_by_person,
        "opened_at": rfc3339(each.created_at),
        "due_at": rfc3339(each.due_at),
        "answered_at": rfc3339(each.answered_at) if each.answered_at else None,
    }


def _past(each: PastAgreement) -> dict[str, JSONValue]:
    document: Any = each.permission.document
    reason = each.permission.reason
    return {
        "agreement": {
            "id": str(each.agreement_id),
            "version": document["version"],
            "sha256": each.sha256,
        },
        "client": document["client"],
        "organisation": document["organisation"],
        "purpose": document["purpose"],
        "actions": document["actions"],
        "attributes": document["attributes"],
        "permitted": reason is None,
        "reason": reason.value if reason else None,
    }


def proof_for_owner(services: Wiring, visitor: Visitor, event_id: UUID) -> bytes:
    """Return the proof of one entry of a person's own, with private parts, as `pds-bundle/1`.

    Raises:
        NotFoundError: they have no such entry, or it can be proved no more or not yet.
        VaultLockedError: they are signed in, not unlocked.
    """
    if visitor.open_vault is None:
        raise VaultLockedError
    vault = visitor.vault
    with services.uow.read() as session:
        event = reader.of_vault(session, vault.bucket, vault.id, event_id)
        bundle = evidence.build_bundle(
            session,
            [evidence.stream_up_to(vault.bucket, event.ref)],
            hints=_hints(services),
            open_private=Opener(visitor.open_vault),
        )
    if all(entry.event.pub.seq != event.ref.seq for entry in bundle.entries):
        raise NotFoundError
    return bundle.to_bytes()


def proof_of_receipt(services: Wiring, visitor: Visitor, receipt: Receipt) -> str | None:
    """Return the tlog-proof that stands beside a person's receipt; None while it waits.

    Raises:
        NotFoundError: nothing is signed yet, or the entry was erased.
    """
    reference = EntryRef(receipt.stream, receipt.stream_seq)
    with services.uow.read() as session:
        proof = reader.prove(session, visitor.vault.bucket, reference)
    return None if proof is None else proof.to_text()


def _hints(services: Wiring) -> Hints:
    # Keys that travel along; a verifier trusts its own (P-34).
    public = services.receipts.key.public_key().public_bytes_raw()
    return Hints(
        vkeys=(services.log_signer.verifier.to_text(),),
        receipt_keys={services.receipts.kid: public},
    )


def _all_streams(session: Session) -> list[Stream]:
    query = select(Event.bucket, Event.stream).distinct()
    return [Stream(bucket, name) for bucket, name in session.execute(query)] or [DEPLOYMENT]
