"""Assertions and proofs of test clients, signed as fast as it can be done."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey, OKPKey

_ECDSA = ec.ECDSA(SHA256())
_ASSERTION_SECONDS = 300


class _Signer:
    """A private key, with the header of what it signs."""

    def __init__(self, key: ECKey | OKPKey, header: Mapping[str, Any]) -> None:
        self._key = key.private_key
        self._header = _b64u(json.dumps(header).encode())

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a compact JWS with a `jti` of its own."""
        claims = {"jti": secrets.token_urlsafe(16), **claims}
        text = f"{self._header}.{_b64u(json.dumps(claims).encode())}"
        return f"{text}.{_b64u(self._signature(text.encode()))}"

    def _signature(self, message: bytes) -> bytes:
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(message)
        r, s = decode_dss_signature(self._key.sign(message, _ECDSA))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class ProofKey:
    """A client's proof key."""

    def __init__(self, key: ECKey | OKPKey, algorithm: str) -> None:
        """Take the key of a test client."""
        header = {"typ": "dpop+jwt", "alg": algorithm, "jwk": key.as_dict(private=False)}
        self._signer = _Signer(key, header)

    def proof(self, method: str, url: str, *, now: int, access_token: str | None = None) -> str:
        """Return a fresh proof (RFC 9449 section 4.2)."""
        claims: dict[str, Any] = {"htm": method, "htu": url, "iat": now}
        if access_token is not None:
            claims["ath"] = _b64u(hashlib.sha256(access_token.encode()).digest())
        return self._signer.sign(claims)


class AssertionKey:
    """A key that a client authenticates with."""

    def __init__(self, key: ECKey | OKPKey, algorithm: str) -> None:
        """Take the key of a test client, with its `kid`."""
        self._signer = _Signer(key, {"alg": algorithm, "kid": key.kid})

    def assertion(self, client_id: str, issuer: str, *, now: int) -> str:
        """Return a fresh client assertion (RFC 7523 section 3)."""
        claims = {"iss": client_id, "sub": client_id, "aud": issuer}
        return self._signer.sign({**claims, "iat": now, "exp": now + _ASSERTION_SECONDS})


def _b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
