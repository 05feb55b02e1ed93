"""What a record's row holds: the boxes of its present and of its superseded versions.

A record's box holds, padded, the JSON

    {"data": {attribute: value}, "changes": {attribute: [vault seq, times changed, epoch seconds]},
     "source": [kind, name, id or null],
     "files": [{"id", "name", "media_type", "bytes", "sha256", "added_at"}]}

`changes` tells for each attribute when it last changed, also when it is gone since (P-22): so a
reader who may see some attributes learns of changes to those and of no others. `source` is there
where its author had the version from elsewhere, `files` where it has any; both are for the owner
alone.

The box of a superseded version holds [data, author's kind, author's id or null, source or null],
and after it the files where a deletion took it, which come back with it for a time; one that was
written before authors were kept holds the data alone, which is an object.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from pds.attached_files import AttachedFile
from pds.catalogue import CATALOGUE, Cardinality
from pds.crypto.labels import COLLECTION_INDEX, COLLECTION_RECORDS, derive
from pds.crypto.sealed_box import Kind, open_box, pad, seal, unpad
from pds.keys import OpenVault
from pds.models import Record

Data = dict[str, object]
Changes = dict[str, list[int]]
Files = tuple[AttachedFile, ...]

MERGE_TAG_BYTES = 16


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a version: the owner, or a client of an organisation."""

    kind: str = "owner"  # owner or organisation
    id: UUID | None = None


OWNER = Author()


@dataclass(frozen=True, slots=True)
class Source:
    """Where an author had a version from: a file, or an older version of the same record."""

    kind: str  # import or version
    name: str  # the file's format; the number of the older version
    id: UUID | None = None  # the import

    def written(self) -> list[str | None]:
        """Return it as a box holds it."""
        return [self.kind, self.name, str(self.id) if self.id else None]

    @classmethod
    def read(cls, written: list[Any] | None) -> Source | None:
        """Invert `written`."""
        if written is None:
            return None
        kind, name, source_id = written
        return cls(kind, name, UUID(source_id) if source_id else None)


class Content(NamedTuple):
    """What a record's box holds."""

    data: Data
    changes: Changes
    source: Source | None
    files: Files = ()


@dataclass(frozen=True, slots=True)
class Superseded:
    """A version that was replaced, as its owner sees it; `author` is None where nobody kept it."""

    version: int
    changed_at: datetime
    data: Data = field(repr=False)
    author: Author | None = None
    source: Source | None = None
    files: Files = field(default=(), repr=False)  # where a deletion took it


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
    key: bytes,
    key_version: int,
    context: RecordContext,
    data: Data,
    changes: Changes,
    *,
    source: Source | None = None,
    files: Files = (),
) -> bytes:
    """Seal a record's content under `record_key`."""
    content: dict[str, object] = {"data": data, "changes": changes}
    if source is not None:
        content["source"] = source.written()
    if files:
        content["files"] = [each.written() for each in files]
    padded = pad(orjson.dumps(content))
    return seal(key, padded, kind=Kind.RECORD, key_version=key_version, fields=context.fields())


def open_content(key: bytes, box: bytes, context: RecordContext) -> Content:
    """Invert `seal_record`.

    Raises:
        DecryptionError: it is not that version of that record, or not that key.
    """
    content = orjson.loads(unpad(open_box(key, box, kind=Kind.RECORD, fields=context.fields())))
    return Content(
        content["data"],
        content["changes"],
        Source.read(content.get("source")),
        tuple(AttachedFile.read(each) for each in content.get("files", ())),
    )


def open_record(key: bytes, box: bytes, context: RecordContext) -> tuple[Data, Changes]:
    """Open what readers other than the owner are given something of.

    Raises:
        DecryptionError: it is not that version of that record, or not that key.
    """
    content = open_content(key, box, context)
    return content.data, content.changes


def carry_changes(
    before: tuple[Data, Changes], data: Data, *, seq: int, at: datetime
) -> tuple[Changes, frozenset[str]]:
    """Return the change map after a write, and which attributes changed by it."""
    old, changes = before
    second = int(at.timestamp())
    if not changes:
        return {name: [seq, 1, second] for name in data}, frozenset(data)
    changed = frozenset(
        name for name in old.keys() | data.keys() if old.get(name) != data.get(name)
    )
    return changes | {
        name: [seq, changes.get(name, [0, 0, 0])[1] + 1, second] for name in changed
    }, changed


