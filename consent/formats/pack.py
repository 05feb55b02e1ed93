"""The evidence pack's manifest: pds-pack/1, one signed list of everything else in the file.

    {"format": "pds-pack/1", "origin", "checkpoint": note, "engagement", "period": [since, until],
     "filter": {...}, "files": [{"name", "bytes", "sha256"}], "proof"}

`verify_contents` judges what stands in the files beside the bundle: that tables, notices and
receipts say what the bundle proves. Opening the archive is the reader's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from consent.formats import fields, jws
from consent.formats.bundle import Bundle
from consent.formats.canonical import canonical_bytes, parse
from consent.formats.errors import MalformedError
from consent.formats.leaf import PublicPart
from consent.formats.report import Findings

FORMAT = "pds-pack/1"
TYPE = "pds-pack+jws"
MANIFEST = "manifest.json"
BUNDLE = "bundle.json"
RECORDS = "records.jsonl"
NOTICES = "notices/"
RECEIPTS = "receipts/"

_MEMBERS = ("format", "origin", "checkpoint", "engagement", "period", "filter", "files")


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as the manifest has it: its length in bytes and its SHA-256 in hex."""

    name: str
    length: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says; whether it is signed is for `jws.verify` to tell."""

    origin: str
    checkpoint: str
    files: tuple[Listed, ...]

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read `manifest.json`.

        Raises:
            MalformedError: it has another form, or lists a file twice.
        """
        found = fields.members(parse(data), "manifest", required=(*_MEMBERS, jws.PROOF))
        if found["format"] != FORMAT:
            raise MalformedError(f"manifest.format: not {FORMAT}")
        files = fields.each(_listed, found["files"], "manifest.files")
        if len({each.name for each in files}) != len(files):
            raise MalformedError("manifest.files: a name stands there twice")
        return cls(
            origin=fields.text(found["origin"], "manifest.origin"),
            checkpoint=fields.long_text(found["checkpoint"], "manifest.checkpoint"),
            files=files,
        )


def verify_contents(
    bundle: Bundle, records: Iterable[bytes], others: Mapping[str, bytes], findings: Findings
) -> None:
    """Hold the files of a pack against its bundle.

    Args:
        bundle: of the pack, verified elsewhere.
        records: the lines of `records.jsonl`.
        others: notices and receipts by name.
        findings: where what is wrong is noted.
    """
    events = {entry.index: entry.event.pub for entry in bundle.entries}
    with findings.check("records") as say:
        proved = unproved = 0
        for number, line in enumerate(records, start=1):
            with findings.attempt(f"{RECORDS} line {number}", "record"):
                if _check_record(line, events):
                    proved += 1
                else:
                    unproved += 1
        say(f"{proved} as the log has them, {unproved} without proof in this pack")
    with findings.check("notices and receipts"):
        issued = {
            str(receipt["dct:identifier"]).rpartition(":")[2]: canonical_bytes(receipt)
            for receipt in bundle.receipts
        }
        held = dict(_named(others, RECEIPTS))
        for name in sorted(issued.keys() ^ held.keys()):
            findings.fail(f"{RECEIPTS}{name}.json", "pack-receipt", "in bundle or pack, not both")
        for name in sorted(issued.keys() & held.keys()):
            if issued[name] != held[name]:
                findings.fail(f"{RECEIPTS}{name}.json", "pack-receipt", "not as in the bundle")
        for name, data in _named(others, NOTICES):
            if hashlib.sha256(data).hexdigest() != name:
                findings.fail(f"{NOTICES}{name}.json", "pack-notice", "its name is another hash")


def _check_record(line: bytes, events: Mapping[int, PublicPart]) -> bool:
    """Tell whether the log has what a line says; raise FormatError where it has something else."""
    record = fields.mapping(parse(line), "record")
    event = events.get(fields.integer(record.get("index"), "record.index", least=0))
    if event is None:
        return False
    expected = {
        "time": event.time,
        "event": event.event,
        "purpose": event.purpose,
        "collections": list(event.collections),
        "outcome": event.outcome,
        "count": event.count,
    }
    for name, value in expected.items():
        if record.get(name) != value:
            raise MalformedError(f"{name} is another than in entry {record['index']} of the log")
    return True


def _named(files: Mapping[str, bytes], folder: str) -> Iterator[tuple[str, bytes]]:
    for name, data in files.items():
        if name.startswith(folder):
            yield name.removeprefix(folder).removesuffix(".json"), data


def _listed(value: object, where: str) -> Listed:
    found = fields.members(value, where, required=("name", "bytes", "sha256"))
    return Listed(
        name=fields.text(found["name"], f"{where}.name"),
        length=fields.integer(found["bytes"], f"{where}.bytes", least=0),
        sha256=fields.digest(found["sha256"], f"{where}.sha256"),
    )
