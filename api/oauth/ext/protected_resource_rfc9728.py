"""Protected resource metadata, RFC 9728.

GET /.well-known/oauth-protected-resource
{"resource": "https://vault.example/v1", "authorization_servers": ["https://vault.example"],
 "bearer_methods_supported": ["header"], "dpop_bound_access_tokens_required": true, ...}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from api.oauth.ext.compact_jws import ALGORITHMS

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


def metadata(
    *,
    resource: str,
    authorization_servers: Sequence[str],
    scopes: Sequence[str] = (),
    details_types: Sequence[str] = (),
    documentation: str | None = None,
) -> dict[str, Any]:
    """Return the document of section 2 for a resource that takes DPoP tokens only."""
    document: dict[str, Any] = {
        "resource": resource,
        "authorization_servers": list(authorization_servers),
        "bearer_methods_supported": ["header"],
        "dpop_bound_access_tokens_required": True,
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
    }
    if scopes:
        document["scopes_supported"] = list(scopes)
    if details_types:
        document["authorization_details_types_supported"] = list(details_types)
    if documentation is not None:
        document["resource_documentation"] = documentation
    return document


def metadata_url(resource: str) -> str:
    """Return where the document of a resource is found (section 3.1).

    The well-known part goes between host and path: https://a.example/v1 is described at
    https://a.example/.well-known/oauth-protected-resource/v1.
    """
    parts = urlsplit(resource)
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"
