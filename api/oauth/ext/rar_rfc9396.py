"""Rich authorization requests, RFC 9396.

    authorization_details=[{"type": "...", "actions": ["read"], ...}]     a form parameter, JSON
    400 {"error": "invalid_authorization_details"}
    200 {"access_token": "...", "authorization_details": [{... as granted ...}]}

What a type's members mean is the application's: it gives one validator for each type, which raises
`ValueError` for an unknown, missing, mistyped or invalid member (section 5). fastjsonschema's
compiled validators do that as they are.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Final

from authlib.oauth2 import OAuth2Error

from api.oauth.ext.grants import Details, TokenResponse

DETAILS_CHARS_MAX: Final = 32_768
DETAILS_MAX: Final = 10
DEPTH_MAX: Final = 8
# Controls, format characters such as bidi overrides, lone surrogates, private use (THR-14).
_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})

Detail = dict[str, Any]
DetailValidator = Callable[[Detail], object]


class InvalidAuthorizationDetailsError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """The `authorization_details` are malformed, of an unknown type, or not allowed (section 5)."""

    error = "invalid_authorization_details"


class RichAuthorizationRequests:
    """A grant extension that reads, checks and returns `authorization_details`.

    The checked list is `request.authorization_details`, empty if there was none.
    """

    def __init__(self, types: Mapping[str, DetailValidator]) -> None:
        """Take a validator for each supported type."""
        self.types = dict(types)

    def __call__(self, grant: Any) -> None:  # noqa: ANN401 - Authlib ships no types
        """Hang the checks on a grant."""
        grant.register_hook("after_validate_authorization_request_payload", self.check_request)
        grant.register_hook("after_validate_token_request", self.check_token_request)
        grant.register_hook("after_create_token_response", self.return_granted)

    def check_request(self, grant: Any, _redirect_uri: object) -> None:  # noqa: ANN401 - as above
        """Validate what is asked (RAR-X1, RAR-X2); the client needs each type registered."""
        request = grant.request
        details = parse_details(request.payload.data.get("authorization_details"))
        for detail in details:
            validator = self.types.get(detail["type"])
            if (
                validator is None
                or detail["type"] not in request.client.authorization_details_types
            ):
                raise InvalidAuthorizationDetailsError("a type is unknown or not allowed")
            try:
                validator(detail)
            except ValueError as error:
                raise InvalidAuthorizationDetailsError("a detail is not valid") from error
        request.authorization_details = details

    def check_token_request(self, grant: Any, _result: object) -> None:  # noqa: ANN401 - as above
        """Take over what was granted, or the part of it that is asked for (RAR-X7)."""
        request = grant.request
        credential = request.authorization_code or request.refresh_token
        granted: Details = credential.authorization_details if credential else ()
        asked = parse_details(request.form.get("authorization_details"))
        # A part is named by repeating granted objects unchanged; any other object would be more.
        if any(detail not in granted for detail in asked):
            raise InvalidAuthorizationDetailsError("more is asked than was granted")
        request.authorization_details = asked or list(granted)

    def return_granted(self, grant: Any, response: TokenResponse) -> None:  # noqa: ANN401 - as above
        """Return the granted details (section 7, RAR-X4), unless the application put its own."""
        if grant.request.authorization_details:
            response[1].setdefault(
                "authorization_details", list(grant.request.authorization_details)
            )


def parse_details(text: str | None) -> list[Detail]:
    """Return the parameter's objects, each with a `type`; none if it is absent.

    Raises `InvalidAuthorizationDetailsError` for anything that is not a short list of JSON objects
    in plain text: repeated members, floats that are no numbers, deep nesting, control and
    direction-changing characters.
    """
    if text is None:
        return []
    if len(text) > DETAILS_CHARS_MAX:
        raise InvalidAuthorizationDetailsError("authorization_details is too long")
    try:
        details = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        _check_text(details, DEPTH_MAX)
    except (ValueError, RecursionError) as error:
        raise InvalidAuthorizationDetailsError("authorization_details is not plain JSON") from error
    if not isinstance(details, list) or not 1 <= len(details) <= DETAILS_MAX:
        raise InvalidAuthorizationDetailsError("authorization_details is not a short list")
    for detail in details:
        if not isinstance(detail, dict) or not isinstance(detail.get("type"), str):
            raise InvalidAuthorizationDetailsError("a detail has no type")
    return details


def _check_text(value: object, depth: int) -> None:
    """Raise `ValueError` for text that could change how a consent page reads (RAR-X6)."""
    if depth == 0:
        raise ValueError("too deep")
    if isinstance(value, str):
        if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in value):
            raise ValueError("control or format character")
    elif isinstance(value, list):
        for item in value:
            _check_text(item, depth - 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_text(name, depth - 1)
            _check_text(item, depth - 1)


def _unique(pairs: list[tuple[str, Any]]) -> Detail:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("repeated member")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
