"""Tables of the vault. Every primary key begins with the vault's bucket (D12).

Sealed: record data, login and notice address, staged imports and their reports. Plain: ids,
versions, sequence numbers, times, author kinds, keyed tags and padded sizes.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import JSON, BigInteger, LargeBinary, Uuid

from pds.db import Base, UTCDateTime


class Vault(Base):
    """One person's vault; the row whose lock orders all writes to it (P-5)."""

    __tablename__ = "vaults"
    __table_args__ = (CheckConstraint("state IN ('active', 'deleted')", name="state_known"),)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    seq: Mapped[int] = mapped_column(BigInteger)  # change sequence of records; commit order
    event_seq: Mapped[int] = mapped_column(BigInteger)  # last number of the vault's event stream
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class LoginName(Base):
    """Directory from login name to vault: the only lookup that has no id to start from."""

    __tablename__ = "login_names"
    tag: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)  # HMAC of the folded name
    bucket: Mapped[int] = mapped_column(SmallInteger)
    vault_id: Mapped[UUID] = mapped_column(Uuid)


class Account(Base):
    """How a person signs in, and in which language they read."""

    __tablename__ = "accounts"
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    vault_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    login_box: Mapped[bytes] = mapped_column(LargeBinary)  # login name, sealed under *at-rest*
    notice_box: Mapped[bytes | None] = mapped_column(LargeBinary)  # null: no notice address given
    notice_verified_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: not confirmed
    notice_nonce: Mapped[bytes | None] = mapped_column(LargeBinary(16))  # of the code sent to it
    notice_asked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # when that was
    muted: Mapped[list[str]] = mapped_column(JSON)  # kinds of letters that they do not want
    passphrase_verifier: Mapped[bytes] = mapped_column(LargeBinary(32))
    passphrase_salt: Mapped[bytes] = mapped_column(LargeBinary(16))
    argon2: Mapped[str] = mapped_column(String(64))
    pepper_version: Mapped[int] = mapped_column(SmallInteger)
    recovery_verifier: Mapped[bytes] = mapped_column(LargeBinary(32))
    recovery_kept_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: not shown to be
    locale: Mapped[str] = mapped_column(String(8))
    theme: Mapped[str] = mapped_column(String(8))  # auto, light or dark


class SecondFactor(Base):
    """What a sign-in needs besides the passphrase: an app that makes codes (RFC 6238)."""

    __tablename__ = "second_factors"
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    vault_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    secret_box: Mapped[bytes] = mapped_column(LargeBinary)  # sealed under *at-rest*
    last_step: Mapped[int] = mapped_column(BigInteger)  # of the last code that was accepted
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: does not count yet


class Passkey(Base):
    """A key that a person's device keeps and proves to have (WebAuthn)."""

    __tablename__ = "passkeys"
    __table_args__ = (Index(None, "bucket", "vault_id"),)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    vault_id: Mapped[UUID] = mapped_column(Uuid)
    credential_box: Mapped[bytes] = mapped_column(LargeBinary)  # its id and public key, *at-rest*
    label_box: Mapped[bytes] = mapped_column(LargeBinary)  # what its owner calls it, *at-rest*
    sign_count: Mapped[int] = mapped_column(BigInteger)  # 0: it does not count signatures
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: not since it was added


class PasskeyChallenge(Base):
    """A challenge that waits for its one answer."""

    __tablename__ = "passkey_challenges"
    __table_args__ = (Index(None, "expires_at"),)
    # Hash of the challenge, of what it is for, and of the browser that asked.
    key: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)


class PersonalApp(Base):
    """A program that a person lets read their own vault, by a key and a token of its own."""

    __tablename__ = "personal_apps"
    __table_args__ = (Index(None, "bucket", "vault_id"),)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)  # the selector of its token
    vault_id: Mapped[UUID] = mapped_column(Uuid)
    label_box: Mapped[bytes] = mapped_column(LargeBinary)  # what its owner calls it, *at-rest*
    jkt: Mapped[str] = mapped_column(String(43))  # RFC 7638 thumbprint of its key
    collections: Mapped[list[str]] = mapped_column(JSON)  # to show; its wraps decide
    verifier: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: it has not read yet
    reads: Mapped[int] = mapped_column(BigInteger)


