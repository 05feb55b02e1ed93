"""The integrator and the log's key, as tests of the tree need them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from consent.formats.note import Signer
from consent.log import leases
from consent.log.integrator import integrate
from pds.ids import random_uuid
from tests.support.events import START
from tests.support.receipt_samples import ORIGIN

LASTS = timedelta(seconds=10)


@dataclass
class Sequencer:
    """A holder of the worker's lease that integrates on request."""

    uow: object
    signer: Signer = field(default_factory=lambda: Signer.generate(ORIGIN))
    holder: UUID = field(default_factory=random_uuid)
    now: object = START

    def epoch(self) -> int:
        return self.uow.write(
            lambda session: leases.acquire(
                session, leases.WORKER, holder=self.holder, now=self.now, lasts=LASTS
            )
        )

    def job(self, epoch: int, limit: int = 1_000):
        return lambda session: integrate(
            session,
            origin=ORIGIN,
            signer=self.signer,
            now=self.now,
            holder_epoch=epoch,
            limit=limit,
        )

    def run(self, *, limit: int = 1_000) -> int:
        """Place everything that waits; return how many."""
        epoch, placed = self.epoch(), 0
        while True:
            number = self.uow.write(self.job(epoch, limit))
            placed += number
            if number < limit:
                return placed
