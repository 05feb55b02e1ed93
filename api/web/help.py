"""Pages that explain: help, the other two roles, and what each error of the API means."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from api import evidence, problems
from api.web import pages
from api.web.pages import Problem
from api.wiring import wiring
from pds.errors import NotFoundError

blueprint = Blueprint("help", __name__)


@blueprint.get("/help")
def show() -> ResponseReturnValue:
    """Answer the questions that come first."""
    vault = wiring().settings.vault
    return pages.page("help.html", idle_minutes=vault.unlock_idle_seconds // 60)


@blueprint.get("/organisation")
def organisation() -> ResponseReturnValue:
    """Tell an organisation how to begin."""
    return pages.page("organisation.html", issuer=wiring().settings.server.issuer)


@blueprint.get("/auditor")
def auditor() -> ResponseReturnValue:
    """Tell an auditor what there is to check, and with what."""
    return _auditor_page()


@blueprint.post("/auditor/evidence")
def take_evidence() -> ResponseReturnValue:
    """Give the evidence bundle to whoever holds an auditor's access (AUD-8)."""
    try:
        bundle = evidence.export(wiring(), request.form.get("access", "").strip())
    except NotFoundError:
        return _auditor_page(422, Problem("access", gettext("Nothing is signed yet. Try later.")))
    if bundle is None:
        text = gettext("This access is not valid, or has ended. Ask the operator for a new one.")
        return _auditor_page(422, Problem("access", text))
    response = Response(bundle, mimetype="application/json")
    response.headers["Content-Disposition"] = 'attachment; filename="evidence.json"'
    return response


def _auditor_page(status: int = 200, *problems: Problem) -> Response:
    settings = wiring().settings
    return pages.page(
        "auditor.html",
        status,
        issuer=settings.server.issuer,
        origin=settings.log_origin,
        problems=problems,
    )


@blueprint.get("/docs/errors")
def errors() -> ResponseReturnValue:
    """List every error code of the API (P-38)."""
    return pages.page("errors.html", catalogue=problems.CATALOGUE)


@blueprint.get("/docs/errors/<code>")
def error(code: str) -> ResponseReturnValue:
    """Explain an error code: problem documents link here (RFC 9457)."""
    if code not in problems.CATALOGUE:
        raise NotFoundError
    status, title, what_to_do = problems.CATALOGUE[code]
    return pages.page(
        "error_code.html", code=code, http_status=status, title=title, what_to_do=what_to_do
    )
