"""A security key in software: makes passkeys and proves them, as WebAuthn Level 3 writes it down.

Each part of an answer can be made wrong, to see it refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from dataclasses import dataclass, field

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


def base64url(plain):
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")


def plain(text):
    return base64.urlsafe_b64decode(text + "==")


@dataclass
class Authenticator:
    """One device with at most one passkey of each party's user."""

    origin: str
    verifies: bool = True  # a PIN or a fingerprint
    counter: int = 0
    step: int = 1  # 0: it does not count
    key: object = field(default_factory=lambda: generate_private_key(SECP256R1()))
    id: bytes = field(default_factory=lambda: os.urandom(32))
    secret: bytes = field(default_factory=lambda: os.urandom(32))
    user: bytes = b""

    def register(self, options, **wrong):
        """Answer `navigator.credentials.create`: returns the JSON that the page sends."""
        self.user = plain(options["user"]["id"])
        data = self._data(options["rp"]["id"], _ATTESTED, **wrong)
        data += bytes(16) + len(self.id).to_bytes(2, "big") + self.id + self._cose()
        statement = {"fmt": "none", "attStmt": {}, "authData": data}
        response = {
            "clientDataJSON": base64url(self._client("webauthn.create", options, **wrong)),
            "attestationObject": base64url(cbor2.dumps(statement)),
        }
        return self._credential(response)

    def prove(self, options, **wrong):
        """Answer `navigator.credentials.get`: returns the JSON that the page sends."""
        client = self._client("webauthn.get", options, **wrong)
        self.counter += self.step
        data = self._data(options["rpId"], 0, **wrong)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ECDSA(SHA256()))
        handle = wrong.get("user", self.user)
        response = {
            "clientDataJSON": base64url(client),
            "authenticatorData": base64url(data),
            "signature": base64url(signature),
            **({} if handle is None else {"userHandle": base64url(handle)}),
        }
        return self._credential(response)

    def prf(self, options):
        """Return what the `prf` extension gives for the options: 32 bytes, as the page sends them.

        The salt is hashed as the extension says (section 10.1.4).
        """
        salt = plain(options["extensions"]["prf"]["eval"]["first"])
        salt = hashlib.sha256(b"WebAuthn PRF\x00" + salt).digest()
        return base64url(hmac.digest(self.secret, salt, "sha256"))

    def _client(self, kind, options, *, origin=None, framed=False, **_others):
        told = {
            "type": kind,
            "challenge": options["challenge"],
            "origin": origin or self.origin,
            "crossOrigin": framed,
        }
        return json.dumps(told).encode()

    def _data(self, party, flags, *, party_id=None, **_others):
        flags |= _PRESENT | (_VERIFIED if self.verifies else 0)
        of = hashlib.sha256((party_id or party).encode()).digest()
        return of + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _cose(self):
        numbers = self.key.public_key().public_numbers()
        x, y = (each.to_bytes(32, "big") for each in (numbers.x, numbers.y))
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})

    def _credential(self, response):
        name = base64url(self.id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})
