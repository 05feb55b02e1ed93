"""Programs that a person lets read their own vault, each with a key of its own.

    token      --wraps-->  app key                     bound to the program's public key and the end
    VRK        --wraps-->  app key                     the owner's copy
    app key    --wraps-->  the collection keys that the owner chose

Nobody else has a part in it: no organisation, no agreement, no purpose. What such a program reads
is in the vault's own stream of the log. It reads whole records, and writes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from pds import letters, vaults
from pds.catalogue import CATALOGUE
from pds.clock import Clock
from pds.crypto.secrets import TokenSecret, mint
from pds.errors import (
    ConflictError,
    DecryptionError,
    Issue,
    KeyUnavailableError,
    LimitExceededError,
    NotFoundError,
    ValidationFailedError,
)
from pds.events import EventSink, VaultEvent, VaultRef
from pds.ids import IdFactory
from pds.instance import InstanceKeys
from pds.keys import OpenVault, VaultKeys, Wrap, Wrapped, Wrapper, mark_rotation_due, new_key
from pds.letters import LetterKind
from pds.models import CollectionKey, PersonalApp, Record, Vault
from pds.record_boxes import Author, Data, RecordContext, open_record, record_key
from pds.store import Store
from pds.throttling import count, require_room, throttle_key

MOST = 10
LABEL_CHARACTERS = 60
DAYS = (7, 30, 90, 365)
READS_A_QUARTER_HOUR = 600
_APP, _TOKEN, _COLLECTION = "app", "app-token", "collection"


@dataclass(frozen=True, slots=True)
class Wish:
    """What an owner wants a program to have."""

    label: str  # what they call it
    jkt: str  # RFC 7638 thumbprint of its public key
    collections: tuple[str, ...]
    days: int


@dataclass(frozen=True, slots=True)
class KnownApp:
    """A program as its owner sees it."""

    id: UUID
    label: str
    jkt: str
    collections: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    reads: int


@dataclass(frozen=True, slots=True)
class LiveApp:
    """A program as its token shows it at this instant; the proof of its key is not checked here."""

    id: UUID
    vault: VaultRef
    jkt: str
    deployment: bytes
    record_keys: Mapping[tuple[str, int], bytes] = field(repr=False)

    @property
    def collections(self) -> frozenset[str]:
        """The collections that its keys open, whatever a row says of them."""
        return frozenset(name for name, _ in self.record_keys)


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """A record as a program of its owner gets it: the vault's own id and version.

    `box_sha256`, in hex, says for the log which row it was read from.
    """

    id: UUID
    version: int
    box_sha256: str
    seq: int
    changed_at: datetime
    author_kind: str
    deleted: bool
    data: Data = field(repr=False)


@dataclass(frozen=True, slots=True)
class PersonalAppService:
    """Lets programs in, lists them, reads for them, and ends them."""

    store: Store
    keys: InstanceKeys
    ids: IdFactory
    clock: Clock
    sink: EventSink

    def add(self, vault: VaultRef, open_vault: OpenVault, wish: Wish) -> TokenSecret:
        """Let a program read some collections; returns its token, shown once.

        Raises:
            ValidationFailedError: the name, the collections or the days are none that may be.
            LimitExceededError: there are as many programs as there may be.
            ConflictError: a collection's key was renewed meanwhile; try again.
        """
        label = _judged(wish)
        now = self.clock.now()
        expires_at = now + timedelta(days=wish.days)
        secret = mint("pa", self.ids.new(vault.bucket))
        app_id = secret.selector
        wraps = self._wraps(open_vault, secret, wish, expires_at)
        names = tuple(sorted(wish.collections))

        def job(session: Session) -> None:
            vaults.lock(session, vault)
            self._end_expired(session, vault, now)
            mine = select(func.count()).select_from(PersonalApp).where(*_of(vault))
            if session.execute(mine).scalar_one() >= MOST:
                raise LimitExceededError("personal-apps")
            for name, version in _present_versions(session, vault, names):
                if version not in open_vault.versions(_COLLECTION, name):
                    raise ConflictError
            session.add(
                PersonalApp(
                    bucket=vault.bucket,
                    id=app_id,
                    vault_id=vault.id,
                    label_box=self._seal(label, vault.id, app_id),
                    jkt=wish.jkt,
                    collections=list(names),
                    verifier=secret.verifier(),
                    created_at=now,
                    expires_at=expires_at,
                    used_at=None,
                    reads=0,
                )
            )
            open_vault.keys.store(session, wraps, now=now)
            private = {"app": str(app_id)}
            event = VaultEvent("vault.app_added", now, collections=names, private=private)
            self.sink.append(session, vault, event)
            letters.queue(session, vault.bucket, vault.id, LetterKind.APP_ADDED, now=now)

        self.store.write(job)
        return secret

    def list_of(self, vault: VaultRef) -> list[KnownApp]:
        """Return a person's programs, the latest first; those whose time is over are none."""
        query = (
            select(PersonalApp)
            .where(*_of(vault), PersonalApp.expires_at > self.clock.now())
            .order_by(PersonalApp.created_at.desc(), PersonalApp.id)
        )
        with self.store.read() as session:
            rows = session.scalars(query).all()
        return [
            KnownApp(
                row.id,
                self.keys.open_at_rest(row.label_box, b"app-label", vault.id, row.id).decode(),
                row.jkt,
                tuple(row.collections),
                row.created_at,
                row.expires_at,
                row.used_at,
                row.reads,
            )
            for row in rows
        ]

    def remove(self, vault: VaultRef, app_id: UUID) -> None:
        """End a program's access at once; needs no key of the vault (D15).

        Raises:
            NotFoundError: this vault has none of that id.
        """
        now = self.clock.now()

        def job(session: Session) -> None:
            vaults.lock(session, vault)
            if not self._delete(session, vault, PersonalApp.id == app_id):
                raise NotFoundError
            private = {"app": str(app_id)}
            self.sink.append(session, vault, VaultEvent("vault.app_removed", now, private=private))

        self.store.write(job)

    def forget(self, session: Session, vault: VaultRef, *, now: datetime) -> None:
        """End all of a person's programs within another change."""
        gone = self._delete(session, vault)
        if gone:
            event = VaultEvent("vault.app_removed", now, count=len(gone))
            self.sink.append(session, vault, event)

    def end_expired(self, vault: VaultRef) -> None:
        """Delete programs whose time is over, so that the keys they held are renewed (TAK-43)."""
        now = self.clock.now()
        over = select(PersonalApp.id).where(*_of(vault), PersonalApp.expires_at <= now).limit(1)
        with self.store.read() as session:
            if session.execute(over).first() is None:
                return

        def job(session: Session) -> None:
            vaults.lock(session, vault)
            self._end_expired(session, vault, now)

        self.store.write(job)

    def find(self, secret: TokenSecret) -> LiveApp | None:
        """Return the program of a token; None for every token that is not alive.

        Raises:
            DecryptionError: a wrap was tampered with.
        """
        bucket, now = self.ids.bucket_of(secret.selector), self.clock.now()
        with self.store.read() as session:
            row = session.get(PersonalApp, (bucket, secret.selector))
            # The verifier is compared before anything else of the row counts.
            if row is None or not secret.matches(row.verifier) or row.expires_at <= now:
                return None
            vault = session.get(Vault, (bucket, row.vault_id))
            if vault is None or vault.state != "active":
                return None
            keys = VaultKeys(self.keys.deployment, bucket, row.vault_id)
            by_token = Wrapper(_TOKEN, row.id, _binding(row.jkt, row.expires_at))
            by_app = Wrapper(_APP, row.id)
            outer, inner = keys.load(session, by_token), keys.load(session, by_app)
            ref = vaults.vault_ref(session, bucket, row.vault_id)
        if not outer:
            return None
        wrapped, blob = outer[0]
        app_key = keys.unwrap(secret.kek(), blob, by=by_token, wrapped=wrapped)
        return LiveApp(
            row.id,
            ref,
            row.jkt,
            self.keys.deployment,
            {
                (each.id, each.version): record_key(
                    keys.unwrap(app_key, blob, by=by_app, wrapped=each)
                )
                for each, blob in inner
            },
        )

    def page(
        self, app: LiveApp, collection: str, *, after: int, limit: int
    ) -> tuple[list[OwnRecord], int | None]:
        """Return records of a collection by the order of changes, and where the next page begins.

        From the beginning what is deleted is left out; after that it is told, so that a copy can
        follow.

        Raises:
            NotFoundError: its keys do not open this collection.
            LimitExceededError: it reads too often.
        """
        if collection not in app.collections:
            raise NotFoundError
        query = (
            select(Record)
            .where(
                Record.bucket == app.vault.bucket,
                Record.vault_id == app.vault.id,
                Record.collection == collection,
                Record.seq > after,
            )
            .order_by(Record.seq)
            .limit(limit + 1)
        )
        with self.store.read() as session:
            most, now = READS_A_QUARTER_HOUR, self.clock.now()
            require_room(session, self._throttle(app), most=most, now=now)
            rows = session.scalars(query).all()
        found = [_opened(app, row) for row in rows[:limit] if after or not row.deleted]
        return found, rows[limit - 1].seq if len(rows) > limit else None

    def note_read(self, session: Session, app: LiveApp, now: datetime) -> None:
        """Count a read within the job that logs it, if the program may still read.

        Raises:
            NotFoundError: it was ended meanwhile, or its time is over.
            LimitExceededError: it reads too often.
        """
        count(session, self._throttle(app), most=READS_A_QUARTER_HOUR, now=now)
        noted = session.execute(
            update(PersonalApp)
            .where(
                *_of(app.vault),
                PersonalApp.id == app.id,
                PersonalApp.jkt == app.jkt,
                PersonalApp.expires_at > now,
            )
            .values(used_at=now, reads=PersonalApp.reads + 1)
            .returning(PersonalApp.id)
        ).one_or_none()
        if noted is None:
            raise NotFoundError

    def _throttle(self, app: LiveApp) -> bytes:
        return throttle_key(self.keys.login_tag, "personal-app", app.id.bytes)

    def _end_expired(self, session: Session, vault: VaultRef, now: datetime) -> None:
        self._delete(session, vault, PersonalApp.expires_at <= now)

    def _delete(self, session: Session, vault: VaultRef, *which: ColumnElement[bool]) -> list[UUID]:
        gone = session.execute(
            delete(PersonalApp)
            .where(*_of(vault), *which)
            .returning(PersonalApp.id, PersonalApp.collections)
        ).all()
        keys = VaultKeys(self.keys.deployment, vault.bucket, vault.id)
        for app_id, collections in gone:
            keys.delete_by(session, _TOKEN, [app_id])
            keys.delete_by(session, _APP, [app_id])
            keys.delete_of(session, _APP, str(app_id), by_kind="vrk")
            mark_rotation_due(session, vault.bucket, vault.id, collections)
        return [app_id for app_id, _ in gone]

    def _wraps(
        self, open_vault: OpenVault, secret: TokenSecret, wish: Wish, expires_at: datetime
    ) -> list[Wrap]:
        app_key, app_id, keys = new_key(), secret.selector, open_vault.keys
        wrapped = Wrapped(_APP, str(app_id))
        by_token = Wrapper(_TOKEN, app_id, _binding(wish.jkt, expires_at))
        wraps = [
            open_vault.wrap_under_root(app_key, wrapped),
            keys.wrap(secret.kek(), app_key, by=by_token, wrapped=wrapped, expires_at=expires_at),
        ]
        for name in wish.collections:
            for version in open_vault.versions(_COLLECTION, name):
                key = open_vault.key(_COLLECTION, name, version)
                wraps.append(_collection_wrap(keys, app_key, app_id, name, version, key))
        return wraps

    def _seal(self, label: str, vault_id: UUID, app_id: UUID) -> bytes:
        return self.keys.seal_at_rest(label.encode(), b"app-label", vault_id, app_id)


