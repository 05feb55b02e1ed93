"""The evidence bundle: one JSON file from which a stranger can check what happened, offline.

    {"format": "pds-bundle/1", "origin", "checkpoint": note,
     "consistency": [{"old_size", "new_size", "hashes"}],
     "manifest": {"entries": count, "receipts": [identifier], "agreements": [sha256]},
     "streams": [{"stream", "first", "last"}],
     "entries": [{"index", "leaf_proof": [hash], "event": {"pub", "r_pub", "c_priv"},
                  "private": null | {"priv", "r_priv"}}],
     "receipts": [signed receipt], "agreements": [{"sha256", "terms"}],
     "hints": {"vkeys": [vkey], "receipt_keys": {kid: key}}}

An entry whose public part was erased has no opening to show. A bundle with such entries is of
format `pds-bundle/2` and has two members more: "erased", and "erased" in its manifest, a count.

    "erased": [{"index", "leaf_hash": hash, "leaf_proof": [hash], "stream", "seq", "rule"}]

Hashes are standard base64 as in notes; blindings, commitments and keys base64url. An entry's 33
bytes are not in it: they follow from the event, and only then does the inclusion proof hold. Keys
are hints, never a reason to trust (P-34). This module reads and writes; `verify` judges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from consent.formats import fields
from consent.formats.canonical import JSONValue, canonical_bytes, parse, sha256_hex
from consent.formats.encoding import b64, b64u
from consent.formats.errors import MalformedError
from consent.formats.leaf import BLINDING_BYTES, PublicOpening
from consent.formats.merkle import HASH_BYTES
from consent.formats.note import KEY_BYTES
from consent.formats.receipt import citation

FORMAT = "pds-bundle/1"
FORMAT_WITH_ERASED = "pds-bundle/2"

_MEMBERS = (
    "format",
    "origin",
    "checkpoint",
    "consistency",
    "manifest",
    "streams",
    "entries",
    "receipts",
    "agreements",
    "hints",
)
_ERASED_MEMBERS = ("index", "leaf_hash", "leaf_proof", "stream", "seq", "rule")


@dataclass(frozen=True, slots=True)
class PrivateOpening:
    """The private part of an event and its 32-byte blinding."""

    priv: dict[str, JSONValue]
    r_priv: bytes


@dataclass(frozen=True, slots=True)
class BundleEntry:
    """One event, opened, with its place in the log and the proof of it."""

    index: int
    leaf_proof: tuple[bytes, ...]
    event: PublicOpening
    private: PrivateOpening | None = None

    def to_dict(self) -> dict[str, JSONValue]:
        """Return the JSON object."""
        private: JSONValue = None
        if self.private is not None:
            private = {"priv": self.private.priv, "r_priv": b64u(self.private.r_priv)}
        return {
            "index": self.index,
            "leaf_proof": [b64(each) for each in self.leaf_proof],
            "event": self.event.to_dict(),
            "private": private,
        }

    @classmethod
    def from_dict(cls, value: object, where: str) -> BundleEntry:
        """Invert `to_dict`.

        Raises:
            MalformedError: it does not have the form; `where` begins the path of what is wrong.
        """
        found = fields.members(value, where, required=("index", "leaf_proof", "event", "private"))
        return cls(
            index=fields.integer(found["index"], f"{where}.index", least=0),
            leaf_proof=hashes(found["leaf_proof"], f"{where}.leaf_proof"),
            event=PublicOpening.from_dict(found["event"], f"{where}.event"),
            private=fields.optional(_private, found["private"], f"{where}.private"),
        )


@dataclass(frozen=True, slots=True)
class ErasedEntry:
    """An entry of which the leaf alone is left: where it stands, what it is said to be, and why.

    Attributes:
        index: zero-based place in the log.
        leaf_hash: RFC 6962 section 2.1: SHA-256(0x00 || entry), 32 bytes.
        leaf_proof: the inclusion proof.
        stream: the stream that it is said to belong to; nothing proves that any more.
        seq: its number there, likewise.
        rule: by which it was erased.
    """

    index: int
    leaf_hash: bytes
    leaf_proof: tuple[bytes, ...]
    stream: str
    seq: int
    rule: str

    def to_dict(self) -> dict[str, JSONValue]:
        """Return the JSON object."""
        return {
            "index": self.index,
            "leaf_hash": b64(self.leaf_hash),
            "leaf_proof": [b64(each) for each in self.leaf_proof],
            "stream": self.stream,
            "seq": self.seq,
            "rule": self.rule,
        }

    @classmethod
    def from_dict(cls, value: object, where: str) -> ErasedEntry:
        """Invert `to_dict`.

        Raises:
            MalformedError: it does not have the form; `where` begins the path of what is wrong.
        """
        found = fields.members(value, where, required=_ERASED_MEMBERS)
        return cls(
            index=fields.integer(found["index"], f"{where}.index", least=0),
            leaf_hash=_hash(found["leaf_hash"], f"{where}.leaf_hash"),
            leaf_proof=hashes(found["leaf_proof"], f"{where}.leaf_proof"),
            stream=fields.text(found["stream"], f"{where}.stream"),
            seq=fields.integer(found["seq"], f"{where}.seq", least=1),
            rule=fields.text(found["rule"], f"{where}.rule"),
        )


@dataclass(frozen=True, slots=True)
class StreamRange:
    """The numbers of a stream that the bundle claims to hold without a gap, both inclusive."""

    stream: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That the tree of `new_size` extends the one of `old_size`."""

    old_size: int
    new_size: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AgreementText:
    """An agreement's terms and the hash by which events and receipts cite them."""

    sha256: str
    terms: dict[str, JSONValue]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the bundle says it holds, so that what was taken out has a name."""

    entries: int
    receipts: tuple[str, ...]
    agreements: tuple[str, ...]
    erased: int = 0


@dataclass(frozen=True, slots=True)
class Hints:
    """Keys that travel along; whoever made the bundle chose them."""

    vkeys: tuple[str, ...] = ()
    receipt_keys: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bundle:
    """An evidence bundle as read; nothing in it is verified."""

    origin: str
    checkpoint: str
    manifest: Manifest
    streams: tuple[StreamRange, ...]
    entries: tuple[BundleEntry, ...]
    receipts: tuple[dict[str, JSONValue], ...] = ()
    agreements: tuple[AgreementText, ...] = ()
    consistency: tuple[ConsistencyProof, ...] = ()
    hints: Hints = field(default_factory=Hints)
    erased: tuple[ErasedEntry, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the file, in canonical form: the same bundle has the same bytes (AUD-10).

        Raises:
            MalformedError: a part is not canonical JSON.
        """
        manifest: dict[str, JSONValue] = {
            "entries": self.manifest.entries,
            "receipts": list(self.manifest.receipts),
            "agreements": list(self.manifest.agreements),
        }
        if self.erased:
            manifest["erased"] = self.manifest.erased
        document: dict[str, JSONValue] = {
            "format": FORMAT_WITH_ERASED if self.erased else FORMAT,
            "origin": self.origin,
            "checkpoint": self.checkpoint,
            "consistency": [_consistency_dict(proof) for proof in self.consistency],
            "manifest": manifest,
            "streams": [
                {"stream": each.stream, "first": each.first, "last": each.last}
                for each in self.streams
            ],
            "entries": [entry.to_dict() for entry in self.entries],
            "receipts": list(self.receipts),
            "agreements": [
                {"sha256": each.sha256, "terms": each.terms} for each in self.agreements
            ],
            "hints": {
                "vkeys": list(self.hints.vkeys),
                "receipt_keys": {kid: b64u(key) for kid, key in self.hints.receipt_keys.items()},
            },
        }
        if self.erased:
            document["erased"] = [entry.to_dict() for entry in self.erased]
        return canonical_bytes(document)

    @classmethod
    def from_bytes(cls, data: bytes) -> Bundle:
        """Read a file strictly; the layout of the JSON is free, its members are not.

        Raises:
            MalformedError: it is no bundle; the message begins with the path of what is wrong.
        """
        found = fields.members(parse(data), "bundle", required=_MEMBERS, optional=("erased",))
        erased = fields.each(ErasedEntry.from_dict, found.get("erased", []), "erased")
        # One spelling for each bundle: the later format only where there is something erased.
        has_erased = "erased" in found
        if has_erased != bool(erased) or found["format"] != (
            FORMAT_WITH_ERASED if has_erased else FORMAT
        ):
            raise MalformedError(f"format: not {FORMAT}, nor {FORMAT_WITH_ERASED} with `erased`")
        return cls(
            origin=fields.text(found["origin"], "origin"),
            checkpoint=fields.long_text(found["checkpoint"], "checkpoint"),
            manifest=_manifest(found["manifest"]),
            streams=fields.each(_stream, found["streams"], "streams"),
            entries=fields.each(BundleEntry.from_dict, found["entries"], "entries"),
            receipts=fields.each(fields.mapping, found["receipts"], "receipts"),
            agreements=fields.each(_agreement, found["agreements"], "agreements"),
            consistency=fields.each(_consistency, found["consistency"], "consistency"),
            hints=_hints(found["hints"]),
            erased=erased,
        )


