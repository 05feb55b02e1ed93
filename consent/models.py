"""Tables of agreement, consent and proof: names and terms, never values.

Four objects, never one status field (D8): request (workflow), agreement (contract), consent event
(legal act, append-only), grant (what OAuth acts on). They move separately; what is permitted is
computed on every read (CM-2, CM-8).
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import JSON, BigInteger, LargeBinary, Uuid

from pds.db import Base, UTCDateTime


class Organisation(Base):
    """A legal entity that may ask; approved by the operator."""

    __tablename__ = "organisations"
    __table_args__ = (
        CheckConstraint("standing IN ('good', 'suspended', 'removed')", name="standing_known"),
    )
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    name_az: Mapped[str] = mapped_column(String(120))
    name_en: Mapped[str] = mapped_column(String(120))
    contact: Mapped[str] = mapped_column(String(200))  # address for people with questions
    address: Mapped[str] = mapped_column(String(300))
    jurisdiction: Mapped[str] = mapped_column(String(8))  # ISO 3166 code
    standing: Mapped[str] = mapped_column(String(16))
    # Of its keys: rises with every freeze. Grants of a lower one are frozen until their people
    # confirm them (`consent.freezing`).
    key_generation: Mapped[int] = mapped_column(default=0)
    is_frozen: Mapped[bool] = mapped_column(default=False)  # nothing at all is served
    frozen_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # the last time; null: never
    freeze_reason: Mapped[str | None] = mapped_column(String(24))  # `FreezeReason`; null: never
    freeze_told: Mapped[int] = mapped_column(default=0)  # generation that all people know of
    feed_number: Mapped[int] = mapped_column(BigInteger)  # last number given in its change feed
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class TemplateVersion(Base):
    """A published data-sharing agreement template; immutable, known by its hash (CM-3)."""

    __tablename__ = "template_versions"
    __table_args__ = (UniqueConstraint("sha256"),)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    organisation_id: Mapped[UUID] = mapped_column(Uuid, index=True)
    sha256: Mapped[str] = mapped_column(String(64))  # of `document`
    document: Mapped[bytes] = mapped_column(LargeBinary)  # canonical JSON (RFC 8785)
    signature: Mapped[str] = mapped_column(Text)  # the organisation's detached JWS (P-27)
    state: Mapped[str] = mapped_column(String(16))  # published, superseded or retired
    published_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Request(Base):
    """An organisation's ask, from the moment its person first saw it."""

    __tablename__ = "requests"
    __table_args__ = (
        UniqueConstraint("bucket", "vault_id", "pushed_request"),
        Index(None, "bucket", "vault_id", "state"),
    )
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    vault_id: Mapped[UUID] = mapped_column(Uuid)
    organisation_id: Mapped[UUID] = mapped_column(Uuid)
    client_id: Mapped[UUID] = mapped_column(Uuid)
    template_id: Mapped[UUID] = mapped_column(Uuid)
    template_sha256: Mapped[str] = mapped_column(String(64))
    pushed_request: Mapped[UUID] = mapped_column(Uuid)
    asked: Mapped[dict[str, object]] = mapped_column(JSON)  # the RAR object as pushed
    state: Mapped[str] = mapped_column(String(24))  # seen, approved, approved_narrowed, refused …
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: not yet
    cools_until: Mapped[datetime | None] = mapped_column(UTCDateTime)  # after a refusal (CM-5)


