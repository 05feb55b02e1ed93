"""Files of a vault in sealed chunks: written as they come in, read as they go out (P-20).

    write     chunk by chunk, each sealed before its own short write job; memory holds one chunk
    finish    seal key, size and hash to the vault: only from then on can the file be opened
    keep      a record has it now; what nobody keeps expires and is swept
    shred     drop its key in the transaction of what ends it; the chunks are swept
    let_go    its record was deleted: it stays for a time, to come back with it

A file's key is random and its own. It is wrapped under a key that derives from the vault's root
key, which no grant holds: a consent to a collection opens no file of it (ADR 0038).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.orm import Session

from pds.clock import Clock
from pds.crypto.labels import VAULT_FILES, derive
from pds.crypto.sealed_box import KEY_BYTES, Kind, open_box, padded_bytes, seal
from pds.crypto.sealed_stream import CHUNK_BYTES, Stream
from pds.errors import DecryptionError, LimitExceededError, NotFoundError
from pds.events import VaultRef
from pds.ids import random_uuid
from pds.keys import OpenVault, new_key
from pds.models import Record, RecordVersion, SealedChunk, SealedFile
from pds.store import Store
from pds.sweeping import sweep_table

UNKEPT = timedelta(hours=1)
"""How long a file stays that nothing has kept yet."""

RETURNABLE = timedelta(days=30)
"""How long the files of a deleted record stay, to come back with it."""

_SIZE_BYTES = 8
_SWEPT_CHUNKS = 100  # at a time: 25 MiB


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is whole: its size in bytes, and SHA-256 of what it holds, in hex."""

    id: UUID
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Storage:
    """What a vault takes up in the store, in bytes, sealed and padded."""

    records_bytes: int
    files_bytes: int

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.records_bytes + self.files_bytes


def storage_used(session: Session, vault: VaultRef) -> Storage:
    """Return what a vault takes up: its records with their history, and its files."""
    return Storage(
        sum(
            session.execute(
                select(func.coalesce(func.sum(func.length(model.box)), 0)).where(
                    model.bucket == vault.bucket, model.vault_id == vault.id
                )
            ).scalar_one()
            for model in (Record, RecordVersion)
        ),
        files_bytes(session, vault),
    )


def files_count(session: Session, vault: VaultRef) -> int:
    """Return how many files a vault has, those among them that are still coming in."""
    query = select(func.count()).where(
        SealedFile.bucket == vault.bucket, SealedFile.vault_id == vault.id
    )
    return int(session.execute(query).scalar_one())


def files_bytes(session: Session, vault: VaultRef) -> int:
    """Return what a vault's files take up, those among them that are still coming in."""
    query = select(func.coalesce(func.sum(SealedFile.stored_bytes), 0)).where(
        SealedFile.bucket == vault.bucket, SealedFile.vault_id == vault.id
    )
    return int(session.execute(query).scalar_one())


@dataclass(frozen=True, slots=True)
class SealedFiles:
    """The files of one unlocked vault; `most_bytes` is what all of them may take up."""

    store: Store
    clock: Clock
    vault: VaultRef
    open_vault: OpenVault
    most_bytes: int

    def write(self, *, most_bytes: int) -> FileWriter:
        """Begin a file of at most so many bytes; nothing is stored before the first chunk."""
        return FileWriter(self, most_bytes)

    def open(self, file_id: UUID) -> OpenFile:
        """Open a file for reading.

        Raises:
            NotFoundError: this vault has no such file, or it is not whole.
            DecryptionError: its key was tampered with.
        """
        with self.store.read() as session:
            row = session.get(SealedFile, (self.vault.bucket, self.vault.id, file_id))
        if row is None or row.key_box is None:
            raise NotFoundError
        fields = self.fields(file_id)
        content = open_box(self._key(), row.key_box, kind=Kind.FILE_KEY, fields=fields)
        key, rest = content[:KEY_BYTES], content[KEY_BYTES:]
        size = int.from_bytes(rest[:_SIZE_BYTES], "big")
        written = Written(file_id, size, rest[_SIZE_BYTES:].hex())
        return OpenFile(self, written, Stream.of(key, fields))

    def drop(self, file_id: UUID) -> None:
        """Shred a file that no record took."""
        now = self.clock.now()
        self.store.write(lambda session: shred(session, self.vault, [file_id], now=now))

    def seal_key(self, key: bytes, written: Written) -> bytes:
        """Seal a file's key, size and hash to the vault."""
        content = key + written.size_bytes.to_bytes(_SIZE_BYTES, "big")
        return seal(
            self._key(),
            content + bytes.fromhex(written.sha256),
            kind=Kind.FILE_KEY,
            key_version=1,
            fields=self.fields(written.id),
        )

    def fields(self, file_id: UUID) -> tuple[bytes, ...]:
        """Return the context that a file's key and chunks are bound to."""
        keys = self.open_vault.keys
        return b"file", keys.deployment, keys.vault_id.bytes, file_id.bytes

    def _key(self) -> bytes:
        return derive(self.open_vault.vrk, VAULT_FILES)


