"""Tell the server, signed, what became of what a person shared (CON-G4)."""

from __future__ import annotations

from connector.clock import rfc3339
from connector.engine.context import Point, ReceiptSigner, RunContext
from connector.errors import ServerRefusedError
from connector.state.erasures import ErasureJob, ErasureState
from consent.formats import deletion_receipt
from consent.formats.deletion_receipt import DeletionFacts, Outcome


def hand_in(ctx: RunContext) -> None:
    """Hand in every receipt that is due; the server takes a repeated one as the same."""
    if ctx.signer is None:
        return
    with ctx.store.read() as state:
        jobs = state.erasures.confirmable()
    ctx.progress.begin("receipts", len(jobs))
    for job in jobs:
        ctx.renew()
        receipt = deletion_receipt.sign(
            deletion_receipt.build(_facts(job, ctx.signer)), ctx.signer.key, ctx.signer.kid
        )
        try:
            ctx.client.confirm(job.obligation or "", receipt)
        except ServerRefusedError:
            # The erasure stands all the same; the next run offers the receipt again.
            ctx.counts["receipts_refused"] += 1
            continue
        ctx.reach(Point.RECEIPT_SENT)
        with ctx.store.write(ctx.lease) as state:
            state.erasures.put_sent(job, receipt)
        ctx.counts["receipts"] += 1
        ctx.reach(Point.RECEIPT_NOTED)
        ctx.progress.step()


def _facts(job: ErasureJob, signer: ReceiptSigner) -> DeletionFacts:
    is_erased = job.state is ErasureState.ERASED and job.erased_at is not None
    items: dict[str, int] = {}
    for target in job.plan.targets:
        for category, count in target.categories.items():
            items[category] = items.get(category, 0) + count
    return DeletionFacts(
        connection=job.connection,
        agreement=job.agreement_id,
        requested_at=rfc3339(job.requested_at),
        erased_at=rfc3339(job.erased_at) if is_erased and job.erased_at else None,
        outcome=Outcome.ERASED if is_erased else Outcome.BLOCKED,
        reason=None if is_erased else job.reason,
        items=items,
        connector=signer.connector,
        verified_by_reread=is_erased,
    )
