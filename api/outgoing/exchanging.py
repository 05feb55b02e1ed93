"""One HTTP/1.1 exchange with an address that was looked at: bounded in time and in size.

No redirect is followed, no compression asked for; the connection ends with the answer.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from api.outgoing.addresses import Target
from api.outgoing.connecting import Deadline, Dialler

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BODY_BYTES: Final = 65_536
HEAD_BYTES: Final = 16_384


class UnboundedError(Exception):
    """The body is larger than is taken, or shorter than was announced."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back; at most 64 KiB of it."""

    status: int
    content_type: str
    body: bytes


def exchange(
    dialler: Dialler,
    target: Target,
    deadline: Deadline,
    *,
    method: str = "GET",
    headers: Mapping[str, str],
    body: bytes = b"",
) -> Response:
    """Send one request and return its answer.

    Raises:
        AddressRefusedError: the name leads to an address that is not public.
        OSError: there is no connection, or no answer in time; `ssl.SSLError` and `TimeoutError`
            among them.
        http.client.HTTPException: it is no HTTP.
        UnboundedError: the body is too large, or was cut.
    """
    with dialler.connect(target, deadline) as connection:
        connection.sendall(_request(target, method, headers, body))
        answer = http.client.HTTPResponse(
            _Bounded(connection, deadline),  # type: ignore[arg-type]  # it only calls makefile
            method=method,
        )
        answer.begin()
        content = answer.read(BODY_BYTES + 1)
        # Something is left of what was announced: it is too large, or was cut.
        if len(content) > BODY_BYTES or answer.length:
            raise UnboundedError
        return Response(answer.status, answer.headers.get_content_type(), content)


def _request(target: Target, method: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [
        f"{method} {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        *(f"{name}: {value}" for name, value in headers.items()),
        *([f"Content-Length: {len(body)}"] if body else []),
        "Accept-Encoding: identity",
        "Connection: close",
        "User-Agent: personal-data-store",
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


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
