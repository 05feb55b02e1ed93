"""The recovery code: shown once, then asked for in part, so that whoever kept none learns it now.

The code is kept nowhere and never sent back. What goes through the pages between showing and asking
is a keyed hash of the groups that are asked for, bound to the sign-in session.
"""

from __future__ import annotations

import hmac
import secrets

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api import security
from api.web import (
    flashes,
    forms,
    guards,
    pages,
    visitors,
    words,
)
from api.web.entering import entrance, proofs
from api.web.pages import Problem
from api.wiring import wiring
from pds.errors import Issue, LimitExceededError, WrongSecretError
from pds.sessions import Visitor

blueprint = Blueprint("recovery_codes", __name__)

_GROUPS_ASKED = 2
_PAGE = "/settings/recovery-code"


def shown(code: str, target: str, *, is_first: bool = False) -> Response:
    """Return the page with a new code.

    Not after a redirect: the code is kept nowhere, so there is nothing to show it from again. So
    the page has no menus, either: what leads away from it leads away for good.
    """
    visitor = visitors.current()
    if visitor is None:
        raise RuntimeError("a code is shown to whoever has just proved who they are")
    groups = code.split("-")
    # The first and the last are what somebody remembers who has only glanced at it.
    asked = sorted(secrets.SystemRandom().sample(range(2, len(groups)), _GROUPS_ASKED))
    check = _check(visitor, asked, [groups[number - 1] for number in asked])
    return pages.page(
        "entering/recovery_code.html",
        code=code,
        asked=asked,
        check=check,
        next=target,
        is_first=is_first,
    )


@blueprint.post("/recovery-code")
@guards.signed_in
def written(_visitor: Visitor) -> ResponseReturnValue:
    """Ask for some groups of the code, once it is written down."""
    if "written" not in request.form:
        return guards.see_other("/settings")
    return _asking_page()


@blueprint.post("/recovery-code/check")
@guards.signed_in
def check(visitor: Visitor) -> ResponseReturnValue:
    """Go on if the groups are those of the code."""
    asked = _asked()
    typed = [_compact(request.form.get(f"group-{number}", "")) for number in asked]
    given = request.form.get("check", "")
    if given.isascii() and hmac.compare_digest(_check(visitor, asked, typed), given):
        wiring().accounts.note_recovery_code_kept(visitor.vault.id)
        flashes.put("code-kept")
        return guards.see_other(forms.next_path())
    problem = Problem(f"group-{asked[0]}", words.issue(Issue("code", "wrong_groups", "")))
    return _asking_page(422, problem)


@blueprint.get(_PAGE)
@guards.signed_in
def show(visitor: Visitor) -> ResponseReturnValue:
    """Say what the code is for, and offer a new one."""
    return _page(visitor)


@blueprint.post(_PAGE)
@guards.signed_in
def replace(visitor: Visitor) -> ResponseReturnValue:
    """Make a new code, after passphrase and second factor; the old one ends."""
    services = wiring()
    try:
        entered = services.accounts.enter_again(
            visitor.vault.id, request.form.get("passphrase", ""), proofs.given()
        )
    except WrongSecretError:
        problem = words.issue(Issue("passphrase", proofs.wrong(visitor.vault.id), ""))
        return _page(visitor, 422, Problem("passphrase", problem))
    except LimitExceededError as error:
        return entrance.later(_page(visitor, 429, entrance.wait(error, "passphrase")), error)
    return shown(services.accounts.replace_recovery_code(entered), "/settings")


@blueprint.post(f"{_PAGE}/kept")
@guards.signed_in
def kept(visitor: Visitor) -> ResponseReturnValue:
    """Take the whole code from whoever was not asked for some of it, or did not answer then."""
    try:
        wiring().accounts.try_recovery_code(
            visitor.vault.id, request.form.get("recovery_code", "").strip()
        )
    except WrongSecretError:
        problem = words.issue(Issue("recovery_code", "not_the_code", ""))
        return _page(visitor, 422, Problem("recovery_code", problem))
    except LimitExceededError as error:
        return entrance.later(_page(visitor, 429, entrance.wait(error, "recovery_code")), error)
    flashes.put("code-kept")
    return guards.see_other("/")


def _page(visitor: Visitor, status: int = 200, *problems: Problem) -> Response:
    account = wiring().accounts.account(visitor.vault.id)
    return pages.page(
        "entering/recovery_code_new.html",
        status,
        kept_at=account.recovery_kept_at if account else None,
        proofs=proofs.kinds(visitor.vault.id),
        problems=problems,
    )


def _asking_page(status: int = 200, *problems: Problem) -> Response:
    return pages.page(
        "entering/recovery_code_check.html",
        status,
        asked=_asked(),
        check=request.form.get("check", ""),
        next=forms.next_path(),
        problems=problems,
    )


def _asked() -> list[int]:
    """Return the numbers of the groups that are asked for, as the form brings them."""
    numbers = [forms.number(text) or 0 for text in request.form.getlist("asked")]
    return numbers[:_GROUPS_ASKED] or [0]


def _check(visitor: Visitor, asked: list[int], groups: list[str]) -> str:
    # Longer than what tokens of forms are made from, so that neither is ever the other.
    named = "".join(f" {number}:{text}" for number, text in zip(asked, groups, strict=True))
    # Of the code that holds now: an older page says nothing of a newer code.
    account = wiring().accounts.account(visitor.vault.id)
    of_code = account.recovery_verifier if account else b""
    return security.csrf_token(b"recovery code " + visitor.sign_in.bytes + of_code + named.encode())


def _compact(typed: str) -> str:
    return "".join(typed.split()).replace("-", "").upper()  # ascii
