"""Extending: a person shares the same for longer, without having been asked again (CUX-42).

Nothing but time is added, and no more of it than the organisation asked for and its template has
(P-27), counted from now. What comes of it is the agreement's next version (`consent.amendments`).
An agreement that has ended stays ended (CM-6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from consent import amendments, durations, limits, notices, organisations, templates
from consent.acts import Deed
from consent.amendments import AmendmentService, InForce
from consent.choices import NOT_OFFERED
from consent.drafts import Draft, prepare
from consent.errors import NoticeChangedError
from consent.grants import GrantKeys
from consent.lifecycle import Act
from consent.limits import Extent
from consent.log import publication
from consent.models import Agreement, Organisation, Request
from consent.templates import Template
from consent.vocabulary import Actor
from pds import vaults
from pds.clock import Clock, rfc3339
from pds.errors import Issue, ValidationFailedError
from pds.events import VaultRef
from pds.keys import OpenVault
from pds.store import Store

_WORTH_IT = timedelta(days=1)  # a new end that is sooner after the agreed one is not offered


class Obstacle(StrEnum):
    """Why an agreement cannot be extended by its person alone."""

    FROZEN = "frozen"  # nobody knows who would go on reading
    CHANGED = "changed"  # the organisation offers other terms now, or is another than was shown
    LONGEST = "longest"  # there is no later end within what was asked for


@dataclass(frozen=True, slots=True)
class Extension:
    """What its person chose: the version that they saw, and for how long from now (`P30D`)."""

    agreement_sha256: str
    duration: str


@dataclass(frozen=True, slots=True)
class Longer:
    """How an agreement may be extended: the new end by duration, or why it has none."""

    before: InForce
    ends: Mapping[str, datetime]
    obstacle: Obstacle | None


@dataclass(frozen=True, slots=True)
class ExtendingService:
    """Extends agreements."""

    store: Store
    clock: Clock
    amendments: AmendmentService
    log_may_wait: timedelta  # zero: for ever

    def offer(self, vault: VaultRef, agreement_id: UUID) -> Longer:
        """Return until when an agreement may be extended.

        Raises:
            NotFoundError: the vault has no such agreement.
            ConflictError: it has ended.
        """
        now = self.clock.now()
        with self.store.read() as session:
            return _offer(session, vault, agreement_id, now)

    def extend(
        self, vault: VaultRef, open_vault: OpenVault, agreement_id: UUID, extension: Extension
    ) -> None:
        """Share the same for longer, on its person's own word.

        Raises:
            NotFoundError: the vault has no such agreement.
            ConflictError: it has ended.
            NoticeChangedError: it is another version than they saw, or its organisation or terms
                are other than what was shown; nothing was changed.
            ValidationFailedError: the duration is not offered.
            LogStalledError: the log stands still (LOG-21).
        """
        now = self.clock.now()
        with self.store.read() as session:
            longer = _offer(session, vault, agreement_id, now)
        _refuse_other(longer, extension)
        before = longer.before
        draft = _draft(vault, open_vault, before, extension.duration, now)
        deed = Deed(act=Act.EXTEND, actor=Actor.INDIVIDUAL, at=now, private=draft.private)

        def job(session: Session) -> None:
            vaults.lock(session, vault)
            publication.require_fresh(session, now=now, within=self.log_may_wait)
            fresh = OpenVault.load(session, open_vault.keys, open_vault.vrk, vault.audit_public_key)
            organisations.hold(session, UUID(before.document["organisation"]))
            _refuse_other(_offer(session, vault, agreement_id, now, lock=True), extension)
            self.amendments.apply(session, before, draft, deed, fresh, narrows=False)

        self.store.write(job)


def _offer(
    session: Session, vault: VaultRef, agreement_id: UUID, now: datetime, *, lock: bool = False
) -> Longer:
    before = amendments.of_vault(session, vault, agreement_id, now=now, lock=lock)
    organisation = organisations.get(session, UUID(before.document["organisation"]))
    template = templates.find(session, before.document["template_sha256"])
    if before.frozen_at is not None or organisation.is_frozen:
        return Longer(before, {}, Obstacle.FROZEN)
    if not _is_as_shown(session, before, organisation):
        return Longer(before, {}, Obstacle.CHANGED)
    ends = {
        each: _end(each, now)
        for each in _within(_asked(session, vault, before), template, before.document, now)
        if _end(each, now) >= before.expires_at + _WORTH_IT
    }
    return Longer(before, ends, None if ends else Obstacle.LONGEST)


def _is_as_shown(session: Session, before: InForce, organisation: Organisation) -> bool:
    """Tell whether what the person was shown is what the organisation still says (P-28)."""
    notice = notices.find(session, before.document["notice_sha256"])
    return templates.is_published(session, before.document["template_sha256"]) and notice[
        "organisation"
    ] == notices.recipient(organisation, notice["locale"])


def _asked(session: Session, vault: VaultRef, before: InForce) -> str:
    """Return the duration of the request that was decided last."""
    decided = and_(Request.bucket == Agreement.bucket, Request.id == Agreement.request_id)
    query = (
        select(Request.asked)
        .join(Agreement, decided)
        .where(Agreement.bucket == vault.bucket, Agreement.id == before.agreement_id)
    )
    return str(session.execute(query).scalar_one()["duration"])


def _within(
    asked: str, template: Template, document: Mapping[str, Any], now: datetime
) -> list[str]:
    """Return the durations up to the asked one that template and purpose allow today."""
    extent = replace(
        Extent.of_template(template.document, on=now.date()),
        attributes=tuple(document["attributes"]),
    )
    most = durations.parse(template.document["max_duration"])
    return [
        each
        for each in durations.choices(asked)
        if durations.parse(each) <= most
        and not limits.exceeded(replace(extent, duration=durations.parse(each)))
    ]


def _refuse_other(longer: Longer, extension: Extension) -> None:
    is_other = longer.before.sha256 != extension.agreement_sha256
    if is_other or longer.obstacle in {Obstacle.FROZEN, Obstacle.CHANGED}:
        raise NoticeChangedError
    if extension.duration not in longer.ends:
        raise ValidationFailedError([Issue("duration", "not_offered", NOT_OFFERED)])


def _draft(
    vault: VaultRef, open_vault: OpenVault, before: InForce, duration: str, now: datetime
) -> Draft:
    """Return the next version: the agreed text and terms, but for their time."""
    starts_at, expires_at = now.replace(microsecond=0), _end(duration, now)
    document = {
        **before.document,
        "version": before.version + 1,
        "duration": duration,
        "starts_at": rfc3339(starts_at),
        "expires_at": rfc3339(expires_at),
    }
    terms = replace(
        before.terms(open_vault),
        agreement_version=before.version + 1,
        starts_at=starts_at,
        expires_at=expires_at,
    )
    keys = GrantKeys.from_owner(open_vault, before.grant_id)
    return prepare(vault, open_vault, keys, document, terms)


def _end(duration: str, now: datetime) -> datetime:
    return now.replace(microsecond=0) + durations.parse(duration)
