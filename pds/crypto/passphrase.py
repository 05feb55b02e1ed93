"""Passphrase and recovery code: from what a person knows to a key.

    S (64 bytes) = Argon2id(passphrase, salt)                               RFC 9106, one run only
    stored verifier = HMAC-SHA-256(pepper_v, HKDF(S[:32], "pw/auth", account, parameters))
    KEK             = HKDF(S[32:] with salt pepper_v, "pw/kek", account, parameters)

The pepper enters the KEK as well as the verifier, because the wrapped root key is itself an oracle
for guesses (TAK-16): the database alone confirms no guess. A second, weaker hash of the same
passphrase would be the attacker's target, so there is none (TAK-15). A recovery code has 160
random bits and needs no Argon2.
"""

from __future__ import annotations

import base64
import hmac
import os
import unicodedata
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pds.crypto.labels import (
    PASSPHRASE_AUTH,
    PASSPHRASE_KEK,
    RECOVERY_AUTH,
    RECOVERY_KEK,
    derive,
    lp,
)
from pds.errors import DecryptionError

SALT_BYTES = 16
RECOVERY_BYTES = 20


@dataclass(frozen=True, slots=True)
class Argon2Parameters:
    """Cost of one passphrase run: memory in KiB, passes, lanes."""

    memory_kib: int = 64 * 1024
    passes: int = 3
    lanes: int = 4

    def encoded(self) -> str:
        """Return the form kept beside a wrap and bound into its key."""
        return f"argon2id$m={self.memory_kib},t={self.passes},p={self.lanes}"

    @classmethod
    def decoded(cls, text: str) -> Argon2Parameters:
        """Read `encoded`, refusing what is below the floor or above the ceiling (TAK-17, P-17).

        The floor stops a database writer from making the next guess cheap, the ceiling from making
        the next sign-in exhaust the machine.

        Raises:
            DecryptionError: the text is malformed, or the cost is out of bounds.
        """
        try:
            name, costs = text.split("$")
            values = dict(part.split("=") for part in costs.split(","))
            parameters = cls(int(values["m"]), int(values["t"]), int(values["p"]))
        except (ValueError, KeyError) as exc:
            raise DecryptionError from exc
        in_bounds = FLOOR.memory_kib <= parameters.memory_kib <= CEILING.memory_kib
        in_bounds &= FLOOR.passes <= parameters.passes <= CEILING.passes
        in_bounds &= FLOOR.lanes <= parameters.lanes <= CEILING.lanes
        if name != "argon2id" or not in_bounds:
            raise DecryptionError
        return parameters


DEFAULT = Argon2Parameters()
# OWASP ASVS 5.0 11.4.2 asks for at least 46 MiB with one pass; the ceiling bounds one sign-in.
FLOOR = Argon2Parameters(memory_kib=46 * 1024, passes=1, lanes=1)
CEILING = Argon2Parameters(memory_kib=1024 * 1024, passes=16, lanes=16)


@dataclass(frozen=True, slots=True, repr=False)
class UnlockKeys:
    """What a passphrase or code yields: a verifier to store, and a KEK never stored."""

    verifier: bytes
    kek: bytes


def normalise(passphrase: str) -> bytes:
    """Return the NFKC form in UTF-8, so that two keyboards give one passphrase."""
    return unicodedata.normalize("NFKC", passphrase).encode("utf-8")


def from_passphrase(
    passphrase: str, *, salt: bytes, parameters: Argon2Parameters, pepper: bytes, account: bytes
) -> UnlockKeys:
    """Stretch a passphrase into a verifier and a KEK; takes about an eighth of a second.

    Args:
        passphrase: as typed.
        salt: 16 bytes, per account.
        parameters: the cost; bound into both results, so that they cannot be swapped.
        pepper: 32 bytes that are kept apart from the database.
        account: the vault id's 16 bytes.
    """
    stretched = Argon2id(
        salt=salt,
        length=64,
        iterations=parameters.passes,
        lanes=parameters.lanes,
        memory_cost=parameters.memory_kib,
    ).derive(normalise(passphrase))
    context = (account, parameters.encoded().encode())
    auth = derive(stretched[:32], PASSPHRASE_AUTH, *context)
    info = PASSPHRASE_KEK + b"\x00" + lp(context)
    kek = HKDF(algorithm=SHA256(), length=32, salt=pepper, info=info).derive(stretched[32:])
    return UnlockKeys(hmac.digest(pepper, auth, "sha256"), kek)


def new_salt() -> bytes:
    """Return a fresh Argon2 salt."""
    return os.urandom(SALT_BYTES)


def new_recovery_code() -> str:
    """Return a recovery code of 160 bits: eight groups of four characters of base32."""
    text = base64.b32encode(os.urandom(RECOVERY_BYTES)).decode("ascii")
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def from_recovery_code(code: str, *, account: bytes) -> UnlockKeys:
    """Turn a recovery code into a verifier and a KEK.

    Raises:
        DecryptionError: it has not the form of a recovery code.
    """
    compact = "".join(code.split()).replace("-", "").upper()  # ascii
    try:
        raw = base64.b32decode(compact)
    except ValueError as exc:
        raise DecryptionError from exc
    if len(raw) != RECOVERY_BYTES:
        raise DecryptionError
    return UnlockKeys(derive(raw, RECOVERY_AUTH, account), derive(raw, RECOVERY_KEK, account))
