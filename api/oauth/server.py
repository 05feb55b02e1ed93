"""Our authorization server: the extensions, wired to clients, tokens and agreements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from authlib.oauth2.rfc6749 import OAuth2Request

from api.oauth import clients
from api.oauth.asking import Asking
from api.oauth.ext.clients import ConfidentialClient
from api.oauth.ext.dpop_rfc9449 import ProofVerifier
from api.oauth.ext.grant_management import GrantManagement
from api.oauth.ext.grants import (
    AuthorizationCodeGrant,
    CodeRecord,
    RefreshRecord,
    RefreshTokenGrant,
)
from api.oauth.ext.introspection_rfc7662 import IntrospectedToken, IntrospectionEndpoint
from api.oauth.ext.parameters import described
from api.oauth.ext.rar_rfc9396 import (
    InvalidAuthorizationDetailsError,
    RichAuthorizationRequests,
)
from api.oauth.ext.registration_rfc7591 import ClientRegistration, RegistrationPolicy
from api.oauth.ext.revocation_rfc7009 import RevocationEndpoint
from api.oauth.ext.server import FAPIAuthorizationServer, ServerConfig
from api.oauth.finding import Found
from api.oauth.freezing import FreezingService
from api.oauth.registration import RegistrationService
from api.oauth.remote_keys import RemoteKeys
from api.oauth.stores import PushedRequestTable, ReplayTable
from api.oauth.tokens import TokenService
from api.outgoing.fetching import Fetcher
from consent import requests
from consent.asks import Ask
from consent.errors import AskRefusedError
from consent.log.entries import EventLog
from pds.clock import Clock
from pds.ids import IdFactory
from pds.settings import Settings
from pds.store import Store


class Server(FAPIAuthorizationServer):
    """The protocol, with a way from its grants and endpoints to our services."""

    tokens: TokenService
    ask_of: Callable[[OAuth2Request, str], tuple[Ask, Mapping[str, Any]]]


class CodeGrant(AuthorizationCodeGrant):
    """Codes are minted with the decision (`api.oauth.authorization`) and redeemed here."""

    server: Server

    def validate_consent_request(self) -> str:
        """Check what is asked against its template, at the push and again at the page."""
        redirect_uri: str = super().validate_consent_request()
        if len(self.request.authorization_details) != 1:
            raise InvalidAuthorizationDetailsError("exactly one agreement is asked for")
        try:
            self.server.ask_of(self.request, redirect_uri)
        except AskRefusedError as error:
            raise InvalidAuthorizationDetailsError(described(error.detail)) from error
        return redirect_uri

    def issue_code(self, request: OAuth2Request) -> str:
        """Return the code that the decision's transaction made: it stands in for the user."""
        return str(request.user)

    def redeem_code(self, code: str, client: ConfidentialClient) -> CodeRecord | None:
        """Return an unspent code; it is spent as the tokens are stored."""
        return self.server.tokens.redeem(code, client)


class RefreshGrant(RefreshTokenGrant):
    """Refresh tokens live as long as their grant."""

    server: Server

    def find_refresh_token(self, token: str, _client: ConfidentialClient) -> RefreshRecord | None:
        """Return a refresh token whose grant lives."""
        return self.server.tokens.refreshable(token)


class Revocation(RevocationEndpoint):
    """Ends access and refresh tokens."""

    server: Server

    def find_token(self, token: str) -> Found | None:
        """Return a live token."""
        return self.server.tokens.finder.find(token, "at", "rt")

    def revoke_token(self, token: Found, _request: OAuth2Request) -> None:
        """End it."""
        self.server.tokens.revoke(token)


class Introspection(IntrospectionEndpoint):
    """Tells a client about its tokens."""

    server: Server

    def find_token(self, token: str) -> IntrospectedToken | None:
        """Return what there is to say of a live token."""
        return self.server.tokens.introspect(token)


@dataclass(frozen=True, slots=True)
class AuthorizationService:
    """What the OAuth views use."""

    store: Store
    settings: Settings
    tokens: TokenService
    pushed: PushedRequestTable
    proofs: ProofVerifier
    registration: ClientRegistration
    freezing: FreezingService
    server: Server = field(repr=False)


def build(
    store: Store,
    settings: Settings,
    ids: IdFactory,
    clock: Clock,
    *,
    log: EventLog,
    tokens: TokenService,
) -> AuthorizationService:
    """Make the authorization server."""
    pushed = PushedRequestTable(store, ids, clock)
    proofs = ProofVerifier()

    loopback = settings.server.insecure_loopback
    remote = RemoteKeys(store, clock, Fetcher(insecure_loopback=loopback).get)
    asking = Asking(store, ids, clock, resource=f"{settings.server.issuer}/v1")
    server = Server(
        ServerConfig(
            issuer=settings.server.issuer,
            access_token_seconds=settings.oauth.access_token_seconds,
            code_seconds=settings.oauth.code_seconds,
            request_uri_seconds=settings.oauth.request_seconds,
            scopes=clients.SCOPES,
        ),
        query_client=remote.find,
        issue_tokens=tokens.issue,
        pushed_requests=pushed,
        replays=ReplayTable(store),
        now=lambda: int(clock.now().timestamp()),
        verifier=proofs,
    )
    server.tokens, server.ask_of = tokens, asking.ask
    # `CodeGrant` checks the members against the template, so the shape is not checked twice.
    details = RichAuthorizationRequests({requests.TYPE: lambda _detail: None})
    server.register_code_grant(CodeGrant, details, GrantManagement(asking.owns_grant))
    server.register_refresh_grant(RefreshGrant, details)
    server.register_client_credentials_grant()
    server.register_endpoint(Revocation)
    server.register_endpoint(Introspection)
    registration = ClientRegistration(
        RegistrationPolicy(
            grant_types=sorted(clients.GRANT_TYPES),
            scopes=clients.SCOPES,
            details_types=[requests.TYPE],
            locales=("az", "en"),
            loopback=loopback,
        ),
        RegistrationService(store, clock, log, remote, loopback=loopback),
    )
    return AuthorizationService(
        store=store,
        settings=settings,
        tokens=tokens,
        pushed=pushed,
        proofs=proofs,
        registration=registration,
        freezing=FreezingService(store, clock, log, remote),
        server=server,
    )
