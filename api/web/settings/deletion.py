"""Deleting one's vault: asking with the passphrase, keeping it after all, and what is left then."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api.web import (
    flashes,
    guards,
    pages,
    visitors,
    words,
)
from api.web.entering import proofs
from api.web.pages import Problem
from api.wiring import wiring
from pds.errors import Issue, LimitExceededError, WrongSecretError
from pds.sessions import Visitor

blueprint = Blueprint("deletion", __name__, url_prefix="/vault-deletion")

_PAGE = "/vault-deletion"


@blueprint.get("")
def show() -> ResponseReturnValue:
    """Say what deletion means, and whether it was asked for; the letter about it leads here."""
    visitor = visitors.current()
    if visitor is None:
        return pages.page("settings/deletion_signed_out.html")
    return _page(visitor)


@blueprint.post("")
@guards.signed_in
def ask(visitor: Visitor) -> ResponseReturnValue:
    """Have the vault deleted, after passphrase and, where one is on, second factor."""
    services, given = wiring(), request.form
    if "sure" not in given:
        return _page(visitor, 422, _problem("sure", "not_sure"))
    try:
        entrance = services.accounts.enter_again(
            visitor.vault.id, given.get("passphrase", ""), proofs.given()
        )
    except WrongSecretError:
        return _page(visitor, 422, _problem("passphrase", proofs.wrong(visitor.vault.id)))
    except LimitExceededError as error:
        seconds = error.retry_after_seconds or 60
        response = _page(visitor, 429, Problem("passphrase", words.wait(seconds)))
        response.headers["Retry-After"] = str(seconds)
        return response
    services.deletions.ask(entrance.ref, is_limited=False, asks_erasure="request_deletion" in given)
    flashes.put("deletion-asked")
    return guards.see_other(_PAGE)


@blueprint.post("/cancel")
@guards.signed_in
def cancel(visitor: Visitor) -> ResponseReturnValue:
    """Keep the vault. It takes nothing away, so it asks for nothing."""
    if wiring().deletions.cancel(visitor.vault, is_limited=False):
        flashes.put("deletion-off")
    return guards.see_other("/vault")


@blueprint.get("/done")
def done() -> ResponseReturnValue:
    """Say what is left of a vault that was deleted; the last letter leads here."""
    return pages.page("settings/deleted.html")


def _page(visitor: Visitor, status: int = 200, *problems: Problem) -> Response:
    services = wiring()
    return pages.page(
        "settings/deletion.html",
        status,
        pending=services.deletions.pending(visitor.vault),
        days=services.settings.vault.deletion_cooling_days,
        proofs=proofs.kinds(visitor.vault.id),
        problems=problems,
    )


def _problem(field: str, rule: str) -> Problem:
    return Problem(field, words.issue(Issue(field, rule, "")))
