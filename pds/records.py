"""Records of a vault: written by their owner, with versions, tombstones and a change sequence.

A record's box holds, padded, the JSON

    {"data": {attribute: value}, "changes": {attribute: [vault seq, times changed, epoch seconds]}}

`changes` tells for each attribute when it last changed, also when it is gone since (P-22): so a
reader who may see some attributes learns of changes to those and of no others.

Every write takes the vault's next sequence number under the vault's row lock, which is held to
commit, so the order of numbers is the order of commits (P-5). Boxes are sealed before the write
job, for the number that is expected; a job that finds another number writes nothing and the whole
is done again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Collection as Several
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar, cast
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.orm import Session

from pds.catalogue import CATALOGUE, Cardinality
from pds.clock import Clock
from pds.crypto.labels import COLLECTION_INDEX, COLLECTION_RECORDS, derive
from pds.crypto.sealed_box import Kind, open_box, pad, seal, unpad
from pds.errors import ConflictError, NotFoundError
from pds.events import EventSink, VaultEvent, VaultRef
from pds.ids import RecordId, new_record_id
from pds.keys import OpenVault
from pds.models import CollectionKey, Record, RecordVersion, Vault
from pds.store import Store
from pds.vaults import take_sequence

Data = dict[str, object]
Changes = dict[str, list[int]]
T = TypeVar("T")

Also = Callable[[Session], None]

MERGE_TAG_BYTES = 16
_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a version: the owner, or a client of an organisation."""

    kind: str = "owner"  # owner or organisation
    id: UUID | None = None


OWNER = Author()


@dataclass(frozen=True, slots=True)
class Opened:
    """A record as its owner sees it."""

    id: RecordId
    collection: str
    version: int
    seq: int
    changed_at: datetime
    author: Author
    deleted: bool
    data: Data = field(repr=False)
    changes: Changes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a record is to become. `version` is the one that was seen; 0 makes a new record."""

    collection: str
    data: Data = field(repr=False)  # validated by the catalogue
    id: RecordId = field(default_factory=new_record_id)
    version: int = 0
    deleted: bool = False
    author: Author = OWNER


@dataclass(frozen=True, slots=True)
class RecordContext:
    """What a record's box is bound to (TAK-22); built from what the reader expects."""

    deployment: bytes
    vault_id: UUID
    collection: str
    record_id: UUID
    version: int
    author: Author
    deleted: bool

    def fields(self) -> tuple[bytes, ...]:
        """Return the context fields of the sealed box."""
        return (
            b"rec",
            self.deployment,
            self.vault_id.bytes,
            self.collection.encode(),
            self.record_id.bytes,
            self.version.to_bytes(8, "big"),
            b"1",
            self.author.kind.encode(),
            self.author.id.bytes if self.author.id else b"",
            b"\x01" if self.deleted else b"\x00",
        )


def record_key(collection_key: bytes) -> bytes:
    """Return the key under which a collection's records are sealed."""
    return derive(collection_key, COLLECTION_RECORDS)


def seal_record(
    key: bytes, key_version: int, context: RecordContext, data: Data, changes: Changes
) -> bytes:
    """Seal a record's content under `record_key`."""
    content = pad(orjson.dumps({"data": data, "changes": changes}))
    return seal(key, content, kind=Kind.RECORD, key_version=key_version, fields=context.fields())


def open_record(key: bytes, box: bytes, context: RecordContext) -> tuple[Data, Changes]:
    """Invert `seal_record`.

    Raises:
        DecryptionError: it is not that version of that record, or not that key.
    """
    content = orjson.loads(unpad(open_box(key, box, kind=Kind.RECORD, fields=context.fields())))
    return content["data"], content["changes"]


def carry_changes(
    before: tuple[Data, Changes], data: Data, *, seq: int, at: datetime
) -> tuple[Changes, frozenset[str]]:
    """Return the change map after a write, and which attributes changed by it."""
    old, changes = before
    changed = frozenset(
        name for name in old.keys() | data.keys() if old.get(name) != data.get(name)
    )
    second = int(at.timestamp())
    return changes | {
        name: [seq, changes.get(name, [0, 0, 0])[1] + 1, second] for name in changed
    }, changed


def _nothing_else(_session: Session) -> None:
    pass


class _SequenceMovedError(Exception):
    """Another write to this vault came first."""


