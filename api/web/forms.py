"""Forms: whether one is genuine, and where it leads afterwards (P-15, SEC-S46).

A form's token is bound to the sign-in session; for visitors who are not signed in, to a random
cookie of its own kind, so that sign-in forms too come from our own pages only (login CSRF).
"""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from flask import g, request
from werkzeug.datastructures import MultiDict

from api import security
from api.web import cookies, visitors

FIELD = "csrf"
_COOKIE_CHARACTERS = 43  # 32 bytes in base64url
_DIGITS = 6


def token() -> str:
    """Return the token for the forms of this page."""
    return security.csrf_token(bound_to())


def next_path(default: str = "/") -> str:
    """Return the page to go to after this form: a path of this site, whatever was asked for."""
    given = request.values.get("next", "")
    parts = urlsplit(given)
    is_ours = given.startswith("/") and not parts.scheme and not parts.netloc
    # Browsers read a backslash as a slash, and drop tabs and line ends: `/\evil` is `//evil`.
    is_plain = given.isascii() and given.isprintable() and "\\" not in given
    return given if is_ours and is_plain and not given.startswith("//") else default


def number(text: str) -> int | None:
    """Read a whole number; None where nothing was sent, 0 where it is none."""
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 0


def bound_to() -> bytes:
    """Return what forms of this visitor are bound to."""
    visitor = visitors.current()
    if visitor is not None:
        return visitor.sign_in.bytes
    found = cookies.read("f")
    if len(found) != _COOKIE_CHARACTERS or not found.isascii():
        found = g.setdefault("form_cookie", secrets.token_urlsafe(32))
        cookies.put("f", found)
    # The prefix keeps the two kinds apart: nobody gets a session's token by setting this cookie.
    return b"form " + found.encode()


def named(form: MultiDict[str, str], prefix: str) -> dict[str, str]:
    """Return the fields whose names begin so, by what follows."""
    return {name.removeprefix(prefix): form[name] for name in form if name.startswith(prefix)}
