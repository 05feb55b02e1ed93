"""A small authorization server and resource on the OAuth extensions, all in memory.

It is an application as the extensions expect one, with the shortest possible storage: what the
tests see through HTTP is the extensions' behaviour. The clock is a number that tests move.
"""

import contextlib
import secrets
from dataclasses import dataclass, field, replace

import httpx
from authlib.oauth2 import OAuth2Error
from flask import Flask, Response, jsonify, request

from api.oauth.ext import dpop_resource, metadata_rfc8414, protected_resource_rfc9728
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
from api.oauth.ext.par_rfc9126 import REQUEST_URI_PREFIX, PushedRequest
from api.oauth.ext.rar_rfc9396 import RichAuthorizationRequests
from api.oauth.ext.replay import DPOP_PROOF
from api.oauth.ext.revocation_rfc7009 import RevocationEndpoint
from api.oauth.ext.server import FAPIAuthorizationServer, ServerConfig
from tests.support.oauth_client import Callback, Client, new_key, pkce_pair, public_jwks

ISSUER = "https://as.example"
RESOURCE = f"{ISSUER}/v1"
CALLBACK = "https://client.example/cb"
OWNER = "alice"
METADATA = metadata_rfc8414.metadata(
    ISSUER,
    metadata_rfc8414.Endpoints(
        authorization=f"{ISSUER}/authorize",
        token=f"{ISSUER}/token",
        pushed_authorization_request=f"{ISSUER}/par",
        revocation=f"{ISSUER}/revoke",
        introspection=f"{ISSUER}/introspect",
    ),
    scopes=["organisation", "audit"],
    details_types=["notes"],
)


def shared_notes(detail):
    """Validate the one details type of this server, as a compiled JSON Schema would."""
    if set(detail) - {"type", "actions", "notes"}:
        raise ValueError("unknown member")
    if detail.get("actions") != ["read"]:
        raise ValueError("actions")
    if not isinstance(detail.get("notes"), list):
        raise ValueError("notes")  # noqa: TRY004 - the validators' contract


@dataclass
class Stored:
    """A live token or code."""

    kind: str
    record: object
    client_id: str
    scope: str
    issued_at: int
    expires_at: int
    jkt: str | None = None
    sub: str | None = None
    details: tuple = ()
    parent: str | None = None
    is_spent: bool = False

    def check_client(self, client):
        """Tell whether it is this client's."""
        return self.client_id == client.client_id


@dataclass
class Memory:
    """Everything that a database would hold."""

    time: int = 1_800_000_000
    clients: dict = field(default_factory=dict)
    pushed: dict = field(default_factory=dict)
    tokens: dict = field(default_factory=dict)
    seen: set = field(default_factory=set)
    grants: dict = field(default_factory=dict)  # whose, by id

    def now(self):
        """Return Unix seconds."""
        return self.time

    def find_client(self, client_id):
        """Be `query_client`, which is asked in ASCII text only."""
        assert client_id.isascii()
        return self.clients.get(client_id)

    def owns_grant(self, client, grant_id):
        """Be asked about a grant in short ASCII text only."""
        assert grant_id.isascii()
        assert len(grant_id) <= 128
        return self.grants.get(grant_id) == client.client_id

    def insert(self, kind, subject, jti_hash, expires_at):
        """Record a one-time value; False if it was there already."""
        assert expires_at > self.time
        assert len(kind) <= 8
        assert len(jti_hash) == 32
        row = (kind, subject, jti_hash)
        if row in self.seen:
            return False
        self.seen.add(row)
        return True

    def use_up(self, values):
        """Be the `ReplayStore`."""
        for value in values:
            if not self.insert(value.kind, value.subject, value.jti_hash, value.expires_at):
                return value
        return None

    def save(self, client_id, payload, dpop_jkt, expires_in):
        """Be the `PushedRequestStore`."""
        request_uri = REQUEST_URI_PREFIX + secrets.token_urlsafe(32)
        pushed = PushedRequest(dict(payload), dpop_jkt)
        self.pushed[request_uri] = (pushed, client_id, self.time + expires_in)
        return request_uri

    def load(self, request_uri, client_id):
        """Be the `PushedRequestStore`; a browser's text comes to it bounded."""
        assert len(request_uri) <= 512
        pushed, owner, expires_at = self.pushed.get(request_uri, (None, None, 0))
        return pushed if owner == client_id and expires_at > self.time else None

    def spend(self, request_uri):
        """End a pushed request at its authorization (DEC-5)."""
        del self.pushed[request_uri]

    def end_family(self, code):
        """End every token that came from a code."""
        self.tokens = {
            text: token
            for text, token in self.tokens.items()
            if token.parent != code or token.kind == "code"
        }


