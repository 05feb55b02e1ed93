"""The counters of a vault's row; whoever takes a number holds its lock to commit (P-5)."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from pds.errors import NotFoundError
from pds.events import VaultRef
from pds.ids import VaultId
from pds.models import Vault, VaultKey


def take_sequence(session: Session, vault: VaultRef, count: int) -> int:
    """Take `count` numbers of the vault's change sequence; returns the last (P-5).

    Raises:
        NotFoundError: the vault is gone.
    """
    taken = session.execute(
        update(Vault)
        .where(Vault.bucket == vault.bucket, Vault.id == vault.id, Vault.state == "active")
        .values(seq=Vault.seq + count)
        .returning(Vault.seq)
    ).scalar_one_or_none()
    if taken is None:
        raise NotFoundError
    return taken


def lock(session: Session, vault: VaultRef) -> None:
    """Hold the vault's row to the end of the transaction: no record or key of it changes (P-4).

    Raises:
        NotFoundError: the vault is gone.
    """
    take_sequence(session, vault, 0)


def next_event_seq(session: Session, bucket: int, vault_id: UUID) -> int:
    """Take the next number of the vault's own event stream (P-31)."""
    return session.execute(
        update(Vault)
        .where(Vault.bucket == bucket, Vault.id == vault_id)
        .values(event_seq=Vault.event_seq + 1)
        .returning(Vault.event_seq)
    ).scalar_one()


def audit_public_key(session: Session, bucket: int, vault_id: UUID) -> bytes:
    """Return the key to which a vault's private log entries are sealed."""
    return session.execute(
        select(VaultKey.public_key)
        .where(
            VaultKey.bucket == bucket, VaultKey.vault_id == vault_id, VaultKey.purpose == "audit"
        )
        .order_by(VaultKey.version.desc())
        .limit(1)
    ).scalar_one()


def vault_ref(session: Session, bucket: int, vault_id: UUID) -> VaultRef:
    """Return a vault as the event sink wants it."""
    audit = audit_public_key(session, bucket, vault_id)
    return VaultRef(bucket, VaultId(vault_id), audit)


def count_by_bucket(session: Session) -> list[tuple[int, int]]:
    """Return how many vaults each bucket has that has any, in order of buckets."""
    query = select(Vault.bucket, func.count()).group_by(Vault.bucket).order_by(Vault.bucket)
    return list(session.execute(query))


def event_counters(session: Session, first: int, last: int) -> list[tuple[UUID, int]]:
    """Return the last event number of each vault in the buckets from `first` to `last`."""
    query = select(Vault.id, Vault.event_seq).where(Vault.bucket.between(first, last))
    return list(session.execute(query))


def public_keys(
    session: Session, first: int, last: int, *, purpose: str
) -> dict[UUID, list[bytes]]:
    """Return the 32-byte public keys of one purpose of each vault in the buckets given."""
    query = select(VaultKey.vault_id, VaultKey.public_key).where(
        VaultKey.bucket.between(first, last), VaultKey.purpose == purpose
    )
    found: dict[UUID, list[bytes]] = {}
    for vault_id, key in session.execute(query):
        found.setdefault(vault_id, []).append(key)
    return found
