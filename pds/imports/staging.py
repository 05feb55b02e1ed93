"""What an import keeps between two requests, sealed to the vault (P-20): its rows and its report.

A batch is bound to its import, its kind and its number; a report to its import.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from pds.clock import Clock
from pds.crypto.labels import VAULT_STAGING, derive
from pds.crypto.sealed_box import Kind, open_box, pad, seal, unpad
from pds.errors import NotFoundError
from pds.events import VaultRef
from pds.importing import ImportResult, Note, Position
from pds.keys import OpenVault
from pds.models import ImportJob, StagedBatch
from pds.record_boxes import Data

BATCH_RECORDS = 500

CANDIDATES, UPLOAD, UNDO = "candidates", "upload", "undo"
"""Kinds of batches: what is not a record yet; a file that waits; what undoes a batch."""


class TickedError(Exception):
    """Another tab was first; it has counted this batch."""


@dataclass(frozen=True, slots=True)
class Staging:
    """The rows of imports into one unlocked vault."""

    clock: Clock
    vault: VaultRef
    open_vault: OpenVault

    def job_row(
        self, import_id: UUID, format_name: str, *, state: str, total: int, report: object
    ) -> dict[str, object]:
        """Return the row of a new import."""
        return {
            "bucket": self.vault.bucket,
            "vault_id": self.vault.id,
            "id": import_id,
            "format": format_name,
            "state": state,
            "total": total,
            "done": 0,
            "report_box": self.seal_report(report, import_id),
            "created_at": self.clock.now(),
        }

    def batch_row(
        self, import_id: UUID, number: int, kind: str, content: object
    ) -> dict[str, object]:
        """Return the row of a batch."""
        return {
            "bucket": self.vault.bucket,
            "vault_id": self.vault.id,
            "import_id": import_id,
            "number": number,
            "kind": kind,
            "box": self._seal(content, import_id, _what(kind, number)),
        }

    def candidate_rows(self, result: ImportResult, import_id: UUID) -> list[dict[str, object]]:
        """Return the rows of all candidates, each batch of one collection."""
        # Merge keys are looked up by collection, so a batch takes one query.
        by_collection: dict[str, list[Data]] = {}
        for candidate in result.candidates:
            by_collection.setdefault(candidate.collection, []).append(dict(candidate.data))
        batches = [
            {"collection": collection, "records": found[start : start + BATCH_RECORDS]}
            for collection, found in by_collection.items()
            for start in range(0, len(found), BATCH_RECORDS)
        ]
        return [
            self.batch_row(import_id, number, CANDIDATES, batch)
            for number, batch in enumerate(batches)
        ]

    def job(self, session: Session, import_id: UUID) -> ImportJob:
        """Return the row of an import.

        Raises:
            NotFoundError: this vault has no such import.
        """
        row = session.get(ImportJob, (self.vault.bucket, self.vault.id, import_id))
        if row is None:
            raise NotFoundError
        return row

    def batches(
        self, session: Session, import_id: UUID, kind: str, *, limit: int, is_last_first: bool
    ) -> list[StagedBatch]:
        """Return batches of one kind, in their order or from their end."""
        number = StagedBatch.number
        query = (
            select(StagedBatch)
            .where(*self.of(import_id), StagedBatch.kind == kind)
            .order_by(number.desc() if is_last_first else number)
            .limit(limit)
        )
        return list(session.scalars(query))

    def tick(self, session: Session, batch: StagedBatch) -> None:
        """Take a batch off the list.

        Raises:
            TickedError: it is not there any more.
        """
        ticked = session.execute(
            delete(StagedBatch)
            .where(
                *self.of(batch.import_id),
                StagedBatch.number == batch.number,
                StagedBatch.kind == batch.kind,
            )
            .returning(StagedBatch.number)
        ).one_or_none()
        if ticked is None:
            raise TickedError

    def open_batch(self, row: StagedBatch) -> Any:  # noqa: ANN401 - JSON
        """Return what a batch holds."""
        return self._open(row.box, row.import_id, _what(row.kind, row.number))

    def seal_report(self, report: object, import_id: UUID) -> bytes:
        """Seal the report of an import."""
        return self._seal(report, import_id, b"report")

    def open_report(self, box: bytes, import_id: UUID) -> dict[str, Any]:
        """Return the report of an import."""
        report: dict[str, Any] = self._open(box, import_id, b"report")
        return report

    def named(self, import_id: UUID) -> tuple[ColumnElement[bool], ...]:
        """Return what picks the row of an import."""
        return (
            ImportJob.bucket == self.vault.bucket,
            ImportJob.vault_id == self.vault.id,
            ImportJob.id == import_id,
        )

    def of(self, import_id: UUID) -> tuple[ColumnElement[bool], ...]:
        """Return what picks the batches of an import."""
        return (
            StagedBatch.bucket == self.vault.bucket,
            StagedBatch.vault_id == self.vault.id,
            StagedBatch.import_id == import_id,
        )

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


def new_report(result: ImportResult) -> dict[str, object]:
    """Return the report of an import that has not begun."""
    return {
        "found": Counter(candidate.collection for candidate in result.candidates),
        "imported": {},
        "completed": 0,
        "known": 0,
        "kept": 0,
        "skipped": [note_written(note) for note in result.skipped],
        "refused": [note_written(note) for note in result.refused],
    }


def notes(written: list[list[Any]]) -> list[Note]:
    """Return notes of a report."""
    return [
        Note(Position(unit, number, *file), code, detail)
        for unit, number, code, detail, *file in written
    ]


def _what(kind: str, number: int) -> bytes:
    # Candidates are bound to their number alone, as they were when there was nothing else.
    return b"%d" % number if kind == CANDIDATES else b"%s/%d" % (kind.encode(), number)


def note_written(note: Note) -> list[str | int]:
    """Return a note as a report holds it."""
    position = note.position
    return [position.unit, position.number, note.code, note.detail, position.file]
