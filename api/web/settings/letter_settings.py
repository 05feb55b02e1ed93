"""Settings of letters: the address, its confirmation, and what somebody wants to hear of."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api.letters import transports
from api.web import (
    flashes,
    guards,
    pages,
    words,
)
from api.web.pages import Problem
from api.wiring import wiring
from pds.errors import LimitExceededError, ValidationFailedError
from pds.letters import CHOICES
from pds.sessions import Visitor

blueprint = Blueprint("letters", __name__, url_prefix="/settings/letters")


@blueprint.get("")
@guards.signed_in
def show(visitor: Visitor) -> ResponseReturnValue:
    """Show the address and the choices."""
    return _page(visitor)


@blueprint.post("/address")
@guards.unlocked
def give_address(visitor: Visitor) -> ResponseReturnValue:
    """Set, change or take away the address; a signed-in browser alone is not enough for that."""
    address = request.form.get("address", "")
    try:
        wiring().notice_addresses.give(visitor.vault, address)
    except ValidationFailedError as error:
        return _page(visitor, 422, *_problems(error))
    except LimitExceededError as error:
        return _later(visitor, error, "address")
    flashes.put("address-given" if address.strip() else "address-taken-away")
    return guards.see_other("/settings/letters")


@blueprint.get("/confirm")
@guards.signed_in
def confirm_form(visitor: Visitor) -> ResponseReturnValue:
    """Ask whether to confirm: opening a link alone changes nothing (SEC-S45)."""
    return _page(visitor)


@blueprint.post("/confirm")
@guards.signed_in
def confirm(visitor: Visitor) -> ResponseReturnValue:
    """Confirm the address by the code that was sent to it."""
    try:
        wiring().notice_addresses.confirm(visitor.vault, request.form.get("code", ""))
    except ValidationFailedError as error:
        return _page(visitor, 422, *_problems(error))
    except LimitExceededError as error:
        return _later(visitor, error, "code")
    flashes.put("address-confirmed")
    return guards.see_other("/settings/letters")


@blueprint.post("/choices")
@guards.signed_in
def choose(visitor: Visitor) -> ResponseReturnValue:
    """Keep which letters somebody wants."""
    wiring().notice_addresses.choose(visitor.vault.id, request.form.getlist("wanted"))
    flashes.put("preferences")
    return guards.see_other("/settings/letters")


def _page(visitor: Visitor, status: int = 200, *problems: Problem) -> Response:
    services = wiring()
    return pages.page(
        "settings/letters.html",
        status,
        letters=services.notice_addresses.read(visitor.vault.id),
        sends=transports.of(services.settings) is not None,
        address=request.form.get("address"),
        code=request.values.get("code", ""),
        kinds=[(kind, words.LETTERS[kind]) for kind in CHOICES],
        problems=problems,
    )


def _problems(error: ValidationFailedError) -> list[Problem]:
    return [Problem(each.field, words.issue(each)) for each in error.issues]


def _later(visitor: Visitor, error: LimitExceededError, field: str) -> Response:
    seconds = error.retry_after_seconds or 60
    response = _page(visitor, 429, Problem(field, words.wait(seconds)))
    response.headers["Retry-After"] = str(seconds)
    return response
