"""A FAPI 2.0 authorization server for Flask: Authlib's, with its defaults closed.

What differs, and the item of each: one request form (AL-9), one client authentication method
(AL-15), pushed requests only (AL-10, AL-11), S256 only (AL-1), DPoP tokens of 300 to 600 s (AL-2),
codes of at most 60 s (AL-3), 303 (AL-7) with `iss` on success and error (AL-8).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidClientError, OAuth2Request
from flask import Response

from api.oauth.ext.client_assertion_rfc7523 import PrivateKeyJWT, QueryClient
from api.oauth.ext.clients import AUTH_METHOD, ConfidentialClient
from api.oauth.ext.dpop_grant import DPoPBinding
from api.oauth.ext.dpop_rfc9449 import ProofVerifier
from api.oauth.ext.flask_request import FAPIRequest, current_request
from api.oauth.ext.grants import (
    CODE_SECONDS_MAX,
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    RefreshTokenGrant,
    TokenRequest,
)
from api.oauth.ext.issuer_rfc9207 import with_issuer
from api.oauth.ext.par_rfc9126 import (
    PushedAuthorizationEndpoint,
    PushedAuthorizationExtension,
    PushedRequestStore,
)
from api.oauth.ext.pkce_rfc7636 import S256CodeChallenge
from api.oauth.ext.redirects import SEE_OTHER
from api.oauth.ext.replay import ReplayStore, use_up

ACCESS_TOKEN_SECONDS: Final = (300, 600)
REQUEST_URI_SECONDS_BELOW: Final = 600  # FAPI-A12: 600 itself fails

IssueTokens = Callable[[TokenRequest], Mapping[str, Any]]
GrantExtension = Callable[[Any], object]  # called with each new grant, to hang hooks on it


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What an application may choose; `ValueError` for what FAPI 2.0 does not allow.

    Attributes:
        issuer: the issuer identifier, an origin or a URL with a path, without a final slash.
        base_url: the public URL under which the Flask application is mounted; the issuer if empty.
        access_token_seconds: lifetime of access tokens, 300 to 600.
        code_seconds: lifetime of authorization codes, at most 60.
        request_uri_seconds: lifetime of pushed requests, below 600.
        form_bytes_max: the largest body accepted.
        scopes: the API scopes that exist.
    """

    issuer: str
    base_url: str = ""
    access_token_seconds: int = 600
    code_seconds: int = CODE_SECONDS_MAX
    request_uri_seconds: int = 300
    form_bytes_max: int = 65_536
    scopes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse lifetimes outside the profile."""
        lowest, highest = ACCESS_TOKEN_SECONDS
        if not lowest <= self.access_token_seconds <= highest:
            raise ValueError("access tokens live 300 to 600 seconds")
        if not 0 < self.code_seconds <= CODE_SECONDS_MAX:
            raise ValueError("codes live at most 60 seconds")
        if not 0 < self.request_uri_seconds < REQUEST_URI_SECONDS_BELOW:
            raise ValueError("pushed requests live less than 600 seconds")
        if self.issuer.endswith("/"):
            raise ValueError("the issuer has no final slash")


class FAPIAuthorizationServer(AuthorizationServer):  # type: ignore[misc]  # Authlib ships no types
    """Authlib's Flask server with the overrides put together; see the package's docstring."""

    def __init__(
        self,
        config: ServerConfig,
        *,
        query_client: QueryClient,
        issue_tokens: IssueTokens,
        pushed_requests: PushedRequestStore,
        replays: ReplayStore,
        now: Callable[[], int],
        verifier: ProofVerifier | None = None,
    ) -> None:
        """Wire the extensions; `issue_tokens` mints and stores, `now` returns Unix seconds."""
        super().__init__(None, query_client)
        self.config = config
        self.issue_tokens = issue_tokens
        self.now = now
        self.replays = replays
        self.scopes_supported = list(config.scopes)
        self.dpop = DPoPBinding(verifier or ProofVerifier(), replays, now)
        self.register_client_auth_method(AUTH_METHOD, PrivateKeyJWT(config.issuer, now))
        self.register_extension(PushedAuthorizationExtension(pushed_requests))
        self.register_endpoint(
            PushedAuthorizationEndpoint(
                pushed_requests,
                expires_in=config.request_uri_seconds,
                key_of=self.dpop.pushed_key,
            )
        )

    def register_code_grant(
        self, grant: type[AuthorizationCodeGrant], *extensions: GrantExtension
    ) -> None:
        """Register the application's code grant with PKCE, DPoP and what else it needs."""
        self.register_grant(grant, [S256CodeChallenge(), self.dpop, *extensions])

    def register_refresh_grant(
        self, grant: type[RefreshTokenGrant], *extensions: GrantExtension
    ) -> None:
        """Register the application's refresh grant with DPoP and what else it needs."""
        self.register_grant(grant, [self.dpop, *extensions])

    def register_client_credentials_grant(self) -> None:
        """Register the client credentials grant with DPoP."""
        self.register_grant(ClientCredentialsGrant, [self.dpop])

    def authenticate_client(
        self, request: OAuth2Request, _methods: object, endpoint: str = "token"
    ) -> ConfidentialClient:
        """Authenticate by `private_key_jwt`, whatever an endpoint class lists (FAPI-G6)."""
        client: ConfidentialClient = super().authenticate_client(request, [AUTH_METHOD], endpoint)
        self.use_up(request)
        return client

    def identify_client(self, request: OAuth2Request) -> ConfidentialClient:
        """As `authenticate_client`, for whoever uses the assertion up in its own transaction."""
        client: ConfidentialClient = super().authenticate_client(request, [AUTH_METHOD])
        return client

    def use_up(self, request: OAuth2Request) -> None:
        """Use up what a request was signed with, or raise the error of what was used before."""
        use_up(self.replays, request)

    def create_oauth2_request(self, request: OAuth2Request | None) -> OAuth2Request:
        """Return the request given, or the current Flask request; raise for an ambiguous one."""
        if isinstance(request, OAuth2Request):
            return request
        return current_request(
            base_url=self.config.base_url or self.config.issuer,
            form_bytes_max=self.config.form_bytes_max,
        )

    def pushed_reference(self, client_id: str, request_uri: str) -> FAPIRequest:
        """Return an authorization request by reference, for `get_consent_grant`.

        A consent form's POST is no OAuth request: it continues one that the application remembers.
        """
        return FAPIRequest(
            "GET", self.config.issuer, {"client_id": client_id, "request_uri": request_uri}
        )

    def create_token_response(self, request: OAuth2Request | None = None) -> Response:
        """Answer a token request; Authlib would let an error in reading it escape."""
        try:
            request = self.create_oauth2_request(request)
        except OAuth2Error as error:
            return self.handle_error_response(None, error)
        try:
            response: Response = super().create_token_response(request)
        except Exception:
            # A fault of ours: what the request was signed with has been seen all the same.
            self.replays.use_up(request.one_time_values)
            raise
        return response

    def create_endpoint_response(self, name: str, request: OAuth2Request | None = None) -> Response:
        """Answer a request to a registered endpoint; as above."""
        try:
            request = self.create_oauth2_request(request)
        except OAuth2Error as error:
            return self.handle_error_response(None, error)
        response: Response = super().create_endpoint_response(name, request)
        return response

    def handle_error_response(self, request: OAuth2Request | None, error: OAuth2Error) -> Response:
        """Answer an error: JSON, or a redirect if the error names a redirect URI.

        What the refused request was signed with is used up; a replay is answered as one, whatever
        else is wrong. RFC 6749 section 5.2 wants 401 for a client that tried the `Authorization`
        header.
        """
        if request is not None:
            try:
                self.use_up(request)
            except OAuth2Error as replayed:
                error = replayed
            if isinstance(error, InvalidClientError) and request.headers.get("Authorization"):
                error = InvalidClientError(status_code=401)
        response: Response = super().handle_error_response(request, error)
        return response

    def handle_response(
        self,
        status_code: int,
        payload: Any,  # noqa: ANN401 - Authlib ships no types
        headers: Any,  # noqa: ANN401 - Authlib ships no types
    ) -> Response:
        """Build the response; a redirect goes to a client, so it is a 303 with `iss`."""
        response: Response = super().handle_response(status_code, payload, headers)
        if "Location" in response.headers:
            response.status_code = SEE_OTHER
            response.headers["Location"] = with_issuer(
                response.headers["Location"], self.config.issuer
            )
            # It carries a code or an error: nobody keeps it.
            response.headers["Cache-Control"] = "no-store"
        return response
