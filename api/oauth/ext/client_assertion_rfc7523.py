"""Client authentication by `private_key_jwt`, RFC 7523 as FAPI 2.0 narrows it.

    form     client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer
             client_assertion=BASE64URL(header).BASE64URL(payload).BASE64URL(signature)
    header   {"alg": "ES256", "kid": "..."}
    payload  {"iss": client_id, "sub": client_id, "aud": issuer, "jti": "...", "exp": ...}

`aud` is the issuer as one JSON string: an array, or the URL of an endpoint, lets another server
that the client talks to use the assertion here (CVE-2025-27370, CVE-2025-27371; FAPI-G8, DEC-3).
Authlib's own class takes RS256 and arrays, and refuses PS256 (AL-5, AL-6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from authlib.oauth2.rfc6749 import InvalidClientError, OAuth2Request, UnauthorizedClientError

from api.oauth.ext import compact_jws
from api.oauth.ext.clients import ConfidentialClient, JWKSet, suits
from api.oauth.ext.compact_jws import ALGORITHMS, CompactJWS, JWSError
from api.oauth.ext.replay import CLIENT_ASSERTION, OneTimeValue, one_time_hash

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_BYTES_MAX: Final = 8192
JTI_CHARS_MAX: Final = 256
# FAPI-G13: up to 10 s ahead is a clock that runs fast, beyond 60 s must fail; we end at 10.
AHEAD_SECONDS_MAX: Final = 10
# One signed for years is a password; what must be remembered is bounded by the same number.
LIFETIME_SECONDS_MAX: Final = 600
# A proof or another JWT signed with the same key is no assertion (RFC 8725 section 3.11).
_TYPES: Final = (None, "JWT", "jwt", "client-authentication+jwt")

QueryClient = Callable[[str], ConfidentialClient | None]


@dataclass(frozen=True, slots=True)
class PrivateKeyJWT:
    """An Authlib client authentication method; register it as `private_key_jwt`."""

    issuer: str
    now: Callable[[], int]

    def __call__(
        self, query_client: QueryClient, request: OAuth2Request
    ) -> ConfidentialClient | None:
        """Return the client that signed, None without an assertion, or raise `InvalidClientError`.

        The assertion joins the request's one-time values; whoever asked uses them up.
        Until the signature holds every refusal is the same: who is registered here is not told to
        strangers (THR-11).
        """
        form = request.form
        assertion = form.get("client_assertion")
        if form.get("client_assertion_type") != ASSERTION_TYPE or assertion is None:
            return None
        client, claims = _authentic_claims(query_client, assertion)
        if form.get("client_id", client.client_id) != client.client_id:
            raise InvalidClientError(description="client_id is not the assertion's subject")
        value = self._check_claims(claims, client.client_id)
        request.one_time_values = (*request.one_time_values, value)
        if client.barred:
            # Only now: strangers are not told.
            raise UnauthorizedClientError(description=client.barred)
        request.client = client
        return client

    def _check_claims(self, claims: dict[str, Any], client_id: str) -> OneTimeValue:
        now = self.now()
        if claims.get("iss") != client_id:
            raise InvalidClientError(description="iss is not the client")
        # A list is refused even if the issuer is its only member.
        if claims.get("aud") != self.issuer:
            raise InvalidClientError(description="aud must be the issuer, as one string")
        expires_at = _instant(claims, "exp")
        if expires_at is None or expires_at <= now:
            raise InvalidClientError(description="exp is missing or past")
        if expires_at > now + LIFETIME_SECONDS_MAX:
            raise InvalidClientError(description="exp is too far ahead")
        for name in ("iat", "nbf"):
            instant = _instant(claims, name)
            if instant is not None and instant > now + AHEAD_SECONDS_MAX:
                raise InvalidClientError(description=f"{name} is in the future")
        jti = claims.get("jti")
        if not isinstance(jti, str) or not jti.isascii() or not 1 <= len(jti) <= JTI_CHARS_MAX:
            raise InvalidClientError(description="jti is missing, too long or not ASCII")
        return OneTimeValue(
            CLIENT_ASSERTION, client_id, one_time_hash(jti), int(expires_at) + 1, _used_before
        )


def _used_before() -> InvalidClientError:
    return InvalidClientError(description="the assertion was used before")


def _authentic_claims(
    query_client: QueryClient, assertion: str
) -> tuple[ConfidentialClient, dict[str, Any]]:
    """Return who signed and what, or raise `InvalidClientError` without a reason."""
    try:
        jws = compact_jws.split(assertion, max_bytes=ASSERTION_BYTES_MAX)
        header = compact_jws.decode_object(jws.header)
        claims = compact_jws.decode_object(jws.payload)
    except JWSError as error:
        raise _unknown() from error
    # `sub` is read before the signature holds: it only chooses whose keys to try.
    subject = claims.get("sub")
    client = query_client(subject) if isinstance(subject, str) and subject.isascii() else None
    if client is None or not (
        _is_signed_by(client.jwks, jws, header) or _is_signed_anew(client, jws, header)
    ):
        raise _unknown()
    return client, claims


def _is_signed_anew(client: ConfidentialClient, jws: CompactJWS, header: dict[str, Any]) -> bool:
    """Tell whether a key signed that its client published after we looked (FAPI-C7, THR-8)."""
    known = {jwk.get("kid") for jwk in client.jwks["keys"]}
    if client.renew_jwks is None or header.get("kid") in known:
        return False
    jwks = client.renew_jwks()
    return jwks is not None and _is_signed_by(jwks, jws, header)


def _is_signed_by(jwks: JWKSet, jws: CompactJWS, header: dict[str, Any]) -> bool:
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS or header.get("typ") not in _TYPES or "crit" in header:
        return False
    kid = header.get("kid")
    for jwk in jwks["keys"]:
        # Two keys of one kid: type, alg and use decide (FAPI-C8), so every candidate is tried.
        if (kid is None or jwk.get("kid") == kid) and suits(jwk, algorithm):
            try:
                compact_jws.verify(jws, compact_jws.import_public_key(jwk, algorithm))
            except JWSError:
                continue
            return True
    return False


def _instant(claims: dict[str, Any], name: str) -> float | None:
    """Return a NumericDate (RFC 7519 section 2), None if absent, or raise `InvalidClientError`."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidClientError(description=f"{name} is not a number")
    return value


def _unknown() -> InvalidClientError:
    return InvalidClientError(description="client authentication failed")
