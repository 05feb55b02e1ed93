"""C2SP tlog-proof@v1: everything it takes to show, offline, that an entry is in a log.

    c2sp.org/tlog-proof@v1
    extra <base64>                   optional, not authenticated
    index <decimal>
    <base64 hash>                    the inclusion proof, from the leaf's sibling upwards
    ...
    <blank line>
    <checkpoint, a signed note>

For our leaves `extra` holds the canonical JSON of the opening: {"pub", "r_pub", "c_priv"}, the
blinding and commitment in base64url. That it opens the entry is what authenticates it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from consent.formats.checkpoint import OpenedCheckpoint, open_checkpoint
from consent.formats.encoding import b64, b64_decode
from consent.formats.errors import MalformedError
from consent.formats.merkle import HASH_BYTES, MAX_SIZE, leaf_hash, verify_inclusion
from consent.formats.note import NoteVerifier, Verifier

HEADER = "c2sp.org/tlog-proof@v1"
MAX_HASHES = 63

_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Proof:
    """An inclusion proof: zero-based `index`, 32-byte `hashes`, the `checkpoint` as a note."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def to_text(self) -> str:
        """Return the proof as text, for a file with extension .tlog-proof.

        Raises:
            MalformedError: a field cannot stand in a proof.
        """
        extra = [] if self.extra is None else [f"extra {b64(self.extra)}"]
        lines = [HEADER, *extra, f"index {self.index}", *map(b64, self.hashes)]
        text = "\n".join(lines) + "\n\n" + self.checkpoint
        Proof.from_text(text)
        return text

    @classmethod
    def from_text(cls, text: str) -> Proof:
        """Read a proof; the checkpoint in it is not looked at yet.

        Raises:
            MalformedError: it is not a tlog-proof@v1.
        """
        head, blank, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        if not blank or lines.pop(0) != HEADER:
            raise MalformedError("not a tlog-proof@v1")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = b64_decode(lines.pop(0).removeprefix("extra "))
        match = _INDEX.fullmatch(lines.pop(0)) if lines else None
        if match is None or int(match[1]) >= MAX_SIZE or len(lines) > MAX_HASHES:
            raise MalformedError("not a tlog-proof@v1")
        hashes = tuple(b64_decode(line, length=HASH_BYTES) for line in lines)
        return cls(int(match[1]), hashes, checkpoint, extra)

    def verify(
        self, entry: bytes, *, log_keys: Sequence[Verifier], witnesses: Sequence[NoteVerifier] = ()
    ) -> OpenedCheckpoint:
        """Check that the log holds `entry` at `index`; return the checkpoint that says so.

        Raises:
            MalformedError: the checkpoint is none.
            VerificationError: a signature or the inclusion proof is wrong.
        """
        opened = open_checkpoint(self.checkpoint, log_keys=log_keys, witnesses=witnesses)
        verify_inclusion(
            leaf_hash(entry),
            index=self.index,
            size=opened.checkpoint.size,
            proof=self.hashes,
            root=opened.checkpoint.root,
        )
        return opened
