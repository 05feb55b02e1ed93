"""Settings: another name to sign in with."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api.web import (
    flashes,
    guards,
    pages,
    words,
)
from api.web.entering import entrance, proofs
from api.web.pages import Problem
from api.wiring import wiring
from pds.errors import Issue, LimitExceededError, ValidationFailedError, WrongSecretError
from pds.sessions import Visitor

blueprint = Blueprint("login_names", __name__, url_prefix="/settings/name")


@blueprint.get("")
@guards.signed_in
def show(visitor: Visitor) -> ResponseReturnValue:
    """Say under which name somebody signs in, and offer another."""
    return _page(visitor)


@blueprint.post("")
@guards.signed_in
def change(visitor: Visitor) -> ResponseReturnValue:
    """Take another name, after passphrase and second factor; all other sessions end."""
    services = wiring()
    try:
        entered = services.accounts.enter_again(
            visitor.vault.id, request.form.get("passphrase", ""), proofs.given()
        )
        services.accounts.rename(entered, request.form.get("login", ""))
    except WrongSecretError:
        rule = Issue("passphrase", proofs.wrong(visitor.vault.id), "")
        return _page(visitor, 422, Problem("passphrase", words.issue(rule)))
    except ValidationFailedError as error:
        return _page(
            visitor, 422, *[Problem(each.field, words.issue(each)) for each in error.issues]
        )
    except LimitExceededError as error:
        return entrance.later(_page(visitor, 429, entrance.wait(error, "passphrase")), error)
    services.sessions.end_others(visitor.vault.id, keep=visitor.sign_in)
    flashes.put("login-changed")
    return guards.see_other("/settings")


def _page(visitor: Visitor, status: int = 200, *problems: Problem) -> Response:
    services = wiring()
    account = services.accounts.account(visitor.vault.id)
    return pages.page(
        "settings/login_name.html",
        status,
        present=services.accounts.login_name(account) if account else "",
        login=request.form.get("login", ""),
        proofs=proofs.kinds(visitor.vault.id),
        problems=problems,
    )
