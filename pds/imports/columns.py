"""A bank's table that waits, sealed, until its owner has said what its columns are."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from pds import importing
from pds.errors import LimitExceededError, NotFoundError
from pds.ids import random_uuid
from pds.importing import BankMapping, ImportOptions, ImportResult
from pds.importing.bank_csv import open_bank_csv
from pds.imports.staging import UPLOAD, Staging, new_report
from pds.models import ImportJob, StagedBatch
from pds.store import Store

_MAPPINGS_LOOKED_AT = 50


@dataclass(frozen=True, slots=True)
class BankTables:
    """Tables of banks on their way into one unlocked vault."""

    store: Store
    staging: Staging

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
        job_row = self.staging.job_row(
            import_id,
            "bank_csv",
            state="mapping",
            total=0,
            report=new_report(ImportResult((), (), ())),
        )
        upload = self.staging.batch_row(import_id, 0, UPLOAD, text)

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
        vault = self.staging.vault
        with self.store.read() as session:
            row = session.get(StagedBatch, (vault.bucket, vault.id, import_id, 0))
        if row is None or row.kind != UPLOAD:
            raise NotFoundError
        text: str = self.staging.open_batch(row)
        return text.encode()

    def kept_mapping(self, signature: str) -> BankMapping | None:
        """Return the mapping that was last kept for files with these columns."""
        vault = self.staging.vault
        query = (
            select(ImportJob.id, ImportJob.report_box)
            .where(
                ImportJob.bucket == vault.bucket,
                ImportJob.vault_id == vault.id,
                ImportJob.format == "bank_csv",
            )
            .order_by(ImportJob.created_at.desc())
            .limit(_MAPPINGS_LOOKED_AT)
        )
        with self.store.read() as session:
            rows = session.execute(query).all()
        for import_id, box in rows:
            kept = self.staging.open_report(box, import_id).get("mapping")
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
        staged = self.staging.candidate_rows(result, import_id)
        report = new_report(result)
        if keep:
            signature = open_bank_csv(data).signature
            report["mapping"] = {"signature": signature, "means": mapping.written()}
        values = {
            "state": "staged" if staged else "done",
            "total": len(result.candidates),
            "report_box": self.staging.seal_report(report, import_id),
        }

        def job(session: Session) -> None:
            taken = session.execute(
                delete(StagedBatch)
                .where(*self.staging.of(import_id), StagedBatch.kind == UPLOAD)
                .returning(StagedBatch.number)
            ).one_or_none()
            if taken is None:
                raise NotFoundError
            session.execute(
                update(ImportJob).where(*self.staging.named(import_id)).values(**values)
            )
            if staged:
                session.execute(insert(StagedBatch), staged)

        self.store.write(job)
