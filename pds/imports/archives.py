"""An archive of a store like this one on its way in: sealed as it is, staged line by line.

The archive waits as a sealed file until its last record is in; files of records are copied out of
it, each under a key of its own, when its record's turn comes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from pds import sealed_files
from pds.attached_files import MOST_FILES, AttachedFile
from pds.attachments import AttachmentService
from pds.catalogue import CATALOGUE
from pds.crypto.sealed_stream import CHUNK_BYTES
from pds.errors import DecryptionError, LimitExceededError, NotFoundError, PDSError
from pds.ids import random_uuid
from pds.importing import ImportResult, Note, Position
from pds.importing.exports import ExportArchive, Line, Named
from pds.imports.staging import BATCH_RECORDS, CANDIDATES, Staging, new_report, note_written
from pds.models import ImportJob, StagedBatch
from pds.sealed_files import OpenFile, SealedFiles
from pds.store import Store

FORMAT = "export"
WAITS = timedelta(days=7)
"""How long an archive waits for the rest of its import; its records wait for longer."""

_MOST_NOTES = 1_000


@dataclass(frozen=True, slots=True)
class Archives:
    """Archives on their way into one unlocked vault."""

    store: Store
    staging: Staging
    files: SealedFiles

    def stage(self, file_id: UUID) -> UUID:
        """Read an archive that came in, and keep its records, sealed; none is a record yet.

        Raises:
            ValidationFailedError: it is no such archive, or damaged; nothing is kept.
            LimitExceededError: it holds too much.
        """
        import_id = random_uuid()
        report: dict[str, Any] = new_report(ImportResult((), (), ()))
        report["archive"] = str(file_id)
        # Nothing of it shows before the last batch is staged; what a crash leaves is cancelled.
        row = self.staging.job_row(import_id, FORMAT, state="cancelled", total=0, report=report)
        self.store.write(lambda session: session.execute(insert(ImportJob).values(**row)))
        try:
            total = self._stage(import_id, self._opened(file_id), report)
        except PDSError:
            self.store.write(lambda session: self._forget(session, import_id, file_id))
            raise
        values = {
            "state": "staged" if total else "done",
            "total": total,
            "report_box": self.staging.seal_report(report, import_id),
        }
        until = self.staging.clock.now() + WAITS

        def job(session: Session) -> None:
            session.execute(
                update(ImportJob).where(*self.staging.named(import_id)).values(**values)
            )
            sealed_files.keep_until(session, self.staging.vault, file_id, until)

        self.store.write(job)
        return import_id

    def drop(self, session: Session, report: Mapping[str, Any]) -> None:
        """Shred the archive of an import that ended, if it has one."""
        if "archive" in report:
            now = self.staging.clock.now()
            sealed_files.shred(session, self.staging.vault, [UUID(report["archive"])], now=now)

    def copy(
        self,
        attachments: AttachmentService,
        report: dict[str, Any],
        there: tuple[AttachedFile, ...],
        named: Iterable[list[Any]],
    ) -> tuple[AttachedFile, ...]:
        """Copy files out of the archive; what does not come along is noted in the report."""
        known = {each.sha256 for each in there}
        wanted = [each for each in map(_named, named) if each.sha256 not in known]
        if not wanted:
            return ()
        try:
            archive = self._opened(UUID(report["archive"]))
        except (PDSError, KeyError):
            archive = None
        copied: list[AttachedFile] = []
        for each in wanted:
            one = None
            if archive is not None and len(there) + len(copied) < MOST_FILES:
                one = self._copied(attachments, archive, each)
            if one is not None:
                copied.append(one)
            else:
                note = Note(Position("file", 1, each.name[:80]), "file_not_copied")
                _note(report, "refused", [note])
        return tuple(copied)

    def _copied(
        self, attachments: AttachmentService, archive: ExportArchive, named: Named
    ) -> AttachedFile | None:
        most = attachments.most_bytes
        writer = self.files.write(most_bytes=most)
        try:
            for part in archive.file(named):
                writer.write(part)
            if not writer.size_bytes:
                return None
            return attachments.attached(named.name, writer.finish())
        except (NotFoundError, LimitExceededError, DecryptionError):
            writer.drop()
            return None

    def _stage(self, import_id: UUID, archive: ExportArchive, report: dict[str, Any]) -> int:
        number = total = 0
        for collection, lines in _batches(archive.lines(), report):
            content = {
                "collection": collection,
                "records": [line.data for line in lines],
                "ids": [str(line.id) for line in lines],
                "files": [_written(line) for line in lines],
            }
            row = self.staging.batch_row(import_id, number, CANDIDATES, content)
            self.store.write(lambda session, row=row: session.execute(insert(StagedBatch), [row]))  # type: ignore[misc]  # bound now
            found = report["found"]
            found[collection] = found.get(collection, 0) + len(lines)
            number, total = number + 1, total + len(lines)
        report["skipped"].insert(0, note_written(Note(Position("file", 1), "proofs_stay")))
        return total

    def _forget(self, session: Session, import_id: UUID, file_id: UUID) -> None:
        session.execute(delete(StagedBatch).where(*self.staging.of(import_id)))
        session.execute(delete(ImportJob).where(*self.staging.named(import_id)))
        now = self.staging.clock.now()
        sealed_files.shred(session, self.staging.vault, [file_id], now=now)

    def _opened(self, file_id: UUID) -> ExportArchive:
        return ExportArchive(_SealedReader(self.files.open(file_id)))


class _SealedReader(io.RawIOBase):
    """Reads a sealed file from any place, a chunk at a time; each is bound to its place."""

    def __init__(self, opened: OpenFile) -> None:
        self._opened = opened
        self._at, self._number, self._chunk = 0, -1, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any buffer
        number, start = divmod(self._at, CHUNK_BYTES)
        most = min(len(buffer), self._size - self._at)
        if most <= 0:
            return 0
        if number != self._number:
            self._chunk, self._number = self._opened.chunk(number), number
        part = self._chunk[start : start + most]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    @property
    def _size(self) -> int:
        return self._opened.written.size_bytes


def _batches(lines: Iterator[Line], report: dict[str, Any]) -> Iterator[tuple[str, list[Line]]]:
    """Yield lines by collection in batches; one with files alone, so that each step is short."""
    held: list[Line] = []
    for line in lines:
        _note(report, "skipped", line.skipped)
        _note(report, "refused", line.refused)
        if line.data is None:
            continue
        is_alone = bool(line.files) and CATALOGUE.collection(line.collection).has_files
        if held and (
            is_alone or held[0].collection != line.collection or len(held) >= BATCH_RECORDS
        ):
            yield held[0].collection, held
            held = []
        if is_alone:
            yield line.collection, [line]
        else:
            held.append(line)
    if held:
        yield held[0].collection, held


def _note(report: dict[str, Any], name: str, noted: Sequence[Note]) -> None:
    room = max(0, _MOST_NOTES - len(report[name]))
    report[name] += [note_written(note) for note in noted[:room]]


def _written(line: Line) -> list[list[Any]]:
    return [[each.id, each.name, each.size_bytes, each.sha256] for each in line.files]


def _named(written: list[Any]) -> Named:
    return Named(*written)
