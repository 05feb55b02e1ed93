"""The records of a collection: in an order, searched, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from api.web import guards, languages, pages
from api.web.vault import overview as vault
from api.web.vault.provenance import Writers
from api.wiring import wiring
from pds.catalogue import CATALOGUE, Cardinality
from pds.deleted_records import named
from pds.record_lists import Listing, Order, shape
from pds.records import Opened
from pds.sessions import Visitor
from pds.text import first_letter

blueprint = Blueprint("collections", __name__, url_prefix="/vault")

PAGE_RECORDS = 25
# Collections that are shown otherwise than as rows.
_SHOWN = {
    "life_events": "vault/_timeline.html",
    "address_book": "vault/_people.html",
    "intentions": "vault/_intentions.html",
}


@dataclass(frozen=True, slots=True)
class Pager:
    """Where one is in a list: page `number` of `last`; the rest of the address stays as it is."""

    path: str
    kept: tuple[tuple[str, str], ...]
    number: int
    last: int

    def to(self, number: int) -> str:
        """Return the address of a page."""
        pairs = [*self.kept, *([("page", str(number))] if number > 1 else [])]
        return f"{self.path}?{urlencode(pairs)}" if pairs else self.path


@dataclass(frozen=True, slots=True)
class Row:
    """A record in a list: its title, and who wrote it if it was not simply its owner."""

    record: Opened
    title: str
    writer: str


@blueprint.get("/<name>")
@guards.unlocked
def show(visitor: Visitor, name: str) -> ResponseReturnValue:
    """List the records of a collection; of one that has only one, show that."""
    kind = CATALOGUE.collection(name)
    services, query = wiring(), vault.asked()
    if kind.cardinality is Cardinality.ONE:
        found = services.records(visitor).latest(name, limit=1)
        if found:
            return guards.see_other(f"/vault/{name}/{found[0].id}")
    orders = shape(kind).orders
    order = next((each for each in orders if each == request.args.get("order")), orders[0])
    listing = services.lists(visitor).of(name, with_texts=bool(query))
    places = listing.found(query)
    number = _page(len(places))
    # A list that is not looked through to its end is shown by its latest changes meanwhile.
    ids = listing.at(_cut(listing, order if listing.is_whole else Order.CHANGED, places, number))
    records = services.records(visitor).some(ids)
    locale, writers = languages.current(), Writers.of(records)
    kept = [("q", query), ("order", order if order is not orders[0] else "")]
    return pages.page(
        "vault/collection.html",
        kind=kind,
        rows=[
            Row(
                each,
                kind.title(each.data, locale),
                writers.told(each.author, each.source)
                if each.author.id or (each.source and each.source.kind == "import")
                else "",
            )
            for each in records
        ],
        shown=_SHOWN.get(name, "vault/_rows.html"),
        today=services.today().isoformat(),
        letters=_letters(listing, places) if order is Order.TITLE and not query else [],
        total=len(places),
        query=query,
        orders=orders,
        order=order,
        pager=Pager(
            f"/vault/{name}",
            tuple((key, text) for key, text in kept if text),
            number,
            _pages(len(places)),
        ),
        progress=vault.progress_of([listing]),
        shared=vault.shared(visitor).get(name, []),
        deleted=named(request.args.get("deleted", "")),
    )


def _cut(listing: Listing, order: Order, places: Sequence[int], number: int) -> Sequence[int]:
    start = (number - 1) * PAGE_RECORDS
    return listing.ordered(order, places)[start : start + PAGE_RECORDS]


def _letters(listing: Listing, places: Sequence[int]) -> list[tuple[str, int]]:
    """Return the letters that titles begin with, each with the page where it first stands."""
    first: dict[str, int] = {}
    for position, place in enumerate(listing.ordered(Order.TITLE, places)):
        letter = first_letter(listing.titles[place])
        if letter:
            first.setdefault(letter, position // PAGE_RECORDS + 1)
    return list(first.items()) if len(places) > PAGE_RECORDS else []


def _page(total: int) -> int:
    asked = request.args.get("page", 1, type=int)
    return min(max(asked, 1), _pages(total))


def _pages(total: int) -> int:
    return max(1, -(-total // PAGE_RECORDS))