@dataclass(frozen=True, slots=True)
class RecordService:
    """The owner's records of one unlocked vault."""

    store: Store
    clock: Clock
    sink: EventSink
    vault: VaultRef
    open_vault: OpenVault

    def counts(self) -> dict[str, int]:
        """Return how many records each collection holds, blank ones not counted."""
        query = (
            select(Record.collection, func.count())
            .where(*self._mine(), Record.deleted.is_(False))
            .group_by(Record.collection)
        )
        with self.store.read() as session:
            found = dict(session.execute(query).all())
        return {name: found.get(name, 0) for name in CATALOGUE.collections}

    def get(self, record_id: UUID) -> Opened:
        """Return one record.

        Raises:
            NotFoundError: there is none of that id in this vault, or it is deleted.
        """
        with self.store.read() as session:
            row = session.get(Record, (self.vault.bucket, self.vault.id, record_id))
            if row is None or row.deleted:
                raise NotFoundError
            return self._open(row)

    def page(
        self, collection: str, *, after: int = 0, limit: int = 50
    ) -> tuple[list[Opened], int | None]:
        """Return records of a collection, oldest change first, and where the next page begins.

        Args:
            collection: a name of the catalogue.
            after: the sequence number that the last page ended with.
            limit: at most so many.

        Raises:
            NotFoundError: the catalogue has no such collection.
        """
        CATALOGUE.collection(collection)
        query = (
            select(Record)
            .where(
                *self._mine(),
                Record.collection == collection,
                Record.deleted.is_(False),
                Record.seq > after,
            )
            .order_by(Record.seq)
            .limit(limit + 1)
        )
        with self.store.read() as session:
            found = [self._open(row) for row in session.scalars(query)]
        return found[:limit], found[limit - 1].seq if len(found) > limit else None

    def all(self, collections: Iterable[str]) -> list[Opened]:
        """Return every record of some collections; for examples and searches in the own vault."""
        query = (
            select(Record)
            .where(
                *self._mine(), Record.collection.in_(list(collections)), Record.deleted.is_(False)
            )
            .order_by(Record.seq)
        )
        with self.store.read() as session:
            return [self._open(row) for row in session.scalars(query)]

    def history(self, record_id: UUID) -> list[tuple[int, datetime, Data]]:
        """Return the superseded versions of a record, newest first."""
        query = (
            select(RecordVersion)
            .where(
                RecordVersion.bucket == self.vault.bucket,
                RecordVersion.vault_id == self.vault.id,
                RecordVersion.record_id == record_id,
            )
            .order_by(RecordVersion.version.desc())
        )
        key = self._history_key()
        with self.store.read() as session:
            return [
                (
                    row.version,
                    row.changed_at,
                    orjson.loads(
                        unpad(
                            open_box(
                                key, row.box, kind=Kind.RECORD, fields=self._history_fields(row)
                            )
                        )
                    ),
                )
                for row in session.scalars(query)
            ]

    def save(self, draft: Draft) -> Opened:
        """Write one record.

        Raises:
            ConflictError: it is no longer at the version that was seen, or its singleton exists.
            NotFoundError: a version was named and there is no such record.
        """
        return self.save_all([draft], event="record.written")[0]

    def delete(self, record_id: UUID, *, version: int) -> None:
        """Delete a record: a tombstone stays; a singleton is blanked (P-21).

        Raises:
            NotFoundError: there is no such record.
            ConflictError: it has changed since it was seen.
        """
        found = self.get(record_id)
        single = CATALOGUE.collection(found.collection).cardinality is Cardinality.ONE
        draft = Draft(found.collection, {}, found.id, version, deleted=not single)
        self.save_all([draft], event="record.deleted")

    def save_all(
        self, drafts: Sequence[Draft], *, event: str, also: Also = _nothing_else
    ) -> list[Opened]:
        """Write records in one transaction, under one log entry (P-35: at most 1,000).

        Args:
            drafts: what to write; without any, only `also` runs.
            event: the name of the log entry.
            also: runs in the same transaction, under the vault's lock; what it raises undoes all.

        Raises:
            ConflictError: one of them is no longer at the version that was seen.
            NotFoundError: a version was named and there is no such record in that collection.
        """
        return self._retrying(lambda: self._save_all(drafts, event, also))

    def find_mergeable(self, collection: str, sources: Sequence[bytes]) -> dict[bytes, Opened]:
        """Return the records that already stand for given merge keys.

        The tag is keyed by the collection key, so older key versions are tried as well.
        """
        tags = {
            merge_tag(self._collection_key(collection, version), source): source
            for version in self.open_vault.versions("collection", collection)
            for source in sources
        }
        query = select(Record).where(
            *self._mine(), Record.collection == collection, Record.merge_tag.in_(list(tags))
        )
        with self.store.read() as session:
            return {
                tags[row.merge_tag]: self._open(row)
                for row in session.scalars(query)
                if row.merge_tag is not None
            }

    def _save_all(self, drafts: Sequence[Draft], event: str, also: Also) -> list[Opened]:
        now = self.clock.now()
        with self.store.read() as session:
            expected = session.execute(
                select(Vault.seq).where(
                    Vault.bucket == self.vault.bucket, Vault.id == self.vault.id
                )
            ).scalar_one()
            current = self._current(session, [draft.id for draft in drafts])
            versions = _current_key_versions(session, self.vault)
            self._refuse_second(session, drafts)
        written: list[Opened] = []
        rows: list[tuple[dict[str, object], Record | None]] = []
        changed: dict[str, frozenset[str]] = {}
        for offset, draft in enumerate(drafts, start=1):
            before = current.get(draft.id)
            if before is not None and before.collection != draft.collection:
                raise NotFoundError
            if (before.version if before else 0) != draft.version:
                raise ConflictError if before else NotFoundError
            opened, row, names = self._prepare(
                draft, before, expected + offset, now, versions[draft.collection]
            )
            written.append(opened)
            rows.append((row, before))
            changed[draft.collection] = changed.get(draft.collection, frozenset()) | names
        history = [self._superseded(before) for _, before in rows if before is not None]
        entry = VaultEvent(
            event,
            now,
            collections=tuple(sorted(changed)),
            count=len(drafts),
            private=_told_to_the_log([row for row, _ in rows]),
        )

        def job(session: Session) -> None:
            seq = take_sequence(session, self.vault, len(drafts))
            if seq != expected + len(drafts):
                raise _SequenceMovedError
            also(session)
            if not rows:
                return
            self._write_rows(session, rows)
            if history:
                session.execute(insert(RecordVersion), history)
            self.sink.append(session, self.vault, entry)
            self.sink.records_changed(session, self.vault, changed, now)

        self.store.write(job)
        return written

    def _write_rows(
        self, session: Session, rows: Sequence[tuple[dict[str, object], Record | None]]
    ) -> None:
        new = [row for row, before in rows if before is None]
        if new:
            session.execute(insert(Record), new)
        for row, before in rows:
            if before is not None:
                session.execute(
                    update(Record).where(*self._mine(), Record.id == before.id).values(**row)
                )

    def _prepare(
        self, draft: Draft, before: Record | None, seq: int, now: datetime, key_version: int
    ) -> tuple[Opened, dict[str, object], frozenset[str]]:
        old: tuple[Data, Changes] = ({}, {})
        if before is not None:
            opened = self._open(before)
            old = opened.data, opened.changes
        changes, names = carry_changes(old, draft.data, seq=seq, at=now)
        version = draft.version + 1
        context = RecordContext(
            self.open_vault.keys.deployment,
            self.vault.id,
            draft.collection,
            draft.id,
            version,
            draft.author,
            draft.deleted,
        )
        collection_key = self._collection_key(draft.collection, key_version)
        box = seal_record(record_key(collection_key), key_version, context, draft.data, changes)
        source = merge_source(draft.collection, draft.data)
        row: dict[str, object] = {
            "bucket": self.vault.bucket,
            "vault_id": self.vault.id,
            "id": draft.id,
            "collection": draft.collection,
            "version": version,
            "seq": seq,
            "changed_at": now,
            "author_kind": draft.author.kind,
            "author_id": draft.author.id,
            "deleted": draft.deleted,
            "key_version": key_version,
            "box": box,
            "merge_tag": None
            if source is None or draft.deleted
            else merge_tag(collection_key, source),
        }
        after = Opened(
            draft.id,
            draft.collection,
            version,
            seq,
            now,
            draft.author,
            draft.deleted,
            draft.data,
            changes,
        )
        return after, row, names

    def _superseded(self, before: Record) -> dict[str, object]:
        # Re-sealed under the history key, which no grant wraps (P-21): a live token together with
        # the database opens what the consent covers now, not what the owner replaced.
        opened = self._open(before)
        row = RecordVersion(
            bucket=before.bucket,
            vault_id=before.vault_id,
            record_id=before.id,
            version=before.version,
            changed_at=before.changed_at,
        )
        box = seal(
            self._history_key(),
            pad(orjson.dumps(opened.data)),
            kind=Kind.RECORD,
            key_version=1,
            fields=self._history_fields(row),
        )
        return {
            "bucket": row.bucket,
            "vault_id": row.vault_id,
            "record_id": row.record_id,
            "version": row.version,
            "changed_at": row.changed_at,
            "box": box,
        }

    def _open(self, row: Record) -> Opened:
        author = Author(row.author_kind, row.author_id)
        context = RecordContext(
            self.open_vault.keys.deployment,
            self.vault.id,
            row.collection,
            row.id,
            row.version,
            author,
            row.deleted,
        )
        key = record_key(self._collection_key(row.collection, row.key_version))
        data, changes = open_record(key, row.box, context)
        return Opened(
            RecordId(row.id),
            row.collection,
            row.version,
            row.seq,
            row.changed_at,
            author,
            row.deleted,
            data,
            changes,
        )

    def _current(self, session: Session, ids: Sequence[UUID]) -> dict[UUID, Record]:
        found = session.scalars(select(Record).where(*self._mine(), Record.id.in_(ids)))
        return {row.id: row for row in found}

    def _refuse_second(self, session: Session, drafts: Sequence[Draft]) -> None:
        single = [
            draft.collection
            for draft in drafts
            if not draft.version
            and CATALOGUE.collection(draft.collection).cardinality is Cardinality.ONE
        ]
        query = select(Record.id).where(*self._mine(), Record.collection.in_(single)).limit(1)
        if single and session.execute(query).first() is not None:
            raise ConflictError("there is one of these already: change that one")

    def _retrying(self, attempt: Callable[[], T]) -> T:
        for _ in range(_ATTEMPTS):
            try:
                return attempt()
            except _SequenceMovedError:
                continue
        raise ConflictError("the vault is being written to from elsewhere")

    def _collection_key(self, collection: str, version: int) -> bytes:
        return self.open_vault.key("collection", collection, version)

    def _history_key(self) -> bytes:
        return self.open_vault.key("history", str(self.vault.id), 1)

    def _history_fields(self, row: RecordVersion) -> tuple[bytes, ...]:
        return (
            b"history",
            self.open_vault.keys.deployment,
            row.vault_id.bytes,
            row.record_id.bytes,
            row.version.to_bytes(8, "big"),
        )

    def _mine(self) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return Record.bucket == self.vault.bucket, Record.vault_id == self.vault.id


