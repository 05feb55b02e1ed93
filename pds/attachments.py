"""Files of records: added, handed out, taken away; each a new version of its record.

A file is sealed as it comes in (`pds.sealed_files`); what makes it a record's is the record's box,
which names it with its hash. Both happen in one transaction, or the file expires.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from pds.attached_files import HEAD_BYTES, MOST_FILES, AttachedFile, media_type, plain_name
from pds.catalogue import CATALOGUE
from pds.clock import Clock
from pds.errors import DecryptionError, Issue, NotFoundError, ValidationFailedError
from pds.records import Draft, Opened, RecordService
from pds.sealed_files import OpenFile, SealedFiles, Written


@dataclass(frozen=True, slots=True)
class AttachmentService:
    """The files of the records of one unlocked vault."""

    clock: Clock
    records: RecordService
    files: SealedFiles
    most_bytes: int  # of one file

    def add(self, record: Opened, name: str, whole: Written) -> Opened:
        """Give a file that came in to a record.

        Raises:
            ValidationFailedError: it is empty, it is there already, there are too many, or records
                of this collection have none.
            ConflictError: the record has changed since it was read.
            NotFoundError: the file, or the record, is gone.
        """
        rule = _broken(record, whole)
        if rule:
            self.files.drop(whole.id)
            raise ValidationFailedError([Issue("file", rule, rule, {"most": MOST_FILES})])
        return self.records.save(_draft(record, (*record.files, self.attached(name, whole))))

    def attached(self, name: str, whole: Written) -> AttachedFile:
        """Return what a record says of a file that came in."""
        head = self.files.open(whole.id).chunk(0)[: min(HEAD_BYTES, whole.size_bytes)]
        plain = plain_name(name)
        return AttachedFile(
            whole.id,
            plain,
            media_type(head, plain),
            whole.size_bytes,
            whole.sha256,
            self.clock.now().replace(microsecond=0),
        )

    def open(self, record: Opened, file_id: UUID) -> tuple[AttachedFile, OpenFile]:
        """Return a file of a record, to be read.

        Raises:
            NotFoundError: the record has no such file, or its rows are gone.
            DecryptionError: it is not the file that the record names.
        """
        named = _named(record, file_id)
        return named, self.opened(named)

    def opened(self, named: AttachedFile) -> OpenFile:
        """Open a file that a record named, for reading.

        Raises:
            NotFoundError: its rows are gone.
            DecryptionError: it is not the file that the record names.
        """
        opened = self.files.open(named.id)
        if (opened.written.size_bytes, opened.written.sha256) != (named.size_bytes, named.sha256):
            raise DecryptionError
        return opened

    def remove(self, record: Opened, file_id: UUID) -> Opened:
        """Take a file away for ever: its key goes in the same transaction.

        Raises:
            NotFoundError: the record has no such file.
            ConflictError: the record has changed since it was read.
        """
        _named(record, file_id)
        return self.records.save(
            _draft(record, tuple(each for each in record.files if each.id != file_id))
        )


def _broken(record: Opened, whole: Written) -> str | None:
    if not CATALOGUE.collection(record.collection).has_files:
        return "no_files_here"
    if not whole.size_bytes:
        return "file_empty"
    if len(record.files) >= MOST_FILES:
        return "too_many_files"
    if any(each.sha256 == whole.sha256 for each in record.files):
        return "file_known"
    return None


def _named(record: Opened, file_id: UUID) -> AttachedFile:
    for each in record.files:
        if each.id == file_id:
            return each
    raise NotFoundError


def _draft(record: Opened, files: tuple[AttachedFile, ...]) -> Draft:
    draft = Draft(record.collection, record.data, record.id, record.version)
    return replace(draft, files=files)
