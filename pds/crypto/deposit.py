"""What an organisation leaves in a vault while its owner is away (TAK-24, P-18).

    0x53 0x01 0x11 0x02 || key version (u32) || HPKE(content key) 80 B || sealed box || MAC 32 B

HPKE is RFC 9180 base mode, DHKEM(X25519, HKDF-SHA-256) with AES-256-GCM, to the collection's
public key, whose private half derives from the collection key; the context is bound through `info`
(RFC 9180 section 8.1). The body is a sealed box under the fresh content key. The MAC, under a key
from the grant key, covers it all together with the author: only a holder of the grant can have
made it, though anyone can encrypt to a public key.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from pds.crypto.labels import COLLECTION_HPKE, DEPOSIT, derive, lp
from pds.crypto.sealed_box import KEY_BYTES, Kind, open_box, seal
from pds.errors import DecryptionError

HEADER = bytes([0x53, 0x01, 0x11, 0x02])
MAC_BYTES = 32
_ENCAPSULATED = 32 + KEY_BYTES + 16
_BODY = 8 + _ENCAPSULATED
_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def collection_public_key(collection_key: bytes) -> bytes:
    """Return the 32-byte X25519 public key to which deposits of a collection are made."""
    return _private(collection_key).public_key().public_bytes_raw()


def seal_deposit(
    public_key: bytes,
    plaintext: bytes,
    *,
    key_version: int,
    deposit_key: bytes,
    fields: Sequence[bytes],
) -> bytes:
    """Seal a document to a collection's public key, authenticated by the grant's deposit key."""
    header = HEADER + key_version.to_bytes(4, "big")
    content_key = os.urandom(KEY_BYTES)
    recipient = X25519PublicKey.from_public_bytes(public_key)
    encapsulated = _SUITE.encrypt(content_key, recipient, info=_info(header, fields))
    body = seal(
        content_key, plaintext, kind=Kind.DEPOSIT_BODY, key_version=key_version, fields=fields
    )
    unsigned = header + encapsulated + body
    return unsigned + _mac(deposit_key, unsigned, fields)


def open_deposit(
    collection_key: bytes, deposit: bytes, *, deposit_key: bytes, fields: Sequence[bytes]
) -> bytes:
    """Invert `seal_deposit`.

    Raises:
        DecryptionError: anything is wrong; what it is, is never said.
    """
    unsigned, mac = deposit[:-MAC_BYTES], deposit[-MAC_BYTES:]
    genuine = hmac.compare_digest(_mac(deposit_key, unsigned, fields), mac)
    if not genuine or unsigned[:4] != HEADER or len(unsigned) < _BODY:
        raise DecryptionError
    try:
        content_key = _SUITE.decrypt(
            unsigned[8:_BODY], _private(collection_key), info=_info(unsigned[:8], fields)
        )
    except (InvalidTag, ValueError) as exc:
        raise DecryptionError from exc
    return open_box(content_key, unsigned[_BODY:], kind=Kind.DEPOSIT_BODY, fields=fields)


def _private(collection_key: bytes) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(derive(collection_key, COLLECTION_HPKE))


def _info(header: bytes, fields: Sequence[bytes]) -> bytes:
    return DEPOSIT + b"\x00" + lp([header, *fields])


def _mac(deposit_key: bytes, unsigned: bytes, fields: Sequence[bytes]) -> bytes:
    return hmac.digest(deposit_key, lp([unsigned, *fields]), "sha256")
