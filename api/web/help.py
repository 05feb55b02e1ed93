"""Pages that explain: help, how an organisation begins, and what each error of the API means."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue

from api import problems
from api.web import pages
from api.wiring import wiring
from consent import retention
from pds import letters
from pds.errors import NotFoundError

blueprint = Blueprint("help", __name__)

_DAYS_OF_A_YEAR = 365


@blueprint.get("/help")
def show() -> ResponseReturnValue:
    """Answer the questions that come first."""
    vault = wiring().settings.vault
    return pages.page("help.html", idle_minutes=vault.unlock_idle_seconds // 60)


@blueprint.get("/privacy")
def privacy() -> ResponseReturnValue:
    """Say what the store knows of people, who can see it, and how long it is kept."""
    return pages.page(
        "privacy.html",
        consent=_years("consent.given"),
        own=_years("vault.unlocked"),
        letter_days=letters.KEPT_FOR.days,
        cooling_days=wiring().settings.vault.deletion_cooling_days,
    )


@blueprint.get("/organisation")
def organisation() -> ResponseReturnValue:
    """Tell an organisation how to begin."""
    return pages.page("organisation.html", issuer=wiring().settings.server.issuer)


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


def _years(event: str) -> dict[str, int]:
    """Return for how many years the log keeps what an event says, by its parts."""
    found = retention.class_of(event)
    parts = {"private": found.private, "public": found.public}
    return {name: kept.days // _DAYS_OF_A_YEAR for name, kept in parts.items() if kept}
