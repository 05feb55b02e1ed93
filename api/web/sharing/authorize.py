"""The authorization endpoint's pages (RFC 6749 section 3.1): from a pushed request to a decision.

The protocol is `api.oauth.authorization`'s; here are the order of pages and the forms. Sign-in and
unlocking come first, then the notice, a look at what was chosen, and the POST that decides (P-28).

    check    judge the choice, and show it once more where there is more to it (CUX-21)
    change   back to the notice, with all that was chosen
    fill     off to the vault's own form for something that is missing, and back (CUX-8)
    allow    decide; for sensitive items after passphrase or passkey only (CUX-22)
    refuse, defer
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from api import security
from api.oauth.authorization import (
    AuthorizationPageError,
    AuthorizationRedirect,
    Pending,
    authorization,
)
from api.web import (
    cookies,
    guards,
    kept,
    languages,
    pages,
    visitors,
    words,
)
from api.web.entering import step_up
from api.web.pages import Problem
from api.web.sharing import filling, kept_choices
from api.web.sharing.amending import standing_form
from api.web.sharing.consent import (
    changes,
    entries_from,
    examples_from,
    missing_confirmation,
    parse_choice,
    render_consent,
    render_cooling,
)
from api.web.sharing.consent_check import is_needed, is_sensitive, render_check
from api.wiring import wiring
from consent import connections
from consent.choices import Agreed, Choice, agree
from consent.errors import GrantGoneError, NoticeChangedError
from consent.models import Request
from consent.notices import notice_sha256
from pds.errors import ConflictError, NotFoundError, ValidationFailedError
from pds.sessions import Visitor

blueprint = Blueprint("authorize", __name__)

_PATH = "/oauth/authorize"
_WITHOUT_KEYS = ("refuse", "defer")
_UNDECIDED = ("check", "change", "fill")


@blueprint.get(_PATH)
def show() -> ResponseReturnValue:
    """Show a request to its person, after sign-in and unlocking."""
    pending = _begin()
    if isinstance(pending, Response):
        return pending
    visitor = _ready(pending)
    if isinstance(visitor, Response):
        return visitor
    until = wiring().agreements.cooling(visitor.vault, pending.ask)
    if until is not None and "anyway" not in request.args:
        name = _organisation_name(pending)
        return render_cooling(name, until, anyway=f"{_here()}&anyway=yes", here=_here())
    seen = _seen(pending, visitor)
    if isinstance(seen, Response):
        return seen
    return _consent_page(pending, visitor, seen[1])


@blueprint.post(_PATH)
@guards.signed_in
def decide(visitor: Visitor) -> ResponseReturnValue:
    """Take the decision, and send the browser back to the client."""
    pending = _begin()
    if isinstance(pending, Response):
        return pending
    decision, choice = parse_choice(request.form)
    if decision not in _WITHOUT_KEYS and visitor.open_vault is None:
        return kept.page(kept.Reason.LOCKED)
    if decision in _UNDECIDED:
        kept_choices.keep(visitor, _address()["request_uri"], request.form)
    try:
        authorization().bind(pending, visitor)
        seen = _seen(pending, visitor)
        if isinstance(seen, Response):
            return seen
        take = _aside if decision in ("change", "fill") else _decide
        return take(pending, visitor, seen, decision, choice)
    except AuthorizationPageError as error:
        return _error_page(error.code)
    except (ConflictError, GrantGoneError) as error:
        return _not_any_more(pending, error)


def _aside(
    pending: Pending,
    visitor: Visitor,
    seen: tuple[Request, dict[str, Any]],
    decision: str,
    _choice: Choice,
) -> Response:
    if decision == "fill":
        return filling.lead(visitor, pending.ask, request.form.get("fill", ""), back=_here())
    return _consent_page(pending, visitor, seen[1])


def _decide(
    pending: Pending,
    visitor: Visitor,
    seen: tuple[Request, dict[str, Any]],
    decision: str,
    choice: Choice,
) -> Response:
    row, notice = seen
    try:
        if decision == "refuse":
            return guards.see_other(authorization().refuse(pending, visitor, row, choice))
        if decision == "defer":
            return _deferred_page(pending, visitor, row, choice, notice)
        if decision in ("check", "allow"):
            return _allow(pending, visitor, seen, choice, is_checked=decision == "allow")
    except ValidationFailedError as error:
        wrong = [Problem(each.field, words.issue(each)) for each in error.issues]
        return _consent_page(pending, visitor, notice, *wrong, status=422)
    except NoticeChangedError:
        changed = changes(_shown_before(choice), notice)
        return _consent_page(pending, visitor, notice, changed=changed, status=409)
    return _consent_page(pending, visitor, notice, status=422)


def _allow(
    pending: Pending,
    visitor: Visitor,
    seen: tuple[Request, dict[str, Any]],
    choice: Choice,
    *,
    is_checked: bool,
) -> Response:
    """Allow what was chosen, or show what comes before that."""
    row, notice = seen
    if choice.notice_sha256 != notice_sha256(notice):
        raise NoticeChangedError
    agreed = agree(pending.ask, choice)
    unconfirmed = missing_confirmation(agreed, request.form)
    if unconfirmed:
        return _consent_page(pending, visitor, notice, *unconfirmed, status=422)
    if not is_checked and is_needed(agreed):
        return _check_page(pending, visitor, notice, agreed)
    if is_sensitive(agreed.attributes):
        refusal = step_up.refusal(visitor)
        if refusal is not None:
            page = _check_page(
                pending, visitor, notice, agreed, refusal.problem, status=refusal.status
            )
            return refusal.answer(page)
    cookies.drop("c")
    return guards.see_other(authorization().allow(pending, visitor, row, choice))


def _ready(pending: Pending) -> Visitor | Response:
    """Return whose request it is, or the page that comes first; binds the request (THR-7)."""
    visitor = visitors.current()
    if visitor is None:
        return guards.elsewhere("/sign-in")
    if visitor.open_vault is None:
        return guards.elsewhere("/unlock")
    try:
        authorization().bind(pending, visitor)
    except AuthorizationPageError as error:
        return _error_page(error.code)
    return visitor


def _begin() -> Pending | Response:
    given: Mapping[str, str] = request.form if request.method == "POST" else request.args
    try:
        pending = authorization().begin(given.get("client_id", ""), given.get("request_uri", ""))
    except AuthorizationPageError as error:
        return _error_page(error.code)
    except AuthorizationRedirect as answer:
        return guards.see_other(answer.location)
    pages.asked_in(pending.ui_locales)
    return pending


def _seen(pending: Pending, visitor: Visitor) -> tuple[Request, dict[str, Any]] | Response:
    try:
        return wiring().agreements.show(
            visitor.vault,
            pending.ask,
            pending.details,
            pending.pushed_id,
            locale=languages.current(),
        )
    except (ConflictError, GrantGoneError) as error:
        return _not_any_more(pending, error)


def _not_any_more(pending: Pending, error: ConflictError | GrantGoneError) -> Response:
    if isinstance(error, GrantGoneError):
        return guards.see_other(authorization().refuse_grant(pending))
    return _error_page("decided")


def _consent_page(
    pending: Pending,
    visitor: Visitor,
    notice: dict[str, Any],
    *problems: Problem,
    changed: frozenset[str] = frozenset(),
    status: int = 200,
) -> Response:
    # Chromium holds the redirect that answers this form against the page's policy (UI-6).
    security.allow_form_redirect(pending.redirect_uri)
    names = (*pending.ask.required, *pending.ask.optional)
    records = wiring().records(visitor) if visitor.open_vault else None
    locale = languages.current()
    return render_consent(
        notice,
        ask=pending.ask,
        examples=examples_from(records, names) if records else {},
        entries=entries_from(records, notice, locale) if records else {},
        reference=wiring().invitations.reference(
            visitor.vault, visitor.open_vault, pending.ask.invitation
        ),
        hidden=_address(),
        here=_here(),
        problems=problems,
        changed=changed,
        form=_form(pending, visitor),
        status=status,
    )


def _check_page(
    pending: Pending,
    visitor: Visitor,
    notice: dict[str, Any],
    agreed: Agreed,
    *problems: Problem,
    status: int = 200,
) -> Response:
    security.allow_form_redirect(pending.redirect_uri)
    return render_check(
        visitor,
        notice,
        ask=pending.ask,
        agreed=agreed,
        examples=examples_from(wiring().records(visitor), agreed.attributes),
        form=request.form,
        hidden=_address(),
        here=_here(),
        now=wiring().clock.now(),
        problems=problems,
        status=status,
    )


def _form(pending: Pending, visitor: Visitor) -> MultiDict[str, str] | None:
    """Return what to fill the page in with: what was sent, chosen before, or is shared today."""
    if request.method == "POST":
        return request.form
    before = kept_choices.find(visitor, _address()["request_uri"])
    return before if before is not None else _shared_today(pending, visitor)


def _shared_today(pending: Pending, visitor: Visitor) -> MultiDict[str, str] | None:
    if visitor.open_vault is None:
        return None
    terms = wiring().agreements.in_force(visitor.vault, visitor.open_vault, pending.ask)
    return standing_form(terms, pending.ask) if terms else None


def _deferred_page(
    pending: Pending, visitor: Visitor, row: Request, choice: Choice, notice: dict[str, Any]
) -> Response:
    back = authorization().defer(pending, visitor, row, choice)
    return pages.page(
        "sharing/deferred.html",
        organisation=notice["organisation"]["name"],
        until=pending.expires_at,
        again=_here(),
        back=back,
        here="/connections/history",
    )


def _shown_before(choice: Choice) -> dict[str, Any]:
    try:
        with wiring().uow.read() as session:
            return connections.notice(session, choice.notice_sha256)
    except NotFoundError:
        return {}


def _organisation_name(pending: Pending) -> str:
    with wiring().uow.read() as session:
        name = connections.organisation(session, pending.ask.template.organisation_id).name
    return name.text(languages.current())


def _address() -> dict[str, str]:
    return {name: request.values.get(name, "") for name in ("client_id", "request_uri")}


def _here() -> str:
    return f"{_PATH}?{urlencode(_address())}"


def _error_page(code: str) -> Response:
    status = 409 if code == "decided" else 400
    return pages.page("sharing/authorize_error.html", status, code=code, here="/")
