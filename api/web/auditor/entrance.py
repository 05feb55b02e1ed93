"""The way to the auditor's desk: what there is to check, signing in, choosing an engagement."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from uuid import UUID

from flask import Blueprint, Response, g, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from api import seats
from api.web import (
    cookies,
    flashes,
    forms,
    guards,
    pages,
)
from api.web.auditor import words
from api.web.pages import Problem
from api.wiring import wiring
from consent import organisations
from consent.auditing import sign_ins
from consent.auditing.engagements import Seat
from consent.models import Auditor

P = ParamSpec("P")

blueprint = Blueprint("auditor_entrance", __name__, url_prefix="/auditor")
_DESK = "/auditor/engagements"


def current() -> Auditor | None:
    """Return the auditor who is signed in with this browser, or None; asked once in a request."""
    if "auditor" not in g:
        cookie = cookies.read("a")
        g.auditor = seats.by_cookie(wiring(), cookie) if cookie else None
    found: Auditor | None = g.auditor
    return found


def seated(
    view: Callable[Concatenate[Seat, P], ResponseReturnValue],
) -> Callable[..., ResponseReturnValue]:
    """Let in an auditor who works in the engagement of the address; the view gets their seat.

    Another's engagement, an ended one and none at all are the same: not found.
    """

    @wraps(view)
    def guarded(engagement: UUID, *args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        auditor = current()
        if auditor is None:
            return guards.elsewhere("/auditor", back=_DESK)
        return view(seats.take(wiring(), auditor, engagement), *args, **kwargs)

    return guarded


def desk_page(template: str, seat: Seat, /, status: int = 200, **context: object) -> Response:
    """Render a page of the desk, with the way to its other pages."""
    return pages.page(
        template,
        status,
        seat=seat,
        desk=f"{_DESK}/{seat.scope.engagement_id}",
        desk_words=words,
        **context,
    )


@blueprint.get("")
def show() -> ResponseReturnValue:
    """Tell an auditor what there is to check, and let them sign in."""
    return _entrance()


@blueprint.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Sign in with the access secret, which goes no further than this form."""
    services, access = wiring(), request.form.get("access", "").strip()
    now = services.clock.now()
    secret = services.uow.write(lambda session: sign_ins.start(session, access, now=now))
    if secret is None:
        text = gettext("This access is not valid, or has ended. Ask the operator for a new one.")
        return _entrance(422, Problem("access", text))
    age = int(sign_ins.SIGNED_IN_FOR.total_seconds())
    cookies.put("a", secret.text(), max_age_seconds=age)
    return guards.see_other(forms.next_path(_DESK))


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """Sign out of the desk."""
    cookie = cookies.read("a")
    wiring().uow.write(lambda session: sign_ins.end(session, cookie))
    cookies.drop("a")
    flashes.put("signed-out")
    return guards.see_other("/auditor")


@blueprint.get("/engagements")
def engagements() -> ResponseReturnValue:
    """List the engagements in which the auditor may work."""
    auditor = current()
    if auditor is None:
        return guards.elsewhere("/auditor", back=_DESK)
    services = wiring()
    with services.uow.read() as session:
        names = {str(each.id): each for each in organisations.all_of_them(session)}
    return pages.page(
        "auditor/desk_engagements.html",
        auditor=auditor,
        engagements=seats.engagements_of(services, auditor),
        organisations=names,
    )


def _entrance(status: int = 200, *problems: Problem) -> Response:
    return pages.page(
        "auditor/auditor.html",
        status,
        auditor=current(),
        next=forms.next_path(_DESK),
        origin=wiring().settings.log_origin,
        problems=problems,
    )