def present(
    session: Session, vault: VaultRef, collection: str, ids: Several[UUID]
) -> frozenset[UUID]:
    """Return which of some ids are records of this collection of this vault, deleted ones not."""
    query = select(Record.id).where(
        Record.bucket == vault.bucket,
        Record.vault_id == vault.id,
        Record.collection == collection,
        Record.id.in_(ids),
        Record.deleted.is_(False),
    )
    return frozenset(session.scalars(query))


def merge_source(collection: str, data: Mapping[str, object]) -> bytes | None:
    """Return what makes two records of a collection the same one; None: nothing does.

    All records of a collection with cardinality one are the same one (P-21).
    """
    kind = CATALOGUE.collection(collection)
    if kind.cardinality is Cardinality.ONE:
        return collection.encode()
    return kind.merge_tag_source(data)


def merge_tag(collection_key: bytes, source: bytes) -> bytes:
    """Return the keyed tag by which a record with the same merge key is found again."""
    return hmac.digest(derive(collection_key, COLLECTION_INDEX), source, "sha256")[:MERGE_TAG_BYTES]


def _told_to_the_log(rows: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return what the owner's part of the log tells of rows that were written (P-32).

    By the hash of its sealed box a row that is rolled back, removed or put back later is known.
    """
    told: dict[str, object] = {
        "records": [
            [str(row["id"]), row["version"], hashlib.sha256(cast(bytes, row["box"])).hexdigest()]
            for row in rows
        ]
    }
    deleted = [str(row["id"]) for row in rows if row["deleted"]]
    return told | {"deleted": deleted} if deleted else told


def _current_key_versions(session: Session, vault: VaultRef) -> Mapping[str, int]:
    query = select(CollectionKey.collection, CollectionKey.version).where(
        CollectionKey.bucket == vault.bucket,
        CollectionKey.vault_id == vault.id,
        CollectionKey.is_current.is_(True),
    )
    return dict(session.execute(query).all())


def change_instant(change: list[int]) -> datetime:
    """Return when an attribute last changed, from its entry in the change map."""
    return datetime.fromtimestamp(change[2], UTC)
