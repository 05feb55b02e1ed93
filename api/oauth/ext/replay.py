"""One-time values: the insert that wins is the first use (RFC 9449 section 11.1, RFC 7523)."""

from __future__ import annotations

import hashlib
from typing import Final, Protocol

CLIENT_ASSERTION: Final = "assert"
DPOP_PROOF: Final = "dpop"


class ReplayStore(Protocol):
    """Remembers one-time values until they could no longer be accepted anyway."""

    def insert(self, kind: str, subject: str, jti_hash: bytes, expires_at: int) -> bool:
        """Record a value of `subject`; return False if it was there already.

        Args:
            kind: `CLIENT_ASSERTION` or `DPOP_PROOF`, at most 8 characters.
            subject: client id, or the thumbprint of the proof key.
            jti_hash: 32 bytes of `one_time_hash`.
            expires_at: Unix seconds from which the row may be deleted.

        Atomic across all workers: a unique index decides, not a read before the write.
        """
        ...


def one_time_hash(*parts: str) -> bytes:
    """Return SHA-256 over the length-prefixed ASCII parts: no two lists of parts collide."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("ascii")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.digest()
