"""Fetch, plan, fence, write, note: for each queued connection, in batches.

A person's values are in memory for the length of one batch and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from connector.crm.base import (
    CrmRecord,
    CrmRef,
    Duplicate,
    Outcome,
    Rejected,
    Retry,
    Stale,
    Upsert,
    Written,
)
from connector.engine import pull
from connector.engine.context import Pace, Point, RunContext
from connector.engine.plan import Candidate, Plan, ledger_lines, make_plan
from connector.errors import (
    AnswerRejectedError,
    BatchRefusedError,
    ConsentEndedError,
    ConsentSuspendedError,
    ServerRefusedError,
    TooManyRejectsError,
)
from connector.mapping.rules import apply_rules
from connector.pds.models import Snapshot
from connector.state.connections import KnownConnection
from connector.state.links import Link
from connector.state.queue import DirtyConnection
from connector.state.store import StateTransaction

PASSES = 3  # a duplicate becomes an update, a stale row is read again; then the next run goes on
REJECTS_MINIMUM = 10  # below so many rows a share of rejects says nothing about the mapping


def apply_due(ctx: RunContext, *, is_dry: bool) -> list[Plan]:
    """Apply what is queued; with `is_dry`, plan it and write nothing to the CRM."""
    with ctx.store.read() as state:
        due = state.queue.due(only=ctx.only)
    ctx.progress.begin("contacts", len(due))
    pace = Pace(ctx.policy.per_second, ctx.clock)
    plans: list[Plan] = []
    size = ctx.crm.capabilities.max_batch
    for start in range(0, len(due), size):
        ctx.renew()
        batch = due[start : start + size]
        candidates = [candidate for item in batch for candidate in _fetch(ctx, item)]
        ctx.reach(Point.SNAPSHOT_READ)
        if is_dry:
            plans += _plans(ctx, candidates)
        else:
            plans += _apply(ctx, candidates, pace)
            _stop_if_hopeless(ctx)
        ctx.progress.step(len(batch))
    return plans


def _fetch(ctx: RunContext, item: DirtyConnection) -> list[Candidate]:
    """Read a person's present snapshot; none where there is nothing to write now."""
    ctx.renew()
    with ctx.store.read() as state:
        known = state.connections.find(item.connection)
    if known is None or not _may_write(ctx, known):
        _postpone(ctx, item.connection)  # until something makes it due again
        return []
    snapshot = _snapshot(ctx, known)
    if snapshot is not None and not _same_terms(known, snapshot):
        # The agreement moved between the feed and now: learn its terms before using the answer.
        pull.refresh(ctx, known)
        with ctx.store.read() as state:
            known = state.connections.find(item.connection) or known
    if snapshot is None or not _may_write(ctx, known) or not _same_terms(known, snapshot):
        return []
    return [_candidate(ctx, known, item, snapshot)]


def _snapshot(ctx: RunContext, known: KnownConnection) -> Snapshot | None:
    with ctx.store.read() as state:
        refresh_token = state.connections.refresh_token(known.grant_id)
    if refresh_token is None:
        return None
    checked_at = ctx.clock.now()
    try:
        snapshot = ctx.client.snapshot(
            known.grant_id,
            refresh_token=refresh_token,
            agreement=known.agreement,
            terms=known.terms,
        )
        with ctx.store.write(ctx.lease) as state:
            state.logbook.cite(
                snapshot.log_entries, seen_at=checked_at, latest_only=not ctx.log_keys
            )
            state.connections.put_checked(known.id, checked_at=checked_at)
    except ConsentEndedError as error:
        pull.end_by_problem(ctx, known, error)
        return None
    except ConsentSuspendedError:
        with ctx.store.write(ctx.lease) as state:
            state.queue.postpone(known.id)
        return None
    except (ServerRefusedError, AnswerRejectedError) as error:
        pull.reject_answer(ctx, known, error)
        return None
    return snapshot