class Connection(Base):
    """One lineage of agreements between a person and an organisation for one template (P-29)."""

    __tablename__ = "connections"
    __table_args__ = (
        UniqueConstraint("bucket", "vault_id", "organisation_id", "template_id"),
        Index(None, "organisation_id", "id"),
    )
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    vault_id: Mapped[UUID] = mapped_column(Uuid)
    organisation_id: Mapped[UUID] = mapped_column(Uuid)
    template_id: Mapped[UUID] = mapped_column(Uuid)
    agreement_id: Mapped[UUID] = mapped_column(Uuid)  # the latest; at most one is live
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Agreement(Base):
    """The contract between person and organisation; its states are DPV contract statuses."""

    __tablename__ = "agreements"
    __table_args__ = (
        CheckConstraint(
            "state IN ('active', 'suspended', 'withdrawn', 'terminated', 'expired', 'fulfilled',"
            " 'invalidated')",
            name="state_known",
        ),
        Index(None, "bucket", "vault_id"),
        Index("ix_agreements_expiry", "state", "expires_at"),
    )
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    vault_id: Mapped[UUID] = mapped_column(Uuid)
    organisation_id: Mapped[UUID] = mapped_column(Uuid)
    client_id: Mapped[UUID] = mapped_column(Uuid)
    connection_id: Mapped[UUID] = mapped_column(Uuid)
    request_id: Mapped[UUID] = mapped_column(Uuid)
    template_id: Mapped[UUID] = mapped_column(Uuid)
    version: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)  # exclusive
    supersedes: Mapped[UUID | None] = mapped_column(Uuid)  # null: the first of its connection
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: in force
    ended_by: Mapped[str | None] = mapped_column(String(16))  # actor of the end (CM-12)
    expiry_told: Mapped[int] = mapped_column(SmallInteger, default=0)  # days ahead; 0: not yet


class AgreementVersion(Base):
    """The signed text of one version of an agreement; immutable."""

    __tablename__ = "agreement_versions"
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    agreement_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sha256: Mapped[str] = mapped_column(String(64))
    document: Mapped[bytes] = mapped_column(LargeBinary)  # canonical JSON
    signature: Mapped[str] = mapped_column(Text)  # the vault's detached JWS (P-27)
    notice_sha256: Mapped[str] = mapped_column(String(64))  # what was shown (P-28)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Notice(Base):
    """What was shown to people, without example values; known by its hash (AUD-4)."""

    __tablename__ = "notices"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    document: Mapped[bytes] = mapped_column(LargeBinary)  # canonical JSON
    first_shown_at: Mapped[datetime] = mapped_column(UTCDateTime)


class ConsentEvent(Base):
    """A legal act about one agreement: DPV consent status, append-only (CM-14, CM-15)."""

    __tablename__ = "consent_events"
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    agreement_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    act: Mapped[str] = mapped_column(String(16))  # `consent.lifecycle.Act`
    status: Mapped[str] = mapped_column(String(40))  # DPV 2.3 term that it led to
    agreement_version: Mapped[int]
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    actor: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(64))  # null: none was asked for
    stream: Mapped[str] = mapped_column(String(40))
    stream_seq: Mapped[int] = mapped_column(BigInteger)


class Grant(Base):
    """What OAuth acts on: one client's technical permission under an agreement version."""

    __tablename__ = "grants"
    __table_args__ = (
        CheckConstraint(
            # `issued` is retired: a grant is active from its decision on (P-27).
            "state IN ('issued', 'active', 'paused', 'revoked', 'expired', 'consumed')",
            name="state_known",
        ),
        Index(None, "bucket", "vault_id"),
        Index(None, "bucket", "agreement_id"),
        Index("ix_grants_organisation", "organisation_id", "state", "bucket"),
        Index("ix_grants_dormant", "dormant_since"),
    )
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    vault_id: Mapped[UUID] = mapped_column(Uuid)
    organisation_id: Mapped[UUID] = mapped_column(Uuid)
    client_id: Mapped[UUID] = mapped_column(Uuid)
    agreement_id: Mapped[UUID] = mapped_column(Uuid)
    agreement_version: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    epoch: Mapped[int]  # rises with every change of agreement, grant, terms or standing (P-8)
    seq: Mapped[int] = mapped_column(BigInteger)  # last number of the grant's event stream
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)  # exclusive
    fetch_day: Mapped[int]  # days since 1970 of the last counted fetch
    fetches_today: Mapped[int]  # fetches counted on that day
    # Of the first fetch in access mode `once`; null: none yet, or another mode.
    fetched_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    terms_box: Mapped[bytes] = mapped_column(LargeBinary)  # the agreed terms, sealed under GK (P-9)
    terms_sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # Of its organisation's keys, as the person last confirmed them.
    key_generation: Mapped[int] = mapped_column(default=0)
    freeze_told: Mapped[int] = mapped_column(default=0)  # generation that its person was told of
    last_read_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: never read
    dormant_since: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: not dormant
    reads: Mapped[int]


