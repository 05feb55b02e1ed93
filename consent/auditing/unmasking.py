"""Opening a pseudonym: by the person's own yes, or by a second person, for a reason (AUD-1).

    ask        an auditor, of somebody in their engagement; asks the person, or a second person
    decide     the person on their page; or another auditor of the engagement, or the operator
    look       whoever asked, while it is open, and nobody else; each look is counted and logged
    take back  the person, what they allowed themselves

What is opened is the name of the account, nothing that it keeps (ADR 0039). Whatever way it was
opened, the person's own stream says so, with the reason in its private part; that somebody opened a
pseudonym stands in the deployment's stream, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, delete, func, select
from sqlalchemy.orm import Session, aliased

from consent.auditing import search
from consent.auditing.engagements import Scope, Seat
from consent.auditing.models import Engagement, Unmasking
from consent.log.entries import EventLog
from consent.models import Auditor
from consent.vocabulary import EventName
from pds import letters, vaults
from pds.clock import Clock, rfc3339
from pds.errors import ConflictError, Issue, NotFoundError, ValidationFailedError
from pds.events import EventSink, VaultEvent, VaultRef
from pds.ids import IdFactory
from pds.letters import LetterKind
from pds.store import Store

ANSWER_WITHIN = timedelta(days=14)
OPEN_FOR = timedelta(days=7)
REASON_LEAST, REASON_MOST = 10, 500
WAITING_MOST = 20  # of one engagement
LISTED_MOST = 200


class Way(StrEnum):
    """Whose yes is asked for."""

    CONSENT = "consent"
    TWO_PERSONS = "two-persons"


class State(StrEnum):
    """What became of it; the last two come by time and stand in no row."""

    WAITING = "waiting"
    OPEN = "open"
    REFUSED = "refused"
    TAKEN_BACK = "taken-back"
    LAPSED = "lapsed"
    OVER = "over"


class Decider(StrEnum):
    """Who decided."""

    PERSON = "person"
    AUDITOR = "auditor"
    OPERATOR = "operator"


# What the log calls the way that a pseudonym was opened.
_OUTCOMES: Mapping[Decider, str] = {
    Decider.PERSON: "by-consent",
    Decider.AUDITOR: "by-second-auditor",
    Decider.OPERATOR: "by-operator",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """An unmasking as it stands at an instant.

    `until` is when an answer is due while it waits, and when it closes while it is open.
    `organisations` is None where the engagement covers all.
    """

    id: UUID
    bucket: int
    vault_id: UUID
    engagement_id: UUID
    auditor_id: UUID
    auditor: str
    way: Way
    reason: str
    asked_at: datetime
    state: State
    until: datetime | None
    decider: Decider | None
    decided_by: str | None
    decided_at: datetime | None
    taken_back_at: datetime | None
    looks: int
    looked_at: datetime | None
    organisations: Sequence[UUID] | None

    @property
    def may_be_taken_back(self) -> bool:
        """Tell whether the person may close it: what they allowed, they may end."""
        return self.state is State.OPEN and self.decider is Decider.PERSON


@dataclass(frozen=True, slots=True)
class UnmaskingService:
    """Takes in who wants to know whose a pseudonym is, who said yes, and who looked."""

    store: Store
    ids: IdFactory
    clock: Clock
    log: EventLog
    sink: EventSink

    def ask(self, seat: Seat, person: str, *, way: str, reason: str) -> UUID:
        """Ask for a pseudonym to be opened; returns the id.

        Raises:
            ValidationFailedError: there is no such person or way, the reason is too short or too
                long, or it was asked before.
        """
        issues = []
        if way not in tuple(Way):
            issues.append(Issue("/way", "unknown", f"one of {', '.join(Way)}"))
        if not REASON_LEAST <= len(reason) <= REASON_MOST:
            detail = f"say why, in {REASON_LEAST} to {REASON_MOST} characters"
            issues.append(Issue("/reason", "length", detail))
        now = self.clock.now()

        def job(session: Session) -> UUID:
            found = search.vault_of(session, seat.scope, person)
            if found is None:
                unknown = Issue("/person", "unknown", "a pseudonym of this engagement")
                raise ValidationFailedError([*issues, unknown])
            if issues:
                raise ValidationFailedError(issues)
            vault = vaults.vault_ref(session, *found)
            try:
                vaults.lock(session, vault)
            except NotFoundError:
                gone = Issue("/person", "gone", "the vault was deleted, and its name with it")
                raise ValidationFailedError([gone]) from None
            _refuse_repetition(session, seat.scope, vault, Way(way), now)
            row = Unmasking(
                bucket=vault.bucket,
                id=self.ids.new(vault.bucket),
                vault_id=vault.id,
                engagement_id=seat.scope.engagement_id,
                asked_by=seat.auditor_id,
                way=way,
                reason=reason,
                asked_at=now,
                answer_by=min(now + ANSWER_WITHIN, seat.scope.expires_at),
                state=State.WAITING.value,
                looks=0,
            )
            session.add(row)
            if way == Way.CONSENT:
                self._tell(session, EventName.UNMASKING_ASKED, row, seat.name, now)
                letters.queue(session, vault.bucket, vault.id, LetterKind.UNMASKING_ASKED, now=now)
            self.log.append_deployment(
                session, EventName.PSEUDONYM_ASKED, at=now, outcome=way, count=1
            )
            return row.id

        return self.store.write(job)

    def decide_as_person(self, vault: VaultRef, unmasking_id: UUID, *, allow: bool) -> None:
        """Say yes or no to an auditor who asked.

        Raises:
            NotFoundError: nobody asked this person under that id.
            ConflictError: it is answered already, or nobody waits for an answer any more.
        """

        def job(session: Session) -> None:
            found = self._locked(session, unmasking_id)
            if found.vault_id != vault.id or found.way != Way.CONSENT:
                raise NotFoundError
            self._decide(session, found, Decider.PERSON, None, allow=allow)

        self.store.write(job)

    def decide_as_auditor(self, seat: Seat, unmasking_id: UUID, *, allow: bool) -> None:
        """Say yes or no as the second auditor of an engagement.

        Raises:
            NotFoundError: a second person was not asked for under that id in this engagement.
            ConflictError: it is one's own, answered already, or nobody waits any more.
        """

        def job(session: Session) -> None:
            found = self._locked(session, unmasking_id)
            if found.engagement_id != seat.scope.engagement_id or found.way != Way.TWO_PERSONS:
                raise NotFoundError
            if found.asked_by == seat.auditor_id:
                raise ConflictError("whoever asked is not the second person")
            self._decide(session, found, Decider.AUDITOR, seat.auditor_id, allow=allow)

        self.store.write(job)

    def decide_as_operator(self, unmasking_id: UUID, *, allow: bool) -> None:
        """Say yes or no as the operator.

        Raises:
            NotFoundError: a second person was not asked for under that id.
            ConflictError: it is answered already, or nobody waits any more.
        """

        def job(session: Session) -> None:
            found = self._locked(session, unmasking_id)
            if found.way != Way.TWO_PERSONS:
                raise NotFoundError
            self._decide(session, found, Decider.OPERATOR, None, allow=allow)

        self.store.write(job)

    def take_back(self, vault: VaultRef, unmasking_id: UUID) -> None:
        """Close what the person had allowed, at once.

        Raises:
            NotFoundError: they allowed nothing under that id.
            ConflictError: it is closed already.
        """
        now = self.clock.now()

        def job(session: Session) -> None:
            row = self._locked(session, unmasking_id)
            found = _standing(session, row, now)
            if found.vault_id != vault.id or found.decider is not Decider.PERSON:
                raise NotFoundError
            if not found.may_be_taken_back:
                raise ConflictError("it is closed already")
            row.state, row.taken_back_at = State.TAKEN_BACK.value, now
            self._tell(session, EventName.UNMASKING_TAKEN_BACK, row, found.auditor, now)

        self.store.write(job)

    def look(self, seat: Seat, unmasking_id: UUID) -> Asked:
        """Count and log that whoever asked is shown the name; returns whose account it is.

        Raises:
            NotFoundError: this auditor asked nothing under that id in this engagement.
            ConflictError: it is not open.
        """
        now = self.clock.now()

        def job(session: Session) -> Asked:
            row = self._locked(session, unmasking_id)
            found = _standing(session, row, now)
            if (row.engagement_id, row.asked_by) != (seat.scope.engagement_id, seat.auditor_id):
                raise NotFoundError
            if found.state is not State.OPEN:
                raise ConflictError("it is not open")
            row.looks, row.looked_at = row.looks + 1, now
            self.log.append_deployment(session, EventName.PSEUDONYM_LOOKED_UP, at=now, count=1)
            return _standing(session, row, now)

        return self.store.write(job)

    def of_engagement(self, engagement_id: UUID) -> list[Asked]:
        """Return what was asked in an engagement, newest first."""
        return self._listed(Unmasking.engagement_id == engagement_id)

    def of_vault(self, vault: VaultRef) -> list[Asked]:
        """Return what a person is told of: what they were asked, and what was opened; newest first.

        That a second person is asked is told once they have said yes: nobody knows the name before.
        """
        mine = self._listed(Unmasking.bucket == vault.bucket, Unmasking.vault_id == vault.id)
        opened = (State.OPEN, State.OVER)
        return [each for each in mine if each.way is Way.CONSENT or each.state in opened]

    def waits_for(self, vault: VaultRef) -> bool:
        """Tell whether an auditor waits for this person's answer."""
        return any(each.state is State.WAITING for each in self.of_vault(vault))

    def all_that_wait(self) -> list[Asked]:
        """Return what waits for a second person, in all engagements, newest first."""
        found = self._listed(
            Unmasking.way == Way.TWO_PERSONS.value, Unmasking.state == State.WAITING.value
        )
        return [each for each in found if each.state is State.WAITING]

    def _listed(self, *conditions: Any) -> list[Asked]:  # noqa: ANN401 - SQLAlchemy's
        now = self.clock.now()
        query = _rows().where(*conditions).order_by(Unmasking.asked_at.desc(), Unmasking.id)
        with self.store.read() as session:
            return [_asked(row, now) for row in session.execute(query.limit(LISTED_MOST))]

    def _locked(self, session: Session, unmasking_id: UUID) -> Unmasking:
        key = (self.ids.bucket_of(unmasking_id), unmasking_id)
        row = session.get(Unmasking, key)
        if row is None:
            raise NotFoundError
        # The vault first (P-4): the answer is an event of its stream.
        vaults.lock(session, vaults.vault_ref(session, row.bucket, row.vault_id))
        session.refresh(row, with_for_update=True)
        return row

    def _decide(
        self,
        session: Session,
        row: Unmasking,
        decider: Decider,
        second: UUID | None,
        *,
        allow: bool,
    ) -> None:
        now = self.clock.now()
        found = _standing(session, row, now)
        if found.state is not State.WAITING:
            raise ConflictError("it is answered already, or nobody waits for an answer any more")
        row.state = (State.OPEN if allow else State.REFUSED).value
        row.decider, row.decided_by, row.decided_at = decider.value, second, now
        if allow:
            row.open_until = now + OPEN_FOR
            self._tell(session, EventName.UNMASKED, row, found.auditor, now)
            if decider is not Decider.PERSON:
                letters.queue(session, row.bucket, row.vault_id, LetterKind.UNMASKED, now=now)
        elif decider is Decider.PERSON:
            self._tell(session, EventName.UNMASKING_REFUSED, row, found.auditor, now)
        name = EventName.PSEUDONYM_OPENED if allow else EventName.PSEUDONYM_KEPT
        self.log.append_deployment(session, name, at=now, outcome=_OUTCOMES[decider], count=1)

    def _tell(
        self,
        session: Session,
        name: EventName,
        row: Unmasking,
        auditor: str,
        now: datetime,
    ) -> None:
        vault = vaults.vault_ref(session, row.bucket, row.vault_id)
        private = {
            "unmasking": str(row.id),
            "engagement": str(row.engagement_id),
            "auditor": str(row.asked_by),
            "auditor_name": auditor,
            "reason": row.reason,
        }
        if row.decided_by is not None:
            private["second_auditor"] = str(row.decided_by)
        if row.open_until is not None:
            private["open_until"] = rfc3339(row.open_until)
        outcome = "ok" if row.decider is None else _OUTCOMES[Decider(row.decider)]
        self.sink.append(
            session, vault, VaultEvent(name.value, now, outcome=outcome, private=private)
        )


