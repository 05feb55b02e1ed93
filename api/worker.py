"""The background work of an instance: one thread, in whichever process holds the lease (D17).

    tell the log of settings and keys that changed          at the start
    place what was logged into the tree, sign it            every `log.interval_ms`
    take placed events into what auditors search            every `log.interval_ms`
    number changes for organisations' feeds                 every `log.interval_ms`
    have witnesses cosign it, if there are any (`api.witnesses`)  likewise
    send letters that are due (`api.letters.postman`)       every 5 s
    answer who asked for a limited sign-in                  every 5 s
    tell people of ends ahead, and of who reads again       every 10 min
    end agreements whose time has come                      every 10 s
    end agreements of suspended organisations               every 10 s
    log and tell people of organisations that were frozen   every 10 s
    delete vaults whose cooling period is over              every 10 s
    tell organisations of what they owe and is overdue      every 10 s
    send webhooks that are due (`api.webhooks.courier`)     every `log.interval_ms`
    erase what the log's entries say, once their time is over   a pass a day
    delete what ran out: unlocks, tokens, codes, throttles  every 30 s, and before the first request
    and invitations; counts of refusals older than 30 days  with them

Each task runs in short write jobs until nothing is left for it. A task that fails is logged, by
type and place alone, and tried again; the others go on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from sqlalchemy.orm import Session

from api.letters.postman import Postman
from api.oauth import sweeping as oauth_sweeping
from api.webhooks.courier import Courier
from api.wiring import Wiring
from api.witnesses.guard import HighWater
from api.witnesses.rounds import Rounds
from consent import correspondence, freezing, idempotency, obligations, organisations
from consent.auditing import indexing
from consent.auditing import sign_ins as auditor_sign_ins
from consent.invitations import links
from consent.log import erasing, facts, feed, integrator, leases, reader, refusals
from consent.webhooks import deliveries
from pds import letters, limited_sign_ins, sealed_files
from pds import sweeping as vault_sweeping
from pds.errors import NotFoundError
from pds.ids import random_uuid

T = TypeVar("T")

LEASE = timedelta(seconds=10)
RENEW_SECONDS = 3.0
LETTERS_SECONDS = 5.0
CORRESPONDENCE_SECONDS = 600.0
EXPIRY_SECONDS = 10.0
HIGH_WATER_SECONDS = 1.0
FACTS_SECONDS = 3_600.0  # they change while nothing runs
EXPIRY_BATCH = 100
SWEEP_SECONDS = 30.0
ERASURE_SECONDS = 86_400.0
_SAME_ERROR_SECONDS = 60.0

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Task:
    """A piece of work: `run` does a bounded part of it and tells whether more is left."""

    name: str
    every_seconds: float
    run: Callable[[int], bool]
    due_at: float = 0.0
    failed_as: str = ""
    reported_at: float = 0.0


class Worker:
    """Does the background work while it holds the lease, and asks for the lease while it does not.

    A worker that is asleep for longer than its lease finds that its epoch is over: its next write
    job fails and changes nothing (`consent.log.leases`).
    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._holder = random_uuid()
        self._epoch: int | None = None
        self._renew_at = 0.0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        interval = wiring.settings.log.interval_ms / 1000
        self._interval = interval
        self._erasing = erasing.START
        self._courier = Courier(wiring)
        self._postman = Postman(wiring)
        self._held_epoch = 0  # the last one; whether it still holds, each write job asks
        self._high_water = HighWater(wiring.settings.instance)
        self.rounds = Rounds(
            wiring,
            lambda job: self._under_lease(self._held_epoch, job),
            holds_lease=lambda: self._held_epoch > 0,
        )
        self._lease = _Task("lease", 0.0, self._take_lease)
        self._tasks = [
            _Task("facts", FACTS_SECONDS, self._note_facts),
            _Task("log", interval, self._integrate),
            _Task("search", interval, self._index),
            _Task("high water", HIGH_WATER_SECONDS, self._note_high_water),
            _Task("feed", interval, self._number_feed),
            _Task("webhooks", interval, self._send_webhooks),
            _Task("limited", LETTERS_SECONDS, self._answer_asks),
            _Task("letters", LETTERS_SECONDS, self._send_letters),
            _Task("correspondence", CORRESPONDENCE_SECONDS, self._tell_people),
            _Task("expiry", EXPIRY_SECONDS, self._expire),
            _Task("standing", EXPIRY_SECONDS, self._end_excluded),
            _Task("freezes", EXPIRY_SECONDS, self._tell_of_freezes),
            _Task("deletions", EXPIRY_SECONDS, self._delete_vaults),
            _Task("overdue", EXPIRY_SECONDS, self._announce_overdue),
            _Task("erasure", ERASURE_SECONDS, self._erase),
            _Task("sweep", SWEEP_SECONDS, self._sweep),
        ]

    def start(self) -> None:
        """Sweep, so that no request meets what has run out (P-15); then work in a thread."""
        sweep(self._wiring)
        self._thread = threading.Thread(target=self._run, name="pds-worker", daemon=True)
        self._thread.start()
        self.rounds.start()

    def stop(self) -> None:
        """Finish the job at hand, let go of the lease and return."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.rounds.stop()
        self._courier.stop()
        self._postman.stop()
        self._attempt(_Task("release", 0.0, self._release))

    def turn(self) -> None:
        """Do everything that is due, once."""
        for task in self._tasks:
            if time.monotonic() < task.due_at:
                continue
            task.due_at = time.monotonic() + task.every_seconds
            more = True
            while more and not self._stopping.is_set():
                # Before every job: a long queue must not outlast the lease.
                self._attempt(self._lease)
                if self._epoch is None:
                    return
                more = self._attempt(task)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.turn()
            self._stopping.wait(self._interval)

    def _attempt(self, task: _Task) -> bool:
        try:
            more = task.run(self._epoch or 0)
        except leases.LeaseLostError:
            self._epoch = None
        except Exception as exc:  # noqa: BLE001 - the edge of the process: the other tasks go on
            self._report(task, exc)
        else:
            task.failed_as = ""
            return more
        return False

    def _report(self, task: _Task, exc: Exception) -> None:
        # Type and place only: a message may quote data (SEC-S65). Not twice a second, either.
        trace = exc.__traceback__
        while trace and trace.tb_next:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
        what = f"{type(exc).__name__} at {place}"
        now = time.monotonic()
        if what != task.failed_as or now - task.reported_at >= _SAME_ERROR_SECONDS:
            _logger.error("worker, %s: %s", task.name, what)
            task.failed_as, task.reported_at = what, now

    def _take_lease(self, _epoch: int) -> bool:
        if time.monotonic() < self._renew_at:
            return False
        self._renew_at = time.monotonic() + RENEW_SECONDS
        # If this fails, the lease may be over before the next attempt: then nothing is done.
        self._epoch = None
        now = self._wiring.clock.now()
        self._epoch = self._wiring.uow.write(
            lambda session: leases.acquire(
                session, leases.WORKER, holder=self._holder, now=now, lasts=LEASE
            )
        )
        self._held_epoch = self._epoch or 0
        return False

    def _release(self, epoch: int) -> bool:
        self._epoch = None
        now = self._wiring.clock.now()
        self._wiring.uow.write(
            lambda session: leases.release(session, leases.WORKER, epoch=epoch, now=now)
        )
        return False

    def _note_facts(self, epoch: int) -> bool:
        wiring = self._wiring
        found = wiring.facts()
        with wiring.uow.read() as session:
            changed = facts.differ(session, found)
        if changed:
            now = wiring.clock.now()
            self._under_lease(
                epoch, lambda session: facts.note(session, wiring.log, found, now=now)
            )
        return False

    def _integrate(self, epoch: int) -> bool:
        wiring = self._wiring
        placed = wiring.uow.write(
            lambda session: integrator.integrate(
                session,
                origin=wiring.settings.log_origin,
                signer=wiring.log_signer,
                now=wiring.clock.now(),
                holder_epoch=epoch,
                publish=wiring.witness_policy is None,
            )
        )
        return placed == integrator.BATCH

    def _index(self, epoch: int) -> bool:
        return self._under_lease(epoch, indexing.follow) == indexing.BATCH

    def _note_high_water(self, _epoch: int) -> bool:
        with self._wiring.uow.read() as session, suppress(NotFoundError):
            self._high_water.raise_to(reader.newest_tree(session).note)
        return False

    def _number_feed(self, epoch: int) -> bool:
        return self._under_lease(epoch, feed.number_feed) == feed.BATCH

    def _send_webhooks(self, epoch: int) -> bool:
        self._courier.take(lambda job: self._under_lease(epoch, job))
        return False

    def _answer_asks(self, epoch: int) -> bool:
        wiring = self._wiring

        def job(session: Session) -> int:
            return wiring.limited_sign_ins.answer_asks(session, now=wiring.clock.now())

        return self._under_lease(epoch, job) > 0

    def _send_letters(self, epoch: int) -> bool:
        self._postman.take(lambda job: self._under_lease(epoch, job))
        return False

    def _tell_people(self, epoch: int) -> bool:
        now = self._wiring.clock.now()

        def job(session: Session) -> int:
            return max(
                correspondence.tell_of_expiry(session, now=now, limit=EXPIRY_BATCH),
                correspondence.tell_of_dormant(session, now=now, limit=EXPIRY_BATCH),
            )

        return self._under_lease(epoch, job) >= EXPIRY_BATCH

    def _expire(self, epoch: int) -> bool:
        wiring = self._wiring

        def job(session: Session) -> int:
            return wiring.endings.end_due(session, now=wiring.clock.now(), limit=EXPIRY_BATCH)

        return self._under_lease(epoch, job) == EXPIRY_BATCH

    def _delete_vaults(self, epoch: int) -> bool:
        wiring = self._wiring

        def job(session: Session) -> bool:
            return wiring.deletions.carry_out(session, now=wiring.clock.now())

        return self._under_lease(epoch, job)

    def _announce_overdue(self, epoch: int) -> bool:
        def job(session: Session) -> int:
            return obligations.announce_overdue(
                session, now=self._wiring.clock.now(), limit=EXPIRY_BATCH
            )

        return self._under_lease(epoch, job) == EXPIRY_BATCH

    def _end_excluded(self, epoch: int) -> bool:
        wiring = self._wiring

        def job(session: Session) -> int:
            ended, now = 0, wiring.clock.now()
            for each in organisations.excluded(session):
                left = EXPIRY_BATCH - ended
                ended += wiring.endings.end_excluded(session, each, now=now, limit=left)
            return ended

        return self._under_lease(epoch, job) == EXPIRY_BATCH

    def _tell_of_freezes(self, epoch: int) -> bool:
        def job(session: Session) -> int:
            wiring = self._wiring
            return freezing.tell(session, wiring.log, now=wiring.clock.now(), limit=EXPIRY_BATCH)

        return self._under_lease(epoch, job) == EXPIRY_BATCH

    def _erase(self, epoch: int) -> bool:
        wiring, position = self._wiring, self._erasing
        self._erasing = (
            self._under_lease(
                epoch,
                lambda session: erasing.step(session, wiring.log, position, now=wiring.clock.now()),
            )
            or erasing.START
        )
        return self._erasing != erasing.START

    def _sweep(self, _epoch: int) -> bool:
        sweep(self._wiring)
        return False

    def _under_lease(self, epoch: int, job: Callable[[Session], T]) -> T:
        def fenced(session: Session) -> T:
            leases.check(session, leases.WORKER, epoch=epoch)
            return job(session)

        return self._wiring.uow.write(fenced)


def sweep(wiring: Wiring) -> None:
    """Delete everything that has run out; needs no lease, since repeating it changes nothing."""

    def job(session: Session) -> int:
        now = wiring.clock.now()
        return sum(
            sweep_some(session, now=now)
            for sweep_some in (
                vault_sweeping.sweep,
                oauth_sweeping.sweep,
                refusals.sweep,
                deliveries.sweep,
                idempotency.sweep,
                links.sweep,
                letters.sweep,
                limited_sign_ins.sweep,
                auditor_sign_ins.sweep,
                sealed_files.sweep,
            )
        )

    while wiring.uow.write(job):
        pass