class _Application:
    """The application's half of the extensions' contract."""

    def __init__(self, memory):
        self.memory = memory

    def issue_tokens(self, token_request):
        """Mint and store."""
        memory, credential = self.memory, token_request.credential
        before = set(memory.seen)
        replayed = memory.use_up(token_request.one_time_values)
        if replayed is not None:
            memory.seen = before  # as a transaction that is rolled back
            raise replayed.used_before()
        access = "at." + secrets.token_urlsafe(32)
        parent = credential.handle if credential else None
        stored = Stored(
            "access",
            None,
            token_request.client.client_id,
            token_request.scope,
            memory.time,
            memory.time + token_request.expires_in,
            jkt=token_request.dpop_jkt,
            sub=token_request.user,
            details=tuple(token_request.authorization_details),
            parent=parent,
        )
        memory.tokens[access] = stored
        body = {"access_token": access}
        if token_request.include_refresh_token:
            body["refresh_token"] = "rt." + secrets.token_urlsafe(32)
            record = RefreshRecord(
                stored.client_id,
                stored.sub,
                stored.scope,
                memory.time + 86_400,
                authorization_details=stored.details,
                handle=parent,
            )
            memory.tokens[body["refresh_token"]] = replace(
                stored, kind="refresh", record=record, expires_at=record.expires_at, jkt=None
            )
        return body


def _code_grant(memory):
    class CodeGrant(AuthorizationCodeGrant):
        def issue_code(self, oauth_request):
            data = oauth_request.payload.data
            code = "ac." + secrets.token_urlsafe(32)
            memory.spend(oauth_request.request_uri)
            record = CodeRecord(
                client_id=oauth_request.client.client_id,
                user=oauth_request.user,
                scope=oauth_request.scope or "",
                redirect_uri=data["redirect_uri"],
                code_challenge=data["code_challenge"],
                issued_at=memory.time,
                dpop_jkt=oauth_request.dpop_jkt,
                authorization_details=oauth_request.authorization_details,
                handle=code,
            )
            memory.tokens[code] = Stored(
                "code", record, record.client_id, record.scope, memory.time, 0, parent=code
            )
            return code

        def redeem_code(self, code, _client):
            stored = memory.tokens.get(code)
            if stored is None or stored.kind != "code":
                return None
            if stored.is_spent:
                memory.end_family(code)
                return None
            stored.is_spent = True
            return stored.record

    return CodeGrant


def _refresh_grant(memory):
    class RefreshGrant(RefreshTokenGrant):
        def find_refresh_token(self, token, _client):
            stored = memory.tokens.get(token)
            return stored.record if stored and stored.kind == "refresh" else None

    return RefreshGrant


def _token_endpoints(memory):
    class Revocation(RevocationEndpoint):
        def find_token(self, token):
            return memory.tokens.get(token)

        def revoke_token(self, token, _request):
            memory.tokens = {
                text: stored for text, stored in memory.tokens.items() if stored is not token
            }

    class Introspection(IntrospectionEndpoint):
        def find_token(self, token):
            stored = memory.tokens.get(token)
            if stored is None or stored.kind == "code":
                return None
            return IntrospectedToken(
                stored.client_id,
                stored.scope,
                stored.issued_at,
                stored.expires_at,
                stored.jkt,
                stored.sub,
                stored.details,
            )

    return Revocation, Introspection


def build_server(memory, **config):
    """Return the extensions' server over the memory."""
    config = {"issuer": ISSUER, "scopes": ("organisation", "audit"), **config}
    server = FAPIAuthorizationServer(
        ServerConfig(**config),
        query_client=memory.find_client,
        issue_tokens=_Application(memory).issue_tokens,
        pushed_requests=memory,
        replays=memory,
        now=memory.now,
    )
    details = RichAuthorizationRequests({"notes": shared_notes})
    grants = GrantManagement(memory.owns_grant)
    server.register_code_grant(_code_grant(memory), details, grants)
    server.register_refresh_grant(_refresh_grant(memory), details, grants)
    server.register_client_credentials_grant()
    for endpoint in _token_endpoints(memory):
        server.register_endpoint(endpoint)
    return server


def build_app(memory, server):
    """Return the Flask application."""
    app = Flask(__name__)
    routes = {
        "par": lambda: server.create_endpoint_response("pushed_authorization_request"),
        "token": server.create_token_response,
        "revoke": lambda: server.create_endpoint_response("revocation"),
        "introspect": lambda: server.create_endpoint_response("introspection"),
        "authorize": lambda: _consent_page(server),
        "decide": lambda: _decision(memory, server),
        "v1/notes": lambda: _protected(memory),
        ".well-known/oauth-authorization-server": lambda: jsonify(METADATA),
    }
    for path, view in routes.items():
        app.add_url_rule(f"/{path}", path.rsplit("/", 1)[-1], view, methods=["GET", "POST"])
    return app


