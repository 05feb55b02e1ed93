"""Where letters to a person go: an address that they gave and confirmed (P-19, TAK-59).

The address is sealed under the server's *at-rest* key. It is confirmed by a code that is sent to it
and given back by its owner, signed in; until then nothing else is sent there. The code is derived
from the server's key and a nonce of the row, so that the row does not hold it.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from sqlalchemy.orm import Session

from pds import letters
from pds.clock import Clock
from pds.crypto import labels
from pds.crypto.labels import derive
from pds.errors import Issue, NotFoundError, ValidationFailedError
from pds.events import EventSink, VaultEvent, VaultRef
from pds.ids import IdFactory
from pds.instance import InstanceKeys
from pds.letters import CHOICES, LetterKind
from pds.models import Account
from pds.store import Store
from pds.throttling import count, throttle_key

ADDRESS_CHARACTERS = 254
CONFIRM_WITHIN = timedelta(hours=24)
_CODE_BYTES = 20
_CODES_A_QUARTER_HOUR = 5


@dataclass(frozen=True, slots=True)
class NoticeAddress:
    """What somebody's settings say of letters."""

    address: str  # empty: none
    is_confirmed: bool
    wanted: frozenset[LetterKind]
    locale: str


@dataclass(frozen=True, slots=True)
class NoticeAddressService:
    """Keeps addresses, their confirmation, and what people want to hear of."""

    store: Store
    keys: InstanceKeys
    ids: IdFactory
    clock: Clock
    sink: EventSink

    def read(self, vault_id: UUID) -> NoticeAddress:
        """Return a person's address and choices.

        Raises:
            NotFoundError: there is no such person.
        """
        with self.store.read() as session:
            account = session.get(Account, (self.ids.bucket_of(vault_id), vault_id))
        if account is None:
            raise NotFoundError
        return NoticeAddress(
            self.open(vault_id, account.notice_box) if account.notice_box else "",
            account.notice_verified_at is not None,
            frozenset(kind for kind in CHOICES if kind.value not in account.muted),
            account.locale,
        )

    def give(self, vault: VaultRef, address: str) -> None:
        """Set an address; a letter asks to confirm it, and one tells the address before it.

        An empty address takes the present one away.

        Raises:
            ValidationFailedError: it is no address.
            LimitExceededError: too many letters were asked for.
        """
        given = _checked(address) if address.strip() else ""
        box = self.keys.seal_at_rest(given.encode(), b"notice", vault.id) if given else None
        now = self.clock.now()
        throttle = throttle_key(self.keys.login_tag, "notice-address", vault.id.bytes)

        def job(session: Session) -> None:
            count(session, throttle, most=_CODES_A_QUARTER_HOUR, now=now)
            account = _locked(session, vault)
            before = account.notice_box
            if before and account.notice_verified_at and self.open(vault.id, before) != given:
                letters.queue(
                    session, vault.bucket, vault.id, LetterKind.ADDRESS, now=now, to_box=before
                )
            account.notice_box, account.notice_verified_at = box, None
            account.notice_nonce = os.urandom(16) if given else None
            account.notice_asked_at = now if given else None
            if given:
                letters.queue(session, vault.bucket, vault.id, LetterKind.CONFIRM, now=now)
            self.sink.append(session, vault, VaultEvent("vault.notice_address_changed", now))

        self.store.write(job)

    def confirm(self, vault: VaultRef, code: str) -> None:
        """Confirm the address by the code that was sent to it; it holds for 24 hours.

        Raises:
            ValidationFailedError: another code, or its time is over.
            LimitExceededError: too many attempts.
        """
        now = self.clock.now()
        throttle = throttle_key(self.keys.login_tag, "notice-code", vault.id.bytes)
        self.store.write(
            lambda session: count(session, throttle, most=_CODES_A_QUARTER_HOUR, now=now)
        )

        def job(session: Session) -> None:
            account = _locked(session, vault)
            if not self._matches(account, code, now):
                raise ValidationFailedError([Issue("code", "wrong_notice_code", "wrong code")])
            account.notice_verified_at, account.notice_nonce = now, None

        self.store.write(job)

    def code(self, account: Account) -> str:
        """Return the code that confirms an account's address; empty: nothing to confirm."""
        if account.notice_nonce is None or account.notice_box is None:
            return ""
        # The box, which is new with every address: a code for one confirms no other.
        context = (account.vault_id.bytes, account.notice_nonce, account.notice_box)
        made = derive(self.keys.at_rest, labels.NOTICE_CODE, *context, length=_CODE_BYTES)
        return base64.b32encode(made).decode("ascii").rstrip("=")

    def choose(self, vault_id: UUID, wanted: Collection[str]) -> None:
        """Keep which kinds somebody wants; those of security are not theirs to switch off."""
        bucket = self.ids.bucket_of(vault_id)
        muted = [kind.value for kind in CHOICES if kind.value not in wanted]

        def job(session: Session) -> None:
            account = session.get(Account, (bucket, vault_id), with_for_update=True)
            if account is not None:
                account.muted = muted

        self.store.write(job)

    def recipient(self, letter: letters.Waiting) -> tuple[str, str, str] | None:
        """Return address, language and confirming code for a letter; None: nobody to send it to."""
        with self.store.read() as session:
            account = session.get(Account, (letter.bucket, letter.vault_id))
        if account is None:
            # The last letter of all: its vault is gone, and its address stands in its row.
            gone = letter.to_box and self.open(letter.vault_id, letter.to_box)
            return (gone, letter.about["locale"], "") if gone else None
        code = self.code(account) if letter.kind is LetterKind.CONFIRM else ""
        box = letter.to_box or account.notice_box
        awaited = bool(code) if letter.kind is LetterKind.CONFIRM else account.notice_verified_at
        if box is None or not (letter.to_box or awaited):
            return None
        return self.open(letter.vault_id, box), account.locale, code

    def open(self, vault_id: UUID, box: bytes) -> str:
        """Return a sealed address."""
        return self.keys.open_at_rest(box, b"notice", vault_id).decode()

    def _matches(self, account: Account, code: str, now: datetime) -> bool:
        expected, asked = self.code(account), account.notice_asked_at
        if not expected or asked is None or now >= asked + CONFIRM_WITHIN:
            return False
        return hmac.compare_digest(expected.encode(), code.strip().encode())


def _checked(address: str) -> str:
    problem = ValidationFailedError([Issue("address", "malformed_address", "no e-mail address")])
    if len(address) > ADDRESS_CHARACTERS:
        raise problem
    try:
        # ASCII before the @: what else there may be, many servers do not take.
        found = validate_email(address.strip(), check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as exc:
        raise problem from exc
    return found.ascii_email or found.normalized


def _locked(session: Session, vault: VaultRef) -> Account:
    account = session.get(
        Account, (vault.bucket, vault.id), with_for_update=True, populate_existing=True
    )
    if account is None:
        raise NotFoundError
    return account
