"""The three grant types, RFC 6749 sections 4.1, 4.4 and 6, as FAPI 2.0 leaves them.

    POST /token  grant_type=authorization_code  code, redirect_uri, code_verifier
                 grant_type=refresh_token       refresh_token [scope] [authorization_details]
                 grant_type=client_credentials  scope
                 each with client_assertion_type, client_assertion and a `DPoP` header

Authlib's grants do the order of the checks; what they are told and what they issue is the
application's. Authlib also writes issued tokens to its debug log, so `create_token_response` is
replaced throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from authlib.consts import default_json_headers
from authlib.oauth2.rfc6749 import (
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Request,
)
from authlib.oauth2.rfc6749 import grants as rfc6749
from authlib.oauth2.rfc6749.hooks import hooked

from api.oauth.ext.clients import AUTH_METHOD, ConfidentialClient
from api.oauth.ext.replay import OneTimeValue

CODE_SECONDS_MAX: Final = 60  # FAPI-G11

TokenResponse = tuple[int, dict[str, Any], list[tuple[str, str]]]
Details = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class CodeRecord:
    """An authorization code as the application redeemed it.

    Attributes:
        client_id: whom it was issued to.
        user: the resource owner, the application's own object.
        scope: API scopes, separated by spaces; may be empty.
        redirect_uri: that of the authorization request.
        code_challenge: its S256 challenge, 43 characters.
        issued_at: Unix seconds.
        dpop_jkt: the key that must redeem it; None if the request bound none.
        authorization_details: as granted.
        handle: the application's own object, such as the row or the parsed secret.
    """

    client_id: str
    user: Any
    scope: str
    redirect_uri: str
    code_challenge: str = field(repr=False)
    issued_at: int
    dpop_jkt: str | None = None
    authorization_details: Details = ()
    handle: Any = field(default=None, repr=False)

    def get_redirect_uri(self) -> str:
        """Return the redirect URI that the token request must repeat."""
        return self.redirect_uri


@dataclass(frozen=True, slots=True)
class RefreshRecord:
    """A live refresh token as the application found it.

    Attributes:
        client_id: whom it was issued to; it is bound to the client (BCP-B8).
        user: the resource owner, the application's own object.
        scope: API scopes, separated by spaces; may be empty.
        expires_at: Unix seconds, exclusive.
        dpop_jkt: a key it is bound to as well; None lets the client change its keys (DPoP-D21).
        authorization_details: as granted.
        handle: the application's own object, such as the row or the parsed secret.
    """

    client_id: str
    user: Any
    scope: str
    expires_at: int
    dpop_jkt: str | None = None
    authorization_details: Details = ()
    handle: Any = field(default=None, repr=False)

    def check_client(self, client: ConfidentialClient) -> bool:
        """Tell whether the token was issued to this client."""
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        """Return the scope that a refresh may narrow."""
        return self.scope


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token request that passed every check; what the application mints tokens from.

    Attributes:
        grant_type: one of the three.
        client: who asks.
        user: the resource owner; None for client credentials.
        scope: what the access token may do; may be empty.
        expires_in: lifetime of the access token, seconds.
        dpop_jkt: the key that the access token is bound to.
        authorization_details: what the access token covers, already narrowed.
        include_refresh_token: whether to issue one; never on a refresh (DEC-1).
        credential: the redeemed code or the refresh token; None for client credentials.
        one_time_values: what the request was signed with, unless it is used up already. To be
            recorded in the transaction that stores the token, which ends with the error of a value
            that was used before (`replay`).
    """

    grant_type: str
    client: ConfidentialClient
    user: Any
    scope: str
    expires_in: int
    dpop_jkt: str
    authorization_details: Details
    include_refresh_token: bool
    credential: CodeRecord | RefreshRecord | None
    one_time_values: Sequence[OneTimeValue] = ()


