"""Who asked who you are: answers to auditors, and what others opened (AUD-1)."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from api.web import (
    flashes,
    guards,
    kept,
    pages,
)
from api.web.pages import Problem
from api.wiring import wiring
from consent import organisations
from pds.errors import ConflictError
from pds.sessions import Visitor

blueprint = Blueprint("unmaskings", __name__, url_prefix="/unmaskings")
_PAGE = "/unmaskings"


@blueprint.get("")
@guards.signed_in
def show(visitor: Visitor) -> ResponseReturnValue:
    """Show which auditors asked, why, and what became of it."""
    return _page(visitor)


@blueprint.post("/<uuid:unmasking>")
@guards.signed_in
def decide(visitor: Visitor, unmasking: UUID) -> ResponseReturnValue:
    """Say yes, for which the vault is unlocked, or no, for which it need not be."""
    allow = request.form.get("decision") == "allow"
    if allow and visitor.open_vault is None:
        return kept.page(kept.Reason.LOCKED)
    try:
        wiring().unmasking.decide_as_person(visitor.vault, unmasking, allow=allow)
    except ConflictError:
        return _page(visitor, _conflict(unmasking), status=409)
    flashes.put("unmasking-allowed" if allow else "unmasking-refused")
    return guards.see_other(_PAGE)


@blueprint.post("/<uuid:unmasking>/close")
@guards.signed_in
def close(visitor: Visitor, unmasking: UUID) -> ResponseReturnValue:
    """Take a yes back. It takes nothing away from anybody but the auditor, so it asks nothing."""
    try:
        wiring().unmasking.take_back(visitor.vault, unmasking)
    except ConflictError:
        return _page(visitor, _conflict(unmasking), status=409)
    flashes.put("unmasking-closed")
    return guards.see_other(_PAGE)


def _conflict(unmasking: UUID) -> Problem:
    text = gettext("Nothing was changed: this is answered already, or its time is over.")
    return Problem(f"asked-{unmasking}", text)


def _page(visitor: Visitor, *problems: Problem, status: int = 200) -> Response:
    services = wiring()
    asked = services.unmasking.of_vault(visitor.vault)
    ids = {organisation for each in asked for organisation in each.organisations or ()}
    with services.uow.read() as session:
        named = organisations.get_all(session, ids)
    return pages.page(
        "sharing/unmaskings.html",
        status,
        unmaskings=asked,
        organisations=named,
        problems=problems,
    )
