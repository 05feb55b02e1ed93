"""Events of one stream, opened and proved: what a reader looks up later (P-33).

    {"stream", "checkpoint": note, "consistency": [hash],
     "entries": [{"index", "leaf_proof": [hash], "event": {"pub", "r_pub", "c_priv"},
                  "private": null}],
     "has_more": bool,
     "erased": [{"index", "leaf_hash", "leaf_proof": [hash], "stream", "seq", "rule"}]}

Entries are as in a bundle, in order of number. `erased` is there where some were erased since, in
order as well, with the rule that took them: their leaves are still proved, what they were nobody
can say. `consistency` leads from the tree that the reader named to the checkpoint's. Whoever got
`PDS-Log-Entry` with an answer finds here whether the log holds it, and every number before it; the
keys and the earlier checkpoint are the reader's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import merge
from typing import NamedTuple

from consent.formats import fields
from consent.formats.bundle import BundleEntry, ErasedEntry, hashes
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
    erased: tuple[ErasedEntry, ...] = ()

    @property
    def numbers(self) -> int:
        """How many numbers of the stream it tells of."""
        return len(self.entries) + len(self.erased)

    def to_dict(self) -> dict[str, JSONValue]:
        """Return the JSON object."""
        found: dict[str, JSONValue] = {
            "stream": self.stream,
            "checkpoint": self.checkpoint,
            "consistency": [b64(each) for each in self.consistency],
            "entries": [entry.to_dict() for entry in self.entries],
            "has_more": self.has_more,
        }
        if self.erased:
            found["erased"] = [entry.to_dict() for entry in self.erased]
        return found

    @classmethod
    def from_dict(cls, value: object, where: str = "page") -> StreamPage:
        """Invert `to_dict`.

        Raises:
            MalformedError: it does not have the form; `where` begins the path of what is wrong.
        """
        found = fields.members(value, where, required=_MEMBERS, optional=("erased",))
        return cls(
            stream=fields.text(found["stream"], f"{where}.stream"),
            checkpoint=fields.long_text(found["checkpoint"], f"{where}.checkpoint"),
            consistency=hashes(found["consistency"], f"{where}.consistency"),
            entries=fields.each(BundleEntry.from_dict, found["entries"], f"{where}.entries"),
            has_more=fields.boolean(found["has_more"], f"{where}.has_more"),
            erased=fields.each(ErasedEntry.from_dict, found.get("erased", []), f"{where}.erased"),
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
        told = [
            _Leaf(
                (each.event.pub.stream, each.event.pub.seq),
                each.index,
                leaf_hash(each.event.entry()),
                each.leaf_proof,
            )
            for each in self.entries
        ]
        gone = [
            _Leaf((each.stream, each.seq), each.index, each.leaf_hash, each.leaf_proof)
            for each in self.erased
        ]
        # Each of the two in its order; what is not is no sequence of numbers afterwards either.
        for number, leaf in enumerate(merge(told, gone), start=after + 1):
            if leaf.number != (stream, number):
                raise VerificationError(f"{stream}/{number} is not in the log")
            verify_inclusion(
                leaf.hash, index=leaf.place, size=signed.size, proof=leaf.proof, root=signed.root
            )
        return signed


class _Leaf(NamedTuple):
    number: tuple[str, int]
    place: int
    hash: bytes
    proof: tuple[bytes, ...]
