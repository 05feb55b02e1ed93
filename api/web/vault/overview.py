"""The vault: what it holds, and what a search finds in it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from api.web import guards, languages, pages
from api.wiring import wiring
from consent import connections
from pds.catalogue import CATALOGUE, Cluster, Collection
from pds.deleted_records import named
from pds.record_lists import Listing
from pds.records import Opened
from pds.sessions import Visitor

blueprint = Blueprint("vault", __name__, url_prefix="/vault")

MOST_CHARACTERS = 200
_MOST_FOUND = 10  # of each collection


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found in one collection: the first of it, and how many there are."""

    kind: Collection
    records: list[tuple[Opened, str]]
    total: int


@blueprint.get("")
@guards.unlocked
def overview(visitor: Visitor) -> ResponseReturnValue:
    """Show what the vault holds, by cluster; or what a search finds in it."""
    if query := asked():
        return _search_page(visitor, query)
    counts = wiring().records(visitor).counts()
    running = [
        each
        for each in wiring().imports(visitor).recent(limit=5)
        if each.state in ("mapping", "staged", "running", "undoing")
    ]
    return pages.page(
        "vault/vault.html",
        clusters=_clusters(),
        counts=counts,
        total=sum(counts.values()),
        running=running,
        shared=shared(visitor),
        deleted=named(request.args.get("deleted", "")),
    )


def asked() -> str:
    """Return the words that are searched for; empty if none are."""
    return request.args.get("q", "").strip()[:MOST_CHARACTERS]


def shared(visitor: Visitor) -> dict[str, list[connections.ConnectionView]]:
    """Return who may read something of each collection now."""
    services = wiring()
    with services.uow.read() as session:
        views = connections.of_vault(
            session, visitor.vault.bucket, visitor.vault.id, now=services.clock.now()
        )
    found: dict[str, list[connections.ConnectionView]] = {}
    for view in views:
        if view.is_current:
            for name in dict.fromkeys(each.partition(".")[0] for each in view.attributes):
                found.setdefault(name, []).append(view)
    return found


def _search_page(visitor: Visitor, query: str) -> ResponseReturnValue:
    services = wiring()
    listings = services.lists(visitor).of_all()
    places = {each.collection: each.found(query) for each in listings}
    shown = {
        each.collection: each.at(places[each.collection][::-1][:_MOST_FOUND]) for each in listings
    }
    opened = services.records(visitor).some([record for ids in shown.values() for record in ids])
    locale = languages.current()
    by_collection: dict[str, list[tuple[Opened, str]]] = {}
    for each in opened:
        title = CATALOGUE.collection(each.collection).title(each.data, locale)
        by_collection.setdefault(each.collection, []).append((each, title))
    return pages.page(
        "vault/search.html",
        query=query,
        found=[
            Found(CATALOGUE.collection(name), records, len(places[name]))
            for name, records in by_collection.items()
        ],
        total=sum(map(len, places.values())),
        progress=progress_of(listings),
    )


def progress_of(listings: list[Listing]) -> tuple[int, int] | None:
    """Return how many of how many records were looked through; None if it is all of them."""
    if all(each.is_whole for each in listings):
        return None
    return sum(each.done for each in listings), sum(each.total for each in listings)


def _clusters() -> list[tuple[Cluster, list[Collection]]]:
    return [
        (cluster, [each for each in CATALOGUE.collections.values() if each.cluster is cluster])
        for cluster in CATALOGUE.clusters.values()
    ]