def read_event(
    app: LiveApp, collection: str, found: Sequence[OwnRecord], *, at: datetime
) -> VaultEvent:
    """Return what the log is told of a read; which program and which records is for the owner."""
    private = {
        "app": str(app.id),
        "records": [[str(each.id), each.version, each.box_sha256] for each in found],
    }
    return VaultEvent("vault.app_read", at, (collection,), count=len(found), private=private)


def follow_rotation(
    session: Session, open_vault: OpenVault, vault: VaultRef, fresh: Mapping[str, tuple[int, bytes]]
) -> list[Wrap]:
    """Return what gives the programs of a vault the new keys of collections that they may read.

    Args:
        session: of the write job that renews the keys; the vault's row is held.
        open_vault: read under that lock.
        vault: whose.
        fresh: for each collection its new key, and of which version that is.
    """
    wraps = []
    for row in session.scalars(select(PersonalApp).where(*_of(vault))):
        try:
            app_key = open_vault.key(_APP, str(row.id), 1)
            held = _held(session, open_vault.keys, row.id)
        except (DecryptionError, KeyUnavailableError):
            continue  # tampered with: it gets no new key
        for name, (version, key) in fresh.items():
            # By the wraps that it has: the row's list is anyone's word (P-9).
            if name in held:
                wraps.append(_collection_wrap(open_vault.keys, app_key, row.id, name, version, key))
    return wraps


