"""DPoP proofs, RFC 9449: what a proof says, and the check of one.

    header   {"typ": "dpop+jwt", "alg": "ES256", "jwk": {public key}}
    payload  {"jti": "...", "htm": "POST", "htu": "https://as.example/token", "iat": 1700000000,
              "ath": "BASE64URL(SHA-256(access token))"}      `ath` at a resource server only
    HTTP     DPoP: BASE64URL(header).BASE64URL(payload).BASE64URL(signature)

`ProofVerifier.verify` is pure and keeps no state but a cache of parsed public keys. The one-time
check of the `jti` is its caller's: after token and signature hold, and at a resource server in the
transaction that answers. Server nonces (section 8) are not implemented.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, urlsplit

from authlib.oauth2 import OAuth2Error

from api.oauth.ext import compact_jws
from api.oauth.ext.compact_jws import ALGORITHMS, CACHED_KEYS, JWSError, PublicKey
from api.oauth.ext.replay import one_time_hash

PROOF_BYTES_MAX: Final = 8192
JTI_CHARS_MAX: Final = 256
HTU_CHARS_MAX: Final = 2048
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]", re.ASCII)
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})", re.ASCII)
_CHALLENGE_TEXT = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


class InvalidDPoPProofError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """The DPoP proof is missing, malformed, stale, or for another request (section 5)."""

    error = "invalid_dpop_proof"


@dataclass(frozen=True, slots=True)
class DPoPProof:
    """A proof that held.

    Attributes:
        jkt: RFC 7638 thumbprint of the proof's key, 43 characters.
        jti: the proof's own id, at most 256 characters.
        iat: when the client says it was made, Unix seconds.
        htu: the request's URL in normal form, without query and fragment.
        expires_at: Unix seconds until which the `jti` must be remembered.
    """

    jkt: str
    jti: str
    iat: int
    htu: str
    expires_at: int

    def replay_key(self) -> bytes:
        """Return the 32 bytes that may be seen once for this `jkt` (section 11.1)."""
        return one_time_hash(self.jti, self.htu)


@dataclass(frozen=True, slots=True)
class ProofVerifier:
    """Checks proofs against the list of RFC 9449 section 4.3; thread-safe."""

    max_age_seconds: int = 60
    max_ahead_seconds: int = 10  # FAPI 2.0 section 5.3.2.1: clocks that run ahead a little
    keep_seconds: int = 180

    def verify(
        self,
        proof_headers: Sequence[str],
        *,
        method: str,
        url: str,
        now: int,
        access_token: str | None = None,
    ) -> DPoPProof:
        """Return the proof of this very request, or raise `InvalidDPoPProofError`.

        Args:
            proof_headers: every value of the `DPoP` header field; exactly one is accepted.
            method: the request's method, as sent.
            url: the request's URL, from configuration and path, never from `Host`.
            now: Unix seconds.
            access_token: the token it came with; then the proof needs its `ath`.
        """
        if len(proof_headers) != 1:
            raise InvalidDPoPProofError("exactly one DPoP header is needed")
        try:
            jws = compact_jws.split(proof_headers[0], max_bytes=PROOF_BYTES_MAX)
            header = _read_header(jws.header)
            claims = compact_jws.decode_object(jws.payload)
            # Cheap checks come first: a signature costs more than all of them.
            htu = _check_target(claims, method=method, url=url)
            iat = self._check_time(claims, now=now)
            jti = _check_jti(claims)
            _check_token_hash(claims, access_token)
            compact_jws.verify(jws, header.key)
        except JWSError as error:
            raise InvalidDPoPProofError(f"DPoP proof: {error}") from error
        return DPoPProof(header.jkt, jti, iat, htu, max(iat, now) + self.keep_seconds)

    def _check_time(self, claims: dict[str, Any], *, now: int) -> int:
        # `exp` and `nbf`, if any, are ignored: the window is ours (DPoP-D20).
        iat = claims.get("iat")
        if isinstance(iat, bool) or not isinstance(iat, int | float):
            raise JWSError("iat is missing")
        if not now - self.max_age_seconds <= iat <= now + self.max_ahead_seconds:
            raise JWSError("iat is outside the accepted window")
        return int(iat)


@dataclass(frozen=True, slots=True)
class _ProofHeader:
    key: PublicKey
    jkt: str


@lru_cache(maxsize=CACHED_KEYS)
def _read_header(segment: str) -> _ProofHeader:
    """Parse a protected header; a client sends the same one with each of its proofs.

    The cache holds public keys under the exact text they were read from, so a hit can only be
    what a fresh parse would give. Errors are not cached.
    """
    header = compact_jws.decode_object(segment)
    algorithm = header.get("alg")
    jwk = header.get("jwk")
    if header.get("typ") != "dpop+jwt":
        raise JWSError("typ is not dpop+jwt")
    if algorithm not in ALGORITHMS:
        raise JWSError("alg is not accepted")
    if "crit" in header:
        raise JWSError("crit is not supported")
    if not isinstance(jwk, dict):
        raise JWSError("jwk is missing")
    key = compact_jws.import_public_key(jwk, algorithm)
    return _ProofHeader(key, compact_jws.jwk_thumbprint(key))


def _check_target(claims: dict[str, Any], *, method: str, url: str) -> str:
    if claims.get("htm") != method:
        raise JWSError("htm is not the request's method")
    htu = claims.get("htu")
    if not isinstance(htu, str) or len(htu) > HTU_CHARS_MAX:
        raise JWSError("htu is missing")
    wanted = normal_url(url.partition("?")[0])
    if htu != wanted and normal_url(htu) != wanted:
        raise JWSError("htu is not the request's URL")
    return wanted


def _check_jti(claims: dict[str, Any]) -> str:
    jti = claims.get("jti")
    if not isinstance(jti, str) or not jti.isascii() or not 1 <= len(jti) <= JTI_CHARS_MAX:
        raise JWSError("jti is missing, too long or not ASCII")
    return jti


def _check_token_hash(claims: dict[str, Any], access_token: str | None) -> None:
    if access_token is None:
        return
    sent = claims.get("ath")
    # compare_digest takes text in ASCII only, so anything else is refused first.
    if not isinstance(sent, str) or not sent.isascii():
        raise JWSError("ath is missing")
    if not hmac.compare_digest(sent, ath(access_token)):
        raise JWSError("ath is not the hash of the access token")


def ath(access_token: str) -> str:
    """Return BASE64URL(SHA-256(token)) for comparison with a proof (section 4.2).

    It is public in every proof: never store it, never derive anything from it.
    """
    digest = hashlib.sha256(access_token.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


@lru_cache(maxsize=CACHED_KEYS)
def normal_url(url: str) -> str:
    """Return the URL without query and fragment, normalised per RFC 3986 sections 6.2.2, 6.2.3.

    Raises `JWSError` if it is no absolute http or https URL in ASCII.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise JWSError("htu is not a URL") from error
    default_port = _DEFAULT_PORTS.get(parts.scheme)
    if default_port is None or not parts.hostname or "@" in parts.netloc or not url.isascii():
        raise JWSError("htu is not a URL")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    authority = host if port in (None, default_port) else f"{host}:{port}"
    path = _without_dot_segments(_PERCENT.sub(_normal_percent, parts.path)) or "/"
    return f"{parts.scheme}://{authority}{path}"