def _candidate(
    ctx: RunContext, known: KnownConnection, item: DirtyConnection, snapshot: Snapshot
) -> Candidate:
    with ctx.store.read() as state:
        links = [link for link in state.links.of(known.id) if link.object == ctx.obj]
        ledger = state.links.ledger(known.id, crm=ctx.crm_name, obj=ctx.obj)
    key = ctx.store.keys.contact_key(known.id, life=known.life)
    return Candidate(
        known=known,
        mark=item.mark,
        mapped=apply_rules(ctx.rules, snapshot),
        key=links[0].key if links else key,
        link=links[0] if links else None,
        ledger=ledger,
    )


def _plans(ctx: RunContext, candidates: Sequence[Candidate]) -> list[Plan]:
    """Read the contacts and compare; nothing is written."""
    fields = {rule.field for rule in ctx.rules}
    for candidate in candidates:
        fields |= set(candidate.ledger)
    records = _records(ctx, candidates, sorted(fields))
    plans = [
        make_plan(candidate, records.get(candidate.key), keys=ctx.store.keys)
        for candidate in candidates
    ]
    ctx.reach(Point.PLANNED)
    return plans


def _records(
    ctx: RunContext, candidates: Sequence[Candidate], fields: Sequence[str]
) -> Mapping[str, CrmRecord]:
    """Find contacts by link, and by key where there is no link or it leads nowhere."""
    linked = {
        CrmRef(ctx.obj, candidate.link.ref): candidate.key
        for candidate in candidates
        if candidate.link is not None
    }
    found: dict[str, CrmRecord] = {}
    if linked:
        read = ctx.crm.read(list(linked), fields=fields)
        found = {linked[ref]: record for ref, record in read.items() if record is not None}
    missing = [candidate.key for candidate in candidates if candidate.key not in found]
    if missing:
        found |= ctx.crm.find_by_key(ctx.obj, missing, fields=fields)
    return found


def _apply(ctx: RunContext, candidates: Sequence[Candidate], pace: Pace) -> list[Plan]:
    done: list[Plan] = []
    pending = list(candidates)
    for _ in range(PASSES):
        plans = _plans(ctx, pending) if pending else []
        pending = []
        for plan in plans:
            if plan.action == "noop":
                _note(ctx, plan, plan.record)
                done.append(plan)
        writes = [plan for plan in plans if plan.action != "noop"]
        for plan, outcome in _send(ctx, writes, pace):
            if isinstance(outcome, Duplicate | Stale):
                pending.append(plan.candidate)
            else:
                _settle(ctx, plan, outcome)
                done.append(plan)
    for candidate in pending:
        _postpone(ctx, candidate.known.id)
    return done


def _passes_fence(ctx: RunContext, plan: Plan) -> bool:
    """Ask, immediately before a write, whether it is still consented (CON-G3).

    What does not pass stays queued: the next run plans it anew, or its consent is over.
    """
    planned = plan.candidate.known
    with ctx.store.read() as state:
        now = state.connections.find(planned.id)
        if now is None or state.links.is_buried(plan.candidate.key):
            return False
    if not _is_fresh(ctx, now):
        pull.refresh(ctx, now)
        with ctx.store.read() as state:
            now = state.connections.find(planned.id) or now
    return (
        now.epoch == planned.epoch
        and now.life == planned.life
        and _may_write(ctx, now)
        and _is_fresh(ctx, now)
    )


def _send(ctx: RunContext, plans: Sequence[Plan], pace: Pace) -> Iterable[tuple[Plan, Outcome]]:
    """Write a batch; where it is refused whole, halve it until the row at fault stands alone."""
    pace.wait(len(plans))
    consented = [plan for plan in plans if _passes_fence(ctx, plan)]
    if not consented:
        return
    ctx.reach(Point.FENCED)
    ctx.renew()  # who slept through the lease would write over what the next run wrote
    try:
        outcomes = ctx.crm.upsert([_row(plan, ctx.obj) for plan in consented])
    except BatchRefusedError:
        if len(consented) == 1:
            yield consented[0], Rejected("", "the CRM refuses this row")
            return
        middle = len(consented) // 2
        yield from _send(ctx, consented[:middle], pace)
        yield from _send(ctx, consented[middle:], pace)
        return
    ctx.reach(Point.WRITE_SENT)
    yield from zip(consented, outcomes, strict=True)