def opened_by_day(session: Session, scope: Scope) -> dict[str, int]:
    """Count the pseudonyms that were opened, by day in UTC.

    Of the engagement itself all count, since they are opened while it is worked in, and not in the
    period that it looks at. Whoever is engaged for the whole deployment also looks at what other
    auditors did in that period. Those of a vault that was deleted since are gone (`forget`).
    """
    query = select(Unmasking.decided_at, Unmasking.engagement_id).where(
        Unmasking.state.in_([State.OPEN.value, State.TAKEN_BACK.value])
    )
    if not scope.covers_everyone:
        query = query.where(Unmasking.engagement_id == scope.engagement_id)
    found: dict[str, int] = {}
    for at, engagement_id in session.execute(query):
        if at is None:
            continue
        if engagement_id == scope.engagement_id or scope.is_in_period(at):
            day = at.date().isoformat()
            found[day] = found.get(day, 0) + 1
    return found


def forget(session: Session, vault: VaultRef) -> None:
    """Delete what was asked about a person whose vault is deleted; the log's entries stay."""
    session.execute(
        delete(Unmasking).where(Unmasking.bucket == vault.bucket, Unmasking.vault_id == vault.id)
    )


def _refuse_repetition(
    session: Session, scope: Scope, vault: VaultRef, way: Way, now: datetime
) -> None:
    query = _rows().where(Unmasking.engagement_id == scope.engagement_id)
    same = [
        _asked(row, now)
        for row in session.execute(
            query.where(Unmasking.bucket == vault.bucket, Unmasking.vault_id == vault.id)
        )
    ]
    if any(each.state in (State.WAITING, State.OPEN) for each in same):
        detail = "it waits for an answer, or is open"
        raise ValidationFailedError([Issue("/person", "asked_already", detail)])
    if way is Way.CONSENT and any(each.way is Way.CONSENT for each in same):
        # Nobody is worn down by being asked again and again.
        detail = "a person is asked once in an engagement"
        raise ValidationFailedError([Issue("/way", "asked_before", detail)])
    waiting = select(func.count()).where(
        Unmasking.engagement_id == scope.engagement_id,
        Unmasking.state == State.WAITING.value,
        Unmasking.answer_by > now,
    )
    if session.execute(waiting).scalar_one() >= WAITING_MOST:
        detail = f"at most {WAITING_MOST} wait for an answer at once"
        raise ValidationFailedError([Issue("/person", "too_many", detail)])