def target_url(base_url: str, path: str) -> str:
    """Return the public URL of a request from the configured base and its decoded path.

    `Host` and `X-Forwarded-*` are the sender's words, so they have no part in it (AL-16).
    """
    return base_url.rstrip("/") + quote(path, safe="/:@!$&'()*+,;=~-._")


def _normal_percent(match: re.Match[str]) -> str:
    character = chr(int(match.group(1), 16))
    return character if _UNRESERVED.fullmatch(character) else match.group(0).upper()


def _without_dot_segments(path: str) -> str:
    """Resolve `.` and `..` (RFC 3986 section 5.2.4)."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def challenge(
    error: str | None = None,
    *,
    description: str | None = None,
    resource_metadata: str | None = None,
    scope: str | None = None,
) -> str:
    """Return a `WWW-Authenticate` value (section 7.1, RFC 9728 section 5.1).

    Without credentials in the request there is no `error` (RFC 6750 section 3.1).
    """
    fields = {
        "algs": " ".join(ALGORITHMS),
        "error": error,
        "error_description": description,
        "scope": scope,
        "resource_metadata": resource_metadata,
    }
    # Quotes and control characters would let a value end its own quoted string.
    shown = (f'{name}="{_CHALLENGE_TEXT.sub("", text)}"' for name, text in fields.items() if text)
    return "DPoP " + ", ".join(shown)
