"""Uploads stay in memory: nothing personal is written to the disk in plain (P-20).

Werkzeug spools files above 500 kB to a plain temporary file. The request class of this server
keeps them in memory instead, which the limit on a request's size bounds.
"""

from __future__ import annotations

from io import BytesIO

from flask import Request, current_app, request

from api.wiring import wiring

LARGE = frozenset({"web.imports.upload"})
"""Endpoints that take a file; all others take `max_body_bytes`."""
_FORM_OVERHEAD_BYTES = 16_384


class InMemoryRequest(Request):
    """A request whose files are never spooled to disk."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> BytesIO:
        """Return where the parser writes a file (werkzeug's extension point)."""
        del total_content_length, content_type, filename, content_length
        return BytesIO()


def set_limit() -> None:
    """Allow this request the size that its endpoint takes; before anything of it is parsed."""
    if request.endpoint in LARGE:
        request.max_content_length = (
            wiring().settings.server.max_upload_bytes + _FORM_OVERHEAD_BYTES
        )
    else:
        request.max_content_length = current_app.config["MAX_CONTENT_LENGTH"]
