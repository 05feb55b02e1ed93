"""An evidence pack, checked without being unpacked (AUD-10).

Whoever made it may be hostile: nothing is extracted, names are compared and never used as paths,
and since a pack compresses nothing, what it says it holds cannot be more than the file itself.

Of several bundles one is in memory at a time, and of the other files a line or a file.

Rules: `pack-form`, `pack-signature`, `pack-file`, `pack-stream`, `pack-receipt`, `pack-notice`,
`record`, and those of the bundle.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from consent.formats import jws
from consent.formats.bundle_checks import Progress
from consent.formats.canonical import parse
from consent.formats.errors import FormatError, MalformedError, VerificationError
from consent.formats.pack import (
    MANIFEST,
    NOTICES,
    RECEIPTS,
    RECORDS,
    TYPE,
    Held,
    Manifest,
    bundle_names,
)
from consent.formats.report import Findings, Report
from consent.formats.trust import Trust
from consent.formats.verify import check_bundle, has_own_keys

MOST_FILES = 2_000_000
MOST_BYTES_READ = 1 << 28  # of a file that is read as a whole
MOST_LINE_BYTES = 1 << 16

_ARCHIVE = b"PK\x03\x04"
_CHUNK = 1 << 20
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # APPNOTE.TXT 4.3.7: signature, … , two lengths


def is_pack(path: Path) -> bool:
    """Tell whether a file is an archive.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(len(_ARCHIVE)) == _ARCHIVE


def verify_pack(path: Path, trust: Trust, *, now: str | None, progress: Progress) -> Report:
    """Verify a pack: its manifest, every file in it, its bundle, and that the rest agrees.

    Args:
        path: the file.
        trust: what the caller trusts beforehand; `receipt_keys` for the manifest, too.
        now: as for `verify_bundle`.
        progress: as for `verify_bundle`.

    Raises:
        OSError: the file cannot be read.
    """
    findings = Findings()
    try:
        with path.open("rb") as file:
            return _verify(_Archive(file), trust, findings, now, progress)
    except (zipfile.BadZipFile, NotImplementedError, FormatError) as exc:
        findings.fail("pack", "pack-form", str(exc))
        return findings.report(trusted=False)


