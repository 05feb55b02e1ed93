"""Bodies: too large is refused, never cut; nothing personal is written to the disk in plain (P-20).

A body in chunks does not say its length, and werkzeug cuts it at the limit without a word: what is
left of a form may lack what was ticked.

Werkzeug spools files above 500 kB to a plain temporary file. The request class of this server
keeps them in memory instead, which the limit on a request's size bounds; files of records are
sealed, chunk by chunk, while they come in.
"""

from __future__ import annotations

from io import BytesIO
from typing import IO, cast

from flask import Request, Response, current_app, g, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.utils import cached_property
from werkzeug.wsgi import LimitedStream, get_input_stream

from api.web import visitors
from api.wiring import wiring
from pds.errors import LimitExceededError
from pds.importing.exports import HEAD_BYTES, recognise
from pds.sealed_files import FileWriter, Written

LARGE = frozenset({"web.imports.upload"})
"""Endpoints that take a file to import; all others take `max_body_bytes`."""
SEALED = frozenset({"web.attachments.add"})
"""Endpoints whose file is sealed into the vault as it comes in; archives of a store are, too."""
_FORM_OVERHEAD_BYTES = 16_384
# A file that is somewhat too large is refused beside its field, not by a page of its own.
_MARGIN_BYTES = 10_485_760
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


class _Nowhere:
    """Where a file goes that nobody may send."""

    def write(self, data: bytes) -> int:
        return len(data)

    def seek(self, _position: int) -> None:
        pass

    def close(self) -> None:
        pass


class SealedUpload:
    """What the parser of a form writes a file to that is sealed as it comes in.

    What is too large is read on and dropped, so that the form can be answered.
    """

    def __init__(self, writer: FileWriter) -> None:
        """Write to a file of the vault."""
        self._writer = writer
        self._is_open = True
        self.is_too_large = False

    def write(self, data: bytes) -> int:
        """Take in a part."""
        if not self.is_too_large:
            try:
                self._writer.write(data)
            except LimitExceededError:
                self.is_too_large = True
        return len(data)

    def seek(self, _position: int) -> None:
        """Do nothing: whoever reads it opens the sealed file."""

    def finish(self) -> Written:
        """Seal the rest.

        Raises:
            LimitExceededError: it is too large.
        """
        if self.is_too_large:
            raise LimitExceededError
        whole = self._writer.finish()
        self._is_open = False
        return whole

    @property
    def size_bytes(self) -> int:
        """How much came in, up to what was refused."""
        return self._writer.size_bytes

    def close(self) -> None:
        """Drop what nobody finished; runs at the end of the request."""
        if self._is_open:
            self._is_open = False
            self._writer.drop()


class ImportUpload:
    """What the parser writes a file to that is to be imported.

    An archive of a store is sealed as it comes in, whatever its size; all else stays in memory, and
    what is too large of it is read on and dropped.
    """

    def __init__(self, sealed: SealedUpload, most_bytes: int) -> None:
        """Write to `sealed` what is an archive, and keep at most so many bytes of anything else."""
        self._sealed, self._most = sealed, most_bytes
        self._held = bytearray()
        self._is_archive: bool | None = None  # until the first bytes have come
        self.is_too_large = False

    def write(self, data: bytes) -> int:
        """Take in a part."""
        if self._is_archive:
            return self._sealed.write(data)
        if not self.is_too_large:
            self._held += data
        if self._is_archive is None and len(self._held) >= HEAD_BYTES:
            self._decide()
        elif len(self._held) > self._most:
            self.is_too_large = True
            self._held.clear()
        return len(data)

    def seek(self, _position: int) -> None:
        """Decide what it is, now that all of it is here."""
        if self._is_archive is None:
            self._decide()

    def content(self) -> bytes:
        """Return what is no archive."""
        return bytes(self._held)

    @property
    def is_empty(self) -> bool:
        """Whether nothing came in."""
        return not (self._held or self._is_archive or self.is_too_large)

    @property
    def archive(self) -> SealedUpload | None:
        """The archive that came in, if it is one."""
        return self._sealed if self._is_archive else None

    def close(self) -> None:
        """Drop what nobody finished; runs at the end of the request."""
        self._sealed.close()

    def _decide(self) -> None:
        self._is_archive = recognise(bytes(self._held[:HEAD_BYTES]))
        if self._is_archive:
            self._sealed.write(bytes(self._held))
            self._held.clear()


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
    ) -> IO[bytes]:
        """Return where the parser writes a file (werkzeug's extension point)."""
        del total_content_length, content_type, filename, content_length
        if self.endpoint not in SEALED | LARGE:
            return BytesIO()
        visitor = visitors.current()
        if visitor is None or visitor.open_vault is None:
            return cast(IO[bytes], _Nowhere())  # the view's guard answers
        if "upload" in g:
            raise RequestEntityTooLarge  # a form of ours has one file
        services = wiring()
        limits = services.settings.vault
        if self.endpoint in LARGE:
            writer = services.imports(visitor).archives.files.write(
                most_bytes=limits.max_files_bytes
            )
            most = services.settings.server.max_upload_bytes
            g.upload = ImportUpload(SealedUpload(writer), most)
        else:
            writer = services.files(visitor).write(most_bytes=limits.max_attachment_bytes)
            g.upload = SealedUpload(writer)
        return cast(IO[bytes], g.upload)


def leave_nothing_unread(response: Response) -> Response:
    """Read what a refusal left of a short body; of a longer one, say that the connection ends.

    The HTTP layer closes a connection whose body nobody read, without a word: the client's next
    request on it would be lost, and a client may not send a POST again by guess (RFC 9110, section
    9.2.2).
    """
    if request.method in ("GET", "HEAD") and not request.content_length:
        return response
    # No more than a form, also where its endpoint takes a whole archive.
    left = current_app.config["MAX_CONTENT_LENGTH"]
    try:
        while left > 0 and (part := request.stream.read(_DRAINED_BYTES)):
            left -= len(part)
    except (RequestEntityTooLarge, ClientDisconnected):
        left = 0
    if left <= 0:
        response.headers["Connection"] = "close"
    return response


def set_limit() -> None:
    """Allow this request the size that its endpoint takes; before anything of it is parsed."""
    settings = wiring().settings
    most = current_app.config["MAX_CONTENT_LENGTH"]
    if request.endpoint in LARGE:
        most = settings.server.max_upload_bytes + _FORM_OVERHEAD_BYTES
    if request.endpoint in LARGE | SEALED:
        visitor = visitors.current()
        # Whoever may not send files is not read for long.
        if visitor is not None and visitor.open_vault is not None:
            is_import = request.endpoint in LARGE
            limits = settings.vault
            most = limits.max_files_bytes if is_import else limits.max_attachment_bytes
            most += _MARGIN_BYTES + _FORM_OVERHEAD_BYTES
    request.max_content_length = most
