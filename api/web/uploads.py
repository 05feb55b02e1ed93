"""Bodies: too large is refused, never cut; nothing personal is written to the disk in plain (P-20).

A body in chunks does not say its length, and werkzeug cuts it at the limit without a word: what is
left of a form may lack what was ticked.

Werkzeug spools files above 500 kB to a plain temporary file. The request class of this server
keeps them in memory instead, which the limit on a request's size bounds.
"""

from __future__ import annotations

from io import BytesIO
from typing import IO

from flask import Request, Response, current_app, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.utils import cached_property
from werkzeug.wsgi import LimitedStream, get_input_stream

from api.wiring import wiring

LARGE = frozenset({"web.imports.upload"})
"""Endpoints that take a file; all others take `max_body_bytes`."""
_FORM_OVERHEAD_BYTES = 16_384
_DRAINED_BYTES = 65_536


class _WholeStream(LimitedStream):
    """A body up to a limit, which is read to its end or not at all."""

    def readall(self) -> bytes:
        """Return all of it.

        Raises:
            RequestEntityTooLarge: it goes on after the limit.
        """
        found = super().readall()
        if self.is_exhausted and self._stream.read(1):
            raise RequestEntityTooLarge
        return found


class InMemoryRequest(Request):
    """A request whose body is whole, and whose files are never spooled to disk."""

    @cached_property
    def stream(self) -> IO[bytes]:
        """Return the body, of which no more is read than may be."""
        limit = self.max_content_length
        found = get_input_stream(self.environ, max_content_length=limit)
        if limit is not None and "wsgi.input_terminated" in self.environ:
            return _WholeStream(self.environ["wsgi.input"], limit, is_max=True)  # type: ignore[return-value]  # an IO[bytes]
        return found

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


def leave_nothing_unread(response: Response) -> Response:
    """Read what a refusal left of a short body; of a longer one, say that the connection ends.

    The HTTP layer closes a connection whose body nobody read, without a word: the client's next
    request on it would be lost, and a client may not send a POST again by guess (RFC 9110, section
    9.2.2).
    """
    if request.content_length or "wsgi.input_terminated" in request.environ:
        try:
            while request.stream.read(_DRAINED_BYTES):
                pass
        except (RequestEntityTooLarge, ClientDisconnected):
            response.headers["Connection"] = "close"
    return response


def set_limit() -> None:
    """Allow this request the size that its endpoint takes; before anything of it is parsed."""
    if request.endpoint in LARGE:
        request.max_content_length = (
            wiring().settings.server.max_upload_bytes + _FORM_OVERHEAD_BYTES
        )
    else:
        request.max_content_length = current_app.config["MAX_CONTENT_LENGTH"]
