"""The rows of a vault's records as they are stored, each by its hash, for a check against the log.

Only a row that its owner's keys open under the columns that stand beside it is what was written:
the box is bound to collection, version, author and tombstone (TAK-22), the hash to the box.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pds.errors import DecryptionError, KeyUnavailableError
from pds.events import VaultRef
from pds.keys import OpenVault
from pds.models import Record, RecordVersion
from pds.record_boxes import Author, RecordBoxes, RecordContext, open_record, record_key

_CHUNK = 500  # rows that are read at once


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One row: what its columns say, SHA-256 of its box in hex, and whether the box opens."""

    id: str
    collection: str
    version: int
    is_deleted: bool
    box_sha256: str
    opens: bool


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One row of a superseded version: which, SHA-256 of its box, and whether the box opens."""

    id: str
    version: int
    box_sha256: str
    opens: bool


def count(session: Session, vault: VaultRef) -> int:
    """Return how many rows of records a vault has, tombstones included."""
    query = select(func.count()).where(Record.bucket == vault.bucket, Record.vault_id == vault.id)
    return session.execute(query).scalar_one()


def stored_records(
    session: Session, vault: VaultRef, open_vault: OpenVault
) -> Iterator[StoredRecord]:
    """Yield every row of a vault's records by id, tombstones included."""
    query = (
        select(Record)
        .where(Record.bucket == vault.bucket, Record.vault_id == vault.id)
        .order_by(Record.id)
        .execution_options(yield_per=_CHUNK)
    )
    for row in session.scalars(query):
        yield StoredRecord(
            id=str(row.id),
            collection=row.collection,
            version=row.version,
            is_deleted=row.deleted,
            box_sha256=hashlib.sha256(row.box).hexdigest(),
            opens=_opens(row, vault, open_vault),
        )


def stored_versions(
    session: Session, vault: VaultRef, open_vault: OpenVault
) -> Iterator[StoredVersion]:
    """Yield every row of a superseded version of a vault's records, by id and version."""
    boxes = RecordBoxes(vault.id, open_vault)
    query = (
        select(RecordVersion)
        .where(RecordVersion.bucket == vault.bucket, RecordVersion.vault_id == vault.id)
        .order_by(RecordVersion.record_id, RecordVersion.version)
        .execution_options(yield_per=_CHUNK)
    )
    for row in session.scalars(query):
        try:
            boxes.open_superseded(row.record_id, row.version, row.changed_at, row.box)
            opens = True
        except (DecryptionError, KeyUnavailableError):
            opens = False
        digest = hashlib.sha256(row.box).hexdigest()
        yield StoredVersion(str(row.record_id), row.version, digest, opens)


def _opens(row: Record, vault: VaultRef, open_vault: OpenVault) -> bool:
    context = RecordContext(
        open_vault.keys.deployment,
        vault.id,
        row.collection,
        row.id,
        row.version,
        Author(row.author_kind, row.author_id),
        row.deleted,
    )
    try:
        key = record_key(open_vault.key("collection", row.collection, row.key_version))
        open_record(key, row.box, context)
    except (DecryptionError, KeyUnavailableError):
        return False
    return True
