"""Taking everything along: asked for with the passphrase, logged, and sent as it is made."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api import exporting
from api.web import (
    guards,
    languages,
    pages,
    words,
)
from api.web.entering import entrance, proofs
from api.web.pages import Problem
from api.wiring import wiring
from pds.errors import Issue, LimitExceededError, WrongSecretError
from pds.exporting import MEDIA_TYPE
from pds.sessions import Visitor

blueprint = Blueprint("export", __name__, url_prefix="/export")


@blueprint.get("")
@guards.unlocked
def show(visitor: Visitor) -> ResponseReturnValue:
    """Say what the archive holds, and ask for the passphrase."""
    return _page(visitor)


@blueprint.post("")
@guards.unlocked
def take(visitor: Visitor) -> ResponseReturnValue:
    """Send everything, after passphrase and, where one is on, second factor."""
    services, given = wiring(), request.form
    try:
        services.accounts.enter_again(visitor.vault.id, given.get("passphrase", ""), proofs.given())
    except WrongSecretError:
        return _page(visitor, 422, _problem(proofs.wrong(visitor.vault.id)))
    except LimitExceededError as error:
        return entrance.later(_page(visitor, 429, entrance.wait(error, "passphrase")), error)
    response = Response(
        exporting.begin(services, visitor, languages.current()), mimetype=MEDIA_TYPE
    )
    name = f"personal-data-store-{services.today().isoformat()}.zip"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _page(visitor: Visitor, status: int = 200, *problems: Problem) -> Response:
    return pages.page(
        "settings/export.html",
        status,
        outlook=exporting.outlook(wiring(), visitor),
        proofs=proofs.kinds(visitor.vault.id),
        problems=problems,
    )


def _problem(rule: str) -> Problem:
    return Problem("passphrase", words.issue(Issue("passphrase", rule, "")))
