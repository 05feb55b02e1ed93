"""What a verifier trusts beforehand; nothing of it comes from what is verified (P-34)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from consent.formats.checkpoint import Checkpoint, open_checkpoint
from consent.formats.cosignature import CosignatureVerifier
from consent.formats.errors import VerificationError
from consent.formats.note import Verifier
from consent.formats.witness_policy import Quorum


@dataclass(frozen=True, slots=True)
class Trust:
    """The caller's keys and policy.

    Attributes:
        log_keys: keys of the log, one of which must have signed each checkpoint.
        receipt_keys: 32-byte Ed25519 keys of the receipts' issuer, by key id.
        witnesses: keys of witnesses whose cosignatures count.
        quorum: which of them must have cosigned the checkpoint; asks for none unless it is given.
        pinned: a checkpoint, as a signed note, seen before: the new one must be consistent with it.
    """

    log_keys: tuple[Verifier, ...] = ()
    receipt_keys: Mapping[str, bytes] = field(default_factory=dict)
    witnesses: tuple[CosignatureVerifier, ...] = ()
    quorum: Quorum = field(default_factory=Quorum)
    pinned: str | None = None

    def open(self, note: str, log_keys: Sequence[Verifier]) -> Checkpoint:
        """Verify a checkpoint by these log keys and the caller's witnesses.

        Raises:
            MalformedError: it is no checkpoint.
            VerificationError: a signature is wrong or missing, or too few witnesses have signed.
        """
        opened = open_checkpoint(note, log_keys=log_keys, witnesses=self.witnesses)
        signed = {(each.name, each.key_id) for each in opened.note.signatures}
        # A witness counts by its key, whatever names it goes by.
        keys = {each.public_key for each in self.witnesses if (each.name, each.key_id) in signed}
        if not self.quorum.met_by(keys):
            raise VerificationError(f"{len(keys)} known witnesses have signed: that is not enough")
        return opened.checkpoint
