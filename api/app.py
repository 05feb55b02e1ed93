"""The Flask application: registers, decides nothing."""

from __future__ import annotations

import logging

from authlib.oauth2 import OAuth2Error
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from api import problems, refusals, security, web
from api.oauth import views as oauth
from api.resources import (
    audit,
    audit_agreements,
    audit_alerts,
    audit_packs,
    audit_samples,
    audit_searches,
    audit_unmaskings,
    authentication,
    documentation,
    grant_management,
    grants,
    health,
    invitations,
    organisations,
    own,
    webhooks,
)
from api.resources import log as log_pages
from api.resources.reading import CursorExpiredError, DeniedError
from api.web import pages
from api.web.uploads import InMemoryRequest, leave_nothing_unread
from api.wiring import EXTENSION, Wiring
from pds import __version__
from pds.errors import PDSError

_logger = logging.getLogger(__name__)
_HTTP_CODES = {
    400: "malformed",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
    422: "validation-failed",
    429: "limit-reached",
}


def create_app(services: Wiring) -> Flask:
    """Make the application on wired services; the store must be at the newest schema."""
    app = Flask(__name__, static_folder=None)
    app.request_class = InMemoryRequest
    # Else `//` is answered by a redirect to wherever `Host` says, a POST's credentials and all.
    app.url_map.merge_slashes = False
    app.extensions[EXTENSION] = services
    app.extensions["pds_authorization"] = services.authorization
    app.config["MAX_CONTENT_LENGTH"] = services.settings.server.max_body_bytes
    security.register(app)
    refusals.register(app)
    app.after_request(leave_nothing_unread)
    app.register_error_handler(PDSError, problems.of_error)
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(OAuth2Error, authentication.refused)
    app.register_error_handler(DeniedError, lambda error: problems.of_denial(error.reason))
    app.register_error_handler(
        CursorExpiredError, lambda _error: problems.problem("cursor-expired")
    )
    app.register_error_handler(Exception, _last_resort)
    issuer = services.settings.server.issuer
    api = documentation.describe(app, issuer=issuer, version=__version__)
    for blueprint in (
        grants.blueprint,
        own.blueprint,
        organisations.blueprint,
        invitations.blueprint,
        webhooks.blueprint,
    ):
        api.register_blueprint(blueprint)
    for plain in (
        oauth.blueprint,
        grant_management.blueprint,
        documentation.blueprint,
        health.blueprint,
        audit.blueprint,
        audit_agreements.blueprint,
        audit_packs.blueprint,
        audit_samples.blueprint,
        audit_alerts.blueprint,
        audit_unmaskings.blueprint,
        audit_searches.blueprint,
        log_pages.blueprint,
    ):
        app.register_blueprint(plain)
    web.register(app)
    return app


def _http_problem(error: HTTPException) -> Response:
    status = error.code or 500
    if request.path in oauth.SPEAKING_OAUTH:
        response = oauth.refused(status)
    else:
        response = problems.problem(_HTTP_CODES.get(status, "internal"))
    if error.code == 405 and getattr(error, "valid_methods", None):  # noqa: PLR2004 - RFC 9110
        response.headers["Allow"] = ", ".join(error.valid_methods)  # type: ignore[attr-defined]  # MethodNotAllowed has it
    return response


def _last_resort(error: Exception) -> Response:
    # The type and the place only: a message may quote what a person or a client sent (SEC-S65).
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    _logger.error("%s %s: %s at %s", request.method, request.endpoint, type(error).__name__, where)
    if (request.blueprint or "").startswith("web."):
        return pages.page("error.html", 500, status=500)
    if request.path in oauth.SPEAKING_OAUTH:
        return oauth.refused(500)
    return problems.problem("internal")
