"""Taking a file into the vault, in batches, so that progress shows and a crash loses nothing.

    stage      parse and validate the whole file; seal the candidates and the report to the vault
    hold       keep a bank's table, sealed, until its owner has said what the columns are
    advance    make records of the next batch and tick it off, in one transaction under one log
               entry (P-35); of an import that is being undone, take the next batch back
    undo       take back, batch by batch, what has not been changed since

Between two batches nothing is open: whoever has unlocked the vault calls `advance` until it is
done. Two who do so at once import each batch once.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, delete, exists, insert, select, update
from sqlalchemy.orm import Session

from pds import importing
from pds.catalogue import CATALOGUE, Cardinality
from pds.clock import Clock
from pds.crypto.labels import VAULT_STAGING, derive
from pds.crypto.sealed_box import Kind, open_box, pad, seal, unpad
from pds.errors import LimitExceededError, NotFoundError
from pds.events import EventSink, VaultRef
from pds.ids import random_uuid
from pds.importing import BankMapping, ImportOptions, ImportResult, Note, Position
from pds.importing.bank_csv import open_bank_csv
from pds.keys import OpenVault
from pds.models import ImportJob, StagedBatch
from pds.records import Data, Draft, RecordService, merge_source
from pds.store import Store

BATCH_RECORDS = 250

DUPLICATES = ("fill", "mine", "file")
"""What becomes of a record that is there already: its gaps are filled, it stays, it is replaced."""

_CANDIDATES, _UPLOAD, _UNDO = "candidates", "upload", "undo"
_EXAMPLES = 5
_MAPPINGS_LOOKED_AT = 50


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is, and what became of what was looked at so far.

    `imported`, `completed`, `known` and `kept` count candidates: new records; records that gained
    values; records that had all of it; records whose own values differ and were kept.
    """

    id: UUID
    format: str
    state: str  # mapping, staged, running, done, cancelled, undoing or undone
    total: int
    done: int
    imported: Mapping[str, int]
    completed: int
    known: int
    kept: int
    skipped: Sequence[Note]
    refused: Sequence[Note]
    found: Mapping[str, int]
    taken_back: int
    changed_since: int
    can_undo: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """The first candidates of an import, and how many of those looked at are known already."""

    examples: Sequence[tuple[str, Data]]  # collection, data
    looked_at: int
    known: int


