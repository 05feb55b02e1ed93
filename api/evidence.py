"""Evidence as it is taken: by auditors, within their engagement and logged; by a person, their own.

An auditor's has public parts only: no name, no value, no vault is in it (AUD-1). A person's proof
opens their private parts too, with their own keys.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from api.wiring import Wiring
from consent import obligations as owed
from consent import past
from consent.auditing import streams
from consent.auditing.engagements import Scope, Seat
from consent.formats.bundle import Hints
from consent.formats.canonical import JSONValue
from consent.log import evidence, reader
from consent.log.entries import EntryRef
from consent.log.opening import Opener
from consent.models import Obligation, Receipt
from consent.past import PastAgreement
from consent.vocabulary import EventName
from pds.clock import rfc3339
from pds.errors import NotFoundError, VaultLockedError
from pds.sessions import Visitor


def export(services: Wiring, seat: Seat) -> bytes:
    """Return the evidence of an engagement as `pds-bundle/1`.

    Raises:
        NotFoundError: nothing is signed yet.
    """
    _log(services)
    with services.uow.read() as session:
        bundle = evidence.build_bundle(
            session,
            streams.of_scope(session, seat.scope),
            until=seat.scope.until,
            hints=hints(services),
        )
    return bundle.to_bytes()


def state(
    services: Wiring, seat: Seat, *, at: datetime, after: UUID | None, limit: int
) -> dict[str, JSONValue]:
    """Return a page of what was permitted at an instant of the engagement's period (AUD-5).

    By agreement, in no order that means anything: neither name nor value is in it.
    """
    scope = seat.scope
    with services.uow.read() as session:
        found = past.of_deployment(
            session,
            at=at,
            among=scope.organisations,
            after=_key(services, after),
            limit=limit + 1,
        )
    _log(services)
    page = found[:limit]
    return {
        "at": rfc3339(at),
        "agreements": [_past(each, scope) for each in page],
        "after": str(page[-1].agreement_id) if len(found) > limit else None,
    }


def obligations(
    services: Wiring, seat: Seat, *, state: str, after: UUID | None, limit: int
) -> dict[str, JSONValue]:
    """Return a page of what organisations owe or answered in the engagement's period (CM-7)."""
    now = services.clock.now()
    with services.uow.read() as session:
        found = owed.of_deployment(
            session,
            state=state,
            now=now,
            among=seat.scope.organisations,
            period=(seat.scope.since, seat.scope.until),
            after=_key(services, after),
            limit=limit + 1,
        )
    _log(services)
    page = found[:limit]
    return {
        "obligations": [_owed(each, seat.scope, now) for each in page],
        "after": str(page[-1].id) if len(found) > limit else None,
    }


def _key(services: Wiring, after: UUID | None) -> tuple[int, UUID] | None:
    return None if after is None else (services.ids.bucket_of(after), after)


def _log(services: Wiring) -> None:
    now = services.clock.now()

    def job(session: Session) -> None:
        services.log.append_deployment(session, EventName.EVIDENCE_EXPORTED, at=now)

    services.uow.write(job)


def _owed(each: Obligation, scope: Scope, now: datetime) -> dict[str, JSONValue]:
    return {
        "id": str(each.id),
        "kind": each.kind,
        "state": owed.shown_state(each, now),
        "person": scope.pseudonyms.of(each.bucket, each.vault_id),
        "organisation": str(each.organisation_id),
        "agreement": str(each.agreement_id),
        "asked_by_person": each.asked_by_person,
        "opened_at": rfc3339(each.created_at),
        "due_at": rfc3339(each.due_at),
        "answered_at": rfc3339(each.answered_at) if each.answered_at else None,
    }


def _past(each: PastAgreement, scope: Scope) -> dict[str, JSONValue]:
    document: Any = each.permission.document
    reason = each.permission.reason
    return {
        "agreement": {
            "id": str(each.agreement_id),
            "version": document["version"],
            "sha256": each.sha256,
        },
        "person": scope.pseudonyms.of(each.bucket, each.vault_id),
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
            hints=hints(services),
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


def hints(services: Wiring) -> Hints:
    """Return the keys that travel along; a verifier trusts its own (P-34)."""
    public = services.receipts.key.public_key().public_bytes_raw()
    return Hints(
        vkeys=(services.log_signer.verifier.to_text(),),
        receipt_keys={services.receipts.kid: public},
    )
