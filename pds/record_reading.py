"""Records as their owner reads them: one, some, a page, all of a collection, older versions."""

from __future__ import annotations

from collections.abc import Collection as Several
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.orm import Session

from pds.catalogue import CATALOGUE
from pds.errors import NotFoundError
from pds.events import VaultRef
from pds.ids import RecordId
from pds.keys import OpenVault
from pds.models import Record, RecordVersion, Vault
from pds.record_boxes import Author, Changes, Data, Files, RecordBoxes, Source, Superseded
from pds.store import Store

_EACH = 500  # rows that are read at once


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
    source: Source | None = None
    files: Files = field(default=(), repr=False)


@dataclass(frozen=True)
class RecordReader:
    """Reads the records of one unlocked vault."""

    store: Store
    vault: VaultRef
    open_vault: OpenVault

    @cached_property
    def boxes(self) -> RecordBoxes:
        """What seals and opens the records of this vault."""
        return RecordBoxes(self.vault.id, self.open_vault)

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
            return self.opened(row)

    def some(self, ids: Sequence[UUID]) -> list[Opened]:
        """Return records in the order of `ids`; what is not there, or deleted, is passed over."""
        query = select(Record).where(*self._mine(), Record.id.in_(ids), Record.deleted.is_(False))
        with self.store.read() as session:
            found = {row.id: self.opened(row) for row in session.scalars(query)}
        return [found[each] for each in ids if each in found]

    def latest(self, collection: str, *, offset: int = 0, limit: int = 50) -> list[Opened]:
        """Return records of a collection, latest change first.

        Raises:
            NotFoundError: the catalogue has no such collection.
        """
        CATALOGUE.collection(collection)
        # Skipping goes over the index alone; only the rows of the page are fetched.
        wanted = (
            select(Record.seq)
            .where(*self._mine(), Record.collection == collection, Record.deleted.is_(False))
            .order_by(Record.seq.desc())
            .offset(offset)
            .limit(limit)
        )
        query = (
            select(Record)
            .where(*self._mine(), Record.collection == collection, Record.seq.in_(wanted))
            .order_by(Record.seq.desc())
        )
        with self.store.read() as session:
            return [self.opened(row) for row in session.scalars(query)]

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
            found = [self.opened(row) for row in session.scalars(query)]
        return found[:limit], found[limit - 1].seq if len(found) > limit else None

    def all(self, collections: Iterable[str]) -> list[Opened]:
        """Return every record of some collections, oldest change first; opens them all."""
        query = (
            select(Record)
            .where(
                *self._mine(), Record.collection.in_(list(collections)), Record.deleted.is_(False)
            )
            .order_by(Record.seq)
        )
        with self.store.read() as session:
            return [self.opened(row) for row in session.scalars(query)]

    def history(self, record_id: UUID, *, limit: int = 1_000) -> list[Superseded]:
        """Return the superseded versions of a record, newest first."""
        query = (
            select(RecordVersion)
            .where(*self._versions(), RecordVersion.record_id == record_id)
            .order_by(RecordVersion.version.desc())
            .limit(limit)
        )
        with self.store.read() as session:
            return [
                self.boxes.open_superseded(row.record_id, row.version, row.changed_at, row.box)
                for row in session.scalars(query)
            ]

    def each(self, collection: str) -> Iterator[Opened]:
        """Yield the records of a collection, in batches that are read as they are asked for.

        Each comes once, as it stands when its batch is read; what is made later does not come.
        """
        query = (
            select(Record.id)
            .where(*self._mine(), Record.collection == collection, Record.deleted.is_(False))
            .order_by(Record.seq)
        )
        with self.store.read() as session:
            ids = list(session.scalars(query))
        for start in range(0, len(ids), _EACH):
            batch = ids[start : start + _EACH]
            with self.store.read() as session:
                rows = self._current(session, batch)
            yield from (
                self.opened(rows[each]) for each in batch if each in rows and not rows[each].deleted
            )

    def each_superseded(self) -> Iterator[tuple[UUID, Superseded]]:
        """Yield every superseded version with its record's id, in batches as `each` does."""
        place = (RecordVersion.record_id, RecordVersion.version)
        query = (
            select(RecordVersion)
            .where(
                RecordVersion.bucket == self.vault.bucket, RecordVersion.vault_id == self.vault.id
            )
            .order_by(*place)
            .limit(_EACH)
        )
        after: tuple[UUID, int] | None = None
        while True:
            page = query if after is None else query.where(tuple_(*place) > tuple_(*after))
            with self.store.read() as session:
                rows = list(session.scalars(page))
            for row in rows:
                yield (
                    row.record_id,
                    self.boxes.open_superseded(row.record_id, row.version, row.changed_at, row.box),
                )
            if len(rows) < _EACH:
                return
            after = rows[-1].record_id, rows[-1].version

    def versions(self, collection: str, ids: Sequence[UUID], *, through: int) -> dict[UUID, int]:
        """Return the versions of records that did not change after a sequence number."""
        query = select(Record.id, Record.version).where(
            *self._mine(),
            Record.collection == collection,
            Record.id.in_(ids),
            Record.deleted.is_(False),
            Record.seq <= through,
        )
        with self.store.read() as session:
            return dict(session.execute(query).all())

    def sequence(self) -> int:
        """Return the number of the vault's last write."""
        query = select(Vault.seq).where(
            Vault.bucket == self.vault.bucket, Vault.id == self.vault.id
        )
        with self.store.read() as session:
            return session.execute(query).scalar_one()

    def taken(self, ids: Sequence[UUID]) -> dict[UUID, Opened]:
        """Return which of some ids are records of this vault, deleted ones among them."""
        with self.store.read() as session:
            return {row.id: self.opened(row) for row in self._current(session, ids).values()}

    def made_at(self, records: Sequence[Opened]) -> dict[UUID, datetime]:
        """Return when some records were first written."""
        query = select(RecordVersion.record_id, RecordVersion.changed_at).where(
            *self._versions(),
            RecordVersion.version == 1,
            RecordVersion.record_id.in_([each.id for each in records if each.version > 1]),
        )
        with self.store.read() as session:
            first = dict(session.execute(query).all())
        return {each.id: first.get(each.id, each.changed_at) for each in records}

    def find_mergeable(self, collection: str, sources: Sequence[bytes]) -> dict[bytes, Opened]:
        """Return the records that already stand for given merge keys.

        The tag is keyed by the collection key, so older key versions are tried as well.
        """
        tags = {
            self.boxes.merge_tag(collection, version, source): source
            for version in self.open_vault.versions("collection", collection)
            for source in sources
        }
        query = select(Record).where(
            *self._mine(), Record.collection == collection, Record.merge_tag.in_(list(tags))
        )
        with self.store.read() as session:
            return {
                tags[row.merge_tag]: self.opened(row)
                for row in session.scalars(query)
                if row.merge_tag is not None
            }

    def opened(self, row: Record) -> Opened:
        """Open a row of this vault.

        Raises:
            DecryptionError: it is not what its columns say.
        """
        data, changes, source, files = self.boxes.open(row)
        return Opened(
            RecordId(row.id),
            row.collection,
            row.version,
            row.seq,
            row.changed_at,
            Author(row.author_kind, row.author_id),
            row.deleted,
            data,
            changes,
            source,
            files,
        )

    def _current(self, session: Session, ids: Sequence[UUID]) -> dict[UUID, Record]:
        found = session.scalars(select(Record).where(*self._mine(), Record.id.in_(ids)))
        return {row.id: row for row in found}

    def _versions(self) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return (
            RecordVersion.bucket == self.vault.bucket,
            RecordVersion.vault_id == self.vault.id,
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
