"""The files of a record: added as they come in, handed out to be saved, taken away for ever."""

from __future__ import annotations

import unicodedata
from itertools import chain
from urllib.parse import quote
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
from api.web.uploads import SealedUpload
from api.web.vault import records
from api.wiring import wiring
from pds.attached_files import AttachedFile
from pds.catalogue import CATALOGUE
from pds.errors import (
    ConflictError,
    Issue,
    LimitExceededError,
    NotFoundError,
    ValidationFailedError,
)
from pds.sessions import Visitor

blueprint = Blueprint("attachments", __name__, url_prefix="/vault")

# Beside the policy of every answer: whatever a browser does with a file, it may do nothing.
_SANDBOX = "sandbox; default-src 'none'"


@blueprint.post("/<name>/<uuid:record_id>/files")
@guards.unlocked
def add(visitor: Visitor, name: str, record_id: UUID) -> ResponseReturnValue:
    """Give a file to a record; it was sealed while it came in (P-20)."""
    record = records.find(visitor, name, record_id)
    upload: SealedUpload | None = g.get("upload")
    given = request.files.get("file")
    if upload is None or given is None or not given.filename:
        return records.shown(visitor, record, 422, _problem("file_missing"))
    try:
        whole = upload.finish()
    except LimitExceededError:
        return records.shown(visitor, record, 413, _too_large(upload))
    try:
        wiring().attachments(visitor).add(record, given.filename, whole)
    except ValidationFailedError as error:
        found = error.issues[0]
        return records.shown(visitor, record, 422, Problem("file", words.issue(found)))
    except ConflictError:
        now = records.find(visitor, name, record_id)
        return records.shown(visitor, now, 409, _problem("changed_meanwhile"))
    flashes.put("file-added")
    return guards.see_other(f"/vault/{name}/{record_id}")


@blueprint.get("/<name>/<uuid:record_id>/files/<uuid:file_id>")
@guards.unlocked
def download(visitor: Visitor, name: str, record_id: UUID, file_id: UUID) -> ResponseReturnValue:
    """Hand a file out to be saved, never to be shown, chunk by chunk."""
    record = records.find(visitor, name, record_id)
    named, opened = wiring().attachments(visitor).open(record, file_id)
    parts = opened.chunks()
    # The first part before the answer begins: what does not open at all is an error page.
    first = next(parts, b"")
    response = Response(chain([first], parts), mimetype=named.media_type)
    response.content_length = named.size_bytes
    response.headers.set("Content-Disposition", "attachment", **_names(named.name))
    response.headers["Content-Security-Policy"] = _SANDBOX
    return response


@blueprint.get("/<name>/<uuid:record_id>/files/<uuid:file_id>/remove")
@guards.unlocked
def remove_form(visitor: Visitor, name: str, record_id: UUID, file_id: UUID) -> ResponseReturnValue:
    """Ask once more: a file that is taken away does not come back."""
    record = records.find(visitor, name, record_id)
    kind = CATALOGUE.collection(name)
    title = kind.title(record.data, languages.current())
    file = _named(record.files, file_id)
    return pages.page("vault/file_removal.html", kind=kind, record=record, title=title, file=file)


@blueprint.post("/<name>/<uuid:record_id>/files/<uuid:file_id>/remove")
@guards.unlocked
def remove(visitor: Visitor, name: str, record_id: UUID, file_id: UUID) -> ResponseReturnValue:
    """Take a file away; a record that changed meanwhile is tried again, since the file is named."""
    record = records.find(visitor, name, record_id)
    try:
        wiring().attachments(visitor).remove(record, file_id)
    except ConflictError:
        return guards.see_other(f"/vault/{name}/{record_id}/files/{file_id}/remove")
    flashes.put("file-removed")
    return guards.see_other(f"/vault/{name}/{record_id}")


def _named(files: tuple[AttachedFile, ...], file_id: UUID) -> AttachedFile:
    found = next((each for each in files if each.id == file_id), None)
    if found is None:
        raise NotFoundError
    return found


def _too_large(upload: SealedUpload) -> Problem:
    """Say which of the two limits it is."""
    limits = wiring().settings.vault
    if upload.size_bytes > limits.max_attachment_bytes:
        most = limits.max_attachment_bytes // languages.MEGABYTE
        return Problem("file", words.issue(Issue("file", "file_too_large", "", {"most": most})))
    most = limits.max_files_bytes // languages.MEGABYTE
    return Problem("file", words.issue(Issue("file", "files_too_large", "", {"most": most})))


def _names(name: str) -> dict[str, str]:
    """Return a file's name as a header can say it: letters of any language are encoded.

    A server could not send them as they are (RFC 6266 section 4.3, RFC 8187).
    """
    if name.isascii():
        return {"filename": name}
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    return {"filename": plain, "filename*": f"UTF-8''{quote(name, safe='')}"}


def _problem(rule: str) -> Problem:
    return Problem("file", words.issue(Issue("file", rule, "")))
