"""What the vault tells the log about itself.

The vault knows no log: it speaks to an `EventSink`, which `consent.log` implements and
`api.wiring` passes in. Every call happens inside the write job of the change it tells of, so that
there is no change without its entry and no entry without its change (LOG-23).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy.orm import Session

from pds.ids import VaultId


@dataclass(frozen=True, slots=True)
class VaultRef:
    """Where a vault is and to which key its private log entries are sealed.

    `audit_public_key` is the 32-byte X25519 public half of the vault's audit key, so that entries
    can be made while the vault is locked.
    """

    bucket: int
    id: VaultId
    audit_public_key: bytes


@dataclass(frozen=True, slots=True)
class VaultEvent:
    """One thing that happened to a vault; `private` is for its owner's eyes only."""

    name: str
    at: datetime
    collections: tuple[str, ...] = ()
    outcome: str = "ok"
    count: int = 0
    private: Mapping[str, object] = field(default_factory=dict)


class EventSink(Protocol):
    """Takes in what happens in a vault, inside the transaction in which it happens."""

    def append(self, session: Session, vault: VaultRef, event: VaultEvent) -> object:
        """Write the entry of one event of the vault's own stream; returns where it stands."""
        ...

    def records_changed(
        self, session: Session, vault: VaultRef, changes: Mapping[str, frozenset[str]], at: datetime
    ) -> None:
        """Tell which attributes of which collections changed: whoever shares them has news."""
        ...


def vault_stream(vault_id: UUID) -> str:
    """Return the name of a vault's own event stream (P-31)."""
    return f"v.{vault_id.hex}"
