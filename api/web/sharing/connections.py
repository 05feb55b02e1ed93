"""Connections: who may read what, until when; what they did with it; how to pause and stop it.

None of this needs an unlocked vault: whoever is locked out can still stop sharing (TAK-41).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from uuid import UUID

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from api.web import (
    flashes,
    guards,
    languages,
    pages,
)
from api.web.clusters import clusters_of, is_known
from api.web.sharing import activity, agreement_history, one_connection
from api.wiring import wiring
from consent import complaints, connections, grants, past, receipts, versions
from consent.connections import ClosedView, ConnectionView, OrganisationView
from pds.catalogue import CATALOGUE, Attribute, Coarsening
from pds.errors import ConflictError
from pds.sessions import Visitor
from pds.text import matches

blueprint = Blueprint("connections", __name__, url_prefix="/connections")

_PAGE = 20
_MOST_EVENTS = 100
_ORDERS: dict[str, Callable[[ConnectionView], tuple[float, ...]]] = {
    "newest": lambda view: (-view.granted_at.timestamp(),),
    "expiry": lambda view: (view.expires_at.timestamp(),),
    "last-access": lambda view: (-(view.last_read_at or view.granted_at).timestamp(),),
}


@blueprint.get("")
@guards.signed_in
def current(visitor: Visitor) -> ResponseReturnValue:
    """List the connections through which something may be read (CUX-27)."""
    now = wiring().clock.now()
    views = [view for view in _views(visitor, now) if view.is_current]
    found = _filtered(views)
    return pages.page(
        "sharing/connections.html",
        tab="current",
        total=len(views),
        organisations=_organisations(views),
        unused=sum(view.is_unused(now) for view in views),
        now=now,
        clusters=CATALOGUE.clusters.values(),
        orders=tuple(_ORDERS),
        clusters_of=clusters_of,
        closed=[],
        **_paged(found),
    )


@blueprint.get("/history")
@guards.signed_in
def history(visitor: Visitor) -> ResponseReturnValue:
    """List what has ended or was refused."""
    services = wiring()
    now = services.clock.now()
    views = [view for view in _views(visitor, now) if not view.is_current]
    with services.uow.read() as session:
        closed = connections.closed(session, visitor.vault.bucket, visitor.vault.id)
    found = _filtered(views)
    return pages.page(
        "sharing/connections.html",
        tab="history",
        total=len(views) + len(closed),
        organisations=_organisations([*views, *closed]),
        unused=0,
        now=now,
        clusters=CATALOGUE.clusters.values(),
        orders=tuple(_ORDERS),
        clusters_of=clusters_of,
        closed=_filtered_closed(closed),
        **_paged(found),
    )


@blueprint.get("/then")
@guards.signed_in
def then(visitor: Visitor) -> ResponseReturnValue:
    """Show what was allowed at an instant, by the consents as they were recorded (LEAD-13)."""
    services = wiring()
    now = services.clock.now()
    at = languages.local_instant(request.args.get("at", "")) or now
    with services.uow.read() as session:
        found = past.of_vault(session, visitor.vault.bucket, visitor.vault.id, at=at)
    views = {view.agreement_id: view for view in _views(visitor, now)}
    return pages.page(
        "sharing/then.html",
        at=at,
        found=[(each, views[each.agreement_id]) for each in found],
        clusters_of=clusters_of,
        local=languages.local_input(at),
    )


@blueprint.get("/<uuid:agreement_id>")
@guards.signed_in
def connection(visitor: Visitor, agreement_id: UUID) -> ResponseReturnValue:
    """Show one agreement: what is shared, receipts, every access (CUX-31)."""
    services = wiring()
    now = services.clock.now()
    view = one_connection.of(visitor, agreement_id)
    with services.uow.read() as session:
        texts = versions.of_agreement(session, visitor.vault.bucket, agreement_id)
        issued = receipts.of_agreement(session, visitor.vault.bucket, agreement_id)
        complained = complaints.of_grants(
            session, visitor.vault.bucket, visitor.vault.id, [each.id for each in view.grants]
        )
        terms = (
            grants.terms_of(session, visitor.open_vault, agreement_id)
            if visitor.open_vault is not None and view.is_invited
            else None
        )
    entries = activity.of_grants(visitor, view.grants, texts, limit=_MOST_EVENTS)
    return pages.page(
        "sharing/connection.html",
        view=view,
        reference=terms.reference if terms else None,
        now=now,
        groups=clusters_of(view.attributes),
        denied=clusters_of(view.denied),
        coarse=_coarse(view),
        partial=[
            (CATALOGUE.collection(name), which["which"], len(which.get("records", ())))
            for name, which in view.instances.items()
        ],
        receipts=issued,
        complaints=complained,
        entries=entries,
        changes=agreement_history.changes(texts),
        reads=agreement_history.reads(entries),
        most_events=_MOST_EVENTS,
        ranges=[(CATALOGUE.collection(name), start) for name, start in view.data_from.items()],
    )


@blueprint.get("/<uuid:agreement_id>/stop")
@guards.signed_in
def stop_form(visitor: Visitor, agreement_id: UUID) -> ResponseReturnValue:
    """Say what stopping means, and ask once: the second of two steps (CUX-35, CUX-37)."""
    view = one_connection.of(visitor, agreement_id)
    if not view.is_current:
        return guards.see_other(f"/connections/{agreement_id}")
    return pages.page("sharing/stop.html", view=view, groups=clusters_of(view.attributes))


@blueprint.post("/<uuid:agreement_id>/stop")
@guards.signed_in
def stop(visitor: Visitor, agreement_id: UUID) -> ResponseReturnValue:
    """Stop sharing; it has stopped when this answers (CUX-39)."""
    if "confirm" not in request.form:
        return guards.see_other(f"/connections/{agreement_id}/stop")
    wiring().endings.withdraw(
        visitor.vault, agreement_id, request_deletion="request_deletion" in request.form
    )
    return one_connection.back_to(agreement_id, "stopped")


@blueprint.post("/<uuid:agreement_id>/pause")
@guards.signed_in
def pause(visitor: Visitor, agreement_id: UUID) -> ResponseReturnValue:
    """Let sharing rest, at once: it takes nothing away that one click does not bring back."""
    try:
        wiring().pauses.pause(visitor.vault, agreement_id)
    except ConflictError:
        return one_connection.back_to(agreement_id, "ended-already")
    return one_connection.back_to(agreement_id, "paused")


@blueprint.get("/<uuid:agreement_id>/resume")
@guards.signed_in
def resume_form(visitor: Visitor, agreement_id: UUID) -> ResponseReturnValue:
    """Say what may be read again, and ask once: resuming opens data."""
    view = one_connection.of(visitor, agreement_id)
    if not view.is_paused:
        return guards.see_other(f"/connections/{agreement_id}")
    return pages.page("sharing/resume.html", view=view, groups=clusters_of(view.attributes))


@blueprint.post("/<uuid:agreement_id>/resume")
@guards.signed_in
def resume(visitor: Visitor, agreement_id: UUID) -> ResponseReturnValue:
    """Go on sharing after a pause."""
    if "confirm" not in request.form:
        return guards.see_other(f"/connections/{agreement_id}/resume")
    try:
        wiring().pauses.resume(visitor.vault, agreement_id)
    except ConflictError:
        return one_connection.back_to(agreement_id, "ended-already")
    return one_connection.back_to(agreement_id, "resumed")


@blueprint.get("/stop-all")
@guards.signed_in
def stop_all_form(visitor: Visitor) -> ResponseReturnValue:
    """List everything that would stop, and ask once (CUX-44); or what nobody uses (CUX-32)."""
    views = _meant(visitor)
    if not views:
        return guards.see_other("/connections")
    return pages.page(
        "sharing/stop_all.html",
        views=views,
        clusters_of=clusters_of,
        only_unused="unused" in request.args,
    )


@blueprint.post("/stop-all")
@guards.signed_in
def stop_all(visitor: Visitor) -> ResponseReturnValue:
    """Stop all sharing, one agreement after the other; each stop is a decision of its own."""
    services = wiring()
    if "confirm" not in request.form:
        return guards.see_other("/connections/stop-all")
    for view in _meant(visitor):
        services.endings.withdraw(
            visitor.vault,
            view.agreement_id,
            request_deletion="request_deletion" in request.form,
        )
    flashes.put("stopped-all")
    return guards.see_other("/connections/history")


def _meant(visitor: Visitor) -> list[ConnectionView]:
    """Return what is to be stopped together: all that is current, or what of it is unused."""
    now = wiring().clock.now()
    current = [view for view in _views(visitor, now) if view.is_current]
    if "unused" in request.values:
        return [view for view in current if view.is_unused(now)]
    return current


def _organisations(views: Iterable[ConnectionView | ClosedView]) -> list[OrganisationView]:
    return list({view.organisation.id: view.organisation for view in views}.values())


def _coarse(view: ConnectionView) -> list[tuple[Attribute, Coarsening]]:
    known = [CATALOGUE.attribute(name) for name in view.coarsenings if is_known(name)]
    return [(each, each.coarsenings[view.coarsenings[each.qualified_name]]) for each in known]


def _views(visitor: Visitor, now: datetime) -> list[ConnectionView]:
    with wiring().uow.read() as session:
        return connections.of_vault(session, visitor.vault.bucket, visitor.vault.id, now=now)


def _filtered(views: Iterable[ConnectionView]) -> list[ConnectionView]:
    query, state = request.args.get("q", ""), request.args.get("state", "")
    cluster, organisation = request.args.get("cluster", ""), request.args.get("organisation", "")
    found = [
        view
        for view in views
        if _speaks_of(query, view)
        and (not state or view.state == state)
        and (not organisation or str(view.organisation.id) == organisation)
        and (not cluster or cluster in {each.name for each, _ in clusters_of(view.attributes)})
    ]
    order = _ORDERS.get(request.args.get("order", ""), _ORDERS["newest"])
    return sorted(found, key=order)


def _filtered_closed(views: Iterable[ClosedView]) -> list[ClosedView]:
    query, state = request.args.get("q", ""), request.args.get("state", "")
    organisation = request.args.get("organisation", "")
    if request.args.get("cluster"):
        return []
    return [
        view
        for view in views
        if state in ("", view.state)
        and organisation in ("", str(view.organisation.id))
        and _speaks_of(query, view)
    ]


def _speaks_of(query: str, view: ConnectionView | ClosedView) -> bool:
    words = (view.organisation.name, view.title, view.purpose_text)
    return matches(query, " ".join(f"{each.az} {each.en}" for each in words))


def _paged(found: list[ConnectionView]) -> dict[str, object]:
    start = max(request.args.get("from", 0, type=int), 0)
    return {
        "views": found[start : start + _PAGE],
        "before": max(start - _PAGE, 0) if start else None,
        "following": start + _PAGE if len(found) > start + _PAGE else None,
        "locale_code": languages.current(),
        "query": {
            name: request.args[name]
            for name in ("q", "organisation", "state", "cluster", "order")
            if request.args.get(name)
        },
    }
