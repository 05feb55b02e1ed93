"""Requests that an organisation may repeat, since an answer can be lost (ORG-10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask import request
from sqlalchemy.orm import Session

from api.oauth.clients import ClientRecord
from consent import idempotency

REPEATABLE = [
    {
        "in": "header",
        "name": "Idempotency-Key",
        "schema": {"type": "string", "maxLength": idempotency.KEY_CHARACTERS},
        "description": "Repeat with the same key and body: the effect comes once, for 24 hours.",
    }
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for, taken from it before the write job, which runs elsewhere."""

    organisation_id: UUID
    key: str | None
    request: bytes
    now: datetime

    @classmethod
    def by(cls, client: ClientRecord, now: datetime) -> Asked:
        """Take the present request, which this client sent."""
        asked = b"%b %b\n%b" % (request.method.encode(), request.path.encode(), request.get_data())
        return cls(client.organisation_id, request.headers.get("Idempotency-Key"), asked, now)

    def once(self, session: Session, make: Callable[[], UUID]) -> tuple[UUID, bool]:
        """Run `make` unless this key had it run before: `consent.idempotency.once`."""
        return idempotency.once(
            session, self.organisation_id, self.key, self.request, make, now=self.now
        )

    def hold(self, session: Session) -> None:
        """Keep the key for this request alone, where repeating it changes nothing anyway."""
        idempotency.hold(session, self.organisation_id, self.key, self.request, now=self.now)
