"""What a person is shown of their connections: read-only, and without any key (D15).

Everything here comes from plain rows and from signed texts, so that a vault that is locked can
still be looked after: sharing is stopped without its passphrase (TAK-41).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from consent import notices, obligations, organisations, templates
from consent.correspondence import UNUSED_AFTER
from consent.formats import canonical
from consent.models import (
    Agreement,
    AgreementVersion,
    ConsentEvent,
    Event,
    Grant,
    Obligation,
    Organisation,
    Receipt,
)
from consent.models import Request as RequestRow
from consent.templates import Template
from consent.vocabulary import AgreementState, EventName, ObligationKind, RequestState
from pds.catalogue import Wording
from pds.errors import NotFoundError

_EAGER_SHARE = 0.8  # of the agreed fetches of a day (CUX-32)


@dataclass(frozen=True, slots=True)
class OrganisationView:
    """Who receives: names in both languages, and where to ask."""

    id: UUID
    name: Wording
    contact: str
    address: str
    standing: str


@dataclass(frozen=True, slots=True)
class OwedView:
    """What the organisation owes after the end; `state` may be `overdue`."""

    kind: ObligationKind
    state: str
    asked_by_person: bool
    due_at: datetime
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class GrantView:
    """One grant of an agreement: its event stream, and what was fetched with it."""

    id: UUID
    seq: int
    last_read_at: datetime | None
    reads: int
    is_fetched: bool  # the one access that was agreed has been had


@dataclass(frozen=True, slots=True)
class FrozenView:
    """That nothing goes out since the organisation's keys were reported stolen."""

    since: datetime
    has_new_keys: bool  # the operator confirmed them: what is left is the person's word


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """An agreement as its person sees it.

    `state` is what holds at the instant of asking: an agreement past its end is expired, also
    before the worker has written that down.
    """

    agreement_id: UUID
    organisation: OrganisationView
    title: Wording
    purpose: str
    purpose_text: Wording
    state: AgreementState
    attributes: tuple[str, ...]
    denied: tuple[str, ...]
    coarsenings: Mapping[str, str]
    instances: Mapping[str, Mapping[str, Any]]  # which records, where not all are shared
    data_from: Mapping[str, str]
    duration: str
    access: str
    fetches_per_day: int
    retention: Wording
    retention_after_end: str
    complaint: Wording
    storage_location: str
    recipients: tuple[str, ...]
    agreement_sha256: str
    notice_sha256: str
    is_invited: bool  # the organisation was told its own number for the person, which is sealed
    granted_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    ended_why: str | None  # reason code, where others ended it
    grants: tuple[GrantView, ...]
    fetches_today: int
    owed: tuple[OwedView, ...]
    frozen: FrozenView | None

    @property
    def is_current(self) -> bool:
        """Tell whether anything may still be read: the tab it stands in (CUX-27)."""
        return not self.state.is_terminal

    @property
    def is_changeable(self) -> bool:
        """Tell whether its person may still take something away from it, or extend it."""
        return self.is_current and not any(each.is_fetched for each in self.grants)

    @property
    def deletion(self) -> OwedView | None:
        """Return what became of the deletion that the organisation owes, if it owes one."""
        return next((each for each in self.owed if each.kind is ObligationKind.DELETE), None)

    @property
    def is_overdue(self) -> bool:
        """Tell whether anything that the organisation owes is overdue."""
        return any(each.state == "overdue" for each in self.owed)

    @property
    def is_paused(self) -> bool:
        """Tell whether its person let it rest."""
        return self.state is AgreementState.SUSPENDED

    @property
    def last_read_at(self) -> datetime | None:
        """When data was last fetched; None: never."""
        return max((each.last_read_at for each in self.grants if each.last_read_at), default=None)

    @property
    def reads(self) -> int:
        """How many times data was fetched."""
        return sum(each.reads for each in self.grants)

    @property
    def is_eager(self) -> bool:
        """Tell whether today's fetches come near the agreed limit (CUX-32)."""
        return self.is_current and self.fetches_today >= _EAGER_SHARE * self.fetches_per_day > 1

    def is_unused(self, now: datetime) -> bool:
        """Tell whether nobody has fetched anything for 90 days (CUX-32)."""
        return self.is_current and (self.last_read_at or self.granted_at) + UNUSED_AFTER <= now


@dataclass(frozen=True, slots=True)
class ClosedView:
    """A request that was refused (CUX-23) or put aside (VOC-19)."""

    request_id: UUID
    organisation: OrganisationView
    title: Wording
    purpose_text: Wording
    state: RequestState
    closed_at: datetime
    cools_until: datetime | None
    receipt_id: UUID | None


def of_vault(
    session: Session, bucket: int, vault_id: UUID, *, now: datetime
) -> list[ConnectionView]:
    """Return all agreements of a person, the latest first."""
    query = (
        select(Agreement)
        .where(Agreement.bucket == bucket, Agreement.vault_id == vault_id)
        .order_by(Agreement.created_at.desc(), Agreement.id)
    )
    return _views(session, bucket, vault_id, session.scalars(query).all(), now)