class Receipt(Base):
    """A signed consent receipt, as given to person and organisation."""

    __tablename__ = "receipts"
    __table_args__ = (Index(None, "bucket", "vault_id", "created_at"),)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    vault_id: Mapped[UUID] = mapped_column(Uuid)
    request_id: Mapped[UUID] = mapped_column(Uuid)
    agreement_id: Mapped[UUID | None] = mapped_column(Uuid)  # null: refused
    kind: Mapped[str] = mapped_column(String(16))
    document: Mapped[bytes] = mapped_column(LargeBinary)  # canonical JSON, signed
    stream: Mapped[str] = mapped_column(String(40))
    stream_seq: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Obligation(Base):
    """What an organisation owes after the end: deletion, confirmed or overdue (CM-7)."""

    __tablename__ = "obligations"
    __table_args__ = (
        CheckConstraint("state IN ('due', 'confirmed', 'retained_with_basis')", name="state_known"),
        Index(None, "organisation_id", "state", "due_at"),
        Index(None, "bucket", "vault_id"),
        Index("ix_obligations_overdue", "state", "overdue_announced", "due_at"),
    )
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    vault_id: Mapped[UUID] = mapped_column(Uuid)
    organisation_id: Mapped[UUID] = mapped_column(Uuid)
    agreement_id: Mapped[UUID] = mapped_column(Uuid)
    connection_id: Mapped[UUID] = mapped_column(Uuid)
    kind: Mapped[str] = mapped_column(String(16))  # consent.vocabulary.ObligationKind
    state: Mapped[str] = mapped_column(String(24))
    asked_by_person: Mapped[bool]  # they ticked the deletion request as they stopped sharing
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)  # past it and not answered: overdue
    overdue_announced: Mapped[bool]  # the organisation's feed has told that it is overdue
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: not yet
    evidence: Mapped[bytes | None] = mapped_column(LargeBinary)  # the signed answer


class FeedPending(Base):
    """A change that an organisation's feed has yet to number (P-24)."""

    __tablename__ = "feed_pending"
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)  # in order of time
    organisation_id: Mapped[UUID] = mapped_column(Uuid)
    connection_id: Mapped[UUID] = mapped_column(Uuid)
    event: Mapped[str] = mapped_column(String(32))  # consent.vocabulary.FeedEvent
    obligation_id: Mapped[UUID | None] = mapped_column(Uuid)  # null: not about one
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class FeedEntry(Base):
    """A numbered change in an organisation's feed: which connection, never what."""

    __tablename__ = "feed_entries"
    __table_args__ = (
        Index("ix_feed_entries_connection", "organisation_id", "connection_id", "number"),
    )
    organisation_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    connection_id: Mapped[UUID] = mapped_column(Uuid)
    event: Mapped[str] = mapped_column(String(32))
    obligation_id: Mapped[UUID | None] = mapped_column(Uuid)
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class Event(Base):
    """One logged event: insert-only, gap-free in its stream (P-31, P-36)."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("bucket", "stream", "seq"),
        Index("ix_events_vault", "bucket", "vault_id", "id"),
    )
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)  # UUIDv7: in order of arrival
    stream: Mapped[str] = mapped_column(String(40))
    seq: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    vault_id: Mapped[UUID | None] = mapped_column(Uuid)  # null: the deployment's own
    grant_id: Mapped[UUID | None] = mapped_column(Uuid)  # null: not about a grant
    c_pub: Mapped[bytes] = mapped_column(LargeBinary(32))
    c_priv: Mapped[bytes] = mapped_column(LargeBinary(32))


class EventPayload(Base):
    """What an event says; may be erased, and the tree stays valid (LOG-9)."""

    __tablename__ = "event_payloads"
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    pub: Mapped[bytes] = mapped_column(LargeBinary)  # canonical JSON of the public part
    r_pub: Mapped[bytes] = mapped_column(LargeBinary(32))
    priv_box: Mapped[bytes | None] = mapped_column(LargeBinary)  # null: none, or erased
    priv_key: Mapped[str] = mapped_column(String(8))  # grant, audit or none: which key opened it


class EventErasure(Base):
    """That an event's public part was erased, and by which rule: its number stays explained."""

    __tablename__ = "event_erasures"
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    rule: Mapped[str] = mapped_column(String(40))  # consent.retention
    erased_at: Mapped[datetime] = mapped_column(UTCDateTime)


