"""Putting the pages on the application."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from api import problems
from api.web import (
    assets,
    cookies,
    guards,
    help,  # noqa: A004 - a page's name, used as a module only
    home,
    languages,
    pages,
    reference,
)
from api.web.auditor import (
    agreements as auditor_agreements,
)
from api.web.auditor import (
    alerts as auditor_alerts,
)
from api.web.auditor import (
    desk as auditor_desk,
)
from api.web.auditor import (
    entrance as auditor_entrance,
)
from api.web.auditor import (
    figures as auditor_figures,
)
from api.web.auditor import (
    packs as auditor_packs,
)
from api.web.auditor import (
    samples as auditor_samples,
)
from api.web.auditor import (
    unmaskings as auditor_unmaskings,
)
from api.web.entering import (
    entrance,
    limited,
    passkey_entrance,
    recovering,
    recovery_codes,
    signing_up,
)
from api.web.settings import (
    deletion,
    export,
    letter_settings,
    login_names,
    passkeys,
    personal_apps,
    preferences,
    second_step,
    sign_in_sessions,
)
from api.web.sharing import (
    activity,
    agreement_files,
    authorize,
    claims,
    connections,
    documents,
    extending,
    invitations,
    narrowing,
    origins,
    seen,
    unmaskings,
)
from api.web.vault import (
    attachments,
    bulk,
    collections,
    deleted,
    imports,
    records,
    spending,
)
from api.web.vault import (
    overview as vault,
)
from consent.errors import LogHaltedError, LogStalledError
from pds.errors import (
    ConflictError,
    LimitExceededError,
    NotFoundError,
    PDSError,
    ValidationFailedError,
    VaultLockedError,
)

_MODULES = (
    home,
    entrance,
    signing_up,
    recovery_codes,
    recovering,
    passkey_entrance,
    vault,
    deleted,
    bulk,
    spending,
    collections,
    records,
    attachments,
    imports,
    connections,
    narrowing,
    extending,
    seen,
    claims,
    agreement_files,
    origins,
    activity,
    unmaskings,
    preferences,
    login_names,
    letter_settings,
    second_step,
    passkeys,
    personal_apps,
    sign_in_sessions,
    limited,
    deletion,
    export,
    documents,
    authorize,
    invitations,
    help,
    reference,
    auditor_entrance,
    auditor_desk,
    auditor_agreements,
    auditor_packs,
    auditor_samples,
    auditor_unmaskings,
    auditor_figures,
    auditor_alerts,
)
_STATUSES: tuple[tuple[type[PDSError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (ValidationFailedError, 422),
    (LimitExceededError, 429),
    (VaultLockedError, 403),
    (LogStalledError, 503),
    (LogHaltedError, 503),
)
_MACHINES = ("/v1/", "/oauth/", "/.well-known/", "/log/")


def register(app: Flask) -> None:
    """Register pages, static files, translations and error pages."""
    languages.register(app)
    app.register_blueprint(assets.blueprint)
    web = Blueprint("web", __name__, template_folder="templates")
    web.before_request(guards.refuse_forged)
    for module in _MODULES:
        web.register_blueprint(module.blueprint)
    web.register_error_handler(PDSError, _domain_error)
    web.register_error_handler(HTTPException, _http_error)
    app.register_blueprint(web)
    app.register_error_handler(404, _nowhere)
    app.after_request(cookies.send)


def _domain_error(error: PDSError) -> ResponseReturnValue:
    status = next((code for kind, code in _STATUSES if isinstance(error, kind)), 500)
    response = pages.page("error.html", status, status=status)
    if isinstance(error, LimitExceededError) and error.retry_after_seconds:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def _http_error(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    return pages.page("error.html", status, status=status)


def _nowhere(error: HTTPException) -> Response:
    """Answer for an address that leads nowhere: a page for people, a problem for programs."""
    wants_page = request.accept_mimetypes.best_match(["application/json", "text/html"])
    if wants_page == "text/html" and not request.path.startswith(_MACHINES):
        return pages.page("error.html", 404, status=404)
    del error
    return problems.problem("not-found")
