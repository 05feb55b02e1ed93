"""Security headers, and what protects forms from other sites (P-15, P-46, SEC-S46 to S50)."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from flask import Flask, Response, g, request

from api.wiring import wiring

# Without scripts or styles in the page, and nothing from elsewhere (UI-5). `data:` is for Pico's
# select arrow.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; form-action {form_action}; base-uri 'none';"
    " frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: browsers would then send `Origin: null` with a page's own forms (P-46).
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_HSTS = "max-age=31536000; includeSubDomains"


def register(app: Flask) -> None:
    """Put the headers on every answer."""
    app.after_request(_secure)


def allow_form_redirect(redirect_uri: str) -> None:
    """Let this page's form lead on to a client's registered redirect URI (UI-6).

    Chromium applies `form-action` to the redirect that answers a form, too.
    """
    parts = urlsplit(redirect_uri)
    g.form_redirect_origin = f"{parts.scheme}://{parts.netloc}"


def csrf_token(selector: bytes) -> str:
    """Return the form token of a sign-in session, or of a visitor's form cookie."""
    return hmac.digest(wiring().keys.csrf, selector, "sha256").hex()


def form_is_genuine(selector: bytes, given: str) -> bool:
    """Tell whether a form comes from one of our pages: its token, and where it was sent from."""
    # compare_digest takes text in ASCII only.
    if not given.isascii():
        return False
    return hmac.compare_digest(csrf_token(selector), given) and _same_origin()


def _same_origin() -> bool:
    origin = request.headers.get("Origin")
    if origin is None:
        # Browsers send it with every POST; what does not is told by Sec-Fetch-Site or is none.
        return request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
    return origin == wiring().settings.server.issuer


def _secure(response: Response) -> Response:
    # Added as they are: no view sets any of them, and to look for each costs more than to add it.
    response.headers.extend(_HEADERS)
    redirect_origin = g.get("form_redirect_origin")
    form_action = f"'self' {redirect_origin}" if redirect_origin else "'self'"
    response.headers.add("Content-Security-Policy", _POLICY.format(form_action=form_action))
    if wiring().settings.server.issuer.startswith("https:"):
        response.headers.add("Strict-Transport-Security", _HSTS)
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response
