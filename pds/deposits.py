"""Documents that organisations leave in a locked vault, and how they become records (P-18).

A deposit makes or replaces only its own client's document. It is in no feed until the owner's next
unlock absorbs it: opened, checked against the catalogue, re-sealed under the collection key and
given a sequence number. What fails is quarantined, logged and shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from pds.catalogue import CATALOGUE
from pds.clock import Clock
from pds.crypto.deposit import open_deposit, seal_deposit
from pds.errors import (
    ConflictError,
    DecryptionError,
    KeyUnavailableError,
    ValidationFailedError,
)
from pds.events import EventSink, VaultEvent, VaultRef
from pds.ids import RecordId, new_record_id
from pds.keys import OpenVault
from pds.models import CollectionKey, Deposit, Record
from pds.record_boxes import Author, Data
from pds.records import Draft, RecordService
from pds.store import Store

# The key that a grant derives from its grant key for its deposits; None: the grant is unknown.
DepositKey = Callable[[UUID], bytes | None]


@dataclass(frozen=True, slots=True)
class Depositor:
    """Under which grant, as which client, and with which keys a deposit is made.

    `public_keys`, by collection and version, come from under the grant key, never from a plain row.
    """

    deployment: bytes
    bucket: int
    vault_id: UUID
    grant_id: UUID
    client_id: UUID
    deposit_key: bytes = field(repr=False)
    public_keys: Mapping[tuple[str, int], bytes] = field(default_factory=dict)

    def fields(self, collection: str, document_id: str) -> tuple[bytes, ...]:
        """Return what a deposit is bound to."""
        return (
            b"deposit",
            self.deployment,
            self.vault_id.bytes,
            self.grant_id.bytes,
            self.client_id.bytes,
            collection.encode(),
            document_id.encode(),
        )


@dataclass(frozen=True, slots=True)
class SealedDeposit:
    """A deposit ready to be stored."""

    depositor: Depositor
    collection: str
    document_id: str
    key_version: int
    box: bytes

    def store(self, session: Session, now: datetime) -> None:
        """Insert it, or replace the same client's earlier document of that id."""
        depositor = self.depositor
        values = {
            "bucket": depositor.bucket,
            "vault_id": depositor.vault_id,
            "grant_id": depositor.grant_id,
            "document_id": self.document_id,
            "client_id": depositor.client_id,
            "collection": self.collection,
            "key_version": self.key_version,
            "box": self.box,
            "record_id": new_record_id(),
            "state": "pending",
            "reason": None,
            "deposited_at": now,
        }
        kept = ("bucket", "vault_id", "grant_id", "document_id", "record_id")
        replaced = {name: value for name, value in values.items() if name not in kept}
        dialect = session.get_bind().dialect.name
        insert = sqlite_insert if dialect == "sqlite" else postgresql_insert
        statement = (
            insert(Deposit)
            .values(**values)
            .on_conflict_do_update(
                index_elements=["bucket", "vault_id", "grant_id", "document_id"],
                set_=replaced,
                where=Deposit.collection == self.collection,
            )
        )
        if session.execute(statement.returning(Deposit.state)).one_or_none() is None:
            raise ConflictError("this document id belongs to another collection")


def prepare(
    session: Session, depositor: Depositor, collection: str, document_id: str, data: Data
) -> SealedDeposit:
    """Validate a document and seal it to the collection's present public key.

    Raises:
        NotFoundError: there is no such collection.
        ValidationFailedError: the document does not fit the collection.
        KeyUnavailableError: the grant holds no public key of the collection's present version.
    """
    valid = CATALOGUE.collection(collection).validate(data)
    version = session.execute(
        select(CollectionKey.version).where(
            CollectionKey.bucket == depositor.bucket,
            CollectionKey.vault_id == depositor.vault_id,
            CollectionKey.collection == collection,
            CollectionKey.is_current.is_(True),
        )
    ).scalar_one_or_none()
    public_key = depositor.public_keys.get((collection, version or 0))
    if version is None or public_key is None:
        raise KeyUnavailableError
    box = seal_deposit(
        public_key,
        orjson.dumps(valid),
        key_version=version,
        deposit_key=depositor.deposit_key,
        fields=depositor.fields(collection, document_id),
    )
    return SealedDeposit(depositor, collection, document_id, version, box)


