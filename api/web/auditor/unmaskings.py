"""The auditor's desk: asking whose a pseudonym is, and deciding as the second person (AUD-1)."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from api import naming
from api.naming import Named
from api.web import flashes, guards
from api.web.auditor import entrance as auditor_entrance
from api.web.pages import Problem
from api.wiring import wiring
from consent.auditing.engagements import Seat
from consent.auditing.unmasking import REASON_LEAST, REASON_MOST, Way
from pds.errors import ConflictError, Issue, ValidationFailedError

blueprint = Blueprint(
    "auditor_unmaskings", __name__, url_prefix="/auditor/engagements/<uuid:engagement>/unmaskings"
)


@blueprint.get("")
@auditor_entrance.seated
def show(seat: Seat) -> ResponseReturnValue:
    """Show what was asked in the engagement, and let an auditor ask."""
    return _page(seat)


@blueprint.post("")
@auditor_entrance.seated
def ask(seat: Seat) -> ResponseReturnValue:
    """Ask for a pseudonym to be opened."""
    given = {name: request.form.get(name, "").strip() for name in ("person", "way", "reason")}
    try:
        wiring().unmasking.ask(seat, given["person"], way=given["way"], reason=given["reason"])
    except ValidationFailedError as error:
        problems = [Problem(each.field.strip("/"), _text(each)) for each in error.issues]
        return _page(seat, *problems, status=422)
    flashes.put("saved")
    return guards.see_other(request.path)


@blueprint.post("/<uuid:unmasking>")
@auditor_entrance.seated
def decide(seat: Seat, unmasking: UUID) -> ResponseReturnValue:
    """Say yes or no as the second auditor."""
    allow = request.form.get("decision") == "allow"
    try:
        wiring().unmasking.decide_as_auditor(seat, unmasking, allow=allow)
    except ConflictError:
        return _page(seat, _conflict(unmasking), status=409)
    flashes.put("saved")
    return guards.see_other(request.path.rpartition("/")[0])


@blueprint.post("/<uuid:unmasking>/look")
@auditor_entrance.seated
def look(seat: Seat, unmasking: UUID) -> ResponseReturnValue:
    """Show the name to whoever asked; on this answer alone, and logged."""
    try:
        named = naming.look(wiring(), seat, unmasking)
    except ConflictError:
        return _page(seat, _conflict(unmasking), status=409)
    return _page(seat, named=named)


def _conflict(unmasking: UUID) -> Problem:
    text = gettext(
        "That is not possible: it is your own question, is answered, or its time is over."
    )
    return Problem(f"asked-{unmasking}", text)


def _text(issue: Issue) -> str:
    if issue.field == "/reason":
        return str(
            gettext(
                "Say why, in %(least)s to %(most)s characters.",
                least=REASON_LEAST,
                most=REASON_MOST,
            )
        )
    sentences = {
        "asked_already": gettext("This was asked already: it waits for an answer, or is open."),
        "asked_before": gettext("A person is asked once in an engagement. Ask a second person."),
        "too_many": gettext("Too many questions wait for an answer. Wait for those first."),
        "gone": gettext("The vault was deleted, and the name with it."),
    }
    if issue.rule in sentences:
        return str(sentences[issue.rule])
    return str(gettext("This is not understood. Choose from the list, or copy it from a result."))


def _page(
    seat: Seat, *problems: Problem, status: int = 200, named: Named | None = None
) -> Response:
    return auditor_entrance.desk_page(
        "auditor/desk_unmaskings.html",
        seat,
        status,
        unmaskings=wiring().unmasking.of_engagement(seat.scope.engagement_id),
        given=request.values,
        named=named,
        ways=tuple(Way),
        reason_least=REASON_LEAST,
        reason_most=REASON_MOST,
        problems=problems,
    )