class Letter(Base):
    """An e-mail that waits to be sent, or was: to whom and why, never an address or a value."""

    __tablename__ = "letters"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'sent', 'dropped')", name="state_known"),
        Index(None, "state", "due_at"),
        Index(None, "vault_id", "sent_at"),
        Index(None, "created_at"),
    )
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    vault_id: Mapped[UUID] = mapped_column(Uuid)
    kind: Mapped[str] = mapped_column(String(16))  # pds.letters.LetterKind
    about: Mapped[dict[str, str]] = mapped_column(JSON)  # ids and days
    to_box: Mapped[bytes | None] = mapped_column(LargeBinary)  # null: the account's address
    state: Mapped[str] = mapped_column(String(16))
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)
    tries: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class KeyWrap(Base):
    """One key sealed under another; the only table that holds keys, and no key is plain (D1).

    `by_kind` and what it wraps: passphrase, recovery, passkey, unlock -> vrk; vrk -> collection,
    grant, agreement, audit, history, app; grant -> collection, inbound; token -> grant;
    app-token -> app; app -> collection.
    """

    __tablename__ = "key_wraps"
    __table_args__ = (Index(None, "bucket", "vault_id"), Index(None, "expires_at"))
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    by_kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    by_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    wrapped_kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    wrapped_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    wrapped_version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    vault_id: Mapped[UUID] = mapped_column(Uuid)
    blob: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: until deleted


class CollectionKey(Base):
    """A version of a collection's key: its public half, and whether it is still written with."""

    __tablename__ = "collection_keys"
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    vault_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    collection: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    public_key: Mapped[bytes] = mapped_column(LargeBinary(32))  # X25519, for deposits
    is_current: Mapped[bool]
    rotation_due: Mapped[bool]  # an ended grant held it: rotate at the owner's next unlock (TAK-43)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class VaultKey(Base):
    """The public half of a key pair of the vault; the private half is a wrap (P-14)."""

    __tablename__ = "vault_keys"
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    vault_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    purpose: Mapped[str] = mapped_column(String(16), primary_key=True)  # agreement or audit
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    public_key: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Record(Base):
    """The present version of one record; a deleted one stays as a tombstone."""

    __tablename__ = "records"
    __table_args__ = (
        # With `deleted`, so that counting and turning pages reads the index alone.
        Index("ix_records_feed", "bucket", "vault_id", "collection", "seq", "deleted"),
        Index("ix_records_merge", "bucket", "vault_id", "merge_tag"),
    )
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    vault_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    collection: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(BigInteger)
    seq: Mapped[int] = mapped_column(BigInteger)  # the vault's sequence at the last change
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    author_kind: Mapped[str] = mapped_column(String(16))  # owner or organisation
    author_id: Mapped[UUID | None] = mapped_column(Uuid)  # null: the owner
    deleted: Mapped[bool]
    merge_tag: Mapped[bytes | None] = mapped_column(LargeBinary(16))  # null: no merge key filled in
    key_version: Mapped[int]
    box: Mapped[bytes] = mapped_column(LargeBinary)


class RecordVersion(Base):
    """A superseded version, re-sealed under the history key, which no grant wraps (P-21)."""

    __tablename__ = "record_versions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["bucket", "vault_id", "record_id"],
            ["records.bucket", "records.vault_id", "records.id"],
            name="fk_record_versions_records",
        ),
    )
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    vault_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    record_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    box: Mapped[bytes] = mapped_column(LargeBinary)


class SealedFile(Base):
    """A file in sealed chunks: an attachment of a record, or an archive that is being imported.

    Its key, its size and its hash are sealed to the vault (`pds.sealed_files`); what it is called
    and which record it belongs to stands in that record's box only.
    """

    __tablename__ = "sealed_files"
    __table_args__ = (Index(None, "expires_at"),)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    vault_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    key_box: Mapped[bytes | None] = mapped_column(LargeBinary)  # null: not whole yet, or shredded
    stored_bytes: Mapped[int] = mapped_column(BigInteger)  # of its chunks, padding included
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: a record has it


class SealedChunk(Base):
    """A chunk of a file, bound to its place and to the end (`pds.crypto.sealed_stream`)."""

    __tablename__ = "sealed_chunks"
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    vault_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    file_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    box: Mapped[bytes] = mapped_column(LargeBinary)


class ListPart(Base):
    """What lists, searches and charts need of some records of a collection, sealed as one.

    The parts of a collection are a chain by sequence number: a record stands in the part that holds
    its last change, and what changed after the last part is read from `records`. All can be made
    anew; they are sealed under a key of the vault's own, which no grant wraps.
    """

    __tablename__ = "list_parts"
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    vault_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    collection: Mapped[str] = mapped_column(String(64), primary_key=True)
    after_seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    through_seq: Mapped[int] = mapped_column(BigInteger)  # inclusive
    keys_box: Mapped[bytes] = mapped_column(LargeBinary)  # ids and what they are sorted by
    texts_box: Mapped[bytes] = mapped_column(LargeBinary)  # what is searched


