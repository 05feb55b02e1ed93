"""Tables of the authorization server. No token, code or client secret is in any of them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import JSON, LargeBinary, Uuid

from pds.db import Base, UTCDateTime


class Client(Base):
    """A confidential OAuth client of an organisation; it authenticates by its own keys only."""

    __tablename__ = "clients"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(Uuid, index=True)
    name: Mapped[str] = mapped_column(String(120))
    name_az: Mapped[str | None] = mapped_column(String(120))  # null: `name`, as in English
    name_en: Mapped[str | None] = mapped_column(String(120))
    # client_uri, policy_uri, software_id, software_version, as registered; null: by the operator
    about: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    redirect_uris: Mapped[list[str]] = mapped_column(JSON)
    # As it registered them; null: all that there are
    grant_types: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    scopes: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    # Where invitations lead (OpenID Connect Core section 4); null: the client cannot invite.
    initiate_login_uri: Mapped[str | None] = mapped_column(String(2000))
    jwks: Mapped[dict[str, list[dict[str, str]]]] = mapped_column(JSON)  # public keys only
    # Where it publishes its keys; null: it registered them, and `jwks` holds until it is replaced.
    jwks_uri: Mapped[str | None] = mapped_column(String(2000))
    jwks_fetched_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    jwks_tried_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: not since then
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class RegistrationToken(Base):
    """An initial access token: lets one organisation register clients (RFC 7591 section 3)."""

    __tablename__ = "registration_tokens"
    __table_args__ = (Index(None, "expires_at"),)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    verifier: Mapped[bytes] = mapped_column(LargeBinary(32))
    organisation_id: Mapped[UUID] = mapped_column(Uuid)
    uses_left: Mapped[int] = mapped_column(SmallInteger)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)


class RefusedKey(Base):
    """A public key that is refused for ever, whoever brings it: it was there at a freeze."""

    __tablename__ = "refused_keys"
    thumbprint: Mapped[str] = mapped_column(String(43), primary_key=True)  # RFC 7638, SHA-256
    refused_at: Mapped[datetime] = mapped_column(UTCDateTime)


class PushedRequest(Base):
    """An authorization request pushed by its client (RFC 9126); spent at authorization (DEC-5)."""

    __tablename__ = "pushed_requests"
    __table_args__ = (Index(None, "expires_at"), Index(None, "client_id", "expires_at"))
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    verifier: Mapped[bytes] = mapped_column(LargeBinary(32))  # of the request_uri's secret half
    client_id: Mapped[UUID] = mapped_column(Uuid)
    payload: Mapped[dict[str, str]] = mapped_column(JSON)
    dpop_jkt: Mapped[str | None] = mapped_column(String(43))  # null: the code is not key-bound
    sign_in: Mapped[UUID | None] = mapped_column(Uuid)  # null: nobody opened it yet (THR-7)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    spent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: not yet


class Token(Base):
    """A live code, refresh or access token: its verifier and what it is bound to (TAK-28)."""

    __tablename__ = "tokens"
    __table_args__ = (
        CheckConstraint("kind IN ('ac', 'rt', 'at')", name="kind_known"),
        Index(None, "bucket", "grant_id"),
        Index(None, "expires_at"),
    )
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    selector: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    kind: Mapped[str] = mapped_column(String(2))
    verifier: Mapped[bytes] = mapped_column(LargeBinary(32))
    client_id: Mapped[UUID] = mapped_column(Uuid)
    grant_id: Mapped[UUID | None] = mapped_column(Uuid)  # null: client credentials, opens no data
    jkt: Mapped[str | None] = mapped_column(String(43))  # null: a refresh token (DPoP-D21)
    scope: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    redirect_uri: Mapped[str | None] = mapped_column(String(2000))  # codes only
    code_challenge: Mapped[str | None] = mapped_column(String(43))  # codes only
    consumed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # codes: when redeemed
    merges: Mapped[bool] = mapped_column(default=False)  # codes: of a merge into their grant


class Replay(Base):
    """A one-time value that was seen: proof, assertion. The insert that wins is the first use."""

    __tablename__ = "replays"
    __table_args__ = (Index(None, "expires_at"),)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    subject: Mapped[str] = mapped_column(String(64), primary_key=True)
    jti_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
