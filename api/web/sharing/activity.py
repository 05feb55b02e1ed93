"""What happened: the log's events of one vault, in plain words, each with its place in the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from api import evidence
from api.web import (
    guards,
    languages,
    pages,
    words,
)
from api.wiring import wiring
from consent import connections
from consent.auditing.unmasking import Asked
from consent.connections import ConnectionView, GrantView
from consent.log import reader
from consent.log.entries import grant_stream
from consent.log.opening import Opener
from consent.log.reader import LoggedEvent, Wanted
from consent.versions import Version
from consent.vocabulary import EventName
from pds.catalogue import CATALOGUE, Attribute, Collection
from pds.errors import NotFoundError
from pds.sessions import Visitor

blueprint = Blueprint("activity", __name__, url_prefix="/activity")

_PAGE_EVENTS = 20
_FILTERS = ("organisation", "kind", "since", "until")
_UNMASKINGS = (
    EventName.UNMASKING_ASKED,
    EventName.UNMASKING_REFUSED,
    EventName.UNMASKED,
    EventName.UNMASKING_TAKEN_BACK,
)
_READS = (EventName.DATA_READ, EventName.DATA_READ_DENIED)


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as its owner sees it.

    `index` is its place in the signed log; None while it waits for the next signature, which takes
    seconds. `is_erased`: its public part is gone by retention, what remains in the log is noise.
    `details` is the private part, or None while the vault is locked. `unmasking` is shown to its
    person with the reason, locked or not.
    """

    id: UUID
    name: str
    at: datetime
    reference: str
    view: ConnectionView | None
    collections: tuple[Collection, ...]
    outcome: str
    count: int
    index: int | None
    is_erased: bool
    details: Mapping[str, object] | None
    has_details: bool
    unmasking: Asked | None = None
    items: tuple[Attribute, ...] = ()  # that went out, where the version is at hand

    @property
    def is_read(self) -> bool:
        """Tell whether it is about an organisation's reading."""
        return self.name in _READS

    @property
    def records(self) -> int:
        """How many records the private part names."""
        found = (self.details or {}).get("records")
        return len(found) if isinstance(found, list) else 0


@blueprint.get("")
@guards.signed_in
def show(visitor: Visitor) -> ResponseReturnValue:
    """List the events of the vault and its grants, newest first."""
    services = wiring()
    bucket, vault_id = visitor.vault.bucket, visitor.vault.id
    with services.uow.read() as session:
        size = _signed_size(session)
        views = connections.of_vault(session, bucket, vault_id, now=services.clock.now())
        events = reader.vault_events(
            session,
            bucket,
            vault_id,
            wanted=_wanted(views),
            before=_before(),
            limit=_PAGE_EVENTS + 1,
        )
    by_grant = {grant.id: view for view in views for grant in view.grants}
    shown = events[:_PAGE_EVENTS]
    unmaskings = _unmaskings(visitor, shown)
    entries = [
        replace(_entry(visitor, event, by_grant, size), unmasking=unmaskings.get(event.at))
        for event in shown
    ]
    return pages.page(
        "sharing/activity.html",
        entries=entries,
        kinds=words.EVENT_KINDS,
        organisations={view.organisation.id: view.organisation for view in views}.values(),
        query={name: request.args[name] for name in _FILTERS if request.args.get(name)},
        waits=services.unmasking.waits_for(visitor.vault),
        following=entries[-1].id if len(events) > _PAGE_EVENTS else None,
        first=_before() is None,
        size=size,
        origin=services.settings.log_origin,
    )


@blueprint.get("/<uuid:event_id>/proof")
@guards.unlocked
def proof(visitor: Visitor, event_id: UUID) -> ResponseReturnValue:
    """Give the proof of one entry, opened for its owner, as a bundle for `pds verify`."""
    bundle = evidence.proof_for_owner(wiring(), visitor, event_id)
    response = Response(bundle, mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="proof-{event_id}.json"'
    return response


def of_grants(
    visitor: Visitor, grants: Sequence[GrantView], texts: Sequence[Version], *, limit: int
) -> list[Entry]:
    """Return the latest events of an agreement's grants, newest first (CUX-31).

    `texts` are the agreement's versions, which say what a read of a collection was of.
    """
    shared = {each.sha256: each.attributes for each in texts}
    with wiring().uow.read() as session:
        size = _signed_size(session)
        events = [
            event
            for grant in grants
            for event in reader.stream_events(
                session,
                visitor.vault.bucket,
                grant_stream(grant.id),
                first=max(grant.seq - limit + 1, 1),
            )
        ]
    events.sort(key=lambda event: event.id, reverse=True)
    return [
        replace(_entry(visitor, event, {}, size), items=tuple(_items(event, shared)))
        for event in events[:limit]
    ]


def _wanted(views: Iterable[ConnectionView]) -> Wanted:
    """Return what the page's filters mean; what cannot be read filters nothing."""
    organisation = request.args.get("organisation", "")
    kind = words.EVENT_KINDS.get(request.args.get("kind", ""))
    until = languages.local_instant(request.args.get("until", ""))
    grants = [
        grant.id
        for view in views
        for grant in view.grants
        if str(view.organisation.id) == organisation
    ]
    return Wanted(
        names=[name for name in words.EVENTS if name.startswith(kind.beginnings)] if kind else (),
        grants=grants if organisation else None,
        since=languages.local_instant(request.args.get("since", "")),
        until=until + timedelta(days=1) if until else None,
    )


def _items(event: LoggedEvent, shared: Mapping[str, Sequence[str]]) -> Iterator[Attribute]:
    public = event.opening.pub if event.opening else None
    if public is None or event.name != EventName.DATA_READ or not public.count:
        return
    for name in shared.get(public.agreement_sha256 or "", ()):
        collection, _, field = name.partition(".")
        known = CATALOGUE.collections.get(collection)
        if collection in public.collections and known and field in known.attributes:
            yield known.attributes[field]


def _unmaskings(visitor: Visitor, events: Iterable[LoggedEvent]) -> Mapping[datetime, Asked]:
    if not any(event.name in _UNMASKINGS for event in events):
        return {}
    # An event has the instant of what it tells of, to the microsecond.
    return {
        at: each
        for each in wiring().unmasking.of_vault(visitor.vault)
        for at in (each.asked_at, each.decided_at, each.taken_back_at)
        if at is not None
    }


def _entry(
    visitor: Visitor, event: LoggedEvent, by_grant: Mapping[UUID, ConnectionView], size: int
) -> Entry:
    public = event.opening.pub if event.opening else None
    signed = event.index if event.index is not None and event.index < size else None
    return Entry(
        id=event.id,
        name=event.name,
        at=event.at,
        reference=event.ref.text(),
        view=by_grant.get(event.grant_id) if event.grant_id else None,
        collections=tuple(_collections(public.collections if public else ())),
        outcome=public.outcome if public else "",
        count=public.count if public else 0,
        index=signed,
        is_erased=event.opening is None,
        details=_details(visitor, event),
        has_details=event.sealed.box is not None,
    )


def _collections(names: Iterable[str]) -> Iterable[Collection]:
    return (CATALOGUE.collections[name] for name in names if name in CATALOGUE.collections)


def _details(visitor: Visitor, event: LoggedEvent) -> Mapping[str, object] | None:
    if visitor.open_vault is None:
        return None
    opened = Opener(visitor.open_vault)(event)
    return None if opened is None else opened.priv


def _signed_size(session: Session) -> int:
    try:
        return reader.signed_tree(session).checkpoint.size
    except NotFoundError:
        return 0


def _before() -> UUID | None:
    return request.args.get("before", type=UUID)
