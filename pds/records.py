"""Records of a vault: written by their owner, with versions, tombstones and a change sequence.

Every write takes the vault's next sequence number under the vault's row lock, which is held to
commit, so the order of numbers is the order of commits (P-5). Boxes are sealed before the write
job, for the number that is expected; a job that finds another number writes nothing and the whole
is done again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar, cast
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from pds import sealed_files
from pds.catalogue import CATALOGUE, Cardinality
from pds.clock import Clock
from pds.errors import ConflictError, NotFoundError, VaultLockedError
from pds.events import EventSink, VaultEvent, VaultRef
from pds.ids import RecordId, new_record_id
from pds.models import CollectionKey, Record, RecordVersion, Vault
from pds.record_boxes import (
    OWNER,
    Author,
    Content,
    Data,
    Files,
    Source,
    carry_changes,
    merge_source,
)
from pds.record_reading import Opened, RecordReader, present
from pds.vaults import take_sequence

__all__ = ["BATCH_RECORDS", "Draft", "Opened", "RecordService", "present"]

T = TypeVar("T")

Also = Callable[[Session], None]

BATCH_RECORDS = 1_000
"""The most records that one log entry tells of (P-35)."""

_ATTEMPTS = 50
_PLACE = ("bucket", "vault_id", "id")


@dataclass(frozen=True, slots=True)
class Draft:
    """What a record is to become. `version` is the one that was seen; 0 makes a new record.

    Without `files` it keeps those it has; a deleted record keeps none.
    """

    collection: str
    data: Data = field(repr=False)  # validated by the catalogue
    id: RecordId = field(default_factory=new_record_id)
    version: int = 0
    deleted: bool = False
    author: Author = OWNER
    source: Source | None = None
    files: Files | None = field(default=None, repr=False)


def _nothing_else(_session: Session) -> None:
    pass


class _SequenceMovedError(Exception):
    """Another write to this vault came first."""


@dataclass(frozen=True)
class RecordService(RecordReader):
    """The owner's records of one unlocked vault."""

    clock: Clock
    sink: EventSink

    def save(self, draft: Draft) -> Opened:
        """Write one record.

        Raises:
            ConflictError: it is no longer at the version that was seen, or its singleton exists.
            NotFoundError: a version was named and there is no such record.
        """
        return self.save_all([draft], event="record.written")[0]

    def restore(self, record_id: UUID, *, version: int, older: int) -> Opened:
        """Write an older version of a record anew: nothing in between is lost.

        Raises:
            NotFoundError: there is no such record, or it never had that version.
            ConflictError: it has changed since it was seen.
        """
        found = self.get(record_id)
        before = next((each for each in self.history(record_id) if each.version == older), None)
        if before is None:
            raise NotFoundError
        source = Source("version", str(older))
        return self.save(Draft(found.collection, before.data, found.id, version, source=source))

    def delete(self, record_id: UUID, *, version: int) -> Opened:
        """Delete a record: a tombstone stays; a singleton is blanked (P-21).

        Raises:
            NotFoundError: there is no such record.
            ConflictError: it has changed since it was seen.
        """
        found = self.get(record_id)
        return self.delete_all(found.collection, {found.id: version})[0]

    def delete_all(self, collection: str, versions: Mapping[UUID, int]) -> list[Opened]:
        """Delete records of a collection at the versions that were seen, under one log entry.

        Raises:
            NotFoundError: one of them is not there.
            ConflictError: one of them has changed since.
        """
        single = CATALOGUE.collection(collection).cardinality is Cardinality.ONE
        drafts = [
            Draft(collection, {}, RecordId(record_id), version, deleted=not single, files=())
            for record_id, version in versions.items()
        ]
        return self.save_all(drafts, event="record.deleted", files_return=True)

    def save_all(
        self,
        drafts: Sequence[Draft],
        *,
        event: str,
        also: Also = _nothing_else,
        files_return: bool = False,
    ) -> list[Opened]:
        """Write records in one transaction, under one log entry (P-35: at most 1,000).

        Args:
            drafts: what to write; without any, only `also` runs.
            event: the name of the log entry.
            also: runs in the same transaction, under the vault's lock; what it raises undoes all.
            files_return: files that records lose stay for a time, to come back with them.

        Raises:
            ConflictError: one of them is no longer at the version that was seen.
            NotFoundError: a version was named and there is no such record in that collection, or
                a file of it is gone.
            VaultLockedError: the collection is newer than the vault's last unlock.
        """
        return self._retrying(
            lambda: self._save_all(drafts, event, also, files_return=files_return)
        )

    def _save_all(
        self, drafts: Sequence[Draft], event: str, also: Also, *, files_return: bool
    ) -> list[Opened]:
        now = self.clock.now()
        with self.store.read() as session:
            expected = session.execute(
                select(Vault.seq).where(
                    Vault.bucket == self.vault.bucket, Vault.id == self.vault.id
                )
            ).scalar_one()
            current = self._current(session, [draft.id for draft in drafts])
            versions = _current_key_versions(session, self.vault)
            if any(draft.collection not in versions for draft in drafts):
                raise VaultLockedError  # the next unlock makes its key
            self._refuse_second(session, drafts)
        written: list[Opened] = []
        rows: list[tuple[dict[str, object], Record | None]] = []
        history: list[dict[str, object]] = []
        changed: dict[str, frozenset[str]] = {}
        had: set[UUID] = set()
        lose = sealed_files.let_go if files_return else sealed_files.shred
        for offset, draft in enumerate(drafts, start=1):
            before = current.get(draft.id)
            if before is not None and before.collection != draft.collection:
                raise NotFoundError
            if (before.version if before else 0) != draft.version:
                raise ConflictError if before else NotFoundError
            replaced = None if before is None else self.opened(before)
            opened, row, names = self._prepare(
                draft, replaced, expected + offset, now, versions[draft.collection]
            )
            if before is not None and replaced is not None:
                history.append(self._superseded(before, replaced, with_files=files_return))
                had |= {each.id for each in replaced.files}
            written.append(opened)
            rows.append((row, before))
            changed[draft.collection] = changed.get(draft.collection, frozenset()) | names
        have = {each.id for opened in written for each in opened.files}
        entry = VaultEvent(
            event,
            now,
            collections=tuple(sorted(changed)),
            count=len(drafts),
            private=_told_to_the_log([row for row, _ in rows], history),
        )

        def job(session: Session) -> None:
            seq = take_sequence(session, self.vault, len(drafts))
            if seq != expected + len(drafts):
                raise _SequenceMovedError
            also(session)
            if not rows:
                return
            sealed_files.keep(session, self.vault, have - had)
            lose(session, self.vault, had - have, now=now)
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
            # Not through the session, which would map each row.
            session.connection().execute(insert(Record), new)
        changed = [row for row, before in rows if before is not None]
        if changed:
            written = [name for name in changed[0] if name not in _PLACE]
            statement = (
                update(Record)
                .where(*self._mine(), Record.id == bindparam("record_id"))
                .values({name: bindparam(f"new_{name}") for name in written})
            )
            session.connection().execute(
                statement,
                [
                    {f"new_{name}": row[name] for name in written} | {"record_id": row["id"]}
                    for row in changed
                ],
            )

    def _prepare(
        self, draft: Draft, before: Opened | None, seq: int, now: datetime, key_version: int
    ) -> tuple[Opened, dict[str, object], frozenset[str]]:
        old = (before.data, before.changes) if before else ({}, {})
        changes, names = carry_changes(old, draft.data, seq=seq, at=now)
        files = draft.files
        if files is None:
            files = before.files if before and not draft.deleted else ()
        version = draft.version + 1
        box = self.boxes.seal(
            draft.collection,
            draft.id,
            version,
            draft.author,
            Content(draft.data, changes, draft.source, files),
            deleted=draft.deleted,
            key_version=key_version,
        )
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
            else self.boxes.merge_tag(draft.collection, key_version, source),
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
            draft.source,
            files,
        )
        return after, row, names

    def _superseded(self, row: Record, before: Opened, *, with_files: bool) -> dict[str, object]:
        files = before.files if with_files else ()
        content = Content(before.data, before.changes, before.source, files)
        return {
            "bucket": row.bucket,
            "vault_id": row.vault_id,
            "record_id": row.id,
            "version": row.version,
            "changed_at": row.changed_at,
            "box": self.boxes.supersede(row, content),
        }

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


def _told_to_the_log(
    rows: Sequence[Mapping[str, object]], history: Sequence[Mapping[str, object]]
) -> dict[str, object]:
    """Return what the owner's part of the log tells of rows that were written (P-32).

    By the hash of its sealed box a row that is rolled back, removed or put back later is known, and
    so is that of the version that was superseded.
    """
    superseded = {each["record_id"]: [_digest(each)] for each in history}
    told: dict[str, object] = {
        "records": [
            [str(row["id"]), row["version"], _digest(row), *superseded.get(row["id"], [])]
            for row in rows
        ]
    }
    deleted = [str(row["id"]) for row in rows if row["deleted"]]
    return told | {"deleted": deleted} if deleted else told


def _digest(row: Mapping[str, object]) -> str:
    return hashlib.sha256(cast(bytes, row["box"])).hexdigest()


def _current_key_versions(session: Session, vault: VaultRef) -> Mapping[str, int]:
    query = select(CollectionKey.collection, CollectionKey.version).where(
        CollectionKey.bucket == vault.bucket,
        CollectionKey.vault_id == vault.id,
        CollectionKey.is_current.is_(True),
    )
    return dict(session.execute(query).all())
