"""C2SP signed-note: text, a blank line, and signature lines.

    <text, ends in newline>
    <blank line>
    — <key name> base64(u32 key id || signature)

    vkey   <name>+<8 hex key id>+base64(type || public key)
    skey   PRIVATE+KEY+<name>+<8 hex key id>+base64(type || seed)
    key id = SHA-256(name || 0x0A || type || public key)[:4]

Here the type is 0x01, Ed25519 over the text; `cosignature` has 0x04. Signatures by unknown keys are
ignored, which lets logs rotate keys and gather witnesses; one by a known key that is wrong spoils
the note. The text means nothing until `open_note` has returned it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consent.formats.encoding import b64, b64_decode
from consent.formats.errors import MalformedError, VerificationError

ED25519 = 0x01
KEY_BYTES = 32
KEY_ID_BYTES = 4
MAX_SIGNATURES = 100

_DASH = "\u2014 "
_PRIVATE = "PRIVATE+KEY+"
_KEY_PARTS = re.compile(r"(?P<name>[^+]+)\+(?P<id>[0-9a-f]{8})\+(?P<key>[A-Za-z0-9+/=]+)")


class NoteVerifier(Protocol):
    """A public key that `open_note` knows, by name and key id."""

    @property
    def name(self) -> str:
        """The key's name, as in signature lines."""

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that tell keys of one name apart."""

    def verify(self, text: str, signature: bytes) -> None:
        """Raise VerificationError unless `signature`, without key id, is over `text`."""


class NoteSigner(Protocol):
    """A private key that can sign a note's text."""

    @property
    def name(self) -> str:
        """The key's name, as in signature lines."""

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that tell keys of one name apart."""

    def sign(self, text: str) -> bytes:
        """Return the signature over `text`, without key id."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: `value` is what follows the 4-byte `key_id`."""

    name: str
    key_id: bytes
    value: bytes

    def to_line(self) -> str:
        """Return the line, with its newline."""
        return f"{_DASH}{self.name} {b64(self.key_id + self.value)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """An opened note: its `text`, with final newline, and who is known to have signed it."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Verifier:
    """An Ed25519 note key (type 0x01)."""

    name: str
    public_key: bytes
    key_id: bytes = field(init=False)

    def __post_init__(self) -> None:
        key_id = compute_key_id(self.name, ED25519, self.public_key)
        object.__setattr__(self, "key_id", key_id)

    @classmethod
    def from_text(cls, vkey: str) -> Verifier:
        """Read a vkey.

        Raises:
            MalformedError: it is no vkey, of another type, or its key id is wrong.
        """
        return cls(*decode_key(vkey, ED25519))

    def to_text(self) -> str:
        """Return the vkey."""
        return encode_key(self.name, ED25519, self.public_key)

    def verify(self, text: str, signature: bytes) -> None:
        """Raise VerificationError unless `signature` is over `text` (RFC 8032)."""
        verify_ed25519(self.public_key, signature, text.encode("utf-8"))


@dataclass(frozen=True, slots=True)
class Signer:
    """An Ed25519 note key with its private half (type 0x01)."""

    name: str
    private_key: Ed25519PrivateKey = field(repr=False)
    verifier: Verifier = field(init=False)

    def __post_init__(self) -> None:
        public = self.private_key.public_key().public_bytes_raw()
        object.__setattr__(self, "verifier", Verifier(self.name, public))

    @classmethod
    def generate(cls, name: str) -> Signer:
        """Make a new key.

        Raises:
            MalformedError: the name is empty or holds a space, a control character or a plus.
        """
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def from_text(cls, skey: str) -> Signer:
        """Read an skey.

        Raises:
            MalformedError: it is no skey, of another type, or its key id is wrong.
        """
        return cls(*decode_private_key(skey, ED25519))

    def to_text(self) -> str:
        """Return the skey, a secret."""
        return encode_private_key(self.name, ED25519, self.private_key)

    @property
    def key_id(self) -> bytes:
        """The verifier's key id."""
        return self.verifier.key_id

    def sign(self, text: str) -> bytes:
        """Return the 64-byte signature over `text` (RFC 8032)."""
        return self.private_key.sign(text.encode("utf-8"))


def sign(text: str, signers: Sequence[NoteSigner]) -> str:
    """Return the note of `text`, signed by each signer in order.

    More signature lines, a witness's say, may be appended to it as they are.

    Raises:
        MalformedError: the text does not end in a newline, or holds what a note cannot.
    """
    _check_characters(text)
    if not text.endswith("\n") or not 1 <= len(signers) <= MAX_SIGNATURES:
        raise MalformedError("a note is a text ending in newline, with 1 to 100 signatures")
    return text + "\n" + "".join(signature_line(text, signer) for signer in signers)


def signature_line(text: str, signer: NoteSigner) -> str:
    """Return the line, with its newline, by which `signer` signs the note of `text`."""
    return Signature(signer.name, signer.key_id, signer.sign(text)).to_line()


