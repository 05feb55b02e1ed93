"""Settings: programs that a person lets read their own vault, and how to end that."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api.web import (
    flashes,
    forms,
    guards,
    pages,
    words,
)
from api.web.entering import entrance, proofs
from api.web.pages import Problem
from api.web.settings import app_keys
from api.wiring import wiring
from pds.catalogue import CATALOGUE
from pds.errors import (
    ConflictError,
    Issue,
    LimitExceededError,
    PDSError,
    ValidationFailedError,
    VaultLockedError,
    WrongSecretError,
)
from pds.keys import OpenVault
from pds.personal_apps import DAYS, Wish
from pds.sessions import Visitor

blueprint = Blueprint("personal_apps", __name__, url_prefix="/settings/apps")

_PAGE = "/settings/apps"


@blueprint.get("")
@guards.signed_in
def show(visitor: Visitor) -> ResponseReturnValue:
    """List the programs, and offer to let in another."""
    return _page(visitor)


@blueprint.post("")
@guards.unlocked
def add(visitor: Visitor) -> ResponseReturnValue:
    """Let a program in, after passphrase and second factor; its token is shown once."""
    services = wiring()
    try:
        services.accounts.enter_again(
            visitor.vault.id, request.form.get("passphrase", ""), proofs.given()
        )
        secret = services.personal_apps.add(visitor.vault, _opened(visitor), _wish())
    except LimitExceededError as error:
        if error.retry_after_seconds is not None:
            return entrance.later(_page(visitor, 429, entrance.wait(error, "passphrase")), error)
        return _page(visitor, 422, _problem("label", "most_apps"))
    except (WrongSecretError, ValidationFailedError, ConflictError) as error:
        return _page(visitor, 422, *_problems(visitor, error))
    # Not after a redirect: the token is shown once, so there is nothing to show it from again.
    return pages.page(
        "settings/personal_app_token.html",
        token=secret.text(),
        issuer=services.settings.server.issuer,
    )


@blueprint.post("/<uuid:app>/remove")
@guards.signed_in
def remove(visitor: Visitor, app: UUID) -> ResponseReturnValue:
    """End a program's access; needs no passphrase, as nothing that stops reading does."""
    wiring().personal_apps.remove(visitor.vault, app)
    flashes.put("app-removed")
    return guards.see_other(_PAGE)


def _opened(visitor: Visitor) -> OpenVault:
    if visitor.open_vault is None:
        raise VaultLockedError
    return visitor.open_vault


def _problem(field: str, rule: str) -> Problem:
    return Problem(field, words.issue(Issue(field, rule, "")))


def _problems(visitor: Visitor, error: PDSError) -> list[Problem]:
    if isinstance(error, ValidationFailedError):
        return [Problem(each.field, words.issue(each)) for each in error.issues]
    if isinstance(error, WrongSecretError):
        return [_problem("passphrase", proofs.wrong(visitor.vault.id))]
    return [_problem("passphrase", "try_again")]


def _wish() -> Wish:
    services, given = wiring(), request.form
    with services.uow.read() as session:
        jkt = app_keys.thumbprint(session, given.get("key", ""))
    return Wish(
        given.get("label", ""),
        jkt,
        tuple(dict.fromkeys(given.getlist("collections"))),
        forms.number(given.get("days", "")) or 0,
    )


def _page(visitor: Visitor, status: int = 200, *problems: Problem) -> Response:
    return pages.page(
        "settings/personal_apps.html",
        status,
        apps=wiring().personal_apps.list_of(visitor.vault),
        catalogue=CATALOGUE.collections,
        days=DAYS,
        given=request.form,
        key="" if app_keys.may_be_secret(request.form.get("key", "")) else request.form.get("key"),
        chosen=request.form.getlist("collections"),
        proofs=proofs.kinds(visitor.vault.id),
        problems=problems,
    )
