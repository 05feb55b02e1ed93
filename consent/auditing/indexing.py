"""Following the log into the table that auditors search (AUD-2, AUD-16).

Places in the tree are given in order and without gaps, and a batch is visible as a whole, so what
comes after the largest place here is what is missing: no entry is skipped, none is taken twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, func, insert, select
from sqlalchemy.orm import Session

from consent.auditing.models import SearchableEvent
from consent.formats.canonical import parse
from consent.log.entries import DEPLOYMENT_STREAM
from consent.models import ConsentEvent, Event, EventPayload, Grant, LogEntry, Request
from consent.vocabulary import Actor

BATCH = 500


class Channel(StrEnum):
    """By which way something came about."""

    PAGE = "page"
    API = "api"
    COMMAND = "command"
    CLOCK = "clock"


_OF_ACTOR = {
    Actor.INDIVIDUAL: Channel.PAGE,
    Actor.ORGANISATION: Channel.API,
    Actor.OPERATOR: Channel.COMMAND,
    Actor.AUTHORITY: Channel.COMMAND,
    Actor.CLOCK: Channel.CLOCK,
}
_BY_API = (
    "token.",
    "data.",
    "erasure.confirmed",
    "obligation.",
    "requests.",
    "evidence.",
    "witness.",
)
_BY_COMMAND = (
    "organisation.",
    "template.",
    "auditor.",
    "engagement.",
    "log.",
    "hold.",
    "deployment.",
)
# What the row of an entry says whose public part was erased: nothing of it (LOG-9).
ERASED: dict[str, object] = {
    "name": "",
    "purpose": None,
    "collections": "",
    "outcome": "",
    "channel": "",
    "count": 0,
}
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def follow(session: Session, *, limit: int = BATCH) -> int:
    """Take in at most `limit` entries that were placed since; returns how many.

    For the worker's write jobs.
    """
    last = session.execute(select(func.max(SearchableEvent.index))).scalar()
    following = LogEntry.index > (-1 if last is None else last)
    rows = session.execute(_placed().where(following).limit(limit))
    found = [_searchable(session, row) for row in rows]
    if found:
        session.execute(insert(SearchableEvent), found)
    return len(found)


def _placed() -> Any:  # noqa: ANN401 - a Select of many columns
    return (
        select(
            LogEntry.index.label("place"),
            LogEntry.bucket,
            Event.name,
            Event.at,
            Event.stream,
            Event.vault_id,
            Event.grant_id,
            EventPayload.pub,
            Grant.organisation_id,
            ConsentEvent.actor,
        )
        .outerjoin(Event, and_(Event.bucket == LogEntry.bucket, Event.id == LogEntry.event_id))
        .outerjoin(
            EventPayload,
            and_(EventPayload.bucket == Event.bucket, EventPayload.event_id == Event.id),
        )
        .outerjoin(Grant, and_(Grant.bucket == Event.bucket, Grant.id == Event.grant_id))
        .outerjoin(
            ConsentEvent,
            and_(
                ConsentEvent.bucket == Grant.bucket,
                ConsentEvent.agreement_id == Grant.agreement_id,
                ConsentEvent.stream == Event.stream,
                ConsentEvent.stream_seq == Event.seq,
            ),
        )
        .order_by(LogEntry.index)
    )


def _searchable(session: Session, row: Row[Any]) -> dict[str, object]:
    # An event or a payload that is gone leaves a row that says so.
    public: Any = parse(row.pub) if row.pub is not None else {}
    found = {
        "index": row.place,
        "minute": (row.at or _BEGINNING).replace(second=0, microsecond=0),
        "organisation_id": row.organisation_id or _asked_by(session, row, public.get("client")),
        "is_operators": row.stream == DEPLOYMENT_STREAM,
        "grant_id": row.grant_id,
    }
    if row.pub is None:
        return found | ERASED
    return found | {
        "name": row.name,
        "purpose": public.get("purpose"),
        "collections": joined(public.get("collections", ())),
        "outcome": public.get("outcome"),
        "channel": channel(row.name, row.actor).value,
        "count": public.get("count", 0),
    }


def _asked_by(session: Session, row: Row[Any], client: str | None) -> UUID | None:
    """Return whose request it was that a person saw or refused: it stands in the vault's stream."""
    if row.grant_id is not None or row.vault_id is None or client is None:
        return None
    query = (
        select(Request.organisation_id)
        .where(
            Request.bucket == row.bucket,
            Request.vault_id == row.vault_id,
            Request.client_id == UUID(client),
        )
        .limit(1)
    )
    return session.execute(query).scalar()


def joined(collections: Iterable[str]) -> str:
    """Write collections so that one is found by `,name,`."""
    names = ",".join(collections)
    return f",{names}," if names else ""


def channel(name: str, actor: str | None) -> Channel:
    """Return by which way an event came about; `actor` is the consent event's, if it is one."""
    if actor is not None:
        return _OF_ACTOR[Actor(actor)]
    if name.startswith(_BY_API):
        return Channel.API
    return Channel.COMMAND if name.startswith(_BY_COMMAND) else Channel.PAGE
