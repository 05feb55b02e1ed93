"""What must hold of tokens at every instant: they open nothing that has ended (CM-9, CM-13)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, and_, or_, select

from api.oauth.models import Token
from consent.invariants.check import INVARIANTS, Invariant
from consent.invariants.scope import Broken, Scope, broken, within
from consent.models import Agreement, Grant
from consent.vocabulary import LIVE_GRANT_STATES, AgreementState
from pds import keys
from pds.keys import HeldKey

_AT_ONCE = 500  # parameters of one statement
_Known = Row[int, UUID, str, UUID | None, datetime | None, str, str]


_STRAYS = (
    select(Token.selector, Token.kind, Token.grant_id)
    .outerjoin(Grant, and_(Grant.bucket == Token.bucket, Grant.id == Token.grant_id))
    .where(
        within(Token.bucket),
        Token.grant_id.is_not(None),
        or_(Grant.id.is_(None), Grant.client_id != Token.client_id),
    )
)


def token_is_of_its_grant(scope: Scope) -> Iterator[Broken]:
    """A token names a grant of its client; or none, and opens no data (TAK-36)."""
    for selector, kind, grant_id in scope.rows(_STRAYS):
        detail = f"the grant of this {kind} is missing, or another client's"
        yield broken(detail, token=selector, grant=grant_id)


def token_opens_nothing_ended(scope: Scope) -> Iterator[Broken]:
    """No token holds the key of a grant that has ended, or whose agreement has (CM-9)."""
    for held, token in _held_by_tokens(scope):
        if token is None or token.grant_state is None:
            continue  # that it holds a key at all is another rule's
        lives = token.grant_state in LIVE_GRANT_STATES and token.agreement_state is not None
        if not lives or AgreementState(token.agreement_state).is_terminal:
            yield broken(
                f"a usable {token.kind} under a grant that is {token.grant_state} and an agreement"
                f" that is {token.agreement_state}",
                token=token.selector,
                grant=held.wrapped_id,
            )


def held_key_has_its_token(scope: Scope) -> Iterator[Broken]:
    """A key under a token's is under that of a token of the same grant, not spent, not swept.

    A code loses its wrap as it is redeemed; what ran out before the last sweep is gone (P-15).
    """
    for held, token in _held_by_tokens(scope):
        objection = ""
        if token is None:
            objection = "there is no such token"
        elif str(token.grant_id) != held.wrapped_id:
            objection = f"the {token.kind} is of another grant"
        elif token.consumed_at is not None:
            objection = f"the {token.kind} is spent"
        elif held.expires_at is None:
            objection = f"the wrap of this {token.kind} never runs out"
        if not objection and scope.swept_until and held.expires_at:
            objection = (
                "it ran out and was not swept" if held.expires_at < scope.swept_until else ""
            )
        if objection:
            yield broken(objection, token=held.by_id, wrapped=f"grant {held.wrapped_id}")


TOKEN_INVARIANTS = (
    Invariant("token-grant", token_is_of_its_grant),
    Invariant("token-ended", token_opens_nothing_ended),
    Invariant("token-key", held_key_has_its_token),
)
ALL_INVARIANTS = (*INVARIANTS, *TOKEN_INVARIANTS)


def _held_by_tokens(scope: Scope) -> Iterator[tuple[HeldKey, _Known | None]]:
    waiting: list[HeldKey] = []
    for held in keys.held_by(scope.session, scope.first, scope.last, "token"):
        waiting.append(held)
        if len(waiting) == _AT_ONCE:
            yield from _with_tokens(scope, waiting)
            waiting = []
    yield from _with_tokens(scope, waiting)


def _with_tokens(scope: Scope, found: Sequence[HeldKey]) -> Iterator[tuple[HeldKey, _Known | None]]:
    if not found:
        return
    query = (
        select(
            Token.bucket,
            Token.selector,
            Token.kind,
            Token.grant_id,
            Token.consumed_at,
            Grant.state.label("grant_state"),
            Agreement.state.label("agreement_state"),
        )
        .select_from(Token)
        .outerjoin(Grant, and_(Grant.bucket == Token.bucket, Grant.id == Token.grant_id))
        .outerjoin(
            Agreement, and_(Agreement.bucket == Grant.bucket, Agreement.id == Grant.agreement_id)
        )
        .where(
            Token.bucket.in_({held.bucket for held in found}),
            Token.selector.in_([held.by_id for held in found]),
        )
    )
    tokens = {(row.bucket, row.selector): row for row in scope.session.execute(query)}
    for held in found:
        yield held, tokens.get((held.bucket, held.by_id))
