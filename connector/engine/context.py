"""What every step of a run works with, and the numbered points at which a run may die."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from typing import Literal, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connector.clock import Clock
from connector.crm.base import CrmAdapter
from connector.mapping.rules import MapRule
from connector.pds.client import PDSClient
from connector.state.store import Lease, StateStore
from consent.formats.note import Verifier


class Point(IntEnum):
    """The points between two effects: a run may die at each, and the next one heals it."""

    LEASED = 1
    EXPIRED = 2  # local expiries are noted
    PAGE_READ = 3  # a page of the feed or of the list is in memory only
    PAGE_QUEUED = 4
    TERMS_READ = 5  # an answer of /v1/grant is in memory only
    TERMS_NOTED = 6
    OBLIGATIONS_NOTED = 7
    BEFORE_ERASE = 8
    ERASE_SENT = 9
    ERASE_VERIFIED = 10
    ERASE_NOTED = 11
    RECEIPT_SENT = 12
    RECEIPT_NOTED = 13
    SNAPSHOT_READ = 14  # a person's data are in memory only
    PLANNED = 15
    FENCED = 16
    WRITE_SENT = 17  # the CRM has it, the store does not know yet
    WRITE_NOTED = 18


class Progress(Protocol):
    """Shows how far a run is."""

    def begin(self, stage: str, total: int) -> None:
        """Begin a stage of so many steps."""
        ...

    def step(self, count: int = 1) -> None:
        """Note steps done."""
        ...


class SilentProgress:
    """Shows nothing."""

    def begin(self, stage: str, total: int) -> None:
        """Show nothing."""

    def step(self, count: int = 1) -> None:
        """Show nothing."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of `[sync]`."""

    consent_ttl: timedelta = timedelta(minutes=5)
    max_reject_ratio: float = 0.2
    on_end: Literal["erase", "anonymise"] = "erase"
    erase_within: timedelta = timedelta(hours=24)
    per_second: float = 10.0
    erase_per_second: float = 10.0


@dataclass(frozen=True, slots=True)
class ReceiptSigner:
    """The organisation's key for deletion receipts, and the name of this program."""

    key: Ed25519PrivateKey = field(repr=False)
    kid: str
    connector: str


@dataclass(slots=True)
class RunContext:
    """One run: what it works with, its lease, and what it counted."""

    client: PDSClient
    store: StateStore
    crm: CrmAdapter
    crm_name: str
    rules: Sequence[MapRule]
    policy: Policy
    clock: Clock
    signer: ReceiptSigner | None
    lease: Lease
    reach: Callable[[Point], None]
    progress: Progress
    only: str | None = None
    log_keys: Sequence[Verifier] = ()
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def obj(self) -> str:
        """Return the kind of contact that the mapping writes."""
        return self.rules[0].object

    def renew(self) -> None:
        """Keep the lease, or stop with `LeaseLostError`."""
        self.lease = self.store.renew(self.lease)


class Pace:
    """Spaces calls evenly; bursts are what CRMs answer with 429."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._gap = timedelta(seconds=1 / per_second)
        self._clock = clock
        self._next_at = clock.now()

    def wait(self, count: int = 1) -> None:
        """Wait until the next call is due; it stands for so many."""
        now = self._clock.now()
        if self._next_at > now:
            self._clock.sleep((self._next_at - now).total_seconds())
            now = self._next_at
        self._next_at = now + self._gap * count
