"""One HTTP GET of a small JSON document, from an address that was looked at (THR-8).

https, no redirect, 200 alone, a JSON type, 64 KiB, 5 seconds for everything. Whatever is wrong is
one error that says nothing: who chose the URL must not learn what stands behind it.
"""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from typing import Final

from api.outgoing.addresses import AddressRefusedError, UrlRefusedError, parse
from api.outgoing.connecting import Deadline, Dialler
from api.outgoing.exchanging import UnboundedError, exchange

SECONDS: Final = 5.0
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
            accepted = {"Accept": ", ".join(TYPES)}
            answer = exchange(self.dialler, target, deadline, headers=accepted)
        except (
            UrlRefusedError,
            AddressRefusedError,
            OSError,
            http.client.HTTPException,
            UnboundedError,
            ValueError,
        ) as error:
            raise FetchError from error
        # A redirect is another status: no second address is ever asked.
        if answer.status != http.client.OK or answer.content_type not in TYPES:
            raise FetchError
        return answer.body