def merge_source(collection: str, data: Mapping[str, object]) -> bytes | None:
    """Return what makes two records of a collection the same one; None: nothing does.

    All records of a collection with cardinality one are the same one (P-21).
    """
    kind = CATALOGUE.collection(collection)
    if kind.cardinality is Cardinality.ONE:
        return collection.encode()
    return kind.merge_tag_source(data)


def index_key(collection_key: bytes) -> bytes:
    """Return the key of the tags of a collection, under one version of its key."""
    return derive(collection_key, COLLECTION_INDEX)


def merge_tag(key: bytes, source: bytes) -> bytes:
    """Return the tag, keyed with an index key, by which a record of a merge key is found again."""
    return hmac.digest(key, source, "sha256")[:MERGE_TAG_BYTES]


class RecordBoxes:
    """Seals and opens the records of one unlocked vault; lives for one request.

    A collection's key is unwrapped once, however many records it opens.
    """

    def __init__(self, vault_id: UUID, open_vault: OpenVault) -> None:
        self._vault_id = vault_id
        self._open_vault = open_vault
        self._keys: dict[tuple[str, int], bytes] = {}
        self._index_keys: dict[tuple[str, int], bytes] = {}
        self._history: bytes | None = None

    def open(self, row: Record) -> Content:
        """Open the present version of a record.

        Raises:
            DecryptionError: it is not what its row says.
        """
        author = Author(row.author_kind, row.author_id)
        context = self._context(row.collection, row.id, row.version, author, deleted=row.deleted)
        return open_content(self._key(row.collection, row.key_version), row.box, context)

    def seal(
        self,
        collection: str,
        record_id: UUID,
        version: int,
        author: Author,
        content: Content,
        *,
        deleted: bool,
        key_version: int,
    ) -> bytes:
        """Seal a version of a record under one version of its collection's key."""
        context = self._context(collection, record_id, version, author, deleted=deleted)
        key = self._key(collection, key_version)
        return seal_record(
            key,
            key_version,
            context,
            content.data,
            content.changes,
            source=content.source,
            files=content.files,
        )

    def supersede(self, row: Record, content: Content) -> bytes:
        """Seal a version that is being replaced under the history key.

        No grant wraps that key (P-21): a live token together with the database opens what the
        consent covers now, not what the owner replaced.
        """
        source = content.source.written() if content.source else None
        author_id = str(row.author_id) if row.author_id else None
        written: list[object] = [content.data, row.author_kind, author_id, source]
        if content.files:
            written.append([each.written() for each in content.files])
        return seal(
            self._history_key(),
            pad(orjson.dumps(written)),
            kind=Kind.RECORD,
            key_version=1,
            fields=self._history_fields(row.id, row.version),
        )

    def open_superseded(
        self, record_id: UUID, version: int, changed_at: datetime, box: bytes
    ) -> Superseded:
        """Invert `supersede`.

        Raises:
            DecryptionError: it is not that version of that record.
        """
        fields = self._history_fields(record_id, version)
        written = orjson.loads(
            unpad(open_box(self._history_key(), box, kind=Kind.RECORD, fields=fields))
        )
        if isinstance(written, dict):
            return Superseded(version, changed_at, written)
        data, kind, author_id, source, *files = written
        author = Author(kind, UUID(author_id) if author_id else None)
        named = tuple(AttachedFile.read(each) for several in files for each in several)
        return Superseded(version, changed_at, data, author, Source.read(source), named)

    def merge_tag(self, collection: str, key_version: int, source: bytes) -> bytes:
        """Return the keyed tag of a merge key, under one version of the collection's key."""
        key = self._index_keys.get((collection, key_version))
        if key is None:
            key = index_key(self._open_vault.key("collection", collection, key_version))
            self._index_keys[collection, key_version] = key
        return merge_tag(key, source)

    def _key(self, collection: str, version: int) -> bytes:
        key = self._keys.get((collection, version))
        if key is None:
            key = record_key(self._open_vault.key("collection", collection, version))
            self._keys[collection, version] = key
        return key

    def _history_key(self) -> bytes:
        if self._history is None:
            self._history = self._open_vault.key("history", str(self._vault_id), 1)
        return self._history

    def _context(
        self, collection: str, record_id: UUID, version: int, author: Author, *, deleted: bool
    ) -> RecordContext:
        deployment = self._open_vault.keys.deployment
        return RecordContext(
            deployment, self._vault_id, collection, record_id, version, author, deleted
        )

    def _history_fields(self, record_id: UUID, version: int) -> tuple[bytes, ...]:
        return (
            b"history",
            self._open_vault.keys.deployment,
            self._vault_id.bytes,
            record_id.bytes,
            version.to_bytes(8, "big"),
        )