def open_note(note: str, verifiers: Iterable[NoteVerifier]) -> Note:
    """Verify a note and return its text with the signatures of known keys.

    A second signature by the same key is dropped, as in Go's implementation.

    Raises:
        MalformedError: it is no note, or two of the known keys share name and key id.
        VerificationError: a known key's signature is wrong, or no known key has signed.
    """
    every = list(verifiers)
    known = {(verifier.name, verifier.key_id): verifier for verifier in every}
    if len(known) != len(every):
        raise MalformedError("two known keys share name and key id")
    text, lines = _split(note)
    verified: dict[tuple[str, bytes], Signature] = {}
    for line in lines:
        signature = _parse_line(line)
        key = (signature.name, signature.key_id)
        if key in known and key not in verified:
            known[key].verify(text, signature.value)
            verified[key] = signature
    if not verified:
        raise VerificationError("no known key has signed the note")
    return Note(text, tuple(verified.values()))


def compute_key_id(name: str, signature_type: int, public_key: bytes) -> bytes:
    """Return the 4-byte key id that C2SP signed-note recommends.

    Raises:
        MalformedError: the name cannot name a key, or the public key is not 32 bytes.
    """
    _check_characters(name)
    if not name or "+" in name or any(character.isspace() for character in name):
        raise MalformedError("a key name is not empty and has neither spaces nor plus")
    if len(public_key) != KEY_BYTES:
        raise MalformedError(f"an Ed25519 key has {KEY_BYTES} bytes")
    hashed = name.encode("utf-8") + b"\n" + bytes([signature_type]) + public_key
    return hashlib.sha256(hashed).digest()[:KEY_ID_BYTES]


def encode_key(name: str, signature_type: int, public_key: bytes) -> str:
    """Return the vkey of a public key of 32 bytes."""
    key_id = compute_key_id(name, signature_type, public_key)
    return f"{name}+{key_id.hex()}+{b64(bytes([signature_type]) + public_key)}"


def encode_private_key(name: str, signature_type: int, private_key: Ed25519PrivateKey) -> str:
    """Return the skey, a secret."""
    key_id = compute_key_id(name, signature_type, private_key.public_key().public_bytes_raw())
    material = bytes([signature_type]) + private_key.private_bytes_raw()
    return f"{_PRIVATE}{name}+{key_id.hex()}+{b64(material)}"


def decode_key(vkey: str, signature_type: int) -> tuple[str, bytes]:
    """Read a vkey of one signature type; return its name and public key.

    Raises:
        MalformedError: it is no vkey, of another type, or its key id is wrong.
    """
    name, key_id, public_key = _key_parts(vkey, signature_type)
    if compute_key_id(name, signature_type, public_key) != key_id:
        raise MalformedError("the key id does not belong to the key")
    return name, public_key


def decode_private_key(skey: str, signature_type: int) -> tuple[str, Ed25519PrivateKey]:
    """Read an skey of one signature type; return its name and private key.

    Raises:
        MalformedError: it is no skey, of another type, or its key id is wrong.
    """
    if not skey.startswith(_PRIVATE):
        raise MalformedError("not a private note key")
    name, key_id, seed = _key_parts(skey.removeprefix(_PRIVATE), signature_type)
    private_key = Ed25519PrivateKey.from_private_bytes(seed)
    public_key = private_key.public_key().public_bytes_raw()
    if compute_key_id(name, signature_type, public_key) != key_id:
        raise MalformedError("the key id does not belong to the key")
    return name, private_key


def verify_ed25519(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Verify an Ed25519 signature (RFC 8032).

    Raises:
        VerificationError: it does not verify, or the key is no key.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError) as exc:
        raise VerificationError("the signature does not verify") from exc


def _key_parts(text: str, signature_type: int) -> tuple[str, bytes, bytes]:
    match = _KEY_PARTS.fullmatch(text)
    if match is None:
        raise MalformedError("not a note key")
    key = b64_decode(match["key"], length=1 + KEY_BYTES)
    if key[0] != signature_type:
        raise MalformedError("a note key of another signature type")
    return match["name"], bytes.fromhex(match["id"]), key[1:]


def _split(note: str) -> tuple[str, list[str]]:
    _check_characters(note)
    # The text may hold empty lines: the last one ends it.
    text, blank, signatures = note.rpartition("\n\n")
    lines = signatures.split("\n")
    if not blank or lines.pop() != "" or not 1 <= len(lines) <= MAX_SIGNATURES:
        raise MalformedError("not a signed note")
    return text + "\n", lines


def _parse_line(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    value = b64_decode(encoded)
    if not line.startswith(_DASH) or len(value) <= KEY_ID_BYTES:
        raise MalformedError("not a signature line")
    if not name or "+" in name or any(character.isspace() for character in name):
        raise MalformedError("a key name is not empty and has neither spaces nor plus")
    return Signature(name, value[:KEY_ID_BYTES], value[KEY_ID_BYTES:])


def _check_characters(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise MalformedError("not UTF-8") from exc
    if any(character < " " and character != "\n" for character in text):
        raise MalformedError("a control character")
