"""E-mails to people: which kinds there are, and the outbox in which they wait (D17, P-19).

A row names a vault, a kind and ids, never an address or a value: the address is opened, and the
words are written, when the letter goes out. A row is written in the transaction of what it tells
of. Whoever gave no address, or did not confirm it, gets no letter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from pds.ids import time_ordered_uuid
from pds.models import Account, Letter
from pds.sweeping import sweep_table

# Waits after each try but the last. What is still not sent after two days is no news any more.
WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 480, 960, 1_440))
CLAIMED_FOR = timedelta(minutes=10)
BATCH = 20
MOST_AN_HOUR = 10  # to one person
KEPT_FOR = timedelta(days=30)


class LetterKind(StrEnum):
    """What letters tell of; people switch off what they do not want, but for `SECURITY`."""

    REQUEST = "request"
    CHANGE = "change"
    WITHDRAWN = "withdrawn"
    EXPIRY = "expiry"
    OVERDUE = "overdue"
    DORMANT = "dormant"
    FROZEN = "frozen"
    SIGN_IN = "sign-in"
    CREDENTIALS = "credentials"
    RECOVERY = "recovery"
    RECOVERY_CODE = "recovery-code"
    SECOND_STEP_ON = "second-step-on"
    SECOND_STEP_OFF = "second-step-off"
    PASSKEY_ADDED = "passkey-added"
    PASSKEY_REMOVED = "passkey-removed"
    PASSKEY_REFUSED = "passkey-refused"
    APP_ADDED = "app-added"
    LOGIN = "login"
    ADDRESS = "address"
    CONFIRM = "confirm"
    LIMITED_LINK = "limited-link"
    LIMITED_OPENED = "limited-opened"
    DELETION_ASKED = "deletion-asked"
    DELETION_OFF = "deletion-off"
    DELETED = "deleted"
    UNMASKING_ASKED = "unmasking-asked"
    UNMASKED = "unmasked"


SECURITY = frozenset(
    {
        LetterKind.FROZEN,
        LetterKind.SIGN_IN,
        LetterKind.CREDENTIALS,
        LetterKind.RECOVERY,
        LetterKind.RECOVERY_CODE,
        LetterKind.SECOND_STEP_ON,
        LetterKind.SECOND_STEP_OFF,
        LetterKind.PASSKEY_ADDED,
        LetterKind.PASSKEY_REMOVED,
        LetterKind.PASSKEY_REFUSED,
        LetterKind.APP_ADDED,
        LetterKind.LOGIN,
        LetterKind.ADDRESS,
        LetterKind.CONFIRM,
        LetterKind.LIMITED_LINK,
        LetterKind.LIMITED_OPENED,
        LetterKind.DELETION_ASKED,
        LetterKind.DELETION_OFF,
        LetterKind.DELETED,
        LetterKind.UNMASKING_ASKED,
        LetterKind.UNMASKED,
    }
)
CHOICES = tuple(kind for kind in LetterKind if kind not in SECURITY)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A letter that its sender has claimed."""

    bucket: int
    id: UUID
    vault_id: UUID
    kind: LetterKind
    about: Mapping[str, str]
    to_box: bytes | None = field(repr=False)
    created_at: datetime


def queue(
    session: Session,
    bucket: int,
    vault_id: UUID,
    kind: LetterKind,
    *,
    now: datetime,
    about: Mapping[str, str] | None = None,
    after: timedelta = timedelta(),
    to_box: bytes | None = None,
) -> None:
    """Leave a letter in the outbox, if its person wants such letters.

    Args:
        session: of the change that it tells of.
        bucket: of the vault.
        vault_id: to whom.
        kind: what it tells of.
        now: the present instant.
        about: ids and days that the words will need; never a value.
        after: how long it waits at least.
        to_box: a sealed address, for what goes to another than the present one.
    """
    account = session.get(Account, (bucket, vault_id))
    if account is None or (to_box is None and not _wants(account, kind)):
        return
    session.execute(
        insert(Letter).values(
            bucket=bucket,
            id=time_ordered_uuid(now),
            vault_id=vault_id,
            kind=kind.value,
            about=dict(about or {}),
            to_box=to_box,
            state="pending",
            due_at=now + after,
            tries=0,
            created_at=now,
        )
    )


def any_due(session: Session, *, now: datetime) -> bool:
    """Tell whether a letter waits to be sent."""
    query = select(Letter.id).where(Letter.state == "pending", Letter.due_at <= now).limit(1)
    return session.execute(query).first() is not None


def claim(session: Session, *, now: datetime) -> list[Waiting]:
    """Take letters that are due; until `CLAIMED_FOR` has passed nobody else does.

    Whoever had `MOST_AN_HOUR` letters in the last hour gets the rest an hour later; but for links,
    which would be too old by then and have a limit of their own.
    """
    query = (
        select(Letter)
        .where(Letter.state == "pending", Letter.due_at <= now)
        .order_by(Letter.due_at, Letter.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    found = list(session.scalars(query))
    had = _had(session, {letter.vault_id for letter in found}, now)
    claimed = []
    for letter in found:
        had[letter.vault_id] = had.get(letter.vault_id, 0) + 1
        is_link = letter.kind == LetterKind.LIMITED_LINK.value
        if had[letter.vault_id] > MOST_AN_HOUR and not is_link:
            letter.due_at = now + timedelta(hours=1)
            continue
        letter.due_at = now + CLAIMED_FOR
        claimed.append(
            Waiting(
                letter.bucket,
                letter.id,
                letter.vault_id,
                LetterKind(letter.kind),
                {name: str(value) for name, value in letter.about.items()},
                letter.to_box,
                letter.created_at,
            )
        )
    return claimed


def settle(session: Session, letter: Waiting, *, sent: bool, now: datetime) -> None:
    """Write down that a letter went out, or that there was nobody or nothing to send it for.

    An address of its own is kept no longer.
    """
    state, sent_at = ("sent", now) if sent else ("dropped", None)
    _update(session, letter, state=state, sent_at=sent_at, to_box=None)


def put_off(session: Session, letter: Waiting, *, now: datetime) -> None:
    """Try a letter again later; after the last try it is dropped."""
    row = session.get(Letter, (letter.bucket, letter.id), with_for_update=True)
    if row is None:
        return
    row.tries += 1
    if row.tries > len(WAITS):
        row.state, row.to_box = "dropped", None
    else:
        row.due_at = now + WAITS[row.tries - 1]


def sweep(session: Session, *, now: datetime) -> int:
    """Delete letters that are done with and older than `KEPT_FOR`; returns how many."""
    done = (Letter.created_at <= now - KEPT_FOR) & (Letter.state != "pending")
    return sweep_table(session, Letter, done)


def _had(session: Session, vaults: Collection[UUID], now: datetime) -> dict[UUID, int]:
    query = (
        select(Letter.vault_id, func.count())
        .where(
            Letter.vault_id.in_(vaults),
            Letter.state == "sent",
            Letter.sent_at > now - timedelta(hours=1),
        )
        .group_by(Letter.vault_id)
    )
    return dict(session.execute(query).all())


def _wants(account: Account, kind: LetterKind) -> bool:
    if account.notice_box is None:
        return False
    if kind is LetterKind.CONFIRM:
        return account.notice_verified_at is None
    return account.notice_verified_at is not None and kind.value not in account.muted


def _update(session: Session, letter: Waiting, **values: object) -> None:
    session.execute(
        update(Letter)
        .where(Letter.bucket == letter.bucket, Letter.id == letter.id)
        .values(**values)
    )
