"""Request parameters, each at most once and from one place only.

RFC 6749 section 3.1: a parameter without a value counts as omitted, a repeated one is an error
(OIDF-38). Authlib reads query and body as one, so that `?client_id=evil` would beat the body
(AL-9); here a POST endpoint has a body and no query.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from authlib.oauth2.rfc6749 import InvalidRequestError

FORM_TYPE: Final = "application/x-www-form-urlencoded"


def single_values(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters that have a value; raise `InvalidRequestError` for a repeated one."""
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            # The name is the sender's and is not repeated: error texts allow few characters.
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
