"""Wraps: how one key leads to another, and to nothing else (D1, D2).

    passphrase | recovery code | passkey | unlock cookie  ->  vault root key (VRK)
    VRK    ->  collection keys, grant keys (owner's copy), agreement, audit and history keys
    grant  ->  the collection keys of its agreement
    token  ->  its grant key
    token of a personal app  ->  app key  ->  the collection keys that its owner chose

A wrap is a sealed box whose context names deployment, vault, both keys and, for tokens, client,
grant and what else never changes (P-12). Whoever opens it builds that context from what it
expects; a row that was swapped or moved opens nothing (TAK-21).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from pds.crypto.sealed_box import KEY_BYTES, Kind, open_box, seal
from pds.errors import KeyUnavailableError
from pds.events import VaultRef
from pds.models import CollectionKey, KeyWrap
from pds.store import Sender, connection_of

POLICY_VERSION = b"\x01"
_INSERT = insert(KeyWrap)
_WRAPPED_BY = select(
    KeyWrap.wrapped_kind, KeyWrap.wrapped_id, KeyWrap.wrapped_version, KeyWrap.blob
).where(
    KeyWrap.bucket == bindparam("b_bucket"),
    KeyWrap.vault_id == bindparam("b_vault"),
    KeyWrap.by_kind == bindparam("b_kind"),
    KeyWrap.by_id == bindparam("b_id"),
)


@dataclass(frozen=True, slots=True)
class Wrapper:
    """The key that wraps: its kind, and the id under which its wraps are found."""

    kind: str  # passphrase, recovery, passkey, unlock, vrk, grant, token, app or app-token
    id: UUID
    binding: tuple[bytes, ...] = ()  # what else the wrap binds, in a fixed order


@dataclass(frozen=True, slots=True)
class Wrapped:
    """The key that is wrapped: its kind, id and version."""

    kind: str  # vrk, collection, grant, agreement, audit, history or app
    id: str
    version: int = 1


@dataclass(frozen=True, slots=True)
class Wrap:
    """A wrap ready to be stored."""

    by: Wrapper
    wrapped: Wrapped
    blob: bytes = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class HeldKey:
    """That one key is sealed under another, and until when; not the wrap itself."""

    bucket: int
    vault_id: UUID
    by_kind: str
    by_id: UUID
    wrapped_kind: str
    wrapped_id: str
    wrapped_version: int
    expires_at: datetime | None


def new_key() -> bytes:
    """Return a fresh 32-byte key."""
    return os.urandom(KEY_BYTES)


@dataclass(frozen=True, slots=True)
class VaultKeys:
    """Seals and opens the wraps of one vault of one deployment."""

    deployment: bytes  # 16 bytes
    bucket: int
    vault_id: UUID

    def wrap(
        self,
        kek: bytes,
        key: bytes,
        *,
        by: Wrapper,
        wrapped: Wrapped,
        expires_at: datetime | None = None,
    ) -> Wrap:
        """Seal `key` under `kek`; both are 32 bytes."""
        blob = seal(
            kek,
            key,
            kind=_kind(by),
            key_version=wrapped.version,
            fields=self._fields(by, wrapped),
        )
        return Wrap(by, wrapped, blob, expires_at)

    def unwrap(self, kek: bytes, blob: bytes, *, by: Wrapper, wrapped: Wrapped) -> bytes:
        """Invert `wrap`.

        Raises:
            DecryptionError: it is not that wrap, or not that key.
        """
        return open_box(
            kek,
            blob,
            kind=_kind(by),
            key_version=wrapped.version,
            fields=self._fields(by, wrapped),
        )

    def store(self, sender: Sender, wraps: Iterable[Wrap], *, now: datetime) -> None:
        """Insert wraps. For a grant's, the caller holds the grant's row lock (P-6)."""
        rows = [
            {
                "bucket": self.bucket,
                "vault_id": self.vault_id,
                "by_kind": wrap.by.kind,
                "by_id": wrap.by.id,
                "wrapped_kind": wrap.wrapped.kind,
                "wrapped_id": wrap.wrapped.id,
                "wrapped_version": wrap.wrapped.version,
                "blob": wrap.blob,
                "created_at": now,
                "expires_at": wrap.expires_at,
            }
            for wrap in wraps
        ]
        if rows:
            connection_of(sender).execute(_INSERT, rows)

    def load(self, sender: Sender, by: Wrapper) -> list[tuple[Wrapped, bytes]]:
        """Return all that one key wraps, still sealed."""
        place = {
            "b_bucket": self.bucket,
            "b_vault": self.vault_id,
            "b_kind": by.kind,
            "b_id": by.id,
        }
        return [
            (Wrapped(kind, name, version), blob)
            for kind, name, version, blob in sender.execute(_WRAPPED_BY, place)
        ]

    def delete_by(self, sender: Sender, kind: str, ids: Sequence[UUID]) -> None:
        """Delete all that the given keys wrap: whoever held them holds nothing now."""
        if ids:
            sender.execute(
                delete(KeyWrap).where(
                    KeyWrap.bucket == self.bucket,
                    KeyWrap.vault_id == self.vault_id,
                    KeyWrap.by_kind == kind,
                    KeyWrap.by_id.in_(ids),
                )
            )

    def delete_of(self, session: Session, kind: str, wrapped_id: str, *, by_kind: str) -> None:
        """Delete the wraps of one key that keys of one kind hold."""
        session.execute(
            delete(KeyWrap).where(
                KeyWrap.bucket == self.bucket,
                KeyWrap.vault_id == self.vault_id,
                KeyWrap.by_kind == by_kind,
                KeyWrap.wrapped_kind == kind,
                KeyWrap.wrapped_id == wrapped_id,
            )
        )

    def delete(self, session: Session, by: Wrapper, wrapped: Iterable[Wrapped]) -> None:
        """Delete some of what one key wraps. For a grant's, its row is locked (P-6)."""
        for each in wrapped:
            session.execute(
                delete(KeyWrap).where(
                    KeyWrap.bucket == self.bucket,
                    KeyWrap.vault_id == self.vault_id,
                    KeyWrap.by_kind == by.kind,
                    KeyWrap.by_id == by.id,
                    KeyWrap.wrapped_kind == each.kind,
                    KeyWrap.wrapped_id == each.id,
                    KeyWrap.wrapped_version == each.version,
                )
            )

    def keep_until(
        self, session: Session, kind: str, ids: Sequence[UUID], expires_at: datetime
    ) -> None:
        """Have what the given keys wrap swept at another instant."""
        if ids:
            session.execute(
                update(KeyWrap)
                .where(
                    KeyWrap.bucket == self.bucket,
                    KeyWrap.vault_id == self.vault_id,
                    KeyWrap.by_kind == kind,
                    KeyWrap.by_id.in_(ids),
                )
                .values(expires_at=expires_at)
            )

    def _fields(self, by: Wrapper, wrapped: Wrapped) -> tuple[bytes, ...]:
        return (
            b"wrap",
            self.deployment,
            self.vault_id.bytes,
            by.kind.encode(),
            by.id.bytes,
            wrapped.kind.encode(),
            wrapped.id.encode(),
            wrapped.version.to_bytes(4, "big"),
            POLICY_VERSION,
            *by.binding,
        )


