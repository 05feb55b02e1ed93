"""Codes of an app as a second factor at sign-in (TOTP, RFC 6238; P-19).

    step = unix seconds / 30        code = HOTP(secret, step), six digits (RFC 4226 section 5.3)

The secret has 160 bits, is shown once, and is kept sealed under the server's *at-rest* key: the
database alone does not open it. It counts once a code of it was given back. It guards the sign-in
and wraps nothing: the passphrase alone opens the keys, and the recovery code turns it off, so that
a lost telephone loses no vault.
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP
from sqlalchemy import ColumnElement, delete, update
from sqlalchemy.orm import Session

from pds import letters
from pds.clock import Clock
from pds.errors import ConflictError, DecryptionError, WrongSecretError
from pds.events import EventSink, VaultEvent, VaultRef
from pds.ids import IdFactory
from pds.instance import InstanceKeys
from pds.letters import LetterKind
from pds.models import SecondFactor
from pds.store import Store
from pds.throttling import count, throttle_key

SECRET_BYTES = 20  # RFC 4226 section 4, R6
DIGITS = 6
STEP_SECONDS = 30
# One step to either side, for clocks that differ and people who type (RFC 6238 section 5.2).
_TOLERANCE = 1
_CONFIRMATIONS_A_QUARTER_HOUR = 5


def code_at(secret: bytes, step: int) -> str:
    """Return the code of a step (RFC 4226 section 5.3, RFC 6238 section 4.2)."""
    # SHA-1 is what the apps calculate; HMAC does not rest on its collision resistance.
    return HOTP(secret, DIGITS, SHA1()).generate(step).decode()  # noqa: S303 - as said


def step_of(secret: bytes, code: str, at: datetime) -> int | None:
    """Return the step whose code this is, among those that count at an instant."""
    given = "".join(code.split()).encode()
    present = int(at.timestamp()) // STEP_SECONDS
    found = None
    for step in range(present - _TOLERANCE, present + _TOLERANCE + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), given):
            found = step
    return found


@dataclass(frozen=True, slots=True)
class AppCodeService:
    """Sets the codes of an app up, checks them, and turns them off."""

    store: Store
    keys: InstanceKeys
    ids: IdFactory
    clock: Clock
    sink: EventSink

    def is_on(self, vault_id: UUID) -> bool:
        """Tell whether an app counts as a second factor."""
        row = self._row(vault_id)
        return row is not None and row.confirmed_at is not None

    def begin(self, vault: VaultRef) -> bytes:
        """Make a secret, which counts once it is confirmed; returns it, to be shown once.

        For somebody who just gave their passphrase. What was begun before and not confirmed ends.

        Raises:
            ConflictError: a second factor is on.
        """
        secret = os.urandom(SECRET_BYTES)
        box, now = self.keys.seal_at_rest(secret, b"totp", vault.id), self.clock.now()

        def job(session: Session) -> None:
            row = session.get(SecondFactor, (vault.bucket, vault.id), with_for_update=True)
            if row is not None and row.confirmed_at is not None:
                raise ConflictError
            if row is None:
                row = SecondFactor(bucket=vault.bucket, vault_id=vault.id)
                session.add(row)
            row.secret_box, row.last_step, row.created_at = box, 0, now

        self.store.write(job)
        return secret

    def confirm(self, vault: VaultRef, code: str) -> None:
        """Turn the second factor on, by a code which shows that the app has the secret.

        Raises:
            WrongSecretError: it is none of the present codes, or nothing was begun.
            LimitExceededError: too many attempts.
        """
        now = self.clock.now()
        throttle = throttle_key(self.keys.login_tag, "second-factor", vault.id.bytes)
        self.store.write(
            lambda session: count(session, throttle, most=_CONFIRMATIONS_A_QUARTER_HOUR, now=now)
        )
        row = self._row(vault.id)
        step = None if row is None or row.confirmed_at else self._step(row, code)
        if row is None or step is None:
            raise WrongSecretError

        def job(session: Session) -> None:
            if not _spend(session, row, step, confirmed_at=now):
                raise WrongSecretError
            self.sink.append(session, vault, VaultEvent("vault.second_factor_on", now))
            letters.queue(session, vault.bucket, vault.id, LetterKind.SECOND_STEP_ON, now=now)

        self.store.write(job)

    def accepts(self, vault_id: UUID, code: str) -> bool:
        """Tell whether this is a code that counts now and was not used; it is used up then."""
        row = self._row(vault_id)
        if row is None or row.confirmed_at is None:
            return False
        step = self._step(row, code)
        return step is not None and self.store.write(lambda session: _spend(session, row, step))

    def turn_off(self, vault: VaultRef) -> None:
        """Turn it off, for somebody who just gave passphrase and code; repeatable."""
        now = self.clock.now()
        self.store.write(lambda session: self.forget(session, vault, now=now, told=True))

    def forget(self, session: Session, vault: VaultRef, *, now: datetime, told: bool) -> None:
        """Delete a second factor and its secret, within another change.

        Args:
            session: of that change.
            vault: whose.
            now: the present instant.
            told: by a letter of its own.
        """
        row = session.get(SecondFactor, (vault.bucket, vault.id), with_for_update=True)
        if row is None:
            return
        session.execute(delete(SecondFactor).where(*_key(row)))
        if row.confirmed_at is None:
            return
        self.sink.append(session, vault, VaultEvent("vault.second_factor_off", now))
        if told:
            letters.queue(session, vault.bucket, vault.id, LetterKind.SECOND_STEP_OFF, now=now)

    def _row(self, vault_id: UUID) -> SecondFactor | None:
        with self.store.read() as session:
            return session.get(SecondFactor, (self.ids.bucket_of(vault_id), vault_id))

    def _step(self, row: SecondFactor, code: str) -> int | None:
        try:
            secret = self.keys.open_at_rest(row.secret_box, b"totp", row.vault_id)
        except DecryptionError:
            return None  # a box that was put there by a writer of the database lets nobody in
        return step_of(secret, code, self.clock.now())


def _spend(session: Session, row: SecondFactor, step: int, **values: object) -> bool:
    # A code counts once, also of two that come at the same moment (RFC 6238 section 5.2).
    spent = session.execute(
        update(SecondFactor)
        .where(
            *_key(row),
            SecondFactor.secret_box == row.secret_box,
            SecondFactor.last_step < step,
        )
        .values(last_step=step, **values)
        .returning(SecondFactor.last_step)
        .execution_options(synchronize_session=False)
    )
    return spent.one_or_none() is not None


def _key(row: SecondFactor) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return SecondFactor.bucket == row.bucket, SecondFactor.vault_id == row.vault_id
