"""The vault: overview, search, and the records of each collection, with forms of their own.

Forms are made from the catalogue, which names every field, its kind and its words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api.web import flashes, forms, guards, inputs, languages, pages
from api.web.pages import Problem
from api.wiring import wiring
from consent import connections
from pds.catalogue import CATALOGUE, Cardinality, Cluster, Collection
from pds.catalogue.describing import display
from pds.catalogue.forms import read_form, write_form
from pds.errors import ConflictError, NotFoundError, ValidationFailedError
from pds.records import Data, Draft, Opened
from pds.sessions import Visitor
from pds.text import matches

blueprint = Blueprint("vault", __name__, url_prefix="/vault")

_PAGE_RECORDS = 25
_MOST_FOUND = 50
_MOST_VERSIONS = 20


@dataclass(frozen=True, slots=True)
class Row:
    """A field of a record in the reader's words."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Version:
    """A superseded version of a record."""

    number: int
    changed_at: datetime
    rows: list[Row]


@blueprint.get("")
@guards.unlocked
def overview(visitor: Visitor) -> ResponseReturnValue:
    """Show what the vault holds, by cluster; or what a search finds in it."""
    query = request.args.get("q", "").strip()
    if query:
        found = list(_search(visitor, query))
        return pages.page("search.html", query=query, found=found, most=_MOST_FOUND)
    counts = wiring().records(visitor).counts()
    running = [
        each
        for each in wiring().imports(visitor).recent(limit=5)
        if each.state in ("mapping", "staged", "running", "undoing")
    ]
    return pages.page(
        "vault.html",
        clusters=_clusters(),
        counts=counts,
        total=sum(counts.values()),
        running=running,
        shared=_shared(visitor),
    )


@blueprint.get("/<name>")
@guards.unlocked
def collection(visitor: Visitor, name: str) -> ResponseReturnValue:
    """List the records of a collection; of one that has only one, show that."""
    kind = CATALOGUE.collection(name)
    after = request.args.get("after", 0, type=int)
    records, following = wiring().records(visitor).page(name, after=after, limit=_PAGE_RECORDS)
    if kind.cardinality is Cardinality.ONE and records:
        return guards.see_other(f"/vault/{name}/{records[0].id}")
    return pages.page(
        "collection.html",
        kind=kind,
        records=[(each, kind.title(each.data, languages.current())) for each in records],
        following=following,
        after=after,
        shared=_shared(visitor).get(name, []),
    )


@blueprint.get("/<name>/new")
@guards.unlocked
def new_form(_visitor: Visitor, name: str) -> ResponseReturnValue:
    """Offer the form of a new record."""
    return _form_page(CATALOGUE.collection(name), {})


@blueprint.post("/<name>/new")
@guards.unlocked
def new(visitor: Visitor, name: str) -> ResponseReturnValue:
    """Make a record."""
    kind = CATALOGUE.collection(name)
    try:
        data = kind.validate(read_form(kind, request.form))
        wiring().records(visitor).save(Draft(name, data))
    except ValidationFailedError as error:
        return _form_page(kind, request.form, 422, *_problems(kind, error))
    except ConflictError:
        # Another tab made the one record of this collection meanwhile: show that one.
        return guards.see_other(f"/vault/{name}")
    flashes.put("saved")
    return guards.see_other(forms.next_path(f"/vault/{name}"))


@blueprint.get("/<name>/<uuid:record_id>")
@guards.unlocked
def record(visitor: Visitor, name: str, record_id: UUID) -> ResponseReturnValue:
    """Show a record in its form, with its history."""
    found = _record(visitor, name, record_id)
    kind = CATALOGUE.collection(name)
    return _record_page(visitor, found, write_form(kind, found.data, languages.current()))


@blueprint.post("/<name>/<uuid:record_id>")
@guards.unlocked
def change(visitor: Visitor, name: str, record_id: UUID) -> ResponseReturnValue:
    """Change a record; whoever changed it first is shown beside what was typed."""
    kind = CATALOGUE.collection(name)
    found = _record(visitor, name, record_id)
    seen = request.form.get("version", 0, type=int)
    try:
        typed = kind.validate(read_form(kind, request.form) | _kept(kind, found))
        wiring().records(visitor).save(Draft(name, typed, found.id, seen))
    except ValidationFailedError as error:
        return _record_page(visitor, found, request.form, 422, *_problems(kind, error))
    except ConflictError:
        now = _record(visitor, name, record_id)
        return _record_page(visitor, now, request.form, 409, conflict=_rows(kind, now.data))
    flashes.put("saved")
    many = kind.cardinality is Cardinality.MANY
    place = f"/vault/{name}" if many else f"/vault/{name}/{record_id}"
    return guards.see_other(forms.next_path(place))


