"""Requests: settled if and only if they were decided."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import and_, exists, or_, select

from consent.invariants.scope import Broken, Scope, broken
from consent.lifecycle import MOVES
from consent.models import Agreement, Receipt, Request
from consent.vocabulary import RequestState

_APPROVED = tuple(
    {move.request.target.value for move in MOVES.values() if move.request and move.agreement}
)


def is_settled_when_decided(scope: Scope) -> Iterator[Broken]:
    """A request has the instant of its decision if and only if it is decided or put aside.

    Only a refused one rests (CM-5).
    """
    is_open, is_refused = (
        Request.state == state for state in (RequestState.SEEN, RequestState.REFUSED)
    )
    query = select(Request.id, Request.state).where(
        scope.of(Request.bucket),
        or_(
            and_(is_open, Request.decided_at.is_not(None)),
            and_(~is_open, Request.decided_at.is_(None)),
            and_(is_refused, Request.cools_until.is_(None)),
            and_(~is_refused, Request.cools_until.is_not(None)),
            Request.decided_at < Request.seen_at,
        ),
    )
    for request_id, state in scope.session.execute(query):
        yield broken(f"it is {state}, which its times contradict", request=request_id)


def approved_when_agreed(scope: Scope) -> Iterator[Broken]:
    """A request is approved if and only if an agreement came of it, with a receipt."""
    given = exists().where(
        Receipt.bucket == Request.bucket,
        Receipt.vault_id == Request.vault_id,
        Receipt.request_id == Request.id,
        Receipt.agreement_id.is_not(None),
    )
    is_approved = Request.state.in_(_APPROVED)
    query = select(Request.id, Request.state).where(
        scope.of(Request.bucket), or_(and_(is_approved, ~given), and_(~is_approved, given))
    )
    for request_id, state in scope.session.execute(query):
        yield broken(f"it is {state}, which its receipts contradict", request=request_id)
    asked = (
        select(Agreement.id, Agreement.request_id)
        .outerjoin(
            Request, and_(Request.bucket == Agreement.bucket, Request.id == Agreement.request_id)
        )
        .where(
            scope.of(Agreement.bucket),
            or_(Request.id.is_(None), ~is_approved, Request.vault_id != Agreement.vault_id),
        )
    )
    for agreement_id, request_id in scope.session.execute(asked):
        detail = "its request is missing, of another vault, or not approved"
        yield broken(detail, agreement=agreement_id, request=request_id)
