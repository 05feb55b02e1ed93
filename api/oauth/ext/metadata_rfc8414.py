"""Authorization server metadata, RFC 8414, as a FAPI 2.0 server publishes it.

GET /.well-known/oauth-authorization-server
{"issuer": "https://vault.example", "pushed_authorization_request_endpoint": "...",
 "require_pushed_authorization_requests": true, "dpop_signing_alg_values_supported": [...], ...}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from authlib.common.security import is_secure_transport
from authlib.oauth2 import rfc8414, rfc9207

from api.oauth.ext.clients import AUTH_METHOD
from api.oauth.ext.compact_jws import ALGORITHMS


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Absolute URLs; None is not offered."""

    authorization: str
    token: str
    pushed_authorization_request: str
    revocation: str
    introspection: str
    registration: str | None = None
    grant_management: str | None = None
    jwks: str | None = None


def metadata(
    issuer: str,
    endpoints: Endpoints,
    *,
    scopes: Sequence[str],
    details_types: Sequence[str],
    grant_management_actions: Sequence[str] = (),
    ui_locales: Sequence[str] = (),
    documentation: str | None = None,
) -> dict[str, Any]:
    """Return the document, or raise `ValueError` if it would break RFC 8414 or FAPI 2.0."""
    algorithms = list(ALGORITHMS)
    document: dict[str, Any] = {
        "issuer": issuer,
        "authorization_endpoint": endpoints.authorization,
        "token_endpoint": endpoints.token,
        "pushed_authorization_request_endpoint": endpoints.pushed_authorization_request,
        "require_pushed_authorization_requests": True,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "dpop_signing_alg_values_supported": algorithms,
        "authorization_details_types_supported": list(details_types),
        "scopes_supported": list(scopes),
    }
    for name in ("token", "revocation", "introspection"):
        document[f"{name}_endpoint"] = getattr(endpoints, name)
        document[f"{name}_endpoint_auth_methods_supported"] = [AUTH_METHOD]
        document[f"{name}_endpoint_auth_signing_alg_values_supported"] = algorithms
    optional = {
        "registration_endpoint": endpoints.registration,
        "jwks_uri": endpoints.jwks,
        "grant_management_endpoint": endpoints.grant_management,
        "grant_management_actions_supported": list(grant_management_actions),
        "ui_locales_supported": list(ui_locales),
        "service_documentation": documentation,
    }
    document |= {name: value for name, value in optional.items() if value}
    if grant_management_actions:
        document["grant_management_action_required"] = False
    rfc8414.AuthorizationServerMetadata(document).validate(
        metadata_classes=[rfc9207.AuthorizationServerMetadata]
    )
    # Authlib does not know this one; RFC 9126 section 5 wants https like the others.
    if not is_secure_transport(endpoints.pushed_authorization_request):
        raise ValueError("pushed_authorization_request_endpoint must use https")
    return document


def metadata_path(issuer: str) -> str:
    """Return the path of the document (section 3.1): the well-known part before the issuer's."""
    return str(rfc8414.get_well_known_url(issuer))
