"""One-time values: the insert that wins is the first use (RFC 9449 section 11.1, RFC 7523).

What a request was signed with is checked first and used up later, in one transaction for all of it:
at the token endpoint in the one that stores the token, so that a token costs one commit. Until then
a request changes nothing, as it may be a replay. If it is refused, its values are used up in a
transaction of their own before it is answered: no answer leaves one that can be sent again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from authlib.oauth2 import OAuth2Error

CLIENT_ASSERTION: Final = "assert"
DPOP_PROOF: Final = "dpop"


@dataclass(frozen=True, slots=True)
class OneTimeValue:
    """The id of an assertion or proof whose signature holds.

    Attributes:
        kind: `CLIENT_ASSERTION` or `DPOP_PROOF`, at most 8 characters.
        subject: client id, or the thumbprint of the proof key.
        jti_hash: 32 bytes of `one_time_hash`.
        expires_at: Unix seconds from which it need not be remembered.
        used_before: makes the error that answers its second use.
    """

    kind: str
    subject: str
    jti_hash: bytes
    expires_at: int
    used_before: Callable[[], OAuth2Error]


class ReplayStore(Protocol):
    """Remembers one-time values until they could no longer be accepted anyway."""

    def use_up(self, values: Sequence[OneTimeValue]) -> OneTimeValue | None:
        """Record values in their order; return the first that was there already, or None.

        Nothing after that one is recorded, everything before it is.
        Atomic across all workers: a unique index decides, not a read before the write.
        """
        ...


def use_up(replays: ReplayStore, request: Any) -> None:  # noqa: ANN401 - Authlib ships no types
    """Use up what a request was signed with, once; raise the error of what was used before."""
    values, request.one_time_values = request.one_time_values, ()
    replayed = replays.use_up(values) if values else None
    if replayed is not None:
        raise replayed.used_before()


def one_time_hash(*parts: str) -> bytes:
    """Return SHA-256 over the length-prefixed ASCII parts: no two lists of parts collide."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("ascii")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.digest()
