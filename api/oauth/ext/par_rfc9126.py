"""Pushed authorization requests, RFC 9126, required of everyone.

    POST /par          an authorization request's parameters, and client authentication
    201 Created        {"request_uri": "urn:ietf:params:oauth:request_uri:...", "expires_in": 300}
    GET /authorize     ?client_id=...&request_uri=urn:...     nothing else counts

The endpoint validates what is pushed as an authorization request and stores it; the extension puts
the stored request in place of what the browser carried, and refuses a browser that carries none
(FAPI-A3). A `request_uri` works for its own client until it expires or is spent; the application
spends it with the authorization, not with the page (DEC-5): people reload, and sign in first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

from authlib.consts import default_json_headers
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import (
    Endpoint,
    EndpointRequest,
    InvalidRequestError,
    OAuth2Request,
    UnsupportedResponseTypeError,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from api.oauth.ext.clients import AUTH_METHOD

REQUEST_URI_PREFIX: Final = "urn:ietf:params:oauth:request_uri:"
REQUEST_URI_CHARS_MAX: Final = 512
_AUTHENTICATION: Final = frozenset({"client_assertion", "client_assertion_type"})


class InvalidRequestURIError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """The `request_uri` is unknown, expired, spent, or another client's (RFC 9101 section 6.2)."""

    error = "invalid_request_uri"
    description = "the request_uri is unknown, expired or used"


class RequestNotSupportedError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """Request objects (RFC 9101) are not supported."""

    error = "request_not_supported"


class TooManyRequestsError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """The client has pushed more than it may have waiting (section 2.3, PAR-P11)."""

    error = "temporarily_unavailable"
    status_code = 429
    description = "too many pushed requests wait"

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds

    def get_headers(self) -> list[tuple[str, str]]:
        """Say when the oldest of them is past."""
        return [*super().get_headers(), ("Retry-After", str(self.retry_after_seconds))]


@dataclass(frozen=True, slots=True)
class PushedRequest:
    """A stored request: its parameters and the key that its code is bound to, if any."""

    payload: Mapping[str, str]
    dpop_jkt: str | None


class PushedRequestStore(Protocol):
    """Where pushed requests wait; spending them is the application's (DEC-5)."""

    def save(
        self, client_id: str, payload: Mapping[str, str], dpop_jkt: str | None, expires_in: int
    ) -> str:
        """Store a request for `expires_in` seconds; return its `request_uri`.

        Raises `TooManyRequestsError` where too many of the client's wait already.
        The URI begins with `REQUEST_URI_PREFIX`; at least 128 bits of it are random (PAR-P6).
        """
        ...

    def load(self, request_uri: str, client_id: str) -> PushedRequest | None:
        """Return the request if it is this client's, alive and not spent, else None.

        Both arguments are any text that a browser may bring.
        """
        ...


class PushedAuthorizationEndpoint(Endpoint):  # type: ignore[misc]  # Authlib ships no types
    """`POST /par`."""

    ENDPOINT_NAME: ClassVar = "pushed_authorization_request"

    def __init__(
        self,
        store: PushedRequestStore,
        *,
        expires_in: int,
        key_of: Callable[[OAuth2Request], str | None],
    ) -> None:
        """Take the store, the requests' lifetime in seconds, and `DPoPBinding.pushed_key`."""
        super().__init__()
        self.store = store
        self.expires_in = expires_in
        self.key_of = key_of

    def validate_request(self, request: OAuth2Request) -> EndpointRequest:
        """Authenticate the client and validate as an authorization request (PAR-P3, PAR-P4)."""
        if request.method != "POST":
            raise InvalidRequestError("POST is needed", status_code=405)
        client = self.server.authenticate_client(request, [AUTH_METHOD], self.ENDPOINT_NAME)
        pushed = {name: text for name, text in request.form.items() if name not in _AUTHENTICATION}
        _check_before_authlib(pushed)
        request.payload = BasicOAuth2Payload(pushed)
        request.dpop_jkt = self.key_of(request)
        request.is_push = True
        try:
            self.server.get_authorization_grant(request).validate_consent_request()
        except OAuth2Error as error:
            # Authlib would send the client's own server to the browser's redirect URI (AL-11).
            error.redirect_uri = None
            raise
        return EndpointRequest(request=request, client=client)

    def create_response(
        self, validated_request: EndpointRequest
    ) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Store the request and answer 201 (section 2.2)."""
        request = validated_request.request
        request_uri = self.store.save(
            validated_request.client.client_id,
            request.payload.data,
            request.dpop_jkt,
            self.expires_in,
        )
        body = {"request_uri": request_uri, "expires_in": self.expires_in}
        return 201, body, list(default_json_headers)


class PushedAuthorizationExtension:
    """A server extension that puts the pushed request in place of the browser's.

    Should signed request objects come one day, they belong in here: Authlib keeps hooks in a set,
    and two of them would run in any order (AL-10).
    """

    def __init__(self, store: PushedRequestStore) -> None:
        self.store = store

    def __call__(self, server: Any) -> PushedAuthorizationExtension:  # noqa: ANN401 - Authlib ships no types
        """Hang the exchange on a server."""
        server.register_hook("before_get_authorization_grant", self.exchange)
        return self

    def exchange(self, _server: object, request: OAuth2Request) -> None:
        """Swap the payload, or refuse; nobody is redirected, as nobody's URI is known yet."""
        if request.is_push:
            return
        client_id = request.payload.client_id
        request_uri = request.payload.data.get("request_uri")
        if request_uri is None or client_id is None:
            raise InvalidRequestError("client_id and a pushed request_uri are required")
        if len(request_uri) > REQUEST_URI_CHARS_MAX:
            raise InvalidRequestURIError
        # A `https` request_uri (RFC 9101) would make us fetch it: nothing here does.
        pushed = (
            self.store.load(request_uri, client_id)
            if request_uri.startswith(REQUEST_URI_PREFIX)
            else None
        )
        if pushed is None or pushed.payload.get("client_id") != client_id:
            raise InvalidRequestURIError
        request.payload = BasicOAuth2Payload(dict(pushed.payload))
        request.dpop_jkt = pushed.dpop_jkt
        request.request_uri = request_uri


def _check_before_authlib(pushed: Mapping[str, str]) -> None:
    """Refuse what Authlib reads otherwise or answers with a fault of its own."""
    if "request_uri" in pushed:
        raise InvalidRequestError("a request_uri cannot be pushed")  # PAR-P2, OIDF-35
    if "request" in pushed:
        raise RequestNotSupportedError("request objects are not supported")
    for name in ("client_id", "response_type", "redirect_uri"):
        if name not in pushed:
            raise InvalidRequestError(f"{name} is missing")
    if pushed["response_type"] != "code":
        # Authlib puts the value into the error text, where a quotation mark raises ValueError.
        raise UnsupportedResponseTypeError(pushed["response_type"])
