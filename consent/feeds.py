"""What an organisation may know of its connections without any person's token (P-24, P-29)."""

from __future__ import annotations

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
from consent.vocabulary import LIVE_GRANT_STATES, FeedEvent


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """One connection: ids, versions, hashes, state, expiry, feed number; nothing else.

    `template_sha256` is of the newest version, `feed` 0 where nothing has a number yet.
    """

    id: UUID
    vault_id: UUID
    agreement_id: UUID
    agreement_version: int
    agreement_sha256: str
    template_id: UUID
    template_sha256: str
    state: str
    expires_at: datetime
    grant_id: UUID | None
    feed: int
    is_frozen: bool  # not confirmed since the organisation was frozen


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One numbered change."""

    number: int
    connection_id: UUID
    event: FeedEvent
    obligation_id: UUID | None
    at: datetime
    state: str


_GRANT_ID = (
    select(Grant.id)
    .where(Grant.bucket == Agreement.bucket, Grant.agreement_id == Agreement.id)
    .order_by(Grant.created_at.desc())
    .limit(1)
    .correlate(Agreement)
    .scalar_subquery()
)
_IS_FROZEN = (
    select(Grant.id)
    .join(Organisation, Organisation.id == Grant.organisation_id)
    .where(
        Grant.bucket == Agreement.bucket,
        Grant.agreement_id == Agreement.id,
        Grant.state.in_(LIVE_GRANT_STATES),
        Grant.key_generation < Organisation.key_generation,
    )
    .correlate(Agreement)
    .exists()
)
_FEED = (
    select(func.max(FeedEntry.number))
    .where(
        FeedEntry.organisation_id == Connection.organisation_id,
        FeedEntry.connection_id == Connection.id,
    )
    .correlate(Connection)
    .scalar_subquery()
)
_TEMPLATE_SHA256 = (
    select(TemplateVersion.sha256)
    .where(TemplateVersion.id == Connection.template_id)
    .order_by(TemplateVersion.version.desc())
    .limit(1)
    .correlate(Connection)
    .scalar_subquery()
)


def connections(
    session: Session, organisation_id: UUID, *, after: UUID | None, limit: int
) -> list[ConnectionRow]:
    """Return connections of an organisation in order of id, by one statement."""
    query = (
        select(
            Connection.id,
            Connection.vault_id,
            Agreement.id.label("agreement_id"),
            Agreement.version.label("agreement_version"),
            AgreementVersion.sha256.label("agreement_sha256"),
            Connection.template_id,
            _TEMPLATE_SHA256.label("template_sha256"),
            Agreement.state,
            Agreement.expires_at,
            _GRANT_ID.label("grant_id"),
            func.coalesce(_FEED, 0).label("feed"),
            _IS_FROZEN.label("is_frozen"),
        )
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
    return [ConnectionRow(**row) for row in session.execute(query).mappings()]


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
