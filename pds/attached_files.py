"""What a record says of its files: names and types that are safe to show and to hand out.

Both come from whoever sent the file, or from somebody who sent it to them, and are not believed: a
name is made plain, a type is what the first bytes say, out of a short list. Nothing here is ever
shown in a page of ours; files are handed out to be saved.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pds.clock import from_rfc3339, rfc3339

MOST_FILES = 10
"""How many files a record may have."""
HEAD_BYTES = 512
"""How much of a file `media_type` wants to see."""
OTHER = "application/octet-stream"

_LONGEST_NAME = 120
_LONGEST_ENDING = 12
_RESERVED = frozenset('<>:"/\\|?*')  # what a name may not hold on some system
_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
_BRANDS = {b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif"}
_OFFICE = "application/vnd.openxmlformats-officedocument"
_ZIPPED = {
    "docx": f"{_OFFICE}.wordprocessingml.document",
    "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    "pptx": f"{_OFFICE}.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "zip": "application/zip",
}


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """A file of a record; `sha256` is of what it holds, in hex."""

    id: UUID
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    added_at: datetime

    def written(self) -> dict[str, object]:
        """Return it as a record's box holds it."""
        return {
            "id": str(self.id),
            "name": self.name,
            "media_type": self.media_type,
            "bytes": self.size_bytes,
            "sha256": self.sha256,
            "added_at": rfc3339(self.added_at),
        }

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> AttachedFile:
        """Invert `written`."""
        return cls(
            UUID(written["id"]),
            written["name"],
            written["media_type"],
            written["bytes"],
            written["sha256"],
            from_rfc3339(written["added_at"]),
        )


def plain_name(given: str) -> str:
    """Return a file's name without folders, control characters and what hides an ending.

    What turns the direction of text (U+202E and its like) makes `fdp.exe` read `exe.pdf`.
    """
    composed = unicodedata.normalize("NFC", given).replace("\\", "/").rpartition("/")[2]
    kept = "".join(
        letter
        for letter in composed
        if letter not in _RESERVED and unicodedata.category(letter)[0] != "C"
    )
    name = " ".join(kept.split()).strip(". ")
    if len(name) > _LONGEST_NAME:
        stem, dot, ending = name.rpartition(".")
        has_ending = dot and len(ending) <= _LONGEST_ENDING
        tail = dot + ending if has_ending else ""
        name = (stem if has_ending else name)[: _LONGEST_NAME - len(tail)].rstrip() + tail
    return name or "file"


def media_type(head: bytes, name: str) -> str:
    """Return what a file is by its first `HEAD_BYTES`; `OTHER` where they do not tell."""
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp" and head[8:12] in _BRANDS:
        return _BRANDS[head[8:12]]
    if head.startswith(b"PK\x03\x04"):
        return _ZIPPED.get(name.rpartition(".")[2].lower(), "application/zip")  # ascii
    return "text/plain" if _is_text(head) else OTHER


def _is_text(head: bytes) -> bool:
    if not head or b"\x00" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and len(head) == HEAD_BYTES  # cut within a letter
    return True