def _row(plan: Plan, obj: str) -> Upsert:
    record = plan.record
    return Upsert(
        object=obj,
        key=plan.candidate.key,
        ref=None if record is None else record.ref,
        values=plan.values,
        clear=plan.clear,
        version=None if record is None else record.version,
    )


def _settle(ctx: RunContext, plan: Plan, outcome: Outcome) -> None:
    if isinstance(outcome, Written):
        ctx.counts["created" if outcome.is_new else "updated"] += 1
        _note(ctx, plan, outcome.record)
    elif isinstance(outcome, Rejected):
        _reject(ctx, plan.candidate, outcome)
    elif isinstance(outcome, Retry):
        _postpone(ctx, plan.candidate.known.id, for_seconds=outcome.after_seconds)


def _note(ctx: RunContext, plan: Plan, record: CrmRecord | None) -> None:
    """Note link, ledger and the finished queue entry in one transaction (CON-34)."""
    candidate = plan.candidate
    with ctx.store.write(ctx.lease) as state:
        if record is not None:
            _note_contact(ctx, state, plan, record)
        state.queue.clear(candidate.known.id, mark=candidate.mark)
        problem = next(iter(candidate.mapped.invalid), None)
        if problem is None:
            state.queue.accept(candidate.known.id)
        else:
            state.queue.reject(
                candidate.known.id,
                field=problem.field,
                error_class="invalid-value",
                message=problem.problem,
            )
            ctx.counts["rejected"] += 1
    ctx.counts["applied"] += 1
    ctx.reach(Point.WRITE_NOTED)


def _note_contact(ctx: RunContext, state: StateTransaction, plan: Plan, record: CrmRecord) -> None:
    known, key = plan.candidate.known, plan.candidate.key
    link = Link(known.id, ctx.crm_name, ctx.obj, record.ref.id, key, known.life)
    lines = ledger_lines(plan, record, keys=ctx.store.keys)
    state.links.put(link, lines, cleared=plan.clear)
    if plan.action != "noop":
        detail = {"action": plan.action, "overwritten": plan.overwritten}
        state.audit.append("contact.written", known.id, detail)


def _reject(ctx: RunContext, candidate: Candidate, outcome: Rejected) -> None:
    """List a rejected row; the list refers to the connection, and a retry reads anew (CON-35)."""
    with ctx.store.write(ctx.lease) as state:
        state.queue.clear(candidate.known.id, mark=candidate.mark)
        state.queue.reject(
            candidate.known.id,
            field=outcome.field,
            error_class="crm-rejected",
            message=outcome.message,
        )
    ctx.counts["rejected"] += 1
    ctx.counts["applied"] += 1


def _postpone(ctx: RunContext, connection_id: str, *, for_seconds: float | None = None) -> None:
    with ctx.store.write(ctx.lease) as state:
        state.queue.postpone(connection_id, for_seconds=for_seconds)
    ctx.counts["postponed"] += 1


def _stop_if_hopeless(ctx: RunContext) -> None:
    applied, rejected = ctx.counts["applied"], ctx.counts["rejected"]
    if applied >= REJECTS_MINIMUM and rejected > applied * ctx.policy.max_reject_ratio:
        raise TooManyRejectsError(f"{rejected} of {applied} rows were rejected: check the mapping")


def _may_write(ctx: RunContext, known: KnownConnection) -> bool:
    return known.is_active and not known.is_stale and known.expires_at > ctx.clock.now()


def _is_fresh(ctx: RunContext, known: KnownConnection) -> bool:
    checked_at = known.checked_at
    return checked_at is not None and ctx.clock.now() - checked_at < ctx.policy.consent_ttl


def _same_terms(known: KnownConnection, snapshot: Snapshot) -> bool:
    ours, theirs = known.agreement, snapshot.agreement
    return (ours.id, ours.version) == (theirs.id, theirs.version)