class ClientAuthenticationMixin:
    """What all grants share: client authentication with a hook after it, and issuing."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = [AUTH_METHOD]
    GRANT_TYPE: str
    request: OAuth2Request
    server: Any

    @hooked  # type: ignore[untyped-decorator]  # Authlib ships no types
    def authenticate_token_endpoint_client(self) -> ConfidentialClient:
        """Authenticate; extensions hang on `after_authenticate_token_endpoint_client`."""
        client: ConfidentialClient = self.server.identify_client(self.request)
        self.request.client = client
        return client

    def issue(self, credential: CodeRecord | RefreshRecord | None, scope: str) -> TokenResponse:
        """Have the application mint and store tokens; answer RFC 6749 section 5.1."""
        client: ConfidentialClient = self.request.client
        is_code = isinstance(credential, CodeRecord)
        token_request = TokenRequest(
            grant_type=self.GRANT_TYPE,
            client=client,
            user=credential.user if credential else None,
            scope=scope,
            expires_in=self.server.config.access_token_seconds,
            dpop_jkt=self.request.dpop_jkt,
            authorization_details=self.request.authorization_details,
            include_refresh_token=is_code and client.check_grant_type("refresh_token"),
            credential=credential,
            one_time_values=self.request.one_time_values,
        )
        body = dict(self.server.issue_tokens(token_request))
        self.request.one_time_values = ()
        body.setdefault("expires_in", token_request.expires_in)
        if scope:
            body.setdefault("scope", scope)
        return 200, body, list(default_json_headers)


class AuthorizationCodeGrant(ClientAuthenticationMixin, rfc6749.AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib ships no types
    """The authorization code grant; an application supplies `issue_code` and `redeem_code`."""

    def issue_code(self, request: OAuth2Request) -> str:
        """Make, store and return a code; spend the pushed request in the same transaction (DEC-5).

        `request` has `client`, `user`, `scope`, `payload.data`, `dpop_jkt`, `request_uri` and
        `authorization_details`. Raise an `OAuth2Error` to refuse.
        """
        raise NotImplementedError

    def redeem_code(self, code: str, client: ConfidentialClient) -> CodeRecord | None:
        """Spend a code and return it, or None if there is none to spend (AL-4, FAPI-A9).

        Atomic: of two requests at once, one gets it. A code that was spent before ends the tokens
        that it had led to (BCP-B16). An application that spends and issues in one transaction may
        return the code unspent here, spend it in `issue_tokens`, and raise `InvalidGrantError`
        there if another request was first.
        """
        raise NotImplementedError

    def generate_authorization_code(self) -> str:
        """Return a code that the application has stored."""
        return self.issue_code(self.request)

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        """Do nothing: `issue_code` stored it."""

    @staticmethod
    def validate_authorization_redirect_uri(
        request: OAuth2Request, client: ConfidentialClient
    ) -> str:
        """Return the redirect URI if it is exactly a registered one (FAPI-A6, BCP-B1).

        Authlib puts the URI into the error text, where a quotation mark raises `ValueError`.
        """
        uri: str | None = request.payload.redirect_uri
        if uri is None or not client.check_redirect_uri(uri):
            raise InvalidRequestError("redirect_uri is missing or not registered")
        return uri

    def query_authorization_code(self, code: str, client: ConfidentialClient) -> CodeRecord | None:
        """Redeem a code of this client that is at most 60 s old (AL-3, OIDF-21, OIDF-23).

        What the request was signed with is used up before: a code that comes again ends tokens
        (BCP-B16), and whoever only saw the request go by must not end them.
        """
        self.server.use_up(self.request)
        record = self.redeem_code(code, client)
        if record is None or record.client_id != client.client_id:
            return None
        age = self.server.now() - record.issued_at
        return record if age < self.server.config.code_seconds else None

    @hooked  # type: ignore[untyped-decorator]  # Authlib ships no types
    def create_token_response(self) -> TokenResponse:
        """Issue an access token and, if the client may refresh, a refresh token."""
        code: CodeRecord = self.request.authorization_code
        return self.issue(code, code.scope)


class RefreshTokenGrant(ClientAuthenticationMixin, rfc6749.RefreshTokenGrant):  # type: ignore[misc]  # Authlib ships no types
    """The refresh grant without rotation (DEC-1); an application supplies `find_refresh_token`.

    Rotating is forbidden by FAPI 2.0 section 5.3.2.1: a lost answer would lose the connection.
    """

    def find_refresh_token(self, token: str, client: ConfidentialClient) -> RefreshRecord | None:
        """Return the live refresh token, or None if it is unknown, ended or malformed.

        It changes nothing: the request may yet turn out to be a replay.
        """
        raise NotImplementedError

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshRecord | None:
        """Find the token and refuse an expired one (AL-13); Authlib compares the client."""
        record = self.find_refresh_token(refresh_token, self.request.client)
        if record is None or record.expires_at <= self.server.now():
            return None
        return record

    @hooked  # type: ignore[untyped-decorator]  # Authlib ships no types
    def validate_token_request(self) -> None:
        """Validate as Authlib does, with the same hooks as the code grant."""
        super().validate_token_request()

    @hooked  # type: ignore[untyped-decorator]  # Authlib ships no types
    def create_token_response(self) -> TokenResponse:
        """Issue a new access token; the refresh token stays as it is."""
        record: RefreshRecord = self.request.refresh_token
        return self.issue(record, self.request.payload.scope or record.scope)


class ClientCredentialsGrant(ClientAuthenticationMixin, rfc6749.ClientCredentialsGrant):  # type: ignore[misc]  # Authlib ships no types
    """The client credentials grant: access to the client's own APIs, never to a person's data."""

    @hooked  # type: ignore[untyped-decorator]  # Authlib ships no types
    def validate_token_request(self) -> None:
        """Validate as Authlib does, then the scope.

        Authlib checks it against the server's list only: any client could take any API.
        """
        super().validate_token_request()
        if not self.request.client.get_allowed_scope(self.request.payload.scope):
            raise InvalidScopeError

    @hooked  # type: ignore[untyped-decorator]  # Authlib ships no types
    def create_token_response(self) -> TokenResponse:
        """Issue an access token for the client itself."""
        return self.issue(None, self.request.payload.scope)


def refuse_mismatched_key(bound_to: str | None, jkt: str) -> None:
    """Raise `InvalidGrantError` if a code or token belongs to another key (DPoP-D17, OIDF-13)."""
    if bound_to is not None and bound_to != jkt:
        raise InvalidGrantError("the proof key is not the one it is bound to")
