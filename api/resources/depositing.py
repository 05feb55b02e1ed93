"""Taking in a document for a locked vault (P-18): checked, sealed, logged, then acknowledged."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from api.resources.authentication import Presented
from api.resources.reading import ChangedError, Reader
from api.wiring import Wiring
from consent import policy
from consent.log.entries import EntryRef, grant_stream, seal_private
from consent.models import Grant
from consent.organisations import serves_grant
from consent.vocabulary import Action, DenialReason, EventName, GrantState
from pds import deposits
from pds.catalogue import CATALOGUE
from pds.deposits import Depositor
from pds.errors import Issue, KeyUnavailableError, ValidationFailedError


def deposit(
    services: Wiring, presented: Presented, collection: str, document_id: str, data: dict[str, Any]
) -> EntryRef:
    """Seal a document to a collection's public key and store it under its log entry.

    Raises:
        DeniedError: the agreement does not allow writing there; logged.
        NotFoundError: there is no such collection.
        ValidationFailedError: the document does not fit, or has attributes that are not agreed.
        ConflictError: the document id is in use in another collection.
    """
    now, grant = services.clock.now(), presented.grant
    CATALOGUE.collection(collection)
    opened = grant.opened
    reason = policy.decide(
        grant.terms,
        grant.facts.with_counted_fetch(),
        action=Action.WRITE,
        collections=[collection],
        now=now,
    )
    if reason is not None or opened is None:
        raise Reader(services).deny(presented, reason or DenialReason.CHANGED)
    _refuse_unagreed(opened.terms, collection, data)
    depositor = Depositor(
        services.keys.deployment,
        grant.bucket,
        grant.vault_id,
        grant.grant_id,
        grant.client_id,
        opened.keys.deposit_key,
        opened.inbound_keys,
    )
    try:
        with services.uow.read() as session:
            sealed = deposits.prepare(session, depositor, collection, document_id, data)
    except KeyUnavailableError as exc:
        # The owner rotates keys at this moment: the next request finds the new one.
        raise Reader(services).deny(presented, DenialReason.CHANGED) from exc
    private = seal_private(
        {"vault": str(grant.vault_id), "document": document_id}, grant_key=opened.keys.audit_key
    )

    def job(session: Session) -> EntryRef:
        presented.use_proof(session)
        seq = session.execute(
            update(Grant)
            .where(
                Grant.bucket == grant.bucket,
                Grant.id == grant.grant_id,
                Grant.state == GrantState.ACTIVE.value,
                Grant.epoch == grant.epoch,
                Grant.expires_at > now,
                serves_grant(grant.organisation_id),
            )
            .values(seq=Grant.seq + 1)
            .returning(Grant.seq)
            .execution_options(synchronize_session=False)
        ).scalar_one_or_none()
        if seq is None:
            raise ChangedError
        sealed.store(session, now)
        return services.log.append(
            session,
            bucket=grant.bucket,
            stream=grant_stream(grant.grant_id),
            seq=seq,
            name=EventName.DATA_DEPOSITED,
            at=now,
            private=private,
            vault_id=grant.vault_id,
            grant_id=grant.grant_id,
            client=grant.client_id,
            collections=[collection],
            purpose=opened.terms.purpose,
            agreement_sha256=opened.terms.agreement_sha256,
            count=1,
        )

    try:
        return services.uow.write(job)
    except ChangedError as exc:
        raise Reader(services).deny(presented, DenialReason.CHANGED) from exc


def _refuse_unagreed(terms: policy.Terms, collection: str, data: dict[str, Any]) -> None:
    companions = CATALOGUE.collection(collection).companions
    issues = [
        Issue(name, "not_agreed", "the agreement does not cover this attribute")
        for name in data
        if f"{collection}.{name}" not in terms.attributes and name not in companions
    ]
    if issues:
        raise ValidationFailedError(issues)
