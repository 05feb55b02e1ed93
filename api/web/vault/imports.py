"""Importing a file: choosing it, and watching it become records, batch by batch."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, g, request
from flask.typing import ResponseReturnValue

from api.web import (
    flashes,
    guards,
    languages,
    pages,
    words,
)
from api.web.pages import Problem
from api.web.uploads import ImportUpload, SealedUpload
from api.web.vault import columns
from api.wiring import wiring
from pds.catalogue import CATALOGUE, Collection
from pds.errors import Issue, LimitExceededError, ValidationFailedError
from pds.importing import FORMATS, HEAD_BYTES, detect, file_message
from pds.imports import ImportService, Progress
from pds.sessions import Visitor

blueprint = Blueprint("imports", __name__, url_prefix="/imports")

_MOST_NOTES = 200
_MEGABYTE = 1_048_576
_RUNNING = ("running", "undoing")


@blueprint.get("")
@guards.unlocked
def choose(visitor: Visitor) -> ResponseReturnValue:
    """Offer to import a file, and list what was imported lately."""
    return _choose_page(visitor)


@blueprint.post("")
@guards.unlocked
def upload(visitor: Visitor) -> ResponseReturnValue:
    """Read a file and keep what it holds, sealed, until it is imported (P-20)."""
    given = request.files.get("file")
    upload: ImportUpload | None = g.get("upload")
    if given is None or upload is None or upload.is_empty:
        return _choose_page(visitor, 422, _problem("file_missing"))
    if upload.archive is not None:
        return _take_archive(visitor, upload.archive)
    return _take(visitor, given.filename or "", upload)


def _take(visitor: Visitor, name: str, upload: ImportUpload) -> ResponseReturnValue:
    """Stage a file of another program."""
    if upload.is_too_large:
        return _choose_page(visitor, 413, _too_large())
    content = upload.content()
    found = detect(name, content[:HEAD_BYTES])
    if found is None:
        return _choose_page(visitor, 422, _problem("format_unknown"))
    imports = wiring().imports(visitor)
    try:
        if found.needs_mapping:
            import_id = imports.tables.hold(content)
        else:
            import_id = imports.stage(found.name, content, own_card="own_card" in request.form)
    except ValidationFailedError as error:
        text = file_message(error.issues[0], languages.current())
        return _choose_page(visitor, 422, Problem("file", text))
    except LimitExceededError:
        return _choose_page(visitor, 413, _too_large())
    return guards.see_other(f"/imports/{import_id}")


def _take_archive(visitor: Visitor, archive: SealedUpload) -> ResponseReturnValue:
    """Stage an archive of a store elsewhere, which is sealed already."""
    services = wiring()
    try:
        import_id = services.imports(visitor).archives.stage(archive.finish().id)
    except ValidationFailedError as error:
        text = file_message(error.issues[0], languages.current())
        return _choose_page(visitor, 422, Problem("file", text))
    except LimitExceededError:
        most = services.settings.vault.max_files_bytes // languages.MEGABYTE
        found = Issue("file", "archive_too_large", "", {"most": most})
        return _choose_page(visitor, 413, Problem("file", words.issue(found)))
    return guards.see_other(f"/imports/{import_id}")


@blueprint.get("/<uuid:import_id>")
@guards.unlocked
def progress(visitor: Visitor, import_id: UUID) -> ResponseReturnValue:
    """Show how far an import is; of one that has not begun, what it holds."""
    imports = wiring().imports(visitor)
    done = imports.progress(import_id)
    if done.state == "mapping":
        return columns.page(imports, import_id)
    return _progress_page(imports, done)


@blueprint.post("/<uuid:import_id>/columns")
@guards.unlocked
def columns_said(visitor: Visitor, import_id: UUID) -> ResponseReturnValue:
    """Stage a bank's table by what its columns are said to mean, or show what that would give."""
    imports = wiring().imports(visitor)
    table = imports.tables.held(import_id)
    mapping, problems = columns.read(request.form, table)
    if problems or request.form.get("then") != "stage":
        return columns.page(imports, import_id, mapping, *problems)
    try:
        imports.tables.map_columns(import_id, mapping, keep="keep" in request.form)
    except LimitExceededError:
        return columns.page(imports, import_id, mapping, _too_large())
    return guards.see_other(f"/imports/{import_id}")


@blueprint.post("/<uuid:import_id>/advance")
@guards.unlocked
def advance(visitor: Visitor, import_id: UUID) -> ResponseReturnValue:
    """Import the next batch; htmx asks again by itself, without scripts a button does."""
    duplicates = request.form.get("duplicates")
    done = wiring().imports(visitor).advance(import_id, duplicates=duplicates)
    if "HX-Request" in request.headers:
        return pages.fragment("vault/_import.html", **_context(done))
    return guards.see_other(f"/imports/{import_id}")


@blueprint.post("/<uuid:import_id>/cancel")
@guards.unlocked
def cancel(visitor: Visitor, import_id: UUID) -> ResponseReturnValue:
    """Drop what is not imported yet."""
    wiring().imports(visitor).cancel(import_id)
    flashes.put("cancelled")
    return guards.see_other(f"/imports/{import_id}")


@blueprint.post("/<uuid:import_id>/undo")
@guards.unlocked
def undo(visitor: Visitor, import_id: UUID) -> ResponseReturnValue:
    """Begin to take an import back."""
    wiring().imports(visitor).undo(import_id)
    return guards.see_other(f"/imports/{import_id}")


def _choose_page(visitor: Visitor, status: int = 200, *problems: Problem) -> Response:
    locale = languages.current()
    recent = wiring().imports(visitor).recent(limit=10)
    return pages.page(
        "vault/imports.html",
        status,
        formats=list(FORMATS.values()),
        most=wiring().settings.server.max_upload_bytes // _MEGABYTE,
        recent=[(each, FORMATS[each.format].label.text(locale)) for each in recent],
        problems=problems,
    )


def _progress_page(imports: ImportService, done: Progress) -> Response:
    examples: list[tuple[Collection, str]] = []
    preview = imports.preview(done.id) if done.state == "staged" else None
    for name, data in preview.examples if preview else ():
        kind = CATALOGUE.collection(name)
        examples.append((kind, kind.title(data, languages.current())))
    return pages.page("vault/import.html", preview=preview, examples=examples, **_context(done))


def _context(done: Progress) -> dict[str, object]:
    locale = languages.current()
    return {
        "job": done,
        "format": FORMATS[done.format].label.text(locale),
        "running": done.state in _RUNNING,
        "found": [(CATALOGUE.collection(name), count) for name, count in done.found.items()],
        "imported": [
            (CATALOGUE.collection(name), count) for name, count in done.imported.items() if count
        ],
        "skipped": [(note.position.text(locale), note.text(locale)) for note in done.skipped][
            :_MOST_NOTES
        ],
        "refused": [(note.position.text(locale), note.text(locale)) for note in done.refused][
            :_MOST_NOTES
        ],
        "most_notes": _MOST_NOTES,
    }


def _problem(rule: str) -> Problem:
    return Problem("file", words.issue(Issue("file", rule, "")))


def _too_large() -> Problem:
    most = wiring().settings.server.max_upload_bytes // _MEGABYTE
    return Problem("file", words.issue(Issue("file", "file_too_large", "", {"most": most})))
