"""Records that were deleted, and how they come back (P-21).

A deletion is a version; taking it back is the next one. The tombstone stays in the history, and
whoever may read the record is told of both (P-22). Its files come back with it for a time
(`pds.sealed_files.RETURNABLE`, ADR 0038).

What was made again since, by an import or by hand, is not brought back beside it: two records would
have one merge key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from pds import sealed_files
from pds.catalogue import CATALOGUE, Cardinality
from pds.events import VaultRef
from pds.ids import RecordId
from pds.models import Record, RecordVersion
from pds.record_boxes import Author, Data, Files, Source, merge_source
from pds.records import BATCH_RECORDS, Draft, RecordService
from pds.store import Store

_SINGLE = [
    kind.name for kind in CATALOGUE.collections.values() if kind.cardinality is Cardinality.ONE
]

_MOST_DIGITS = 18  # what a store's 64 bits have room for


@dataclass(frozen=True, slots=True)
class Deleted:
    """A deleted record with what it held before; `version` and `seq` are those of its deletion."""

    id: RecordId
    collection: str
    version: int
    seq: int
    deleted_at: datetime
    author: Author
    data: Data = field(repr=False)
    files: Files = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Undone:
    """How many records came back, and how many did not, for they are there again.

    `left` is the last sequence number that is still to be looked at; None: all is done.
    """

    restored: int = 0
    there_again: int = 0
    left: int | None = None


@dataclass(frozen=True, slots=True)
class DeletedService:
    """The deleted records of one unlocked vault."""

    store: Store
    vault: VaultRef
    records: RecordService

    def count(self) -> int:
        """Return how many records are deleted."""
        query = select(func.count()).where(*self._mine(), Record.deleted.is_(True))
        with self.store.read() as session:
            return session.execute(query).scalar_one()

    def latest(self, *, offset: int = 0, limit: int = 50) -> list[Deleted]:
        """Return deleted records, the latest deletion first."""
        with self.store.read() as session:
            return self._read(session, Record.deleted.is_(True), offset=offset, limit=limit)

    def undo(self, first: int, last: int, *, limit: int = BATCH_RECORDS) -> Undone:
        """Bring back what was deleted between two sequence numbers, both inclusive.

        A single record that was blanked is filled in again. What has changed since stays as it is,
        and what was made again since is not brought back. At most `limit` are looked at, from the
        last on; repeating it changes nothing.

        Raises:
            ConflictError: one of them was changed meanwhile.
        """
        with self.store.read() as session:
            is_deleted = or_(Record.deleted.is_(True), Record.collection.in_(_SINGLE))
            found = self._read(session, is_deleted, Record.seq.between(first, last), limit=limit)
            ids = {file.id for each in found for file in each.files}
            now = self.records.clock.now()
            files = sealed_files.returnable(session, self.vault, ids, now=now) if ids else ids
        again = self._made_again(found)
        drafts = [
            Draft(
                each.collection,
                each.data,
                each.id,
                each.version,
                source=Source("version", str(each.version - 1)),
                files=tuple(file for file in each.files if file.id in files),
            )
            for each in found
            if each.id not in again
        ]
        if drafts:
            self.records.save_all(drafts, event="record.written")
        left = found[-1].seq - 1 if len(found) == limit else None
        return Undone(len(drafts), len(again), left)

    def _made_again(self, found: Sequence[Deleted]) -> set[UUID]:
        """Return which deleted records are there again, made after they were deleted.

        One that was alike before, as two people of one name are, stands for itself.
        """
        alike: dict[str, dict[bytes, list[Deleted]]] = {}
        for each in found:
            source = merge_source(each.collection, each.data)
            if source is not None:
                alike.setdefault(each.collection, {}).setdefault(source, []).append(each)
        again: set[UUID] = set()
        for collection, sources in alike.items():
            there = self.records.find_mergeable(collection, list(sources))
            made_at = self.records.made_at(list(there.values()))
            again |= {
                each.id
                for source, one in there.items()
                for each in sources[source]
                if one.id != each.id and made_at[one.id] > each.deleted_at
            }
        return again

    def _read(
        self, session: Session, *where: ColumnElement[bool], limit: int, offset: int = 0
    ) -> list[Deleted]:
        query = (
            select(Record, RecordVersion)
            .join(
                RecordVersion,
                and_(
                    RecordVersion.bucket == Record.bucket,
                    RecordVersion.vault_id == Record.vault_id,
                    RecordVersion.record_id == Record.id,
                    RecordVersion.version == Record.version - 1,
                ),
            )
            .where(*self._mine(), *where)
            .order_by(Record.seq.desc())
            .offset(offset)
            .limit(limit)
        )
        found = []
        for row, version in session.execute(query):
            before = self.records.boxes.open_superseded(
                row.id, version.version, version.changed_at, version.box
            )
            if row.deleted or not self.records.opened(row).data:
                found.append(
                    Deleted(
                        RecordId(row.id),
                        row.collection,
                        row.version,
                        row.seq,
                        row.changed_at,
                        Author(row.author_kind, row.author_id),
                        before.data,
                        before.files,
                    )
                )
        return found

    def _mine(self) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return Record.bucket == self.vault.bucket, Record.vault_id == self.vault.id


def named(text: str) -> tuple[int, int] | None:
    """Read `first-last`, as a page's address names what was deleted; None for anything else."""
    first, dash, last = text.partition("-")
    if not (dash and first.isdecimal() and last.isdecimal() and text.isascii()):
        return None
    if max(len(first), len(last)) > _MOST_DIGITS:
        return None
    return int(first), int(last)
