"""Coming back with the recovery code: a new passphrase, and a new code (TAK-16)."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api import sources
from api.web import (
    flashes,
    pages,
    visitors,
    words,
)
from api.web.entering import entrance, recovery_codes
from api.web.pages import Problem
from api.wiring import wiring
from pds import passphrases
from pds.errors import Issue, LimitExceededError, ValidationFailedError, WrongSecretError

blueprint = Blueprint("recovering", __name__)


@blueprint.get("/recover")
def form() -> ResponseReturnValue:
    """Ask for the recovery code, and offer a new passphrase."""
    return _recover_page("", passphrases.generate())


@blueprint.post("/recover")
def recover() -> ResponseReturnValue:
    """Open a vault by its recovery code; old passphrase and old code end."""
    login, new = request.form.get("login", ""), request.form.get("new_passphrase", "")
    services = wiring()
    try:
        entered, code = services.accounts.recover(
            login, request.form.get("code", "").strip(), new, source=sources.source()
        )
    except WrongSecretError as error:
        entrance.count_unknown(error)
        problem = Problem("code", words.issue(Issue("code", "wrong_code", "")))
        return _recover_page(login, new, 422, problem)
    except ValidationFailedError as error:
        found = [Problem("new_passphrase", words.issue(each)) for each in error.issues]
        return _recover_page(login, "", 422, *found)
    except LimitExceededError as error:
        return entrance.later(_recover_page(login, new, 429, entrance.wait(error)), error)
    services.sessions.end_others(entered.ref.id, keep=None)
    visitors.start(entered)
    flashes.put("passphrase-changed")
    return recovery_codes.shown(code, "/")


def _recover_page(login: str, new: str, status: int = 200, *problems: Problem) -> Response:
    return pages.page(
        "entering/recover.html",
        status,
        login=login,
        new_passphrase=new or passphrases.generate(),
        problems=problems,
    )
