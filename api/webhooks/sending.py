"""One HTTP/1.1 POST to an address that was looked at, within a time for all of it.

Only the head of the answer is read, at most 16 KiB of it, until one deadline for connecting, the
handshake and the answer together: whoever answers a byte at a time gains nothing. The body is never
read, a redirect never followed.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from api.outgoing.addresses import AddressRefusedError, Lookup, Target
from api.outgoing.connecting import Deadline, Dialler
from consent.webhooks.deliveries import Answer, Outcome

HEAD_BYTES = 16_384
MOST_BODY_BYTES = 16_384  # of a message; ours are below 1 KiB


class Sender:
    """Sends; one for each process."""

    def __init__(
        self,
        *,
        timeout_seconds: float = 15.0,
        lookup: Lookup = socket.getaddrinfo,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._dialler = Dialler(lookup, tls or ssl.create_default_context())

    def post(
        self, target: Target, body: bytes, headers: Mapping[str, str], *, now: datetime
    ) -> Answer:
        """Send a body; whatever goes wrong is an answer, too."""
        if len(body) > MOST_BODY_BYTES:
            raise ValueError("a message holds ids, nothing of such a size")
        begun = time.monotonic()
        outcome, status, retry_after = self._outcome(target, body, headers, begun, now)
        return Answer(outcome, int((time.monotonic() - begun) * 1000), status, retry_after)

    def _outcome(
        self,
        target: Target,
        body: bytes,
        headers: Mapping[str, str],
        begun: float,
        now: datetime,
    ) -> tuple[Outcome, int | None, timedelta | None]:
        deadline = Deadline(begun + self._timeout_seconds)
        try:
            with self._dialler.connect(target, deadline) as connection:
                connection.settimeout(deadline.left())
                connection.sendall(_request(target, body, headers))
                head = _read_head(connection, deadline)
        except AddressRefusedError:
            return Outcome.ADDRESS_REFUSED, None, None
        except TimeoutError:
            return Outcome.TIMEOUT, None, None
        except ssl.SSLError:
            return Outcome.TLS, None, None
        except OSError:
            return Outcome.UNREACHABLE, None, None
        return _judged(head, now)


def _request(target: Target, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "User-Agent: personal-data-store",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _read_head(connection: socket.socket, deadline: Deadline) -> bytes:
    """Return the head of the final answer, those of 1xx before it passed over."""
    received = b""
    while True:
        end = received.find(b"\r\n\r\n")
        if end >= 0:
            head, received = received[: end + 4], received[end + 4 :]
            if not head.startswith(b"HTTP/1.1 1"):
                return head
            continue
        if len(received) > HEAD_BYTES:
            return b""
        connection.settimeout(deadline.left())
        more = connection.recv(4096)
        if not more:
            return b""
        received += more


def _judged(head: bytes, now: datetime) -> tuple[Outcome, int | None, timedelta | None]:
    answer = http.client.HTTPResponse(_Head(head))  # type: ignore[arg-type]  # it only calls makefile
    try:
        answer.begin()
    except (http.client.HTTPException, ValueError):
        return Outcome.MALFORMED, None, None
    retry_after = _retry_after(answer.getheader("Retry-After"), now)
    if 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP
        return Outcome.DELIVERED, answer.status, None
    if 300 <= answer.status < 400:  # noqa: PLR2004 - HTTP
        return Outcome.REDIRECT, answer.status, retry_after
    return Outcome.STATUS, answer.status, retry_after


def _retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Read `Retry-After` (RFC 9110 section 10.2.3); what is no such thing is left aside."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:9]), 1_000_000))
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(until.replace(tzinfo=until.tzinfo or UTC) - now, timedelta())


class _Head:
    """What `HTTPResponse` asks of a socket."""

    def __init__(self, head: bytes) -> None:
        self._head = head

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._head)
