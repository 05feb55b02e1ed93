"""Sealed box v1: the one format in which keys and records are kept.

    off len                                 off len
    0   1   magic 0x53                      8   32  salt (random)
    1   1   format = 1                      40  32  commitment = OKM[32:64]
    2   1   suite 0x01 AES-256-GCM          72  n   AES-256-GCM(OKM[0:32], nonce 0^12, plaintext)
    3   1   kind (`Kind`)                   72+n 16 tag
    4   4   key version (u32 big-endian)    overhead 88 bytes; a wrapped 32-byte key is 120 bytes

    OKM = HKDF-SHA-512(ikm = key, salt,
                       info = "pds/1/seal" 0x00 LP(suite) LP(kind) LP(SHA-256(LP(fields))), 64)
    AAD = header || salt || commitment || LP(fields)

The random salt makes every subkey unique, so the zero nonce is sound here and the 2^32 message
limit of NIST SP 800-38D section 8.3 does not apply. The commitment binds key and context: a box
opens under one key only, which ends partitioning oracles.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pds.crypto.labels import SEAL, lp
from pds.errors import DecryptionError

MAGIC = 0x53
FORMAT = 1
SUITE_AES_256_GCM = 0x01
HEADER_BYTES = 8
SALT_BYTES = 32
COMMITMENT_BYTES = 32
TAG_BYTES = 16
OVERHEAD_BYTES = HEADER_BYTES + SALT_BYTES + COMMITMENT_BYTES + TAG_BYTES
KEY_BYTES = 32

_NONCE = bytes(12)
_BODY = HEADER_BYTES + SALT_BYTES + COMMITMENT_BYTES
_SUITE_FIELD = lp([bytes([SUITE_AES_256_GCM])])


class Kind(IntEnum):
    """What a box holds; part of its header and of its key derivation."""

    WRAP = 1
    RECORD = 2
    SESSION = 3
    AUDIT = 4
    TERMS = 5
    STAGED = 6
    AT_REST = 7
    DEPOSIT_BODY = 8
    REFERENCE = 9
    FILE_KEY = 10


def seal(
    key: bytes, plaintext: bytes, *, kind: Kind, key_version: int, fields: Sequence[bytes]
) -> bytes:
    """Seal `plaintext` under a 32-byte key, bound to `fields` (the context).

    Whoever opens the box builds `fields` from what it expects, never from the box's row (TAK-21).
    """
    header = _header(kind, key_version)
    context = lp(fields)
    salt = os.urandom(SALT_BYTES)
    subkey, commitment = _subkey(key, salt, kind, context)
    aad = header + salt + commitment + context
    return header + salt + commitment + AESGCM(subkey).encrypt(_NONCE, plaintext, aad)


def open_box(
    key: bytes, box: bytes, *, kind: Kind, fields: Sequence[bytes], key_version: int | None = None
) -> bytes:
    """Invert `seal` (NIST SP 800-38D section 7.2).

    Args:
        key: 32 bytes.
        box: the whole box.
        kind: the kind that is expected.
        fields: the context that is expected.
        key_version: the version that is expected, or None to take the header's word for it; the
            header is authenticated either way.

    Raises:
        DecryptionError: anything is wrong. What it is, is never said.
    """
    if len(box) < OVERHEAD_BYTES:
        raise DecryptionError
    header = box[:HEADER_BYTES]
    expected = _header(kind, version_of(box) if key_version is None else key_version)
    salt = box[HEADER_BYTES : HEADER_BYTES + SALT_BYTES]
    context = lp(fields)
    subkey, commitment = _subkey(key, salt, kind, context)
    # Before decrypting, in constant time (TAK-19).
    genuine = hmac.compare_digest(commitment, box[HEADER_BYTES + SALT_BYTES : _BODY])
    if not genuine or header != expected:
        raise DecryptionError
    try:
        aad = header + salt + commitment + context
        return AESGCM(subkey).decrypt(_NONCE, box[_BODY:], aad)
    except InvalidTag as exc:
        raise DecryptionError from exc


def version_of(box: bytes) -> int:
    """Return the key version (u32) that a box's header names; 0 for what is too short."""
    return int.from_bytes(box[4:HEADER_BYTES], "big")


def pad(plaintext: bytes) -> bytes:
    """Pad to a PADME length (TAK-23): 0x80, then zeros; leaks O(log log n) bits of the length."""
    marked = len(plaintext) + 1
    return plaintext + b"\x80" + bytes(padded_bytes(marked) - marked)


def unpad(padded: bytes) -> bytes:
    """Invert `pad`.

    Raises:
        DecryptionError: there is no padding mark.
    """
    mark = padded.rfind(b"\x80")
    if mark < 0 or padded[mark + 1 :].strip(b"\x00"):
        raise DecryptionError
    return padded[:mark]


def padded_bytes(length: int) -> int:
    """Return the PADME length (TAK-23) that a length is raised to."""
    # "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", section 4;
    # at least 64 bytes, since the shortest records would otherwise tell each other apart.
    length = max(length, 64)
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


def _header(kind: Kind, key_version: int) -> bytes:
    fixed = bytes([MAGIC, FORMAT, SUITE_AES_256_GCM, kind])
    return fixed + key_version.to_bytes(4, "big")


def _subkey(key: bytes, salt: bytes, kind: Kind, context: bytes) -> tuple[bytes, bytes]:
    if len(key) != KEY_BYTES:
        raise DecryptionError
    digest = hashlib.sha256(context).digest()
    info = SEAL + b"\x00" + _SUITE_FIELD + lp([bytes([kind]), digest])
    okm = HKDF(algorithm=SHA512(), length=64, salt=salt, info=info).derive(key)
    return okm[:32], okm[32:]
