"""The tables of the state store (CON-30). No column ever holds what a person shared."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

VERSION = 3  # another version of the tables is refused, never guessed at

metadata = MetaData()


class UTCDateTime(TypeDecorator[datetime]):
    """A UTC instant; SQLite drops the zone, so restore it on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Refuse an instant without a zone."""
        if value is not None and value.tzinfo is None:
            raise ValueError("naive datetime")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the instant with its zone."""
        return value and (value.replace(tzinfo=UTC) if value.tzinfo is None else value)


meta = Table(
    "connector_meta",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", String(200), nullable=False),
)

connection = Table(
    "connection",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("grant_id", String(64), nullable=False),
    Column("agreement_id", String(64), nullable=False),
    Column("agreement_version", Integer, nullable=False),
    Column("agreement_sha256", String(64), nullable=False),
    Column("state", String(40), nullable=False),
    # Names of agreed attributes; null until /v1/grant was asked for the first time.
    Column("attributes", JSON),
    # The agreed terms as reconciliation writes them; null likewise.
    Column("terms", JSON),
    Column("expires_at", UTCDateTime, nullable=False),  # exclusive
    # Rises with whatever could make a planned write wrong: the consent fence (CON-34).
    Column("epoch", Integer, nullable=False, default=1),
    # Rises when a consent ends: a later consent gets another key in the CRM (CON-G5).
    Column("life", Integer, nullable=False, default=1),
    Column("checked_at", UTCDateTime),  # when the server last said what this consent allows
    Column("is_stale", Boolean, nullable=False, default=True),  # ask /v1/grant before anything
    # What the feed says of the consent up to this number is known already.
    Column("consent_feed", BigInteger, nullable=False, default=0),
)

link = Table(
    "link",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("crm", String(40), primary_key=True),
    Column("object", String(80), primary_key=True),
    Column("ref", String(200), nullable=False),  # the CRM's own id
    Column("key", String(40), nullable=False, unique=True),
    Column("life", Integer, nullable=False),
    Column("origin", String(20), nullable=False),
    CheckConstraint("origin IN ('created')", name="link_origin_known"),
)

ledger = Table(
    "ledger",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("crm", String(40), primary_key=True),
    Column("object", String(80), primary_key=True),
    Column("field", String(120), primary_key=True),
    Column("category", String(80), nullable=False),
    # Keyed digests of what was sent and of what the CRM then held: a CRM may reformat.
    Column("sent", String(64), nullable=False),
    Column("stored", String(64), nullable=False),
)

cursor = Table(
    "cursor",
    metadata,
    Column("stream", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
    CheckConstraint("value >= 0", name="cursor_never_empty"),
)

dirty = Table(
    "dirty",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("mark", BigInteger, nullable=False),  # rises with every change; cleared only if the same
    Column("since", UTCDateTime, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", UTCDateTime, nullable=False),
)

dead = Table(
    "dead",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("field", String(120), nullable=False),  # empty where no field is to blame
    Column("error_class", String(40), nullable=False),
    Column("message", String(200), nullable=False),  # our words, never the CRM's: it quotes values
    Column("first_at", UTCDateTime, nullable=False),
    Column("last_at", UTCDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UTCDateTime, nullable=False),
)

erasure = Table(
    "erasure",
    metadata,
    Column("job", String(40), primary_key=True),
    Column("connection", String(64), nullable=False, index=True),
    Column("agreement_id", String(64), nullable=False),
    Column("life", Integer, nullable=False),
    Column("cause", String(40), nullable=False),
    Column("plan", JSON, nullable=False),  # frozen when the job was made (CON-22)
    Column("state", String(20), nullable=False),
    Column("reason", String(200)),  # why it is blocked or has to be tried again
    Column("requested_at", UTCDateTime, nullable=False),
    Column("due_at", UTCDateTime, nullable=False),
    Column("erased_at", UTCDateTime),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", UTCDateTime, nullable=False),
    Column("obligation", String(64)),
    Column("receipt", JSON),  # the deletion receipt as handed in; it names no value
    Column("receipt_sent_at", UTCDateTime),
    CheckConstraint("state IN ('open', 'blocked', 'erased')", name="erasure_state_known"),
)

tombstone = Table(
    "tombstone",
    metadata,
    Column("key", String(40), primary_key=True),
    Column("connection", String(64), nullable=False),
    Column("life", Integer, nullable=False),
    Column("erased_at", UTCDateTime, nullable=False),
    Column("job", String(40), nullable=False),
)

credential = Table(
    "credential",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

log_stream = Table(
    "log_stream",
    metadata,
    Column("stream", String(120), primary_key=True),
    Column("seq", BigInteger, nullable=False),  # the latest that an answer named (P-33)
    Column("verified_seq", BigInteger, nullable=False),  # the log holds every number up to here
    Column("problem", String(200)),  # null: none; our words, never the server's
)

log_entry = Table(
    "log_entry",
    metadata,
    Column("stream", String(120), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # named, not found yet
    Column("count", Integer, nullable=False),  # records in that answer
    Column("seen_at", UTCDateTime, nullable=False),
)

log_checkpoint = Table(
    "log_checkpoint",
    metadata,
    Column("origin", String(200), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),  # as signed: evidence, should the log be rewritten
)

lease = Table(
    "lease",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("holder", String(80), nullable=False),
    Column("token", BigInteger, nullable=False),  # fences off whoever lost the lease
    Column("expires_at", UTCDateTime, nullable=False),
)

run = Table(
    "run",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),  # the lease's token
    Column("started_at", UTCDateTime, nullable=False),
    Column("ended_at", UTCDateTime),
    Column("outcome", String(80)),
    Column("counts", JSON),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UTCDateTime, nullable=False),
    Column("event", String(60), nullable=False),
    Column("connection", String(64), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("chain", String(64), nullable=False),
    UniqueConstraint("chain", name="audit_chain_unique"),
)
