"""Imports into one unlocked vault, from staging to the last batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.orm import Session

from pds import importing
from pds.attachments import AttachmentService
from pds.clock import Clock
from pds.events import VaultRef
from pds.ids import random_uuid
from pds.importing import ImportOptions, Note
from pds.imports import undo
from pds.imports.archives import Archives
from pds.imports.choices import DUPLICATES, Ids, Outcome, compare
from pds.imports.columns import BankTables
from pds.imports.staging import CANDIDATES, UNDO, Staging, TickedError, new_report, notes
from pds.keys import OpenVault
from pds.models import ImportJob, StagedBatch
from pds.record_boxes import Data, Source
from pds.records import Draft, RecordService
from pds.store import Store

_EXAMPLES = 5


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
    vault: VaultRef
    open_vault: OpenVault
    records: RecordService
    attachments: AttachmentService

    @property
    def archives(self) -> Archives:
        """Archives of other stores, which are sealed as they come in."""
        return Archives(self.store, self._staging, self.attachments.files)

    @property
    def tables(self) -> BankTables:
        """Tables of banks, whose columns are asked for."""
        return BankTables(self.store, self._staging)

    def stage(self, format_name: str, data: bytes, *, own_card: bool = False) -> UUID:
        """Read a file and keep what it holds, sealed; nothing is a record yet.

        Raises:
            NotFoundError: there is no such format.
            ValidationFailedError: the file as a whole cannot be used; nothing is kept.
            LimitExceededError: it is too large, or holds too much.
        """
        result = importing.parse(format_name, data, options=ImportOptions(own_card=own_card))
        import_id = random_uuid()
        staged = self._staging.candidate_rows(result, import_id)
        job_row = self._staging.job_row(
            import_id,
            format_name,
            state="staged" if staged else "done",
            total=len(result.candidates),
            report=new_report(result),
        )

        def job(session: Session) -> None:
            session.execute(insert(ImportJob).values(**job_row))
            if staged:
                session.execute(insert(StagedBatch), staged)

        self.store.write(job)
        return import_id

    def preview(self, import_id: UUID) -> Preview:
        """Return the first candidates of each collection that wait, and how many are known."""
        with self.store.read() as session:
            batches = self._staging.batches(
                session, import_id, CANDIDATES, limit=_EXAMPLES * 2, is_last_first=False
            )
        examples: dict[str, list[Data]] = {}
        looked_at = known = 0
        for batch in batches:
            staged = self._staging.open_batch(batch)
            collection, found = staged["collection"], staged["records"]
            if collection in examples:
                continue
            examples[collection] = found[:_EXAMPLES]
            outcome = compare(self.records, collection, found, "mine")
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
            row = self._staging.job(session, import_id)
            can_undo = session.execute(
                select(exists().where(*self._staging.of(import_id), StagedBatch.kind == UNDO))
            ).scalar_one()
        report = self._staging.open_report(row.report_box, import_id)
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
            notes(report["skipped"]),
            notes(report["refused"]),
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
            row = self._staging.job(session, import_id)
            waiting = self._staging.batches(
                session, import_id, CANDIDATES, limit=1, is_last_first=False
            )
        if row.state == "undoing":
            undo.take_back(self.store, self._staging, self.records, import_id)
        elif waiting and row.state not in ("done", "cancelled"):
            self._take_over(row, waiting[0], duplicates)
        return self.progress(import_id)

    def cancel(self, import_id: UUID) -> None:
        """Drop what is not yet a record; repeating it changes nothing.

        Raises:
            NotFoundError: this vault has no such import.
        """
        with self.store.read() as session:
            row = self._staging.job(session, import_id)
        report = self._staging.open_report(row.report_box, import_id)

        def job(session: Session) -> None:
            self.archives.drop(session, report)
            session.execute(
                delete(StagedBatch).where(*self._staging.of(import_id), StagedBatch.kind != UNDO)
            )
            session.execute(
                update(ImportJob)
                .where(
                    *self._staging.named(import_id),
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
                    .where(
                        *self._staging.named(import_id),
                        ImportJob.state.in_(["done", "cancelled"]),
                    )
                    .values(state="undoing")
                )
            )
        return self.progress(import_id)

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

    def _take_over(self, row: ImportJob, batch: StagedBatch, duplicates: str | None) -> None:
        staged = self._staging.open_batch(batch)
        collection, candidates = staged["collection"], staged["records"]
        report = self._staging.open_report(row.report_box, row.id)
        if row.state == "staged" and duplicates in DUPLICATES:
            report["duplicates"] = duplicates
        choice = report.get("duplicates", DUPLICATES[0])
        ids = Ids([UUID(each) for each in staged["ids"]], row.id) if "ids" in staged else None
        origin = Source("import", row.format, row.id)
        outcome = compare(self.records, collection, candidates, choice, ids=ids, origin=origin)
        if any(staged.get("files", ())):
            self._with_files(outcome, origin, collection, staged["files"][0], report)
        undoing = self._staging.batch_row(row.id, batch.number, UNDO, undo.written(outcome))
        imported = report["imported"]
        imported[collection] = imported.get(collection, 0) + outcome.imported
        report["completed"] += outcome.completed
        report["known"] += outcome.known
        report["kept"] += outcome.kept
        done = row.done + len(candidates)
        values = {
            "state": "done" if done >= row.total else "running",
            "done": done,
            "report_box": self._staging.seal_report(report, row.id),
        }

        def tick(session: Session) -> None:
            self._staging.tick(session, batch)
            if done >= row.total:
                self.archives.drop(session, report)
            if outcome.drafts:
                session.execute(insert(StagedBatch).values(**undoing))
            session.execute(update(ImportJob).where(*self._staging.named(row.id)).values(**values))

        with suppress(TickedError):
            self.records.save_all(outcome.drafts, event="records.imported", also=tick)

    def _with_files(
        self,
        outcome: Outcome,
        origin: Source,
        collection: str,
        named: list[Any],
        report: dict[str, Any],
    ) -> None:
        """Add the files of the one record of a batch to what becomes of it."""
        there = outcome.there.get(0)
        files = self.archives.copy(self.attachments, report, there.files if there else (), named)
        if not files:
            return
        if not outcome.drafts and there:
            outcome.drafts = [Draft(collection, there.data, there.id, there.version, source=origin)]
            outcome.before[there.id] = there.data
        draft = outcome.drafts[0]
        all_files = (*(there.files if there else ()), *files)
        outcome.drafts = [replace(draft, files=all_files)]
        outcome.added[draft.id] = files

    @property
    def _staging(self) -> Staging:
        return Staging(self.clock, self.vault, self.open_vault)
