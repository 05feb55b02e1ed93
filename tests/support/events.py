"""Vaults, grants and events for tests of the log, straight into the tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import update

from consent.formats.canonical import canonical_bytes, sha256_hex
from consent.log.entries import EntryRef, EventLog, grant_stream, seal_private
from consent.models import Agreement, AgreementVersion, Grant
from pds.clock import rfc3339
from pds.events import VaultRef
from pds.ids import VaultId, new_bucket, random_uuid
from pds.models import Vault

PURPOSE = "service_provision"
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class SteppingClock:
    """A clock that stands still until it is moved."""

    instant: datetime = START

    def now(self) -> datetime:
        return self.instant

    def move(self, **step: float) -> datetime:
        self.instant += timedelta(**step)
        return self.instant


@dataclass
class Person:
    """A vault with the private half of its audit key."""

    ref: VaultRef
    audit_private_key: bytes = field(repr=False)


@dataclass
class Shared:
    """A grant of a person under an agreement."""

    grant_id: UUID
    agreement_id: UUID
    organisation_id: UUID
    connection_id: UUID
    client_id: UUID
    bucket: int
    vault_id: UUID
    agreement_sha256: str


def add_person(uow, *, at: datetime = START) -> Person:
    """Make a vault."""
    audit = X25519PrivateKey.generate()
    ref = VaultRef(new_bucket(), VaultId(random_uuid()), audit.public_key().public_bytes_raw())
    row = {"bucket": ref.bucket, "id": ref.id, "state": "active", "seq": 0, "event_seq": 0}
    uow.write(lambda session: session.add(Vault(**row, created_at=at)))
    return Person(ref, audit.private_bytes_raw())


def add_grant(
    uow,
    person: Person,
    *,
    attributes=("contact.email",),
    state="active",
    organisation_id=None,
    connection_id=None,
    at: datetime = START,
) -> Shared:
    """Make an agreement with one version, and its grant."""
    bucket, vault_id = person.ref.bucket, person.ref.id
    expires_at = at + timedelta(days=30)
    document = {
        "id": random_uuid().hex,
        "attributes": list(attributes),
        "purpose": PURPOSE,
        "expires_at": rfc3339(expires_at),
    }
    shared = Shared(
        grant_id=random_uuid(),
        agreement_id=random_uuid(),
        organisation_id=organisation_id or random_uuid(),
        connection_id=connection_id or random_uuid(),
        client_id=random_uuid(),
        bucket=bucket,
        vault_id=vault_id,
        agreement_sha256=sha256_hex(document),
    )
    common = {
        "bucket": bucket,
        "vault_id": vault_id,
        "organisation_id": shared.organisation_id,
        "client_id": shared.client_id,
        "created_at": at,
        "expires_at": expires_at,
    }

    def job(session):
        session.add(
            Agreement(
                **common,
                id=shared.agreement_id,
                connection_id=shared.connection_id,
                request_id=random_uuid(),
                template_id=random_uuid(),
                version=1,
                state="active",
            )
        )
        session.add(
            AgreementVersion(
                bucket=bucket,
                agreement_id=shared.agreement_id,
                version=1,
                sha256=shared.agreement_sha256,
                document=canonical_bytes(document),
                signature="",
                notice_sha256="0" * 64,
                created_at=at,
            )
        )
        session.add(
            Grant(
                **common,
                id=shared.grant_id,
                agreement_id=shared.agreement_id,
                agreement_version=1,
                state=state,
                epoch=1,
                seq=0,
                terms_box=b"",
                terms_sha256="0" * 64,
                fetch_day=0,
                fetches_today=0,
                reads=0,
            )
        )

    uow.write(job)
    return shared


def log_event(session, shared: Shared, events: EventLog, name: str, **more) -> EntryRef:
    """Write an event of a grant's stream, numbered under the lock of its row."""
    seq = session.execute(
        update(Grant)
        .where(Grant.bucket == shared.bucket, Grant.id == shared.grant_id)
        .values(seq=Grant.seq + 1)
        .returning(Grant.seq)
    ).scalar_one()
    more.setdefault("agreement_sha256", shared.agreement_sha256)
    more.setdefault("purpose", PURPOSE)
    more.setdefault("private", seal_private({"address": "192.0.2.7"}, grant_key=bytes(32)))
    return events.append(
        session,
        bucket=shared.bucket,
        stream=grant_stream(shared.grant_id),
        seq=seq,
        name=name,
        at=more.pop("at", START),
        vault_id=shared.vault_id,
        grant_id=shared.grant_id,
        client=shared.client_id,
        **more,
    )


def log_many(uow, shared: Shared, events: EventLog, count: int, name: str = "data.read") -> None:
    """Write `count` events of a grant's stream, a hundred to a job."""
    for start in range(0, count, 100):
        number = min(100, count - start)
        uow.write(
            lambda session, number=number: [
                log_event(session, shared, events, name, collections=("contact",), count=1)
                for _ in range(number)
            ]
        )
