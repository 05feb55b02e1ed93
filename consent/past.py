"""What was permitted at an instant: answered from consent events and signed texts (LEAD-13, CM-15).

Nothing of it is stored: the latest event at that instant says under which version consent stood,
the text of that version what it covered and from when to when. It tells what the person permitted;
whether an organisation was in good standing shows in that its agreements ended.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, tuple_
from sqlalchemy.orm import Session

from consent.formats import canonical
from consent.lifecycle import Act
from consent.models import Agreement, AgreementVersion, ConsentEvent
from consent.policy import CONSENT_DENIALS
from consent.vocabulary import ConsentStatus, DenialReason
from pds.clock import from_rfc3339


@dataclass(frozen=True, slots=True)
class Happened:
    """One consent event, as far as it matters here."""

    at: datetime
    act: Act
    status: ConsentStatus
    version: int


@dataclass(frozen=True, slots=True)
class Permission:
    """What stood at an instant; `reason` says why nothing was permitted, None: it was.

    `document` is the text in force or last in force; None where there was none yet.
    """

    reason: DenialReason | None
    document: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class PastAgreement:
    """An agreement at an instant."""

    bucket: int
    vault_id: UUID
    agreement_id: UUID
    sha256: str
    permission: Permission


def permission_at(
    history: Sequence[Happened], texts: Mapping[int, Mapping[str, Any]], *, at: datetime
) -> Permission:
    """Return what one agreement permitted at an instant. Pure.

    Args:
        history: its consent events in order of their numbers.
        texts: its documents by version.
        at: the instant; an event counts from its own instant on.
    """
    until_then = [each for each in history if each.at <= at]
    if not until_then:
        return Permission(DenialReason.PENDING, None)
    last = until_then[-1]
    document = texts[last.version]
    if not last.status.permits:
        fulfilled = last.act is Act.FULFIL
        reason = DenialReason.FULFILLED if fulfilled else CONSENT_DENIALS[last.status]
        return Permission(reason, document)
    if at < from_rfc3339(document["starts_at"]):
        return Permission(DenialReason.PENDING, document)
    if at >= from_rfc3339(document["expires_at"]):
        return Permission(DenialReason.EXPIRED, document)
    return Permission(None, document)


def of_vault(session: Session, bucket: int, vault_id: UUID, *, at: datetime) -> list[PastAgreement]:
    """Return a person's agreements that there were at an instant, oldest first."""
    query = (
        select(Agreement.bucket, Agreement.id, Agreement.vault_id)
        .where(
            Agreement.bucket == bucket,
            Agreement.vault_id == vault_id,
            Agreement.created_at <= at,
        )
        .order_by(Agreement.created_at, Agreement.id)
    )
    return _at(session, session.execute(query).all(), at)


def of_agreement(
    session: Session, bucket: int, agreement_id: UUID, *, at: datetime
) -> PastAgreement | None:
    """Return an agreement as it was at an instant; None: there was none yet."""
    query = select(Agreement.bucket, Agreement.id, Agreement.vault_id).where(
        Agreement.bucket == bucket, Agreement.id == agreement_id, Agreement.created_at <= at
    )
    found = _at(session, session.execute(query).all(), at)
    return found[0] if found else None


def of_deployment(
    session: Session,
    *,
    at: datetime,
    after: tuple[int, UUID] | None,
    limit: int,
    among: Collection[UUID] | None = None,
) -> list[PastAgreement]:
    """Return a page of all agreements that there were at an instant, by bucket and id.

    `among`: the organisations whose agreements are meant; None: all.
    """
    query = (
        select(Agreement.bucket, Agreement.id, Agreement.vault_id)
        .where(Agreement.created_at <= at)
        .order_by(Agreement.bucket, Agreement.id)
        .limit(limit)
    )
    if among is not None:
        query = query.where(Agreement.organisation_id.in_(sorted(among)))
    if after is not None:
        query = query.where(tuple_(Agreement.bucket, Agreement.id) > after)
    return _at(session, session.execute(query).all(), at)


def _at(
    session: Session, keys: Sequence[Row[int, UUID, UUID]], at: datetime
) -> list[PastAgreement]:
    wanted = [(bucket, agreement_id) for bucket, agreement_id, _ in keys]
    places = {agreement_id: (bucket, vault_id) for bucket, agreement_id, vault_id in keys}
    histories: dict[UUID, list[Happened]] = {agreement_id: [] for _, agreement_id in wanted}
    for event in session.scalars(
        select(ConsentEvent)
        .where(tuple_(ConsentEvent.bucket, ConsentEvent.agreement_id).in_(wanted))
        .order_by(ConsentEvent.agreement_id, ConsentEvent.seq)
    ):
        histories[event.agreement_id].append(
            Happened(event.at, Act(event.act), ConsentStatus(event.status), event.agreement_version)
        )
    texts: dict[UUID, dict[int, dict[str, Any]]] = {each: {} for each in histories}
    hashes: dict[tuple[UUID, int], str] = {}
    for row in session.scalars(
        select(AgreementVersion).where(
            tuple_(AgreementVersion.bucket, AgreementVersion.agreement_id).in_(wanted)
        )
    ):
        document: Any = canonical.parse(row.document)
        texts[row.agreement_id][row.version] = document
        hashes[row.agreement_id, row.version] = row.sha256
    found = []
    for agreement_id, history in histories.items():
        permission = permission_at(history, texts[agreement_id], at=at)
        if permission.document is not None:
            sha256 = hashes[agreement_id, int(permission.document["version"])]
            found.append(PastAgreement(*places[agreement_id], agreement_id, sha256, permission))
    return found
