"""Carry out erasures and make sure by reading again (CON-G4)."""

from __future__ import annotations

from dataclasses import dataclass

from connector.crm.base import Blocked, CrmRef, ErasePlan, Retry
from connector.engine.context import Pace, Point, RunContext
from connector.errors import CrmRefusedError, CrmUnavailableError
from connector.state.erasures import ErasureJob, ErasureState, Target


@dataclass(frozen=True, slots=True)
class _Result:
    """How an attempt ended; `reason` is a code, None when nothing is left."""

    state: ErasureState
    reason: str | None = None


def erase_due(ctx: RunContext) -> None:
    """Attempt every unfinished job; one that fails does not stop the others."""
    with ctx.store.read() as state:
        jobs = state.erasures.due(only=ctx.only)
    ctx.progress.begin("erasures", len(jobs))
    pace = Pace(ctx.policy.erase_per_second, ctx.clock)
    for job in jobs:
        ctx.renew()
        pace.wait()
        try:
            result = _attempt(ctx, job)
        except (CrmUnavailableError, CrmRefusedError) as error:
            result = _Result(ErasureState.OPEN, error.code.replace("-", "_"))
        _note(ctx, job, result)
        ctx.progress.step()


def _attempt(ctx: RunContext, job: ErasureJob) -> _Result:
    results = [_erase_target(ctx, job, target) for target in job.plan.targets]
    for state in (ErasureState.OPEN, ErasureState.BLOCKED):
        for result in results:
            if result.state is state:
                return result
    return _Result(ErasureState.ERASED)


def _erase_target(ctx: RunContext, job: ErasureJob, target: Target) -> _Result:
    plan = ErasePlan(
        "anonymise" if job.plan.mode == "anonymise" else "erase", job.plan.is_whole, target.fields
    )
    for ref in _refs(ctx, target):
        ctx.reach(Point.BEFORE_ERASE)
        outcome = ctx.crm.erase(ref, plan)
        ctx.reach(Point.ERASE_SENT)
        if isinstance(outcome, Blocked):
            return _Result(ErasureState.BLOCKED, outcome.reason)
        if isinstance(outcome, Retry):
            return _Result(ErasureState.OPEN, "crm_busy")
        if ctx.crm.verify_erased(ref, plan):
            return _Result(ErasureState.OPEN, "residue")
    ctx.reach(Point.ERASE_VERIFIED)
    return _Result(ErasureState.ERASED)


def _refs(ctx: RunContext, target: Target) -> list[CrmRef]:
    """Find the contact by the link and by its key: either may be missing after a crash."""
    found = ctx.crm.find_by_key(target.object, [target.key], fields=())
    refs = {record.ref for record in found.values()}
    if target.ref is not None:
        refs.add(CrmRef(target.object, target.ref))
    return sorted(refs, key=lambda ref: ref.id)


def _note(ctx: RunContext, job: ErasureJob, result: _Result) -> None:
    with ctx.store.write(ctx.lease) as state:
        if result.state is ErasureState.ERASED:
            state.erasures.finish(job)
            for target in () if job.plan.is_whole else job.plan.targets:
                state.links.remove_fields(
                    job.connection, crm=target.crm, obj=target.object, fields=target.fields
                )
        elif result.state is ErasureState.BLOCKED:
            state.erasures.block(job, result.reason or "blocked")
        else:
            state.erasures.retry_later(job, result.reason or "crm_busy")
        detail = {"job": job.job, "state": result.state, "reason": result.reason}
        state.audit.append("erasure.attempted", job.connection, detail)
    ctx.counts[result.state] += 1
    ctx.reach(Point.ERASE_NOTED)
