"""Keys that clients publish behind a `jwks_uri` (RFC 7591 section 2, THR-8).

A set that was fetched is kept in the client's row, so that every worker has it, for ten minutes. An
assertion by a key that is not in it has the set fetched again, at most every 30 seconds for a
client: so a new key works at once, and strangers cannot have us ask without end. What cannot be
fetched any more is not used beyond its time. Nothing is fetched inside a transaction.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from api.oauth import clients, refused_keys
from api.oauth.clients import ClientRecord
from api.oauth.ext.clients import ConfidentialClient, JWKSet, jwks_fault
from api.oauth.models import Client
from api.outgoing.fetching import FetchError
from pds.clock import Clock
from pds.store import Store

BETWEEN = timedelta(seconds=30)
AT_ONCE = 4  # in one process; each may take a thread for five seconds

Fetch = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class RemoteKeys:
    """Fetches and keeps JWK Sets."""

    store: Store
    clock: Clock
    fetch: Fetch
    _slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_ONCE))

    def find(self, client_id: str) -> ConfidentialClient | None:
        """Return a client that knows how to renew its keys; fetches nothing by itself."""
        with self.store.rows() as connection:
            found = clients.find(connection, client_id, now=self.clock.now())
        if found is None or not isinstance(found.handle, ClientRecord):
            return found
        if found.handle.jwks_uri is None:
            return found
        return replace(
            found, renew_jwks=partial(self.renew, found.handle.id, found.handle.jwks_uri)
        )

    def read(self, url: str) -> dict[str, Any]:
        """Return the JWK Set behind a URL as it is now.

        Raises:
            FetchError: there is none that a client may register.
        """
        if not self._slots.acquire(blocking=False):
            raise FetchError
        try:
            document = json.loads(self.fetch(url))
        except (ValueError, RecursionError) as error:
            raise FetchError from error
        finally:
            self._slots.release()
        if jwks_fault(document) is not None:
            raise FetchError
        with self.store.read() as session:
            keys = refused_keys.accepted(session, document["keys"])
        if not keys:
            raise FetchError
        return {"keys": keys}

    def renew(self, client_id: UUID, url: str) -> JWKSet | None:
        """Fetch a client's keys and keep them; None if they are not to be had."""
        if not self.store.write(partial(self._claim, client_id)):
            # Another request asked a moment ago, maybe in another process: it may have come back.
            with self.store.read() as session:
                return clients.usable_jwks(clients.get(session, client_id), now=self.clock.now())
        try:
            jwks = self.read(url)
        except FetchError:
            return None
        now = self.clock.now()

        def keep(session: Session) -> None:
            session.execute(
                update(Client)
                .where(Client.id == client_id, Client.jwks_uri == url)
                .values(jwks=jwks, jwks_fetched_at=now)
            )

        self.store.write(keep)
        return jwks

    def _claim(self, client_id: UUID, session: Session) -> bool:
        now = self.clock.now()
        claimed = session.execute(
            update(Client)
            .where(
                Client.id == client_id,
                or_(Client.jwks_tried_at.is_(None), Client.jwks_tried_at <= now - BETWEEN),
            )
            .values(jwks_tried_at=now)
            .returning(Client.id)
        )
        return claimed.one_or_none() is not None
