"""The current Flask request as the rest of this package wants it.

A GET has a query and no body, a POST has a form and no query (`parameters`). The URL is built from
configuration, so neither `Host` nor a proxy's header can change what a proof must name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from flask import request as flask_request
from werkzeug.exceptions import RequestEntityTooLarge

from api.oauth.ext.dpop_rfc9449 import target_url
from api.oauth.ext.parameters import check_form, single_values
from api.oauth.ext.replay import OneTimeValue


class FormTooLargeError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """The body is larger than the server takes (PAR-P11)."""

    error = "invalid_request"
    status_code = 413


class FAPIRequest(OAuth2Request):  # type: ignore[misc]  # Authlib ships no types
    """An OAuth request with each parameter once.

    Attributes:
        dpop_headers: every value of the `DPoP` header field.
        dpop_jkt: the key that a code is to be, or a token request was, bound to.
        authorization_details: as validated; empty if there are none.
        grant_management: what is to be done with grants, if the request says so.
        request_uri: the pushed request that stands in for this one, if one does.
        is_push: whether this is a request to the pushed authorization endpoint.
        one_time_values: of what it was signed with, checked and not used up yet (`replay`).
    """

    def __init__(
        self,
        method: str,
        uri: str,
        parameters: dict[str, str],
        *,
        headers: Any = None,  # noqa: ANN401 - werkzeug's headers, which Authlib only reads
        dpop_headers: Sequence[str] = (),
    ) -> None:
        super().__init__(method, uri, headers=headers)
        self.payload = BasicOAuth2Payload(parameters)
        self._parameters = parameters
        self.dpop_headers = list(dpop_headers)
        self.dpop_jkt: str | None = None
        self.authorization_details: Sequence[Any] = ()
        self.grant_management: Any = None
        self.request_uri: str | None = None
        self.is_push = False
        self.one_time_values: tuple[OneTimeValue, ...] = ()

    @property
    def form(self) -> dict[str, str]:
        """Return the body's parameters; empty unless it is a POST."""
        return self._parameters if self.method == "POST" else {}


def current_request(*, base_url: str, form_bytes_max: int) -> FAPIRequest:
    """Return the current Flask request, or raise `OAuth2Error` for an ambiguous one."""
    if flask_request.method == "POST":
        check_form(query=flask_request.query_string, media_type=flask_request.mimetype)
        bounded_body(form_bytes_max)
        pairs = flask_request.form.items(multi=True)
    else:
        pairs = flask_request.args.items(multi=True)
    return FAPIRequest(
        flask_request.method,
        target_url(base_url, flask_request.path),
        single_values(pairs),
        headers=flask_request.headers,
        dpop_headers=flask_request.headers.getlist("DPoP"),
    )


def bounded_body(bytes_max: int) -> bytes:
    """Return the body of the current request, or raise `FormTooLargeError` above a limit.

    One that comes in chunks does not say its length. Werkzeug cuts it at the limit without a word,
    so what is left may miss parameters that another reader would see.
    """
    flask_request.max_content_length = bytes_max
    try:
        body = flask_request.get_data()
    except RequestEntityTooLarge as error:
        raise FormTooLargeError("the body is too large") from error
    if flask_request.content_length is None and len(body) >= bytes_max:
        raise FormTooLargeError("the body is too large")
    return body
