"""Settings: a code from an app as a second step at sign-in (RFC 6238)."""

from __future__ import annotations

import base64
from urllib.parse import quote, urlencode, urlsplit

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from api import qr
from api.web import (
    flashes,
    guards,
    pages,
    words,
)
from api.web.entering import proofs
from api.web.pages import Problem
from api.wiring import wiring
from pds.errors import Issue, LimitExceededError, WrongSecretError
from pds.sessions import Visitor

blueprint = Blueprint("second_step", __name__, url_prefix="/settings/second-step")

_PAGE = "/settings/second-step"
_QR_SCALE = 4  # pixels of a module


@blueprint.get("")
@guards.signed_in
def show(visitor: Visitor) -> ResponseReturnValue:
    """Say whether it is on, and offer the other."""
    return _page(visitor)


@blueprint.post("/begin")
@guards.signed_in
def begin(visitor: Visitor) -> ResponseReturnValue:
    """Show a new secret, after the passphrase."""
    services = wiring()
    try:
        entrance = services.accounts.enter_again(
            visitor.vault.id, request.form.get("passphrase", ""), proofs.given()
        )
    except WrongSecretError:
        return _page(visitor, 422, _problem("passphrase", proofs.wrong(visitor.vault.id)))
    except LimitExceededError as error:
        return _later(visitor, error, "passphrase")
    secret = services.second_factors.codes.begin(entrance.ref)
    # Not after a redirect: the secret is shown once, so there is nothing to show it from again.
    text = base64.b32encode(secret).decode()
    picture = Markup(qr.svg(_address(visitor, text), scale=_QR_SCALE))  # noqa: S704 - squares only
    return _page(visitor, picture=picture, secret=text)


@blueprint.post("/confirm")
@guards.signed_in
def confirm(visitor: Visitor) -> ResponseReturnValue:
    """Turn it on, by a code of the app."""
    try:
        wiring().second_factors.codes.confirm(visitor.vault, request.form.get("code", ""))
    except WrongSecretError:
        return _page(visitor, 422, _problem("code", "wrong_app_code"), is_begun=True)
    except LimitExceededError as error:
        return _later(visitor, error, "code", is_begun=True)
    flashes.put("second-step-on")
    return guards.see_other(_PAGE)


@blueprint.post("/end")
@guards.signed_in
def end(visitor: Visitor) -> ResponseReturnValue:
    """Turn it off, after passphrase and second factor."""
    services = wiring()
    try:
        entrance = services.accounts.enter_again(
            visitor.vault.id, request.form.get("passphrase", ""), proofs.given()
        )
    except WrongSecretError:
        return _page(visitor, 422, _problem("passphrase", proofs.wrong(visitor.vault.id)))
    except LimitExceededError as error:
        return _later(visitor, error, "passphrase")
    services.second_factors.codes.turn_off(entrance.ref)
    flashes.put("second-step-off")
    return guards.see_other(_PAGE)


def _address(visitor: Visitor, secret: str) -> str:
    """Return what an app reads from the picture: who it is for, and the secret."""
    services = wiring()
    account = services.accounts.account(visitor.vault.id)
    login = services.accounts.login_name(account) if account else ""
    issuer = urlsplit(services.settings.server.issuer).netloc
    query = urlencode({"secret": secret, "issuer": issuer}, quote_via=quote)
    return f"otpauth://totp/{quote(issuer)}:{quote(login)}?{query}"


def _page(
    visitor: Visitor,
    status: int = 200,
    *problems: Problem,
    is_begun: bool = False,
    picture: str = "",
    secret: str = "",
) -> Response:
    return pages.page(
        "settings/second_step.html",
        status,
        is_on=wiring().second_factors.codes.is_on(visitor.vault.id),
        proofs=proofs.kinds(visitor.vault.id),
        is_begun=is_begun or bool(secret),
        picture=picture,
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        problems=problems,
    )


def _problem(field: str, rule: str) -> Problem:
    return Problem(field, words.issue(Issue(field, rule, "")))


def _later(
    visitor: Visitor, error: LimitExceededError, field: str, *, is_begun: bool = False
) -> Response:
    seconds = error.retry_after_seconds or 60
    response = _page(visitor, 429, Problem(field, words.wait(seconds)), is_begun=is_begun)
    response.headers["Retry-After"] = str(seconds)
    return response