class FileWriter:
    """Takes in a file; what is called `write` is what parsers of uploads write to."""

    def __init__(self, files: SealedFiles, most_bytes: int) -> None:
        self._files, self._most = files, most_bytes
        self._id, self._key = random_uuid(), new_key()
        self._stream = Stream.of(self._key, files.fields(self._id))
        self._held = bytearray()
        self._hash = hashlib.sha256()
        self._size = self._number = 0

    @property
    def size_bytes(self) -> int:
        """How much was written."""
        return self._size

    def write(self, data: bytes) -> int:
        """Take in some more.

        Raises:
            LimitExceededError: it, or all files of the vault, are larger than they may be.
        """
        self._size += len(data)
        if self._size > self._most:
            self.drop()
            raise LimitExceededError(f"a file of more than {self._most} bytes")
        self._hash.update(data)
        self._add(data)
        return len(data)

    def finish(self) -> Written:
        """Seal the rest; the file can be opened, and expires if nothing keeps it.

        Raises:
            LimitExceededError: as `write`.
        """
        written = Written(self._id, self._size, self._hash.hexdigest())
        # The size is sealed with the key, so padding needs no mark (TAK-23).
        left = padded_bytes(self._size) - self._size
        while left:
            self._add(bytes(min(left, CHUNK_BYTES)))
            left -= min(left, CHUNK_BYTES)
        box = self._files.seal_key(self._key, written)
        self._store(bytes(self._held), is_last=True, key_box=box)
        self._held.clear()
        return written

    def drop(self) -> None:
        """Give up: what was stored is swept."""
        self._held.clear()
        if self._number:
            self._files.drop(self._id)

    def _add(self, data: bytes) -> None:
        self._held += data
        # The last chunk is sealed as such, so one is kept until it is known not to be the last.
        while len(self._held) > CHUNK_BYTES:
            self._store(bytes(self._held[:CHUNK_BYTES]), is_last=False)
            del self._held[:CHUNK_BYTES]

    def _store(self, plaintext: bytes, *, is_last: bool, key_box: bytes | None = None) -> None:
        files, number = self._files, self._number
        box = self._stream.seal(number, plaintext, is_last=is_last)
        place = {"bucket": files.vault.bucket, "vault_id": files.vault.id}
        now = files.clock.now()

        def job(session: Session) -> None:
            if files_bytes(session, files.vault) + len(box) > files.most_bytes:
                raise LimitExceededError(f"files of more than {files.most_bytes} bytes in all")
            if number == 0:
                row = {"id": self._id, "stored_bytes": len(box), "expires_at": now + UNKEPT}
                session.execute(insert(SealedFile).values(**place, **row, key_box=key_box))
            else:
                changed = session.execute(
                    update(SealedFile)
                    .where(*_named(files.vault, [self._id]), SealedFile.expires_at > now)
                    .values(
                        stored_bytes=SealedFile.stored_bytes + len(box),
                        key_box=key_box,
                        expires_at=now + UNKEPT,
                    )
                    .returning(SealedFile.id)
                )
                if changed.one_or_none() is None:
                    raise NotFoundError  # it came in so slowly that it was swept
            chunk = {"file_id": self._id, "number": number, "box": box}
            session.execute(insert(SealedChunk).values(**place, **chunk))

        files.store.write(job)
        self._number += 1


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is whole, to be read by chunks."""

    files: SealedFiles
    written: Written
    _stream: Stream = field(repr=False)

    def chunks(self) -> Iterator[bytes]:
        """Yield what the file holds; the last part only once the whole is what was written.

        Raises:
            DecryptionError: a chunk is missing, cut, moved or changed, or the hash is another.
        """
        digest = hashlib.sha256()
        left = self.written.size_bytes
        held = b""
        for number in range(self.count):
            part = self.chunk(number)[:left]
            left -= len(part)
            digest.update(part)
            if held:
                yield held
            held = part
        if left or digest.hexdigest() != self.written.sha256:
            raise DecryptionError
        if held:
            yield held

    def chunk(self, number: int) -> bytes:
        """Return one chunk, padding included.

        Raises:
            DecryptionError: it is missing, cut, moved or changed.
        """
        vault = self.files.vault
        with self.files.store.read() as session:
            row = session.get(SealedChunk, (vault.bucket, vault.id, self.written.id, number))
        if row is None:
            raise DecryptionError
        return self._stream.open(number, row.box, is_last=number == self.count - 1)

    @property
    def count(self) -> int:
        """How many chunks there are; the size is sealed, so nobody makes them fewer."""
        return max(1, -(-padded_bytes(self.written.size_bytes) // CHUNK_BYTES))


def keep(session: Session, vault: VaultRef, ids: Collection[UUID]) -> None:
    """Have files stay as long as the record that names them; in the transaction of its write.

    Raises:
        NotFoundError: one of them is not whole, or gone.
    """
    if not ids:
        return
    kept = session.execute(
        update(SealedFile)
        .where(*_named(vault, ids), SealedFile.key_box.is_not(None))
        .values(expires_at=None)
        .returning(SealedFile.id)
    )
    if set(kept.scalars()) != set(ids):
        raise NotFoundError


def keep_until(session: Session, vault: VaultRef, file_id: UUID, expires_at: datetime) -> None:
    """Have a file stay until an instant."""
    session.execute(
        update(SealedFile).where(*_named(vault, [file_id])).values(expires_at=expires_at)
    )


def shred(session: Session, vault: VaultRef, ids: Collection[UUID], *, now: datetime) -> None:
    """Drop the keys of files, so that they open for nobody; their chunks are swept."""
    if ids:
        session.execute(
            update(SealedFile)
            .where(*_named(vault, ids))
            .values(key_box=None, stored_bytes=0, expires_at=now)
        )


def let_go(session: Session, vault: VaultRef, ids: Collection[UUID], *, now: datetime) -> None:
    """Have the files of deleted records stay for as long as they come back with them."""
    if ids:
        session.execute(
            update(SealedFile).where(*_named(vault, ids)).values(expires_at=now + RETURNABLE)
        )


def returnable(
    session: Session, vault: VaultRef, ids: Collection[UUID], *, now: datetime
) -> frozenset[UUID]:
    """Return which of the files of deleted records can still come back."""
    query = select(SealedFile.id).where(
        *_named(vault, ids), SealedFile.key_box.is_not(None), SealedFile.expires_at > now
    )
    return frozenset(session.scalars(query))


def sweep(session: Session, *, now: datetime) -> int:
    """Delete a bounded part of what expired; returns how many rows went."""
    query = select(SealedFile.bucket, SealedFile.vault_id, SealedFile.id)
    due = session.execute(query.where(SealedFile.expires_at <= now).limit(1)).one_or_none()
    if due is None:
        return 0
    bucket, vault_id, file_id = due
    named = (
        (SealedFile.bucket == bucket)
        & (SealedFile.vault_id == vault_id)
        & (SealedFile.id == file_id)
        & (SealedFile.expires_at <= now)
    )
    # Its key first, under the row's lock: what a record kept meanwhile is not touched, and what is
    # swept in parts cannot be kept.
    session.execute(update(SealedFile).where(named).values(key_box=None))
    if session.execute(select(SealedFile.id).where(named)).first() is None:
        return 1
    chunks = (
        (SealedChunk.bucket == bucket)
        & (SealedChunk.vault_id == vault_id)
        & (SealedChunk.file_id == file_id)
    )
    if swept := sweep_table(session, SealedChunk, chunks, limit=_SWEPT_CHUNKS):
        return swept
    session.execute(delete(SealedFile).where(named))
    return 1


def _named(vault: VaultRef, ids: Collection[UUID]) -> tuple[ColumnElement[bool], ...]:
    return (
        SealedFile.bucket == vault.bucket,
        SealedFile.vault_id == vault.id,
        SealedFile.id.in_(ids),
    )
