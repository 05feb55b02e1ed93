"""Sharing the same for longer, on one's own: choosing the new end, then a check (CUX-42, CUX-21).

Nothing else changes. Sensitive data takes a second tick and a step-up, as when it was allowed
(CUX-22).
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api.web import guards, pages, words
from api.web.clusters import clusters_of
from api.web.entering import proofs, step_up
from api.web.pages import Problem
from api.web.sharing import one_connection
from api.web.sharing.consent_check import CONFIRMED, is_sensitive
from api.wiring import wiring
from consent.errors import NoticeChangedError
from consent.extending import Extension
from pds.errors import ConflictError, Issue, ValidationFailedError, VaultLockedError
from pds.sessions import Visitor

blueprint = Blueprint("extending", __name__, url_prefix="/connections")


@blueprint.get("/<uuid:agreement_id>/extend")
@guards.unlocked
def form(visitor: Visitor, agreement_id: UUID) -> ResponseReturnValue:
    """Offer later ends; or show the chosen one beside the agreed one, to be confirmed."""
    try:
        return _page(visitor, agreement_id)
    except ConflictError:
        return one_connection.back_to(agreement_id, "ended-already")


@blueprint.post("/<uuid:agreement_id>/extend")
@guards.unlocked
def extend(visitor: Visitor, agreement_id: UUID) -> ResponseReturnValue:
    """Share until the new end; the organisation's tokens live on to it."""
    if visitor.open_vault is None:
        raise VaultLockedError
    extension = Extension(
        request.form.get("agreement_sha256", ""), request.form.get("duration", "")
    )
    try:
        offer = wiring().extending.offer(visitor.vault, agreement_id)
        if is_sensitive(offer.before.document["attributes"]):
            if CONFIRMED not in request.form:
                problem = Problem(CONFIRMED, words.issue(Issue("", "confirm_going_on", "")))
                return _page(visitor, agreement_id, [problem], status=422)
            refusal = step_up.refusal(visitor)
            if refusal is not None:
                page = _page(visitor, agreement_id, [refusal.problem], status=refusal.status)
                return refusal.answer(page)
        wiring().extending.extend(visitor.vault, visitor.open_vault, agreement_id, extension)
    except ValidationFailedError as error:
        wrong = [Problem(each.field, words.issue(each)) for each in error.issues]
        return _page(visitor, agreement_id, wrong, status=422)
    except NoticeChangedError:
        return _page(visitor, agreement_id, is_changed=True, status=409)
    except ConflictError:
        return one_connection.back_to(agreement_id, "ended-already")
    return one_connection.back_to(agreement_id, "extended")


def _page(
    visitor: Visitor,
    agreement_id: UUID,
    problems: Iterable[Problem] = (),
    *,
    is_changed: bool = False,
    status: int = 200,
) -> Response:
    offer = wiring().extending.offer(visitor.vault, agreement_id)
    view = one_connection.of(visitor, agreement_id)
    chosen = request.values.get("duration", "")
    return pages.page(
        "sharing/extend.html",
        status,
        view=view,
        offer=offer,
        duration=chosen,
        until=None if is_changed else offer.ends.get(chosen),
        groups=clusters_of(view.attributes),
        is_sensitive=is_sensitive(view.attributes),
        confirmed=CONFIRMED in request.form,
        proofs=proofs.kinds(visitor.vault.id),
        problems=list(problems),
        is_changed=is_changed,
    )
