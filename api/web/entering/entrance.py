"""The way in and out: signing in, unlocking, leaving."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api import refusals, sources
from api.web import (
    cookies,
    flashes,
    forms,
    guards,
    languages,
    pages,
    visitors,
    words,
)
from api.web.entering import proofs
from api.web.pages import Problem
from api.wiring import wiring
from pds.errors import (
    Issue,
    LimitExceededError,
    UnknownLoginError,
    WrongSecretError,
)
from pds.sessions import Visitor

blueprint = Blueprint("entrance", __name__)

_FROM_ELSEWHERE = ("/oauth/authorize", "/invitation/")


@blueprint.get("/sign-in")
def sign_in_form() -> ResponseReturnValue:
    """Ask for name and passphrase."""
    if visitors.current() is not None:
        return guards.see_other(forms.next_path())
    return sign_in_page("")


@blueprint.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Sign in and unlock."""
    login = request.form.get("login", "")
    try:
        entrance = wiring().accounts.enter(
            login,
            request.form.get("passphrase", ""),
            proofs.given(),
            source=sources.source(),
        )
    except WrongSecretError as error:
        count_unknown(error)
        problem = Problem("login", words.issue(Issue("login", "wrong_secret", "")))
        return sign_in_page(login, 422, problem)
    except LimitExceededError as error:
        return later(sign_in_page(login, 429, wait(error)), error)
    flashes.put(*flashes.of_housekeeping(visitors.start(entrance)))
    return guards.see_other(forms.next_path())


@blueprint.get("/unlock")
@guards.signed_in
def unlock_form(visitor: Visitor) -> ResponseReturnValue:
    """Ask for the passphrase again."""
    if visitor.open_vault is not None:
        return guards.see_other(forms.next_path())
    return unlock_page(visitor)


@blueprint.post("/unlock")
@guards.signed_in
def unlock(visitor: Visitor) -> ResponseReturnValue:
    """Unlock the vault of this session."""
    try:
        entrance = wiring().accounts.enter_again(
            visitor.vault.id, request.form.get("passphrase", "")
        )
    except WrongSecretError:
        problem = Problem("passphrase", words.issue(Issue("", "wrong_passphrase", "")))
        return unlock_page(visitor, 422, problem)
    except LimitExceededError as error:
        return later(unlock_page(visitor, 429, wait(error, "passphrase")), error)
    flashes.put(*flashes.of_housekeeping(visitors.unlock(visitor, entrance)))
    return guards.see_other(forms.next_path())


@blueprint.post("/lock")
@guards.signed_in
def lock(visitor: Visitor) -> ResponseReturnValue:
    """Lock the vault; connections can still be looked at and stopped."""
    visitors.lock(visitor)
    flashes.put("locked")
    return guards.see_other("/connections")


@blueprint.post("/sign-out")
@guards.signed_in
def sign_out(visitor: Visitor) -> ResponseReturnValue:
    """End this session."""
    visitors.end(visitor)
    flashes.put("signed-out")
    response = guards.see_other("/")
    # Not "cookies": the session's are deleted by name, and language and theme stay (SEC-S48).
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


@blueprint.post("/preferences")
def preferences() -> ResponseReturnValue:
    """Switch language or colours, for this browser and for the account (UI-17, UI-21)."""
    visitor = visitors.current()
    locale = request.form.get("locale", languages.current())
    theme = request.form.get("theme", pages.theme())
    if locale in languages.LOCALES and theme in pages.THEMES:
        cookies.put("l", locale, max_age_seconds=cookies.A_YEAR)
        cookies.put("t", theme, max_age_seconds=cookies.A_YEAR)
        if visitor is not None:
            wiring().accounts.set_preferences(visitor.vault.id, locale=locale, theme=theme)
    return guards.see_other(forms.next_path("/"))


def sign_in_page(login: str, status: int = 200, *problems: Problem) -> Response:
    """Return the page that asks who it is."""
    target = forms.next_path()
    # No way to recover inside a redirect from elsewhere: that is what phishing looks like (CUX-20).
    return pages.page(
        "entering/sign_in.html",
        status,
        login=login,
        next=target,
        from_elsewhere=target.startswith(_FROM_ELSEWHERE),
        passkeys_are_offered=wiring().second_factors.passkeys.are_offered,
        problems=problems,
    )


def unlock_page(visitor: Visitor, status: int = 200, *problems: Problem) -> Response:
    """Return the page that asks for the passphrase again."""
    return pages.page(
        "entering/unlock.html",
        status,
        next=forms.next_path(),
        passkey_opens=proofs.opens(visitor.vault.id),
        problems=problems,
    )


def count_unknown(error: WrongSecretError) -> None:
    """Count a sign-in under a name that nobody has, for `pds doctor`."""
    if isinstance(error, UnknownLoginError):
        refusals.unknown_login()


def wait(error: LimitExceededError, field: str = "login") -> Problem:
    """Say when to come back."""
    return Problem(field, words.wait(error.retry_after_seconds or 60))


def later(response: Response, error: LimitExceededError) -> Response:
    """Say the same to programs."""
    response.headers["Retry-After"] = str(error.retry_after_seconds or 60)
    return response
