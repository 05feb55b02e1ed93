"""Token revocation, RFC 7009.

POST /revoke   token=... [token_type_hint=...] and client authentication
200            {}    also for a token that is unknown, malformed or another client's
"""

from __future__ import annotations

from typing import Any, ClassVar

from authlib.oauth2 import rfc7009
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Request

from api.oauth.ext.clients import AUTH_METHOD, ConfidentialClient


class RevocationEndpoint(rfc7009.RevocationEndpoint):  # type: ignore[misc]  # Authlib ships no types
    """An application supplies `find_token` and `revoke_token`."""

    CLIENT_AUTH_METHODS: ClassVar = [AUTH_METHOD]

    def find_token(self, token: str) -> Any:  # noqa: ANN401 - the application's own object
        """Return the token with `check_client(client)`, or None."""
        raise NotImplementedError

    def revoke_token(self, token: Any, request: OAuth2Request) -> None:  # noqa: ANN401 - as above
        """End the token, and with a refresh token what came from it (section 2.1)."""
        raise NotImplementedError

    def authenticate_token(self, request: OAuth2Request, client: ConfidentialClient) -> Any:  # noqa: ANN401 - as above
        """Return this client's token; a foreign one looks like none (THR-11).

        The hint is ignored: it is only an optimisation, and section 2.2.1 wants an unknown one
        ignored, where Authlib answers 401.
        """
        text = request.form.get("token")
        if text is None:
            raise InvalidRequestError("token is missing")
        token = self.find_token(text)
        return token if token is not None and token.check_client(client) else None