def at_a_glance(
    session: Session, bucket: int, vault_id: UUID, *, now: datetime
) -> list[ConnectionView]:
    """Return what is in force, and what has ended but for an answer that is overdue.

    As many statements however many there are, and however many have ended.
    """
    overdue = select(Obligation.agreement_id).where(
        Obligation.bucket == bucket,
        Obligation.vault_id == vault_id,
        Obligation.state == "due",
        Obligation.due_at <= now,
    )
    standing = [state.value for state in AgreementState if not state.is_terminal]
    query = (
        select(Agreement)
        .where(
            Agreement.bucket == bucket,
            Agreement.vault_id == vault_id,
            or_(Agreement.state.in_(standing), Agreement.id.in_(overdue)),
        )
        .order_by(Agreement.created_at.desc(), Agreement.id)
    )
    return _views(session, bucket, vault_id, session.scalars(query).all(), now)


def get(
    session: Session, bucket: int, vault_id: UUID, agreement_id: UUID, *, now: datetime
) -> ConnectionView:
    """Return one agreement of a person.

    Raises:
        NotFoundError: the vault has none of that id.
    """
    found = session.get(Agreement, (bucket, agreement_id))
    if found is None or found.vault_id != vault_id:
        raise NotFoundError
    return _views(session, bucket, vault_id, [found], now)[0]


def closed(session: Session, bucket: int, vault_id: UUID) -> list[ClosedView]:
    """Return the requests that a person refused or put aside, the latest first."""
    query = (
        select(RequestRow)
        .where(
            RequestRow.bucket == bucket,
            RequestRow.vault_id == vault_id,
            RequestRow.state.in_([RequestState.REFUSED.value, RequestState.DEFERRED.value]),
        )
        .order_by(RequestRow.decided_at.desc(), RequestRow.id)
    )
    rows = session.scalars(query).all()
    receipts = session.execute(
        select(Receipt.request_id, Receipt.id)
        .where(
            Receipt.bucket == bucket,
            Receipt.vault_id == vault_id,
            Receipt.agreement_id.is_(None),
        )
        .order_by(Receipt.created_at)  # of one that was put aside and refused later: the refusal's
    )
    given = {each.request_id: each.id for each in receipts}
    return [_closed(session, row, given.get(row.id)) for row in rows]


@dataclass(frozen=True, slots=True)
class Deposits:
    """How many documents an organisation left by one grant, and when the latest."""

    number: int
    last_at: datetime


def deposits(session: Session, bucket: int, vault_id: UUID) -> dict[UUID, Deposits]:
    """Return what was left in a vault, by grant."""
    query = (
        select(Event.grant_id, func.count(), func.max(Event.at))
        .where(
            Event.bucket == bucket,
            Event.vault_id == vault_id,
            Event.name == EventName.DATA_DEPOSITED.value,
        )
        .group_by(Event.grant_id)
    )
    return {
        grant_id: Deposits(number, last_at)
        for grant_id, number, last_at in session.execute(query)
        if grant_id is not None
    }


def organisation(session: Session, organisation_id: UUID) -> OrganisationView:
    """Return an organisation as people see it.

    Raises:
        NotFoundError: there is none.
    """
    return _organisation(organisations.get(session, organisation_id))


def notice(session: Session, sha256: str) -> dict[str, Any]:
    """Return the text that was shown under a hash (CUX-25).

    Raises:
        NotFoundError: none of that hash was ever shown.
    """
    return notices.find(session, sha256)


def _views(
    session: Session,
    bucket: int,
    vault_id: UUID,
    agreements: Sequence[Agreement],
    now: datetime,
) -> list[ConnectionView]:
    ids = [agreement.id for agreement in agreements]
    grants: dict[UUID, list[Grant]] = {}
    for grant in session.scalars(
        select(Grant)
        .where(Grant.bucket == bucket, Grant.agreement_id.in_(ids))
        .order_by(Grant.created_at)
    ):
        grants.setdefault(grant.agreement_id, []).append(grant)
    owed: dict[UUID, list[Obligation]] = {}
    for each in obligations.of_vault(session, bucket, vault_id):
        owed.setdefault(each.agreement_id, []).append(each)
    reasons = _reasons(session, bucket, ids)
    texts = _Texts.read(session, bucket, agreements)
    return [
        _view(
            texts,
            agreement,
            grants.get(agreement.id, []),
            owed.get(agreement.id, []),
            reasons.get(agreement.id),
            now,
        )
        for agreement in agreements
    ]


