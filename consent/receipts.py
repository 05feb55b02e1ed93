"""Receipts: given to the person at every decision and end, signed, never changed (CUX-24)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import and_, func, insert, or_, select
from sqlalchemy.orm import Session

from consent.formats import canonical, receipt
from consent.formats.encoding import b64u
from consent.formats.receipt_facts import (
    Access,
    AgreementCitation,
    LogCitation,
    Notice,
    Obligation,
    Party,
    PersonalData,
    Process,
    ReceiptFacts,
    ReceiptKind,
    Status,
)
from consent.log.entries import EntryRef
from consent.models import ConsentEvent, Receipt
from consent.vocabulary import AccessMode, Actor, LawfulBasis, Purpose
from pds.catalogue import CATALOGUE
from pds.clock import rfc3339
from pds.errors import NotFoundError
from pds.ids import IdFactory

_METHODS = {
    Actor.INDIVIDUAL: "web-form",
    Actor.ORGANISATION: "api",
    Actor.OPERATOR: "command",
    Actor.AUTHORITY: "command",
    Actor.CLOCK: "automatic",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a receipt is about: an agreement document or, when refused, what was asked."""

    document: Mapping[str, Any]  # an agreement's, or the shape of one for a refusal
    notice: Mapping[str, Any]
    notice_sha256: str
    shown_at: datetime
    record_id: UUID  # the consent record: the agreement's id, or the refused request's
    request_id: UUID
    agreement_id: UUID | None
    agreement_sha256: str | None
    grant_ids: Sequence[UUID] = ()
    supersedes: UUID | None = None


@dataclass(frozen=True, slots=True)
class ReceiptIssuer:
    """Builds, signs and stores receipts under the deployment's receipt key."""

    ids: IdFactory
    issuer: str  # public base URL
    origin: str  # of the log
    key: Ed25519PrivateKey = field(repr=False)

    @property
    def kid(self) -> str:
        """The key id: the issuer's host is the name, so that keys of two servers differ."""
        public = self.key.public_key().public_bytes_raw()
        return f"receipt-{canonical.sha256_hex(public.hex())[:16]}"

    def jwks(self) -> bytes:
        """Return the key that signs receipts, as a JWK set (RFC 7517, RFC 8037)."""
        public = b64u(self.key.public_key().public_bytes_raw())
        jwk = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.kid, "x": public}
        return canonical.canonical_bytes({"keys": [dict(jwk)]})

    def issue(
        self,
        session: Session,
        subject: Subject,
        statuses: Sequence[Status],
        entry: EntryRef,
        *,
        bucket: int,
        vault_id: UUID,
        now: datetime,
        obligations: Sequence[Obligation] = (),
    ) -> UUID:
        """Store a receipt in the transaction of the event it cites; returns its id."""
        receipt_id = self.ids.new(bucket)
        facts = self._facts(receipt_id, subject, statuses, entry, now, obligations)
        signed = receipt.sign(receipt.build(facts), self.key, self.kid)
        session.execute(
            insert(Receipt).values(
                bucket=bucket,
                id=receipt_id,
                vault_id=vault_id,
                request_id=subject.request_id,
                agreement_id=subject.agreement_id,
                kind=statuses[-1].kind.value,
                document=canonical.canonical_bytes(signed),
                stream=entry.stream,
                stream_seq=entry.seq,
                created_at=now,
            )
        )
        return receipt_id

    def _facts(  # noqa: PLR0917 - one thought, private
        self,
        receipt_id: UUID,
        subject: Subject,
        statuses: Sequence[Status],
        entry: EntryRef,
        now: datetime,
        obligations: Sequence[Obligation],
    ) -> ReceiptFacts:
        document, notice = subject.document, subject.notice
        return ReceiptFacts(
            receipt_id=str(receipt_id),
            record_id=str(subject.record_id),
            created_at=rfc3339(now),
            publisher=self.issuer,
            data_subject=str(document["subject"]),
            notice=Notice(
                url=f"{self.issuer}/notices/{subject.notice_sha256}",
                language=notice["locale"],
                shown_at=rfc3339(subject.shown_at),
                sha256=subject.notice_sha256,
            ),
            controller=Party(
                id=notice["organisation"]["id"],
                name=notice["organisation"]["name"],
                address=notice["organisation"]["address"],
                contact=notice["organisation"]["contact"],
            ),
            jurisdiction=notice["jurisdiction"],
            processes=(_process(document, notice),),
            statuses=tuple(statuses),
            agreement=AgreementCitation(
                id=str(subject.agreement_id) if subject.agreement_id else None,
                version=int(document["version"]) if subject.agreement_id else None,
                sha256=subject.agreement_sha256,
                template_sha256=notice["template"]["sha256"],
                supersedes=str(subject.supersedes) if subject.supersedes else None,
            ),
            withdraw_at=f"{self.issuer}/connections",
            rights=(f"{self.issuer}/connections",),
            log=LogCitation(origin=self.origin, stream=entry.stream, seq=entry.seq),
            grant_ids=tuple(str(one) for one in subject.grant_ids),
            denied_attributes=tuple(document["denied"]),
            obligations=tuple(obligations),
        )


