"""Which event streams an engagement opens: those of grants, and the deployment's for a whole one.

A vault's own stream is never among them: its name is the vault's, which no leaf can hide, and what
it tells, such as unlocking, concerns nobody but its owner (P-32).
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, String, and_, cast, exists, func, literal, select
from sqlalchemy.orm import Session

from consent.auditing.engagements import Scope
from consent.log.entries import grant_stream
from consent.log.evidence import DEPLOYMENT, Stream
from consent.models import Event, Grant


def of_scope(
    session: Session, scope: Scope, *chosen: ColumnElement[bool], deployments: bool = True
) -> list[Stream]:
    """Return the streams in which something happened in the period.

    What came before it in the same stream goes with them: nobody can judge a read without the
    consent that it rests on.

    Args:
        session: of a read transaction.
        scope: of the engagement.
        chosen: what a grant must meet besides.
        deployments: whether the deployment's stream is wanted, where the engagement covers it.
    """
    query = (
        select(Grant.bucket, Grant.id)
        .where(scope.is_of(Grant.organisation_id), happened(scope), *chosen)
        .order_by(Grant.bucket, Grant.id)
    )
    found = [Stream(bucket, grant_stream(grant_id)) for bucket, grant_id in session.execute(query)]
    return [DEPLOYMENT, *found] if deployments and scope.covers_everyone else found


def happened(scope: Scope) -> ColumnElement[bool]:
    """Return the condition that something happened to a grant in the period, erased or not.

    By the index of its own stream: each event is looked at once at most, however many grants the
    same vault has.
    """
    return exists().where(
        and_(
            Event.bucket == Grant.bucket,
            Event.stream == stream_of_grant(),
            Event.at >= scope.since,
            Event.at < scope.until,
        )
    )


def stream_of_grant() -> ColumnElement[str]:
    """Return `grant_stream` of a row of grants; stores write ids with and without hyphens."""
    return literal("g.").concat(func.replace(cast(Grant.id, String(40)), "-", ""))
