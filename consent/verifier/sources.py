"""Where a published log lies: a folder that somebody copied, or a server's address.

Both answer a path of C2SP tlog-tiles with bytes; nothing is believed here. Whoever serves them may
be hostile: an answer is read up to `MAX_BYTES`, and a redirect is not followed.
"""

from __future__ import annotations

import http.client
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from consent.formats.errors import FormatError

MAX_BYTES = 1 << 20
TIMEOUT = 20  # seconds, for each step of a connection

_PAUSES = (0.5, 1, 2, 0)  # seconds after each attempt
_MISSING = frozenset({404, 410})
_PASSING = frozenset({0, 408, 429, 500, 502, 503, 504})  # 0: no answer


class MissingError(FormatError):
    """The log has nothing at that path."""

    def __init__(self, path: str) -> None:
        super().__init__(f"nothing at {path}")


class UnreadableError(Exception):
    """The source cannot be read now; what was verified so far stands."""


class Source(Protocol):
    """A published log.

    Attributes:
        parallel: how many reads at a time are worth while.
    """

    @property
    def parallel(self) -> int:
        """How many reads at a time are worth while."""

    def read(self, path: str) -> bytes:
        """Return what lies at `path`, at most `MAX_BYTES`.

        Raises:
            MissingError: there is nothing.
            UnreadableError: it cannot be told what there is.
        """

    def close(self) -> None:
        """Let go of what reading took."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A log that was copied file by file; its `checkpoint` lies in `root`."""

    root: Path
    parallel: int = 1

    def read(self, path: str) -> bytes:
        """See `Source`."""
        try:
            with (self.root / path).open("rb") as file:
                return _bounded(file.read(MAX_BYTES + 1), path)
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise MissingError(path) from exc
        except OSError as exc:
            raise UnreadableError(f"{path}: {exc.strerror}") from exc

    def close(self) -> None:
        """See `Source`."""


@dataclass(frozen=True, slots=True)
class Address:
    """A log that a server publishes below `url`, over HTTP or HTTPS."""

    url: SplitResult
    parallel: int = 8
    _idle: list[http.client.HTTPConnection] = field(default_factory=list, repr=False)

    @classmethod
    def from_text(cls, text: str) -> Address:
        """Read the address that `checkpoint` and `tile/` lie below.

        Raises:
            ValueError: it is no http or https address without user, query and fragment.
        """
        url = urlsplit(text)
        plain = not (url.username or url.password or url.query or url.fragment)
        if url.scheme not in {"http", "https"} or not url.hostname or not plain:
            raise ValueError(f"{text}: not the address of a log, such as https://vault.example/log")
        return cls(url)

    def read(self, path: str) -> bytes:
        """See `Source`."""
        failure = ""
        for pause in _PAUSES:
            status, body, failure = self._get(path)
            if status == http.HTTPStatus.OK:
                return _bounded(body, path)
            if status in _MISSING:
                raise MissingError(path)
            if status not in _PASSING:
                break
            time.sleep(pause)
        raise UnreadableError(f"{path}: {failure}")

    def close(self) -> None:
        """See `Source`."""
        while self._idle:
            self._idle.pop().close()

    def _get(self, path: str) -> tuple[int, bytes, str]:
        # Connections stay open; each is used by one thread at a time.
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            connection.request("GET", f"{self.url.path.rstrip('/')}/{path}")
            response = connection.getresponse()
            body = response.read(MAX_BYTES + 1)
        except (OSError, http.client.HTTPException) as exc:
            connection.close()
            return 0, b"", type(exc).__name__
        if response.isclosed():
            self._idle.append(connection)
        else:  # longer than that: the rest would be taken for the next answer
            connection.close()
        return response.status, body, f"the server answers {response.status}"

    def _connect(self) -> http.client.HTTPConnection:
        is_plain = self.url.scheme == "http"
        kind = http.client.HTTPConnection if is_plain else http.client.HTTPSConnection
        return kind(self.url.hostname or "", self.url.port, timeout=TIMEOUT)


@dataclass(frozen=True, slots=True)
class Copying:
    """Another source, of which whatever is read is also written below `root`."""

    source: Source
    root: Path

    @property
    def parallel(self) -> int:
        """That of the source."""
        return self.source.parallel

    def read(self, path: str) -> bytes:
        """See `Source`.

        Raises:
            UnreadableError: it cannot be written either.
        """
        data = self.source.read(path)
        try:
            write_whole(self.root / path, data)
        except OSError as exc:
            raise UnreadableError(f"{self.root / path}: {exc.strerror}") from exc
        return data

    def close(self) -> None:
        """See `Source`."""
        self.source.close()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole, or as it was before.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    Path(file.name).replace(path)


def _bounded(data: bytes, path: str) -> bytes:
    if len(data) > MAX_BYTES:
        raise UnreadableError(f"{path}: more than {MAX_BYTES} bytes")
    return data