@dataclass(frozen=True, slots=True)
class ImportService:
    """Imports into one unlocked vault."""

    store: Store
    clock: Clock
    sink: EventSink
    vault: VaultRef
    open_vault: OpenVault
    records: RecordService

    def stage(self, format_name: str, data: bytes, *, own_card: bool = False) -> UUID:
        """Read a file and keep what it holds, sealed; nothing is a record yet.

        Raises:
            NotFoundError: there is no such format.
            ValidationFailedError: the file as a whole cannot be used; nothing is kept.
            LimitExceededError: it is too large, or holds too much.
        """
        result = importing.parse(format_name, data, options=ImportOptions(own_card=own_card))
        import_id = random_uuid()
        staged = self._staged(result, import_id)
        job_row = self._job_row(
            import_id,
            format_name,
            state="staged" if staged else "done",
            total=len(result.candidates),
            report=_report(result),
        )

        def job(session: Session) -> None:
            session.execute(insert(ImportJob).values(**job_row))
            if staged:
                session.execute(insert(StagedBatch), staged)

        self.store.write(job)
        return import_id

    def hold(self, data: bytes) -> UUID:
        """Keep a bank's table until its owner has said what its columns are.

        Raises:
            ValidationFailedError: it is no table.
            LimitExceededError: it is too large.
        """
        if len(data) > importing.MAX_FILE_BYTES:
            raise LimitExceededError(f"a file of more than {importing.MAX_FILE_BYTES} bytes")
        text = open_bank_csv(data).table.text
        import_id = random_uuid()
        job_row = self._job_row(
            import_id,
            "bank_csv",
            state="mapping",
            total=0,
            report=_report(ImportResult((), (), ())),
        )
        upload = self._batch_row(import_id, 0, _UPLOAD, text)

        def job(session: Session) -> None:
            session.execute(insert(ImportJob).values(**job_row))
            session.execute(insert(StagedBatch).values(**upload))

        self.store.write(job)
        return import_id

    def held(self, import_id: UUID) -> bytes:
        """Return a table that waits for its columns, in UTF-8.

        Raises:
            NotFoundError: no such import waits for them.
        """
        with self.store.read() as session:
            row = session.get(StagedBatch, (self.vault.bucket, self.vault.id, import_id, 0))
        if row is None or row.kind != _UPLOAD:
            raise NotFoundError
        text: str = self._open(row.box, import_id, _what(_UPLOAD, 0))
        return text.encode()

    def kept_mapping(self, signature: str) -> BankMapping | None:
        """Return the mapping that was last kept for files with these columns."""
        query = (
            select(ImportJob.id, ImportJob.report_box)
            .where(
                ImportJob.bucket == self.vault.bucket,
                ImportJob.vault_id == self.vault.id,
                ImportJob.format == "bank_csv",
            )
            .order_by(ImportJob.created_at.desc())
            .limit(_MAPPINGS_LOOKED_AT)
        )
        with self.store.read() as session:
            rows = session.execute(query).all()
        for import_id, box in rows:
            kept = self._open(box, import_id, b"report").get("mapping")
            if kept and kept["signature"] == signature:
                return BankMapping(**kept["means"])
        return None

    def map_columns(self, import_id: UUID, mapping: BankMapping, *, keep: bool) -> None:
        """Stage a table by what its columns mean; `keep` remembers them for its bank's next file.

        Raises:
            NotFoundError: no such import waits for its columns.
            ValidationFailedError: the mapping finds no day or amount.
            LimitExceededError: the table holds too much.
        """
        data = self.held(import_id)
        result = importing.parse("bank_csv", data, options=ImportOptions(mapping=mapping))
        staged = self._staged(result, import_id)
        report = _report(result)
        if keep:
            signature = open_bank_csv(data).signature
            report["mapping"] = {"signature": signature, "means": mapping.written()}
        values = {
            "state": "staged" if staged else "done",
            "total": len(result.candidates),
            "report_box": self._seal(report, import_id, b"report"),
        }

        def job(session: Session) -> None:
            taken = session.execute(
                delete(StagedBatch)
                .where(*self._of(import_id), StagedBatch.kind == _UPLOAD)
                .returning(StagedBatch.number)
            ).one_or_none()
            if taken is None:
                raise NotFoundError
            session.execute(update(ImportJob).where(*self._is(import_id)).values(**values))
            if staged:
                session.execute(insert(StagedBatch), staged)

        self.store.write(job)

    def preview(self, import_id: UUID) -> Preview:
        """Return the first candidates of each collection that wait, and how many are known."""
        query = (
            select(StagedBatch)
            .where(*self._of(import_id), StagedBatch.kind == _CANDIDATES)
            .order_by(StagedBatch.number)
            .limit(_EXAMPLES * 2)
        )
        with self.store.read() as session:
            batches = session.scalars(query).all()
        examples: dict[str, list[Data]] = {}
        looked_at = known = 0
        for batch in batches:
            staged = self._open(batch.box, import_id, _what(batch.kind, batch.number))
            collection, found = staged["collection"], staged["records"]
            if collection in examples:
                continue
            examples[collection] = found[:_EXAMPLES]
            drafts, outcome = self._compare(collection, found, "mine")
            del drafts
            looked_at += len(found)
            known += outcome.known + outcome.kept
        return Preview(
            [(name, data) for name, several in examples.items() for data in several],
            looked_at,
            known,
        )

    def progress(self, import_id: UUID) -> Progress:
        """Return how far an import is.

        Raises:
            NotFoundError: this vault has no such import.
        """
        with self.store.read() as session:
            row = session.get(ImportJob, (self.vault.bucket, self.vault.id, import_id))
            can_undo = session.execute(
                select(exists().where(*self._of(import_id), StagedBatch.kind == _UNDO))
            ).scalar_one()
        if row is None:
            raise NotFoundError
        report = self._open(row.report_box, import_id, b"report")
        return Progress(
            row.id,
            row.format,
            row.state,
            row.total,
            row.done,
            report["imported"],
            report["completed"],
            report["known"],
            report["kept"],
            [_note_read(note) for note in report["skipped"]],
            [_note_read(note) for note in report["refused"]],
            report.get("found", {}),
            report.get("taken_back", 0),
            report.get("changed_since", 0),
            can_undo and row.state in ("done", "cancelled"),
        )

    def advance(self, import_id: UUID, *, duplicates: str | None = None) -> Progress:
        """Make records of the next batch; without one left it changes nothing.

        `duplicates` is one of `DUPLICATES`; the first batch's choice goes for all.

        Raises:
            NotFoundError: this vault has no such import.
            ConflictError: the vault is being written to from elsewhere; call again.
        """
        with self.store.read() as session:
            row = session.get(ImportJob, (self.vault.bucket, self.vault.id, import_id))
            batch = session.scalars(
                select(StagedBatch)
                .where(*self._of(import_id), StagedBatch.kind == _CANDIDATES)
                .order_by(StagedBatch.number)
                .limit(1)
            ).one_or_none()
        if row is None:
            raise NotFoundError
        if row.state == "undoing":
            self._take_back(import_id)
            return self.progress(import_id)
        if batch is None or row.state in ("done", "cancelled"):
            return self.progress(import_id)
        staged = self._open(batch.box, import_id, _what(_CANDIDATES, batch.number))
        report = self._open(row.report_box, import_id, b"report")
        if row.state == "staged" and duplicates in DUPLICATES:
            report["duplicates"] = duplicates
        choice = report.get("duplicates", DUPLICATES[0])
        drafts, outcome = self._compare(staged["collection"], staged["records"], choice)
        undo = self._batch_row(
            import_id,
            batch.number,
            _UNDO,
            {
                # What the import left in each record, as a hash, and what was there before.
                "written": [
                    [str(draft.id), _digest(draft.data), outcome.before.get(draft.id)]
                    for draft in drafts
                ]
            },
        )
        report["imported"][staged["collection"]] = (
            report["imported"].get(staged["collection"], 0) + outcome.imported
        )
        report["completed"] += outcome.completed
        report["known"] += outcome.known
        report["kept"] += outcome.kept
        box = self._seal(report, import_id, b"report")
        done = row.done + len(staged["records"])

        def tick(session: Session) -> None:
            ticked = session.execute(
                delete(StagedBatch)
                .where(
                    *self._of(import_id),
                    StagedBatch.number == batch.number,
                    StagedBatch.kind == _CANDIDATES,
                )
                .returning(StagedBatch.number)
            ).one_or_none()
            if ticked is None:
                raise _TickedError
            if drafts:
                session.execute(insert(StagedBatch).values(**undo))
            session.execute(
                update(ImportJob)
                .where(*self._is(import_id))
                .values(state="done" if done >= row.total else "running", done=done, report_box=box)
            )

        with suppress(_TickedError):
            self.records.save_all(drafts, event="records.imported", also=tick)
        return self.progress(import_id)

    def cancel(self, import_id: UUID) -> None:
        """Drop what is not yet a record; repeating it changes nothing.

        Raises:
            NotFoundError: this vault has no such import.
        """
        self.progress(import_id)

        def job(session: Session) -> None:
            session.execute(
                delete(StagedBatch).where(*self._of(import_id), StagedBatch.kind != _UNDO)
            )
            session.execute(
                update(ImportJob)
                .where(
                    *self._is(import_id),
                    ImportJob.state.in_(["mapping", "staged", "running"]),
                )
                .values(state="cancelled")
            )

        self.store.write(job)

    def undo(self, import_id: UUID) -> Progress:
        """Begin to take an import back; `advance` does it, batch by batch.

        Raises:
            NotFoundError: this vault has no such import.
        """
        if self.progress(import_id).can_undo:
            self.store.write(
                lambda session: session.execute(
                    update(ImportJob)
                    .where(*self._is(import_id), ImportJob.state.in_(["done", "cancelled"]))
                    .values(state="undoing")
                )
            )
        return self.progress(import_id)

    def _take_back(self, import_id: UUID) -> None:
        """Take back the last batch that is left; what was changed since stays as it is."""
        with self.store.read() as session:
            row = session.get(ImportJob, (self.vault.bucket, self.vault.id, import_id))
            batches = session.scalars(
                select(StagedBatch)
                .where(*self._of(import_id), StagedBatch.kind == _UNDO)
                .order_by(StagedBatch.number.desc())
                .limit(2)
            ).all()
        if row is None or not batches:
            return
        batch, is_last = batches[0], len(batches) == 1
        written = self._open(batch.box, import_id, _what(_UNDO, batch.number))["written"]
        removed, restored = self._reversed(written)
        report = self._open(row.report_box, import_id, b"report")
        report["taken_back"] = report.get("taken_back", 0) + len(removed) + len(restored)
        report["changed_since"] = (
            report.get("changed_since", 0) + len(written) - len(removed) - len(restored)
        )
        values = {
            "state": "undone" if is_last else "undoing",
            "report_box": self._seal(report, import_id, b"report"),
        }

        def tick(session: Session) -> None:
            ticked = session.execute(
                delete(StagedBatch)
                .where(*self._of(import_id), StagedBatch.number == batch.number)
                .returning(StagedBatch.number)
            ).one_or_none()
            if ticked is None:
                raise _TickedError
            session.execute(update(ImportJob).where(*self._is(import_id)).values(**values))

        # Of the log's words for writes none says both; after a crash between the two, what is
        # restored already counts as changed since.
        if restored:
            self.records.save_all(restored, event="record.written")
        with suppress(_TickedError):
            self.records.save_all(removed, event="record.deleted", also=tick)

    def _reversed(self, written: Sequence[Any]) -> tuple[list[Draft], list[Draft]]:
        """Return drafts that remove and that restore what is still as the import left it."""
        removed: list[Draft] = []
        restored: list[Draft] = []
        for record_id, left, before in written:
            try:
                found = self.records.get(UUID(record_id))
            except NotFoundError:
                continue
            if _digest(found.data) != left:
                continue
            if before is not None:
                restored.append(Draft(found.collection, before, found.id, found.version))
            else:
                single = CATALOGUE.collection(found.collection).cardinality is Cardinality.ONE
                removed.append(
                    Draft(found.collection, {}, found.id, found.version, deleted=not single)
                )
        return removed, restored

    def recent(self, *, limit: int = 20) -> list[Progress]:
        """Return the latest imports, newest first."""
        query = (
            select(ImportJob.id)
            .where(ImportJob.bucket == self.vault.bucket, ImportJob.vault_id == self.vault.id)
            .order_by(ImportJob.created_at.desc())
            .limit(limit)
        )
        with self.store.read() as session:
            found = list(session.scalars(query))
        return [self.progress(import_id) for import_id in found]

    def _compare(
        self, collection: str, candidates: Sequence[Data], choice: str
    ) -> tuple[list[Draft], _Outcome]:
        sources = [merge_source(collection, data) for data in candidates]
        existing = self.records.find_mergeable(collection, [one for one in sources if one])
        drafts: dict[bytes | int, Draft] = {}
        outcome = _Outcome()
        for position, (data, source) in enumerate(zip(candidates, sources, strict=True)):
            key = source or position
            draft, found = drafts.get(key), existing.get(source) if source else None
            if draft is None and found is None:
                drafts[key] = Draft(collection, data)
                outcome.imported += 1
                continue
            before: Data = draft.data if draft else found.data if found else {}
            # Owners keep their data: an import overwrites nothing unless they choose that it does.
            merged = _merged(before, data, choice)
            differs = any(before[name] != value for name, value in data.items() if name in before)
            if differs and choice != "file":
                outcome.kept += 1
            elif merged == before:
                outcome.known += 1
            else:
                outcome.completed += 1
            if merged == before:
                continue
            if found is not None:
                outcome.before.setdefault(found.id, found.data)
            if draft is not None:
                drafts[key] = Draft(collection, merged, draft.id, draft.version)
            elif found is not None:
                drafts[key] = Draft(collection, merged, found.id, found.version)
        return list(drafts.values()), outcome

    def _staged(self, result: ImportResult, import_id: UUID) -> list[dict[str, object]]:
        # A batch is of one collection: its merge keys are looked up in one query.
        by_collection: dict[str, list[Data]] = {}
        for candidate in result.candidates:
            by_collection.setdefault(candidate.collection, []).append(dict(candidate.data))
        batches = [
            {"collection": collection, "records": found[start : start + BATCH_RECORDS]}
            for collection, found in by_collection.items()
            for start in range(0, len(found), BATCH_RECORDS)
        ]
        return [
            self._batch_row(import_id, number, _CANDIDATES, batch)
            for number, batch in enumerate(batches)
        ]

    def _batch_row(
        self, import_id: UUID, number: int, kind: str, content: object
    ) -> dict[str, object]:
        return {
            "bucket": self.vault.bucket,
            "vault_id": self.vault.id,
            "import_id": import_id,
            "number": number,
            "kind": kind,
            "box": self._seal(content, import_id, _what(kind, number)),
        }

    def _job_row(
        self, import_id: UUID, format_name: str, *, state: str, total: int, report: object
    ) -> dict[str, object]:
        return {
            "bucket": self.vault.bucket,
            "vault_id": self.vault.id,
            "id": import_id,
            "format": format_name,
            "state": state,
            "total": total,
            "done": 0,
            "report_box": self._seal(report, import_id, b"report"),
            "created_at": self.clock.now(),
        }

    def _seal(self, content: object, import_id: UUID, what: bytes) -> bytes:
        return seal(
            self._key(),
            pad(orjson.dumps(content)),
            kind=Kind.STAGED,
            key_version=1,
            fields=self._fields(import_id, what),
        )

    def _open(self, box: bytes, import_id: UUID, what: bytes) -> Any:  # noqa: ANN401 - JSON
        fields = self._fields(import_id, what)
        return orjson.loads(unpad(open_box(self._key(), box, kind=Kind.STAGED, fields=fields)))

    def _key(self) -> bytes:
        return derive(self.open_vault.vrk, VAULT_STAGING)

    def _fields(self, import_id: UUID, what: bytes) -> tuple[bytes, ...]:
        vault = self.open_vault.keys
        return b"import", vault.deployment, vault.vault_id.bytes, import_id.bytes, what

    def _is(self, import_id: UUID) -> tuple[ColumnElement[bool], ...]:
        return (
            ImportJob.bucket == self.vault.bucket,
            ImportJob.vault_id == self.vault.id,
            ImportJob.id == import_id,
        )

    def _of(self, import_id: UUID) -> tuple[ColumnElement[bool], ...]:
        return (
            StagedBatch.bucket == self.vault.bucket,
            StagedBatch.vault_id == self.vault.id,
            StagedBatch.import_id == import_id,
        )