class LegalHold(Base):
    """While it stands, nothing of what it names is erased by any period (AUD-13)."""

    __tablename__ = "legal_holds"
    __table_args__ = (
        CheckConstraint("scope IN ('organisation', 'grant', 'vault')", name="scope_known"),
    )
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    scope: Mapped[str] = mapped_column(String(16))
    target: Mapped[UUID] = mapped_column(Uuid)  # id of that organisation, grant or vault
    reason: Mapped[str] = mapped_column(String(400))  # the operator's words; no personal data
    placed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    lifted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: it stands


class LogPending(Base):
    """A leaf that the integrator has yet to place (LOG-14)."""

    __tablename__ = "log_pending"
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    commitment: Mapped[bytes] = mapped_column(LargeBinary(32))


class LogEntry(Base):
    """Where in the tree an event's leaf stands."""

    __tablename__ = "log_entries"
    __table_args__ = (UniqueConstraint("bucket", "event_id"),)
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    bucket: Mapped[int] = mapped_column(SmallInteger)
    event_id: Mapped[UUID] = mapped_column(Uuid)


class LogTile(Base):
    """A tile of the tree as tlog-tiles has it; level -1 holds the entry bundles."""

    __tablename__ = "log_tiles"
    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    width: Mapped[int]  # 256 when full
    data: Mapped[bytes] = mapped_column(LargeBinary)


class LogState(Base):
    """The tree's size and root: one row, changed by compare-and-set (LOG-14)."""

    __tablename__ = "log_state"
    origin: Mapped[str] = mapped_column(String(200), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    root: Mapped[bytes] = mapped_column(LargeBinary(32))
    # The newest tree whose checkpoint is given out; without witnesses, the newest.
    published_size: Mapped[int] = mapped_column(BigInteger)
    halted: Mapped[str | None] = mapped_column(Text)  # why nothing is written any more (LOG-22)
    # The checkpoint of the epoch before, with its signatures; null in the first epoch.
    continues: Mapped[str | None] = mapped_column(Text)


class DeploymentFact(Base):
    """What the log last told of the deployment: a digest of its settings, of a key (LOG-12)."""

    __tablename__ = "deployment_facts"
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[str] = mapped_column(String(64))
    noted_at: Mapped[datetime] = mapped_column(UTCDateTime)  # since when it is so


class LogCheckpoint(Base):
    """A signed checkpoint, kept for consistency proofs."""

    __tablename__ = "log_checkpoints"
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    note: Mapped[str] = mapped_column(Text)
    signed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    cosignatures: Mapped[str] = mapped_column(Text)  # signature lines of witnesses, to append


class DeploymentStream(Base):
    """The counter of the deployment's own event stream: one row."""

    __tablename__ = "deployment_stream"
    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigInteger)


class Lease(Base):
    """Who runs the background work, with a fencing epoch that rises at every change of hands."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    holder: Mapped[UUID] = mapped_column(Uuid)
    epoch: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Auditor(Base):
    """A person with the read-only auditor role."""

    __tablename__ = "auditors"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    verifier: Mapped[bytes] = mapped_column(LargeBinary(32))  # of the access token handed out once
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Refusal(Base):
    """How often requests that belong to no vault were refused in a minute, by source (P-35)."""

    __tablename__ = "refusals"
    minute: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    # Keyed hash of network and day; zeros: sources that were counted together.
    source: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
