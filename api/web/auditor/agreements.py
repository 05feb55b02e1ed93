"""The auditor's desk: one consent's course, and the two checks of reads (AUD-3 to AUD-7)."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from api import following
from api.web import languages
from api.web.auditor import entrance as auditor_entrance
from api.web.clusters import clusters_of
from api.web.pages import Problem
from api.wiring import wiring
from consent import organisations
from consent.auditing.engagements import Seat

blueprint = Blueprint(
    "auditor_agreements", __name__, url_prefix="/auditor/engagements/<uuid:engagement>"
)
_GRANTS, _WITHDRAWALS = 200, 100


@blueprint.get("/agreements/<uuid:agreement>")
@auditor_entrance.seated
def show(seat: Seat, agreement: UUID) -> ResponseReturnValue:
    """Show one consent from the request to the deletion, and what stood at an instant."""
    given, problems = request.args.get("at", ""), []
    at = languages.local_instant(given)
    if given and (at is None or not seat.scope.is_in_period(at)):
        text = gettext("Give a day and time within the period of the engagement.")
        problems, at = [Problem("at", text)], None
    course = following.follow(wiring(), seat, agreement, at=at)
    with wiring().uow.read() as session:
        organisation = organisations.get(session, course.timeline.agreement.organisation_id)
    past = course.instant.past if course.instant else None
    document = past.permission.document if past else None
    return auditor_entrance.desk_page(
        "auditor/desk_agreement.html",
        seat,
        422 if problems else 200,
        timeline=course.timeline,
        instant=course.instant,
        permitted=clusters_of(document["attributes"]) if document else [],
        organisation=organisation,
        given=given,
        problems=problems,
    )


@blueprint.get("/checks")
@auditor_entrance.seated
def checks(seat: Seat) -> ResponseReturnValue:
    """Hold reads against consents, and show how withdrawals were heeded."""
    after = request.args.get("after", type=UUID)
    return auditor_entrance.desk_page(
        "auditor/desk_checks.html",
        seat,
        access=following.access(wiring(), seat, after=after, limit=_GRANTS),
        withdrawals=following.withdrawals(wiring(), seat, limit=_WITHDRAWALS),
        first=after is None,
    )