def assemble(
    *,
    origin: str,
    checkpoint: str,
    entries: Sequence[BundleEntry],
    receipts: Sequence[dict[str, JSONValue]] = (),
    agreements: Sequence[dict[str, JSONValue]] = (),
    consistency: Sequence[ConsistencyProof] = (),
    hints: Hints | None = None,
    erased: Sequence[ErasedEntry] = (),
) -> Bundle:
    """Make a bundle: entries by index, the ranges they cover, the manifest.

    Args:
        origin: the log's origin.
        checkpoint: the signed note that every entry's proof leads to.
        entries: in any order; each stream in one range without gaps.
        receipts: signed receipts.
        agreements: the terms that events cite, as they were hashed.
        consistency: proofs for checkpoints that readers may have pinned.
        hints: keys to check self-consistency with.
        erased: entries of those streams that can be opened no more.

    Raises:
        MalformedError: a receipt is none, or terms are not canonical JSON.
    """
    numbers: dict[str, list[int]] = {}
    for entry in entries:
        numbers.setdefault(entry.event.pub.stream, []).append(entry.event.pub.seq)
    for gone in erased:
        numbers.setdefault(gone.stream, []).append(gone.seq)
    texts = tuple(AgreementText(sha256_hex(terms), terms) for terms in agreements)
    return Bundle(
        origin=origin,
        checkpoint=checkpoint,
        manifest=Manifest(
            entries=len(entries),
            receipts=tuple(citation(receipt).receipt_id for receipt in receipts),
            agreements=tuple(text.sha256 for text in texts),
            erased=len(erased),
        ),
        streams=tuple(
            StreamRange(stream, min(seqs), max(seqs)) for stream, seqs in sorted(numbers.items())
        ),
        entries=tuple(sorted(entries, key=lambda entry: entry.index)),
        receipts=tuple(receipts),
        agreements=texts,
        consistency=tuple(consistency),
        hints=hints or Hints(),
        erased=tuple(sorted(erased, key=lambda entry: entry.index)),
    )