@dataclass(frozen=True, slots=True)
class OpenVault:
    """An unlocked vault: its root key, and what that key leads to.

    Lives for one request. Wraps are loaded once and opened one by one, as they are asked for.
    """

    keys: VaultKeys
    audit_public_key: bytes
    _vrk: bytes = field(repr=False)
    _wraps: dict[Wrapped, bytes] = field(repr=False)

    @classmethod
    def load(
        cls, session: Session, keys: VaultKeys, vrk: bytes, audit_public_key: bytes
    ) -> OpenVault:
        """Read what the root key wraps."""
        wraps = dict(keys.load(session, Wrapper("vrk", keys.vault_id)))
        return cls(keys, audit_public_key, vrk, wraps)

    @property
    def vrk(self) -> bytes:
        """The vault root key, to be wrapped by a further unlock method."""
        return self._vrk

    def key(self, kind: str, wrapped_id: str, version: int) -> bytes:
        """Open one of the vault's keys.

        Raises:
            KeyUnavailableError: the vault has no such key.
            DecryptionError: the wrap was tampered with.
        """
        wrapped = Wrapped(kind, wrapped_id, version)
        blob = self._wraps.get(wrapped)
        if blob is None:
            raise KeyUnavailableError(f"{kind} {wrapped_id} version {version}")
        by = Wrapper("vrk", self.keys.vault_id)
        return self.keys.unwrap(self._vrk, blob, by=by, wrapped=wrapped)

    def versions(self, kind: str, wrapped_id: str) -> list[int]:
        """Return the versions of a key that the vault has, oldest first."""
        return sorted(w.version for w in self._wraps if (w.kind, w.id) == (kind, wrapped_id))

    def wrap_under_root(self, key: bytes, wrapped: Wrapped) -> Wrap:
        """Wrap a key under the root key: the owner's copy."""
        return self.keys.wrap(
            self._vrk, key, by=Wrapper("vrk", self.keys.vault_id), wrapped=wrapped
        )


