"""Sign-in sessions in two tiers (P-15).

The `s` cookie says who it is, for 12 hours, and wraps nothing. The `u` cookie opens the vault, for
15 idle minutes and 8 hours at most: its row names its `s`, and its secret wraps the root key. Both
are needed to open anything. Nothing that unlocks stays on the server between two requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from pds import letters
from pds.accounts import Entrance
from pds.clock import Clock
from pds.crypto import labels
from pds.crypto.labels import derive
from pds.crypto.secrets import TokenSecret, mint
from pds.errors import DecryptionError, NotFoundError
from pds.events import EventSink, VaultEvent, VaultRef
from pds.ids import IdFactory
from pds.instance import InstanceKeys
from pds.keys import OpenVault, VaultKeys, Wrapped, Wrapper
from pds.letters import LetterKind
from pds.models import Account, SignIn, Unlock, Vault, VaultDeletion
from pds.settings import VaultSettings
from pds.store import Store
from pds.vaults import vault_ref

Job = Callable[[Session], None]

# An idle limit that moved on every request would make every request a write.
_USE_STEP = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in person, as one request sees them."""

    vault: VaultRef
    locale: str
    theme: str
    sign_in: UUID
    open_vault: OpenVault | None = field(repr=False)  # None: signed in, not unlocked
    unlock_ends_at: datetime | None = None
    deletion_due_at: datetime | None = None  # None: nobody asked for the vault's deletion


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser in which somebody is signed in, as its owner sees it."""

    id: UUID
    device: str = field(repr=False)  # empty: not known
    since: datetime
    seen_at: datetime
    is_unlocked: bool


@dataclass(frozen=True, slots=True)
class SessionService:
    """Starts, resolves and ends sign-in sessions."""

    store: Store
    keys: InstanceKeys
    ids: IdFactory
    clock: Clock
    settings: VaultSettings
    sink: EventSink

    def device_mark(self, vault_id: UUID) -> str:
        """Return what a browser keeps in which somebody signed in to a vault; it opens nothing."""
        made = derive(self.keys.at_rest, labels.DEVICE_MARK, vault_id.bytes, length=16)
        return made.hex()

    def sign_in(
        self, entrance: Entrance, *, device: str = "", is_known_device: bool = True
    ) -> tuple[TokenSecret, TokenSecret]:
        """Start a session for someone who just gave their passphrase: signed in and unlocked.

        `device` is for its owner's list of sessions. One that is not known is told of by e-mail.

        Returns the secrets of the `s` and `u` cookies; ids are new each time (SEC-S16).
        """
        now = self.clock.now()
        signed_in = mint("s", self.ids.new(entrance.keys.bucket))
        unlocked, job = self._unlock(entrance, signed_in.selector, now)
        box = self.keys.seal_at_rest(
            device.encode(), b"device", entrance.keys.vault_id, signed_in.selector
        )

        def start(session: Session) -> None:
            session.execute(
                insert(SignIn).values(
                    bucket=entrance.keys.bucket,
                    selector=signed_in.selector,
                    vault_id=entrance.keys.vault_id,
                    verifier=signed_in.verifier(),
                    device_box=box if device else None,
                    created_at=now,
                    seen_at=now,
                    expires_at=now + timedelta(seconds=self.settings.sign_in_seconds),
                )
            )
            job(session)
            if not is_known_device:
                vault = entrance.keys
                letters.queue(session, vault.bucket, vault.vault_id, LetterKind.SIGN_IN, now=now)

        self.store.write(start)
        return signed_in, unlocked

    def unlock(self, entrance: Entrance, sign_in: UUID) -> TokenSecret:
        """Unlock a session that is signed in already; returns the secret of its `u` cookie."""
        unlocked, job = self._unlock(entrance, sign_in, self.clock.now())
        self.store.write(job)
        return unlocked

    def resolve(self, signed_in: TokenSecret, unlocked: TokenSecret | None) -> Visitor | None:
        """Return whose session the cookies are; None when the sign-in is over or was never."""
        now = self.clock.now()
        with self.store.read() as session:
            visitor, moves_on = self._visitor(session, signed_in, unlocked, now)
        if moves_on is not None:
            self.store.write(moves_on)
        return visitor

    def list_of(self, vault_id: UUID) -> list[SignedIn]:
        """Return where a person is signed in, the last used first (SEC-S19)."""
        bucket, now = self.ids.bucket_of(vault_id), self.clock.now()
        mine = (SignIn.bucket == bucket, SignIn.vault_id == vault_id, SignIn.expires_at > now)
        open_ = (
            Unlock.bucket == bucket,
            Unlock.vault_id == vault_id,
            Unlock.expires_at > now,
            Unlock.ends_at > now,
        )
        with self.store.read() as session:
            rows = session.scalars(select(SignIn).where(*mine)).all()
            unlocked = set(session.scalars(select(Unlock.sign_in).where(*open_)))
        found = [
            SignedIn(
                row.selector,
                self._device(row),
                row.created_at,
                row.seen_at,
                row.selector in unlocked,
            )
            for row in rows
        ]
        return sorted(found, key=lambda one: (one.seen_at, one.since, one.id), reverse=True)

    def lock(self, vault_id: UUID, sign_in: UUID) -> None:
        """End the unlocked tier of a session; repeating it changes nothing."""
        self.store.write(lambda session: self._end(session, vault_id, [sign_in], sign_out=False))

    def sign_out(self, vault_id: UUID, sign_in: UUID) -> None:
        """End a session; repeating it changes nothing."""
        self.store.write(lambda session: self._end(session, vault_id, [sign_in], sign_out=True))

    def end(self, vault_id: UUID, sign_in: UUID) -> None:
        """End one of a person's sessions, with its unlock.

        Raises:
            NotFoundError: it has ended, or is not theirs.
        """
        bucket = self.ids.bucket_of(vault_id)

        def job(session: Session) -> None:
            row = session.get(SignIn, (bucket, sign_in))
            if row is None or row.vault_id != vault_id:
                raise NotFoundError
            self._end(session, vault_id, [sign_in], sign_out=True)

        self.store.write(job)

    def end_others(self, vault_id: UUID, *, keep: UUID | None) -> None:
        """End all sessions of a person but one, as after a change of credentials (TAK-49)."""
        bucket = self.ids.bucket_of(vault_id)

        def job(session: Session) -> None:
            found = session.scalars(
                select(SignIn.selector).where(SignIn.bucket == bucket, SignIn.vault_id == vault_id)
            ).all()
            self._end(session, vault_id, [one for one in found if one != keep], sign_out=True)

        self.store.write(job)

    def _unlock(self, entrance: Entrance, sign_in: UUID, now: datetime) -> tuple[TokenSecret, Job]:
        vault = entrance.keys
        secret = mint("u", self.ids.new(vault.bucket))
        ends_at = now + timedelta(seconds=self.settings.unlock_seconds)
        wrap = vault.wrap(
            secret.kek(),
            entrance.vrk,
            by=_unlock_wrapper(secret.selector, sign_in),
            wrapped=Wrapped("vrk", str(vault.vault_id)),
            expires_at=ends_at,
        )

        def job(session: Session) -> None:
            vault.store(session, [wrap], now=now)
            session.execute(
                insert(Unlock).values(
                    bucket=vault.bucket,
                    selector=secret.selector,
                    sign_in=sign_in,
                    vault_id=vault.vault_id,
                    verifier=secret.verifier(),
                    created_at=now,
                    expires_at=now + timedelta(seconds=self.settings.unlock_idle_seconds),
                    ends_at=ends_at,
                )
            )
            self.sink.append(session, entrance.ref, VaultEvent("vault.unlocked", now))

        return secret, job

    def _visitor(
        self, session: Session, signed_in: TokenSecret, unlocked: TokenSecret | None, now: datetime
    ) -> tuple[Visitor | None, Job | None]:
        bucket = self.ids.bucket_of(signed_in.selector)
        row = session.get(SignIn, (bucket, signed_in.selector))
        if row is None or row.expires_at <= now or not signed_in.matches(row.verifier):
            return None, None
        vault = session.get(Vault, (bucket, row.vault_id))
        account = session.get(Account, (bucket, row.vault_id))
        if vault is None or account is None or vault.state != "active":
            return None, None
        asked = session.get(VaultDeletion, (bucket, row.vault_id))
        due_at = None if asked is None else asked.due_at
        ref = vault_ref(session, bucket, row.vault_id)
        opened = unlocked and self._opened(session, ref, unlocked, row.selector, now)
        if not opened:
            visitor = Visitor(
                ref, account.locale, account.theme, row.selector, None, deletion_due_at=due_at
            )
            return visitor, self._move_on(row, None, now)
        open_vault, unlock = opened
        visitor = Visitor(
            ref, account.locale, account.theme, row.selector, open_vault, unlock.expires_at, due_at
        )
        return visitor, self._move_on(row, unlock, now)

    def _opened(
        self, session: Session, ref: VaultRef, unlocked: TokenSecret, sign_in: UUID, now: datetime
    ) -> tuple[OpenVault, Unlock] | None:
        row = session.get(Unlock, (ref.bucket, unlocked.selector))
        if row is None or row.sign_in != sign_in or row.vault_id != ref.id:
            return None
        if min(row.expires_at, row.ends_at) <= now or not unlocked.matches(row.verifier):
            return None
        vault = VaultKeys(self.keys.deployment, ref.bucket, ref.id)
        by = _unlock_wrapper(row.selector, sign_in)
        try:
            for wrapped, blob in vault.load(session, by):
                vrk = vault.unwrap(unlocked.kek(), blob, by=by, wrapped=wrapped)
                return OpenVault.load(session, vault, vrk, ref.audit_public_key), row
        except DecryptionError:
            return None
        return None

    def _device(self, row: SignIn) -> str:
        if row.device_box is None:
            return ""
        try:
            plain = self.keys.open_at_rest(row.device_box, b"device", row.vault_id, row.selector)
        except DecryptionError:
            return ""  # a list that cannot be shown is one from which nothing can be ended
        return plain.decode()

    def _move_on(self, sign_in: SignIn, unlock: Unlock | None, now: datetime) -> Job | None:
        """Return what writes down that a session is in use; None when that was just done."""
        idle_ends = now + timedelta(seconds=self.settings.unlock_idle_seconds)
        later = unlock and min(idle_ends, unlock.ends_at)
        unlock_is_due = unlock and later and later - unlock.expires_at >= _USE_STEP
        if not unlock_is_due and now - sign_in.seen_at < _USE_STEP:
            return None

        def job(session: Session) -> None:
            session.execute(
                update(SignIn)
                .where(SignIn.bucket == sign_in.bucket, SignIn.selector == sign_in.selector)
                .values(seen_at=now)
            )
            if unlock is not None:
                # Not revived when it ended meanwhile.
                session.execute(
                    update(Unlock)
                    .where(
                        Unlock.bucket == unlock.bucket,
                        Unlock.selector == unlock.selector,
                        Unlock.expires_at > now,
                    )
                    .values(expires_at=later)
                )

        return job

    def _end(
        self, session: Session, vault_id: UUID, sign_ins: list[UUID], *, sign_out: bool
    ) -> None:
        bucket = self.ids.bucket_of(vault_id)
        vault = VaultKeys(self.keys.deployment, bucket, vault_id)
        mine = (Unlock.bucket == bucket, Unlock.vault_id == vault_id, Unlock.sign_in.in_(sign_ins))
        unlocks = list(session.scalars(select(Unlock.selector).where(*mine)))
        vault.delete_by(session, "unlock", unlocks)
        session.execute(delete(Unlock).where(*mine))
        if sign_out:
            session.execute(
                delete(SignIn).where(
                    SignIn.bucket == bucket,
                    SignIn.vault_id == vault_id,
                    SignIn.selector.in_(sign_ins),
                )
            )


def _unlock_wrapper(selector: UUID, sign_in: UUID) -> Wrapper:
    # Bound to its `s`: a `u` row that is moved to another sign-in opens nothing.
    return Wrapper("unlock", selector, (sign_in.bytes,))


def unlocks(session: Session, first: int, last: int) -> set[tuple[UUID, UUID]]:
    """Return (selector, vault) of the unlocks in the buckets from `first` to `last`; for checks."""
    query = select(Unlock.selector, Unlock.vault_id).where(Unlock.bucket.between(first, last))
    return {(selector, vault_id) for selector, vault_id in session.execute(query)}
