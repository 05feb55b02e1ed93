"""Limited sign-in: what somebody can still do who lost the passphrase, by a mailed link (P-16).

They see with whom they share, by name, can stop it, and can have the vault deleted. No page here
reads a record or changes what a sign-in needs; and no other page looks at the cookie that the link
leads to. The address of the link holds a secret: `Referrer-Policy: same-origin` keeps it from other
sites, and no request line is logged. Opening it spends nothing, since programs that read mail open
every link (SEC-S45).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api import sources
from api.letters import transports
from api.web import (
    cookies,
    flashes,
    guards,
    pages,
    words,
)
from api.web.pages import Problem
from api.wiring import wiring
from consent import connections
from consent.connections import ConnectionView
from pds.crypto.secrets import parse
from pds.errors import Issue, LimitExceededError, NotFoundError
from pds.limited_sign_ins import SESSION_LASTS, LimitedVisitor

blueprint = Blueprint("limited", __name__)

P = ParamSpec("P")
LimitedView = Callable[Concatenate[LimitedVisitor, P], ResponseReturnValue]

_LOST = "/lost-passphrase"
_LINK = "/limited/link/<token>"
_PAGE = "/limited"


def _limited(view: LimitedView[P]) -> guards.View[P]:
    """Let in whoever used a link; send others to where links are asked for."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        visitor = _current()
        return guards.see_other(_LOST) if visitor is None else view(visitor, *args, **kwargs)

    return guarded


@blueprint.get(_LOST)
def lost() -> ResponseReturnValue:
    """Say what can be done without the passphrase, and what cannot."""
    return _lost_page()


@blueprint.post(_LOST)
def ask() -> ResponseReturnValue:
    """Ask for a link; the answer is the same whoever it is."""
    try:
        wiring().limited_sign_ins.ask(request.form.get("login", ""), source=sources.source())
    except LimitExceededError as error:
        seconds = error.retry_after_seconds or 60
        response = _lost_page(429, Problem("login", words.wait(seconds)))
        response.headers["Retry-After"] = str(seconds)
        return response
    return guards.see_other(f"{_LOST}/asked")


@blueprint.get(f"{_LOST}/asked")
def asked() -> ResponseReturnValue:
    """Say what happens now."""
    return pages.page("entering/limited_asked.html", sends=_sends())


@blueprint.get(_LINK)
def link(token: str) -> ResponseReturnValue:
    """Ask whether to go on."""
    secret = parse(token, "ll")
    if secret is None or not wiring().limited_sign_ins.is_good(secret):
        return _unusable()
    return pages.page("entering/limited_link.html")


@blueprint.post(_LINK)
def use(token: str) -> ResponseReturnValue:
    """Spend the link; it leads to the limited page in this browser."""
    secret = parse(token, "ll")
    if secret is None:
        return _unusable()
    try:
        session = wiring().limited_sign_ins.open(secret)
    except NotFoundError:
        return _unusable()
    cookies.put("r", session.text(), max_age_seconds=int(SESSION_LASTS.total_seconds()))
    return guards.see_other(_PAGE)


@blueprint.get(_PAGE)
@_limited
def show(visitor: LimitedVisitor) -> ResponseReturnValue:
    """List who may read, by name."""
    return pages.page(
        "entering/limited.html",
        views=_views(visitor),
        ends_at=visitor.ends_at,
        pending=wiring().deletions.pending(visitor.vault),
    )


@blueprint.get(f"{_PAGE}/<uuid:agreement_id>/stop")
@_limited
def stop_form(visitor: LimitedVisitor, agreement_id: UUID) -> ResponseReturnValue:
    """Say what stopping means, and ask once."""
    services = wiring()
    with services.uow.read() as session:
        view = connections.get(
            session,
            visitor.vault.bucket,
            visitor.vault.id,
            agreement_id,
            now=services.clock.now(),
        )
    if not view.is_current:
        return guards.see_other(_PAGE)
    return pages.page("entering/limited_stop.html", views=[view])


