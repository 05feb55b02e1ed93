"""Sharing less than was agreed, on one's own: the page of a standing agreement (P-13).

Everything on it takes something away. To share more, an organisation has to ask.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from api.web import (
    guards,
    pages,
    words,
)
from api.web.clusters import clusters_of
from api.web.forms import named, number
from api.web.pages import Problem
from api.web.sharing import one_connection
from api.wiring import wiring
from consent.errors import NoticeChangedError
from consent.narrowing import Reduction
from pds.catalogue import CATALOGUE
from pds.errors import ConflictError, ValidationFailedError, VaultLockedError
from pds.sessions import Visitor

blueprint = Blueprint("narrowing", __name__, url_prefix="/connections")


@blueprint.get("/<uuid:agreement_id>/narrow")
@guards.unlocked
def form(visitor: Visitor, agreement_id: UUID) -> ResponseReturnValue:
    """Show what is shared, and what of it may be taken away."""
    try:
        return _page(visitor, agreement_id)
    except ConflictError:
        return one_connection.back_to(agreement_id, "ended-already")


@blueprint.post("/<uuid:agreement_id>/narrow")
@guards.unlocked
def narrow(visitor: Visitor, agreement_id: UUID) -> ResponseReturnValue:
    """Take it away; it has gone when this answers."""
    if visitor.open_vault is None:
        raise VaultLockedError
    reduction = Reduction(
        agreement_sha256=request.form.get("agreement_sha256", ""),
        optional=frozenset(request.form.getlist("attributes")),
        duration=request.form.get("duration", ""),
        fetches_per_day=number(request.form.get("fetches_per_day", "")),
        coarsenings=named(request.form, "coarsen."),
        instances=named(request.form, "instances."),
    )
    try:
        wiring().narrowing.narrow(visitor.vault, visitor.open_vault, agreement_id, reduction)
    except ValidationFailedError as error:
        wrong = [Problem(each.field, words.issue(each)) for each in error.issues]
        return _page(visitor, agreement_id, wrong, form=request.form, status=422)
    except NoticeChangedError:
        return _page(visitor, agreement_id, is_changed=True, status=409)
    except ConflictError:
        return one_connection.back_to(agreement_id, "ended-already")
    return one_connection.back_to(agreement_id, "narrowed")


def _page(
    visitor: Visitor,
    agreement_id: UUID,
    problems: Iterable[Problem] = (),
    *,
    form: MultiDict[str, str] | None = None,
    is_changed: bool = False,
    status: int = 200,
) -> Response:
    offer = wiring().narrowing.offer(visitor.vault, agreement_id)
    view = one_connection.of(visitor, agreement_id)
    return pages.page(
        "sharing/narrow.html",
        status,
        view=view,
        offer=offer,
        required=clusters_of(offer.required),
        optional=clusters_of(offer.optional),
        coarser=[(CATALOGUE.attribute(name), forms) for name, forms in offer.coarsenings.items()],
        several=[CATALOGUE.collection(name) for name in offer.primary],
        chosen=form or {},
        ticked=form.getlist("attributes") if form is not None else offer.optional,
        duration=form.get("duration", "") if form is not None else "",
        fetches_per_day=form.get("fetches_per_day", "") if form is not None else "",
        problems=list(problems),
        is_changed=is_changed,
    )
