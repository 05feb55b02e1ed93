"""Token introspection, RFC 7662, by the client that holds the token.

POST /introspect   token=... and client authentication
200                {"active": true, "token_type": "DPoP", "cnf": {"jkt": "..."}, "scope": ...}
200                {"active": false}    for every other token, whatever the reason
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from authlib.oauth2 import rfc7662
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Request

from api.oauth.ext.clients import AUTH_METHOD, ConfidentialClient
from api.oauth.ext.grants import Details


@dataclass(frozen=True, slots=True)
class IntrospectedToken:
    """What there is to say about a live token.

    Attributes:
        client_id: whom it was issued to.
        scope: API scopes, separated by spaces; may be empty.
        issued_at: Unix seconds.
        expires_at: Unix seconds, exclusive.
        jkt: the key that an access token is bound to; None for a refresh token.
        sub: the resource owner as this client knows it; None for client credentials.
        authorization_details: as granted, filtered for the asker (RAR-X5).
    """

    client_id: str
    scope: str
    issued_at: int
    expires_at: int
    jkt: str | None
    sub: str | None = None
    authorization_details: Details = ()

    def claims(self, issuer: str) -> dict[str, Any]:
        """Return the members (RFC 7662 section 2.2, 9449 section 6.2, 9396 section 9)."""
        claims: dict[str, Any] = {
            "active": True,
            "iss": issuer,
            "client_id": self.client_id,
            "iat": self.issued_at,
            "exp": self.expires_at,
        }
        if self.scope:
            claims["scope"] = self.scope
        if self.sub is not None:
            claims["sub"] = self.sub
        if self.jkt is not None:
            claims |= {"token_type": "DPoP", "cnf": {"jkt": self.jkt}}  # DPoP-D14
        if self.authorization_details:
            claims["authorization_details"] = list(self.authorization_details)
        return claims


class IntrospectionEndpoint(rfc7662.IntrospectionEndpoint):  # type: ignore[misc]  # Authlib ships no types
    """An application supplies `find_token`."""

    CLIENT_AUTH_METHODS: ClassVar = [AUTH_METHOD]

    def find_token(self, token: str) -> IntrospectedToken | None:
        """Return the token if it is alive and not revoked, else None; it is never unwrapped."""
        raise NotImplementedError

    def authenticate_token(
        self, request: OAuth2Request, client: ConfidentialClient
    ) -> IntrospectedToken | None:
        """Return this client's token; a foreign one looks like none (section 4)."""
        text = request.form.get("token")
        if text is None:
            raise InvalidRequestError("token is missing")
        token = self.find_token(text)
        return token if token is not None and token.client_id == client.client_id else None

    def create_introspection_payload(self, token: IntrospectedToken | None) -> dict[str, Any]:
        """Return the claims of a live token; nothing but `active` of any other."""
        if token is None or token.expires_at <= self.server.now():
            return {"active": False}
        return token.claims(self.server.config.issuer)
