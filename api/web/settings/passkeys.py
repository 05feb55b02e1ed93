"""Settings: passkeys, added, renamed and removed (WebAuthn, SEC-S06)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api.web import (
    devices,
    flashes,
    forms,
    guards,
    pages,
    words,
)
from api.web.entering import proofs
from api.web.pages import Problem
from api.wiring import wiring
from pds.accounts import Entrance
from pds.crypto import prf
from pds.errors import (
    ConflictError,
    Issue,
    LimitExceededError,
    NotFoundError,
    ValidationFailedError,
    WrongSecretError,
)
from pds.passkeys import KnownPasskey, Opening
from pds.sessions import Visitor
from pds.webauthn import Answer

blueprint = Blueprint("passkeys", __name__)

_PAGE = "/settings/passkeys"


@blueprint.get(_PAGE)
@guards.signed_in
def show(visitor: Visitor) -> ResponseReturnValue:
    """List the passkeys of this person, and offer another."""
    return _page(visitor)


@blueprint.post(f"{_PAGE}/begin")
@guards.unlocked
def begin(visitor: Visitor) -> ResponseReturnValue:
    """Have the browser make a passkey, after passphrase and second factor."""
    entrance = _entered(visitor, _page)
    if isinstance(entrance, Response):
        return entrance
    services = wiring()
    account = services.accounts.account(visitor.vault.id)
    name = services.accounts.login_name(account) if account else ""
    try:
        options = services.second_factors.passkeys.begin(visitor.vault.id, name, forms.bound_to())
    except LimitExceededError:
        return _page(visitor, 422, _problem("passphrase", "too_many_passkeys"))
    label = devices.name(request.headers.get("User-Agent", ""))
    return _page(visitor, options=options, label=label)


@blueprint.post(f"{_PAGE}/add")
@guards.unlocked
def add(visitor: Visitor) -> ResponseReturnValue:
    """Keep the passkey that the browser made; all other sessions end."""
    services, given = wiring(), request.form
    answer = Answer(given.get("attestation", ""), forms.bound_to())
    try:
        services.second_factors.passkeys.add(
            visitor.vault, answer, given.get("label", ""), _opening(visitor)
        )
    except ValidationFailedError as error:
        found = [Problem("passphrase", words.issue(each)) for each in error.issues]
        return _page(visitor, 422, *found)
    except (WrongSecretError, ConflictError):
        return _page(visitor, 422, _problem("passphrase", "passkey_not_added"))
    services.sessions.end_others(visitor.vault.id, keep=visitor.sign_in)
    flashes.put("passkey-added")
    return guards.see_other(_PAGE)


@blueprint.post(f"{_PAGE}/<uuid:passkey>/rename")
@guards.signed_in
def rename(visitor: Visitor, passkey: UUID) -> ResponseReturnValue:
    """Call a passkey something else."""
    label = request.form.get("label", "")
    try:
        wiring().second_factors.passkeys.rename(visitor.vault.id, passkey, label)
    except ValidationFailedError as error:
        field = f"label-{passkey}"
        return _page(visitor, 422, *[Problem(field, words.issue(each)) for each in error.issues])
    flashes.put("passkey-renamed")
    return guards.see_other(_PAGE)


@blueprint.get(f"{_PAGE}/<uuid:passkey>/remove")
@guards.signed_in
def confirm_removal(visitor: Visitor, passkey: UUID) -> ResponseReturnValue:
    """Say what removing a passkey means, and ask who does it."""
    return _removal_page(visitor, passkey)


@blueprint.post(f"{_PAGE}/<uuid:passkey>/remove")
@guards.signed_in
def remove(visitor: Visitor, passkey: UUID) -> ResponseReturnValue:
    """Remove a passkey, after passphrase and second factor; all other sessions end."""

    def again(visitor: Visitor, status: int, *problems: Problem) -> Response:
        return _removal_page(visitor, passkey, status, *problems)

    entrance = _entered(visitor, again)
    if isinstance(entrance, Response):
        return entrance
    services = wiring()
    services.second_factors.passkeys.remove(entrance.ref, passkey)
    services.sessions.end_others(visitor.vault.id, keep=visitor.sign_in)
    flashes.put("passkey-removed")
    return guards.see_other(_PAGE)


def _opening(visitor: Visitor) -> Opening | None:
    """Return what lets the new passkey open the vault; None where the device has no PRF."""
    output = prf.parse(request.form.get("prf", ""))
    if output is None or visitor.open_vault is None:
        return None
    proof = request.form.get("assertion", "")
    answer = Answer(proof, forms.bound_to()) if proof else None
    return Opening(visitor.open_vault.vrk, output, answer)


def _entered(visitor: Visitor, again: Callable[..., Response]) -> Entrance | Response:
    """Return who gave passphrase and second factor again, or the page that asks once more."""
    try:
        return wiring().accounts.enter_again(
            visitor.vault.id, request.form.get("passphrase", ""), proofs.given()
        )
    except WrongSecretError:
        return again(visitor, 422, _problem("passphrase", proofs.wrong(visitor.vault.id)))
    except LimitExceededError as error:
        seconds = error.retry_after_seconds or 60
        response = again(visitor, 429, Problem("passphrase", words.wait(seconds)))
        response.headers["Retry-After"] = str(seconds)
        return response


def _page(
    visitor: Visitor,
    status: int = 200,
    *problems: Problem,
    options: dict[str, Any] | None = None,
    label: str = "",
) -> Response:
    passkeys = wiring().second_factors.passkeys
    return pages.page(
        "settings/passkeys.html",
        status,
        are_offered=passkeys.are_offered,
        passkeys=passkeys.list_of(visitor.vault.id),
        proofs=proofs.kinds(visitor.vault.id),
        options=options,
        label=label,
        problems=problems,
    )


def _removal_page(
    visitor: Visitor, passkey: UUID, status: int = 200, *problems: Problem
) -> Response:
    known = wiring().second_factors.passkeys.list_of(visitor.vault.id)
    return pages.page(
        "settings/passkey_removal.html",
        status,
        passkey=_one_of(known, passkey),
        is_last=len(known) == 1,
        proofs=proofs.kinds(visitor.vault.id),
        problems=problems,
    )


def _one_of(known: list[KnownPasskey], passkey: UUID) -> KnownPasskey:
    for each in known:
        if each.id == passkey:
            return each
    raise NotFoundError


def _problem(field: str, rule: str) -> Problem:
    return Problem(field, words.issue(Issue(field, rule, "")))
