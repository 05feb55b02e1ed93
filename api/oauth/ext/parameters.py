"""Request parameters, each at most once and from one place only.

RFC 6749 section 3.1: a parameter without a value counts as omitted, a repeated one is an error
(OIDF-38). Authlib reads query and body as one, so that `?client_id=evil` would beat the body
(AL-9); here a POST endpoint has a body and no query.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from authlib.oauth2.rfc6749 import InvalidRequestError

FORM_TYPE: Final = "application/x-www-form-urlencoded"
DESCRIPTION_CHARS_MAX: Final = 200
_NOT_IN_DESCRIPTIONS = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


def single_values(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters that have a value; raise `InvalidRequestError` for a repeated one."""
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise InvalidRequestError("a parameter is repeated")
        values[name] = value
    return {name: value for name, value in values.items() if value}


def check_form(*, query: str | bytes, media_type: str) -> None:
    """Refuse a POST that has a query string or is no plain form.

    A multipart body could carry the same fields and would be spooled to disk in clear.
    """
    if query:
        raise InvalidRequestError("no query string is accepted here")
    if media_type != FORM_TYPE:
        raise InvalidRequestError(f"the body must be {FORM_TYPE}")


def described(text: str) -> str:
    """Return text with a sender's own words as an `error_description` may have it, in short.

    RFC 6749 section 5.2 allows few characters, and Authlib raises `ValueError` for any other.
    """
    return _NOT_IN_DESCRIPTIONS.sub("?", text[:DESCRIPTION_CHARS_MAX])
