"""Importing files: bytes in, validated candidates and notes out.

Everything here is pure: no network, no disk, no clock (P-20). A file that is wrong or cut short
raises `ValidationFailedError` and yields nothing; a wrong thing inside a good file is noted and the
rest goes on. `FORMATS` is the registry that further formats join.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pds.catalogue import Wording
from pds.errors import LimitExceededError, NotFoundError
from pds.importing.charsets import without_bom
from pds.importing.ofx import read_ofx
from pds.importing.results import (
    MAX_FILE_BYTES,
    MAX_ITEMS,
    Candidate,
    ImportResult,
    Note,
    Position,
    file_message,
)
from pds.importing.vcard import read_vcard
from pds.importing.words import WORDS


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the owner says of a file: whether its card is the owner's own."""

    own_card: bool = False


@dataclass(frozen=True, slots=True)
class ImportFormat:
    """A kind of file; `marks` are byte strings that its beginning holds, in capitals."""

    name: str
    label: Wording
    extensions: tuple[str, ...]
    marks: tuple[bytes, ...]
    collections: tuple[str, ...]
    read: Callable[[bytes, ImportOptions], ImportResult]

    def detect(self, filename: str, head: bytes) -> bool:
        """Tell whether a file is of this format, by its first kilobytes, else by its name."""
        beginning = without_bom(head).upper()  # ascii
        ending = filename.rpartition(".")[2].lower()  # ascii
        return any(mark in beginning for mark in self.marks) or ending in self.extensions


FORMATS: Mapping[str, ImportFormat] = MappingProxyType(
    {
        each.name: each
        for each in (
            ImportFormat(
                name="vcard",
                label=WORDS["formats"]["vcard"],
                extensions=("vcf", "vcard"),
                marks=(b"BEGIN:VCARD",),
                collections=(
                    "address_book",
                    "profile",
                    "demographics",
                    "contact",
                    "addresses",
                ),
                read=lambda data, options: read_vcard(data, own_card=options.own_card),
            ),
            ImportFormat(
                name="ofx",
                label=WORDS["formats"]["ofx"],
                extensions=("ofx", "qfx"),
                marks=(b"OFXHEADER", b"<OFX>"),
                collections=("products", "transactions"),
                read=lambda data, _options: read_ofx(data),
            ),
        )
    }
)


def detect(filename: str, head: bytes) -> ImportFormat | None:
    """Return the format of a file by its name and first kilobytes, or None."""
    return next((each for each in FORMATS.values() if each.detect(filename, head)), None)


def parse(
    format_name: str, data: bytes, *, options: ImportOptions = ImportOptions()
) -> ImportResult:
    """Read a file of one of `FORMATS`.

    Raises:
        NotFoundError: there is no such format.
        ValidationFailedError: the file as a whole cannot be used; nothing is imported.
        LimitExceededError: more than `MAX_FILE_BYTES`, more than `MAX_ITEMS`, or nested too deep.
    """
    if format_name not in FORMATS:
        raise NotFoundError(f"no import format {format_name!r}")
    if len(data) > MAX_FILE_BYTES:
        raise LimitExceededError(f"a file of more than {MAX_FILE_BYTES} bytes")
    return FORMATS[format_name].read(data, options)


__all__ = [
    "FORMATS",
    "MAX_FILE_BYTES",
    "MAX_ITEMS",
    "Candidate",
    "ImportFormat",
    "ImportOptions",
    "ImportResult",
    "Note",
    "Position",
    "detect",
    "file_message",
    "parse",
]
