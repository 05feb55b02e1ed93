"""Events of one stream, opened and proved: what a reader looks up later (P-33).

    {"stream", "checkpoint": note, "consistency": [hash],
     "entries": [{"index", "leaf_proof": [hash], "event": {"pub", "r_pub", "c_priv"},
                  "private": null}],
     "has_more": bool}

Entries are as in a bundle, in order of number. `consistency` leads from the tree that the reader
named to the checkpoint's. Whoever got `PDS-Log-Entry` with an answer finds here whether the log
holds it, and every number before it; the keys and the earlier checkpoint are the reader's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consent.formats import fields
from consent.formats.bundle import BundleEntry, hashes
from consent.formats.canonical import JSONValue
from consent.formats.checkpoint import Checkpoint, open_checkpoint
from consent.formats.encoding import b64
from consent.formats.errors import VerificationError
from consent.formats.merkle import leaf_hash, verify_consistency, verify_inclusion
from consent.formats.note import Verifier

_MEMBERS = ("stream", "checkpoint", "consistency", "entries", "has_more")


@dataclass(frozen=True, slots=True)
class StreamPage:
    """A page; `checkpoint` is a signed note, and nothing in it is believed before `verify`."""

    stream: str
    checkpoint: str
    consistency: tuple[bytes, ...]
    entries: tuple[BundleEntry, ...]
    has_more: bool

    def to_dict(self) -> dict[str, JSONValue]:
        """Return the JSON object."""
        return {
            "stream": self.stream,
            "checkpoint": self.checkpoint,
            "consistency": [b64(each) for each in self.consistency],
            "entries": [entry.to_dict() for entry in self.entries],
            "has_more": self.has_more,
        }

    @classmethod
    def from_dict(cls, value: object, where: str = "page") -> StreamPage:
        """Invert `to_dict`.

        Raises:
            MalformedError: it does not have the form; `where` begins the path of what is wrong.
        """
        found = fields.members(value, where, required=_MEMBERS)
        return cls(
            stream=fields.text(found["stream"], f"{where}.stream"),
            checkpoint=fields.long_text(found["checkpoint"], f"{where}.checkpoint"),
            consistency=hashes(found["consistency"], f"{where}.consistency"),
            entries=fields.each(BundleEntry.from_dict, found["entries"], f"{where}.entries"),
            has_more=fields.boolean(found["has_more"], f"{where}.has_more"),
        )

    def verify(
        self, *, stream: str, after: int, log_keys: Sequence[Verifier], known: Checkpoint | None
    ) -> Checkpoint:
        """Check that the log holds these entries, and none is left out between them.

        Args:
            stream: the one that was asked for.
            after: the number after which it was asked for; 0 for the whole stream.
            log_keys: the reader's own.
            known: the last checkpoint that the reader verified; None for the first time.

        Returns:
            The checkpoint, to be `known` next time.

        Raises:
            MalformedError: the checkpoint is none.
            VerificationError: a signature or proof is wrong, the tree does not extend the known
                one, or a number is missing.
        """
        signed = open_checkpoint(self.checkpoint, log_keys=log_keys).checkpoint
        if known is not None:
            verify_consistency(
                old_size=known.size,
                old_root=known.root,
                new_size=signed.size,
                new_root=signed.root,
                proof=self.consistency,
            )
        for number, entry in enumerate(self.entries, start=after + 1):
            part = entry.event.pub
            if (part.stream, part.seq) != (stream, number):
                raise VerificationError(f"{stream}/{number} is not in the log")
            verify_inclusion(
                leaf_hash(entry.event.entry()),
                index=entry.index,
                size=signed.size,
                proof=entry.leaf_proof,
                root=signed.root,
            )
        return signed
