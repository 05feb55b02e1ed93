"""What was verified before, so that the next time only what is new is read.

    {"format": "pds-verified/1", "origin", "checkpoint": note | null, "size",
     "edge": {level: base64 of the hashes in that level's partial tile}}

The file is the caller's own and is trusted: a log must extend its checkpoint. `edge` is what a tree
of `size` leaves, a multiple of 256, is grown from. `size` may lie beyond the checkpoint where a run
was cut short.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from consent.formats import fields
from consent.formats.canonical import parse
from consent.formats.encoding import b64
from consent.formats.errors import MalformedError
from consent.formats.merkle import HASH_BYTES, MAX_SIZE
from consent.formats.tiles import MAX_LEVEL, TILE_HEIGHT, TILE_WIDTH
from consent.verifier.sources import write_whole

FORMAT = "pds-verified/1"


@dataclass(frozen=True, slots=True)
class Kept:
    """The state of a verification.

    Attributes:
        origin: of the log.
        checkpoint: the last that was verified, as a signed note.
        size: entries verified, a multiple of 256.
        edge: hashes of each level's partial tile, by level, in a tree of `size`.
    """

    origin: str
    checkpoint: str | None = None
    size: int = 0
    edge: Mapping[int, bytes] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the file whole.

        Raises:
            OSError: it cannot be written.
        """
        document = {
            "format": FORMAT,
            "origin": self.origin,
            "checkpoint": self.checkpoint,
            "size": self.size,
            "edge": {str(level): b64(hashes) for level, hashes in sorted(self.edge.items())},
        }
        write_whole(path, json.dumps(document, indent=1, ensure_ascii=False).encode())

    @classmethod
    def read(cls, path: Path) -> Kept | None:
        """Read the file; None if there is none yet.

        Raises:
            MalformedError: it is none of these files.
            OSError: it cannot be read.
        """
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        names = ("format", "origin", "checkpoint", "size", "edge")
        found = fields.members(parse(data), "state", required=names)
        if found["format"] != FORMAT:
            raise MalformedError(f"state: not {FORMAT}")
        size = fields.integer(found["size"], "state.size", least=0)
        if size % TILE_WIDTH or size > MAX_SIZE:
            raise MalformedError("state.size: not a multiple of 256")
        return cls(
            origin=fields.text(found["origin"], "state.origin"),
            checkpoint=fields.optional(fields.long_text, found["checkpoint"], "state.checkpoint"),
            size=size,
            edge=dict(_edges(found["edge"], size)),
        )


def _edges(value: object, size: int) -> list[tuple[int, bytes]]:
    held = fields.mapping(value, "state.edge")
    edges = []
    for level in range(MAX_LEVEL + 1):
        width = (size >> (TILE_HEIGHT * level)) % TILE_WIDTH
        if width:
            where = f"state.edge.{level}"
            data = held.get(str(level))
            edges.append((level, fields.base64_bytes(data, where, length=width * HASH_BYTES)))
    if len(edges) != len(held):
        raise MalformedError("state.edge: not the levels of a tree of that size")
    return edges
