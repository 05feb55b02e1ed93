"""Taking a file into the vault, in batches, so that progress shows and a crash loses nothing.

    stage      parse and validate the whole file; seal the candidates and the report to the vault
    advance    make records of the next batch and tick it off, in one transaction under one log
               entry (P-35)

Between two batches nothing is open: whoever has unlocked the vault calls `advance` until it is
done. Two who do so at once import each batch once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.orm import Session

from pds import importing
from pds.clock import Clock
from pds.crypto.labels import VAULT_STAGING, derive
from pds.crypto.sealed_box import Kind, open_box, pad, seal, unpad
from pds.errors import NotFoundError
from pds.events import EventSink, VaultRef
from pds.ids import random_uuid
from pds.importing import ImportOptions, Note, Position
from pds.keys import OpenVault
from pds.models import ImportJob, StagedBatch
from pds.records import Data, Draft, RecordService, merge_source
from pds.store import Store

BATCH_RECORDS = 250


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is, and what became of what was looked at so far.

    `imported`, `completed`, `known` and `kept` count candidates: new records; records that gained
    values; records that had all of it; records whose own values differ and were kept.
    """

    id: UUID
    format: str
    state: str  # staged, running, done or cancelled
    total: int
    done: int
    imported: Mapping[str, int]
    completed: int
    known: int
    kept: int
    skipped: Sequence[Note]
    refused: Sequence[Note]


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
        import_id, now = random_uuid(), self.clock.now()
        # A batch is of one collection: its merge keys are looked up in one query.
        by_collection: dict[str, list[Data]] = {}
        for candidate in result.candidates:
            by_collection.setdefault(candidate.collection, []).append(dict(candidate.data))
        batches = [
            (collection, found[start : start + BATCH_RECORDS])
            for collection, found in by_collection.items()
            for start in range(0, len(found), BATCH_RECORDS)
        ]
        report: dict[str, object] = {
            "imported": {},
            "completed": 0,
            "known": 0,
            "kept": 0,
            "skipped": [_note_written(note) for note in result.skipped],
            "refused": [_note_written(note) for note in result.refused],
        }
        common = {"bucket": self.vault.bucket, "vault_id": self.vault.id}
        staged = [
            common
            | {
                "import_id": import_id,
                "number": number,
                "box": self._seal(
                    {"collection": collection, "records": found}, import_id, b"%d" % number
                ),
            }
            for number, (collection, found) in enumerate(batches)
        ]
        job_row = common | {
            "id": import_id,
            "format": format_name,
            "state": "staged" if staged else "done",
            "total": len(result.candidates),
            "done": 0,
            "report_box": self._seal(report, import_id, b"report"),
            "created_at": now,
        }

        def job(session: Session) -> None:
            session.execute(insert(ImportJob).values(**job_row))
            if staged:
                session.execute(insert(StagedBatch), staged)

        self.store.write(job)
        return import_id

    def progress(self, import_id: UUID) -> Progress:
        """Return how far an import is.

        Raises:
            NotFoundError: this vault has no such import.
        """
        with self.store.read() as session:
            row = session.get(ImportJob, (self.vault.bucket, self.vault.id, import_id))
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
        )

    def advance(self, import_id: UUID) -> Progress:
        """Make records of the next batch; without one left it changes nothing.

        Raises:
            NotFoundError: this vault has no such import.
            ConflictError: the vault is being written to from elsewhere; call again.
        """
        with self.store.read() as session:
            row = session.get(ImportJob, (self.vault.bucket, self.vault.id, import_id))
            batch = session.scalars(
                select(StagedBatch)
                .where(*self._of(import_id))
                .order_by(StagedBatch.number)
                .limit(1)
            ).one_or_none()
        if row is None:
            raise NotFoundError
        if batch is None or row.state in ("done", "cancelled"):
            return self.progress(import_id)
        staged = self._open(batch.box, import_id, b"%d" % batch.number)
        drafts, outcome = self._compare(staged["collection"], staged["records"])
        report = self._open(row.report_box, import_id, b"report")
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
                .where(*self._of(import_id), StagedBatch.number == batch.number)
                .returning(StagedBatch.number)
            ).one_or_none()
            if ticked is None:
                raise _TickedError
            session.execute(
                update(ImportJob)
                .where(
                    ImportJob.bucket == self.vault.bucket,
                    ImportJob.vault_id == self.vault.id,
                    ImportJob.id == import_id,
                )
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
            session.execute(delete(StagedBatch).where(*self._of(import_id)))
            session.execute(
                update(ImportJob)
                .where(
                    ImportJob.bucket == self.vault.bucket,
                    ImportJob.vault_id == self.vault.id,
                    ImportJob.id == import_id,
                    ImportJob.state.in_(["staged", "running"]),
                )
                .values(state="cancelled")
            )

        self.store.write(job)

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

    def _compare(self, collection: str, candidates: Sequence[Data]) -> tuple[list[Draft], _Outcome]:
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
            # Owners keep their data: an import fills what is empty and overwrites nothing.
            merged = data | before
            if any(before.get(name) != value for name, value in data.items() if name in before):
                outcome.kept += 1
            elif merged == before:
                outcome.known += 1
            else:
                outcome.completed += 1
            if merged == before:
                continue
            if draft is not None:
                drafts[key] = Draft(collection, merged, draft.id, draft.version)
            elif found is not None:
                drafts[key] = Draft(collection, merged, found.id, found.version)
        return list(drafts.values()), outcome

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


def _note_written(note: Note) -> list[str | int]:
    return [note.position.unit, note.position.number, note.code, note.detail]


def _note_read(written: list[Any]) -> Note:
    unit, number, code, detail = written
    return Note(Position(unit, number), code, detail)
