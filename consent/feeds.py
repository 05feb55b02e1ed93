"""What an organisation may know of its connections without any person's token (P-24, P-29)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from consent.models import (
    Agreement,
    AgreementVersion,
    Connection,
    FeedEntry,
    Grant,
    Organisation,
    TemplateVersion,
)
from consent.vocabulary import FeedEvent


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """One connection: ids, versions, hashes, state, expiry, feed number; nothing else."""

    id: UUID
    vault_id: UUID
    agreement_id: UUID
    agreement_version: int
    agreement_sha256: str
    template_id: UUID
    state: str
    expires_at: datetime
    grant_id: UUID | None
    feed: int


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One numbered change."""

    number: int
    connection_id: UUID
    event: FeedEvent
    obligation_id: UUID | None
    at: datetime
    state: str


def connections(
    session: Session, organisation_id: UUID, *, after: UUID | None, limit: int
) -> list[ConnectionRow]:
    """Return connections of an organisation in order of id."""
    query = (
        select(Connection, Agreement, AgreementVersion.sha256)
        .join(
            Agreement,
            and_(Agreement.bucket == Connection.bucket, Agreement.id == Connection.agreement_id),
        )
        .join(
            AgreementVersion,
            and_(
                AgreementVersion.bucket == Agreement.bucket,
                AgreementVersion.agreement_id == Agreement.id,
                AgreementVersion.version == Agreement.version,
            ),
        )
        .where(Connection.organisation_id == organisation_id)
        .order_by(Connection.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(Connection.id > after)
    rows = session.execute(query).all()
    agreements = [agreement.id for _, agreement, _ in rows]
    grants = _grants(session, organisation_id, agreements)
    feeds = _feeds(session, organisation_id, [connection.id for connection, _, _ in rows])
    return [
        ConnectionRow(
            id=connection.id,
            vault_id=connection.vault_id,
            agreement_id=agreement.id,
            agreement_version=agreement.version,
            agreement_sha256=sha256,
            template_id=connection.template_id,
            state=agreement.state,
            expires_at=agreement.expires_at,
            grant_id=grants.get(agreement.id),
            feed=feeds.get(connection.id, 0),
        )
        for connection, agreement, sha256 in rows
    ]


def template_hashes(session: Session, ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the hash of the newest version of each template."""
    query = (
        select(TemplateVersion.id, TemplateVersion.sha256)
        .where(TemplateVersion.id.in_(ids))
        .order_by(TemplateVersion.version)
    )
    return dict(session.execute(query).all())


def changes(session: Session, organisation_id: UUID, *, after: int, limit: int) -> list[ChangeRow]:
    """Return what happened after a feed number, in order, with each connection's present state."""
    query = (
        select(
            FeedEntry.number,
            FeedEntry.connection_id,
            FeedEntry.event,
            FeedEntry.obligation_id,
            FeedEntry.at,
            Agreement.state,
        )
        .join(
            Connection,
            and_(
                Connection.id == FeedEntry.connection_id,
                Connection.organisation_id == organisation_id,
            ),
        )
        .join(
            Agreement,
            and_(Agreement.bucket == Connection.bucket, Agreement.id == Connection.agreement_id),
        )
        .where(FeedEntry.organisation_id == organisation_id, FeedEntry.number > after)
        .order_by(FeedEntry.number)
        .limit(limit)
    )
    return [
        ChangeRow(number, connection_id, FeedEvent(event), obligation_id, at, state)
        for number, connection_id, event, obligation_id, at, state in session.execute(query)
    ]


def last_number(session: Session, organisation_id: UUID) -> int:
    """Return the last number given in an organisation's feed; 0: none yet."""
    query = select(Organisation.feed_number).where(Organisation.id == organisation_id)
    return session.execute(query).scalar_one()


def _grants(
    session: Session, organisation_id: UUID, agreements: Sequence[UUID]
) -> dict[UUID, UUID]:
    query = (
        select(Grant.agreement_id, Grant.id)
        .where(Grant.organisation_id == organisation_id, Grant.agreement_id.in_(agreements))
        .order_by(Grant.created_at)
    )
    return dict(session.execute(query).all())


def _feeds(
    session: Session, organisation_id: UUID, connection_ids: Sequence[UUID]
) -> dict[UUID, int]:
    query = (
        select(FeedEntry.connection_id, func.max(FeedEntry.number))
        .where(
            FeedEntry.organisation_id == organisation_id,
            FeedEntry.connection_id.in_(connection_ids),
        )
        .group_by(FeedEntry.connection_id)
    )
    return dict(session.execute(query).all())