_second = aliased(Auditor)


def _rows() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Unmasking,
            Auditor.name.label("auditor"),
            _second.name.label("second"),
            Engagement.organisations,
            Engagement.ended_at,
            Engagement.expires_at,
        )
        .join(Auditor, Auditor.id == Unmasking.asked_by)
        .join(Engagement, Engagement.id == Unmasking.engagement_id)
        .outerjoin(_second, _second.id == Unmasking.decided_by)
    )


def _standing(session: Session, row: Unmasking, now: datetime) -> Asked:
    session.flush()
    found = session.execute(_rows().where(Unmasking.bucket == row.bucket, Unmasking.id == row.id))
    return _asked(found.one(), now)


def _asked(found: Row[Any], now: datetime) -> Asked:
    row: Unmasking = found.Unmasking
    # Whatever ends the engagement closes what was opened in it.
    end = min(found.expires_at, found.ended_at or found.expires_at)
    until = min(row.open_until or row.answer_by, end)
    state = State(row.state)
    if now >= until and state in (State.WAITING, State.OPEN):
        state = State.LAPSED if state is State.WAITING else State.OVER
    named = found.organisations
    return Asked(
        id=row.id,
        bucket=row.bucket,
        vault_id=row.vault_id,
        engagement_id=row.engagement_id,
        auditor_id=row.asked_by,
        auditor=found.auditor,
        way=Way(row.way),
        reason=row.reason,
        asked_at=row.asked_at,
        state=state,
        until=until,
        decider=Decider(row.decider) if row.decider else None,
        decided_by=found.second,
        decided_at=row.decided_at,
        taken_back_at=row.taken_back_at,
        looks=row.looks,
        looked_at=row.looked_at,
        organisations=None if named is None else [UUID(each) for each in named],
    )
