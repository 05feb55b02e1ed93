"""The auditor's desk: figures as drawings with their numbers beside them."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue

from api import searching
from api.web.auditor import desk as auditor_desk
from api.web.auditor import entrance as auditor_entrance
from api.wiring import wiring
from consent.auditing import tallies
from consent.auditing.engagements import Seat
from consent.vocabulary import EventName

blueprint = Blueprint(
    "auditor_figures", __name__, url_prefix="/auditor/engagements/<uuid:engagement>/figures"
)


@blueprint.get("")
@auditor_entrance.seated
def show(seat: Seat) -> ResponseReturnValue:
    """Show reads and refusals over time by organisation, and what is overdue."""
    services, now = wiring(), wiring().clock.now()
    with services.uow.read() as session:
        reads = tallies.over_time(session, seat.scope, EventName.DATA_READ, now=now)
        refusals = tallies.over_time(session, seat.scope, EventName.DATA_READ_DENIED, now=now)
        overdue = tallies.overdue(session, seat.scope, now=now)
    searching.log(services, count=sum(map(reads.total, reads.counts)))
    return auditor_entrance.desk_page(
        "auditor/desk_figures.html",
        seat,
        reads=reads,
        refusals=refusals,
        overdue=overdue,
        organisations=auditor_desk.organisations_of(seat),
    )