def hashes(value: object, where: str) -> tuple[bytes, ...]:
    """Read an array of base64 hashes, or raise MalformedError."""
    return fields.each(_hash, value, where)


def _manifest(value: object) -> Manifest:
    required = ("entries", "receipts", "agreements")
    found = fields.members(value, "manifest", required=required, optional=("erased",))
    return Manifest(
        entries=fields.integer(found["entries"], "manifest.entries", least=0),
        receipts=fields.distinct_texts(found["receipts"], "manifest.receipts"),
        agreements=fields.distinct_texts(found["agreements"], "manifest.agreements"),
        erased=fields.integer(found.get("erased", 0), "manifest.erased", least=0),
    )


def _stream(value: object, where: str) -> StreamRange:
    found = fields.members(value, where, required=("stream", "first", "last"))
    first = fields.integer(found["first"], f"{where}.first", least=1)
    return StreamRange(
        stream=fields.text(found["stream"], f"{where}.stream"),
        first=first,
        last=fields.integer(found["last"], f"{where}.last", least=first),
    )


def _private(value: object, where: str) -> PrivateOpening:
    found = fields.members(value, where, required=("priv", "r_priv"))
    return PrivateOpening(
        priv=fields.mapping(found["priv"], f"{where}.priv"),
        r_priv=fields.base64url_bytes(found["r_priv"], f"{where}.r_priv", length=BLINDING_BYTES),
    )


def _agreement(value: object, where: str) -> AgreementText:
    found = fields.members(value, where, required=("sha256", "terms"))
    return AgreementText(
        sha256=fields.digest(found["sha256"], f"{where}.sha256"),
        terms=fields.mapping(found["terms"], f"{where}.terms"),
    )


def _consistency(value: object, where: str) -> ConsistencyProof:
    found = fields.members(value, where, required=("old_size", "new_size", "hashes"))
    return ConsistencyProof(
        old_size=fields.integer(found["old_size"], f"{where}.old_size", least=0),
        new_size=fields.integer(found["new_size"], f"{where}.new_size", least=0),
        hashes=hashes(found["hashes"], f"{where}.hashes"),
    )


def _consistency_dict(proof: ConsistencyProof) -> dict[str, JSONValue]:
    return {
        "old_size": proof.old_size,
        "new_size": proof.new_size,
        "hashes": [b64(each) for each in proof.hashes],
    }


def _hints(value: object) -> Hints:
    found = fields.members(value, "hints", required=("vkeys", "receipt_keys"))
    keys = fields.mapping(found["receipt_keys"], "hints.receipt_keys")
    return Hints(
        vkeys=fields.distinct_texts(found["vkeys"], "hints.vkeys"),
        receipt_keys={
            kid: fields.base64url_bytes(key, f"hints.receipt_keys.{kid}", length=KEY_BYTES)
            for kid, key in keys.items()
        },
    )


def _hash(value: object, where: str) -> bytes:
    return fields.base64_bytes(value, where, length=HASH_BYTES)
