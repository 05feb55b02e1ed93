"""Who we are, and that a token is ours: RFC 7523 client assertions and RFC 9449 DPoP proofs.

Assertion: header `alg`, `kid`; claims `iss` = `sub` = client id, `aud` = the issuer as one string
and nothing else (FAPI 2.0 section 5.3.2.1), `jti`, `iat`, `exp` 60 seconds later.
Proof: header `typ` = `dpop+jwt`, `alg`, `jwk` (public); claims `jti`, `htm`, `htu` without query,
`iat`, and `ath` where a token goes with it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from datetime import datetime
from typing import TypeGuard

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OKPKey

from connector.errors import ConfigurationError

ASSERTION_SECONDS = 60
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SigningKey = ECKey | OKPKey


def generate_key() -> OKPKey:
    """Make an Ed25519 key; its `kid` is its thumbprint (RFC 7638)."""
    key = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "Ed25519"}, private=True)
    key.ensure_kid()
    return key


def load_keys(text: str) -> list[SigningKey]:
    """Read a private JWK, or a set of them, for ES256 or Ed25519.

    Raises:
        ConfigurationError: no usable private key is in it.
    """
    try:
        document = json.loads(text)
        members = document.get("keys", [document])
        keys = [key for key in KeySet.import_key_set({"keys": members}) if _usable(key)]
    except (AttributeError, ValueError, JoseError) as error:
        raise ConfigurationError("the private key is no JWK") from error
    if not keys:
        raise ConfigurationError("the private key must be a private Ed25519 or P-256 JWK")
    return keys


def receipt_key(keys: list[SigningKey]) -> tuple[Ed25519PrivateKey, str]:
    """Return the first Ed25519 key and its id: deletion receipts are signed with it.

    Raises:
        ConfigurationError: there is none.
    """
    for key in keys:
        private = key.private_key
        if isinstance(private, Ed25519PrivateKey):
            return private, _kid(key)
    raise ConfigurationError("deletion receipts need an Ed25519 key: add one to the private keys")


def client_assertion(key: SigningKey, *, client_id: str, issuer: str, now: datetime) -> str:
    """Write a client assertion (RFC 7523 section 2.2)."""
    issued_at = int(now.timestamp())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": issuer,
        "jti": secrets.token_urlsafe(16),
        "iat": issued_at,
        "exp": issued_at + ASSERTION_SECONDS,
    }
    algorithm = _algorithm(key)
    return jwt.encode({"alg": algorithm, "kid": _kid(key)}, claims, key, algorithms=[algorithm])


def dpop_proof(
    key: SigningKey, *, method: str, url: str, now: datetime, access_token: str | None = None
) -> str:
    """Write a DPoP proof (RFC 9449 section 4.2); `url` is without query and fragment."""
    claims: dict[str, str | int] = {
        "jti": secrets.token_urlsafe(16),
        "htm": method,
        "htu": url,
        "iat": int(now.timestamp()),
    }
    if access_token is not None:
        # RFC 9449 section 4.2 wants this hash of the token; it goes to the server and nowhere else.
        claims["ath"] = base64url(hashlib.sha256(access_token.encode("ascii")).digest())
    algorithm = _algorithm(key)
    public = {name: key.as_dict(private=False)[name] for name in _public_members(key)}
    header = {"typ": "dpop+jwt", "alg": algorithm, "jwk": public}
    return jwt.encode(header, claims, key, algorithms=[algorithm])


def base64url(data: bytes) -> str:
    """Write bytes as base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _algorithm(key: SigningKey) -> str:
    # `EdDSA` is deprecated (RFC 9864); a key that says it wants it gets it.
    return str(key.get("alg") or ("ES256" if isinstance(key, ECKey) else "Ed25519"))


def _kid(key: SigningKey) -> str:
    return str(key.get("kid") or key.thumbprint())


def _public_members(key: SigningKey) -> tuple[str, ...]:
    return ("kty", "crv", "x", "y") if isinstance(key, ECKey) else ("kty", "crv", "x")


def _usable(key: object) -> TypeGuard[SigningKey]:
    if isinstance(key, ECKey):
        return key.is_private and key.curve_name == "P-256"
    return isinstance(key, OKPKey) and key.is_private and key.curve_name == "Ed25519"
