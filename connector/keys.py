"""Everything that derives from the connector's one secret.

Four keys come from it by HKDF-SHA-256 (RFC 5869) with a label each: one names contacts in the CRM,
one digests field values, one seals credentials, one chains the audit trail. Sealed layout: nonce
(12 bytes) || AES-256-GCM ciphertext and tag; the nonce is random, which is sound for the few
thousand credentials of one key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from connector.errors import ConfigurationError, StateError

SECRET_MINIMUM_BYTES = 16
KEY_CHARACTERS = 26  # 130 bits in base32: opaque, and short enough for any CRM's key field
NONCE_BYTES = 12


class ConnectorKeys:
    """The keys of one connector instance."""

    def __init__(self, secret: bytes) -> None:
        """Derive the keys.

        Args:
            secret: at least 16 bytes from a random source.

        Raises:
            ConfigurationError: the secret is too short.
        """
        if len(secret) < SECRET_MINIMUM_BYTES:
            raise ConfigurationError(
                f"[state] secret is shorter than {SECRET_MINIMUM_BYTES} bytes; `init` makes one"
            )
        self._contact = _derive(secret, b"pds-connector/contact-key/1")
        self._digest = _derive(secret, b"pds-connector/digest/1")
        self._seal = _derive(secret, b"pds-connector/credential/1")
        self.audit = _derive(secret, b"pds-connector/audit/1")

    def contact_key(self, connection: str, *, life: int) -> str:
        """Name a connection's contact in the CRM (CON-7, CON-34).

        The CRM's key field often outlives an erasure, so the connection id itself never stands
        there. A connection that ended and came back has another `life` and so another key: an
        old key is never used again (CON-G5).
        """
        message = f"{connection}|{life}".encode()
        digest = hmac.digest(self._contact, message, hashlib.sha256)
        return base64.b32encode(digest).decode()[:KEY_CHARACTERS]

    def field_digest(self, field: str, value: object) -> str:
        """Digest what a CRM field holds, so that the store need not hold it (CON-30).

        Keyed, because the values of a telephone or birth date field can be tried one by one.
        """
        canonical = json.dumps([field, value], sort_keys=True, separators=(",", ":"))
        return hmac.digest(self._digest, canonical.encode(), hashlib.sha256).hex()

    def seal(self, plaintext: bytes, *, place: str) -> bytes:
        """Seal a credential for its place in the store."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self._seal).encrypt(nonce, plaintext, place.encode())

    def open_sealed(self, sealed: bytes, *, place: str) -> bytes:
        """Invert `seal`.

        Raises:
            StateError: another secret sealed it, or it stood in another place.
        """
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return AESGCM(self._seal).decrypt(nonce, ciphertext, place.encode())
        except (InvalidTag, ValueError) as error:
            raise StateError("a credential does not open: is [state] secret another?") from error


def _derive(secret: bytes, label: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=label).derive(secret)
