"""The way in by a passkey, and the challenges that the pages' script asks for (SEC-S06)."""

from __future__ import annotations

import json
from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api import sources
from api.web import (
    flashes,
    forms,
    guards,
    visitors,
    words,
)
from api.web.entering import entrance
from api.web.pages import Problem
from api.wiring import wiring
from pds.accounts import Entrance
from pds.crypto import prf
from pds.errors import Issue, LimitExceededError, NotFoundError, WrongSecretError
from pds.passkey_entrance import PasskeyOpensNothingError
from pds.sessions import Visitor
from pds.webauthn import Answer, Purpose

blueprint = Blueprint("passkey_entrance", __name__)


@blueprint.post("/passkeys/challenge")
def challenge() -> ResponseReturnValue:
    """Hand the script a challenge; it tells nothing of anybody."""
    try:
        purpose = Purpose(request.form.get("purpose", ""))
    except ValueError as error:
        raise NotFoundError from error
    asked = wiring().second_factors.passkeys.ask(purpose, forms.bound_to(), source=sources.source())
    return Response(json.dumps(asked), mimetype="application/json")


@blueprint.post("/sign-in/passkey")
def sign_in() -> ResponseReturnValue:
    """Sign in and unlock, by a passkey that opens the vault."""
    try:
        entered = _entered()
    except WrongSecretError as error:
        entrance.count_unknown(error)
        return entrance.sign_in_page("", 422, _problem("login", error))
    except LimitExceededError as error:
        return entrance.later(entrance.sign_in_page("", 429, entrance.wait(error)), error)
    flashes.put(*flashes.of_housekeeping(visitors.start(entered)))
    return guards.see_other(forms.next_path())


@blueprint.post("/unlock/passkey")
@guards.signed_in
def unlock(visitor: Visitor) -> ResponseReturnValue:
    """Unlock the vault of this session, by a passkey of its owner's."""
    try:
        entered = _entered(visitor.vault.id)
    except WrongSecretError as error:
        return entrance.unlock_page(visitor, 422, _problem("passphrase", error))
    except LimitExceededError as error:
        problem = entrance.wait(error, "passphrase")
        return entrance.later(entrance.unlock_page(visitor, 429, problem), error)
    flashes.put(*flashes.of_housekeeping(visitors.unlock(visitor, entered)))
    return guards.see_other(forms.next_path())


def _entered(vault_id: UUID | None = None) -> Entrance:
    answer = Answer(request.form.get("assertion", ""), forms.bound_to())
    output = prf.parse(request.form.get("prf", ""))
    return wiring().passkey_entrance.enter(
        answer, output, source=sources.source(), vault_id=vault_id
    )


def _problem(field: str, error: WrongSecretError) -> Problem:
    is_right = isinstance(error, PasskeyOpensNothingError)
    rule = "passkey_opens_nothing" if is_right else "wrong_passkey"
    return Problem(field, words.issue(Issue(field, rule, "")))