class _TickedError(Exception):
    """Another tab was first; it has counted this batch."""


@dataclass(slots=True)
class _Outcome:
    imported: int = 0
    completed: int = 0
    known: int = 0
    kept: int = 0
    before: dict[UUID, Data] = field(default_factory=dict)


def _what(kind: str, number: int) -> bytes:
    # Candidates are bound to their number alone, as they were when there was nothing else.
    return b"%d" % number if kind == _CANDIDATES else b"%s/%d" % (kind.encode(), number)


def _digest(data: Data) -> str:
    written = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(written).hexdigest()[:32]


def _merged(before: Data, data: Data, choice: str) -> Data:
    if choice == "mine":
        return before
    return before | data if choice == "file" else data | before


def _report(result: ImportResult) -> dict[str, object]:
    return {
        "found": Counter(candidate.collection for candidate in result.candidates),
        "imported": {},
        "completed": 0,
        "known": 0,
        "kept": 0,
        "skipped": [_note_written(note) for note in result.skipped],
        "refused": [_note_written(note) for note in result.refused],
    }


def _note_written(note: Note) -> list[str | int]:
    position = note.position
    return [position.unit, position.number, note.code, note.detail, position.file]


def _note_read(written: list[Any]) -> Note:
    unit, number, code, detail, *file = written
    return Note(Position(unit, number, *file), code, detail)
