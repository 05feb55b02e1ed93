"""A record: its form, its history, and its deletion.

Forms are made from the catalogue, which names every field, its kind and its words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from api.web import (
    flashes,
    forms,
    guards,
    languages,
    pages,
)
from api.web.pages import Problem
from api.web.vault import inputs
from api.web.vault import overview as vault
from api.web.vault.provenance import Writers
from api.web.vault.record_forms import FORMS, grouped
from api.wiring import wiring
from pds.attached_files import MOST_FILES
from pds.catalogue import CATALOGUE, Cardinality, Collection, messages
from pds.catalogue.forms import read_form, write_form
from pds.errors import ConflictError, NotFoundError, ValidationFailedError
from pds.record_boxes import Data
from pds.records import Draft, Opened
from pds.sealed_files import RETURNABLE
from pds.sessions import Visitor

blueprint = Blueprint("records", __name__, url_prefix="/vault")

_MOST_VERSIONS, _EVERY_VERSION = 20, 1_000


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
    writer: str  # empty where nobody kept it
    rows: list[Row]


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
        made = wiring().records(visitor).save(Draft(name, data))
    except ValidationFailedError as error:
        return _form_page(kind, request.form, 422, *_problems(kind, error))
    except ConflictError:
        # Another tab made the one record of this collection meanwhile: show that one.
        return guards.see_other(f"/vault/{name}")
    flashes.put("saved")
    # Whoever files a document has a scan of it at hand: its page takes that next.
    files = f"/vault/{name}/{made.id}#files"
    return guards.see_other(forms.next_path(files if name == "documents" else f"/vault/{name}"))


@blueprint.get("/<name>/<uuid:record_id>")
@guards.unlocked
def record(visitor: Visitor, name: str, record_id: UUID) -> ResponseReturnValue:
    """Show a record in its form, with its history."""
    return shown(visitor, find(visitor, name, record_id))


@blueprint.post("/<name>/<uuid:record_id>")
@guards.unlocked
def change(visitor: Visitor, name: str, record_id: UUID) -> ResponseReturnValue:
    """Change a record; whoever changed it first is shown beside what was typed."""
    kind = CATALOGUE.collection(name)
    found = find(visitor, name, record_id)
    seen = request.form.get("version", 0, type=int)
    try:
        typed = kind.validate(read_form(kind, request.form) | _kept(kind, found))
        wiring().records(visitor).save(Draft(name, typed, found.id, seen))
    except ValidationFailedError as error:
        return _record_page(visitor, found, request.form, 422, *_problems(kind, error))
    except ConflictError:
        now = find(visitor, name, record_id)
        return _record_page(visitor, now, request.form, 409, conflict=_rows(kind, now.data))
    flashes.put("saved")
    many = kind.cardinality is Cardinality.MANY
    place = f"/vault/{name}" if many else f"/vault/{name}/{record_id}"
    return guards.see_other(forms.next_path(place))


@blueprint.post("/<name>/<uuid:record_id>/restore")
@guards.unlocked
def restore(visitor: Visitor, name: str, record_id: UUID) -> ResponseReturnValue:
    """Write an older version anew; what stands now goes to the history."""
    find(visitor, name, record_id)
    version, older = (request.form.get(each, 0, type=int) for each in ("version", "older"))
    try:
        wiring().records(visitor).restore(record_id, version=version, older=older)
    except ConflictError:
        flashes.put("changed-meanwhile-shown")
    else:
        flashes.put("older-restored")
    return guards.see_other(f"/vault/{name}/{record_id}")


@blueprint.get("/<name>/<uuid:record_id>/delete")
@guards.unlocked
def delete_form(visitor: Visitor, name: str, record_id: UUID) -> ResponseReturnValue:
    """Ask once more, and say who is told."""
    found = find(visitor, name, record_id)
    kind = CATALOGUE.collection(name)
    return pages.page(
        "vault/delete.html",
        kind=kind,
        record=found,
        title=kind.title(found.data, languages.current()),
        rows=_rows(kind, found.data),
        file_days=RETURNABLE.days,
        shared=vault.shared(visitor).get(name, []),
    )


@blueprint.post("/<name>/<uuid:record_id>/delete")
@guards.unlocked
def delete(visitor: Visitor, name: str, record_id: UUID) -> ResponseReturnValue:
    """Delete a record; one that has changed meanwhile is shown again first."""
    find(visitor, name, record_id)
    version = request.form.get("version", 0, type=int)
    try:
        gone = wiring().records(visitor).delete(record_id, version=version)
    except ConflictError:
        return guards.see_other(f"/vault/{name}/{record_id}/delete")
    one = CATALOGUE.collection(name).cardinality is Cardinality.ONE
    place = "/vault" if one else f"/vault/{name}"
    return guards.see_other(f"{place}?deleted={gone.seq}-{gone.seq}")


def _form_page(
    kind: Collection, texts: Mapping[str, str], status: int = 200, *problems: Problem
) -> Response:
    return pages.page(
        "vault/record.html",
        status,
        kind=kind,
        form=FORMS.get(kind.name),
        groups=grouped(kind.name, inputs.of(kind, texts, problems, languages.current())),
        record=None,
        requirement=messages.requirement(kind, languages.current()),
        problems=problems,
        next=forms.next_path(""),
    )


def shown(visitor: Visitor, found: Opened, status: int = 200, *problems: Problem) -> Response:
    """Show a record as it stands."""
    texts = write_form(CATALOGUE.collection(found.collection), found.data, languages.current())
    return _record_page(visitor, found, texts, status, *problems)


def _record_page(
    visitor: Visitor,
    found: Opened,
    texts: Mapping[str, str],
    status: int = 200,
    *problems: Problem,
    conflict: list[Row] | None = None,
) -> Response:
    kind = CATALOGUE.collection(found.collection)
    most = _EVERY_VERSION if request.args.get("history") == "all" else _MOST_VERSIONS
    versions = wiring().records(visitor).history(found.id, limit=most)
    writers = Writers.of([found, *versions])
    return pages.page(
        "vault/record.html",
        status,
        kind=kind,
        form=FORMS.get(kind.name),
        groups=grouped(kind.name, inputs.of(kind, texts, problems, languages.current())),
        record=found,
        title=kind.title(found.data, languages.current()),
        writer=writers.told(found.author, found.source),
        versions=[
            Version(
                each.version,
                each.changed_at,
                writers.told(each.author, each.source),
                _rows(kind, each.data),
            )
            for each in versions
        ],
        has_more=bool(versions) and len(versions) == most and versions[-1].version > 1,
        shared=vault.shared(visitor).get(kind.name, []),
        conflict=conflict,
        most_files=MOST_FILES,
        most=wiring().settings.vault.max_attachment_bytes // languages.MEGABYTE,
        problems=problems,
        next=forms.next_path(""),
    )


def find(visitor: Visitor, name: str, record_id: UUID) -> Opened:
    """Return a record of a collection.

    Raises:
        NotFoundError: there is none of that id in it.
    """
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
