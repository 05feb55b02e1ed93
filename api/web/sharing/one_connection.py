"""One connection of a visitor, as every page about it begins; and the way back to its page."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from api.web import flashes, guards
from api.wiring import wiring
from consent import connections
from consent.connections import ConnectionView
from pds.sessions import Visitor


def of(visitor: Visitor, agreement_id: UUID) -> ConnectionView:
    """Return a connection of theirs as it is now.

    Raises:
        NotFoundError: there is none, or it is another person's.
    """
    services, vault = wiring(), visitor.vault
    with services.uow.read() as session:
        return connections.get(
            session, vault.bucket, vault.id, agreement_id, now=services.clock.now()
        )


def back_to(agreement_id: UUID, note: str) -> Response:
    """Lead to its page, with a note about what was done."""
    flashes.put(note)
    return guards.see_other(f"/connections/{agreement_id}")
