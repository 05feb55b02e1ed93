"""Acting on several records of a collection at once: those selected, or all that a search finds.

What is to be deleted is shown first. Much of it goes in slices of one log entry each (P-35): the
page says how far it came, and goes on by a button; htmx presses it by itself.
"""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from api.web import (
    flashes,
    guards,
    languages,
    pages,
)
from api.web.vault import overview as vault
from api.wiring import wiring
from pds.catalogue import CATALOGUE, Cardinality, Collection
from pds.errors import ConflictError, NotFoundError
from pds.records import BATCH_RECORDS
from pds.sealed_files import RETURNABLE
from pds.sessions import Visitor

blueprint = Blueprint("bulk", __name__, url_prefix="/vault/<name>/delete")

_MOST_SELECTED = 100
_MOST_SHOWN = 10
_MOST_NUMBER = 2**62  # what a store's integers hold


@blueprint.post("")
@guards.unlocked
def ask(visitor: Visitor, name: str) -> ResponseReturnValue:
    """Show what would be deleted, and who would be told; nothing is deleted yet."""
    kind = _several(name)
    services, locale = wiring(), languages.current()
    query = request.form.get("q", "").strip()[: vault.MOST_CHARACTERS]
    is_all = request.form.get("what") == "all"
    # Before anything is looked at: what is written meanwhile is not shown, so it must not go.
    through = services.records(visitor).sequence()
    if is_all:
        listing = services.lists(visitor).of(name, with_texts=bool(query))
        places = listing.found(query)
        ids, total = listing.at(places[::-1][:_MOST_SHOWN]), len(places)
    else:
        ids = [
            found for each in request.form.getlist("id")[:_MOST_SELECTED] if (found := _id(each))
        ]
        total = len(ids)
    records = services.records(visitor).some(ids)
    if not records:
        flashes.put("nothing-selected")
        return guards.see_other(f"/vault/{name}")
    return pages.page(
        "vault/delete_several.html",
        here=f"/vault/{name}",
        kind=kind,
        query=query,
        is_all=is_all,
        records=[(each, kind.title(each.data, locale)) for each in records],
        total=total if is_all else len(records),
        through=through,
        file_days=RETURNABLE.days,
        shared=vault.shared(visitor).get(name, []),
    )


@blueprint.post("/selected")
@guards.unlocked
def selected(visitor: Visitor, name: str) -> ResponseReturnValue:
    """Delete what was shown, as it was shown."""
    _several(name)
    versions: dict[UUID, int] = {}
    for each in request.form.getlist("record")[:_MOST_SELECTED]:
        text, _, version = each.partition(" ")
        if (record_id := _id(text)) and version.isdecimal():
            versions[record_id] = int(version)
    try:
        gone = wiring().records(visitor).delete_all(name, versions)
    except (ConflictError, NotFoundError):
        gone = []
    if not gone:
        flashes.put("changed-meanwhile")
        return guards.see_other(f"/vault/{name}")
    return guards.see_other(f"/vault/{name}?deleted={gone[0].seq}-{gone[-1].seq}")


@blueprint.post("/found")
@guards.unlocked
def found(visitor: Visitor, name: str) -> ResponseReturnValue:
    """Delete a slice of all that is found, but for what was written after the question."""
    kind = _several(name)
    services = wiring()
    records = services.records(visitor)
    query = request.form.get("q", "").strip()[: vault.MOST_CHARACTERS]
    through, first, last, done = (
        min(request.form.get(each, 0, type=int), _MOST_NUMBER)
        for each in ("through", "first", "last", "done")
    )
    listing = services.lists(visitor).of(name, with_texts=bool(query))
    places = listing.found(query)
    versions = records.versions(name, listing.at(places[:BATCH_RECORDS]), through=through)
    if versions:
        try:
            gone = records.delete_all(name, versions)
        except ConflictError:
            flashes.put("changed-meanwhile")
            return guards.see_other(_undoable(name, first, last))
        first, last = first or gone[0].seq, gone[-1].seq
        done += len(gone)
    left = len(places) - len(versions)
    # What was written after the question comes last: a slice that is not full is the last one.
    if len(versions) == BATCH_RECORDS and left:
        return pages.page(
            "vault/slices.html",
            here=f"/vault/{name}",
            heading=kind.plural.text(languages.current()),
            text=gettext(
                "Deleted %(done)s of %(total)s.",
                done=languages.number(done),
                total=languages.number(done + left),
            ),
            done=done,
            total=done + left,
            action=request.path,
            kept={"q": query, "through": through, "first": first, "last": last, "done": done},
            stop=_undoable(name, first, last),
        )
    return guards.see_other(_undoable(name, first, last))


def _undoable(name: str, first: int, last: int) -> str:
    """Return where the list offers to undo what went, if anything did."""
    return f"/vault/{name}?deleted={first}-{last}" if first else f"/vault/{name}"


def _several(name: str) -> Collection:
    kind = CATALOGUE.collection(name)
    if kind.cardinality is Cardinality.ONE:
        raise NotFoundError
    return kind


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
