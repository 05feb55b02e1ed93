"""What organisations owe, after an end or because they were asked, and their answers (CM-7)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, or_, select, tuple_
from sqlalchemy.orm import Session

from consent import correspondence, grants
from consent.acts import announce
from consent.formats import canonical, deletion_receipt, obligation_answer
from consent.formats.errors import FormatError
from consent.log.entries import EventLog, grant_stream, seal_private
from consent.models import Agreement, AgreementVersion, Obligation
from consent.vocabulary import EventName, FeedEvent, ObligationKind
from pds.clock import Clock
from pds.errors import Issue, NotFoundError, ValidationFailedError
from pds.ids import IdFactory
from pds.store import Store
from pds.vaults import audit_public_key


@dataclass(frozen=True, slots=True)
class _Answer:
    """An organisation's signed answer, verified, and what it says."""

    document: Mapping[str, Any]
    text: bytes

    @property
    def is_deletion_receipt(self) -> bool:
        return bool(self.document["type"] == deletion_receipt.VERSION)

    @property
    def is_done(self) -> bool:
        """Tell whether what was owed was done; else there is a ground not to."""
        return self.document["outcome"] in _DONE

    def concerns(self, owed: Obligation) -> bool:
        """Tell whether it answers this obligation, and not another."""
        if self.is_deletion_receipt:
            kind, named = ObligationKind.DELETE.value, {"connection": owed.connection_id}
        else:
            kind, named = self.document["kind"], {"obligation": owed.id}
        named["agreement"] = owed.agreement_id
        is_named = all(self.document[name] == str(each) for name, each in named.items())
        return is_named and owed.kind == kind


_EVENTS = {
    ObligationKind.STOP.value: EventName.STOP_ANSWERED,
    ObligationKind.DELETE.value: EventName.ERASURE_CONFIRMED,
    ObligationKind.NOTIFY.value: EventName.NOTIFY_ANSWERED,
    ObligationKind.CORRECT.value: EventName.CORRECT_ANSWERED,
    ObligationKind.ERASE.value: EventName.ERASE_ANSWERED,
}
_DONE = frozenset({deletion_receipt.Outcome.ERASED, obligation_answer.Outcome.DONE})
_VERIFIERS = {
    deletion_receipt.VERSION: deletion_receipt.verify,
    obligation_answer.VERSION: obligation_answer.verify,
}


@dataclass(frozen=True, slots=True)
class ObligationService:
    """Takes in what organisations answer for what they owe."""

    store: Store
    ids: IdFactory
    clock: Clock
    log: EventLog

    def confirm(
        self,
        obligation_id: UUID,
        *,
        organisation_id: UUID,
        answer: object,
        keys: Mapping[str, bytes],
        also: Callable[[Session], None] = lambda _session: None,
    ) -> Obligation:
        """Record an organisation's signed answer; repeating it changes nothing.

        Whoever deleted what it had has stopped using it: a deletion receipt settles both.

        Args:
            obligation_id: what it answers.
            organisation_id: whose token it came with.
            answer: the signed document: `consent.formats.deletion_receipt` for a deletion,
                `consent.formats.obligation_answer` for the rest.
            keys: the organisation's 32-byte Ed25519 public keys by `kid`.
            also: run first in the same transaction.

        Raises:
            NotFoundError: it owes nothing of that id.
            ValidationFailedError: the answer is malformed, unsigned, or about something else.
        """
        now = self.clock.now()
        verified = _verified(answer, keys)
        bucket = self.ids.bucket_of(obligation_id)

        def job(session: Session) -> Obligation:
            also(session)
            owed = session.scalars(
                select(Obligation)
                .where(Obligation.bucket == bucket, Obligation.id == obligation_id)
                .with_for_update()
            ).one_or_none()
            if owed is None or owed.organisation_id != organisation_id:
                raise NotFoundError
            if not verified.concerns(owed):
                detail = "the answer is about another obligation, or of the form for another kind"
                raise ValidationFailedError([Issue("obligation", "mismatch", detail)])
            if owed.state == "confirmed":
                return owed
            settled = [owed]
            if verified.is_deletion_receipt and verified.is_done:
                settled += _stop_of(session, owed)
            for each in settled:
                each.state = "confirmed" if verified.is_done else "retained_with_basis"
                each.answered_at, each.evidence = now, verified.text
            session.flush()
            self._log(session, owed, verified, now)
            return owed

        return self.store.write(job)

    def _log(self, session: Session, owed: Obligation, answer: _Answer, now: datetime) -> None:
        grant = grants.latest_of_agreement(session, owed.bucket, owed.agreement_id)
        agreement = session.get(Agreement, (owed.bucket, owed.agreement_id))
        version = agreement and session.get(
            AgreementVersion, (owed.bucket, owed.agreement_id, agreement.version)
        )
        private = seal_private(
            {"vault": str(owed.vault_id), "obligation": str(owed.id)},
            audit_public_key=audit_public_key(session, owed.bucket, owed.vault_id),
        )
        items = answer.document["items"] if answer.is_deletion_receipt else []
        self.log.append(
            session,
            bucket=owed.bucket,
            stream=grant_stream(grant.id),
            seq=grants.next_seq(session, owed.bucket, grant.id),
            name=_EVENTS[owed.kind],
            at=now,
            private=private,
            vault_id=owed.vault_id,
            grant_id=grant.id,
            client=grant.client_id,
            collections=sorted(item["collection"] for item in items),
            agreement_sha256=version.sha256 if version else None,
            outcome=str(answer.document["reason"] or "ok"),
            count=sum(item["attributes"] for item in items),
        )