class _SettledError(Exception):
    """The deposit is no longer pending, or no longer this document."""


@dataclass(frozen=True, slots=True)
class DepositService:
    """Absorbs what was left in one vault; its owner has just unlocked it."""

    store: Store
    clock: Clock
    sink: EventSink
    vault: VaultRef
    open_vault: OpenVault
    records: RecordService

    def absorb(self, deposit_key: DepositKey) -> int:
        """Make records of all pending deposits; returns how many.

        Repeating it, or two at once, absorbs each deposit once: it is settled in the transaction
        that writes its record.
        """
        with self.store.read() as session:
            pending = session.scalars(
                select(Deposit).where(
                    Deposit.bucket == self.vault.bucket,
                    Deposit.vault_id == self.vault.id,
                    Deposit.state == "pending",
                )
            ).all()
        return sum(self._absorb(deposit, deposit_key) for deposit in pending)

    def _absorb(self, deposit: Deposit, deposit_key: DepositKey) -> bool:
        try:
            data = self._open(deposit, deposit_key(deposit.grant_id))
        except (DecryptionError, KeyUnavailableError, ValidationFailedError) as exc:
            self._quarantine(deposit, exc.code)
            return False
        version, deleted = self._record(deposit)
        if deleted:
            # What its owner deleted is not brought back by whoever sends it again.
            self._quarantine(deposit, "record-deleted")
            return False
        author = Author("organisation", deposit.client_id)
        draft = Draft(deposit.collection, data, RecordId(deposit.record_id), version, author=author)

        def settle(session: Session) -> None:
            if not self._settle(session, deposit, "absorbed", None):
                raise _SettledError

        try:
            self.records.save_all([draft], event="deposit.absorbed", also=settle)
        except _SettledError:
            return False  # another unlock was first, or a newer document came in
        except ConflictError as exc:
            # A new one where there may be only one; a replaced one is tried again, since its
            # record has just changed.
            if not version:
                self._quarantine(deposit, exc.code)
            return False
        return True

    def _record(self, deposit: Deposit) -> tuple[int, bool]:
        query = select(Record.version, Record.deleted).where(
            Record.bucket == self.vault.bucket,
            Record.vault_id == self.vault.id,
            Record.id == deposit.record_id,
        )
        with self.store.read() as session:
            found = session.execute(query).one_or_none()
        return (found.version, found.deleted) if found else (0, False)

    def _open(self, deposit: Deposit, key: bytes | None) -> Data:
        if key is None or deposit.box is None:
            raise KeyUnavailableError
        depositor = Depositor(
            self.open_vault.keys.deployment,
            self.vault.bucket,
            self.vault.id,
            deposit.grant_id,
            deposit.client_id,
            key,
        )
        fields = depositor.fields(deposit.collection, deposit.document_id)
        collection_key = self.open_vault.key("collection", deposit.collection, deposit.key_version)
        opened: Mapping[str, object] = orjson.loads(
            open_deposit(collection_key, deposit.box, deposit_key=key, fields=fields)
        )
        return CATALOGUE.collection(deposit.collection).validate(dict(opened))

    def _quarantine(self, deposit: Deposit, reason: str) -> None:
        now = self.clock.now()

        def job(session: Session) -> None:
            if not self._settle(session, deposit, "quarantined", reason):
                return
            self.sink.append(
                session,
                self.vault,
                VaultEvent(
                    "deposit.quarantined",
                    now,
                    collections=(deposit.collection,),
                    outcome=reason,
                    private={"document": deposit.document_id},
                ),
            )

        self.store.write(job)

    def _settle(self, session: Session, deposit: Deposit, state: str, reason: str | None) -> bool:
        settled = session.execute(
            update(Deposit)
            .where(
                Deposit.bucket == deposit.bucket,
                Deposit.vault_id == deposit.vault_id,
                Deposit.grant_id == deposit.grant_id,
                Deposit.document_id == deposit.document_id,
                # A newer document that came in meanwhile stays pending.
                Deposit.deposited_at == deposit.deposited_at,
                Deposit.state == "pending",
            )
            .values(state=state, reason=reason, box=None if state == "absorbed" else deposit.box)
            .returning(Deposit.document_id)
        )
        return settled.one_or_none() is not None
