"""C2SP tlog-cosignature v1, Ed25519 (type 0x04): a witness saw this tree, and when.

    signature = u64 big-endian POSIX seconds || Ed25519 over
        cosignature/v1
        time <seconds>
        <the checkpoint's text>

The message does not name the witness: one key must serve one witness only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.formats.errors import MalformedError, VerificationError
from consent.formats.note import (
    Signature,
    compute_key_id,
    decode_key,
    decode_private_key,
    encode_key,
    encode_private_key,
    verify_ed25519,
)

COSIGNATURE_V1 = 0x04
MAX_SECONDS = 2**63 - 1

_TIME_BYTES = 8
_SIGNATURE_BYTES = _TIME_BYTES + 64


@dataclass(frozen=True, slots=True)
class CosignatureVerifier:
    """A witness's public key (type 0x04); a `NoteVerifier`."""

    name: str
    public_key: bytes
    key_id: bytes = field(init=False)

    def __post_init__(self) -> None:
        key_id = compute_key_id(self.name, COSIGNATURE_V1, self.public_key)
        object.__setattr__(self, "key_id", key_id)

    @classmethod
    def from_text(cls, vkey: str) -> CosignatureVerifier:
        """Read a vkey of type 0x04.

        Raises:
            MalformedError: it is no vkey, of another type, or its key id is wrong.
        """
        return cls(*decode_key(vkey, COSIGNATURE_V1))

    def to_text(self) -> str:
        """Return the vkey."""
        return encode_key(self.name, COSIGNATURE_V1, self.public_key)

    def verify(self, text: str, signature: bytes) -> None:
        """Raise VerificationError unless `signature` is a cosignature over `text`."""
        if len(signature) != _SIGNATURE_BYTES:
            raise VerificationError("not a cosignature")
        seconds = int.from_bytes(signature[:_TIME_BYTES], "big")
        if seconds > MAX_SECONDS:
            raise VerificationError("not a cosignature")
        verify_ed25519(self.public_key, signature[_TIME_BYTES:], _message(text, seconds))


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness's private key; `now` returns POSIX seconds. A `NoteSigner`."""

    name: str
    private_key: Ed25519PrivateKey = field(repr=False)
    now: Callable[[], int] = field(repr=False)
    verifier: CosignatureVerifier = field(init=False)

    def __post_init__(self) -> None:
        public = self.private_key.public_key().public_bytes_raw()
        object.__setattr__(self, "verifier", CosignatureVerifier(self.name, public))

    @classmethod
    def generate(cls, name: str, *, now: Callable[[], int]) -> Cosigner:
        """Make a new key.

        Raises:
            MalformedError: the name is empty or holds a space, a control character or a plus.
        """
        return cls(name, Ed25519PrivateKey.generate(), now)

    @classmethod
    def from_text(cls, skey: str, *, now: Callable[[], int]) -> Cosigner:
        """Read an skey of type 0x04.

        Raises:
            MalformedError: it is no skey, of another type, or its key id is wrong.
        """
        return cls(*decode_private_key(skey, COSIGNATURE_V1), now)

    def to_text(self) -> str:
        """Return the skey, a secret."""
        return encode_private_key(self.name, COSIGNATURE_V1, self.private_key)

    @property
    def key_id(self) -> bytes:
        """The verifier's key id."""
        return self.verifier.key_id

    def sign(self, text: str) -> bytes:
        """Return the 72-byte timestamped signature over a checkpoint's text.

        Raises:
            MalformedError: the clock is outside 0 to 2^63 - 1.
        """
        seconds = self.now()
        if not 0 <= seconds <= MAX_SECONDS:
            raise MalformedError("no POSIX time")
        stamp = seconds.to_bytes(_TIME_BYTES, "big")
        return stamp + self.private_key.sign(_message(text, seconds))


def cosigned_at(signature: Signature) -> int:
    """Return the POSIX seconds of a cosignature that `open_note` has verified."""
    return int.from_bytes(signature.value[:_TIME_BYTES], "big")


def _message(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()