def open_one(  # noqa: PLR0917 - what an obligation is
    session: Session,
    ids: IdFactory,
    agreement: Agreement,
    kind: ObligationKind,
    due_at: datetime,
    at: datetime,
    *,
    asked_by_person: bool,
) -> UUID:
    """Write down what an organisation owes from now on, tell its feed, and return the id."""
    obligation_id = ids.new(agreement.bucket)
    session.execute(
        insert(Obligation).values(
            bucket=agreement.bucket,
            id=obligation_id,
            vault_id=agreement.vault_id,
            organisation_id=agreement.organisation_id,
            agreement_id=agreement.id,
            connection_id=agreement.connection_id,
            kind=kind.value,
            state="due",
            asked_by_person=asked_by_person,
            due_at=due_at,
            overdue_announced=False,
            created_at=at,
        )
    )
    announce(
        session,
        agreement.bucket,
        FeedEvent.OBLIGATION_OPENED,
        organisation_id=agreement.organisation_id,
        connection_id=agreement.connection_id,
        now=at,
        obligation_id=obligation_id,
    )
    return obligation_id


def announce_overdue(session: Session, *, now: datetime, limit: int = 100) -> int:
    """Tell organisations' feeds, and people, of what is overdue, once each; returns how many.

    For the worker's write jobs.
    """
    query = (
        select(Obligation)
        .where(
            Obligation.state == "due",
            Obligation.overdue_announced.is_(False),
            Obligation.due_at <= now,
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = session.scalars(query).all()
    told = set()
    for owed in found:
        owed.overdue_announced = True
        announce(
            session,
            owed.bucket,
            FeedEvent.OBLIGATION_OVERDUE,
            organisation_id=owed.organisation_id,
            connection_id=owed.connection_id,
            now=now,
            obligation_id=owed.id,
        )
        if (owed.bucket, owed.agreement_id) not in told:  # one letter about one agreement
            correspondence.tell_of_overdue(session, owed, now=now)
            told.add((owed.bucket, owed.agreement_id))
    return len(found)


def of_organisation(
    session: Session, organisation_id: UUID, *, state: str, limit: int
) -> list[Obligation]:
    """Return what an organisation owes or has answered, the most urgent first."""
    query = (
        select(Obligation)
        .where(Obligation.organisation_id == organisation_id, Obligation.state == state)
        .order_by(Obligation.due_at, Obligation.id)
        .limit(limit)
    )
    return list(session.scalars(query))


def of_vault(session: Session, bucket: int, vault_id: UUID) -> list[Obligation]:
    """Return what is owed to a person, newest first."""
    query = (
        select(Obligation)
        .where(Obligation.bucket == bucket, Obligation.vault_id == vault_id)
        .order_by(Obligation.created_at.desc())
    )
    return list(session.scalars(query))


def of_deployment(
    session: Session,
    *,
    state: str,
    now: datetime,
    after: tuple[int, UUID] | None,
    limit: int,
    period: tuple[datetime, datetime],
    among: Collection[UUID] | None = None,
) -> list[Obligation]:
    """Return a page of what all organisations owe or have answered, by bucket and id.

    Args:
        session: a read transaction.
        state: as `shown_state` has it.
        now: the present instant.
        after: bucket and id of the last one of the page before.
        limit: the most to return.
        period: it was owed for a time between these, the second exclusive.
        among: the organisations that are meant; None: all.
    """
    since, until = period
    query = (
        select(Obligation)
        .where(Obligation.created_at < until)
        .where(or_(Obligation.answered_at.is_(None), Obligation.answered_at >= since))
        .where(Obligation.state == ("due" if state == "overdue" else state))
        .order_by(Obligation.bucket, Obligation.id)
        .limit(limit)
    )
    if state in {"due", "overdue"}:
        is_overdue = Obligation.due_at <= now
        query = query.where(is_overdue if state == "overdue" else ~is_overdue)
    if among is not None:
        query = query.where(Obligation.organisation_id.in_(sorted(among)))
    if after is not None:
        query = query.where(tuple_(Obligation.bucket, Obligation.id) > after)
    return list(session.scalars(query))


def shown_state(obligation: Obligation, now: datetime) -> str:
    """Return the state as people see it: `overdue` is computed, never stored."""
    overdue = obligation.state == "due" and obligation.due_at <= now
    return "overdue" if overdue else obligation.state


def _stop_of(session: Session, deletion: Obligation) -> list[Obligation]:
    query = (
        select(Obligation)
        .where(
            Obligation.bucket == deletion.bucket,
            Obligation.vault_id == deletion.vault_id,
            Obligation.agreement_id == deletion.agreement_id,
            Obligation.kind == ObligationKind.STOP.value,
            Obligation.state != "confirmed",
        )
        .with_for_update()
    )
    return list(session.scalars(query))


def _verified(answer: object, keys: Mapping[str, bytes]) -> _Answer:
    version = answer.get("type") if isinstance(answer, dict) else None
    verify = _VERIFIERS.get(version) if isinstance(version, str) else None
    if verify is None:
        detail = f"one of {', '.join(sorted(_VERIFIERS))}"
        raise ValidationFailedError([Issue("type", "unknown", detail)])
    try:
        verify(answer, keys)
        text = canonical.canonical_bytes(answer)
    except FormatError as exc:
        raise ValidationFailedError([Issue("proof", "signature", str(exc))]) from exc
    document: Any = answer
    return _Answer(document, text)
