"""The auditor's desk: what an engagement opens, on pages (AUD-1)."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from api import evidence, searching
from api.web import flashes, guards, languages
from api.web.auditor import entrance as auditor_entrance
from api.web.pages import Problem
from api.wiring import wiring
from consent import organisations
from consent.auditing import search, searches
from consent.auditing.engagements import Seat
from consent.models import Organisation
from pds.catalogue import CATALOGUE
from pds.clock import from_rfc3339
from pds.errors import Issue, NotFoundError, ValidationFailedError

blueprint = Blueprint("auditor_desk", __name__, url_prefix="/auditor/engagements/<uuid:engagement>")
_PAGE = 50


@blueprint.get("")
@auditor_entrance.seated
def show(seat: Seat) -> ResponseReturnValue:
    """Show what the engagement covers, and what can be done."""
    return _overview(seat)


@blueprint.post("/evidence")
@auditor_entrance.seated
def take_evidence(seat: Seat) -> ResponseReturnValue:
    """Give the evidence bundle of the engagement (AUD-8)."""
    try:
        bundle = evidence.export(wiring(), seat)
    except NotFoundError:
        text = gettext("Nothing is signed yet. Try later.")
        return _overview(seat, 422, Problem("evidence", text))
    response = Response(bundle, mimetype="application/json")
    response.headers["Content-Disposition"] = 'attachment; filename="evidence.json"'
    return response


@blueprint.get("/events")
@auditor_entrance.seated
def events(seat: Seat) -> ResponseReturnValue:
    """Search the log's public parts, newest first (AUD-2)."""
    issues: list[Issue] = []
    query = searching.read(request.args, issues, instant=local_instant)
    before = request.args.get("before", type=int)
    answer = None
    if not issues:
        answer = searching.answer(wiring(), seat, query, before=before, limit=_PAGE)
    kept = searching.kept(wiring(), seat)
    given = {name: request.args[name] for name in searching.FILTERS if request.args.get(name)}
    return auditor_entrance.desk_page(
        "auditor/desk_events.html",
        seat,
        422 if issues else 200,
        answer=answer,
        given=given,
        echo=searching.echo(query),
        kept=[(each, urlencode(each.asked)) for each in kept],
        name_most=searches.NAME_MOST,
        following=urlencode(given | {"before": answer.page.before}) if answer else "",
        organisations=organisations_of(seat),
        catalogue=CATALOGUE,
        most=search.COUNT_MOST,
        problems=[Problem(each.field.strip("/"), malformed(each)) for each in issues],
    )


@blueprint.post("/searches")
@auditor_entrance.seated
def keep_search(seat: Seat) -> ResponseReturnValue:
    """Keep a search, or forget one (AUD-2)."""
    services, desk = wiring(), request.path.rpartition("/")[0]
    forgotten = request.form.get("forget", type=UUID)
    if forgotten is not None:
        searching.drop(services, seat, forgotten)
        return guards.see_other(f"{desk}/events")
    issues: list[Issue] = []
    query = searching.read(request.form, issues)
    # What a page of ours holds was understood before: what is not is left out.
    try:
        searching.keep(services, seat, request.form.get("name", "").strip(), query)
    except ValidationFailedError:
        flashes.put("search-not-kept")
    else:
        flashes.put("saved")
    return guards.see_other(f"{desk}/events?{urlencode(searching.echo(query))}")


def malformed(issue: Issue) -> str:
    """Say what is wrong with a filter."""
    if issue.field in {"/since", "/until"}:
        return str(gettext("This is no day and time."))
    return str(gettext("This is not understood. Choose from the list, or copy it from a result."))


def local_instant(text: str) -> datetime:
    """Read what a form sends, in Baku's time, or what the API takes.

    Raises:
        ValueError: it is neither.
    """
    found = languages.local_instant(text)
    return from_rfc3339(text) if found is None else found


def organisations_of(seat: Seat) -> dict[UUID, Organisation]:
    """Return the organisations of an engagement by id."""
    with wiring().uow.read() as session:
        found = organisations.all_of_them(session)
    return {each.id: each for each in found if seat.scope.covers(each.id)}


def _overview(seat: Seat, status: int = 200, *problems: Problem) -> Response:
    return auditor_entrance.desk_page(
        "auditor/desk.html",
        seat,
        status,
        organisations=organisations_of(seat).values(),
        problems=problems,
    )
