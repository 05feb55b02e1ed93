"""Tell the server, signed, what became of what a person shared (CON-G4)."""

from __future__ import annotations

from datetime import datetime

from connector.clock import rfc3339
from connector.engine.context import Point, ReceiptSigner, RunContext
from connector.errors import NotOwedError, ServerRefusedError
from connector.pds.client import PDSClient
from connector.state.erasures import ErasureJob, ErasureState
from consent.formats import deletion_receipt, obligation_answer
from consent.formats.deletion_receipt import DeletionFacts, Outcome
from consent.formats.errors import MalformedError
from consent.formats.obligation_answer import AnswerFacts, Kind
from consent.formats.obligation_answer import Outcome as Answered


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


def answer(
    client: PDSClient,
    signer: ReceiptSigner | None,
    obligation: str,
    *,
    ground: str | None,
    now: datetime,
) -> None:
    """Answer an obligation other than to delete (CM-7).

    Args:
        client: of the organisation.
        signer: its key.
        obligation: an id that `client.obligations` lists.
        ground: code of the legal ground not to do it; None: it is done.
        now: the instant.

    Raises:
        NotOwedError: it is not due, is a deletion, the ground is no code, or there is no key.
    """
    owed = next((each for each in client.obligations() if each.id == obligation), None)
    if owed is None:
        raise NotOwedError("nothing is due by that id: see `obligations list`")
    if owed.kind not in {*Kind}:
        raise NotOwedError("a deletion is answered by `run`, which erases and reads again")
    if signer is None:
        raise NotOwedError("an Ed25519 key is needed to sign the answer")
    facts = AnswerFacts(
        obligation=owed.id,
        agreement=owed.agreement_id,
        kind=Kind(owed.kind),
        outcome=Answered.DONE if ground is None else Answered.RETAINED,
        reason=ground,
        answered_at=rfc3339(now),
    )
    try:
        built = obligation_answer.build(facts)
    except MalformedError as error:
        raise NotOwedError(str(error)) from error
    client.confirm(owed.id, obligation_answer.sign(built, signer.key, signer.kid))


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