def _held(session: Session, keys: VaultKeys, app_id: UUID) -> frozenset[str]:
    return frozenset(each.id for each, _ in keys.load(session, Wrapper(_APP, app_id)))


def _collection_wrap(  # noqa: PLR0917 - one wrap, private
    keys: VaultKeys, app_key: bytes, app_id: UUID, name: str, version: int, key: bytes
) -> Wrap:
    wrapped = Wrapped(_COLLECTION, name, version)
    return keys.wrap(app_key, key, by=Wrapper(_APP, app_id), wrapped=wrapped)


def _opened(app: LiveApp, row: Record) -> OwnRecord:
    key = app.record_keys.get((row.collection, row.key_version))
    if key is None:
        raise KeyUnavailableError
    author = Author(row.author_kind, row.author_id)
    context = RecordContext(
        app.deployment, app.vault.id, row.collection, row.id, row.version, author, row.deleted
    )
    data, _ = open_record(key, row.box, context)
    return OwnRecord(
        row.id,
        row.version,
        hashlib.sha256(row.box).hexdigest(),
        row.seq,
        row.changed_at,
        row.author_kind,
        row.deleted,
        data,
    )


def _of(vault: VaultRef) -> tuple[ColumnElement[bool], ...]:
    return (PersonalApp.bucket == vault.bucket, PersonalApp.vault_id == vault.id)


