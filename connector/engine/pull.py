"""Learn who changed: local expiry, the feed, the terms of each consent, and what is owed.

Nothing here trusts the order of the feed: a line only says whom to look at. The one exception is
an ending, which is acted upon at once.
"""

from __future__ import annotations

from connector.engine import endings
from connector.engine.context import Point, RunContext
from connector.errors import (
    AnswerRejectedError,
    ConsentEndedError,
    ConsentSuspendedError,
    CursorExpiredError,
    ServerRefusedError,
    TokenInvalidError,
)
from connector.pds import models
from connector.state.connections import KnownConnection
from connector.state.store import StateTransaction


def expire(ctx: RunContext) -> None:
    """End what is over by its own date, whether or not the server can be reached."""
    with ctx.store.write(ctx.lease) as state:
        for known in state.connections.expired(ctx.clock.now()):
            endings.end(ctx, state, known, models.ConnectionState.EXPIRED)
    ctx.reach(Point.EXPIRED)


def pull(ctx: RunContext) -> None:
    """Read the feed to its end; list everything where it no longer reaches back (CON-32)."""
    with ctx.store.read() as state:
        position = state.queue.position()
    ctx.progress.begin("changes", 0)
    if position is None:
        list_all(ctx)
        return
    try:
        has_more, directory = True, _Directory()
        while has_more:
            page = ctx.client.changes(after=position)
            ctx.reach(Point.PAGE_READ)
            _queue_page(ctx, page, directory)
            ctx.reach(Point.PAGE_QUEUED)
            position, has_more = page.last, page.has_more
    except CursorExpiredError:
        list_all(ctx)


def list_all(ctx: RunContext) -> None:
    """List every connection, queue the living ones, and set the cursor last of all.

    The cursor becomes the highest number on the *first* page: whatever changed while later pages
    were read has a higher one and comes again with the feed.
    """
    position: int | None = None
    listed: set[str] = set()
    for page in ctx.client.connections():
        if position is None:
            position = max((item.feed for item in page), default=0)
        ctx.reach(Point.PAGE_READ)
        with ctx.store.write(ctx.lease) as state:
            for item in page:
                _take_over(ctx, state, item)
        ctx.reach(Point.PAGE_QUEUED)
        listed |= {item.id for item in page}
        ctx.progress.step(len(page))
    with ctx.store.read() as state:
        alive = [known for known in state.connections.all() if not _is_ended(known)]
    for known in alive:
        if known.id not in listed:
            _confirm_gone(ctx, known)
    with ctx.store.write(ctx.lease) as state:
        state.queue.mark_all_active()
        state.queue.advance(position or 0)


def refresh_terms(ctx: RunContext) -> None:
    """Ask what each consent of unsure terms allows now."""
    with ctx.store.read() as state:
        stale = state.connections.stale()
    ctx.progress.begin("terms", len(stale))
    for known in stale:
        ctx.renew()
        refresh(ctx, known)
        ctx.progress.step()


def refresh(ctx: RunContext, known: KnownConnection) -> None:
    """Ask what one consent allows now, and act on it: end, narrow, pause or confirm."""
    with ctx.store.read() as state:
        refresh_token = state.connections.refresh_token(known.grant_id)
    if refresh_token is None:
        return
    checked_at = ctx.clock.now()
    try:
        grant = ctx.client.grant(known.grant_id, refresh_token=refresh_token, connection=known.id)
    except ConsentEndedError as error:
        end_by_problem(ctx, known, error)
        return
    except ConsentSuspendedError:
        return  # its terms stay unsure, so nothing is written, and the next run asks again
    except (ServerRefusedError, AnswerRejectedError) as error:
        reject_answer(ctx, known, error)
        return
    ctx.reach(Point.TERMS_READ)
    with ctx.store.write(ctx.lease) as state:
        _note_terms(ctx, state, known, grant)
        if grant.usable:
            state.connections.put_checked(known.id, checked_at=checked_at)
    ctx.reach(Point.TERMS_NOTED)


def pull_obligations(ctx: RunContext) -> None:
    """Tie what the server says is owed to erasure jobs; open those that are missing."""
    for obligation in ctx.client.obligations():
        if obligation.kind != "delete":
            continue
        with ctx.store.write(ctx.lease) as state:
            _owe(ctx, state, obligation)
    ctx.reach(Point.OBLIGATIONS_NOTED)


def end_by_problem(ctx: RunContext, known: KnownConnection, error: ConsentEndedError) -> None:
    """End a connection because the server refused with a final reason."""
    with ctx.store.write(ctx.lease) as state:
        endings.end(ctx, state, known, models.ENDED_PROBLEMS[error.problem])


def reject_answer(
    ctx: RunContext, known: KnownConnection, error: ServerRefusedError | AnswerRejectedError
) -> None:
    """List a connection whose answer cannot be used; the others go on (CON-19).

    A token that is no longer taken is no ending: only the state of the consent is.
    """
    if isinstance(error, TokenInvalidError):
        message = "the server does not take our token: connect this person again"
    elif isinstance(error, ServerRefusedError):
        message = f"the server refused: {error.status} {error.problem}"[:200]
    else:
        message = str(error)[:200]
    with ctx.store.write(ctx.lease) as state:
        state.queue.reject(known.id, field="", error_class=error.code, message=message)
        state.queue.postpone(known.id)
    ctx.counts["rejected"] += 1