def history(session: Session, bucket: int, agreement_id: UUID) -> list[ConsentEvent]:
    """Return the legal acts about an agreement, in order (CM-15)."""
    query = (
        select(ConsentEvent)
        .where(ConsentEvent.bucket == bucket, ConsentEvent.agreement_id == agreement_id)
        .order_by(ConsentEvent.seq)
    )
    return list(session.scalars(query))


def status(
    seq: int,
    kind: ReceiptKind,
    *,
    at: datetime,
    by: str,
    duration: str | None,
    is_paused: bool = False,
) -> Status:
    """Return one consent status of a receipt's history."""
    return Status(
        seq=seq,
        kind=kind,
        at=rfc3339(at),
        indicated_by="dpv:DataSubject" if by == Actor.INDIVIDUAL else by,
        method=_METHODS[Actor(by)],
        duration=duration,
        is_paused=is_paused,
    )


def of_vault(
    session: Session,
    bucket: int,
    vault_id: UUID,
    *,
    limit: int = 200,
    after: Receipt | None = None,
) -> list[Receipt]:
    """Return a person's receipts, newest first; `after` is where the last page ended."""
    query = (
        select(Receipt)
        .where(Receipt.bucket == bucket, Receipt.vault_id == vault_id)
        .order_by(Receipt.created_at.desc(), Receipt.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(
            or_(
                Receipt.created_at < after.created_at,
                and_(Receipt.created_at == after.created_at, Receipt.id > after.id),
            )
        )
    return list(session.scalars(query))


def count(session: Session, bucket: int, vault_id: UUID) -> int:
    """Return how many receipts a person has."""
    query = select(func.count()).where(Receipt.bucket == bucket, Receipt.vault_id == vault_id)
    return session.execute(query).scalar_one()


def of_agreement(session: Session, bucket: int, agreement_id: UUID) -> list[Receipt]:
    """Return the receipts of one agreement, oldest first."""
    query = (
        select(Receipt)
        .where(Receipt.bucket == bucket, Receipt.agreement_id == agreement_id)
        .order_by(Receipt.created_at, Receipt.stream_seq)
    )
    return list(session.scalars(query))


def get(session: Session, bucket: int, vault_id: UUID, receipt_id: UUID) -> Receipt:
    """Return one receipt of a vault.

    Raises:
        NotFoundError: the vault has none of that id.
    """
    found = session.get(Receipt, (bucket, receipt_id))
    if found is None or found.vault_id != vault_id:
        raise NotFoundError
    return found


def _process(document: Mapping[str, Any], notice: Mapping[str, Any]) -> Process:
    required = {item["name"] for item in notice["required"]}
    return Process(
        purpose=Purpose(notice["purpose"]).dpv_term,
        purpose_text=notice["purpose_text"],
        legal_basis=LawfulBasis(notice["lawful_basis"]).dpv_term,
        personal_data=tuple(
            PersonalData(
                kind=CATALOGUE.attribute(name).dpv_type,
                attribute=name,
                required=name in required,
                transform=_transform(document, name),
            )
            for name in document["attributes"]
        ),
        recipients=(notice["organisation"]["name"], *notice["recipients"]),
        storage_location=notice["storage_location"],
        storage_duration=notice["retention"]["after_end"],
        access=Access(
            mode="store",
            fetch="onetime" if notice["access"]["mode"] == AccessMode.ONCE else "periodic",
            frequency=f"P1D/{document['fetches_per_day']}",
            data_from=min(notice["data_from"].values(), default=None),
        ),
    )


def _transform(document: Mapping[str, Any], name: str) -> str:
    coarsening = document["coarsenings"].get(name)
    return f"coarsen:{coarsening}" if coarsening else "none"
