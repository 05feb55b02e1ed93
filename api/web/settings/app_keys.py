"""Public keys as people paste them: a JWK, a JWK Set with one key, or PEM (RFC 7517, RFC 7468)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc import jwk as joserfc_jwk

from api.oauth import refused_keys
from api.oauth.ext.clients import jwks_fault
from pds.errors import Issue, ValidationFailedError
from pds.store import Sender

MOST_CHARACTERS = 8_000
_PEM = "-----BEGIN PUBLIC KEY-----"
_SECRET_MEMBER = re.compile(r'"[dk]"\s*:')


def thumbprint(sender: Sender, text: str) -> str:
    """Return the RFC 7638 thumbprint of the one public key in a text.

    Raises:
        ValidationFailedError: it is none, a private one, more than one, of a kind that signs no
            proofs, or one that is refused for ever.
    """
    if "PRIVATE KEY" in text:
        raise _refused("app_key_private")
    key = _of_pem(text) if text.strip().startswith(_PEM) else _of_json(text)
    if "d" in key:
        raise _refused("app_key_private")
    if jwks_fault({"keys": [key]}) is not None:
        raise _refused("app_key_malformed")
    found = refused_keys.thumbprint(key)
    if refused_keys.is_refused(sender, found):
        raise _refused("app_key_refused")
    return found


def may_be_secret(text: str) -> bool:
    """Tell whether a text could hold a private or a shared key, which no page may show again."""
    return "PRIVATE KEY" in text or _SECRET_MEMBER.search(text) is not None


def _of_json(text: str) -> Mapping[str, Any]:
    try:
        document = orjson.loads(text[: MOST_CHARACTERS + 1])
    except orjson.JSONDecodeError as exc:
        raise _refused("app_key_malformed") from exc
    keys = document.get("keys") if isinstance(document, dict) and "keys" in document else [document]
    if not isinstance(keys, list) or len(keys) != 1 or not isinstance(keys[0], dict):
        raise _refused("app_key_malformed")
    found: Mapping[str, Any] = keys[0]
    return found


def _of_pem(text: str) -> Mapping[str, Any]:
    try:
        key = load_pem_public_key(text.strip()[:MOST_CHARACTERS].encode())
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise _refused("app_key_malformed") from exc
    match key:
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP256R1):
            return joserfc_jwk.ECKey.import_key(key).as_dict(private=False)
        case ed25519.Ed25519PublicKey():
            return joserfc_jwk.OKPKey.import_key(key).as_dict(private=False)
        case rsa.RSAPublicKey():
            return joserfc_jwk.RSAKey.import_key(key).as_dict(private=False)
    raise _refused("app_key_malformed")


def _refused(rule: str) -> ValidationFailedError:
    return ValidationFailedError([Issue("key", rule, "the key cannot be taken")])