@dataclass(frozen=True, slots=True)
class _Texts:
    """What several agreements say, and whose they are, each kind read at once."""

    versions: Mapping[UUID, AgreementVersion]  # the present one of each agreement
    templates: Mapping[str, Template]
    organisations: Mapping[UUID, Organisation]

    @classmethod
    def read(cls, session: Session, bucket: int, agreements: Sequence[Agreement]) -> _Texts:
        present = and_(
            AgreementVersion.bucket == Agreement.bucket,
            AgreementVersion.agreement_id == Agreement.id,
            AgreementVersion.version == Agreement.version,
        )
        query = (
            select(AgreementVersion)
            .join(Agreement, present)
            .where(Agreement.bucket == bucket, Agreement.id.in_([each.id for each in agreements]))
        )
        versions = {each.agreement_id: each for each in session.scalars(query)}
        named = {_document(each)["template_sha256"] for each in versions.values()}
        return cls(
            versions,
            templates.find_all(session, named),
            organisations.get_all(session, {each.organisation_id for each in agreements}),
        )


def _document(version: AgreementVersion) -> Any:  # noqa: ANN401 - as its signed text has it
    return canonical.parse(version.document)


def _reasons(session: Session, bucket: int, ids: Sequence[UUID]) -> dict[UUID, str]:
    query = select(ConsentEvent.agreement_id, ConsentEvent.reason).where(
        ConsentEvent.bucket == bucket,
        ConsentEvent.agreement_id.in_(ids),
        ConsentEvent.reason.is_not(None),
    )
    return {agreement_id: reason for agreement_id, reason in session.execute(query) if reason}


def _view(  # noqa: PLR0917 - what one view is made of, private
    texts: _Texts,
    agreement: Agreement,
    grants: Iterable[Grant],
    owed: Sequence[Obligation],
    ended_why: str | None,
    now: datetime,
) -> ConnectionView:
    version = texts.versions.get(agreement.id)
    if version is None:
        raise NotFoundError
    document = _document(version)
    terms = texts.templates[document["template_sha256"]].document
    state = AgreementState(agreement.state)
    if not state.is_terminal and agreement.expires_at <= now:
        state = AgreementState.EXPIRED
    today = int(now.timestamp()) // 86_400
    found = list(grants)
    owner = texts.organisations[agreement.organisation_id]
    return ConnectionView(
        agreement_id=agreement.id,
        organisation=_organisation(owner),
        title=Wording(**terms["name"]),
        purpose=document["purpose"],
        purpose_text=Wording(**terms["purpose_text"]),
        state=state,
        attributes=tuple(document["attributes"]),
        denied=tuple(document["denied"]),
        coarsenings=dict(document["coarsenings"]),
        instances=document.get("instances", {}),
        data_from=dict(document["data_from"]),
        duration=document["duration"],
        access=terms["access"]["mode"],
        fetches_per_day=int(document["fetches_per_day"]),
        retention=Wording(**terms["retention"]["text"]),
        retention_after_end=terms["retention"]["after_end"],
        complaint=Wording(**terms["complaint"]),
        storage_location=terms["storage_location"],
        recipients=tuple(terms["recipients"]),
        agreement_sha256=version.sha256,
        notice_sha256=version.notice_sha256,
        is_invited=document.get("invitation") is not None,
        granted_at=agreement.created_at,
        expires_at=agreement.expires_at,
        ended_at=agreement.ended_at or (agreement.expires_at if state.is_terminal else None),
        ended_by=agreement.ended_by,
        ended_why=ended_why,
        grants=tuple(_grant(row) for row in found),
        fetches_today=sum(row.fetches_today for row in found if row.fetch_day == today),
        owed=tuple(
            OwedView(
                ObligationKind(each.kind),
                obligations.shown_state(each, now),
                each.asked_by_person,
                each.due_at,
                each.answered_at,
            )
            for each in sorted(owed, key=lambda each: (each.due_at, each.kind))
        ),
        frozen=None if state.is_terminal else _frozen(owner, found),
    )


def _frozen(owner: Organisation, grants: Iterable[Grant]) -> FrozenView | None:
    is_past = any(grant.key_generation < owner.key_generation for grant in grants)
    if not is_past or owner.frozen_at is None:
        return None
    return FrozenView(owner.frozen_at, has_new_keys=not owner.is_frozen)


def _grant(row: Grant) -> GrantView:
    return GrantView(row.id, row.seq, row.last_read_at, row.reads, row.fetched_at is not None)


def _closed(session: Session, row: RequestRow, receipt_id: UUID | None) -> ClosedView:
    terms = templates.find(session, row.template_sha256).document
    return ClosedView(
        request_id=row.id,
        organisation=_organisation(organisations.get(session, row.organisation_id)),
        title=Wording(**terms["name"]),
        purpose_text=Wording(**terms["purpose_text"]),
        state=RequestState(row.state),
        closed_at=row.decided_at or row.seen_at,
        cools_until=row.cools_until,
        receipt_id=receipt_id,
    )


def _organisation(row: Organisation) -> OrganisationView:
    return OrganisationView(
        row.id, Wording(row.name_az, row.name_en), row.contact, row.address, row.standing
    )
