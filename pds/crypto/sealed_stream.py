"""Sealed stream v1: a file in chunks, each of which opens by itself and in its place only.

    chunk i     AES-256-GCM(stream key, nonce, plaintext of 262,144 bytes; the last may be shorter)
    nonce       11 bytes: i, big-endian; 1 byte: 1 if it is the last chunk, else 0
    stream key  HKDF-SHA-256(file key, "pds/1/file/stream", context)
    AAD         the context: LP(fields)

The construction is STREAM (Hoang, Reyhanitabar, Rogaway and Vizár, 2015): a chunk that is moved,
repeated, dropped or cut off, and an end that is none, fail to open. A file key seals one stream
only, so no nonce comes twice; whoever holds it knows it from a box that commits to it
(`pds.crypto.sealed_box`), which GCM by itself does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pds.crypto.labels import FILE_STREAM, derive, lp
from pds.crypto.sealed_box import TAG_BYTES
from pds.errors import DecryptionError

CHUNK_BYTES = 262_144
_NUMBER_BYTES = 11


@dataclass(frozen=True, slots=True)
class Stream:
    """Seals and opens the chunks of one file."""

    _cipher: AESGCM = field(repr=False)
    _context: bytes = field(repr=False)

    @classmethod
    def of(cls, file_key: bytes, fields: Sequence[bytes]) -> Stream:
        """Derive the stream's key from a 32-byte file key; `fields` are its context."""
        return cls(AESGCM(derive(file_key, FILE_STREAM, *fields)), lp(fields))

    def seal(self, number: int, plaintext: bytes, *, is_last: bool) -> bytes:
        """Seal chunk `number` (from 0); each number once.

        Raises:
            ValueError: it is longer than a chunk, or shorter and not the last.
        """
        if len(plaintext) > CHUNK_BYTES or (len(plaintext) < CHUNK_BYTES and not is_last):
            raise ValueError(f"a chunk of {len(plaintext)} bytes")
        return self._cipher.encrypt(_nonce(number, is_last=is_last), plaintext, self._context)

    def open(self, number: int, box: bytes, *, is_last: bool) -> bytes:
        """Open the chunk that stands in place `number`.

        Raises:
            DecryptionError: it is not that chunk of that file, or not (or yes) the last one.
        """
        if len(box) > CHUNK_BYTES + TAG_BYTES:
            raise DecryptionError
        try:
            return self._cipher.decrypt(_nonce(number, is_last=is_last), box, self._context)
        except InvalidTag as exc:
            raise DecryptionError from exc


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(_NUMBER_BYTES, "big") + bytes([is_last])
