"""Archives of a store like this one (`pds.exporting`): read line by line, whoever made them.

Records keep their ids. What only a store may say of itself, such as `verified`, is left out, and so
are earlier versions and receipts: they are proof of what happened elsewhere, and stay in the file.
Each file is checked against the manifest as it is read; nothing is unpacked that is not asked for.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from pds.catalogue import CATALOGUE
from pds.errors import LimitExceededError, NotFoundError
from pds.exporting import FORMAT, MANIFEST, MEDIA_TYPE
from pds.importing.results import (
    Candidate,
    Findings,
    ImportResult,
    Note,
    Position,
    unusable_file,
)

MAX_MEMBERS = 100_000
MAX_DIRECTORY_BYTES = 16_777_216
MAX_RECORDS = 1_000_000
MAX_LINE_BYTES = 1_048_576
MAX_MANIFEST_BYTES = 33_554_432
HEAD_BYTES = 200
_MAX_INTEGER = 2**63 - 1  # JSON that is staged has room for no more
_PART = 262_144
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, KeyError)
# What zipfile raises for headers that contradict each other has no common class.


@dataclass(frozen=True, slots=True)
class Named:
    """A file that a record of the archive names; its size and hash are what the record says."""

    id: str
    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Line:
    """A record of the archive, validated; `data` is None if it could not be used."""

    collection: str
    id: UUID | None
    data: Mapping[str, object] | None
    files: tuple[Named, ...]
    skipped: tuple[Note, ...]
    refused: tuple[Note, ...]


def recognise(head: bytes) -> bool:
    """Tell an archive by its first bytes: the type stands in its first file, unpacked."""
    return head.startswith(b"PK\x03\x04") and MEDIA_TYPE.encode() in head[:HEAD_BYTES]


def read_export(data: bytes) -> ImportResult:
    """Read the records of an archive that is in memory.

    Raises:
        ValidationFailedError: it is no such archive, or not as it was made.
        LimitExceededError: it holds too much.
    """
    findings = Findings()
    for line in ExportArchive(io.BytesIO(data)).lines():
        findings.skipped += line.skipped
        findings.refused += line.refused
        if line.data is not None:
            findings.count_item()
            position = Position("line", 1, line.collection)
            findings.candidates.append(Candidate(line.collection, line.data, position))
    return findings.result()


class ExportArchive:
    """An archive that is open for reading."""

    def __init__(self, file: io.RawIOBase | io.BytesIO) -> None:
        """Read its list of files.

        Raises:
            ValidationFailedError: it is no such archive.
            LimitExceededError: it holds too many files.
        """
        try:
            self._zip = zipfile.ZipFile(_InBounds(file))
        except _BROKEN as error:
            raise unusable_file("damaged") from error
        if len(self._zip.infolist()) > MAX_MEMBERS:
            raise LimitExceededError(f"more than {MAX_MEMBERS} files in one archive")
        self._paths = {
            path.split("/")[1]: path for path in self._zip.namelist() if path.startswith("files/")
        }

    def lines(self) -> Iterator[Line]:
        """Yield every record, by collection.

        Raises:
            ValidationFailedError: it is no such archive, or a file of records is not what the
                manifest says.
            LimitExceededError: there are too many.
        """
        hashes = self._manifest()
        count = 0
        for path in self._zip.namelist():
            if not (path.startswith("records/") and path.endswith(".jsonl")):
                continue
            collection = path.removeprefix("records/").removesuffix(".jsonl")
            for number, line in enumerate(self._jsonl(path, hashes.get(path)), start=1):
                count += 1
                if count > MAX_RECORDS:
                    raise LimitExceededError(f"more than {MAX_RECORDS} records in one archive")
                yield _line(collection, line, Position("line", number, path))

    def file(self, named: Named) -> Iterator[bytes]:
        """Yield what a file of a record holds, of which there is no more than the record says.

        Raises:
            NotFoundError: the archive does not have it, or it is another.
        """
        path = self._paths.get(named.id)
        if path is None:
            raise NotFoundError
        digest, left = hashlib.sha256(), named.size_bytes
        try:
            with self._zip.open(path) as file:
                while left >= 0 and (part := file.read(min(_PART, left + 1))):
                    left -= len(part)
                    digest.update(part)
                    yield part
        except _BROKEN as error:
            raise NotFoundError from error
        if left or digest.hexdigest() != named.sha256:
            raise NotFoundError

    def _manifest(self) -> dict[object, object]:
        try:
            parsed: Any = orjson.loads(self._whole(MANIFEST, MAX_MANIFEST_BYTES))
            is_known = parsed["format"] == FORMAT
            hashes = {each["path"]: each["sha256"] for each in parsed["files"]}
        except (*_BROKEN, TypeError) as error:
            raise unusable_file("damaged") from error
        if not is_known:
            raise unusable_file("not_this_format", FORMAT)
        return hashes

    def _jsonl(self, path: str, sha256: object) -> Iterator[bytes]:
        digest = hashlib.sha256()
        try:
            with self._zip.open(path) as file:
                while line := file.readline(MAX_LINE_BYTES + 1):
                    if len(line) > MAX_LINE_BYTES:
                        raise LimitExceededError(f"a line of more than {MAX_LINE_BYTES} bytes")
                    digest.update(line)
                    yield line
        except _BROKEN as error:
            raise unusable_file("damaged") from error
        if digest.hexdigest() != sha256:
            raise unusable_file("damaged")

    def _whole(self, path: str, most: int) -> bytes:
        with self._zip.open(path) as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise LimitExceededError(f"a file of more than {most} bytes")
        return content


class _InBounds(io.BufferedReader):
    """Refuses to read much at once: `zipfile` reads a directory whole before it counts."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY_BYTES:
            raise LimitExceededError(f"a list of files of more than {MAX_DIRECTORY_BYTES} bytes")
        return super().read(size)


def _line(collection: str, written: bytes, position: Position) -> Line:
    findings = Findings()
    try:
        parsed: Any = orjson.loads(written)
        record_id, given = UUID(parsed["id"]), dict(parsed["data"].items())
        files = tuple(map(_named, parsed.get("files", ())))
        fields = CATALOGUE.collection(collection).fields
    except NotFoundError:
        findings.refuse(position, "entry_unreadable")
        return Line(collection, None, None, (), (), tuple(findings.refused))
    except (ValueError, TypeError, KeyError, AttributeError):
        findings.refuse(position, "line_unreadable")
        return Line(collection, None, None, (), (), tuple(findings.refused))
    said = [name for name in given if name in fields and not fields[name].editable]
    unknown = sorted(set(given) - fields.keys())
    for name in (*said, *unknown):
        del given[name]
    if unknown:
        findings.skip(position, "properties_dropped", ", ".join(unknown)[:200])
    is_offered = findings.offer(collection, given, position)
    data = findings.candidates[0].data if is_offered else None
    notes = tuple(findings.skipped), tuple(findings.refused)
    return Line(collection, record_id, data, files if is_offered else (), *notes)


def _named(written: Mapping[str, Any]) -> Named:
    size = written["bytes"]
    if type(size) is not int or not 0 <= size <= _MAX_INTEGER:
        raise ValueError
    return Named(str(UUID(written["id"])), str(written["name"]), size, str(written["sha256"]))
