"""Zips and gzips, unpacked in memory within bounds; names inside are only ever compared or shown.

A zip bomb is refused by what comes out, not by what its headers claim: at most so many files, so
many bytes in all, and so many times the packed size. Archives inside archives stay closed.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from typing import IO

from pds.errors import LimitExceededError, ValidationFailedError
from pds.importing.results import Findings, ImportResult, Note, Position, unusable_file

FORMAT = "zip"

MAX_FILES = 5_000
MAX_UNPACKED_BYTES = 64_000_000
MAX_RATIO = 200
_SMALL = 8_000_000  # a ratio says nothing of a file this small: databases are mostly empty pages
_CHUNK = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1

Reader = Callable[[str, bytes], ImportResult | None]
"""Reads a file by its name and content; None: it is of no format that is known here."""


def gunzip(data: bytes) -> bytes:
    """Return what a gzip file holds.

    Raises:
        ValidationFailedError: it is damaged or cut short.
        LimitExceededError: it unpacks to more than `MAX_UNPACKED_BYTES`, or `MAX_RATIO` times.
    """
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = unpacker.decompress(data, MAX_UNPACKED_BYTES + 1)
    except zlib.error as error:
        raise unusable_file("damaged") from error
    _check(len(content), len(data), 0)
    if not unpacker.eof:
        raise unusable_file("truncated")
    return content


def read_archive(data: bytes, read: Reader) -> ImportResult:
    """Read every file of a zip that `read` knows, and name those that it cannot use.

    Raises:
        ValidationFailedError: it is no zip, or none of its files is known.
        LimitExceededError: it holds or unpacks to too much.
    """
    findings, known, others = Findings(), 0, 0
    for position, name, content in _files(data, findings):
        try:
            result = read(name, content)
        except ValidationFailedError as error:
            issue = error.issues[0]
            findings.refuse(position, issue.rule, str(issue.params.get("detail", "")))
            known += 1
            continue
        if result is None:
            others += 1
            continue
        known += 1
        findings.add(_within(position.file, result))
    if not known:
        raise unusable_file("nothing_known_inside")
    if others:
        findings.skip(Position("file", 1), "files_passed_over", str(others))
    return findings.result()


def _files(data: bytes, findings: Findings) -> Iterator[tuple[Position, str, bytes]]:
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeError, OSError) as error:
        raise unusable_file("damaged") from error
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > MAX_FILES:
        raise LimitExceededError(f"more than {MAX_FILES} files in one archive")
    total = 0
    for number, member in enumerate(members, start=1):
        position = Position("file", number, _shown(member.filename))
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _METHODS:
            findings.refuse(position, "file_locked")
            continue
        try:
            with archive.open(member) as file:
                content = _unpack(file, member.compress_size, total)
        # What zipfile raises for headers that contradict each other has no common class.
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError):
            findings.refuse(position, "damaged")
            continue
        total += len(content)
        yield position, member.filename, content


def _unpack(file: IO[bytes], packed: int, before: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := file.read(_CHUNK):
        size += len(piece)
        _check(size, packed, before)
        pieces.append(piece)
    return b"".join(pieces)


def _check(size: int, packed: int, before: int) -> None:
    if before + size > MAX_UNPACKED_BYTES:
        raise LimitExceededError(f"an archive of more than {MAX_UNPACKED_BYTES} bytes unpacked")
    if size > _SMALL and size > MAX_RATIO * max(packed, 1):
        raise LimitExceededError(f"a file that unpacks to more than {MAX_RATIO} times its size")


def _within(name: str, result: ImportResult) -> ImportResult:
    """Return a result whose positions name the file they are in."""

    def placed(position: Position) -> Position:
        return replace(position, file=name)

    def noted(note: Note) -> Note:
        return replace(note, position=placed(note.position))

    return ImportResult(
        tuple(replace(each, position=placed(each.position)) for each in result.candidates),
        tuple(map(noted, result.skipped)),
        tuple(map(noted, result.refused)),
    )


def _shown(name: str) -> str:
    """Return the last part of a name, short and printable: it is words, never a path."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter if letter.isprintable() else "?" for letter in last)[:80]