class Deposit(Base):
    """A document that a client left while the vault was locked; absorbed at the next unlock."""

    __tablename__ = "deposits"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'absorbed', 'quarantined')", name="state_known"),
        Index(None, "bucket", "vault_id", "state"),
    )
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    vault_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    grant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    document_id: Mapped[str] = mapped_column(String(128), primary_key=True)  # the client's own id
    client_id: Mapped[UUID] = mapped_column(Uuid)
    collection: Mapped[str] = mapped_column(String(64))
    key_version: Mapped[int]
    box: Mapped[bytes | None] = mapped_column(LargeBinary)  # null once absorbed
    record_id: Mapped[UUID] = mapped_column(Uuid)  # the record that it makes or replaces
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(64))  # why it is in quarantine
    deposited_at: Mapped[datetime] = mapped_column(UTCDateTime)


class SignIn(Base):
    """A signed-in browser: the `s` cookie's row. It wraps nothing (P-15)."""

    __tablename__ = "sign_ins"
    __table_args__ = (Index(None, "expires_at"),)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    selector: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    vault_id: Mapped[UUID] = mapped_column(Uuid)
    verifier: Mapped[bytes] = mapped_column(LargeBinary(32))
    device_box: Mapped[bytes | None] = mapped_column(LargeBinary)  # null: not known
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)  # behind by a minute at most
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Unlock(Base):
    """An unlocked browser: the `u` cookie's row, which names its sign-in (P-15)."""

    __tablename__ = "unlocks"
    __table_args__ = (Index(None, "expires_at"),)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    selector: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    sign_in: Mapped[UUID] = mapped_column(Uuid)
    vault_id: Mapped[UUID] = mapped_column(Uuid)
    verifier: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)  # moves on with use, to a limit
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime)  # that limit


class LimitedAsk(Base):
    """A name for which a link was asked, until the worker has looked whose it is (P-16)."""

    __tablename__ = "limited_asks"
    __table_args__ = (Index(None, "asked_at"),)
    tag: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)  # as in `login_names`
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)


class LimitedLink(Base):
    """A link that was sent to whoever lost the passphrase; deleted as it is used (P-16)."""

    __tablename__ = "limited_links"
    __table_args__ = (Index(None, "bucket", "vault_id"), Index(None, "expires_at"))
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    selector: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    vault_id: Mapped[UUID] = mapped_column(Uuid)
    verifier: Mapped[bytes] = mapped_column(LargeBinary(32))
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)


class LimitedSignIn(Base):
    """A browser in which such a link was used. It wraps nothing (P-16).

    Kept when it has ended, until the owner has signed in and was told.
    """

    __tablename__ = "limited_sign_ins"
    __table_args__ = (Index(None, "bucket", "vault_id"),)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    selector: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    vault_id: Mapped[UUID] = mapped_column(Uuid)
    verifier: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)


class VaultDeletion(Base):
    """That a vault is to be deleted: it can be kept until then, and goes when the row does."""

    __tablename__ = "vault_deletions"
    __table_args__ = (Index(None, "due_at"),)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    vault_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    is_limited: Mapped[bool]  # asked for without the passphrase (P-16)
    asks_erasure: Mapped[bool]  # organisations are then asked to delete what they received
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Throttle(Base):
    """A counter of attempts in a window, for what security rests on (P-39)."""

    __tablename__ = "throttles"
    __table_args__ = (Index(None, "expires_at"),)
    key: Mapped[bytes] = mapped_column(
        LargeBinary(32), primary_key=True
    )  # keyed hash of the source
    attempts: Mapped[int]
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)


class ImportJob(Base):
    """A file being taken into the vault in batches; what it holds is sealed to the vault (P-20)."""

    __tablename__ = "import_jobs"
    __table_args__ = (
        CheckConstraint(
            "state IN ('mapping', 'staged', 'running', 'done', 'cancelled', 'undoing', 'undone')",
            name="state_known",
        ),
    )
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    vault_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    format: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16))
    total: Mapped[int]  # candidates
    done: Mapped[int]
    report_box: Mapped[bytes] = mapped_column(LargeBinary)  # what was imported, skipped, refused
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class StagedBatch(Base):
    """What an import keeps between two requests.

    Validated candidates that are not yet records; a file whose columns are not known yet; or which
    records it made and what they held before, so that it can be undone.
    """

    __tablename__ = "staged_batches"
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    vault_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    import_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16), server_default="candidates")  # or upload, undo
    box: Mapped[bytes] = mapped_column(LargeBinary)
