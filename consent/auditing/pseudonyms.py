"""An auditor's names for people: made at reading, different in each engagement (P-32).

    p.  bucket, masked (2 bytes)  ||  first 12 bytes of HMAC-SHA-256(key, vault id)    in hex

The key belongs to one engagement, so two engagements cannot be joined by names, and a name finds
its vault again without a table: the bucket, masked by what follows it, says where to look.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from pds.crypto.labels import ENGAGEMENT_PSEUDONYM, derive
from pds.ids import BUCKETS

_FORM = re.compile(r"p\.([0-9a-f]{4})([0-9a-f]{24})", re.ASCII)
_TAG_BYTES = 12


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """The names of one engagement; `key` is 32 bytes."""

    key: bytes = field(repr=False)

    @classmethod
    def of_engagement(cls, root: bytes, engagement_id: UUID) -> Pseudonyms:
        """Return an engagement's names under the instance's pseudonym key, `root`."""
        return cls(derive(root, ENGAGEMENT_PSEUDONYM, engagement_id.bytes))

    def of(self, bucket: int, vault_id: UUID) -> str:
        """Return the name of a vault's person, 30 characters."""
        tag = self._tag(vault_id)
        return f"p.{bucket ^ self._mask(tag):04x}{tag.hex()}"

    def bucket_of(self, name: str) -> int | None:
        """Return where to look for a name's vault; None: it is no name of this engagement."""
        match = _FORM.fullmatch(name)
        if match is None:
            return None
        bucket = int(match[1], 16) ^ self._mask(bytes.fromhex(match[2]))
        return bucket if bucket < BUCKETS else None

    def find(self, name: str, vaults: Iterable[UUID]) -> UUID | None:
        """Return which of a bucket's vaults has a name, or None."""
        match = _FORM.fullmatch(name)
        if match is None:
            return None
        wanted = bytes.fromhex(match[2])
        return next((each for each in vaults if self._tag(each) == wanted), None)

    def _tag(self, vault_id: UUID) -> bytes:
        return hmac.digest(self.key, b"vault" + vault_id.bytes, "sha256")[:_TAG_BYTES]

    def _mask(self, tag: bytes) -> int:
        return int.from_bytes(hmac.digest(self.key, b"bucket" + tag, "sha256")[:2], "big")
