"""What somebody had chosen on a consent page that they left for a moment (CUX-8, CUX-21).

    cookie `c`   base64url of: tag in hex, and the form's choices as a query

Pages are not kept by browsers (`no-store`), so that Back and the way round by the vault's own form
show them anew: with what had been chosen, from here. The tag binds it to the sign-in session and to
the request, so that nobody else's choice and no other site's is ever ticked (CUX-9). What is read
from it is a form as it was sent, and judged like one.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from urllib.parse import parse_qsl, urlencode

from werkzeug.datastructures import MultiDict

from api import security
from api.web import cookies
from pds.sessions import Visitor

_NAMES = ("attributes", "duration", "fetches_per_day")
_PREFIXES = ("coarsen.", "instances.", "records.")
_MOST_CHARACTERS = 3_800  # of a cookie, which browsers take up to 4096 bytes of
_TAG_CHARACTERS = 64
_REQUEST = "request_uri"


def of(form: MultiDict[str, str]) -> list[tuple[str, str]]:
    """Return the fields of a form that are choices: no secret, no tick of confirmation."""
    return [
        (name, value)
        for name, values in form.lists()
        if name in _NAMES or name.startswith(_PREFIXES)
        for value in values
    ]


def keep(visitor: Visitor, request_uri: str, form: MultiDict[str, str]) -> None:
    """Keep what was chosen, for this request and session; too much for a cookie is not kept."""
    text = urlencode([(_REQUEST, request_uri), *of(form)])
    sealed = base64.urlsafe_b64encode(f"{_tag(visitor, text)}{text}".encode()).decode()
    if len(sealed) <= _MOST_CHARACTERS:
        cookies.put("c", sealed)
    else:
        cookies.drop("c")


def find(visitor: Visitor, request_uri: str) -> MultiDict[str, str] | None:
    """Return what was chosen for this request; None if nothing was."""
    try:
        text = base64.urlsafe_b64decode(cookies.read("c")).decode()
    except (binascii.Error, ValueError):
        return None
    tag, text = text[:_TAG_CHARACTERS], text[_TAG_CHARACTERS:]
    if not (tag.isascii() and hmac.compare_digest(tag, _tag(visitor, text))):
        return None
    (_, named), *choices = parse_qsl(text, keep_blank_values=True)
    return MultiDict(choices) if named == request_uri else None


def _tag(visitor: Visitor, text: str) -> str:
    # Longer than what any form's token is bound to, so neither can stand for the other.
    return security.csrf_token(b"choice " + visitor.sign_in.bytes + text.encode())
