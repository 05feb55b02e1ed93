"""The versions of an agreement, each as its signed text has it (CM-3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from consent.formats import canonical
from consent.models import AgreementVersion
from pds.clock import from_rfc3339


@dataclass(frozen=True, slots=True)
class Version:
    """One version: what it shares, in which form, how often and until when."""

    number: int
    sha256: str
    at: datetime
    attributes: tuple[str, ...]
    coarsenings: Mapping[str, str]
    fetches_per_day: int
    expires_at: datetime
    document: Mapping[str, Any]


def of_agreement(session: Session, bucket: int, agreement_id: UUID) -> list[Version]:
    """Return the versions of an agreement, the first one first.

    Whose it is, its caller has asked (`consent.connections.get`).
    """
    query = (
        select(AgreementVersion)
        .where(AgreementVersion.bucket == bucket, AgreementVersion.agreement_id == agreement_id)
        .order_by(AgreementVersion.version)
    )
    return [_version(row) for row in session.scalars(query)]


def _version(row: AgreementVersion) -> Version:
    document: Any = canonical.parse(row.document)
    return Version(
        number=row.version,
        sha256=row.sha256,
        at=row.created_at,
        attributes=tuple(document["attributes"]),
        coarsenings=dict(document["coarsenings"]),
        fetches_per_day=int(document["fetches_per_day"]),
        expires_at=from_rfc3339(document["expires_at"]),
        document=document,
    )