def _binding(jkt: str, expires_at: datetime) -> tuple[bytes, ...]:
    return (jkt.encode(), int(expires_at.timestamp() * 1000).to_bytes(8, "big"))


def _present_versions(
    session: Session, vault: VaultRef, collections: Collection[str]
) -> list[tuple[str, int]]:
    query = select(CollectionKey.collection, CollectionKey.version).where(
        CollectionKey.bucket == vault.bucket,
        CollectionKey.vault_id == vault.id,
        CollectionKey.collection.in_(collections),
        CollectionKey.is_current.is_(True),
    )
    return [(name, version) for name, version in session.execute(query)]


def _judged(wish: Wish) -> str:
    label = " ".join(wish.label.split())
    issues = []
    if not 0 < len(label) <= LABEL_CHARACTERS or not label.isprintable():
        text = f"Use 1 to {LABEL_CHARACTERS} characters."
        issues.append(Issue("label", "label_malformed", text, {"most": LABEL_CHARACTERS}))
    if not wish.collections or not set(wish.collections) <= CATALOGUE.collections.keys():
        issues.append(Issue("collections", "app_reads_nothing", "choose a collection"))
    if wish.days not in DAYS:
        issues.append(Issue("days", "app_days", "choose how long"))
    if issues:
        raise ValidationFailedError(issues)
    return label
