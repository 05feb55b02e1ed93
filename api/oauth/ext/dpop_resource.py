"""DPoP at a resource server, RFC 9449 section 7: the token as presented, and the refusals.

GET /resource                      Authorization: DPoP <token>      DPoP: <proof>
401  WWW-Authenticate: DPoP algs="ES256 PS256 EdDSA Ed25519", error="invalid_token",
                            resource_metadata="https://.../.well-known/oauth-protected-resource"
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from typing import Final

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError

from api.oauth.ext.dpop_rfc9449 import InvalidDPoPProofError, challenge

TOKEN_CHARS_MAX: Final = 512
_CREDENTIALS = re.compile(r"([A-Za-z0-9-]+) +([A-Za-z0-9._~+/-]+=*)", re.ASCII)


class MissingTokenError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """The request has no credentials; the challenge then has no error code (DPoP-D18).

    Authlib's class would add `error="missing_authorization"`, which no standard knows (AL-12).
    """

    error = ""
    status_code = 401


class InvalidTokenError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """The token is malformed, unknown, expired, revoked, or not sent as a DPoP token.

    Authlib's class would challenge with `Bearer` (AL-12).
    """

    error = "invalid_token"
    status_code = 401


class InsufficientScopeError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """The token is good and does not allow this (RFC 6750 section 3.1)."""

    error = "insufficient_scope"
    status_code = 403


def presented_token(authorization_headers: Sequence[str], *, query: Container[str] = ()) -> str:
    """Return the token of `Authorization: DPoP <token>`.

    Args:
        authorization_headers: every value of the field.
        query: the names in the query string; a token there is refused (FAPI-R2, OIDF-41).

    Raises:
        MissingTokenError: there are no credentials.
        InvalidTokenError: another scheme, so also a DPoP token sent as Bearer (DPoP-D15).
        InvalidRequestError: a token in the query, or two sets of credentials.
    """
    if "access_token" in query:
        raise InvalidRequestError("a token in the query is not accepted")
    if not authorization_headers:
        raise MissingTokenError
    if len(authorization_headers) > 1:
        raise InvalidRequestError("exactly one Authorization header is needed")
    match = _CREDENTIALS.fullmatch(authorization_headers[0])
    # The scheme's name is case-insensitive (RFC 9110 section 11.1, OIDF-9).
    if match is None or match[1].lower() != "dpop" or len(match[2]) > TOKEN_CHARS_MAX:
        raise InvalidTokenError("a DPoP access token is needed")
    return match[2]


def refusal(error: OAuth2Error, *, resource_metadata: str) -> tuple[int, list[tuple[str, str]]]:
    """Return status and headers that answer `error` at a resource server (DPoP-D18, D19).

    A bad proof is 400 at the authorization server and 401 here.
    """
    status = 401 if isinstance(error, InvalidDPoPProofError) else int(error.status_code)
    value = challenge(
        error.error or None, description=error.description, resource_metadata=resource_metadata
    )
    return status, [("WWW-Authenticate", value), ("Cache-Control", "no-store")]
