"""One HTTP GET of a small JSON document, from an address that was looked at (THR-8).

https, no redirect, 200 alone, a JSON type, 64 KiB, 5 seconds for everything. Whatever is wrong is
one error that says nothing: who chose the URL must not learn what stands behind it.
"""

from __future__ import annotations

import http.client
import io
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from api.outgoing.addresses import AddressRefusedError, Target, UrlRefusedError, parse
from api.outgoing.connecting import Deadline, Dialler

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SECONDS: Final = 5.0
BODY_BYTES: Final = 65_536
HEAD_BYTES: Final = 16_384
TYPES: Final = ("application/json", "application/jwk-set+json")


class FetchError(Exception):
    """There is no such document to be had."""


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches documents."""

    insecure_loopback: bool = False
    dialler: Dialler = field(default_factory=Dialler)
    seconds: float = SECONDS

    def get(self, url: str) -> bytes:
        """Return the body behind a URL.

        Raises:
            FetchError: the URL is refused, or what is behind it is no small JSON document.
        """
        deadline = Deadline.after(self.seconds)
        try:
            target = parse(url, insecure_loopback=self.insecure_loopback)
            with self.dialler.connect(target, deadline) as connection:
                connection.sendall(_request(target))
                return _body(connection, deadline)
        except (
            UrlRefusedError,
            AddressRefusedError,
            OSError,
            http.client.HTTPException,
            ValueError,
        ) as error:
            raise FetchError from error


def _request(target: Target) -> bytes:
    lines = [
        f"GET {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        f"Accept: {', '.join(TYPES)}",
        "Accept-Encoding: identity",
        "Connection: close",
        "User-Agent: personal-data-store",
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _body(connection: socket.socket, deadline: Deadline) -> bytes:
    bounded = _Bounded(connection, deadline)
    answer = http.client.HTTPResponse(bounded)  # type: ignore[arg-type]  # it only calls makefile
    answer.begin()
    # A redirect is another status: no second address is ever asked.
    if answer.status != http.client.OK or answer.headers.get_content_type() not in TYPES:
        raise FetchError
    body = answer.read(BODY_BYTES + 1)
    # Something is left of what was announced: it is too large, or was cut.
    if len(body) > BODY_BYTES or answer.length:
        raise FetchError
    return body


class _Bounded(io.RawIOBase):
    """What comes over a connection: until a deadline, and not endlessly.

    It is the socket that `HTTPResponse` asks for a file, and the raw part of that file.
    """

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = deadline
        self._bytes_left = HEAD_BYTES + 2 * BODY_BYTES  # chunks have sizes between them

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        # Before each part: a byte at a time gains nobody any time.
        self._connection.settimeout(self._deadline.left())
        count = self._connection.recv_into(buffer)
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise OSError("too much")
        return count
