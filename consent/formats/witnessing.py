"""C2SP tlog-witness: what a log asks of a witness, and what it is answered.

POST <submission prefix>/add-checkpoint
    old <size of the tree that the witness cosigned last, decimal>
    <base64 hash of the consistency proof>      at most 63 lines
    <blank line>
    <the checkpoint, a signed note>

200 one or more signature lines        409 `text/x.tlog.size`: <size of its tree, decimal>

GET <monitoring prefix>/<SHA-256 of the origin, hex>/checkpoint
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from consent.formats.encoding import b64, b64_decode
from consent.formats.errors import MalformedError
from consent.formats.merkle import HASH_BYTES, MAX_SIZE

SIZE_TYPE = "text/x.tlog.size"
MAX_HASHES = 63

_SIZE = r"(0|[1-9][0-9]{0,18})"
_OLD = re.compile(f"old {_SIZE}", re.ASCII)
_SIZE_BODY = re.compile(f"{_SIZE}\n", re.ASCII)


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request: `proof`, 32-byte hashes, leads from the tree of `old_size` to the checkpoint."""

    old_size: int
    proof: tuple[bytes, ...]
    checkpoint: str

    def to_text(self) -> str:
        """Return the body of the request.

        Raises:
            MalformedError: a field cannot stand in it.
        """
        text = "".join([f"old {self.old_size}\n", *(f"{b64(each)}\n" for each in self.proof), "\n"])
        if AddCheckpoint.from_text(text + self.checkpoint) != self:
            raise MalformedError("a field that cannot stand in a request to a witness")
        return text + self.checkpoint

    @classmethod
    def from_text(cls, text: str) -> AddCheckpoint:
        """Read the body of a request; its checkpoint is not looked at yet.

        Raises:
            MalformedError: it does not have the form.
        """
        head, blank, checkpoint = text.partition("\n\n")
        first, *lines = head.split("\n")
        match = _OLD.fullmatch(first)
        if not blank or match is None or int(match[1]) > MAX_SIZE or len(lines) > MAX_HASHES:
            raise MalformedError("not a request to a witness")
        hashes = tuple(b64_decode(line, length=HASH_BYTES) for line in lines)
        return cls(int(match[1]), hashes, checkpoint)


def size_body(size: int) -> str:
    """Return the body of an answer 409."""
    return f"{size}\n"


def parse_size_body(body: str) -> int:
    """Invert `size_body`.

    Raises:
        MalformedError: it is no tree size in a line.
    """
    match = _SIZE_BODY.fullmatch(body)
    if match is None or int(match[1]) > MAX_SIZE:
        raise MalformedError("not a tree size")
    return int(match[1])


def monitoring_path(origin: str) -> str:
    """Return the path, after the monitoring prefix, of a log's latest cosigned checkpoint."""
    return f"/{hashlib.sha256(origin.encode('utf-8')).hexdigest()}/checkpoint"
