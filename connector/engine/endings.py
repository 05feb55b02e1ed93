"""What happens when a consent ends or shrinks: one transaction, before anything else (CON-31)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from connector.engine.context import RunContext
from connector.mapping.rules import touched_by
from connector.pds import models
from connector.state.connections import KnownConnection
from connector.state.erasures import FrozenPlan, Target
from connector.state.links import LedgerLine
from connector.state.store import StateTransaction


def end(ctx: RunContext, state: StateTransaction, known: KnownConnection, cause: str) -> None:
    """Close a life of a connection: void its planned work and open the erasure of all it wrote.

    Repeating it changes nothing. The contact's key goes into the plan even where no link is known:
    a run may have died between creating the contact and noting it.
    """
    current = state.connections.find(known.id)
    if current is None or current.state in models.ENDED_STATES:
        return
    _open_whole(ctx, state, current, agreement_id=current.agreement.id, cause=cause)
    state.connections.end(current, cause)
    ctx.counts["ended"] += 1


def end_unnoticed(
    ctx: RunContext, state: StateTransaction, known: KnownConnection, *, agreement_id: str
) -> None:
    """Close the life of a connection that has since been agreed anew; the new one starts over."""
    _open_whole(ctx, state, known, agreement_id=agreement_id, cause="superseded")
    state.connections.begin_life(known)
    state.queue.mark(known.id)
    ctx.counts["ended"] += 1


def owe(
    ctx: RunContext,
    state: StateTransaction,
    obligation: models.Obligation,
    known: KnownConnection | None,
) -> None:
    """Open an erasure for an obligation about contacts that we do not know of (any more).

    Every key that this connection ever had is looked for, so that a store restored from an old
    backup still finds its contacts.
    """
    lives = range(1, 2 if known is None else known.life + 1)
    targets = [
        _target(ctx, ctx.store.keys.contact_key(obligation.connection, life=n)) for n in lives
    ]
    state.erasures.open(
        obligation.connection,
        agreement_id=obligation.agreement_id,
        life=lives[-1],
        cause="obligation",
        plan=FrozenPlan(ctx.policy.on_end, is_whole=True, targets=targets),
        within=ctx.policy.erase_within,
    )


def narrow(
    ctx: RunContext, state: StateTransaction, known: KnownConnection, removed: frozenset[str]
) -> None:
    """Open the erasure of the fields that came from attributes no longer agreed (CON-G6)."""
    touched = {rule.field for rule in touched_by(ctx.rules, removed)}
    targets = []
    for link in state.links.of(known.id):
        ledger = state.links.ledger(known.id, crm=link.crm, obj=link.object)
        lines = [line for line in ledger.values() if line.field in touched]
        if lines:
            targets.append(_target(ctx, link.key, ref=link.ref, lines=lines))
    if not targets:
        return
    state.erasures.open(
        known.id,
        agreement_id=known.agreement.id,
        life=known.life,
        cause="narrowed",
        plan=FrozenPlan(ctx.policy.on_end, is_whole=False, targets=targets),
        within=ctx.policy.erase_within,
    )
    state.audit.append("consent.narrowed", known.id, {"attributes": sorted(removed)})
    ctx.counts["narrowed"] += 1


def _open_whole(
    ctx: RunContext,
    state: StateTransaction,
    known: KnownConnection,
    *,
    agreement_id: str,
    cause: str,
) -> None:
    links = state.links.of(known.id)
    targets = [
        _target(
            ctx,
            link.key,
            ref=link.ref,
            lines=state.links.ledger(known.id, crm=link.crm, obj=link.object).values(),
        )
        for link in links
    ] or [_target(ctx, ctx.store.keys.contact_key(known.id, life=known.life))]
    job = state.erasures.open(
        known.id,
        agreement_id=agreement_id,
        life=known.life,
        cause=cause,
        plan=FrozenPlan(ctx.policy.on_end, is_whole=True, targets=targets),
        within=ctx.policy.erase_within,
    )
    # The job has taken the contact over; a later life begins without it.
    state.links.remove(known.id)
    state.queue.forget(known.id)
    state.audit.append("consent.ended", known.id, {"cause": cause, "job": job})


def _target(
    ctx: RunContext, key: str, *, ref: str | None = None, lines: Iterable[LedgerLine] = ()
) -> Target:
    written = list(lines)
    return Target(
        crm=ctx.crm_name,
        object=ctx.obj,
        key=key,
        ref=ref,
        fields=[line.field for line in written],
        categories=dict(Counter(line.category for line in written)),
    )
