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
from pds.importing import contacts_csv
from pds.importing.activity import read_activity
from pds.importing.archives import read_archive
from pds.importing.bank_csv import BankMapping, read_bank_csv
from pds.importing.bookmarks import read_bookmarks
from pds.importing.camt053 import read_camt053
from pds.importing.charsets import without_bom
from pds.importing.exports import read_export
from pds.importing.exports import recognise as recognise_export
from pds.importing.history import read_history
from pds.importing.icalendar import read_icalendar
from pds.importing.mt940 import read_mt940
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
from pds.importing.sqlite import MAGIC as SQLITE_MAGIC
from pds.importing.vcard import read_vcard
from pds.importing.words import WORDS

HEAD_BYTES = 4096
"""How much of a file `detect` wants to see."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the owner says of a file: whose card it is, and what its columns mean."""

    own_card: bool = False
    mapping: BankMapping | None = None


@dataclass(frozen=True, slots=True)
class ImportFormat:
    """A kind of file. `recognise` looks at its first kilobytes, `needs_mapping` asks the owner."""

    name: str
    label: Wording
    extensions: tuple[str, ...]
    recognise: Callable[[bytes], bool]
    collections: tuple[str, ...]
    read: Callable[[bytes, ImportOptions], ImportResult]
    needs_mapping: bool = False


def _holds(*marks: bytes) -> Callable[[bytes], bool]:
    """Recognise a file by a mark somewhere in its beginning, in any case."""

    def recognise(head: bytes) -> bool:
        beginning = without_bom(head).upper()  # ascii
        return any(mark in beginning for mark in marks)

    return recognise


def _holds_all(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda head: all(_holds(mark)(head) for mark in marks)


def _begins(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(marks)


def _member(name: str, content: bytes) -> ImportResult | None:
    """Read a file inside an archive; one that would need a mapping or is packed itself stays."""
    found = detect(name, content[:HEAD_BYTES])
    if found is None or found.needs_mapping or found.name in {"archive", "export"}:
        return None
    return found.read(content, ImportOptions())


FORMATS: Mapping[str, ImportFormat] = MappingProxyType(
    {
        each.name: each
        for each in (
            ImportFormat(
                name="vcard",
                label=WORDS["formats"]["vcard"],
                extensions=("vcf", "vcard"),
                recognise=_holds(b"BEGIN:VCARD"),
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
                name="contacts_csv",
                label=WORDS["formats"]["contacts_csv"],
                extensions=("csv",),
                recognise=contacts_csv.recognise,
                collections=("address_book",),
                read=lambda data, _options: contacts_csv.read_contacts_csv(data),
            ),
            ImportFormat(
                name="ofx",
                label=WORDS["formats"]["ofx"],
                extensions=("ofx", "qfx"),
                recognise=_holds(b"OFXHEADER", b"<OFX>"),
                collections=("products", "transactions"),
                read=lambda data, _options: read_ofx(data),
            ),
            ImportFormat(
                name="mt940",
                label=WORDS["formats"]["mt940"],
                extensions=("sta", "mt940", "940"),
                recognise=_holds_all(b":20:", b":25:"),
                collections=("products", "transactions"),
                read=lambda data, _options: read_mt940(data),
            ),
            ImportFormat(
                name="camt053",
                label=WORDS["formats"]["camt053"],
                extensions=("xml",),
                recognise=_holds(b"CAMT.053", b"CAMT.052", b"BKTOCSTMRSTMT"),
                collections=("products", "transactions"),
                read=lambda data, _options: read_camt053(data),
            ),
            ImportFormat(
                name="bookmarks",
                label=WORDS["formats"]["bookmarks"],
                extensions=("html", "htm"),
                recognise=_holds(b"NETSCAPE-BOOKMARK-FILE", b"<TITLE>POCKET EXPORT"),
                collections=("bookmarks",),
                read=lambda data, _options: read_bookmarks(data),
            ),
            ImportFormat(
                name="history",
                label=WORDS["formats"]["history"],
                extensions=("sqlite", "db", "gz"),
                recognise=lambda head: (
                    head.startswith((SQLITE_MAGIC, b"\x1f\x8b"))
                    or _holds(b'"BROWSER HISTORY"')(head)
                ),
                collections=("browsing_history", "bookmarks"),
                read=lambda data, _options: read_history(data),
            ),
            ImportFormat(
                name="icalendar",
                label=WORDS["formats"]["icalendar"],
                extensions=("ics", "ical"),
                recognise=_holds(b"BEGIN:VCALENDAR"),
                collections=("life_events",),
                read=lambda data, _options: read_icalendar(data),
            ),
            ImportFormat(
                name="activity",
                label=WORDS["formats"]["activity"],
                extensions=("json", "js"),
                recognise=_holds(b'"TITLEURL"', b'"GIVEN_URL"', b"WINDOW.YTD.LIKE"),
                collections=("browsing_history", "bookmarks"),
                read=lambda data, _options: read_activity(data),
            ),
            ImportFormat(
                name="export",
                label=WORDS["formats"]["export"],
                extensions=("zip",),
                recognise=recognise_export,
                collections=(),  # it fills them all, and is named by none
                read=lambda data, _options: read_export(data),
            ),
            ImportFormat(
                name="archive",
                label=WORDS["formats"]["archive"],
                extensions=("zip",),
                recognise=_begins(b"PK\x03\x04"),
                collections=(
                    "address_book",
                    "products",
                    "transactions",
                    "bookmarks",
                    "browsing_history",
                    "life_events",
                ),
                read=lambda data, _options: read_archive(data, _member),
            ),
            # Last: any table could be a bank's.
            ImportFormat(
                name="bank_csv",
                label=WORDS["formats"]["bank_csv"],
                extensions=("csv", "tsv"),
                recognise=lambda _head: False,
                collections=("transactions",),
                read=lambda data, options: read_bank_csv(data, options.mapping),
                needs_mapping=True,
            ),
        )
    }
)


def detect(filename: str, head: bytes) -> ImportFormat | None:
    """Return the format of a file by its first kilobytes, else by its name, or None.

    A table that is no address book is taken for a bank's.
    """
    for each in FORMATS.values():
        if each.recognise(head):
            return each
    ending = filename.rpartition(".")[2].lower()  # ascii
    known = [each for each in FORMATS.values() if ending in each.extensions]
    return known[-1] if known else None


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
    "HEAD_BYTES",
    "MAX_FILE_BYTES",
    "MAX_ITEMS",
    "BankMapping",
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
