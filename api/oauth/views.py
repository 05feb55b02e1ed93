"""The OAuth endpoints: each hands the request to the protocol and returns its answer."""

from __future__ import annotations

from authlib.oauth2 import OAuth2Error
from flask import Blueprint, Response, jsonify, request

from api.oauth.authorization import authorization
from api.oauth.clients import RESOURCE_SCOPES, SCOPES
from api.oauth.ext import grant_management, metadata_rfc8414, protected_resource_rfc9728
from api.oauth.ext.flask_request import bounded_body
from api.oauth.ext.par_rfc9126 import PushedAuthorizationEndpoint
from api.oauth.server import AuthorizationService
from consent.requests import TYPE as DETAILS_TYPE
from pds.settings import Settings

blueprint = Blueprint("oauth", __name__)
METADATA_BYTES_MAX = 65_536
# Their clients read errors as RFC 6749 section 5.2 has them, whoever answers.
SPEAKING_OAUTH = frozenset(
    f"/oauth/{name}" for name in ("par", "token", "revoke", "introspect", "register")
)


def refused(status: int) -> Response:
    """Answer a request that came no further than the application, such as one by GET."""
    is_ours = status >= 500  # noqa: PLR2004 - HTTP
    response = jsonify(error="server_error" if is_ours else "invalid_request")
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response


def _service() -> AuthorizationService:
    return authorization().service


@blueprint.post("/oauth/par")
def push() -> Response:
    """Take in an authorization request (RFC 9126)."""
    answer: Response = _service().server.create_endpoint_response(
        PushedAuthorizationEndpoint.ENDPOINT_NAME
    )
    return answer


@blueprint.post("/oauth/token")
def token() -> Response:
    """Issue tokens (RFC 6749 section 3.2)."""
    return _service().server.create_token_response()


@blueprint.post("/oauth/revoke")
def revoke() -> Response:
    """End a token (RFC 7009)."""
    return _service().server.create_endpoint_response("revocation")


@blueprint.post("/oauth/introspect")
def introspect() -> Response:
    """Tell a client about its own token (RFC 7662)."""
    return _service().server.create_endpoint_response("introspection")


@blueprint.post("/oauth/register")
def register() -> Response:
    """Register a client (RFC 7591)."""
    service = _service()
    try:
        sent = bounded_body(METADATA_BYTES_MAX)
    except OAuth2Error as error:
        return service.server.handle_error_response(None, error)
    status, body, headers = service.registration.answer(
        authorization=request.headers.getlist("Authorization"),
        query=request.query_string,
        media_type=request.mimetype,
        body=sent,
    )
    response = jsonify(body)
    response.status_code = status
    response.headers.extend(headers)
    return response


@blueprint.get("/.well-known/oauth-authorization-server")
def metadata() -> Response:
    """Describe the authorization server (RFC 8414)."""
    return jsonify(server_metadata(_service().settings))


@blueprint.get(protected_resource_rfc9728.WELL_KNOWN)
@blueprint.get(protected_resource_rfc9728.WELL_KNOWN + "/v1")
def resource_metadata() -> Response:
    """Describe the resource server (RFC 9728)."""
    issuer = _service().settings.server.issuer
    document = protected_resource_rfc9728.metadata(
        resource=f"{issuer}/v1",
        authorization_servers=[issuer],
        scopes=RESOURCE_SCOPES,
        details_types=[DETAILS_TYPE],
        documentation=f"{issuer}/docs",
    )
    return jsonify(document)


def server_metadata(settings: Settings) -> dict[str, object]:
    """Return the authorization server's metadata document."""
    issuer = settings.server.issuer
    endpoints = metadata_rfc8414.Endpoints(
        authorization=f"{issuer}/oauth/authorize",
        token=f"{issuer}/oauth/token",
        pushed_authorization_request=f"{issuer}/oauth/par",
        revocation=f"{issuer}/oauth/revoke",
        introspection=f"{issuer}/oauth/introspect",
        registration=f"{issuer}/oauth/register",
        grant_management=f"{issuer}/oauth/grants",
    )
    return metadata_rfc8414.metadata(
        issuer,
        endpoints,
        scopes=SCOPES,
        details_types=[DETAILS_TYPE],
        grant_management_actions=grant_management.ACTIONS,
        ui_locales=["az", "en"],
        documentation=f"{issuer}/docs",
    )
