"""Settings: where somebody is signed in, and how to end that elsewhere (SEC-S19)."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint
from flask.typing import ResponseReturnValue

from api.web import (
    flashes,
    guards,
    pages,
    visitors,
)
from api.wiring import wiring
from pds.sessions import Visitor

blueprint = Blueprint("sessions", __name__, url_prefix="/settings/sessions")


@blueprint.get("")
@guards.signed_in
def show(visitor: Visitor) -> ResponseReturnValue:
    """List the sessions of this person, the present one first."""
    found = wiring().sessions.list_of(visitor.vault.id)
    found.sort(key=lambda one: one.id != visitor.sign_in)
    return pages.page("settings/sessions.html", sessions=found, present=visitor.sign_in)


@blueprint.post("/<uuid:session>/end")
@guards.signed_in
def end(visitor: Visitor, session: UUID) -> ResponseReturnValue:
    """End one session; the present one, too."""
    if session == visitor.sign_in:
        visitors.end(visitor)
        flashes.put("signed-out")
        return guards.see_other("/")
    wiring().sessions.end(visitor.vault.id, session)
    flashes.put("session-ended")
    return guards.see_other("/settings/sessions")


@blueprint.post("/end-others")
@guards.signed_in
def end_others(visitor: Visitor) -> ResponseReturnValue:
    """End every session of this person but the present one."""
    wiring().sessions.end_others(visitor.vault.id, keep=visitor.sign_in)
    flashes.put("others-ended")
    return guards.see_other("/settings/sessions")
