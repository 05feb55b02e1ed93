"""Look up in the server's log what its answers named (P-33).

An entry that was never written leaves no gap in a log that never knew it; only whoever was told of
it can miss it. Entries get their place within seconds, so what one run was told of is looked up by
the next one. A stream's numbers have no gaps, so each look goes from the last number that was found
to the one that was named last. A finding stops nothing: what people decided is still carried out,
and `status` tells of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from connector.engine.context import RunContext
from connector.errors import AnswerRejectedError, LogProblemError, ServerRefusedError
from connector.state.logbook import CitedEntry, CitedStream
from consent.formats.errors import FormatError
from consent.formats.leaf import PublicPart
from consent.formats.stream_page import StreamPage

MERGE_DELAY = timedelta(minutes=10)  # an entry that waits longer for the tree is missing
READ = "data.read"


def look_up(ctx: RunContext) -> None:
    """Look up every entry that was named and not found yet."""
    if not ctx.log_keys:
        return
    with ctx.store.read() as state:
        waiting = state.logbook.waiting()
    ctx.progress.begin("log", len(waiting))
    for cited in waiting:
        ctx.renew()
        try:
            _look_up(ctx, cited)
        except (LogProblemError, AnswerRejectedError, ServerRefusedError) as error:
            _note_problem(ctx, cited, str(error)[:200])
        ctx.progress.step()


def _look_up(ctx: RunContext, cited: CitedStream) -> None:
    after, has_more = cited.verified_seq, True
    with ctx.store.read() as state:
        named = state.logbook.entries(cited.stream)
    while has_more and after < cited.seq:
        page = _page(ctx, cited.stream, after)
        _require_reads(ctx, cited.stream, named, (entry.event.pub for entry in page.entries))
        through = after + page.numbers
        has_more = page.has_more and through > after
        if through > after:
            with ctx.store.write(ctx.lease) as state:
                state.logbook.note_held(cited.stream, through=through)
            ctx.counts["log_entries"] += through - after
        after = through
    overdue = ctx.clock.now() - MERGE_DELAY
    late = next((entry for entry in named if entry.seq > after and entry.seen_at < overdue), None)
    if late is not None:
        raise LogProblemError(f"{cited.stream}/{late.seq} is not in the log after 10 minutes")


def _page(ctx: RunContext, stream: str, after: int) -> StreamPage:
    """Read a page, verify it under the pinned keys, and keep its tree."""
    with ctx.store.read() as state:
        known = state.logbook.checkpoint(ctx.log_keys[0].name)
    page = ctx.client.log_entries(stream, after=after, size=0 if known is None else known.size)
    try:
        verified = page.verify(stream=stream, after=after, log_keys=ctx.log_keys, known=known)
    except FormatError as error:
        raise LogProblemError(str(error)) from error
    with ctx.store.write(ctx.lease) as state:
        state.logbook.note_checkpoint(verified, note=page.checkpoint)
    return page


def _require_reads(
    ctx: RunContext, stream: str, named: Iterable[CitedEntry], parts: Iterable[PublicPart]
) -> None:
    """Compare each entry that was named with the answer that named it."""
    counts = {entry.seq: entry.count for entry in named}
    for part in parts:
        told = (part.event, part.client, part.count)
        if part.seq in counts and told != (READ, ctx.client.client_id, counts[part.seq]):
            raise LogProblemError(f"{stream}/{part.seq} tells of something else than our read")


def _note_problem(ctx: RunContext, cited: CitedStream, problem: str) -> None:
    with ctx.store.write(ctx.lease) as state:
        state.logbook.note_problem(cited.stream, problem)
        if cited.problem != problem:
            state.audit.append("log.problem", "", {"stream": cited.stream, "problem": problem})
    ctx.counts["log_problems"] += 1