@blueprint.get("/<name>/<uuid:record_id>/delete")
@guards.unlocked
def delete_form(visitor: Visitor, name: str, record_id: UUID) -> ResponseReturnValue:
    """Ask once more: a deletion cannot be undone."""
    found = _record(visitor, name, record_id)
    kind = CATALOGUE.collection(name)
    return pages.page(
        "delete.html",
        kind=kind,
        record=found,
        title=kind.title(found.data, languages.current()),
        rows=_rows(kind, found.data),
        shared=_shared(visitor).get(name, []),
    )


@blueprint.post("/<name>/<uuid:record_id>/delete")
@guards.unlocked
def delete(visitor: Visitor, name: str, record_id: UUID) -> ResponseReturnValue:
    """Delete a record; one that has changed meanwhile is shown again first."""
    _record(visitor, name, record_id)
    version = request.form.get("version", 0, type=int)
    try:
        wiring().records(visitor).delete(record_id, version=version)
    except ConflictError:
        return guards.see_other(f"/vault/{name}/{record_id}/delete")
    flashes.put("deleted")
    one = CATALOGUE.collection(name).cardinality is Cardinality.ONE
    return guards.see_other("/vault" if one else f"/vault/{name}")


def _form_page(
    kind: Collection, texts: Mapping[str, str], status: int = 200, *problems: Problem
) -> Response:
    return pages.page(
        "record.html",
        status,
        kind=kind,
        inputs=inputs.of(kind, texts, problems, languages.current()),
        record=None,
        next=forms.next_path(""),
        problems=problems,
    )


def _record_page(
    visitor: Visitor,
    found: Opened,
    texts: Mapping[str, str],
    status: int = 200,
    *problems: Problem,
    conflict: list[Row] | None = None,
) -> Response:
    kind = CATALOGUE.collection(found.collection)
    versions = wiring().records(visitor).history(found.id)[:_MOST_VERSIONS]
    return pages.page(
        "record.html",
        status,
        kind=kind,
        inputs=inputs.of(kind, texts, problems, languages.current()),
        record=found,
        title=kind.title(found.data, languages.current()),
        versions=[Version(number, at, _rows(kind, data)) for number, at, data in versions],
        shared=_shared(visitor).get(kind.name, []),
        conflict=conflict,
        next=forms.next_path(""),
        problems=problems,
    )


def _record(visitor: Visitor, name: str, record_id: UUID) -> Opened:
    found = wiring().records(visitor).get(record_id)
    if found.collection != name:
        raise NotFoundError
    return found


def _kept(kind: Collection, found: Opened) -> Data:
    """Return what a form does not show and so must not lose: fields that only the vault sets."""
    return {
        name: found.data[name]
        for name, field in kind.fields.items()
        if not field.editable and name in found.data
    }


def _rows(kind: Collection, data: Data) -> list[Row]:
    locale = languages.current()
    return [
        Row(field.label.text(locale), inputs.shown(field, data[name], locale))
        for name, field in kind.fields.items()
        if name in data
    ]


def _problems(kind: Collection, error: ValidationFailedError) -> list[Problem]:
    locale = languages.current()
    return [
        Problem(each.field, CATALOGUE.message(kind.name, each, locale)) for each in error.issues
    ]


def _clusters() -> list[tuple[Cluster, list[Collection]]]:
    return [
        (cluster, [each for each in CATALOGUE.collections.values() if each.cluster is cluster])
        for cluster in CATALOGUE.clusters.values()
    ]


def _shared(visitor: Visitor) -> dict[str, list[connections.ConnectionView]]:
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


def _search(visitor: Visitor, query: str) -> Iterator[tuple[Opened, Collection, str]]:
    """Yield the records that hold every word of a query, however it was typed (UI-12)."""
    locale, left = languages.current(), _MOST_FOUND
    for found in wiring().records(visitor).all(CATALOGUE.collections):
        kind = CATALOGUE.collection(found.collection)
        texts = [
            display(field, found.data[name], locale)
            for name, field in kind.fields.items()
            if name in found.data
        ]
        if left and matches(query, " ".join(texts)):
            left -= 1
            yield found, kind, kind.title(found.data, locale)
