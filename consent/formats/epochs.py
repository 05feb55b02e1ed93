"""Epochs of a log: what begins a new one after an older state was restored (LOG-22).

    origin of the first epoch          vault.example/log
    origin of the second, the third    vault.example/log/2, vault.example/log/3

    entry 0 of every epoch but the first = 0x02 || SHA-256(text of the last checkpoint before it)

The text is that of the last checkpoint that anybody holds of the epoch before, origin, size and
root, so nobody can be told later that there was another. The key may be the same: its name is not.
The continuation is published as a tlog-proof of entry 0, whose `extra` is that checkpoint, a note.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from consent.formats.checkpoint import OpenedCheckpoint, open_checkpoint
from consent.formats.errors import MalformedError, VerificationError
from consent.formats.note import NoteVerifier, Verifier
from consent.formats.proof import Proof

EPOCH_ENTRY = 0x02

_LATER = re.compile(r"(.+)/([2-9]|[1-9][0-9]{1,3})", re.ASCII | re.DOTALL)


def first_entry(note: str) -> bytes:
    """Return entry 0, 33 bytes, of an epoch that continues a log from a checkpoint, a note."""
    text = note.rpartition("\n\n")[0] + "\n"
    return bytes([EPOCH_ENTRY]) + hashlib.sha256(text.encode("utf-8")).digest()


def split_origin(origin: str) -> tuple[str, int]:
    """Return the origin of a log's first epoch, and which epoch this is, from 1."""
    match = _LATER.fullmatch(origin)
    return (origin, 1) if match is None else (match[1], int(match[2]))


def is_same_or_later(origin: str, *, than: str) -> bool:
    """Tell whether an origin is that of another, or of a later epoch of the same log."""
    first, epoch = split_origin(origin)
    if origin == than or (epoch > 1 and than == first):
        return True
    first_of_other, other = split_origin(than)
    return first == first_of_other and epoch > other


def verify_continuation(
    proof: Proof, *, log_keys: Sequence[Verifier], witnesses: Sequence[NoteVerifier] = ()
) -> tuple[OpenedCheckpoint, OpenedCheckpoint]:
    """Check that an epoch continues the one before it, and from where.

    Args:
        proof: of entry 0; its `extra` is the last checkpoint of the epoch before, a note.
        log_keys: the keys of both epochs.
        witnesses: keys whose cosignatures on either are verified and reported.

    Returns:
        The last checkpoint of the epoch before, and the one that the proof leads to.

    Raises:
        MalformedError: the proof has no checkpoint in it.
        VerificationError: a signature or the proof is wrong, or the epochs do not follow.
    """
    try:
        note = (proof.extra or b"").decode("utf-8")
    except UnicodeDecodeError as exc:
        raise MalformedError("not the checkpoint of an epoch") from exc
    last = open_checkpoint(note, log_keys=log_keys, witnesses=witnesses)
    if proof.index != 0:
        raise VerificationError("the proof is not of an epoch's first entry")
    opened = proof.verify(first_entry(note), log_keys=log_keys, witnesses=witnesses)
    first, epoch = split_origin(opened.checkpoint.origin)
    before = first if epoch == 2 else f"{first}/{epoch - 1}"  # noqa: PLR2004 - the second
    if epoch == 1 or last.checkpoint.origin != before:
        raise VerificationError("the epochs do not follow one another")
    return last, opened
