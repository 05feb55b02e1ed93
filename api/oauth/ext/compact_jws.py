"""Strict reading of one compact JWS, with the algorithms of FAPI 2.0 only.

    BASE64URL(UTF-8(protected header)) "." BASE64URL(payload) "." BASE64URL(signature)

RFC 7515 section 7.1. Keys come in through joserfc, and those that were imported are kept. Text is
read and signatures are checked here, on `cryptography`: joserfc takes the last of two members of
one name, and refuses headers above 512 bytes, which a proof with an RSA key exceeds (ADR 0031).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jwk as joserfc_jwk
from joserfc.errors import JoseError, SecurityWarning

CACHED_KEYS: Final = 2048
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

# FAPI 2.0 section 5.4.1; RFC 9864 renames EdDSA with Ed25519 to plain "Ed25519".
ALGORITHMS: Final = ("ES256", "PS256", "EdDSA", "Ed25519")
RSA_BITS_MIN: Final = 2048
# Above this a stranger's proof would buy too much of our processor time.
RSA_BITS_MAX: Final = 4096
_RSA_EXPONENT_MAX: Final = 2**32
_RSA_MODULUS_CHARS: Final = range(342, 684)  # 2048 to 4096 bits in base64url
_COORDINATE_BYTES: Final = 32
# What joserfc and cryptography raise for members that are missing, mistyped or off the curve.
_NO_KEY: Final = (ValueError, TypeError, KeyError, AttributeError)
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
_ECDSA = ec.ECDSA(hashes.SHA256())


class JWSError(ValueError):
    """The text is no acceptable JWS; the message is fit to be shown to its sender."""


@dataclass(frozen=True, slots=True)
class CompactJWS:
    """The three segments as sent; `header` and `payload` are still encoded."""

    header: str
    payload: str
    signature: str

    def signing_input(self) -> bytes:
        """Return what the signature covers (RFC 7515 section 5.1)."""
        return f"{self.header}.{self.payload}".encode("ascii")


def split(text: str, *, max_bytes: int) -> CompactJWS:
    """Cut a compact JWS into its segments, or raise `JWSError`."""
    match = _COMPACT.fullmatch(text) if len(text) <= max_bytes else None
    if match is None:
        raise JWSError("not a compact JWS")
    return CompactJWS(*match.groups())


def decode_object(segment: str) -> dict[str, Any]:
    """Decode a segment that must be a JSON object without repeated members.

    Two readers that disagree on which of two members counts are an attack (RFC 8725
    section 2.4), so neither counts.
    """
    try:
        value = json.loads(
            # Decoded here: given bytes, json.loads would also guess UTF-16 and UTF-32.
            _decode(segment).decode("utf-8"),
            object_pairs_hook=_unique_members,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError) as error:
        raise JWSError("not a JSON object") from error
    if not isinstance(value, dict):
        raise JWSError("not a JSON object")
    return value


def import_public_key(jwk: Mapping[str, Any], algorithm: str) -> PublicKey:
    """Return the public key of a JWK that suits `algorithm`, or raise `JWSError`.

    A private member is refused: whoever sends one has published its key (DPoP-D7), and joserfc
    would import it without complaint.
    """
    if _PRIVATE_MEMBERS & jwk.keys():
        raise JWSError("the key is not a public key")
    if jwk.get("kty") == "RSA" and len(str(jwk.get("n"))) not in _RSA_MODULUS_CHARS:
        raise JWSError("the modulus has not 2048 to 4096 bits")
    return _imported(json.dumps(jwk, sort_keys=True), algorithm)


@lru_cache(maxsize=CACHED_KEYS)
def _imported(jwk: str, algorithm: str) -> PublicKey:
    """Import a JWK; cached by its whole text, so a hit is what a fresh import would give."""
    try:
        key = joserfc_jwk.import_key(json.loads(jwk)).public_key
    # joserfc warns of a short RSA modulus behind zeros; where warnings are errors it raises that.
    except (JoseError, SecurityWarning, *_NO_KEY) as error:
        raise JWSError("not a usable key") from error
    if not isinstance(key, PublicKey) or not _suits(key, algorithm):
        raise JWSError("the key does not suit the algorithm")
    return key


def jwk_thumbprint(key: PublicKey) -> str:
    """Return the RFC 7638 SHA-256 thumbprint, base64url without padding.

    It is taken from the key, not from the JWK as sent: one key written in two ways has one
    thumbprint.
    """
    match key:
        case ec.EllipticCurvePublicKey():
            return joserfc_jwk.ECKey.import_key(key).thumbprint()
        case rsa.RSAPublicKey():
            return joserfc_jwk.RSAKey.import_key(key).thumbprint()
        case ed25519.Ed25519PublicKey():
            return joserfc_jwk.OKPKey.import_key(key).thumbprint()


def verify(jws: CompactJWS, key: PublicKey) -> None:
    """Check the signature, or raise `JWSError`; the key's type was matched to the algorithm."""
    try:
        signature = _decode(jws.signature)
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(_ecdsa_der(signature), jws.signing_input(), _ECDSA)
            case rsa.RSAPublicKey():
                key.verify(signature, jws.signing_input(), _PSS, hashes.SHA256())
            case ed25519.Ed25519PublicKey():
                key.verify(signature, jws.signing_input())
    except (InvalidSignature, ValueError) as error:
        raise JWSError("the signature does not verify") from error


def _suits(key: PublicKey, algorithm: str) -> bool:
    match key:
        case ec.EllipticCurvePublicKey():
            return algorithm == "ES256" and isinstance(key.curve, ec.SECP256R1)
        case rsa.RSAPublicKey():
            small_exponent = key.public_numbers().e < _RSA_EXPONENT_MAX
            fits = RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX
            return algorithm == "PS256" and fits and small_exponent
        case ed25519.Ed25519PublicKey():
            return algorithm in ("EdDSA", "Ed25519")


def _ecdsa_der(signature: bytes) -> bytes:
    """Turn R || S of 32 bytes each (RFC 7518 section 3.4) into the DER that OpenSSL reads."""
    if len(signature) != 2 * _COORDINATE_BYTES:
        raise JWSError("the signature does not verify")
    return encode_dss_signature(
        int.from_bytes(signature[:_COORDINATE_BYTES], "big"),
        int.from_bytes(signature[_COORDINATE_BYTES:], "big"),
    )


def _decode(segment: str) -> bytes:
    raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    # The last character may have bits that mean nothing: then other texts would be the same JWS.
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii") != segment:
        raise ValueError("not the one spelling in base64url")
    return raw


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("repeated member")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
