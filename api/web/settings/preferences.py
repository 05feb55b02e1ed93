"""Settings: language and colours, passphrase, and the way to all others."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api.web import (
    flashes,
    guards,
    languages,
    pages,
    words,
)
from api.web.entering import proofs, recovery_codes
from api.web.pages import Problem
from api.wiring import wiring
from pds import passphrases
from pds.errors import Issue, LimitExceededError, ValidationFailedError, WrongSecretError
from pds.sealed_files import storage_used
from pds.sessions import Visitor

blueprint = Blueprint("settings", __name__, url_prefix="/settings")


@blueprint.get("")
@guards.signed_in
def show(visitor: Visitor) -> ResponseReturnValue:
    """Show all settings."""
    return _settings_page(visitor)


@blueprint.post("/passphrase")
@guards.signed_in
def change_passphrase(visitor: Visitor) -> ResponseReturnValue:
    """Set a new passphrase, after the present one and the second factor.

    Both old ways in and other sessions end.
    """
    services, new = wiring(), request.form.get("new_passphrase", "")
    try:
        entrance = services.accounts.enter_again(
            visitor.vault.id, request.form.get("passphrase", ""), proofs.given()
        )
        code = services.accounts.change_passphrase(entrance, new)
    except WrongSecretError:
        rule = Issue("passphrase", proofs.wrong(visitor.vault.id), "")
        return _settings_page(visitor, 422, Problem("passphrase", words.issue(rule)))
    except ValidationFailedError as error:
        found = [Problem("new_passphrase", words.issue(each)) for each in error.issues]
        return _settings_page(visitor, 422, *found)
    except LimitExceededError as error:
        seconds = error.retry_after_seconds or 60
        response = _settings_page(visitor, 429, Problem("passphrase", words.wait(seconds)))
        response.headers["Retry-After"] = str(seconds)
        return response
    services.sessions.end_others(visitor.vault.id, keep=visitor.sign_in)
    flashes.put("passphrase-changed")
    return recovery_codes.shown(code, "/settings")


def _settings_page(visitor: Visitor, status: int = 200, *problems: Problem) -> Response:
    services = wiring()
    account = services.accounts.account(visitor.vault.id)
    with services.uow.read() as session:
        used = storage_used(session, visitor.vault)
    return pages.page(
        "settings/settings.html",
        status,
        used=used,
        login=services.accounts.login_name(account) if account else "",
        locales=languages.LOCALES,
        themes=pages.THEMES,
        offered=passphrases.generate(),
        proofs=proofs.kinds(visitor.vault.id),
        problems=problems,
    )
