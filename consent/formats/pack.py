"""The evidence pack's manifest: one signed list of everything else in the file.

    {"format": "pds-pack/1", "origin", "checkpoint": note, "engagement", "period": [since, until],
     "filter": {...}, "files": [{"name", "bytes", "sha256"}], "proof"}

A `pds-pack/2` holds more than one bundle: `bundles/00001.json` and on, in place of `bundle.json`,
all of one checkpoint, and in the manifest `entries`, how many are in all of them. Whoever checks it
has one bundle at a time in memory.

`Held` judges what stands in the files beside the bundles: that tables, notices and receipts say
what the bundles prove. Opening the archive is the reader's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from consent.formats import fields, jws
from consent.formats.bundle import Bundle
from consent.formats.canonical import canonical_bytes, parse
from consent.formats.errors import MalformedError
from consent.formats.leaf import PublicPart
from consent.formats.report import Findings

FORMAT = "pds-pack/1"
FORMAT_OF_MANY = "pds-pack/2"
TYPE = "pds-pack+jws"
MANIFEST = "manifest.json"
BUNDLE = "bundle.json"
BUNDLES = "bundles/"
RECORDS = "records.jsonl"
NOTICES = "notices/"
RECEIPTS = "receipts/"
CONTINUED_STREAM = "d"  # the deployment's: the only one that goes on from bundle to bundle

_MEMBERS = ("format", "origin", "checkpoint", "engagement", "period", "filter", "files")
_NUMBERED = re.compile(r"bundles/([0-9]{5})\.json", re.ASCII)
_SAID = ("time", "event", "purpose", "collections", "outcome", "count")


def bundle_name(number: int) -> str:
    """Return the name of a bundle among many, by its number from 1."""
    return f"{BUNDLES}{number:05}.json"


def bundle_names(names: Collection[str]) -> list[str]:
    """Return which of an archive's files are its bundles, in order.

    Raises:
        MalformedError: there is none, one alone and several, or a number is missing.
    """
    several = sorted(name for name in names if _NUMBERED.fullmatch(name))
    if BUNDLE in names and not several:
        return [BUNDLE]
    if BUNDLE in names or not several:
        raise MalformedError(f"either {BUNDLE} or {BUNDLES}, one of them")
    for number, name in enumerate(several, start=1):
        if name != bundle_name(number):
            raise MalformedError(f"no {bundle_name(number)}")
    return several


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as the manifest has it: its length in bytes and its SHA-256 in hex."""

    name: str
    length: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says; whether it is signed is for `jws.verify` to tell.

    `entries` is None in a pack of one bundle, which counts its own.
    """

    origin: str
    checkpoint: str
    files: tuple[Listed, ...]
    entries: int | None = None

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read `manifest.json`.

        Raises:
            MalformedError: it has another form, or lists a file twice.
        """
        required = (*_MEMBERS, jws.PROOF)
        found = fields.members(parse(data), "manifest", required=required, optional=("entries",))
        is_of_many = "entries" in found
        if found["format"] != (FORMAT_OF_MANY if is_of_many else FORMAT):
            raise MalformedError(
                f"manifest.format: not {FORMAT}, nor {FORMAT_OF_MANY} with `entries`"
            )
        files = fields.each(_listed, found["files"], "manifest.files")
        if len({each.name for each in files}) != len(files):
            raise MalformedError("manifest.files: a name stands there twice")
        counted = fields.integer(found.get("entries", 1), "manifest.entries", least=1)
        return cls(
            origin=fields.text(found["origin"], "manifest.origin"),
            checkpoint=fields.long_text(found["checkpoint"], "manifest.checkpoint"),
            files=files,
            entries=counted if is_of_many else None,
        )


@dataclass(slots=True)
class Held:
    """What the bundles of a pack hold, kept as digests: 16 bytes an entry, 32 a receipt."""

    entries: int = 0
    _said: dict[int, bytes] = field(default_factory=dict)
    _receipts: dict[str, bytes] = field(default_factory=dict)
    _streams: dict[str, int] = field(default_factory=dict)

    def take(self, bundle: Bundle, findings: Findings) -> None:
        """Take in the next bundle, and hold its streams against those before it."""
        self.entries += len(bundle.entries)
        for entry in bundle.entries:
            self._said[entry.index] = _digest_of(entry.event.pub)
        for receipt in bundle.receipts:
            name = str(receipt["dct:identifier"]).rpartition(":")[2]
            self._receipts[name] = hashlib.sha256(canonical_bytes(receipt)).digest()
        for each in bundle.streams:
            before = self._streams.get(each.stream)
            # A consent and the reads that rest on it are checked together, or not at all.
            if before is not None and each.stream != CONTINUED_STREAM:
                findings.fail(each.stream, "pack-stream", "in two bundles")
            elif before is not None and each.first != before + 1:
                name = f"{each.stream}/{each.first}"
                findings.fail(name, "pack-stream", f"it goes on after {before}")
            self._streams[each.stream] = each.last

    def compare(
        self,
        records: Iterable[bytes],
        others: Iterable[tuple[str, bytes]],
        findings: Findings,
    ) -> None:
        """Hold the other files against the bundles.

        Args:
            records: the lines of `records.jsonl`.
            others: notices and receipts with their names.
            findings: where what is wrong is noted.
        """
        with findings.check("records") as say, findings.attempt(RECORDS, "record"):
            proved = unproved = 0
            for number, line in enumerate(records, start=1):
                with findings.attempt(f"{RECORDS} line {number}", "record"):
                    if self._has(line):
                        proved += 1
                    else:
                        unproved += 1
            say(f"{proved} as the log has them, {unproved} without proof in this pack")
        with findings.check("notices and receipts"):
            for name, data in others:
                self._compare_file(name, data, findings)
            for name in sorted(self._receipts):
                findings.fail(f"{RECEIPTS}{name}.json", "pack-receipt", "in the bundle, not here")

    def _has(self, line: bytes) -> bool:
        """Tell whether the log has what a line says; raise FormatError if it has another thing."""
        record = fields.mapping(parse(line), "record")
        index = fields.integer(record.get("index"), "record.index", least=0)
        expected = self._said.get(index)
        if expected is None:
            return False
        if _digest({name: record.get(name) for name in _SAID}) != expected:
            raise MalformedError(f"not what entry {index} of the log says")
        return True

    def _compare_file(self, name: str, data: bytes, findings: Findings) -> None:
        digest = hashlib.sha256(data)
        if name.startswith(NOTICES):
            if digest.hexdigest() != name.removeprefix(NOTICES).removesuffix(".json"):
                findings.fail(name, "pack-notice", "its name is another hash")
            return
        issued = self._receipts.pop(name.removeprefix(RECEIPTS).removesuffix(".json"), None)
        if issued is None:
            findings.fail(name, "pack-receipt", "here, not in the bundle")
        elif issued != digest.digest():
            findings.fail(name, "pack-receipt", "not as in the bundle")


def _digest_of(pub: PublicPart) -> bytes:
    said = {name: getattr(pub, name) for name in _SAID}
    return _digest(said | {"collections": list(pub.collections)})


def _digest(said: object) -> bytes:
    return hashlib.sha256(canonical_bytes(said)).digest()[:16]


def _listed(value: object, where: str) -> Listed:
    found = fields.members(value, where, required=("name", "bytes", "sha256"))
    return Listed(
        name=fields.text(found["name"], f"{where}.name"),
        length=fields.integer(found["bytes"], f"{where}.bytes", least=0),
        sha256=fields.digest(found["sha256"], f"{where}.sha256"),
    )
