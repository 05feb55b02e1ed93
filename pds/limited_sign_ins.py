"""Limited sign-in: for whoever lost the passphrase, a link by mail that opens no vault (P-16).

    ask       somebody gives a login name; every name costs the same and gets the same answer
    answer    the worker looks whose name it is, and leaves a letter for that person
    link      made as the letter goes out; good for 15 minutes, spent once
    session   15 minutes; row and cookie are of a kind of their own, and wrap no key

Links go to the confirmed address of the vault and nowhere else. So whoever asks for somebody else's
sends that person a letter; a window that strangers fill leaves its owner with a link that works.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from pds import letters
from pds.accounts import login_tag
from pds.clock import Clock
from pds.crypto.secrets import TokenSecret, mint
from pds.errors import LimitExceededError, NotFoundError
from pds.events import EventSink, VaultEvent, VaultRef
from pds.ids import IdFactory, VaultId
from pds.instance import InstanceKeys
from pds.letters import LetterKind
from pds.models import LimitedAsk, LimitedLink, LimitedSignIn, LoginName, Vault
from pds.store import Store
from pds.sweeping import sweep_table
from pds.throttling import count, throttle_key
from pds.vaults import audit_public_key

LINK_LASTS = timedelta(minutes=15)
SESSION_LASTS = timedelta(minutes=15)
LINKS_A_QUARTER_HOUR = 2  # for one name
ASKS_A_QUARTER_HOUR = 20  # from one address, whatever the names
_BATCH = 20


@dataclass(frozen=True, slots=True)
class LimitedVisitor:
    """Whoever used a link. Not a `pds.sessions.Visitor`: no page for those takes it."""

    vault: VaultRef
    session: UUID
    ends_at: datetime  # exclusive


@dataclass(frozen=True, slots=True)
class LimitedSignInService:
    """Takes in asks, makes links, and starts, resolves and ends limited sessions."""

    store: Store
    keys: InstanceKeys
    ids: IdFactory
    clock: Clock
    sink: EventSink

    def ask(self, login: str, *, source: str | None) -> None:
        """Ask for a link. Does the same for every name, so that nobody learns who has a vault.

        Raises:
            LimitExceededError: too many asks from `source`; says when to come back.
        """
        now, tag = self.clock.now(), login_tag(self.keys.login_tag, login)
        by_name = throttle_key(self.keys.login_tag, "limited", tag)
        by_address = source and throttle_key(self.keys.login_tag, "limited-from", source.encode())

        def job(session: Session) -> None:
            if by_address:
                count(session, by_address, most=ASKS_A_QUARTER_HOUR, now=now)
            try:
                count(session, by_name, most=LINKS_A_QUARTER_HOUR, now=now)
            except LimitExceededError:
                return  # not said: the owner has the letters that filled it
            is_sqlite = session.get_bind().dialect.name == "sqlite"
            insert_ = sqlite_insert if is_sqlite else postgresql_insert
            session.execute(
                insert_(LimitedAsk).values(tag=tag, asked_at=now).on_conflict_do_nothing()
            )

        self.store.write(job)

    def answer_asks(self, session: Session, *, now: datetime, limit: int = _BATCH) -> int:
        """Leave letters for whoever has a vault of a name that was asked for; returns how many.

        For the worker's write jobs: apart from the request, whose time would tell the names.
        """
        query = (
            select(LimitedAsk)
            .order_by(LimitedAsk.tag)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        asks = session.scalars(query).all()
        for ask in asks:
            session.delete(ask)
            name = session.get(LoginName, ask.tag)
            vault = name and _active(session, name.bucket, name.vault_id)
            if vault and now < ask.asked_at + LINK_LASTS:
                self.sink.append(session, vault, VaultEvent("vault.limited_asked", now))
                letters.queue(session, vault.bucket, vault.id, LetterKind.LIMITED_LINK, now=now)
        return len(asks)

    def make_link(self, vault_id: UUID) -> TokenSecret:
        """Make the link of a letter that is about to go out; of its secret a verifier is kept."""
        secret = mint("ll", self.ids.new(self.ids.bucket_of(vault_id)))
        values = self._values(secret, vault_id, self.clock.now() + LINK_LASTS)
        self.store.write(lambda session: session.execute(insert(LimitedLink).values(values)))
        return secret

    def is_good(self, link: TokenSecret) -> bool:
        """Tell whether a link can still be used; changes nothing, so a mail scanner may ask."""
        with self.store.read() as session:
            row = session.get(LimitedLink, (self.ids.bucket_of(link.selector), link.selector))
        return row is not None and self.clock.now() < row.expires_at and link.matches(row.verifier)

    def open(self, link: TokenSecret) -> TokenSecret:
        """Spend a link, and every other of its vault; returns the secret of the session's cookie.

        Raises:
            NotFoundError: it is unknown, spent or too old. Which of them is never said.
        """
        bucket, now = self.ids.bucket_of(link.selector), self.clock.now()
        secret = mint("ls", self.ids.new(bucket))

        def job(session: Session) -> None:
            row = session.get(LimitedLink, (bucket, link.selector))
            if row is None or row.expires_at <= now or not link.matches(row.verifier):
                raise NotFoundError
            vault = _active(session, bucket, row.vault_id)
            if vault is None:
                raise NotFoundError
            # Of two who come at the same moment, one deletes the row, and the other finds it gone.
            of_vault = (LimitedLink.bucket == bucket, LimitedLink.vault_id == vault.id)
            spent = session.scalars(
                delete(LimitedLink).where(*of_vault).returning(LimitedLink.selector)
            )
            if link.selector not in set(spent):
                raise NotFoundError
            values = self._values(secret, vault.id, now + SESSION_LASTS)
            session.execute(insert(LimitedSignIn).values(values | {"created_at": now}))
            self.sink.append(session, vault, VaultEvent("vault.limited_opened", now))
            letters.queue(session, bucket, vault.id, LetterKind.LIMITED_OPENED, now=now)

        self.store.write(job)
        return secret

    def resolve(self, secret: TokenSecret) -> LimitedVisitor | None:
        """Return whose limited session a cookie is; None when it is over or was never."""
        bucket = self.ids.bucket_of(secret.selector)
        with self.store.read() as session:
            row = session.get(LimitedSignIn, (bucket, secret.selector))
            if row is None or not secret.matches(row.verifier):
                return None
            if row.expires_at <= self.clock.now():
                return None
            vault = _active(session, bucket, row.vault_id)
        return None if vault is None else LimitedVisitor(vault, row.selector, row.expires_at)

    def end(self, visitor: LimitedVisitor) -> None:
        """End a limited session; repeating it changes nothing."""
        # The row stays, for its owner to be told of at the next sign-in.
        self.store.write(
            lambda session: session.execute(
                update(LimitedSignIn)
                .where(
                    LimitedSignIn.bucket == visitor.vault.bucket,
                    LimitedSignIn.selector == visitor.session,
                )
                .values(expires_at=self.clock.now())
            )
        )

    def end_all(self, vault: VaultRef) -> bool:
        """End the links and limited sessions of somebody who has just signed in.

        Returns whether a link was used since they did so the last time.
        """

        def job(session: Session) -> bool:
            used = False
            for model in (LimitedLink, LimitedSignIn):
                gone = session.execute(
                    delete(model)
                    .where(model.bucket == vault.bucket, model.vault_id == vault.id)
                    .returning(model.selector)
                ).all()
                used = used or (model is LimitedSignIn and bool(gone))
            return used

        return self.store.write(job)

    def _values(
        self, secret: TokenSecret, vault_id: UUID, expires_at: datetime
    ) -> dict[str, object]:
        return {
            "bucket": self.ids.bucket_of(vault_id),
            "selector": secret.selector,
            "vault_id": vault_id,
            "verifier": secret.verifier(),
            "expires_at": expires_at,
        }


def sweep(session: Session, *, now: datetime) -> int:
    """Delete links that ran out, and asks that nobody answered; returns how many rows went."""
    return sweep_table(session, LimitedLink, LimitedLink.expires_at <= now) + sweep_table(
        session, LimitedAsk, LimitedAsk.asked_at <= now - LINK_LASTS
    )


def _active(session: Session, bucket: int, vault_id: UUID) -> VaultRef | None:
    vault = session.get(Vault, (bucket, vault_id))
    if vault is None or vault.state != "active":
        return None
    return VaultRef(bucket, VaultId(vault_id), audit_public_key(session, bucket, vault_id))