def _consent_page(server):
    """Show what is asked, as JSON instead of a page."""
    try:
        grant = server.get_consent_grant(end_user=OWNER)
    except OAuth2Error as error:
        return server.handle_error_response(None, error)
    return jsonify(
        asked=dict(grant.request.payload.data),
        details=grant.request.authorization_details,
        client=grant.request.client.client_id,
    )


def _decision(memory, server):
    """Carry out what the owner decided on the page."""
    form = request.form
    try:
        grant = server.get_consent_grant(
            server.pushed_reference(form["client_id"], form["request_uri"]), end_user=OWNER
        )
    except OAuth2Error as error:
        return server.handle_error_response(None, error)
    user = OWNER if form["decision"] == "allow" else None
    if user is None:
        memory.spend(grant.request.request_uri)
    return server.create_authorization_response(grant.request, grant_user=user, grant=grant)


def _protected(memory):
    """Serve a resource as RFC 9449 section 7 asks."""
    try:
        text = dpop_resource.presented_token(
            request.headers.getlist("Authorization"), query=request.args
        )
        proof = ProofVerifier().verify(
            request.headers.getlist("DPoP"),
            method=request.method,
            url=ISSUER + request.path,
            now=memory.time,
            access_token=text,
        )
        stored = memory.tokens.get(text)
        if stored is None or stored.expires_at <= memory.time or stored.jkt != proof.jkt:
            raise dpop_resource.InvalidTokenError
        if not memory.insert(DPOP_PROOF, proof.jkt, proof.replay_key(), proof.expires_at):
            raise dpop_resource.InvalidTokenError("replayed")
        if "no" in request.args:
            raise dpop_resource.InsufficientScopeError
    except OAuth2Error as error:
        status, headers = dpop_resource.refusal(
            error, resource_metadata=protected_resource_rfc9728.metadata_url(RESOURCE)
        )
        return Response(status=status, headers=headers)
    return jsonify(notes=["hello"], sub=stored.sub)


class World:
    """A server with two clients, and a browser of the owner."""

    def __init__(self, **config):
        self.memory = Memory()
        self.server = build_server(self.memory, **config)
        self.app = build_app(self.memory, self.server)
        self.http = httpx.Client(transport=httpx.WSGITransport(app=self.app), base_url=ISSUER)
        self.client = self.register("client-1")
        self.other = self.register("client-2")

    def register(self, client_id, *, key=None, jwks=None, **fields):
        """Register a client and return it as a test client."""
        key = key or new_key(kid=f"{client_id}-key")
        fields = {
            "redirect_uris": (CALLBACK,),
            "scopes": frozenset({"organisation"}),
            "grant_types": frozenset({"authorization_code", "refresh_token", "client_credentials"}),
            "authorization_details_types": frozenset({"notes"}),
            **fields,
        }
        self.memory.clients[client_id] = ConfidentialClient(
            client_id, jwks or public_jwks(key), **fields
        )
        return Client.of_metadata(self.http, client_id, ISSUER, key, clock=self.memory.now)

    def decide(self, client, request_uri, decision="allow"):
        """Let the owner decide on a pushed request."""
        form = {
            "client_id": client.client_id,
            "request_uri": request_uri,
            "decision": decision,
        }
        return self.http.post("/decide", data=form)

    @contextlib.contextmanager
    def later(self, seconds):
        """Move the clock for a while."""
        self.memory.time += seconds
        try:
            yield
        finally:
            self.memory.time -= seconds

    def pushed(self, client, challenge, **parameters):
        """Push a request that must be accepted; return its `request_uri`."""
        answer = client.push(challenge, **parameters)
        assert answer.status_code == 201, answer.text
        return answer.json()["request_uri"]

    def code(self, client=None, **parameters):
        """Run a flow up to the callback; return the code and its verifier."""
        client = client or self.client
        verifier, challenge = pkce_pair()
        answer = self.decide(client, self.pushed(client, challenge, **parameters))
        return Callback.of(answer.headers["Location"])["code"], verifier

    def tokens(self, client=None, **parameters):
        """Run a whole flow; return the token response's body."""
        client = client or self.client
        answer = client.redeem(*self.code(client, **parameters))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def bind_refresh_token(self, text, thumbprint):
        """Bind a refresh token to a key, as an application may (DEC-1)."""
        stored = self.memory.tokens[text]
        self.memory.tokens[text] = replace(
            stored, record=replace(stored.record, dpop_jkt=thumbprint)
        )