@blueprint.post(f"{_PAGE}/<uuid:agreement_id>/stop")
@_limited
def stop(visitor: LimitedVisitor, agreement_id: UUID) -> ResponseReturnValue:
    """Stop sharing; it has stopped when this answers (CUX-39)."""
    if "confirm" not in request.form:
        return guards.see_other(f"{_PAGE}/{agreement_id}/stop")
    _withdraw(visitor, agreement_id)
    flashes.put("stopped")
    return guards.see_other(_PAGE)


@blueprint.get(f"{_PAGE}/stop-all")
@_limited
def stop_all_form(visitor: LimitedVisitor) -> ResponseReturnValue:
    """List everything that would stop, and ask once."""
    views = _views(visitor)
    return (
        pages.page("entering/limited_stop.html", views=views) if views else guards.see_other(_PAGE)
    )


@blueprint.post(f"{_PAGE}/stop-all")
@_limited
def stop_all(visitor: LimitedVisitor) -> ResponseReturnValue:
    """Stop all sharing, one agreement after the other; each stop is a decision of its own."""
    if "confirm" not in request.form:
        return guards.see_other(f"{_PAGE}/stop-all")
    for view in _views(visitor):
        _withdraw(visitor, view.agreement_id)
    flashes.put("stopped-all")
    return guards.see_other(_PAGE)


@blueprint.get(f"{_PAGE}/delete")
@_limited
def delete_form(visitor: LimitedVisitor) -> ResponseReturnValue:
    """Say what deletion means, and ask once."""
    return _delete_page(visitor)


@blueprint.post(f"{_PAGE}/delete")
@_limited
def delete(visitor: LimitedVisitor) -> ResponseReturnValue:
    """Have the vault deleted when the cooling period is over."""
    if "sure" not in request.form:
        return _delete_page(visitor, 422, Problem("sure", words.issue(Issue("", "not_sure", ""))))
    wiring().deletions.ask(
        visitor.vault, is_limited=True, asks_erasure="request_deletion" in request.form
    )
    flashes.put("deletion-asked")
    return guards.see_other(_PAGE)


@blueprint.post(f"{_PAGE}/keep")
@_limited
def keep(visitor: LimitedVisitor) -> ResponseReturnValue:
    """Take back what a limited sign-in asked for."""
    if wiring().deletions.cancel(visitor.vault, is_limited=True):
        flashes.put("deletion-off")
    return guards.see_other(_PAGE)


@blueprint.post(f"{_PAGE}/end")
def end() -> ResponseReturnValue:
    """End the limited session."""
    visitor = _current()
    if visitor is not None:
        wiring().limited_sign_ins.end(visitor)
    cookies.drop("r")
    flashes.put("limited-ended")
    return guards.see_other("/")


def _current() -> LimitedVisitor | None:
    secret = parse(cookies.read("r"), "ls")
    return None if secret is None else wiring().limited_sign_ins.resolve(secret)


def _views(visitor: LimitedVisitor) -> list[ConnectionView]:
    services = wiring()
    with services.uow.read() as session:
        found = connections.of_vault(
            session, visitor.vault.bucket, visitor.vault.id, now=services.clock.now()
        )
    return [view for view in found if view.is_current]


def _withdraw(visitor: LimitedVisitor, agreement_id: UUID) -> None:
    wiring().endings.withdraw(
        visitor.vault,
        agreement_id,
        request_deletion="request_deletion" in request.form,
        is_limited=True,
    )


def _delete_page(visitor: LimitedVisitor, status: int = 200, *problems: Problem) -> Response:
    services = wiring()
    if services.deletions.pending(visitor.vault) is not None:
        return guards.see_other(_PAGE)
    days = services.settings.vault.deletion_cooling_days
    return pages.page("entering/limited_delete.html", status, days=days, problems=problems)


def _sends() -> bool:
    return transports.of(wiring().settings) is not None


def _lost_page(status: int = 200, *problems: Problem) -> Response:
    return pages.page(
        "entering/lost_passphrase.html",
        status,
        login=request.form.get("login", ""),
        sends=_sends(),
        passkeys_are_offered=wiring().second_factors.passkeys.are_offered,
        problems=problems,
    )


def _unusable() -> Response:
    # One page for all: whether there ever was such a link is nobody's business.
    return pages.page("entering/limited_unusable.html", 404, is_open=_current() is not None)
