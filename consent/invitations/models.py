"""Tables of invitations: the organisation's side, and what the person who went on holds."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import LargeBinary, Uuid

from pds.db import Base, UTCDateTime


class Invitation(Base):
    """A link that an organisation made; whose vault it led to is not said here."""

    __tablename__ = "invitations"
    __table_args__ = (
        CheckConstraint(
            "state IN ('open', 'opened', 'used', 'declined', 'withdrawn', 'expired')",
            name="state_known",
        ),
        CheckConstraint("(state = 'open') = (reference_box IS NOT NULL)", name="sealed_while_open"),
        CheckConstraint("(state IN ('open', 'opened')) = (closed_at IS NULL)", name="closed_once"),
        Index(None, "organisation_id", "id"),
        Index(None, "state", "expires_at"),
        Index(None, "closed_at"),
    )
    id: Mapped[UUID] = mapped_column(
        Uuid, primary_key=True
    )  # the link's selector, in order of time
    organisation_id: Mapped[UUID] = mapped_column(Uuid)
    client_id: Mapped[UUID] = mapped_column(Uuid)  # whose start page the person is sent to
    template_id: Mapped[UUID] = mapped_column(Uuid)
    verifier: Mapped[bytes] = mapped_column(LargeBinary(32))  # of the link's secret
    # Under a key of the link's secret; null: opened, so under the vault's, or closed.
    reference_box: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)  # exclusive
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # null: still good


class OpenedInvitation(Base):
    """An invitation that a person went on with: theirs alone, until it is decided or ends."""

    __tablename__ = "opened_invitations"
    __table_args__ = (Index(None, "invitation_id"), Index(None, "expires_at"))
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    invitation_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    vault_id: Mapped[UUID] = mapped_column(Uuid)
    reference_box: Mapped[bytes] = mapped_column(LargeBinary)  # under a key of the vault's root key
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)  # as the invitation's
