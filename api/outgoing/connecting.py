"""Connections to an address that was looked at, within a time for all that is done with them."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass, field

from api.outgoing import addresses
from api.outgoing.addresses import Lookup, Target


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant of the monotonic clock."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the one that is so many seconds ahead."""
        return cls(time.monotonic() + seconds)

    def left(self) -> float:
        """Return the seconds left.

        Raises:
            TimeoutError: none are.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


@dataclass(frozen=True, slots=True)
class Dialler:
    """Resolves a name once and connects to what was found, nowhere else."""

    lookup: Lookup = socket.getaddrinfo
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    def connect(self, target: Target, deadline: Deadline) -> socket.socket:
        """Return a connection. The resolver's time counts, though it cannot be cut short.

        Raises:
            AddressRefusedError: the name leads to an address that is not public.
            OSError: there is no connection; `ssl.SSLError` and `TimeoutError` among them.
        """
        address = addresses.resolve(target, lookup=self.lookup)
        connection = socket.create_connection((address, target.port), timeout=deadline.left())
        if not target.tls:
            return connection
        try:
            connection.settimeout(deadline.left())
            # The certificate is for the name, whatever address it led to.
            return self.tls.wrap_socket(connection, server_hostname=target.host)
        except BaseException:
            connection.close()
            raise
