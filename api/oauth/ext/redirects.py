"""Redirects: which URIs a client may register, and how the browser is sent there.

    HTTP/1.1 303 See Other
    Location: https://client.example/cb?code=...&state=...&iss=https%3A%2F%2Fvault.example

Authlib answers 302, which lets a browser repeat a POST of the consent form at the client; 307
always would (FAPI-A10). Only 303 turns it into a GET (AL-7, FAPI-A11).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

SEE_OTHER: Final = 303
URI_CHARS_MAX: Final = 2000
# A registered URI that carried one of these could speak in the server's name.
_RESPONSE_PARAMETERS: Final = frozenset({"code", "state", "iss", "error", "error_description"})
# Of a login that this server starts at the client (OpenID Connect Core 1.0 section 4).
LOGIN_PARAMETERS: Final = frozenset({"iss", "login_hint", "target_link_uri", "invitation"})


def redirect_uri_fault(
    uri: str, *, loopback: bool = False, reserved: Collection[str] = _RESPONSE_PARAMETERS
) -> str | None:
    """Return why a client may not register this redirect URI, or None if it may.

    https only (FAPI-A8); no wildcard, fragment or userinfo (THR-6). With `loopback`, for
    demonstrations, `http://127.0.0.1` is accepted as well. `reserved` are the parameters that the
    server adds.
    """
    if not uri.isascii() or not uri.isprintable() or len(uri) > URI_CHARS_MAX or " " in uri:
        return "not a URI"
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        return "not a URI"
    local = loopback and parts.scheme == "http" and parts.hostname == "127.0.0.1"
    if not parts.hostname or not (parts.scheme == "https" or local):
        return "not an https URL"
    if "@" in parts.netloc or "#" in uri or "*" in uri or "\\" in uri:
        return "userinfo, fragment, wildcard or backslash"
    if any(name in reserved for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        return "its query has a parameter of the response"
    return None


def with_parameters(uri: str, parameters: Mapping[str, str]) -> str:
    """Return a registered URI with parameters added to its query."""
    separator = "&" if urlsplit(uri).query else "?"
    return f"{uri.removesuffix('?')}{separator}{urlencode(parameters)}"


def is_registered(uri: str, registered: Collection[str]) -> bool:
    """Compare character by character (RFC 9700 section 2.1; BCP-B1)."""
    return uri in registered
