"""The auditor's desk: evidence packs and their chain of custody (AUD-10, AUD-11)."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from api import packing, searching
from api.web.auditor import desk as auditor_desk
from api.web.auditor import entrance as auditor_entrance
from api.web.pages import Problem
from api.wiring import wiring
from consent import auditors
from consent.auditing.custody import Taken
from consent.auditing.engagements import Seat
from consent.auditing.packs import ENTRIES_MOST
from pds.errors import Issue, LimitExceededError, NotFoundError

blueprint = Blueprint(
    "auditor_packs", __name__, url_prefix="/auditor/engagements/<uuid:engagement>/packs"
)


@blueprint.get("")
@auditor_entrance.seated
def show(seat: Seat) -> ResponseReturnValue:
    """Show the packs that were taken, or whether one with a given hash was."""
    given = request.args.get("sha256", "").strip().lower()  # ascii
    if not given:
        return _page(seat)
    try:
        found = packing.find(wiring(), seat, given)
    except NotFoundError:
        text = gettext("No pack with this SHA-256 was taken in this engagement.")
        return _page(seat, Problem("sha256", text), given=given, status=404)
    return _page(seat, found=found, given=given)


@blueprint.post("")
@auditor_entrance.seated
def take(seat: Seat) -> ResponseReturnValue:
    """Give a pack, after its taking was logged."""
    issues: list[Issue] = []
    query = searching.read(request.form, issues, instant=auditor_desk.local_instant)
    if issues:
        problems = [Problem(each.field.strip("/"), auditor_desk.malformed(each)) for each in issues]
        return _page(seat, *problems, status=422)
    try:
        return packing.sent(packing.take(wiring(), seat, query, bom="bom" in request.form))
    except NotFoundError:
        return _page(
            seat, Problem("take", gettext("Nothing is signed yet. Try later.")), status=422
        )
    except LimitExceededError:
        text = gettext(
            "This is more than one pack holds, %(most)s entries. Choose one organisation, or a"
            " shorter period.",
            most=ENTRIES_MOST,
        )
        return _page(seat, Problem("until", text), status=422)


def _page(
    seat: Seat,
    *problems: Problem,
    found: Taken | None = None,
    given: str = "",
    status: int = 200,
) -> Response:
    with wiring().uow.read() as session:
        names = {each.id: each.name for each in auditors.all_of_them(session)}
    return auditor_entrance.desk_page(
        "auditor/desk_packs.html",
        seat,
        status,
        packs=packing.taken(wiring(), seat),
        found=found,
        given=given,
        names=names,
        form=request.form,
        organisations=auditor_desk.organisations_of(seat),
        problems=problems,
    )
