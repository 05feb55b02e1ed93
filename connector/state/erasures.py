"""Erasure jobs: opened with the end of a consent, kept until the contact is verifiably gone.

The plan of a job is frozen when it is opened (CON-22): it names the contacts, their keys and their
fields, and a policy changed later does not alter it. A job is never dropped (CON-G4).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select, update

from connector.clock import Clock
from connector.state.queue import backoff
from connector.state.rows import put
from connector.state.schema import erasure, tombstone


class ErasureState(StrEnum):
    """Where a job stands; `blocked` ones are tried again, too."""

    OPEN = "open"
    BLOCKED = "blocked"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Target:
    """A contact to erase; `ref` is None where only its key is known."""

    crm: str
    object: str
    key: str
    ref: str | None
    fields: Sequence[str]
    categories: Mapping[str, int]  # collection -> number of fields that came from it


@dataclass(frozen=True, slots=True)
class FrozenPlan:
    """What a job does: `mode` is erase or anonymise; not `is_whole` blanks the fields only."""

    mode: str
    is_whole: bool
    targets: Sequence[Target]


@dataclass(frozen=True, slots=True)
class ErasureJob:
    """A row of `erasure`."""

    job: str
    connection: str
    agreement_id: str
    life: int
    cause: str
    plan: FrozenPlan
    state: ErasureState
    reason: str | None
    requested_at: datetime
    due_at: datetime
    erased_at: datetime | None
    attempts: int
    obligation: str | None
    receipt: Mapping[str, object] | None = field(repr=False)
    receipt_sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Erasures:
    """The erasure jobs within one transaction."""

    sql: Connection
    clock: Clock

    def open(
        self,
        connection_id: str,
        *,
        agreement_id: str,
        life: int,
        cause: str,
        plan: FrozenPlan,
        within: timedelta,
    ) -> str:
        """Open a job and return its id."""
        now, job = self.clock.now(), secrets.token_hex(8)
        self.sql.execute(
            insert(erasure).values(
                job=job,
                connection=connection_id,
                agreement_id=agreement_id,
                life=life,
                cause=cause,
                plan=_plan_document(plan),
                state=ErasureState.OPEN,
                requested_at=now,
                due_at=now + within,
                attempts=0,
                next_at=now,
            )
        )
        return job

    def due(self, *, only: str | None = None) -> list[ErasureJob]:
        """Return unfinished jobs whose pause is over; `only` those of one connection."""
        query = select(erasure).where(
            erasure.c.state != ErasureState.ERASED, erasure.c.next_at <= self.clock.now()
        )
        if only is not None:
            query = query.where(erasure.c.connection == only)
        return self._jobs(query.order_by(erasure.c.requested_at, erasure.c.job))

    def all(self) -> list[ErasureJob]:
        """Return every job, oldest first."""
        return self._jobs(select(erasure).order_by(erasure.c.requested_at, erasure.c.job))

    def unfinished(self) -> list[ErasureJob]:
        """Return the jobs that are not erased, oldest first."""
        return [job for job in self.all() if job.state is not ErasureState.ERASED]

    def of_agreement(self, connection_id: str, agreement_id: str) -> ErasureJob | None:
        """Return the latest whole erasure under an agreement, or None."""
        query = select(erasure).where(
            erasure.c.connection == connection_id, erasure.c.agreement_id == agreement_id
        )
        whole = [job for job in self._jobs(query.order_by(erasure.c.life)) if job.plan.is_whole]
        return whole[-1] if whole else None

    def confirmable(self) -> list[ErasureJob]:
        """Return jobs with an outcome that their obligation has not been told of."""
        query = select(erasure).where(
            erasure.c.obligation.is_not(None),
            erasure.c.receipt_sent_at.is_(None),
            erasure.c.state != ErasureState.OPEN,
        )
        return self._jobs(query.order_by(erasure.c.requested_at, erasure.c.job))

    def retry_later(self, job: ErasureJob, reason: str) -> None:
        """Note a failed attempt; the job stays open."""
        self._update(
            job.job,
            state=ErasureState.OPEN,
            reason=reason,
            attempts=job.attempts + 1,
            next_at=self.clock.now() + backoff(job.attempts),
        )

    def block(self, job: ErasureJob, reason: str) -> None:
        """Note that the CRM may not erase now, and why; a new reason is reported anew."""
        is_news = job.state is not ErasureState.BLOCKED or job.reason != reason
        self._update(
            job.job,
            state=ErasureState.BLOCKED,
            reason=reason,
            attempts=job.attempts + 1,
            next_at=self.clock.now() + backoff(job.attempts),
        )
        if is_news:
            self._update(job.job, receipt_sent_at=None)

    def finish(self, job: ErasureJob) -> None:
        """Note that the re-read found nothing left; whole contacts get their tombstone."""
        now = self.clock.now()
        self._update(
            job.job,
            state=ErasureState.ERASED,
            reason=None,
            erased_at=now,
            receipt_sent_at=None,
        )
        for target in job.plan.targets if job.plan.is_whole else ():
            values = {"connection": job.connection, "life": job.life, "job": job.job}
            put(self.sql, tombstone, values | {"key": target.key, "erased_at": now})

    def assign(self, job: ErasureJob, obligation: str, *, due_at: datetime) -> None:
        """Tie a job to the server's obligation; the earlier due date counts."""
        self._update(job.job, obligation=obligation, due_at=min(job.due_at, due_at))

    def put_sent(self, job: ErasureJob, receipt: Mapping[str, object]) -> None:
        """Note that this receipt was handed in."""
        self._update(job.job, receipt=dict(receipt), receipt_sent_at=self.clock.now())

    def retry_now(self) -> int:
        """Make every unfinished job due; return how many."""
        waiting = update(erasure).where(erasure.c.state != ErasureState.ERASED)
        return self.sql.execute(waiting.values(next_at=self.clock.now())).rowcount

    def _jobs(self, query: Select[*tuple[Any, ...]]) -> list[ErasureJob]:
        return [_job(row) for row in self.sql.execute(query)]

    def _update(self, job: str, **values: object) -> None:
        self.sql.execute(update(erasure).where(erasure.c.job == job).values(**values))


def _plan_document(plan: FrozenPlan) -> Mapping[str, object]:
    return {
        "mode": plan.mode,
        "is_whole": plan.is_whole,
        "targets": [
            {
                "crm": target.crm,
                "object": target.object,
                "key": target.key,
                "ref": target.ref,
                "fields": list(target.fields),
                "categories": dict(target.categories),
            }
            for target in plan.targets
        ],
    }


def _job(row: Row[tuple[object, ...]]) -> ErasureJob:
    plan = FrozenPlan(
        mode=row.plan["mode"],
        is_whole=row.plan["is_whole"],
        targets=tuple(Target(**target) for target in row.plan["targets"]),
    )
    return ErasureJob(
        job=row.job,
        connection=row.connection,
        agreement_id=row.agreement_id,
        life=row.life,
        cause=row.cause,
        plan=plan,
        state=ErasureState(row.state),
        reason=row.reason,
        requested_at=row.requested_at,
        due_at=row.due_at,
        erased_at=row.erased_at,
        attempts=row.attempts,
        obligation=row.obligation,
        receipt=row.receipt,
        receipt_sent_at=row.receipt_sent_at,
    )