def _kind(by: Wrapper) -> Kind:
    return Kind.SESSION if by.kind == "unlock" else Kind.WRAP


def mark_rotation_due(
    session: Session, bucket: int, vault_id: UUID, collections: Sequence[str]
) -> None:
    """Have collection keys replaced at the owner's next unlock (TAK-43)."""
    session.execute(
        update(CollectionKey)
        .where(
            CollectionKey.bucket == bucket,
            CollectionKey.vault_id == vault_id,
            CollectionKey.collection.in_(collections),
            CollectionKey.is_current.is_(True),
        )
        .values(rotation_due=True)
    )


def due_for_rotation(session: Session, vault: VaultRef) -> dict[str, int]:
    """Return the collections whose key is to be replaced, each with its present version."""
    query = select(CollectionKey.collection, CollectionKey.version).where(
        CollectionKey.bucket == vault.bucket,
        CollectionKey.vault_id == vault.id,
        CollectionKey.is_current.is_(True),
        CollectionKey.rotation_due.is_(True),
    )
    return dict(session.execute(query).all())


def known_collections(session: Session, vault: VaultRef) -> frozenset[str]:
    """Return the collections that a vault has a key for."""
    query = select(CollectionKey.collection).where(
        CollectionKey.bucket == vault.bucket, CollectionKey.vault_id == vault.id
    )
    return frozenset(session.scalars(query))


def rotate(
    session: Session,
    vault: VaultRef,
    collection: str,
    version: int,
    *,
    public_key: bytes,
    now: datetime,
) -> None:
    """Make `version` the one that a collection is written with; older ones stay readable."""
    session.execute(
        update(CollectionKey)
        .where(
            CollectionKey.bucket == vault.bucket,
            CollectionKey.vault_id == vault.id,
            CollectionKey.collection == collection,
            CollectionKey.is_current.is_(True),
        )
        .values(is_current=False, rotation_due=False)
    )
    session.execute(
        insert(CollectionKey).values(
            bucket=vault.bucket,
            vault_id=vault.id,
            collection=collection,
            version=version,
            public_key=public_key,
            is_current=True,
            rotation_due=False,
            created_at=now,
        )
    )


_HELD = (
    select(
        KeyWrap.bucket,
        KeyWrap.vault_id,
        KeyWrap.by_kind,
        KeyWrap.by_id,
        KeyWrap.wrapped_kind,
        KeyWrap.wrapped_id,
        KeyWrap.wrapped_version,
        KeyWrap.expires_at,
    )
    .where(KeyWrap.bucket.between(bindparam("first"), bindparam("last")))
    .execution_options(yield_per=500)
)
_HELD_BY = _HELD.where(KeyWrap.by_kind == bindparam("kind"))
_HOLDERS_OF = _HELD.where(KeyWrap.wrapped_kind == bindparam("kind"))


def held_by(session: Session, first: int, last: int, kind: str) -> Iterator[HeldKey]:
    """Yield what keys of one kind hold in the buckets from `first` to `last`; for checks."""
    for row in session.execute(_HELD_BY, {"first": first, "last": last, "kind": kind}):
        yield HeldKey(*row)


def holders_of(session: Session, first: int, last: int, kind: str) -> Iterator[HeldKey]:
    """Yield which keys hold keys of one kind, as `held_by`."""
    for row in session.execute(_HOLDERS_OF, {"first": first, "last": last, "kind": kind}):
        yield HeldKey(*row)
