"""The `iss` response parameter, RFC 9207, on every answer that goes to a client's redirect URI.

    Location: https://client.example/cb?error=access_denied&state=...&iss=https%3A%2F%2Fas.example

Authlib's `IssuerParameter` hangs on `create_authorization_response` alone: errors found before
consent are sent without `iss` (AL-8), which is where a mix-up attack would strike. The server here
adds it wherever a redirect leaves.
"""

from __future__ import annotations

from authlib.common.urls import add_params_to_uri


def with_issuer(location: str, issuer: str) -> str:
    """Return the redirect target with `iss` added to its query (section 2)."""
    return str(add_params_to_uri(location, [("iss", issuer)]))
