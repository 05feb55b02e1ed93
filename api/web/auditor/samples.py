"""The auditor's desk: random samples, marked event by event (AUD-15)."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from api import sampling, searching
from api.web import flashes, forms, guards
from api.web.auditor import desk as auditor_desk
from api.web.auditor import entrance as auditor_entrance
from api.web.pages import Problem
from api.wiring import wiring
from consent.auditing import samples
from consent.auditing.engagements import Seat
from pds.errors import Issue, ValidationFailedError

blueprint = Blueprint(
    "auditor_samples", __name__, url_prefix="/auditor/engagements/<uuid:engagement>/samples"
)


@blueprint.get("")
@auditor_entrance.seated
def show(seat: Seat) -> ResponseReturnValue:
    """List the samples, and let one be drawn."""
    return _page(seat)


@blueprint.post("")
@auditor_entrance.seated
def draw(seat: Seat) -> ResponseReturnValue:
    """Draw a sample."""
    issues: list[Issue] = []
    query = searching.read(request.form, issues, instant=auditor_desk.local_instant)
    size = forms.number(request.form.get("size", "")) or 0
    try:
        if issues:
            return _page(seat, *_problems(issues), status=422)
        sample_id = sampling.draw(wiring(), seat, query, size=size)
    except ValidationFailedError as error:
        return _page(seat, *_problems(error.issues), status=422)
    return guards.see_other(f"{request.path}/{sample_id}")


@blueprint.get("/<uuid:sample>")
@auditor_entrance.seated
def one(seat: Seat, sample: UUID) -> ResponseReturnValue:
    """Show a sample, or give its report as CSV."""
    if request.args.get("format") == "csv":
        return sampling.as_table(sampling.get(wiring(), seat, sample))
    return _sample(seat, sample)


@blueprint.post("/<uuid:sample>/<int:number>")
@auditor_entrance.seated
def mark(seat: Seat, sample: UUID, number: int) -> ResponseReturnValue:
    """Mark one event of a sample."""
    note = request.form.get("note", "").strip()
    try:
        sampling.mark(wiring(), seat, sample, number, as_=request.form.get("mark", ""), note=note)
    except ValidationFailedError:
        text = gettext(
            "Event %(number)s was not marked: a failure needs a note, of at most %(most)s"
            " characters.",
            number=number,
            most=samples.NOTE_MOST,
        )
        return _sample(seat, sample, Problem(f"note-{number}", text), status=422)
    flashes.put("saved")
    return guards.see_other(f"{request.path.rpartition('/')[0]}#event-{number}")


def _problems(issues: list[Issue] | tuple[Issue, ...]) -> list[Problem]:
    return [Problem(each.field.strip("/"), _text(each)) for each in issues]


def _text(issue: Issue) -> str:
    if issue.rule == "empty":
        return str(gettext("The filter finds nothing to draw from."))
    if issue.field == "/size":
        return str(gettext("Draw between 1 and %(most)s events.", most=samples.MOST))
    return auditor_desk.malformed(issue)


def _sample(seat: Seat, sample: UUID, *problems: Problem, status: int = 200) -> Response:
    return auditor_entrance.desk_page(
        "auditor/desk_sample.html",
        seat,
        status,
        report=sampling.get(wiring(), seat, sample),
        organisations=auditor_desk.organisations_of(seat),
        problems=problems,
    )


def _page(seat: Seat, *problems: Problem, status: int = 200) -> Response:
    return auditor_entrance.desk_page(
        "auditor/desk_samples.html",
        seat,
        status,
        samples=sampling.of_engagement(wiring(), seat),
        organisations=auditor_desk.organisations_of(seat),
        form=request.form,
        most=samples.MOST,
        problems=problems,
    )
