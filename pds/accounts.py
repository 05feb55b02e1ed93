"""Signing up, and the ways in: passphrase and recovery code (TAK-11, TAK-15, TAK-16, P-17).

Each way in is a wrap of the same root key. Losing all of them loses the data; nobody, the operator
included, can give it back.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import delete, insert, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from pds import letters, passphrases, vaults
from pds.attempts import Attempts
from pds.catalogue import CATALOGUE
from pds.clock import Clock
from pds.crypto import passphrase as stretching
from pds.crypto.deposit import collection_public_key
from pds.crypto.passphrase import Argon2Parameters, UnlockKeys
from pds.errors import (
    DecryptionError,
    Issue,
    LimitExceededError,
    UnknownLoginError,
    ValidationFailedError,
    WrongSecretError,
)
from pds.events import EventSink, VaultEvent, VaultRef
from pds.ids import IdFactory, VaultId, new_bucket
from pds.instance import InstanceKeys
from pds.keys import VaultKeys, Wrap, Wrapped, Wrapper, new_key
from pds.letters import LetterKind
from pds.models import Account, CollectionKey, LoginName, Vault, VaultKey
from pds.personal_apps import PersonalAppService
from pds.second_factors import Proof, SecondFactors
from pds.settings import VaultSettings
from pds.store import Store
from pds.text import az_fold
from pds.vaults import audit_public_key

LOGIN_CHARACTERS = range(3, 65)
_SLOT_WAIT_SECONDS = 10
_SIGN_IN = "sign-in"
# Bounds the work for what cannot be right. Well above the longest passphrase, however a keyboard
# composes its letters: of one that can be right nothing is cut off.
_STRETCHED_CHARACTERS = 4 * passphrases.MOST_CHARACTERS + 1


@dataclass(frozen=True, slots=True)
class NewVault:
    """A vault that was just made; the recovery code is shown once and stored nowhere."""

    vault_id: VaultId
    recovery_code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Entrance:
    """Someone who proved who they are: their vault and its root key."""

    keys: VaultKeys
    audit_public_key: bytes
    vrk: bytes = field(repr=False)

    @property
    def ref(self) -> VaultRef:
        """The vault, as the event sink wants it."""
        return VaultRef(self.keys.bucket, VaultId(self.keys.vault_id), self.audit_public_key)


@dataclass(frozen=True, slots=True)
class AccountService:
    """Makes vaults, and lets their owners in."""

    store: Store
    keys: InstanceKeys
    ids: IdFactory
    clock: Clock
    settings: VaultSettings
    sink: EventSink
    slots: threading.Semaphore
    second_factors: SecondFactors
    attempts: Attempts
    personal_apps: PersonalAppService

    def sign_up(self, login: str, passphrase: str, *, locale: str) -> NewVault:
        """Make a vault with all its keys.

        Raises:
            ValidationFailedError: the login name is taken or malformed, or the passphrase weak.
            LimitExceededError: too many passphrases are being stretched at this moment.
        """
        issues = [
            issue
            for issue in (_judge_login(login), passphrases.judge(passphrase, context=[login]))
            if issue
        ]
        if issues:
            raise ValidationFailedError(issues)
        tag = login_tag(self.keys.login_tag, login)
        bucket = new_bucket()
        vault_id = VaultId(self.ids.new(bucket))
        vault = VaultKeys(self.keys.deployment, bucket, vault_id)
        parameters = self._parameters()
        salt = stretching.new_salt()
        by_passphrase = self._stretch(
            passphrase, salt, parameters, self.keys.pepper_version, vault_id
        )
        code = stretching.new_recovery_code()
        by_code = stretching.from_recovery_code(code, account=vault_id.bytes)
        made = _NewKeys.make(vault, by_passphrase, by_code)
        now = self.clock.now()

        def job(session: Session) -> None:
            if not _take_name(session, tag, bucket, vault_id):
                raise ValidationFailedError([_TAKEN])
            session.execute(
                insert(Vault).values(
                    bucket=bucket, id=vault_id, state="active", seq=0, event_seq=0, created_at=now
                )
            )
            session.execute(
                insert(Account).values(
                    bucket=bucket,
                    vault_id=vault_id,
                    login_box=self.keys.seal_at_rest(login.encode(), b"login", vault_id),
                    passphrase_verifier=by_passphrase.verifier,
                    passphrase_salt=salt,
                    argon2=parameters.encoded(),
                    pepper_version=self.keys.pepper_version,
                    recovery_verifier=by_code.verifier,
                    locale=locale,
                    theme="auto",
                    muted=[],
                )
            )
            made.insert(session, vault, now)
            self.sink.append(
                session,
                VaultRef(bucket, vault_id, made.audit_public_key),
                VaultEvent("vault.created", now),
            )

        self.store.write(job)
        return NewVault(vault_id, code)

    def enter(
        self, login: str, passphrase: str, proof: Proof = "", *, source: str | None = None
    ) -> Entrance:
        """Open a vault by login name, passphrase and, where one is on, a second factor.

        An unknown name costs the same Argon2 run and gets the same answer (SEC-S05, THR-11). So
        does a wrong proof: nobody learns from it that the passphrase was right. Attempts are
        counted by name and by `source`, where they come from.

        Raises:
            WrongSecretError: no such person, or not their passphrase, or no proof of this moment.
            LimitExceededError: too many attempts; says when to come back.
        """
        account = self._find(login)
        self._count_attempt(login, source)
        if account is None:
            self._stretch(
                passphrase,
                stretching.new_salt(),
                self._parameters(),
                self.keys.pepper_version,
                UUID(int=0),
            )
            raise UnknownLoginError
        entrance = self._open(account, passphrase, proof)
        self._forget_attempts(login, source)
        return entrance

    def enter_again(self, vault_id: UUID, passphrase: str, proof: Proof | None = None) -> Entrance:
        """Open a vault by its id: an unlock by someone who is signed in already.

        Their session began with the second factor; None does not ask for it again.

        Raises:
            WrongSecretError: not their passphrase, or no proof of this moment.
            LimitExceededError: too many attempts; says when to come back.
        """
        bucket = self.ids.bucket_of(vault_id)
        with self.store.read() as session:
            account = session.get(Account, (bucket, vault_id))
        if account is None:
            raise WrongSecretError
        login = self.login_name(account)
        self._count_attempt(login)
        entrance = self._open(account, passphrase, proof)
        self._forget_attempts(login)
        return entrance

    def recover(
        self, login: str, code: str, new_passphrase: str, *, source: str | None = None
    ) -> tuple[Entrance, str]:
        """Open a vault by its recovery code; set a new passphrase and make a new code.

        All old ways in end at once, passkeys and personal apps too, and no second factor is on:
        whoever lost their telephone comes here. Returns the entrance and the new code, shown once.

        Raises:
            WrongSecretError: no such person, or not their code.
            ValidationFailedError: the new passphrase is weak.
            LimitExceededError: too many attempts.
        """
        issue = passphrases.judge(new_passphrase, context=[login])
        if issue:
            raise ValidationFailedError([issue])
        account = self._find(login)
        self._count_attempt(login, source)
        if account is None:
            raise UnknownLoginError
        entrance = self._entrance(account, self._by_code(account, code), "recovery")
        new_code = self._replace_credentials(entrance, new_passphrase, LetterKind.RECOVERY)
        self._forget_attempts(login, source)
        return entrance, new_code

    def change_passphrase(self, entrance: Entrance, new_passphrase: str) -> str:
        """Set a new passphrase; returns a new recovery code. Grants go on (TAK-47).

        Raises:
            ValidationFailedError: the new passphrase is weak.
        """
        issue = passphrases.judge(new_passphrase)
        if issue:
            raise ValidationFailedError([issue])
        return self._replace_credentials(entrance, new_passphrase, LetterKind.CREDENTIALS)

    def rename(self, entrance: Entrance, login: str) -> None:
        """Sign in under another name from now on; the old one is free again.

        Raises:
            ValidationFailedError: the name is taken or malformed.
        """
        issue = _judge_login(login)
        if issue:
            raise ValidationFailedError([issue])
        vault, now = entrance.keys, self.clock.now()
        tag = login_tag(self.keys.login_tag, login)
        box = self.keys.seal_at_rest(login.encode(), b"login", vault.vault_id)

        def job(session: Session) -> None:
            vaults.lock(session, entrance.ref)
            old = LoginName.bucket == vault.bucket, LoginName.vault_id == vault.vault_id
            # First, as the new name may be the old one in another spelling.
            session.execute(delete(LoginName).where(*old))
            if not _take_name(session, tag, vault.bucket, vault.vault_id):
                raise ValidationFailedError([_TAKEN])
            session.execute(
                update(Account)
                .where(Account.bucket == vault.bucket, Account.vault_id == vault.vault_id)
                .values(login_box=box)
            )
            self.sink.append(session, entrance.ref, VaultEvent("vault.login_changed", now))
            letters.queue(session, vault.bucket, vault.vault_id, LetterKind.LOGIN, now=now)

        self.store.write(job)

    def replace_recovery_code(self, entrance: Entrance) -> str:
        """Make a new recovery code, shown once; the old one ends, the passphrase stays."""
        vault, now = entrance.keys, self.clock.now()
        code = stretching.new_recovery_code()
        by_code = stretching.from_recovery_code(code, account=vault.vault_id.bytes)
        wrap = vault.wrap(
            by_code.kek,
            entrance.vrk,
            by=Wrapper("recovery", vault.vault_id),
            wrapped=Wrapped("vrk", str(vault.vault_id)),
        )

        def job(session: Session) -> None:
            vault.delete_by(session, "recovery", [vault.vault_id])
            vault.store(session, [wrap], now=now)
            session.execute(
                update(Account)
                .where(Account.bucket == vault.bucket, Account.vault_id == vault.vault_id)
                .values(recovery_verifier=by_code.verifier, recovery_kept_at=None)
            )
            event = VaultEvent("vault.recovery_code_changed", now)
            self.sink.append(session, entrance.ref, event)
            letters.queue(session, vault.bucket, vault.vault_id, LetterKind.RECOVERY_CODE, now=now)

        self.store.write(job)
        return code

    def login_name(self, account: Account) -> str:
        """Return the login name as its owner typed it last."""
        return self.keys.open_at_rest(account.login_box, b"login", account.vault_id).decode()

    def account(self, vault_id: UUID) -> Account | None:
        """Return the account of a vault."""
        with self.store.read() as session:
            return session.get(Account, (self.ids.bucket_of(vault_id), vault_id))

    def set_preferences(self, vault_id: UUID, *, locale: str, theme: str) -> None:
        """Keep language and colours of the pages."""
        bucket = self.ids.bucket_of(vault_id)

        def job(session: Session) -> None:
            session.execute(
                update(Account)
                .where(Account.bucket == bucket, Account.vault_id == vault_id)
                .values(locale=locale, theme=theme)
            )

        self.store.write(job)

    def _open(self, account: Account, passphrase: str, proof: Proof | None) -> Entrance:
        parameters = Argon2Parameters.decoded(account.argon2)
        keys = self._stretch(
            passphrase,
            account.passphrase_salt,
            parameters,
            account.pepper_version,
            account.vault_id,
        )
        if not hmac.compare_digest(keys.verifier, account.passphrase_verifier):
            self._log_failure(account)
            raise WrongSecretError
        if proof is not None and not self.second_factors.accepts(account.vault_id, proof):
            self._log_failure(account)
            raise WrongSecretError
        return self._entrance(account, keys, "passphrase")

    def _entrance(self, account: Account, unlock: UnlockKeys, kind: str) -> Entrance:
        vault = VaultKeys(self.keys.deployment, account.bucket, account.vault_id)
        by = Wrapper(kind, account.vault_id)
        with self.store.read() as session:
            wraps = vault.load(session, by)
            audit = audit_public_key(session, account.bucket, account.vault_id)
        if not wraps:
            raise WrongSecretError
        wrapped, blob = wraps[0]
        return Entrance(vault, audit, vault.unwrap(unlock.kek, blob, by=by, wrapped=wrapped))

    def note_recovery_code_kept(self, vault_id: UUID) -> None:
        """Note that its owner showed that they kept the recovery code that holds now."""
        bucket, now = self.ids.bucket_of(vault_id), self.clock.now()

        def job(session: Session) -> None:
            session.execute(
                update(Account)
                .where(Account.bucket == bucket, Account.vault_id == vault_id)
                .values(recovery_kept_at=now)
            )

        self.store.write(job)

    def try_recovery_code(self, vault_id: UUID, code: str) -> None:
        """Note that the recovery code is kept, if this is it; opens and changes nothing.

        Raises:
            WrongSecretError: it is not the one that holds now.
            LimitExceededError: too many attempts; says when to come back.
        """
        account = self.account(vault_id)
        if account is None:
            raise WrongSecretError
        login = self.login_name(account)
        self._count_attempt(login)
        self._by_code(account, code)
        self._forget_attempts(login)
        self.note_recovery_code_kept(vault_id)

    def _by_code(self, account: Account, code: str) -> UnlockKeys:
        try:
            by_code = stretching.from_recovery_code(code, account=account.vault_id.bytes)
        except DecryptionError as exc:
            raise WrongSecretError from exc
        if not hmac.compare_digest(by_code.verifier, account.recovery_verifier):
            self._log_failure(account)
            raise WrongSecretError
        return by_code

    def _replace_credentials(self, entrance: Entrance, passphrase: str, told: LetterKind) -> str:
        vault, now = entrance.keys, self.clock.now()
        salt, parameters = stretching.new_salt(), self._parameters()
        version = self.keys.pepper_version
        by_passphrase = self._stretch(passphrase, salt, parameters, version, vault.vault_id)
        code = stretching.new_recovery_code()
        by_code = stretching.from_recovery_code(code, account=vault.vault_id.bytes)
        wraps = _ways_in(vault, entrance.vrk, by_passphrase, by_code)

        def job(session: Session) -> None:
            for kind in ("passphrase", "recovery"):
                vault.delete_by(session, kind, [vault.vault_id])
            vault.store(session, wraps, now=now)
            session.execute(
                update(Account)
                .where(Account.bucket == vault.bucket, Account.vault_id == vault.vault_id)
                .values(
                    passphrase_verifier=by_passphrase.verifier,
                    passphrase_salt=salt,
                    argon2=parameters.encoded(),
                    pepper_version=version,
                    recovery_verifier=by_code.verifier,
                    recovery_kept_at=None,
                )
            )
            self.sink.append(session, entrance.ref, VaultEvent("vault.credentials_changed", now))
            if told is LetterKind.RECOVERY:
                self.second_factors.forget(session, entrance.ref, now=now)
                self.personal_apps.forget(session, entrance.ref, now=now)
            letters.queue(session, vault.bucket, vault.vault_id, told, now=now)

        self.store.write(job)
        return code

    def _find(self, login: str) -> Account | None:
        with self.store.read() as session:
            name = session.get(LoginName, login_tag(self.keys.login_tag, login))
            return session.get(Account, (name.bucket, name.vault_id)) if name else None

    def _stretch(
        self,
        passphrase: str,
        salt: bytes,
        parameters: Argon2Parameters,
        pepper_version: int,
        vault_id: UUID,
    ) -> UnlockKeys:
        with self._slot():
            return stretching.from_passphrase(
                passphrase[:_STRETCHED_CHARACTERS],
                salt=salt,
                parameters=parameters,
                pepper=self.keys.peppers[pepper_version],
                account=vault_id.bytes,
            )

    @contextmanager
    def _slot(self) -> Iterator[None]:
        # 64 MiB for each run: without a cap, sign-ins alone exhaust the machine (TAK-17).
        if not self.slots.acquire(timeout=_SLOT_WAIT_SECONDS):
            raise LimitExceededError("busy", retry_after_seconds=_SLOT_WAIT_SECONDS)
        try:
            yield
        finally:
            self.slots.release()

    def _parameters(self) -> Argon2Parameters:
        return Argon2Parameters(
            self.settings.argon2_memory_kib, self.settings.argon2_passes, self.settings.argon2_lanes
        )

    def _count_attempt(self, login: str, source: str | None = None) -> None:
        self.attempts.count(_SIGN_IN, _folded(login), source)

    def _forget_attempts(self, login: str, source: str | None = None) -> None:
        self.attempts.forget(_SIGN_IN, _folded(login), source)

    def _log_failure(self, account: Account) -> None:
        self.attempts.log_failure(account.bucket, account.vault_id)


@dataclass(frozen=True, slots=True)
class _NewKeys:
    """Every key of a fresh vault, wrapped, with the public halves."""

    wraps: list[Wrap]
    audit_public_key: bytes
    agreement_public_key: bytes
    collection_public_keys: dict[str, bytes]

    @classmethod
    def make(cls, vault: VaultKeys, by_passphrase: UnlockKeys, by_code: UnlockKeys) -> _NewKeys:
        vrk = new_key()
        root = Wrapper("vrk", vault.vault_id)
        audit, agreement = X25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        own_id = str(vault.vault_id)
        keys = {
            Wrapped("audit", own_id): audit.private_bytes_raw(),
            Wrapped("agreement", own_id): agreement.private_bytes_raw(),
            Wrapped("history", own_id): new_key(),
        }
        collections = {name: new_key() for name in CATALOGUE.collections}
        keys |= {Wrapped("collection", name): key for name, key in collections.items()}
        wraps = _ways_in(vault, vrk, by_passphrase, by_code)
        wraps += [vault.wrap(vrk, key, by=root, wrapped=wrapped) for wrapped, key in keys.items()]
        return cls(
            wraps,
            audit.public_key().public_bytes_raw(),
            agreement.public_key().public_bytes_raw(),
            {name: collection_public_key(key) for name, key in collections.items()},
        )

    def insert(self, session: Session, vault: VaultKeys, now: datetime) -> None:
        vault.store(session, self.wraps, now=now)
        common = {
            "bucket": vault.bucket,
            "vault_id": vault.vault_id,
            "version": 1,
            "created_at": now,
        }
        session.execute(
            insert(VaultKey),
            [
                common | {"purpose": "audit", "public_key": self.audit_public_key},
                common | {"purpose": "agreement", "public_key": self.agreement_public_key},
            ],
        )
        session.execute(
            insert(CollectionKey),
            [
                common
                | {
                    "collection": name,
                    "public_key": public,
                    "is_current": True,
                    "rotation_due": False,
                }
                for name, public in self.collection_public_keys.items()
            ],
        )


def login_tag(key: bytes, login: str) -> bytes:
    """Return what stands for a login name in tables: a keyed hash of its folded form (P-19)."""
    return hmac.digest(key, _folded(login), "sha256")


def _take_name(session: Session, tag: bytes, bucket: int, vault_id: UUID) -> bool:
    """Enter a login name; False if somebody has it, also if they took it at this moment."""
    insert_ = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    statement = (
        insert_(LoginName)
        .values(tag=tag, bucket=bucket, vault_id=vault_id)
        .on_conflict_do_nothing()
        .returning(LoginName.bucket)
    )
    return session.execute(statement).one_or_none() is not None


def _ways_in(
    vault: VaultKeys, vrk: bytes, by_passphrase: UnlockKeys, by_code: UnlockKeys
) -> list[Wrap]:
    wrapped = Wrapped("vrk", str(vault.vault_id))
    return [
        vault.wrap(unlock.kek, vrk, by=Wrapper(kind, vault.vault_id), wrapped=wrapped)
        for kind, unlock in (("passphrase", by_passphrase), ("recovery", by_code))
    ]


_TAKEN = Issue("login", "login_taken", "This name is taken. Choose another one.")


def _folded(login: str) -> bytes:
    return az_fold(login.strip()).encode()


def _judge_login(login: str) -> Issue | None:
    name = login.strip()
    if len(name) not in LOGIN_CHARACTERS or not name.isprintable():
        return Issue(
            "login",
            "login_malformed",
            "Use 3 to 64 characters.",
            {"least": LOGIN_CHARACTERS.start, "most": LOGIN_CHARACTERS.stop - 1},
        )
    return None
