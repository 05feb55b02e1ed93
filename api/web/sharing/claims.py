"""What a person asks for without ending anything: correction, deletion, a look by auditors.

None of it needs an unlocked vault, as stopping does not (TAK-41).
"""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api.web import (
    guards,
    pages,
    words,
)
from api.web.clusters import clusters_of
from api.web.pages import Problem
from api.web.sharing import one_connection
from api.wiring import wiring
from consent.connections import ConnectionView
from consent.vocabulary import ComplaintReason, ObligationKind
from pds.errors import ConflictError, Issue
from pds.sessions import Visitor

blueprint = Blueprint("claims", __name__, url_prefix="/connections")

_KINDS = {each.value: each for each in (ObligationKind.CORRECT, ObligationKind.ERASE)}


@blueprint.get("/<uuid:agreement_id>/ask")
@guards.signed_in
def ask_form(visitor: Visitor, agreement_id: UUID) -> ResponseReturnValue:
    """Offer to ask for correction or deletion while sharing goes on."""
    view = one_connection.of(visitor, agreement_id)
    if not view.is_current:
        return guards.see_other(f"/connections/{agreement_id}")
    return _ask_page(view)


@blueprint.post("/<uuid:agreement_id>/ask")
@guards.signed_in
def ask(visitor: Visitor, agreement_id: UUID) -> ResponseReturnValue:
    """Ask; the organisation is told at once, and owes an answer."""
    view = one_connection.of(visitor, agreement_id)
    kind = _KINDS.get(request.form.get("kind", ""))
    if kind is None:
        return _ask_page(view, _chosen_none("kind"))
    try:
        wiring().rights.ask(visitor.vault, agreement_id, kind)
    except ConflictError:
        note = "asked-already" if view.is_current else "ended-already"
        return one_connection.back_to(agreement_id, note)
    return one_connection.back_to(agreement_id, "asked")


@blueprint.get("/<uuid:agreement_id>/report")
@guards.signed_in
def report_form(visitor: Visitor, agreement_id: UUID) -> ResponseReturnValue:
    """Ask why the organisation is reported (CUX-43)."""
    return _report_page(one_connection.of(visitor, agreement_id))


@blueprint.post("/<uuid:agreement_id>/report")
@guards.signed_in
def report(visitor: Visitor, agreement_id: UUID) -> ResponseReturnValue:
    """Report the organisation; auditors find it among their alerts."""
    view = one_connection.of(visitor, agreement_id)
    given = request.form.get("reason", "")
    if given not in tuple(ComplaintReason):
        return _report_page(view, _chosen_none("reason"))
    try:
        wiring().complaints.lodge(visitor.vault, agreement_id, ComplaintReason(given))
    except ConflictError:
        return one_connection.back_to(agreement_id, "reported-already")
    return one_connection.back_to(agreement_id, "reported")


def _ask_page(view: ConnectionView, *problems: Problem) -> Response:
    status = 422 if problems else 200
    groups = clusters_of(view.attributes)
    return pages.page("sharing/ask.html", status, view=view, groups=groups, problems=problems)


def _report_page(view: ConnectionView, *problems: Problem) -> Response:
    status = 422 if problems else 200
    return pages.page("sharing/report.html", status, view=view, problems=problems)


def _chosen_none(field: str) -> Problem:
    return Problem(field, words.issue(Issue(field, "choose_one", "")))
