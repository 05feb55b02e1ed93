"""Showing an auditor the name behind a pseudonym that was opened for them (AUD-1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from api.wiring import Wiring
from consent.auditing.engagements import Seat
from consent.auditing.unmasking import Asked
from pds.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Named:
    """An opened pseudonym with the name of its account, as its owner signs in now."""

    asked: Asked
    name: str = field(repr=False)


def look(services: Wiring, seat: Seat, unmasking_id: UUID) -> Named:
    """Return the name that a pseudonym stands for; the look is counted and logged first.

    Raises:
        NotFoundError: this auditor asked nothing under that id, or the account is gone.
        ConflictError: it is not open.
    """
    asked = services.unmasking.look(seat, unmasking_id)
    account = services.accounts.account(asked.vault_id)
    if account is None:
        raise NotFoundError
    return Named(asked, services.accounts.login_name(account))
