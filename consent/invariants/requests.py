"""Requests: settled if and only if they were decided."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import and_, exists, or_, select

from consent.invariants.scope import Broken, Scope, broken, within
from consent.lifecycle import MOVES
from consent.models import Agreement, Receipt, Request
from consent.vocabulary import RequestState

_APPROVED = tuple(
    {move.request.target.value for move in MOVES.values() if move.request and move.agreement}
)


_is_open, _is_refused = (
    Request.state == state for state in (RequestState.SEEN, RequestState.REFUSED)
)
_ODD_TIMES = select(Request.id, Request.state).where(
    within(Request.bucket),
    or_(
        and_(_is_open, Request.decided_at.is_not(None)),
        and_(~_is_open, Request.decided_at.is_(None)),
        and_(_is_refused, Request.cools_until.is_(None)),
        and_(~_is_refused, Request.cools_until.is_not(None)),
        Request.decided_at < Request.seen_at,
    ),
)
_given = exists().where(
    Receipt.bucket == Request.bucket,
    Receipt.vault_id == Request.vault_id,
    Receipt.request_id == Request.id,
    Receipt.agreement_id.is_not(None),
)
_is_approved = Request.state.in_(_APPROVED)
_ODDLY_APPROVED = select(Request.id, Request.state).where(
    within(Request.bucket), or_(and_(_is_approved, ~_given), and_(~_is_approved, _given))
)
_ASKED_OTHERWISE = (
    select(Agreement.id, Agreement.request_id)
    .outerjoin(
        Request, and_(Request.bucket == Agreement.bucket, Request.id == Agreement.request_id)
    )
    .where(
        within(Agreement.bucket),
        or_(Request.id.is_(None), ~_is_approved, Request.vault_id != Agreement.vault_id),
    )
)


_UNTOLD = select(Request.id, Request.state).where(
    within(Request.bucket),
    Request.state.in_((RequestState.REFUSED, RequestState.DEFERRED)),
    ~exists().where(
        Receipt.bucket == Request.bucket,
        Receipt.vault_id == Request.vault_id,
        Receipt.request_id == Request.id,
    ),
)


def is_settled_when_decided(scope: Scope) -> Iterator[Broken]:
    """A request has the instant of its decision if and only if it is decided or put aside.

    Only a refused one rests (CM-5).
    """
    for request_id, state in scope.rows(_ODD_TIMES):
        yield broken(f"it is {state}, which its times contradict", request=request_id)


def approved_when_agreed(scope: Scope) -> Iterator[Broken]:
    """A request is approved if and only if an agreement came of it, with a receipt."""
    for request_id, state in scope.rows(_ODDLY_APPROVED):
        yield broken(f"it is {state}, which its receipts contradict", request=request_id)
    for agreement_id, request_id in scope.rows(_ASKED_OTHERWISE):
        detail = "its request is missing, of another vault, or not approved"
        yield broken(detail, agreement=agreement_id, request=request_id)


def answer_has_its_receipt(scope: Scope) -> Iterator[Broken]:
    """A request that was refused or put aside has a receipt of that (CM-5)."""
    for request_id, state in scope.rows(_UNTOLD):
        yield broken(f"it is {state} without a receipt", request=request_id)
