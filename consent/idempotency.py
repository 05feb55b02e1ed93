"""Requests that an organisation may repeat without doubling their effect (ORG-10).

A row keeps the hash of the key, the hash of the request and the id of what it made; never a body
(P-20). It is written in the transaction of the effect: either both are there or neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.types import LargeBinary, Uuid

from consent.log.rows import insert_if_absent
from pds.db import Base, UTCDateTime
from pds.errors import Issue, ValidationFailedError
from pds.sweeping import sweep_table

KEPT_FOR = timedelta(hours=24)
KEY_CHARACTERS = 255


class IdempotencyKey(Base):
    """A key that an organisation gave, and what came of it."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "created_at"),)
    organisation_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    key_sha256: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    request_sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    made_id: Mapped[UUID | None] = mapped_column(Uuid)  # null: nothing is made, or not yet
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


def once(
    session: Session,
    organisation_id: UUID,
    key: str | None,
    request: bytes,
    make: Callable[[], UUID],
    *,
    now: datetime,
) -> tuple[UUID, bool]:
    """Run `make` unless this key had it run before; return what it made, and whether just now.

    Args:
        session: of the write job; two with one key wait for each other here.
        organisation_id: whose key it is; another's same key is another key.
        key: as sent; None runs always.
        request: what the key stands for: method, path and body.
        make: does the work and returns the id of what it made.
        now: the present instant.

    Raises:
        ValidationFailedError: the key is malformed, or stood for another request.
    """
    if key is None:
        return make(), True
    found = _claim(session, organisation_id, key, request, now=now)
    if found.made_id is not None:
        return found.made_id, False
    found.made_id = make()
    return found.made_id, True


def hold(
    session: Session, organisation_id: UUID, key: str | None, request: bytes, *, now: datetime
) -> None:
    """Keep a key for one request, whose effect comes once by its own nature.

    Args and errors: as of `once`.
    """
    if key is not None:
        _claim(session, organisation_id, key, request, now=now)


def sweep(session: Session, *, now: datetime) -> int:
    """Delete keys older than `KEPT_FOR`; returns how many."""
    return sweep_table(session, IdempotencyKey, IdempotencyKey.created_at <= now - KEPT_FOR)


def _claim(
    session: Session, organisation_id: UUID, key: str, request: bytes, *, now: datetime
) -> IdempotencyKey:
    """Return the key's row, locked, once it is sure that it stands for this request."""
    if not (0 < len(key) <= KEY_CHARACTERS and key.isascii() and key.isprintable()):
        raise ValidationFailedError(
            [Issue("Idempotency-Key", "shape", f"1 to {KEY_CHARACTERS} printable characters")]
        )
    row = {
        "organisation_id": organisation_id,
        "key_sha256": hashlib.sha256(key.encode()).digest(),
        "request_sha256": hashlib.sha256(request).digest(),
        "created_at": now,
    }
    insert_if_absent(session, IdempotencyKey, row)
    query = (
        select(IdempotencyKey)
        .where(
            IdempotencyKey.organisation_id == organisation_id,
            IdempotencyKey.key_sha256 == row["key_sha256"],
        )
        .with_for_update()
    )
    found = session.scalars(query).one()
    if found.request_sha256 != row["request_sha256"]:
        raise ValidationFailedError(
            [Issue("Idempotency-Key", "reused", "this key stood for another request")]
        )
    return found
