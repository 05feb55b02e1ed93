"""A client's own view of a grant: what stands under an id that it was given (GM-M3, GM-M8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from consent.acts import last_act, text_of
from consent.models import Agreement, Grant
from consent.vocabulary import LIVE_GRANT_STATES, Actor
from pds.ids import IdFactory


@dataclass(frozen=True, slots=True)
class ClientGrant:
    """A live grant with the text of its agreement's present version."""

    grant: Grant
    template_id: UUID
    document: Mapping[str, Any]
    updated_at: datetime  # of the last act on its agreement
    updated_by: Actor


def find(
    session: Session, ids: IdFactory, text: str, *, client_id: UUID, now: datetime
) -> ClientGrant | None:
    """Return a client's grant by the text of its id, which may be anything.

    None for one that is not there, has ended, or is another's.
    """
    try:
        grant_id = UUID(text)
    except ValueError:
        return None
    if str(grant_id) != text:
        return None
    bucket = ids.bucket_of(grant_id)
    query = (
        select(Grant, Agreement)
        .join(Agreement, (Agreement.bucket == Grant.bucket) & (Agreement.id == Grant.agreement_id))
        .where(
            Grant.bucket == bucket,
            Grant.id == grant_id,
            Grant.client_id == client_id,
            Grant.state.in_(LIVE_GRANT_STATES),
            Grant.expires_at > now,
        )
    )
    found = session.execute(query).one_or_none()
    if found is None:
        return None
    grant, agreement = found
    last = last_act(session, bucket, agreement.id)
    return ClientGrant(
        grant=grant,
        template_id=agreement.template_id,
        document=text_of(session, agreement).document,
        updated_at=last.at if last else agreement.created_at,
        updated_by=Actor(last.actor) if last else Actor.INDIVIDUAL,
    )
