"""What of agreements is told to their people by e-mail (`pds.letters`).

Acts are told of in their own transaction; what only time brings about is found by the worker, each
thing once. A letter names the organisation by its id and a day, nothing else.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from consent.lifecycle import Act
from consent.models import Agreement, Grant, Obligation, Organisation, Request
from consent.vocabulary import AgreementState, GrantState, RequestState
from pds import letters
from pds.letters import LetterKind

# A request that is decided at once needs no letter.
DECIDED_WITHIN = timedelta(minutes=5)
UNUSED_AFTER = timedelta(days=90)  # CUX-32
DAYS_AHEAD = (3, 14)  # of an end; the shorter one first
_CHANGES = {
    Act.ALLOW: "granted",
    Act.ALLOW_PART: "granted",
    Act.AMEND: "changed",
    Act.AMEND_PART: "changed",
    Act.NARROW: "changed",
    Act.RENEW: "renewed",
    Act.RENEW_PART: "renewed",
    Act.EXTEND: "renewed",
    Act.PAUSE: "paused",
    Act.RESUME: "resumed",
    Act.TERMINATE: "ended",
    Act.EXCLUDE: "ended",
    Act.INVALIDATE: "ended",
    Act.EXPIRE: "ended",
    Act.FULFIL: "ended",
}


def tell_of_act(
    session: Session, bucket: int, vault_id: UUID, organisation_id: UUID, act: Act, *, now: datetime
) -> None:
    """Tell a person of an act on an agreement, in its transaction.

    A replacement is told of by the agreement that takes the place.
    """
    about = {"organisation": str(organisation_id)}
    if act is Act.WITHDRAW:
        letters.queue(session, bucket, vault_id, LetterKind.WITHDRAWN, now=now, about=about)
    elif act in _CHANGES:
        about["change"] = _CHANGES[act]
        letters.queue(session, bucket, vault_id, LetterKind.CHANGE, now=now, about=about)


def tell_of_request(session: Session, request: Request, *, now: datetime) -> None:
    """Tell a person of a request that they saw and do not decide."""
    about = {"organisation": str(request.organisation_id), "request": str(request.id)}
    letters.queue(
        session,
        request.bucket,
        request.vault_id,
        LetterKind.REQUEST,
        now=now,
        about=about,
        after=DECIDED_WITHIN,
    )


def is_still_so(session: Session, letter: letters.Waiting) -> bool:
    """Tell whether what a letter says still holds as it goes out."""
    if letter.kind is not LetterKind.REQUEST:
        return True
    request = session.get(Request, (letter.bucket, UUID(letter.about["request"])))
    return request is not None and request.state == RequestState.SEEN


def tell_of_freeze(
    session: Session, grant: Grant, organisation: Organisation, *, now: datetime
) -> None:
    """Tell a person that an organisation was frozen, and when."""
    about = {"organisation": str(organisation.id), "day": _day(organisation.frozen_at or now)}
    letters.queue(session, grant.bucket, grant.vault_id, LetterKind.FROZEN, now=now, about=about)


def tell_of_overdue(session: Session, owed: Obligation, *, now: datetime) -> None:
    """Tell a person that an organisation has not answered for what it owes."""
    about = {"organisation": str(owed.organisation_id), "day": _day(owed.due_at)}
    letters.queue(session, owed.bucket, owed.vault_id, LetterKind.OVERDUE, now=now, about=about)


def tell_of_expiry(session: Session, *, now: datetime, limit: int = 100) -> int:
    """Tell people of agreements that end within `DAYS_AHEAD`; returns how many were looked at.

    An agreement is told of 14 and 3 days before its end, if its whole time is at least twice that.
    """
    looked_at = 0
    for days in DAYS_AHEAD:
        query = (
            select(Agreement)
            .where(
                Agreement.state.in_([AgreementState.ACTIVE, AgreementState.SUSPENDED]),
                Agreement.expires_at > now,
                Agreement.expires_at <= now + timedelta(days=days),
                or_(Agreement.expiry_told == 0, Agreement.expiry_told > days),
            )
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        for agreement in session.scalars(query).all():
            looked_at += 1
            agreement.expiry_told = days
            # Ends are in whole seconds, so that beginnings have to be compared so, too.
            begun_at = agreement.created_at.replace(microsecond=0)
            if agreement.expires_at - begun_at >= timedelta(days=2 * days):
                about = {
                    "organisation": str(agreement.organisation_id),
                    "day": _day(agreement.expires_at),
                }
                letters.queue(
                    session,
                    agreement.bucket,
                    agreement.vault_id,
                    LetterKind.EXPIRY,
                    now=now,
                    about=about,
                )
    return looked_at


def tell_of_dormant(session: Session, *, now: datetime, limit: int = 100) -> int:
    """Tell people of organisations that read after a long time; returns how many were looked at.

    Reads leave no trace of the one before, and stay as quick as they are: whoever has not read for
    `UNUSED_AFTER` is marked, and looked at again.
    """
    quiet_since = func.coalesce(Grant.last_read_at, Grant.created_at)
    quiet = (
        select(Grant.bucket, Grant.id)
        .where(
            Grant.state == GrantState.ACTIVE,
            Grant.dormant_since.is_(None),
            quiet_since <= now - UNUSED_AFTER,
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    marked = [tuple(row) for row in session.execute(quiet)]
    if marked:
        session.execute(
            update(Grant)
            .where(tuple_(Grant.bucket, Grant.id).in_(marked))
            .values(dormant_since=quiet_since)
            .execution_options(synchronize_session=False)
        )
    query = (
        select(Grant)
        .where(Grant.dormant_since.is_not(None), Grant.last_read_at > Grant.dormant_since)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = session.scalars(query).all()
    for grant in found:
        grant.dormant_since = None
        about = {"organisation": str(grant.organisation_id)}
        letters.queue(
            session, grant.bucket, grant.vault_id, LetterKind.DORMANT, now=now, about=about
        )
    return max(len(marked), len(found))


def _day(instant: datetime) -> str:
    return instant.date().isoformat()
