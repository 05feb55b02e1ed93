"""C2SP tlog-checkpoint: a signed note that commits a log to its tree.

    <origin>
    <tree size, decimal>
    <base64 of the root hash>
    [<extension line> ...]        accepted and kept, never written by us

We require the origin to be the name of the log's key. The specification only says SHOULD, but a
verifier is given nothing except the key (P-34), so the key's name is what says which log is meant.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from consent.formats.encoding import b64, b64_decode
from consent.formats.errors import MalformedError, VerificationError
from consent.formats.merkle import HASH_BYTES, MAX_SIZE
from consent.formats.note import Note, NoteSigner, NoteVerifier, Verifier, open_note, sign

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_FIXED_LINES = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's tree: `size` in leaves, `root` its 32-byte hash."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def to_text(self) -> str:
        """Return the note's text.

        Raises:
            MalformedError: a field cannot stand in a checkpoint.
        """
        text = "".join(
            f"{line}\n" for line in (self.origin, self.size, b64(self.root), *self.extensions)
        )
        if Checkpoint.from_text(text) != self:
            raise MalformedError("a field that cannot stand in a checkpoint")
        return text

    @classmethod
    def from_text(cls, text: str) -> Checkpoint:
        """Read a note's text.

        Raises:
            MalformedError: it is not the text of a checkpoint.
        """
        lines = text.split("\n")
        if lines.pop() != "" or len(lines) < _FIXED_LINES or "" in lines:
            raise MalformedError("not the text of a checkpoint")
        origin, size, root, *extensions = lines
        if _SIZE.fullmatch(size) is None or int(size) > MAX_SIZE:
            raise MalformedError("not a tree size")
        return cls(origin, int(size), b64_decode(root, length=HASH_BYTES), tuple(extensions))


@dataclass(frozen=True, slots=True)
class OpenedCheckpoint:
    """A verified checkpoint; `note` tells which known keys, witnesses among them, signed."""

    checkpoint: Checkpoint
    note: Note


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[NoteSigner]) -> str:
    """Return the signed note of a checkpoint; the first signer is the log's own.

    Whoever calls this must know that the tree extends every tree signed before (LOG-3).

    Raises:
        MalformedError: a field cannot stand in a checkpoint.
    """
    return sign(checkpoint.to_text(), signers)


def open_checkpoint(
    note: str, *, log_keys: Sequence[Verifier], witnesses: Sequence[NoteVerifier] = ()
) -> OpenedCheckpoint:
    """Verify a checkpoint by the log's keys; a witness alone does not vouch for it.

    Args:
        note: the signed note.
        log_keys: the keys that may speak for the log; one must have signed and be named as the
            origin.
        witnesses: keys whose cosignatures are verified and reported too; how many are enough is
            for the caller to say.

    Raises:
        MalformedError: it is no signed note, or no checkpoint.
        VerificationError: a known key's signature is wrong, or no log key of the origin's name has
            signed.
    """
    opened = open_note(note, [*log_keys, *witnesses])
    checkpoint = Checkpoint.from_text(opened.text)
    owners = {(key.name, key.key_id) for key in log_keys if key.name == checkpoint.origin}
    if owners.isdisjoint((signature.name, signature.key_id) for signature in opened.signatures):
        raise VerificationError("no key of the log that the origin names has signed")
    return OpenedCheckpoint(checkpoint, opened)
