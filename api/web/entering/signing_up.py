"""Making a vault: what opens it is told first, then the passphrase, the recovery code, a beginning.

Whoever loses passphrase and recovery code loses the data, so that is said before there is a vault.
"""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api.web import (
    forms,
    guards,
    languages,
    pages,
    visitors,
    words,
)
from api.web.entering import entrance, recovery_codes
from api.web.pages import Problem
from api.wiring import wiring
from pds import passphrases
from pds.errors import LimitExceededError, ValidationFailedError
from pds.sessions import Visitor

blueprint = Blueprint("signing_up", __name__)

_BEGINNING = "/welcome"


@blueprint.get("/sign-up")
def before() -> ResponseReturnValue:
    """Tell what opens a vault, and that nobody opens it without."""
    return pages.page("entering/sign_up_before.html", next=forms.next_path(_BEGINNING))


@blueprint.get("/sign-up/passphrase")
def form() -> ResponseReturnValue:
    """Offer a new vault, with a passphrase of six generated words (P-17)."""
    return _page("", passphrases.generate())


@blueprint.post("/sign-up/passphrase")
def sign_up() -> ResponseReturnValue:
    """Make a vault, sign its owner in, and show the recovery code."""
    login, passphrase = request.form.get("login", ""), request.form.get("passphrase", "")
    services = wiring()
    try:
        made = services.accounts.sign_up(login, passphrase, locale=languages.current())
        entered = services.accounts.enter(login, passphrase)
    except ValidationFailedError as error:
        found = [Problem(each.field, words.issue(each)) for each in error.issues]
        return _page(login, "", 422, *found)
    except LimitExceededError as error:
        return entrance.later(_page(login, "", 429, entrance.wait(error)), error)
    visitors.start(entered)
    return recovery_codes.shown(made.recovery_code, forms.next_path(_BEGINNING), is_first=True)


@blueprint.get("/welcome")
@guards.signed_in
def welcome(_visitor: Visitor) -> ResponseReturnValue:
    """Offer a beginning: a file, a name, or nothing now."""
    return pages.page("entering/beginning.html")


def _page(login: str, passphrase: str, status: int = 200, *problems: Problem) -> Response:
    return pages.page(
        "entering/sign_up.html",
        status,
        login=login,
        passphrase=passphrase or passphrases.generate(),
        next=forms.next_path(_BEGINNING),
        problems=problems,
    )
