"""Attempts to come in, counted by who it would be and by where they come from (P-39, SEC-S10)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from pds.clock import Clock
from pds.events import EventSink, VaultEvent
from pds.instance import InstanceKeys
from pds.settings import VaultSettings
from pds.store import Store
from pds.throttling import count, forget, give_back, throttle_key
from pds.vaults import vault_ref


@dataclass(frozen=True, slots=True)
class Attempts:
    """Counts attempts, and logs those that failed.

    Each way in has windows of its own: whoever fills the one of somebody's passphrase leaves their
    passkey alone. Windows of addresses are shared by all ways in.
    """

    store: Store
    keys: InstanceKeys
    clock: Clock
    settings: VaultSettings
    sink: EventSink

    def count(self, way: str, who: bytes, source: str | None) -> None:
        """Count one attempt.

        Raises:
            LimitExceededError: a window is full; it says how long to wait.
        """
        now, settings = self.clock.now(), self.settings

        def job(session: Session) -> None:
            # The address first: one whose window is full fills no owner's.
            if source is not None:
                most = settings.address_attempts_per_quarter_hour
                count(session, self._of_address(source), most=most, now=now)
            count(session, self._of(way, who), most=settings.attempts_per_quarter_hour, now=now)

        self.store.write(job)

    def forget(self, way: str, who: bytes, source: str | None) -> None:
        """Start over after a success."""

        def job(session: Session) -> None:
            if source is not None:
                give_back(session, self._of_address(source))
            forget(session, self._of(way, who))

        self.store.write(job)

    def log_failure(self, bucket: int, vault_id: UUID) -> None:
        """Tell a vault's log that somebody did not get in."""
        event = VaultEvent("vault.unlock_failed", self.clock.now(), outcome="wrong-secret")
        self.store.write(
            lambda session: self.sink.append(session, vault_ref(session, bucket, vault_id), event)
        )

    def _of(self, way: str, who: bytes) -> bytes:
        return throttle_key(self.keys.login_tag, way, who)

    def _of_address(self, source: str) -> bytes:
        return throttle_key(self.keys.login_tag, "address", source.encode())
