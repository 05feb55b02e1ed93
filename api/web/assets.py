"""Static files: read once, served from memory, with a hash in their URL (UI-11).

A file's URL changes with its content, so browsers may keep it for a year. Only names that were
found in the folder at the start are served: a path that leads elsewhere is just an unknown name.
"""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

blueprint = Blueprint("assets", __name__)

FOLDER = Path(__file__).parent / "static"
_VERSION_CHARACTERS = 16
_FOR_A_YEAR = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file, its type, and the version that its URL names."""

    content: bytes
    mimetype: str
    version: str


@cache
def files() -> dict[str, Asset]:
    """Return every file by its path below the folder, with `/` between its parts."""
    return {
        path.relative_to(FOLDER).as_posix(): _read(path)
        for path in sorted(FOLDER.rglob("*"))
        if path.is_file()
    }


def url(name: str) -> str:
    """Return the URL of a static file, with its version.

    Raises:
        KeyError: there is no such file.
    """
    return f"/static/{name}?v={files()[name].version}"


@blueprint.get("/static/<path:name>")
def static_file(name: str) -> Response:
    """Serve a static file."""
    found = files().get(name)
    if found is None:
        raise NotFound
    response = Response(found.content, mimetype=found.mimetype)
    response.set_etag(found.version)
    # Under another version's URL, or none, the answer may not outlive the next one.
    is_current = request.args.get("v") == found.version
    response.headers["Cache-Control"] = _FOR_A_YEAR if is_current else "no-cache"
    response.make_conditional(request)
    return response


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    mimetype = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Asset(content, mimetype, hashlib.sha256(content).hexdigest()[:_VERSION_CHARACTERS])
