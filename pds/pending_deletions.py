"""Which vaults are to be deleted, and when; whoever changes it holds the vault's row (P-4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from pds.events import VaultRef
from pds.models import Vault, VaultDeletion


@dataclass(frozen=True, slots=True)
class PendingDeletion:
    """A deletion that was asked for and can still be taken back."""

    due_at: datetime
    is_limited: bool  # asked for without the passphrase (P-16)
    asks_erasure: bool  # organisations are then asked to delete what they received


def find(session: Session, vault: VaultRef) -> PendingDeletion | None:
    """Return the deletion of a vault that waits for its time; None: none was asked for."""
    row = session.get(VaultDeletion, (vault.bucket, vault.id), populate_existing=True)
    return None if row is None else PendingDeletion(row.due_at, row.is_limited, row.asks_erasure)


def put(session: Session, vault: VaultRef, pending: PendingDeletion, *, now: datetime) -> None:
    """Write down that a vault is to be deleted; none may be pending."""
    session.execute(
        insert(VaultDeletion).values(
            bucket=vault.bucket,
            vault_id=vault.id,
            is_limited=pending.is_limited,
            asks_erasure=pending.asks_erasure,
            asked_at=now,
            due_at=pending.due_at,
        )
    )


def drop(session: Session, vault: VaultRef) -> None:
    """Forget a deletion: it was taken back, or is done."""
    session.execute(
        delete(VaultDeletion).where(
            VaultDeletion.bucket == vault.bucket, VaultDeletion.vault_id == vault.id
        )
    )


def next_due(session: Session, *, now: datetime) -> tuple[int, UUID] | None:
    """Return bucket and id of a vault whose time has come."""
    query = (
        select(VaultDeletion.bucket, VaultDeletion.vault_id)
        .where(VaultDeletion.due_at <= now)
        .order_by(VaultDeletion.due_at)
        .limit(1)
    )
    found = session.execute(query).one_or_none()
    return None if found is None else (found.bucket, found.vault_id)


def lock(session: Session, bucket: int, vault_id: UUID) -> bool:
    """Hold a vault's row, deleted or not; tells whether it still lives."""
    row = session.get(Vault, (bucket, vault_id), with_for_update=True, populate_existing=True)
    return row is not None and row.state == "active"
