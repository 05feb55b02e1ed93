"""The PRF of a passkey: from what a person's device calculates to a key (WebAuthn section 10.1.4).

    PRF output (32 bytes) = HMAC-SHA-256(secret of the passkey, SHA-256("WebAuthn PRF", 0, INPUT))
    KEK                   = HKDF(PRF output, "prf/kek", deployment, vault, passkey, credential id)

The secret has 256 random bits, differs for each passkey and never leaves its device, so there is
nothing to guess, and one INPUT serves all: what separates keys is the secret and the context. The
input could differ for each passkey only if the page knew before which one will answer, and so told
strangers which passkeys a name has.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from pds.crypto.labels import PASSKEY_KEK, derive

INPUT = b"personal data store: open the vault"
OUTPUT_BYTES = 32


@dataclass(frozen=True, slots=True, repr=False)
class PrfOutput:
    """What a device calculated: like a passphrase, never stored, logged or shown."""

    secret: bytes

    def kek(self, *context: bytes) -> bytes:
        """Return the 32-byte key that wraps the root key; never stored."""
        return derive(self.secret, PASSKEY_KEK, *context)


def parse(text: str) -> PrfOutput | None:
    """Read an output as the page sends it, in base64url without padding; None for anything else."""
    try:
        secret = base64.b64decode(text + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return PrfOutput(secret) if len(secret) == OUTPUT_BYTES else None