@dataclass(slots=True)
class _Archive:
    """Reads stored files by their place.

    Not by `zipfile`, which gives nothing of a file whose checksum is wrong: what was changed is to
    be named as exactly as hashes can.
    """

    file: BinaryIO

    def infos(self) -> list[zipfile.ZipInfo]:
        with zipfile.ZipFile(self.file) as archive:
            return archive.infolist()

    def size(self) -> int:
        return self.file.seek(0, os.SEEK_END)

    def chunks(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """Yield the content of a file; raise MalformedError where there is none."""
        self.file.seek(info.header_offset)
        header = self.file.read(_LOCAL_HEADER.size)
        if not header.startswith(_ARCHIVE) or len(header) < _LOCAL_HEADER.size:
            raise MalformedError(f"{info.filename!r} is not where the archive says")
        _, name, extra = _LOCAL_HEADER.unpack(header)
        self.file.seek(name + extra, os.SEEK_CUR)
        left = info.file_size
        while left:
            chunk = self.file.read(min(left, _CHUNK))
            if not chunk:
                raise MalformedError(f"{info.filename!r} is cut off")
            left -= len(chunk)
            yield chunk

    def read(self, info: zipfile.ZipInfo) -> bytes:
        if info.file_size > MOST_BYTES_READ:
            raise MalformedError(f"{info.filename!r} is longer than {MOST_BYTES_READ} bytes")
        return b"".join(self.chunks(info))

    def lines(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        rest = b""
        for chunk in self.chunks(info):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
            if len(rest) > MOST_LINE_BYTES:
                raise MalformedError(f"{info.filename!r} has a line that is too long")
        if rest:
            yield rest


def _verify(
    archive: _Archive, trust: Trust, findings: Findings, now: str | None, progress: Progress
) -> Report:
    members = _members(archive, findings)
    if not members:
        return findings.report(trusted=False)
    trusted = bool(trust.receipt_keys)
    manifest = _manifest(archive, members, trust, findings)
    if manifest is not None:
        _check_files(archive, members, manifest, findings)
    held, is_whole = Held(), True
    names = bundle_names(members)
    for number, name in enumerate(names):
        data, part = archive.read(members[name]), Findings()
        bundle = check_bundle(data, trust, part, now=now, progress=_share(progress, number, names))
        if bundle is not None:
            if manifest is not None and (manifest.origin, manifest.checkpoint) != (
                bundle.origin,
                bundle.checkpoint,
            ):
                findings.fail(MANIFEST, "pack-form", "it names another tree than the bundle")
            held.take(bundle, findings)
        is_whole = is_whole and bundle is not None
        trusted = trusted and has_own_keys(bundle, trust)
        findings.absorb(part, of=name if len(names) > 1 else "")
    if manifest is not None and is_whole:
        _check_count(manifest, held, names, findings)
        records = archive.lines(members[RECORDS]) if RECORDS in members else ()
        others = (
            (name, archive.read(info))
            for name, info in members.items()
            if name.startswith((NOTICES, RECEIPTS))
        )
        held.compare(records, others, findings)
    return findings.report(trusted=trusted)


def _check_count(manifest: Manifest, held: Held, names: Sequence[str], findings: Findings) -> None:
    if manifest.entries is None:
        if len(names) > 1:
            findings.fail(MANIFEST, "pack-form", "it is of a pack with one bundle")
        return
    with findings.check("bundles") as say:
        if manifest.entries != held.entries:
            counted = f"{manifest.entries} entries counted, {held.entries} there"
            findings.fail(MANIFEST, "pack-form", counted)
        say(f"{len(names)} with {held.entries} entries")


def _share(progress: Progress, number: int, names: Sequence[str]) -> Progress:
    if len(names) == 1:
        return progress
    # Bundles are about equally long: thousandths of each make one bar of all.
    return lambda done, total: progress(
        1_000 * number + 1_000 * done // max(total, 1), 1_000 * len(names)
    )


def _members(archive: _Archive, findings: Findings) -> Mapping[str, zipfile.ZipInfo]:
    """Return what may be read, by name: nothing if the archive is not of a pack's form."""
    infos = archive.infos()
    with findings.check("archive") as say, findings.attempt("pack", "pack-form"):
        if len(infos) > MOST_FILES:
            raise MalformedError(f"more than {MOST_FILES} files")
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise MalformedError("a pack compresses nothing")
        # Files that overlap would let a small archive say that it holds much.
        if sum(info.file_size for info in infos) > archive.size():
            raise MalformedError("more in it than it is long")
        members = {info.filename: info for info in infos}
        if len(members) != len(infos):
            raise MalformedError("a name stands there twice")
        if MANIFEST not in members:
            raise MalformedError(f"no {MANIFEST}")
        bundle_names(members)
        say(f"{len(members)} files")
        return members
    return {}


def _manifest(
    archive: _Archive,
    members: Mapping[str, zipfile.ZipInfo],
    trust: Trust,
    findings: Findings,
) -> Manifest | None:
    if MANIFEST not in members:
        return None
    manifest = None
    with findings.check("manifest") as say, findings.attempt(MANIFEST, "pack-signature"):
        data = archive.read(members[MANIFEST])
        manifest = Manifest.from_bytes(data)
        if trust.receipt_keys:
            jws.verify(parse(data), trust.receipt_keys, typ=TYPE)
            say("signed")
        else:
            say("not known by whom it was signed: no receipt key was given")
    return manifest


def _check_files(
    archive: _Archive,
    members: Mapping[str, zipfile.ZipInfo],
    manifest: Manifest,
    findings: Findings,
) -> None:
    listed = {each.name: each for each in manifest.files}
    with findings.check("files") as say:
        for name in sorted(listed.keys() - members.keys()):
            findings.fail(name, "pack-file", "listed, but not there")
        for name in sorted(members.keys() - listed.keys() - {MANIFEST}):
            findings.fail(name, "pack-file", "there, but not listed")
        for name in sorted(listed.keys() & members.keys()):
            with findings.attempt(name, "pack-file"):
                digest = hashlib.sha256()
                for chunk in archive.chunks(members[name]):
                    digest.update(chunk)
                if digest.hexdigest() != listed[name].sha256:
                    raise VerificationError("not the file that was listed")
        say(f"{len(listed)} as listed")
