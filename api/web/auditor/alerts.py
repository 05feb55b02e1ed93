"""The auditor's desk: alerts, each with a state, an owner and a note (AUD-14)."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from api import alerting
from api.web import flashes, guards
from api.web.auditor import desk as auditor_desk
from api.web.auditor import entrance as auditor_entrance
from api.web.pages import Problem
from api.wiring import wiring
from consent.auditing.alerts import NOTE_MOST, State
from consent.auditing.engagements import Seat
from pds.errors import NotFoundError, ValidationFailedError

blueprint = Blueprint(
    "auditor_alerts", __name__, url_prefix="/auditor/engagements/<uuid:engagement>/alerts"
)


@blueprint.get("")
@auditor_entrance.seated
def show(seat: Seat) -> ResponseReturnValue:
    """Show what should be looked at first; `kind` and `before` lead to earlier ones."""
    return _page(seat)


@blueprint.post("")
@auditor_entrance.seated
def review(seat: Seat) -> ResponseReturnValue:
    """Record what the auditor makes of an alert."""
    key, note = request.form.get("key", ""), request.form.get("note", "").strip()
    state = request.form.get("state", "")
    try:
        owner = request.form.get("owner", "")
        alerting.review(wiring(), seat, key, state=state, note=note, owner=owner)
    except ValidationFailedError:
        text = gettext(
            "Say why in a note of at most %(most)s characters; only an open alert needs none.",
            most=NOTE_MOST,
        )
        return _page(seat, Problem(f"note-{key}", text), status=422)
    flashes.put("saved")
    return guards.see_other(request.full_path.rstrip("?"))


def _page(seat: Seat, *problems: Problem, status: int = 200) -> Response:
    try:
        found = alerting.asked(wiring(), seat, request.args)
    except ValidationFailedError:  # an address that no page of ours has
        raise NotFoundError from None
    return auditor_entrance.desk_page(
        "auditor/desk_alerts.html",
        seat,
        status,
        alerts=found.found,
        earlier=found.earlier,
        is_paged=bool(request.args.get("kind")),
        states=tuple(State),
        owners=alerting.owners(wiring(), seat),
        organisations=auditor_desk.organisations_of(seat),
        problems=problems,
    )
