"""Passkeys of people: kept, listed, asked for, and taken away (WebAuthn; SEC-S06).

A passkey's public part and the name that its owner gave it are sealed under the server's *at-rest*
key, bound to vault and row: the database alone neither tells which devices somebody has nor takes
in a passkey of somebody else's. Its owner's vault is found by the user handle, which is the vault's
id and which the authenticator gives back with each answer. Where the device has the PRF, its
passkey wraps the vault's root key; the others are a second factor only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from pds import letters
from pds.clock import Clock
from pds.crypto.prf import PrfOutput
from pds.errors import (
    ConflictError,
    DecryptionError,
    Issue,
    KeyUnavailableError,
    LimitExceededError,
    NotFoundError,
    ValidationFailedError,
    WrongSecretError,
)
from pds.events import EventSink, VaultEvent, VaultRef
from pds.ids import IdFactory
from pds.instance import InstanceKeys
from pds.keys import VaultKeys, Wrap, Wrapped, Wrapper
from pds.letters import LetterKind
from pds.models import KeyWrap, Passkey
from pds.store import Store
from pds.throttling import count, throttle_key
from pds.vaults import vault_ref
from pds.webauthn import (
    Answer,
    Assertion,
    Ceremonies,
    Credential,
    Purpose,
    options_to_prove,
    options_to_register,
)

MOST = 10  # of one person
LABEL_CHARACTERS = 60
KIND = "passkey"  # of the wraps that they hold
_LENGTH_BYTES = 2


@dataclass(frozen=True, slots=True)
class KnownPasskey:
    """A passkey as its owner sees it."""

    id: UUID
    label: str  # empty: it cannot be read
    added_at: datetime
    used_at: datetime | None
    opens: bool  # the vault, without the passphrase


@dataclass(frozen=True, slots=True)
class Opening:
    """What lets a new passkey open the vault: the root key, and what to wrap it under."""

    vrk: bytes = field(repr=False)
    output: PrfOutput = field(repr=False)
    proof: Answer | None  # None: the device calculated the output as it made the passkey


@dataclass(frozen=True, slots=True)
class PasskeyService:
    """Adds passkeys, asks for them, and takes them away."""

    store: Store
    keys: InstanceKeys
    ids: IdFactory
    clock: Clock
    sink: EventSink
    ceremonies: Ceremonies
    challenges_per_quarter_hour: int  # to one address

    @property
    def are_offered(self) -> bool:
        """Tell whether browsers make passkeys for this server's address."""
        return self.ceremonies.party is not None

    def has_any(self, vault_id: UUID) -> bool:
        """Tell whether a person has a passkey, so that a sign-in needs a second factor."""
        query = select(func.count()).select_from(Passkey).where(*self._of(vault_id))
        with self.store.read() as session:
            return session.execute(query).scalar_one() > 0

    def list_of(self, vault_id: UUID) -> list[KnownPasskey]:
        """Return a person's passkeys, the oldest first."""
        query = select(KeyWrap.by_id).where(
            KeyWrap.bucket == self.ids.bucket_of(vault_id),
            KeyWrap.vault_id == vault_id,
            KeyWrap.by_kind == KIND,
        )
        with self.store.read() as session:
            opening = set(session.scalars(query))
        return [
            KnownPasskey(row.id, self._label(row), row.created_at, row.used_at, row.id in opening)
            for row in self._rows(vault_id)
        ]

    def begin(self, vault_id: UUID, name: str, browser: bytes) -> dict[str, Any]:
        """Return what the page needs to make a passkey, for somebody who just proved who they are.

        Args:
            vault_id: whose it will be.
            name: what the device calls the account.
            browser: what the page is bound to; the answer must come from there.

        Raises:
            ConflictError: this server's address is none for which browsers make passkeys.
            LimitExceededError: they have as many as they may.
        """
        party = self.ceremonies.party
        if party is None:
            raise ConflictError
        rows = self._rows(vault_id)
        if len(rows) >= MOST:
            raise LimitExceededError("passkeys")
        challenge = self.store.write(
            lambda session: self.ceremonies.challenge(session, Purpose.REGISTER, browser)
        )
        known = [credential.id for _, credential in self._opened(rows)]
        return options_to_register(party, challenge, user=vault_id.bytes, name=name, known=known)

    def add(
        self, vault: VaultRef, answer: Answer, label: str, opening: Opening | None = None
    ) -> UUID:
        """Keep a passkey that was made for what `begin` returned; returns its id.

        Args:
            vault: whose.
            answer: to `begin`.
            label: what its owner calls it.
            opening: where the device has the PRF; it counts only if the device verified the person,
                since without that it calculates another output.

        Raises:
            ValidationFailedError: the label is empty or too long.
            WrongSecretError: the answer is not to this browser's challenge, or not from our page.
            ConflictError: this passkey is known already.
            LimitExceededError: they have as many as they may.
        """
        label = _judged(label)
        made = self.ceremonies.registered(answer)
        credential, counter, verified = made.credential, made.count, made.person_verified
        if opening is not None and opening.proof is not None:
            counter = self._proved_to_open(opening.proof, credential)
            verified = True
        passkey_id, now = self.ids.new(vault.bucket), self.clock.now()
        row = {
            "bucket": vault.bucket,
            "id": passkey_id,
            "vault_id": vault.id,
            "credential_box": self._seal(_joined(credential), b"passkey", vault.id, passkey_id),
            "label_box": self._seal(label.encode(), b"passkey-label", vault.id, passkey_id),
            "sign_count": counter,
            "created_at": now,
            "used_at": None,
        }

        def job(session: Session) -> None:
            rows = session.scalars(select(Passkey).where(*self._of(vault.id))).all()
            if len(rows) >= MOST:
                raise LimitExceededError("passkeys")
            if any(known.id == credential.id for _, known in self._opened(rows)):
                raise ConflictError
            session.add(Passkey(**row))
            if opening is not None and verified:
                wrap = self._wrap(vault, passkey_id, credential, opening)
                self._vault(vault).store(session, [wrap], now=now)
            event = VaultEvent("vault.passkey_added", now)
            self._tell(session, vault, event, LetterKind.PASSKEY_ADDED)

        self.store.write(job)
        return passkey_id

    def ask(self, purpose: Purpose, browser: bytes, *, source: str | None) -> dict[str, Any]:
        """Return what a page needs to have a passkey proved; names nobody and no passkey.

        Args:
            purpose: for which the answer will count.
            browser: what the page is bound to; the answer must come from there.
            source: where the request comes from, for the limit.

        Raises:
            ConflictError: this server's address is none for which browsers make passkeys.
            LimitExceededError: too many were asked for from there.
        """
        party, now = self.ceremonies.party, self.clock.now()
        if party is None:
            raise ConflictError

        def job(session: Session) -> bytes:
            if source is not None:
                key = throttle_key(self.keys.login_tag, "challenge", source.encode())
                count(session, key, most=self.challenges_per_quarter_hour, now=now)
            return self.ceremonies.challenge(session, purpose, browser)

        return options_to_prove(party, self.store.write(job), purpose)

    def confirms(self, vault_id: UUID, answer: Answer) -> bool:
        """Tell whether an answer proves a passkey of this person, as a second factor."""
        try:
            self.prove(vault_id, self.ceremonies.spent(answer, Purpose.CONFIRM))
        except WrongSecretError:
            return False
        return True

    def prove(self, vault_id: UUID, assertion: Assertion) -> tuple[UUID, Credential]:
        """Return which of a person's passkeys an answer proves.

        Raises:
            WrongSecretError: it proves none of theirs, or its counter went back: then there may be
                a copy of the device, and its owner is told.
        """
        if assertion.user_handle not in (None, vault_id.bytes):
            raise WrongSecretError
        for row, credential in self._opened(self._rows(vault_id)):
            if credential.id == assertion.credential_id:
                self._move_on(row, assertion.count(credential))
                return row.id, credential
        raise WrongSecretError

    def root_key(
        self, vault: VaultRef, passkey_id: UUID, credential: Credential, output: PrfOutput
    ) -> bytes:
        """Return the vault's root key, which a passkey that was just proved opens.

        Raises:
            KeyUnavailableError: this passkey opens no vault.
            DecryptionError: not with this output, or the wrap was tampered with.
        """
        held, by = self._vault(vault), _wrapper(passkey_id, credential)
        with self.store.read() as session:
            wraps = held.load(session, by)
        if not wraps:
            raise KeyUnavailableError
        kek = self._kek(vault, passkey_id, credential, output)
        return held.unwrap(kek, wraps[0][1], by=by, wrapped=_root_of(vault))

    def rename(self, vault_id: UUID, passkey_id: UUID, label: str) -> None:
        """Call a passkey something else.

        Raises:
            ValidationFailedError: the label is empty or too long.
            NotFoundError: it is gone, or not theirs.
        """
        box = self._seal(_judged(label).encode(), b"passkey-label", vault_id, passkey_id)

        def job(session: Session) -> None:
            renamed = (
                update(Passkey)
                .where(*self._of(vault_id), Passkey.id == passkey_id)
                .values(label_box=box)
                .returning(Passkey.id)
            )
            if session.execute(renamed).one_or_none() is None:
                raise NotFoundError

        self.store.write(job)

    def remove(self, vault: VaultRef, passkey_id: UUID) -> None:
        """Take a passkey away, with what it opens.

        Raises:
            NotFoundError: it is gone, or not theirs.
        """
        now = self.clock.now()

        def job(session: Session) -> None:
            if not self._delete(session, vault, Passkey.id == passkey_id):
                raise NotFoundError
            event = VaultEvent("vault.passkey_removed", now)
            self._tell(session, vault, event, LetterKind.PASSKEY_REMOVED)

        self.store.write(job)

    def forget(self, session: Session, vault: VaultRef, *, now: datetime) -> None:
        """Delete all passkeys of a person, with what they open, within another change."""
        gone = self._delete(session, vault)
        if gone:
            event = VaultEvent("vault.passkey_removed", now, count=len(gone))
            self.sink.append(session, vault, event)

    def _delete(self, session: Session, vault: VaultRef, *which: ColumnElement[bool]) -> list[UUID]:
        gone = delete(Passkey).where(*self._of(vault.id), *which).returning(Passkey.id)
        ids = list(session.scalars(gone))
        self._vault(vault).delete_by(session, KIND, ids)
        return ids

    def _proved_to_open(self, proof: Answer, credential: Credential) -> int:
        assertion = self.ceremonies.spent(proof, Purpose.OPEN)
        if assertion.credential_id != credential.id:
            raise WrongSecretError
        return assertion.count(credential)

    def _vault(self, vault: VaultRef) -> VaultKeys:
        return VaultKeys(self.keys.deployment, vault.bucket, vault.id)

    def _wrap(
        self, vault: VaultRef, passkey_id: UUID, credential: Credential, opening: Opening
    ) -> Wrap:
        kek = self._kek(vault, passkey_id, credential, opening.output)
        by = _wrapper(passkey_id, credential)
        return self._vault(vault).wrap(kek, opening.vrk, by=by, wrapped=_root_of(vault))

    def _kek(
        self, vault: VaultRef, passkey_id: UUID, credential: Credential, output: PrfOutput
    ) -> bytes:
        deployment = self.keys.deployment
        return output.kek(deployment, vault.id.bytes, passkey_id.bytes, credential.id)

    def _move_on(self, row: Passkey, counter: int) -> None:
        now = self.clock.now()
        # Zero, and always was: this authenticator does not count (WebAuthn section 6.1.1).
        forward = Passkey.sign_count < counter if counter else Passkey.sign_count == 0
        used = (
            update(Passkey)
            .where(Passkey.bucket == row.bucket, Passkey.id == row.id, forward)
            .values(sign_count=counter, used_at=now)
            .returning(Passkey.id)
        )
        if self.store.write(lambda session: session.execute(used).one_or_none()) is None:
            self.store.write(lambda session: self._refused(session, row, now))
            raise WrongSecretError

    def _refused(self, session: Session, row: Passkey, now: datetime) -> None:
        ref = vault_ref(session, row.bucket, row.vault_id)
        event = VaultEvent("vault.passkey_refused", now, outcome="counter")
        self._tell(session, ref, event, LetterKind.PASSKEY_REFUSED)

    def _tell(
        self, session: Session, vault: VaultRef, event: VaultEvent, letter: LetterKind
    ) -> None:
        self.sink.append(session, vault, event)
        letters.queue(session, vault.bucket, vault.id, letter, now=event.at)

    def _of(self, vault_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return Passkey.bucket == self.ids.bucket_of(vault_id), Passkey.vault_id == vault_id

    def _rows(self, vault_id: UUID) -> Sequence[Passkey]:
        query = select(Passkey).where(*self._of(vault_id)).order_by(Passkey.created_at, Passkey.id)
        with self.store.read() as session:
            return session.scalars(query).all()

    def _opened(self, rows: Iterable[Passkey]) -> Iterator[tuple[Passkey, Credential]]:
        for row in rows:
            try:
                box = self._open(row.credential_box, b"passkey", row)
            except DecryptionError:
                continue  # what a writer of the database put there lets nobody in
            yield row, _split(box)

    def _label(self, row: Passkey) -> str:
        try:
            return self._open(row.label_box, b"passkey-label", row).decode()
        except DecryptionError:
            return ""  # a passkey that is not shown is one that cannot be removed

    def _seal(self, plain: bytes, what: bytes, vault_id: UUID, passkey_id: UUID) -> bytes:
        return self.keys.seal_at_rest(plain, what, vault_id, passkey_id)

    def _open(self, box: bytes, what: bytes, row: Passkey) -> bytes:
        return self.keys.open_at_rest(box, what, row.vault_id, row.id)


def known(session: Session, first: int, last: int) -> set[tuple[UUID, UUID]]:
    """Return (id, vault) of the passkeys in the buckets from `first` to `last`; for checks."""
    query = select(Passkey.id, Passkey.vault_id).where(Passkey.bucket.between(first, last))
    return {(passkey_id, vault_id) for passkey_id, vault_id in session.execute(query)}


def _wrapper(passkey_id: UUID, credential: Credential) -> Wrapper:
    return Wrapper(KIND, passkey_id, (credential.id,))


def _root_of(vault: VaultRef) -> Wrapped:
    return Wrapped("vrk", str(vault.id))


def _judged(label: str) -> str:
    label = " ".join(label.split())
    if not 0 < len(label) <= LABEL_CHARACTERS or not label.isprintable():
        text = f"Use 1 to {LABEL_CHARACTERS} characters."
        raise ValidationFailedError(
            [Issue("label", "label_malformed", text, {"most": LABEL_CHARACTERS})]
        )
    return label


def _joined(credential: Credential) -> bytes:
    """Write id and key as attested credential data has them (WebAuthn section 6.5.1)."""
    length = len(credential.id).to_bytes(_LENGTH_BYTES, "big")
    return length + credential.id + credential.public_key


def _split(box: bytes) -> Credential:
    end = _LENGTH_BYTES + int.from_bytes(box[:_LENGTH_BYTES], "big")
    return Credential(box[_LENGTH_BYTES:end], box[end:])
