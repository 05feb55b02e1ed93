"""A zip that is written as it is sent.

Of each file is kept what the zip's directory and the manifest say of it: both stand at the end.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson

from pds.exporting import MANIFEST

_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the archive: its path and what it holds, part by part."""

    path: str
    parts: Iterable[bytes]
    is_packed: bool = True  # whether packing is worth its time


class _Outgoing(io.RawIOBase):
    """Where `zipfile` writes to; what is written is taken from it and sent."""

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(memoryview(data))  # type: ignore[arg-type]  # any buffer
        self._held.append(part)
        return len(part)

    def take(self) -> bytes:
        taken = b"".join(self._held)
        self._held.clear()
        return taken


def zipped(
    members: Iterable[Member], manifest: Mapping[str, object], *, at: datetime
) -> Iterator[bytes]:
    """Yield a zip of the members, and a manifest with the hash of each at its end.

    The manifest's values may be filled in while members are read: it is written last.
    """
    outgoing = _Outgoing()
    hashes: list[dict[str, object]] = []
    day = at.timetuple()[:6]
    with zipfile.ZipFile(outgoing, "w") as archive:
        for member in members:
            digest, size = hashlib.sha256(), 0
            info = _info(member.path, day, member.is_packed)
            # How long it becomes is not known when its header goes out.
            with archive.open(info, "w", force_zip64=True) as file:
                for part in member.parts:
                    digest.update(part)
                    size += len(part)
                    file.write(part)
                    if sent := outgoing.take():
                        yield sent
            hashes.append({"path": member.path, "bytes": size, "sha256": digest.hexdigest()})
        written = {**manifest, "files": hashes}
        archive.writestr(
            _info(MANIFEST, day, is_packed=True),
            orjson.dumps(written, option=orjson.OPT_INDENT_2),
            compresslevel=_LEVEL,
        )
    yield outgoing.take()


def _info(path: str, day: tuple[int, ...], is_packed: bool) -> zipfile.ZipInfo:  # noqa: FBT001 - own
    info = zipfile.ZipInfo(path, day)  # type: ignore[arg-type]  # six numbers
    info.compress_type = zipfile.ZIP_DEFLATED if is_packed else zipfile.ZIP_STORED
    info.external_attr = 0o600 << 16
    return info