def _queue_page(ctx: RunContext, page: models.ChangePage, directory: _Directory) -> None:
    """Act on a page's endings, look up the rest, then queue it and move the cursor.

    The cursor moves in the transaction that queues (CON-G1). Endings come first, because the list
    may already show the consent that came after one.
    """
    with ctx.store.write(ctx.lease) as state:
        for change in page.changes:
            known = state.connections.find(change.connection)
            if known is not None and _is_news(change, known) and _ends(change):
                endings.end(ctx, state, known, change.state)
                state.connections.put_consent_feed(known.id, change.feed)
    directory.take_over(ctx, page)
    with ctx.store.write(ctx.lease) as state:
        for change in page.changes:
            known = state.connections.find(change.connection)
            if known is not None and not _is_ended(known) and not _ends(change):
                state.queue.mark(known.id)
        state.queue.advance(page.last)
    ctx.counts["changes"] += len(page.changes)
    ctx.progress.step(len(page.changes))


class _Directory:
    """The list of connections, read at most once for each page of the feed, and only if needed.

    The feed names a connection and its state; grant, agreement and expiry stand in the list only.
    """

    def __init__(self) -> None:
        self._listed: dict[str, models.Connection] = {}

    def take_over(self, ctx: RunContext, page: models.ChangePage) -> None:
        """Take over what the list says of the connections whose consent moved on this page."""
        with ctx.store.read() as state:
            moved = [
                change
                for change in page.changes
                if not _ends(change)
                and _needs_listing(change, state.connections.find(change.connection))
            ]
        if any(self._feed(change.connection) < change.feed for change in moved):
            self._listed = {item.id: item for listed in ctx.client.connections() for item in listed}
        with ctx.store.write(ctx.lease) as state:
            for connection_id in sorted({change.connection for change in moved}):
                if connection_id in self._listed:
                    _take_over(ctx, state, self._listed[connection_id])
                    state.connections.mark_stale(connection_id)

    def _feed(self, connection_id: str) -> int:
        listed = self._listed.get(connection_id)
        return -1 if listed is None else listed.feed


def _ends(change: models.Change) -> bool:
    return change.state in models.ENDED_STATES


def _is_news(change: models.Change, known: KnownConnection) -> bool:
    return change.feed > known.consent_feed


def _needs_listing(change: models.Change, known: KnownConnection | None) -> bool:
    if known is None:
        return True
    return _is_news(change, known) and (change.kind != "data" or change.state != known.state)


def _take_over(ctx: RunContext, state: StateTransaction, listed: models.Connection) -> None:
    known = state.connections.find(listed.id)
    is_over = listed.state in models.ENDED_STATES or listed.expires_at <= ctx.clock.now()
    if known is None:
        state.connections.put_listed(listed)
    elif is_over:
        cause = listed.state if listed.state in models.ENDED_STATES else "expired"
        endings.end(ctx, state, known, cause)
        return
    else:
        state.connections.put_listed(listed)
    if listed.state == models.ConnectionState.ACTIVE and not is_over:
        state.queue.mark(listed.id)


def _confirm_gone(ctx: RunContext, known: KnownConnection) -> None:
    """End a connection that the list no longer names, unless its grant still answers.

    Two signs are asked for, because a list that is wrongly empty would erase everyone.
    """
    with ctx.store.read() as state:
        refresh_token = state.connections.refresh_token(known.grant_id)
    if refresh_token is not None:
        try:
            ctx.client.grant(known.grant_id, refresh_token=refresh_token)
        except ServerRefusedError:
            pass
        else:
            raise AnswerRejectedError("the list lacks a connection whose grant still answers")
    with ctx.store.write(ctx.lease) as state:
        endings.end(ctx, state, known, models.ConnectionState.TERMINATED)


def _note_terms(
    ctx: RunContext, state: StateTransaction, known: KnownConnection, grant: models.Grant
) -> None:
    current = state.connections.find(known.id)
    if current is None or _is_ended(current):
        return
    if grant.state in models.ENDED_STATES:
        endings.end(ctx, state, current, grant.state)
    elif not grant.usable:
        # Where the state itself is active, such as with a used-up limit, the next run asks again.
        state.connections.put_state(known.id, grant.state)
    else:
        removed = (current.attributes or frozenset()) - grant.attributes
        if removed:
            endings.narrow(ctx, state, current, removed)
        state.connections.put_grant(current, grant)
        state.queue.mark(known.id)


def _owe(ctx: RunContext, state: StateTransaction, obligation: models.Obligation) -> None:
    job = state.erasures.of_agreement(obligation.connection, obligation.agreement_id)
    if job is None:
        known = state.connections.find(obligation.connection)
        if known is not None and not _is_ended(known):
            endings.end_unnoticed(ctx, state, known, agreement_id=obligation.agreement_id)
        else:
            endings.owe(ctx, state, obligation, known)
        job = state.erasures.of_agreement(obligation.connection, obligation.agreement_id)
    if job is not None and job.obligation is None:
        state.erasures.assign(job, obligation.id, due_at=obligation.due_at)


def _is_ended(known: KnownConnection) -> bool:
    return known.state in models.ENDED_STATES
